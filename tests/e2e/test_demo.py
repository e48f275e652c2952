"""`littlebits demo`, as people and scripts run it."""

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.support.command import PATIENCE, command, run
from tests.support.terminal import run_in_terminal

pytestmark = pytest.mark.asyncio

IDS = [f"00e04000000{number}" for number in range(1, 9)]
FOLLOWED = r"00e040000002 follows 00e040000001: shows (\d+) %"


async def test_every_device_brings_events_and_one_follows() -> None:
    done = await run("demo", "--seconds", "2", "--plain")
    assert (done.code, done.errors) == (0, "")
    *_, summary = done.output.split("\n\n")
    counts = dict(re.findall(r"^(\w+): (\d+) events$", summary, re.MULTILINE))
    assert list(counts) == IDS
    assert all(int(count) > 0 for count in counts.values())
    assert re.search(FOLLOWED, summary)
    assert re.search(r"25 % was written to 00e040000003 .* ago: shows 25 %", summary)
    assert re.search(r"\d+ of 1800 requests are left", summary)
    assert f"8 of 8 devices brought {sum(map(int, counts.values()))} events" in summary


async def test_without_a_terminal_there_are_no_control_codes() -> None:
    done = await run("demo", "--seconds", "1.5", "--devices", "3", FORCE_COLOR="1")
    assert done.code == 0
    assert done.output.startswith("after 1 s: ")
    assert all(char.isprintable() or char == "\n" for char in done.output)


async def test_json_is_one_object_a_line() -> None:
    done = await run("demo", "--seconds", "1", "--devices", "3", "--json")
    records = [json.loads(line) for line in done.output.splitlines()]
    assert done.code == 0
    assert [next(iter(record)) for record in records] == ["device"] * 3 + ["follow", "written", "budget", "done"]
    assert [record["device"]["id"] for record in records[:3]] == IDS[:3]
    follow = records[3]["follow"]
    assert (follow["publisher_id"], follow["subscriber_id"], follow["followed"]) == (*IDS[:2], True)
    assert records[-1]["done"]["faults"] == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly_with_a_summary(sent: signal.Signals) -> None:
    async with command("demo", "--plain") as demo:
        await demo.until(r"after 1 s: ")
        done = await demo.result(sent)
    assert (done.code, done.errors) == (0, "")
    assert re.search(rf"^{FOLLOWED}$", done.output, re.MULTILINE)
    assert re.search(r"8 of 8 devices brought \d+ events", done.output)


async def test_a_demo_that_shows_nothing_fails() -> None:
    done = await run("demo", "--seconds", "0.000001", "--plain")
    assert done.code == 1
    assert done.errors.startswith("littlebits: demo: no event from 00e040000001, ")
    assert done.errors.count("\n") == 1


async def test_who_has_read_enough_is_no_error() -> None:
    async with command("demo", "--plain") as demo:
        await demo.until(r"after 1 s: ")
        assert demo.process.stdout is not None
        demo.process.stdout._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as `head -1` would
        await demo.process.wait()
        assert demo.process.stderr is not None
        assert (demo.process.returncode, await demo.process.stderr.read()) == (0, b"")


async def test_too_few_open_files_are_told_beforehand() -> None:
    code = (
        "import resource, sys; from littlebits_async.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); sys.exit(main())"
    )
    done = subprocess.run(  # noqa: ASYNC221 - it ends at once
        [sys.executable, "-c", code, "demo", "--devices", "100", "--seconds", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("littlebits: demo: 100 devices need 240 open files, and 64 are allowed")
    assert done.stderr.count("\n") == 1


async def test_options_come_from_the_environment() -> None:
    done = await run("demo", LITTLEBITS_DEMO_SECONDS="1", LITTLEBITS_DEMO_DEVICES="2", LITTLEBITS_DEMO_JSON="true")
    assert done.code == 0
    assert sum("device" in json.loads(line) for line in done.output.splitlines()) == 2


async def test_in_a_terminal_a_table_lives_on_a_screen_of_its_own() -> None:
    shown = await run_in_terminal("demo", "--seconds", "1.5", columns=100)
    assert shown.code == 0
    during, left = shown.raw.split("\x1b[?1049l")
    assert during.startswith("\x1b[?1049h")
    assert during.count("littlebits demo") >= 4  # drawn anew four times a second
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", left)
    assert all(device_id in plain for device_id in IDS)
    assert re.search(FOLLOWED, plain)
