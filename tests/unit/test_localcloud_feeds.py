"""The turns of a bit and the queues of its readers, with a clock of our own."""

import asyncio
import math

import pytest

from littlebits_async.localcloud.bits import Bit
from littlebits_async.localcloud.feeds import MAX_WAITING, Feed, Reader
from littlebits_async.localcloud.readings import Reading
from littlebits_async.localcloud.ticker import Ticker
from tests.spec_messages import event_data


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    is_connected = True
    is_followed = False
    input_interval = 0.25
    read_times: int

    def __init__(self) -> None:
        self.read_times = 0

    def read(self) -> bytes:
        self.read_times += 1
        return b"data:%d\n\n" % self.read_times


class Harness:
    def __init__(self) -> None:
        self.clock = Clock()
        self.source = Source()
        self.feed = Feed(self.source, Ticker(self.clock), blank_line_every=10)
        self.dropped = 0

    def reader(self) -> Reader:
        def drop() -> None:
            self.dropped += 1

        return Reader(drop)

    def wait(self, seconds: float) -> None:
        """Let the time pass, with each turn at its time."""
        end = self.clock.now + seconds
        while self.feed.due <= end:
            self.clock.now = self.feed.due
            self.feed.tick(self.clock.now)
        self.clock.now = end


def waiting(reader: Reader) -> bytes:
    """What waits for a reader, without waiting."""
    chunks = b"".join(vars(reader)["_waiting"])
    vars(reader)["_waiting"].clear()
    return chunks


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_nobody_reads_so_nothing_is_read(harness: Harness) -> None:
    assert harness.feed.due == math.inf
    harness.feed.refresh()
    assert harness.source.read_times == 0


def test_one_reading_serves_all_readers(harness: Harness) -> None:
    readers = [harness.reader() for _ in range(3)]
    for reader in readers:
        harness.feed.open(reader)
    assert harness.source.read_times == 1
    harness.wait(0.25)
    assert harness.source.read_times == 2
    events = [list(vars(reader)["_waiting"]) for reader in readers]
    assert events == [[b"data:1\n\n", b"data:2\n\n"]] * 3
    assert len({id(event) for chunks in events for event in chunks}) == 2


def test_the_beat_is_steady_and_starts_anew_after_a_rest(harness: Harness) -> None:
    reader = harness.reader()
    harness.feed.open(reader)
    harness.clock.now += 0.3  # late by 0.05
    harness.feed.tick(harness.clock.now)
    assert harness.feed.due == pytest.approx(1000.5)
    harness.feed.close(reader)
    assert harness.feed.due == math.inf
    harness.clock.now += 60
    harness.feed.open(reader)
    assert harness.feed.due == pytest.approx(harness.clock.now + 0.25)
    assert harness.source.read_times == 3


def test_a_young_reading_is_replayed_and_an_old_one_is_not(harness: Harness) -> None:
    first = harness.reader()
    harness.feed.open(first)
    harness.feed.close(first)
    harness.clock.now += 0.2
    second = harness.reader()
    harness.feed.open(second)
    assert waiting(second) == b"data:1\n\n"
    harness.feed.close(second)
    harness.clock.now += 0.2
    third = harness.reader()
    harness.feed.open(third)
    assert waiting(third) == b"data:2\n\n"


def test_blank_lines_only_after_silence(harness: Harness) -> None:
    harness.source.is_connected = False
    reader = harness.reader()
    harness.feed.open(reader)
    harness.wait(9.9)
    assert waiting(reader) == b""
    harness.wait(10.2)
    assert waiting(reader) == b"\n\n"  # at 10 and at 20 seconds
    late = harness.reader()
    harness.feed.open(late)
    harness.wait(10)
    assert waiting(late) == b"\n"
    harness.source.is_connected = True
    harness.feed.refresh(anew=True)
    assert waiting(reader).endswith(b"data:1\n\n")
    harness.wait(60)
    assert b"\n\n\n" not in waiting(reader)


