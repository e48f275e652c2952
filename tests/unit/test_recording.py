"""Recordings: what is in the files, what is wrong with them, and their replay."""

import csv
import io
import itertools
import json
import logging
import math
from collections.abc import Iterable
from pathlib import Path

import anyio
import pytest

from littlebits_async import (
    AccessPoint,
    DecodeError,
    EventSource,
    InputEvent,
    InputReactor,
    InvalidArgumentError,
    NoStreamsLeftError,
    Session,
    SessionClosedError,
)
from littlebits_async.recording import Recorder, Replay, recorded
from littlebits_async.signals import debounce, edges
from littlebits_async.testing import RunningCloud
from tests.support.feed import reading
from tests.support.local_cloud import SLOWEST

HEADER = "device_id,timestamp_ms,percent,absolute,delta,level,name,user_id,mac,ap_ssid,ap_mac,ap_strength\n"
FULL = InputEvent(
    "00e04000000f",
    1_407_176_341_519,
    61.5,
    absolute=629,
    delta="ignite",
    level="active",
    name="amplitude",
    user_id=7,
    mac="00e04000000f",
    ap=AccessPoint("Küche, 2", "aa:bb", 74),
)
BARE = InputEvent("b", 5, 0)

of_each_format = pytest.mark.parametrize("name", ["run.jsonl", "run.csv"])


@pytest.fixture
def path(tmp_path: Path, name: str) -> Path:
    return tmp_path / name


def write(path: Path, *events: InputEvent) -> None:
    with Recorder(path) as recorder:
        for event in events:
            recorder.write(event)
        assert recorder.events == len(events)


async def replayed(source: EventSource) -> list[InputEvent]:
    with anyio.fail_after(5):
        return [event async for event in source]


# The files


def test_json_lines_hold_what_is_known(tmp_path: Path) -> None:
    write(tmp_path / "run.jsonl", FULL, BARE)
    first, second = (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == {
        "device_id": "00e04000000f",
        "timestamp_ms": 1_407_176_341_519,
        "percent": 61.5,
        "absolute": 629,
        "delta": "ignite",
        "level": "active",
        "name": "amplitude",
        "user_id": 7,
        "mac": "00e04000000f",
        "ap": {"ssid": "Küche, 2", "mac": "aa:bb", "strength": 74},
    }
    assert second == '{"device_id":"b","timestamp_ms":5,"percent":0}'


def test_csv_holds_a_column_for_each_field(tmp_path: Path) -> None:
    write(tmp_path / "run.csv", FULL, BARE)
    text = (tmp_path / "run.csv").read_text(encoding="utf-8")
    assert text == (
        f"{HEADER}00e04000000f,1407176341519,61.5,629,ignite,active,amplitude,7,00e04000000f,"
        '"Küche, 2",aa:bb,74\nb,5,0,,,,,,,,,\n'
    )
    assert [row["percent"] for row in csv.DictReader(io.StringIO(text))] == ["61.5", "0"]


@of_each_format
def test_writing_goes_on_with_what_is_there(path: Path) -> None:
    write(path, FULL)
    write(path)
    write(path, BARE)
    assert list(recorded(path)) == [FULL, BARE]


@of_each_format
def test_each_event_is_there_when_write_returns(path: Path) -> None:
    with Recorder(path) as recorder:
        for number in range(3):
            recorder.write(reading(number))
            assert len(list(recorded(path))) == number + 1


@of_each_format
def test_a_last_line_that_was_cut_is_left_out_and_then_removed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, FULL, BARE)
    path.write_bytes(path.read_bytes()[:-3])
    assert list(recorded(path)) == [FULL]
    assert "the last line was cut, and is left out" in caplog.text
    write(path, BARE)
    assert "the last line was cut, and is removed" in caplog.text
    assert list(recorded(path)) == [FULL, BARE]


@of_each_format
def test_the_rest_of_a_last_line_that_was_cut_is_no_line_of_its_own(path: Path) -> None:
    write(path, BARE, FULL, BARE)
    whole = path.read_bytes()
    path.write_bytes(whole[:-60])
    events = recorded(path)
    assert next(events) == BARE
    path.write_bytes(whole)  # somebody goes on with it
    assert list(events) == []


@pytest.mark.parametrize("missing", [1, 2])
def test_a_csv_line_that_lacks_its_end_is_cut_though_it_could_be_read(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "run.csv"
    write(path, BARE, FULL)
    path.write_bytes(path.read_bytes()[:-missing])  # a strength of 74, or was it 7, or 749?
    assert list(recorded(path)) == [BARE]


def test_a_long_line_that_was_cut_is_removed_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, BARE)
    with path.open("ab") as file:
        file.write(b'{"device_id":"' + b"x" * 200_000)
    write(path, FULL)
    assert list(recorded(path)) == [BARE, FULL]


