"""`littlebits record` and `littlebits replay`, as people and scripts run them."""

import asyncio
import json
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import asdict, frozen

from littlebits_async import AccessPoint, InputEvent
from littlebits_async.localcloud import LocalCloud
from littlebits_async.recording import Recorder, recorded
from tests.support.command import command, run

pytestmark = pytest.mark.asyncio
of_each_format = pytest.mark.parametrize("name", ["run.jsonl", "run.csv"])


@frozen
class Served:
    """A cloud with two bits that are read five times a second, and how the command finds it."""

    cloud: LocalCloud
    environment: dict[str, str]


@pytest_asyncio.fixture
async def served() -> AsyncGenerator[Served, None]:
    async with LocalCloud() as cloud:
        for device_id in ("a", "b"):
            await cloud.add_device(device_id, waveform="noise", input_interval_ms=200)
        yield Served(cloud, {"LITTLEBITS_BASE_URL": cloud.url, "LITTLEBITS_TOKEN": await cloud.create_token()})


@pytest.fixture
def path(tmp_path: Path, name: str) -> Path:
    return tmp_path / name


async def until_recorded(path: Path, number: int) -> None:
    async with asyncio.timeout(10):
        while sum(1 for _ in recorded(path)) < number:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)


@of_each_format
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_it_records_until_it_is_told_to_stop(served: Served, path: Path, sent: signal.Signals) -> None:
    async with command("record", "--to", str(path), **served.environment) as recording:
        assert await recording.line() == f"recording 2 cloudBits to {path}"
        await until_recorded(path, 6)
        done = await recording.result(sent)
    events = list(recorded(path))
    assert (done.code, done.output, done.errors) == (0, f"{len(events)} events\n", "")
    assert {event.device_id for event in events} == {"a", "b"}


@of_each_format
async def test_what_was_recorded_survives_a_kill_and_is_gone_on_with(served: Served, path: Path) -> None:
    events: list[InputEvent] = []
    for number in (4, 8):
        async with command("record", "--to", str(path), **served.environment) as recording:
            await recording.until("recording 2 cloudBits")
            await until_recorded(path, number)
            await recording.result(signal.SIGKILL)
        found = list(recorded(path))
        assert found[: len(events)] == events
        assert len(found) >= number
        events = found
        with path.open("ab") as file:
            file.write(b'{"device_id":"a","timest')  # where it could have been cut
    replayed = await run("replay", str(path), "--speed", "inf", "--json")
    assert replayed.code == 0
    assert replayed.errors == f"littlebits: {path}: the last line was cut, and is left out\n"
    assert [json.loads(line)["event"] for line in replayed.output.splitlines()] == [asdict(event) for event in events]


async def test_it_records_the_devices_that_are_named_for_so_long(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    done = await run("record", "a", "--to", str(path), "--seconds", "0.5", "--json", **served.environment)
    events = list(recorded(path))
    assert (done.code, done.errors) == (0, "")
    assert [json.loads(line) for line in done.output.splitlines()] == [
        {"recording": {"path": str(path), "devices": ["a"]}},
        {"recorded": {"events": len(events)}},
    ]
    assert {event.device_id for event in events} == {"a"}


async def test_what_is_no_recording_costs_no_request(served: Served, tmp_path: Path) -> None:
    notes = tmp_path / "run.csv"
    notes.write_text("mine\n", encoding="utf-8")
    for to, said in [(tmp_path / "run.txt", "ends in .jsonl"), (notes, "is no recording to go on")]:
        done = await run("record", "--to", str(to), **served.environment)
        assert (done.code, done.output) == (2, "")
        assert said in done.errors
        assert done.errors.count("\n") == 1
    assert notes.read_text(encoding="utf-8") == "mine\n"


async def test_who_has_not_logged_in_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    done = await run("record", "--to", str(path), XDG_CONFIG_HOME=str(tmp_path), HOME=str(tmp_path))
    assert (done.code, done.output) == (2, "")
    assert "littlebits login" in done.errors
    assert not path.exists()


async def test_a_file_that_cannot_be_made_is_told_by_its_name(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "no" / "run.jsonl"
    done = await run("record", "--to", str(path), **served.environment)
    assert done.output == ""
    assert done.errors == f"littlebits: {path}: No such file or directory\n"


async def test_what_ends_it_is_told_once_and_the_rest_as_it_comes(served: Served, tmp_path: Path) -> None:
    nowhere, refused = "00e04000000f", served.environment | {"LITTLEBITS_TOKEN": "nobody's"}
    bit = (await served.cloud.add_device("00e040000001")).id
    path = tmp_path / "run.csv"
    recording = ("record", "--to", str(path))
    done = await run(*recording, nowhere, **served.environment)
    assert (done.code, done.output) == (1, f"recording 1 cloudBit to {path}\n")
    assert done.errors.count("\n") == done.errors.count("404 ") == 1
    done = await run(*recording, bit, nowhere, **refused)
    assert done.code == done.errors.count("\n") == 1
    assert "is LITTLEBITS_TOKEN a token of this cloud?" in done.errors
    assert not path.exists()
    async with command(*recording, bit, nowhere, **served.environment) as running:
        assert running.process.stderr is not None
        told = (await running.process.stderr.readline()).decode()
        assert told.startswith(f"littlebits: device {nowhere}: failed: ")
        done = await running.result(signal.SIGINT)
    assert (done.code, done.errors) == (0, "")


def write(path: Path, *events: InputEvent) -> None:
    with Recorder(path) as recorder:
        for event in events:
            recorder.write(event)


NOON = 1_767_268_800_000


@of_each_format
async def test_a_replay_is_printed(path: Path) -> None:
    first = InputEvent("a", NOON, 7.25, ap=AccessPoint("home"))
    write(path, first, InputEvent("b", NOON + 1000, 100, delta="ignite", level="active"))
    done = await run("replay", str(path), "--speed", "100")
    assert (done.code, done.errors) == (0, "")
    assert done.output == "12:00:00 a   7.2 %\n12:00:01 b 100.0 % ignite active\n"
    line, *_ = (await run("replay", str(path), "--speed", "inf", "--json")).output.splitlines()
    assert json.loads(line) == {"event": asdict(first)}


async def test_a_replay_can_be_ended(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, InputEvent("a", NOON, 1), InputEvent("a", NOON + 3_600_000, 2))
    async with command("replay", str(path)) as replay:
        await replay.until("12:00:00")
        done = await replay.result(signal.SIGINT)
    assert (done.code, done.output, done.errors) == (0, "", "")


async def test_a_bad_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, InputEvent("a", NOON, 1))
    with path.open("a", encoding="utf-8") as file:
        file.write("notes\n")
    done = await run("replay", str(path))
    assert (done.code, done.output) == (1, "12:00:00 a   1.0 %\n")
    assert f"{path}, line 2: no event" in done.errors
    assert done.errors.count("\n") == 1


@pytest.mark.parametrize("arguments", [("nosuch.jsonl",), (".",), ("nosuch.csv", "--speed", "0")])
async def test_what_cannot_be_replayed_is_usage(arguments: tuple[str, ...]) -> None:
    done = await run("replay", *arguments)
    assert (done.code, done.output) == (2, "")
    assert done.errors.count("\n") == 1
