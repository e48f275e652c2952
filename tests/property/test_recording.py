"""What is written is read again, whatever it is."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import anyio
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from littlebits_async import AccessPoint, InputEvent, LittleBitsError
from littlebits_async.recording import Recorder, Replay, recorded

patient = settings(deadline=None)  # a loaded machine is slow, not wrong
SUFFIXES = [".jsonl", ".csv"]
of_each_format = pytest.mark.parametrize("suffix", SUFFIXES)

INT64 = st.integers(-(2**63), 2**63 - 1)
# What a quoting goes wrong over, more often than chance would have it.
texts = st.one_of(st.text(), st.text(alphabet="\"'\\,;\n\r\t\0 a\u2028\ufeff\x85", max_size=6), st.just("null"))
maybe = st.one_of(st.none(), texts)
access_points = st.builds(AccessPoint, ssid=maybe, mac=maybe, strength=st.one_of(st.none(), INT64))
events = st.builds(
    InputEvent,
    device_id=texts,
    timestamp_ms=st.integers(0, 253_402_300_799_999),
    percent=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 100)),
    absolute=st.one_of(st.none(), INT64),
    delta=maybe,
    level=maybe,
    name=maybe,
    user_id=st.one_of(st.none(), INT64),
    mac=maybe,
    # One of which nothing is known is None in CSV, as it is on the wire.
    ap=st.one_of(st.none(), access_points.filter(lambda ap: ap != AccessPoint())),
)


def write(path: Path, what: Iterable[InputEvent]) -> None:
    with Recorder(path) as recorder:
        for event in what:
            recorder.write(event)


@of_each_format
def test_events_come_back_equal(suffix: str) -> None:
    @patient
    @given(st.lists(events, max_size=8), st.integers(0, 8))
    @example([InputEvent("", 0, 1, delta="", level='"', name="\n", mac=" ", ap=AccessPoint("\r\n", "\0", None))], 0)
    def same(given_events: list[InputEvent], pause: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"run{suffix}")
            write(path, given_events[:pause])
            write(path, given_events[pause:])
            assert list(recorded(path)) == given_events
            # An event is a line, so that line numbers count events, and what is cut is one.
            assert path.read_bytes().count(b"\n") == len(given_events) + (suffix == ".csv")

    same()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@of_each_format
def test_a_replay_gives_what_recorded_gives(suffix: str, backend: str) -> None:
    @settings(max_examples=20, deadline=None)
    @given(st.lists(events, max_size=8))
    def same(given_events: list[InputEvent]) -> None:
        async def replayed() -> list[InputEvent]:
            with anyio.fail_after(5):
                return [event async for event in Replay(path, speed=None)]

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"run{suffix}")
            write(path, given_events)
            assert anyio.run(replayed, backend=backend) == given_events

    same()


@of_each_format
def test_a_file_that_is_cut_anywhere_gives_the_events_before_and_can_be_gone_on_with(suffix: str) -> None:
    @patient
    @given(st.lists(events, min_size=1, max_size=4), st.data(), events)
    def same(given_events: list[InputEvent], data: st.DataObject, another: InputEvent) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"run{suffix}")
            write(path, given_events)
            whole = path.read_bytes()
            # Near its end more often than chance would have it.
            cut = whole[
                : data.draw(st.one_of(st.integers(0, len(whole)), st.integers(max(0, len(whole) - 5), len(whole))))
            ]
            path.write_bytes(cut)
            lines = cut.count(b"\n") - (suffix == ".csv")
            left = given_events[: max(lines, 0)]
            found = list(recorded(path))
            # A JSON object that lacks the line end alone is whole.
            assert found in (left, given_events[: len(left) + 1])
            assert found == left or suffix == ".jsonl"
            write(path, [another])
            assert list(recorded(path)) == [*found, another]

    same()


@of_each_format
def test_any_bytes_are_events_or_a_clear_error(suffix: str) -> None:
    @patient
    @given(st.one_of(st.binary(max_size=60), st.text(alphabet='{}[]":,0e-\n\\ul', max_size=60).map(str.encode)))
    def told(content: bytes) -> None:
        header = b"" if suffix == ".jsonl" else b"device_id,timestamp_ms,percent\n"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"run{suffix}")
            path.write_bytes(header + content)
            error: LittleBitsError | None = None
            try:
                assert all(isinstance(event, InputEvent) for event in recorded(path))
            except LittleBitsError as exc:
                error = exc
            assert error is None or "line " in str(error)

    told()