def test_a_json_line_that_lacks_its_end_alone_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"device_id":"b","timestamp_ms":5,"percent":0}', encoding="utf-8")
    assert list(recorded(path)) == [BARE]
    write(path, FULL)
    assert list(recorded(path)) == [BARE, FULL]
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.jsonl", "my notes\n"),
        ("run.jsonl", "my notes"),
        ("run.jsonl", '{"notes": 1}\n{"cut'),
        ("run.jsonl", '{"notes": 1'),
        ("run.csv", "time,value\n1,2\n"),
        ("run.csv", "time,value"),
        ("run.csv", '"open'),
        ("run.csv", "device_id,timestamp_ms,percent\nb,5,0\n"),  # would lose the other fields
    ],
)
def test_what_is_no_recording_is_left_as_it_is(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match=r"is no recording to go on"), Recorder(path):
        pass
    assert path.read_text(encoding="utf-8") == content


def test_a_spreadsheets_own_order_columns_and_line_ends_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    columns = [*reversed(HEADER.strip().split(",")), "remark"]
    path.write_bytes(b"\xef\xbb\xbf" + ",".join(columns).encode() + b"\r\n,,,,,,,,,0,5,b,mine\r\n\r\n")
    assert list(recorded(path)) == [BARE]
    write(path, FULL)
    assert list(recorded(path)) == [BARE, FULL]


def test_a_csv_needs_three_columns_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("device_id,timestamp_ms,percent\nb,5,0\n", encoding="utf-8")
    assert list(recorded(path)) == [BARE]
    path.write_text("device_id,percent\nb,0\n", encoding="utf-8")
    with pytest.raises(DecodeError, match=r"line 1: .* timestamp_ms"):
        list(recorded(path))


def test_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"device_id":"b","timestamp_ms":5,"percent":0,"mood":{"good":true}}\n\n', encoding="utf-8")
    assert list(recorded(path)) == [BARE]


@of_each_format
@pytest.mark.parametrize(
    "event",
    [
        InputEvent("b", 5, math.nan),
        InputEvent("b", 5, math.inf),
        InputEvent("b", 10**17, 1),
        InputEvent("b", 5, 1, name="\ud83d"),
    ],
    ids=["nan", "inf", "no time", "half a character"],
)
def test_what_could_not_be_read_again_is_not_written(path: Path, event: InputEvent) -> None:
    with Recorder(path) as recorder:
        recorder.write(BARE)
        with pytest.raises(InvalidArgumentError, match="device 'b'"):
            recorder.write(event)
        recorder.write(FULL)
    assert list(recorded(path)) == [BARE, FULL]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_text_is_a_formula_to_a_spreadsheet(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.csv"
    event = InputEvent(text, 5, -1, name=text, ap=AccessPoint(text, strength=-70))
    write(path, event)
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert {row["device_id"], row["name"], row["ap_ssid"]} == {f'"{text}"'}
    assert (row["percent"], row["ap_strength"]) == ("-1", "-70")
    assert list(recorded(path)) == [event]


def test_a_text_that_no_csv_reader_takes_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    longest = InputEvent("b", 5, 1, name="x" * 131_072)
    with Recorder(path) as recorder:
        recorder.write(longest)
        for name in ("x" * 131_073, "=" * 131_071):  # which is quoted
            with pytest.raises(InvalidArgumentError, match="device 'b' cannot be written: name has more than 131072"):
                recorder.write(InputEvent("b", 5, 1, name=name))
    assert list(recorded(path)) == [longest]


class FullDisk(io.FileIO):
    """Has room for so many bytes, and takes what it can first."""

    room = 0

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        part = bytes(data)[: self.room]
        if not part:
            raise OSError(28, "No space left on device")
        self.room -= len(part)
        return super().write(part)


@of_each_format
def test_a_disk_that_is_full_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.recording._recorder.io.FileIO", FullDisk)
    monkeypatch.setattr(FullDisk, "room", 250)
    with Recorder(path) as recorder:
        with pytest.raises(OSError, match="No space"):
            for _ in range(10):
                recorder.write(FULL)
        monkeypatch.setattr(FullDisk, "room", 1000)
        vars(recorder)["_file"].room = 1000
        recorder.write(BARE)
    found = list(recorded(path))
    assert found == [FULL] * (recorder.events - 1) + [BARE]


@pytest.mark.parametrize("name", ["run", "run.txt", "run.json"])
def test_a_name_that_says_no_format_is_refused_at_once(path: Path) -> None:
    for make in (Recorder, Replay, recorded):
        with pytest.raises(InvalidArgumentError, match=r"\.jsonl, \.ndjson, \.csv"):
            make(path)


@of_each_format
def test_a_recorder_is_open_in_its_block_only_and_once(path: Path) -> None:
    recorder = Recorder(path)
    with pytest.raises(SessionClosedError):
        recorder.write(BARE)
    assert not path.exists()
    with recorder:
        recorder.write(BARE)
    with pytest.raises(SessionClosedError):
        recorder.write(BARE)
    with pytest.raises(SessionClosedError), recorder:
        pass


# What is wrong with them


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("run.jsonl", "[1]", "array"),
        ("run.jsonl", "{", "truncated"),
        ("run.jsonl", '{"device_id":"b","timestamp_ms":5}', "percent"),
        ("run.jsonl", '{"device_id":"b","timestamp_ms":"5","percent":0}', "timestamp_ms"),
        ("run.jsonl", '{"device_id":"b","timestamp_ms":5,"percent":0,"ap":3}', "ap"),
        ("run.jsonl", '{"device_id":"b","timestamp_ms":100000000000000000,"percent":0}', "is no time"),
        ("run.jsonl", '{"x":' + "[" * 100_000, "nested too deeply"),
        ("run.csv", "b,5", "12 values expected, got 2"),
        ("run.csv", "b,,0,,,,,,,,,", "no timestamp_ms"),
        ("run.csv", "b,five,0,,,,,,,,,", "timestamp_ms cannot be 'five'"),
        ("run.csv", "b,5,nan,,,,,,,,,", "percent is nan"),
        ("run.csv", 'b,5,0,,"""x",,,,,,,', "delta"),
        ("run.csv", 'b,5,0,,"x,,,,,,,', "unexpected end"),
    ],
)
def test_a_bad_line_is_named_after_the_events_before_it(path: Path, line: str, said: str) -> None:
    write(path, FULL, BARE)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    write(path, FULL)
    found: list[InputEvent] = []
    number = 3 if path.suffix == ".jsonl" else 4
    with pytest.raises(DecodeError, match=rf"{path.name}, line {number}: no event: .*{said}") as caught:
        found.extend(recorded(path))
    assert found == [FULL, BARE]
    assert caught.value.excerpt == line[:200]