def test_a_followed_bit_is_read_without_readers(harness: Harness) -> None:
    harness.source.is_followed = True
    harness.feed.refresh()
    harness.wait(1)
    assert harness.source.read_times == 5


def test_a_reader_that_does_not_read_is_dropped_once(harness: Harness) -> None:
    idle, busy = harness.reader(), harness.reader()
    harness.feed.open(idle)
    harness.feed.open(busy)
    for _ in range(2 * MAX_WAITING):
        harness.wait(0.25)
        assert waiting(busy)
    assert harness.dropped == 1
    assert len(vars(idle)["_waiting"]) == MAX_WAITING


def test_a_reader_gets_what_waits_and_then_the_end() -> None:
    async def read() -> list[bytes]:
        reader = Reader(lambda: None)
        reader.push(b"a")
        reader.push(b"b")
        chunks = [await reader.next()]
        asyncio.get_running_loop().call_soon(reader.push, b"c")
        chunks.append(await reader.next())
        asyncio.get_running_loop().call_soon(reader.end)
        chunks.append(await reader.next())
        reader.push(b"d")
        return [*chunks, await reader.next()]

    assert asyncio.run(read()) == [b"ab", b"c", b"", b""]


def make_bit(clock: Clock) -> Bit:
    return Bit("00e04c0379bb", Ticker(clock), blank_line_every=10)


def test_times_rise_even_when_the_clock_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    bit = make_bit(Clock())
    times: list[int] = []
    bit.add_follower("test", lambda reading: times.append(reading.timestamp_ms))
    for milliseconds in (5_000_000_000_000, 5_000_000_000_000, 4_999_999_999_000, 5_000_000_000_003):
        monkeypatch.setattr("time.time_ns", lambda now=milliseconds: now * 1_000_000 + 999_999)
        bit.read()
    first, *rest = times  # of the real clock, when the follower came
    assert first < rest[0]
    assert rest == [5_000_000_000_000, 5_000_000_000_001, 5_000_000_000_002, 5_000_000_000_003]


def test_the_event_is_that_of_the_blog() -> None:
    # Without the blank after the colon, and with the user of wire-facts 6.
    event = Reading("00e04c0379bb", 1, 1521587206463, 629).event()
    printed = event_data("blog/input-event.sse").replace(b'"from":{', b'"from":{"user":{"id":1},')
    assert event == b"data:%b\n\n" % printed


def test_an_event_is_one_line_whatever_the_id() -> None:
    event = Reading('a\nb\r\u2028"ü', 1, 1, 0).event()
    assert event.count(b"\n") == 2
    assert event.isascii()
    assert b"\r" not in event


def test_an_output_ends_at_its_time() -> None:
    clock = Clock()
    bit = make_bit(clock)
    bit.show(40, 3000)
    clock.now += 2.999
    assert bit.shown == 40
    clock.now += 0.001
    assert bit.shown == 0
    bit.show(50, -1)
    clock.now += 1e9
    assert bit.shown == 50


def test_a_thousand_bits_share_their_turns() -> None:
    class Turn:
        def __init__(self, due: float) -> None:
            self.due = due
            self.late: list[float] = []

        def tick(self, now: float) -> None:
            self.late.append(now - self.due)
            self.due += 0.2

    async def run() -> list[Turn]:
        ticker = Ticker()
        turns = [Turn(ticker.clock() + n / 5000) for n in range(1000)]
        for turn in turns:
            ticker.plan(turn)
            ticker.plan(turn)  # planned twice is taken once
        task = asyncio.create_task(ticker.run())
        async with asyncio.timeout(10):
            while min(len(turn.late) for turn in turns) < 2:  # noqa: ASYNC110 - a look from outside
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        return turns

    late = sorted(late for turn in asyncio.run(run()) for late in turn.late)
    assert late[0] >= 0
    assert late[len(late) // 2] < 0.05