@pytest.mark.anyio
async def test_a_replay_names_a_bad_line_and_is_over(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    write(path, FULL)
    with path.open("a", encoding="utf-8") as file:
        file.write("notes\n")
    write(path, BARE)
    events = aiter(Replay(path, speed=None))
    with anyio.fail_after(5):
        assert await anext(events) == FULL
        with pytest.raises(DecodeError, match="line 2"):
            await anext(events)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


@pytest.mark.anyio
async def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(recorded(tmp_path / "run.csv"))
    with pytest.raises(FileNotFoundError):
        await replayed(Replay(tmp_path / "run.csv"))


# Replay


def spaced(path: Path, *times_ms: int) -> None:
    write(path, *(reading(number, at=at) for number, at in enumerate(times_ms)))


class Clock:
    """A clock that goes on by what is slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        monkeypatch.setattr("anyio.current_time", lambda: self.now)
        monkeypatch.setattr("anyio.sleep_until", self.sleep_until)

    async def sleep_until(self, due: float) -> None:
        self.slept.append(round(due - self.now, 6))
        self.now = due


@pytest.mark.anyio
@pytest.mark.parametrize(("speed", "factor"), [(1.0, 1), (2.0, 2), (0.5, 0.5)])
async def test_events_keep_their_spacing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speed: float, factor: float
) -> None:
    spaced(tmp_path / "run.jsonl", 5000, 5500, 5500, 8500)
    events = aiter(Replay(tmp_path / "run.jsonl", speed=speed))
    clock = Clock(monkeypatch)
    assert [event.percent async for event in events] == [0, 1, 2, 3]
    assert clock.slept == [0.5 / factor, 3 / factor]


@pytest.mark.anyio
async def test_a_time_before_an_earlier_one_comes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaced(tmp_path / "run.jsonl", 5000, 9000, 6000, 10_000)
    events = aiter(Replay(tmp_path / "run.jsonl"))
    clock = Clock(monkeypatch)
    assert [event.percent async for event in events] == [0, 1, 2, 3]
    assert clock.slept == [4, 1]


@pytest.mark.anyio
async def test_who_takes_them_late_gets_them_without_further_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced(tmp_path / "run.jsonl", 0, 1000, 2000, 3000)
    events = aiter(Replay(tmp_path / "run.jsonl"))
    clock = Clock(monkeypatch)
    assert (await anext(events)).percent == 0
    clock.now += 2.25
    assert [event.percent async for event in events] == [1, 2, 3]
    assert clock.slept == [0.75]


@pytest.mark.anyio
@pytest.mark.parametrize("speed", [None, math.inf])
async def test_as_fast_as_possible(tmp_path: Path, speed: float | None) -> None:
    spaced(tmp_path / "run.jsonl", 0, 86_400_000)
    assert len(await replayed(Replay(tmp_path / "run.jsonl", speed=speed))) == 2


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_must_lead_somewhere(speed: float) -> None:
    with pytest.raises(InvalidArgumentError, match="speed"):
        Replay("run.jsonl", speed=speed)


@pytest.mark.anyio
async def test_a_wait_that_is_given_up_loses_nothing(tmp_path: Path) -> None:
    spaced(tmp_path / "run.jsonl", *range(0, 200, 10))
    events = aiter(Replay(tmp_path / "run.jsonl"))
    found: list[float] = []
    with anyio.fail_after(5):
        while len(found) < 20:
            with anyio.move_on_after(0.003):
                while len(found) < 20:
                    found.append((await anext(events)).percent)
    assert found == list(range(20))


@pytest.mark.anyio
async def test_each_iteration_begins_at_the_beginning(tmp_path: Path) -> None:
    spaced(tmp_path / "run.jsonl", 0, 1, 2)
    replay = Replay(tmp_path / "run.jsonl", speed=None)
    async for _ in replay:
        break
    assert [event.percent for event in await replayed(replay)] == [0, 1, 2]


@pytest.mark.anyio
async def test_a_recording_longer_than_a_block_is_read_to_its_end(tmp_path: Path) -> None:
    events = [reading(number % 100, at=number, device="bit" * 20) for number in range(2000)]
    write(tmp_path / "run.jsonl", *events)
    assert (tmp_path / "run.jsonl").stat().st_size > 3 * 64 * 1024
    assert await replayed(Replay(tmp_path / "run.jsonl", speed=None)) == events
    assert list(recorded(tmp_path / "run.jsonl")) == events


@pytest.mark.anyio
async def test_it_knows_the_devices_that_it_has_told_of(tmp_path: Path) -> None:
    write(tmp_path / "run.jsonl", reading(1, device="a"), reading(2, device="b"), reading(3, device="a"))
    replay = Replay(tmp_path / "run.jsonl")
    assert list(replay.devices) == []
    await replayed(replay)
    assert list(replay.devices) == ["a", "b"]


def fake_session() -> Session:
    return Session("token", base_url="http://localhost:1")


@pytest.mark.anyio
async def test_a_reactor_merges_it(tmp_path: Path) -> None:
    events = [reading(number, at=number) for number in range(5)]
    write(tmp_path / "run.jsonl", *events)
    async with fake_session() as session, InputReactor(session) as reactor:
        reactor.attach(Replay(tmp_path / "run.jsonl"))
        found: list[InputEvent] = []
        with anyio.fail_after(5):
            async for event in reactor:
                found.append(event)
                if len(found) == 5:
                    break
    assert found == events


@pytest.mark.anyio
async def test_a_reactor_is_told_of_a_bad_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "run.jsonl").write_text("notes\n", encoding="utf-8")
    with pytest.raises((DecodeError, NoStreamsLeftError), match="line 1"):
        async with fake_session() as session, InputReactor(session) as reactor:
            reactor.attach(Replay(tmp_path / "run.jsonl"))
            with anyio.fail_after(5):
                await anext(aiter(reactor))


@pytest.mark.anyio
@of_each_format
async def test_what_a_cloud_streamed_is_replayed_to_equal_events(path: Path, running_cloud: RunningCloud) -> None:
    bits = [await running_cloud.add_device(f"bit {number}", input_interval_ms=SLOWEST) for number in range(3)]
    events: list[InputEvent] = []
    async with running_cloud.session() as session:
        async with InputReactor(session, [bit.id for bit in bits]) as reactor:
            with Recorder(path) as recorder:
                turns = itertools.cycle([10.0, 20.5, 99.9])
                with anyio.fail_after(5):
                    async for event in reactor:
                        events.append(event)
                        recorder.write(event)
                        if len(events) == 12:
                            break
                        if len(events) >= 3:
                            await bits[len(events) % 3].turn(next(turns))
    assert len({event.device_id for event in events}) == 3
    assert await replayed(Replay(path, speed=None)) == events
    assert list(recorded(path)) == events


def rise_and_fall(path: Path) -> Iterable[InputEvent]:
    spaced(path, 0, 1000, 1100, 5000)
    return recorded(path)


@of_each_format
def test_signals_work_on_what_was_recorded(path: Path) -> None:
    settled = debounce(rise_and_fall(path), quiet=0.5)
    assert [event.delta for event in edges(settled, high=2, low=1)] == ["ignite"]
