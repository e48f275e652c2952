"""What a reactor gives besides single events: batches, gaps, the latest, listeners, other sources, who is off line."""

import itertools
import logging
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path

import anyio
import pytest

from littlebits_async import (
    BudgetReport,
    DecodeError,
    Device,
    InputEvent,
    InputGap,
    InputReactor,
    InvalidArgumentError,
    NoStreamsLeftError,
    Overflow,
    Priority,
    Replay,
    StreamError,
    StreamState,
)
from tests.support.raw_server import Exchange, RawServer, raw_server
from tests.unit.test_reactor import QUICK, Handler, end, events, flood, hold, refuse, script, session_for, take, until

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]


class FakeSource:
    """Pushes what it is given, then waits, ends or fails."""

    def __init__(
        self, *pushed: InputEvent, devices: Collection[str] = (), then: Exception | None = None, stays: bool = False
    ) -> None:
        self.devices = devices
        self._pushed = list(pushed)
        self._then = then
        self._stays = stays
        self.closed = False

    def __aiter__(self) -> AsyncIterator[InputEvent]:
        return self

    async def __anext__(self) -> InputEvent:
        if self._pushed:
            return self._pushed.pop(0)
        if self._then is not None:
            raise self._then
        if self._stays:
            await anyio.sleep_forever()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


def pushed(device_id: str, timestamp_ms: int, delta: str | None = None) -> InputEvent:
    return InputEvent(device_id, timestamp_ms=timestamp_ms, percent=1.0, delta=delta)


async def settle(reactor: InputReactor, number: int) -> None:
    """Return when so many events have been received."""
    with anyio.fail_after(20):
        while reactor.stats.events < number:  # noqa: ASYNC110 - counted, not told
            await anyio.sleep(0.001)


# batches


async def test_a_batch_is_all_that_is_ready() -> None:
    async with raw_server(events(*range(1, 21))) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            await settle(reactor, 20)
            batch = await anext(reactor.batches())
    assert [event.timestamp_ms for event in batch] == list(range(1, 21))


@pytest.mark.requirement("R2.block")
async def test_batches_hold_back_and_lose_nothing() -> None:
    numbers: list[int] = []
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=8) as reactor:
            with anyio.fail_after(5):
                async for batch in reactor.batches():
                    assert 1 <= len(batch) <= 8
                    numbers += [event.timestamp_ms for event in batch]
                    if len(numbers) > 500:
                        break
            numbers += [event.timestamp_ms for event in await take(reactor, 3)]
    assert numbers == list(range(1, len(numbers) + 1))


# R9 gaps


async def items_of(reactor: InputReactor, number: int) -> list[int | InputGap]:
    found: list[int | InputGap] = []
    with anyio.fail_after(5):
        async for item in reactor.with_gaps():
            found.append(item if isinstance(item, InputGap) else item.timestamp_ms)
            if len(found) == number:
                break
    return found


@pytest.mark.requirement("R9.reconnect", "W8")
async def test_a_gap_is_told_after_a_reconnect_with_the_events_on_both_sides() -> None:
    handler = script(others=[events(1000, 2000, then=end), events(5000, 6000)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            first, second, gap, *rest = await items_of(reactor, 5)
    assert [first, second, rest] == [1000, 2000, [5000, 6000]]
    assert isinstance(gap, InputGap)
    assert (gap.device_id, gap.since.timestamp(), gap.until.timestamp()) == ("a", 2.0, 5.0)
    assert "ended" in gap.reason


@pytest.mark.requirement("R9.reconnect")
async def test_no_gap_is_told_where_the_newest_value_is_the_one_we_have() -> None:
    handler = script(others=[events(1, 2, then=end), events(2, 3)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            assert await items_of(reactor, 3) == [1, 2, 3]


@pytest.mark.requirement("R9.drop")
async def test_a_gap_is_told_where_a_full_buffer_dropped_events() -> None:
    gate = anyio.Event()

    async def more_later(exchange: Exchange) -> None:
        await gate.wait()
        for number in range(31, 61):
            await exchange.event(number, number)
        await hold(exchange)

    async with raw_server(events(*range(1, 31), then=more_later)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=5, overflow=Overflow.DROP_OLDEST) as reactor:
            await settle(reactor, 30)
            assert await items_of(reactor, 2) == [26, 27]  # no gap is told before the first
            gate.set()
            await settle(reactor, 60)
            gap, *rest = await items_of(reactor, 6)
    assert isinstance(gap, InputGap)
    assert (gap.since.timestamp(), gap.until.timestamp()) == (0.027, 0.056)
    assert gap.reason == "28 events dropped by a full buffer"
    assert rest == [56, 57, 58, 59, 60]


@pytest.mark.requirement("R9.kept")
async def test_leaving_off_after_a_gap_does_not_lose_the_event_behind_it() -> None:
    for resume in ("events", "batches", "gaps"):
        handler = script(others=[events(1, then=end), events(5, 6)])
        async with raw_server(handler) as server, session_for(server) as session:
            async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
                found = await items_of(reactor, 2)
                assert isinstance(found[-1], InputGap)
                await settle(reactor, 3)
                if resume == "events":
                    assert [event.timestamp_ms for event in await take(reactor, 2)] == [5, 6]
                elif resume == "batches":
                    assert [event.timestamp_ms for event in await anext(reactor.batches())] == [5, 6]
                else:
                    assert await items_of(reactor, 2) == [5, 6]


@pytest.mark.requirement("R9.first")
async def test_a_device_that_was_removed_and_added_again_begins_anew() -> None:
    handler = script(others=[events(1), events(9)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            assert await items_of(reactor, 1) == [1]
            await reactor.remove("a")
            reactor.add("a")
            assert await items_of(reactor, 1) == [9]


# latest


async def test_latest_is_what_was_received_last() -> None:
    async with raw_server(events(1, 2, 3)) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"]) as reactor:
            await settle(reactor, 6)
            assert {device: event.timestamp_ms for device, event in reactor.latest.items()} == {"a": 3, "b": 3}
            await reactor.remove("a")
            assert set(reactor.latest) == {"b"}


# listen


async def test_listeners_get_events_beside_the_iteration() -> None:
    gate = anyio.Event()

    async def later(exchange: Exchange) -> None:
        await exchange.open_stream()
        await gate.wait()
        for number in range(1, 6):
            await exchange.event(number, number)
        await hold(exchange)

    async with raw_server(later) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"]) as reactor:
            async with (
                reactor.listen(overflow=Overflow.DROP_OLDEST) as everything,
                reactor.listen(devices=["b"], overflow=Overflow.BLOCK) as only_b,
            ):
                own = aiter(reactor)
                gate.set()
                with anyio.fail_after(5):
                    heard = [await anext(everything) for _ in range(10)]
                    of_b = [await anext(only_b) for _ in range(5)]
                    mine = [await anext(own) for _ in range(10)]
    assert {event.device_id for event in heard} == {"a", "b"}
    assert [event.timestamp_ms for event in of_b] == [1, 2, 3, 4, 5]
    assert {event.device_id for event in of_b} == {"b"}
    assert len(mine) == 10


async def test_an_iteration_that_nobody_began_holds_no_listener_up() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=4) as reactor:
            await settle(reactor, 4)  # its own buffer is full now, and the stream waits
            async with reactor.listen(overflow=Overflow.BLOCK, buffer=4) as heard:
                with anyio.fail_after(30):
                    numbers = [(await anext(heard)).timestamp_ms for _ in range(100)]
            assert numbers == list(range(numbers[0], numbers[0] + 100))
            await take(reactor, 5)  # and it may begin later


@pytest.mark.requirement("R10")
async def test_a_listener_that_lags_loses_only_its_own() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=8) as reactor:
            async with reactor.listen(buffer=4, overflow=Overflow.DROP_OLDEST) as slow:
                own = [event.timestamp_ms for event in await take(reactor, 300)]
                assert slow.dropped > 0
                assert (await anext(slow)).timestamp_ms > 100
            assert reactor.stats.dropped == 0
    assert own == list(range(1, 301))


async def test_leaving_a_listener_frees_the_streams_that_waited_for_it() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=8) as reactor:
            own = aiter(reactor)
            async with reactor.listen(buffer=1, overflow=Overflow.BLOCK):
                await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                assert [(await anext(own)).timestamp_ms for _ in range(50)] == list(range(1, 51))


async def test_a_listener_ends_with_the_reactor_and_is_told_of_its_error() -> None:
    async with raw_server(script(a=[events(1)], b=[refuse(404)])) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor, reactor.listen() as heard:
            await anext(heard)
            await reactor.aclose()
            assert [event async for event in heard] == []
        async with InputReactor(session, ["b"]) as reactor, reactor.listen() as heard:
            with anyio.fail_after(5), pytest.raises(Exception, match="404"):
                await anext(heard)


async def test_listening_to_one_string_or_without_entering_is_refused() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            with pytest.raises(InvalidArgumentError):
                reactor.listen(devices="a")
            with pytest.raises(RuntimeError, match="async with"):
                await anext(reactor.listen())


# attach


async def test_another_source_is_merged() -> None:
    source = FakeSource(pushed("p", 1, "ignite"), pushed("p", 2, "release"), devices=["p"])
    async with raw_server(events(1, 2)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            reactor.attach(source)
            taken = await take(reactor, 4)
            assert reactor.stats.events == 4
            assert reactor.latest["p"].timestamp_ms == 2
    assert [event.delta for event in taken if event.device_id == "p"] == ["ignite", "release"]
    assert source.closed


@pytest.mark.requirement("R2.edges")
async def test_pushed_edges_are_never_merged() -> None:
    source = FakeSource(*(pushed("p", number, "ignite") for number in range(3)), devices=["p"], stays=True)
    async with raw_server(events()) as server, session_for(server) as session:
        async with InputReactor(session, overflow=Overflow.LATEST) as reactor:
            reactor.attach(source)
            await settle(reactor, 3)
            assert [event.timestamp_ms for event in await take(reactor, 3)] == [0, 1, 2]


async def test_a_device_is_streamed_or_pushed_but_not_both(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            with pytest.raises(InvalidArgumentError, match="streamed already"):
                reactor.attach(FakeSource(devices=["a"]))
            reactor.attach(FakeSource(devices=["p"], stays=True))
            with pytest.raises(InvalidArgumentError, match="pushed"):
                reactor.add("p")
            stray = FakeSource(pushed("a", 7), pushed("a", 8), pushed("q", 9), stays=True)
            reactor.attach(stray)
            assert {event.timestamp_ms for event in await take(reactor, 2)} == {1, 9}
            assert reactor.stats.dropped == 2
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1


@pytest.mark.requirement("R6.last")
async def test_a_source_that_fails_is_a_cause_like_any_other() -> None:
    broken = DecodeError("line 3 is no event")
    async with raw_server(script(a=[refuse(403)])) as server, session_for(server) as session:
        async with InputReactor(session) as reactor:
            reactor.attach(FakeSource(pushed("p", 1), then=broken))
            assert [event.timestamp_ms for event in await take(reactor, 1)] == [1]
            with anyio.fail_after(5), pytest.raises(DecodeError):
                await anext(aiter(reactor))
            reactor.add("a")
            await until(reactor, "a", StreamState.FAILED)
            with pytest.raises(NoStreamsLeftError) as caught:
                await anext(aiter(reactor))
            assert caught.value.causes["FakeSource"] is broken
            assert set(caught.value.causes) == {"FakeSource", "a"}


@pytest.mark.requirement("R10")
async def test_a_source_whose_file_is_not_there_ends_nobody_else(tmp_path: Path) -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            reactor.attach(Replay(tmp_path / "missing.jsonl"))
            assert len(await take(reactor, 50)) == 50
            await reactor.remove("a")
            with anyio.fail_after(5), pytest.raises(StreamError, match="missing") as caught:
                while True:
                    await anext(aiter(reactor))
            assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_a_source_may_be_attached_before_entering() -> None:
    async with raw_server(events()) as server, session_for(server) as session:
        reactor = InputReactor(session)
        reactor.attach(FakeSource(pushed("p", 1), devices=["p"], stays=True))
        async with reactor:
            assert (await take(reactor, 1))[0].device_id == "p"


# Off line (R5, R6)


def listing_of(*devices: Mapping[str, object]) -> Handler:
    async def handler(exchange: Exchange) -> None:
        if exchange.request.path.endswith("/devices"):
            await exchange.answer(200, list(devices))
        else:
            await exchange.answer(404, {"statusCode": 404, "error": "Not Found", "message": "not connected"})

    return handler


async def report_of(server: RawServer, devices: list[str], state: StreamState) -> BudgetReport:
    async with session_for(server) as session, InputReactor(session, devices) as reactor:
        for device in devices:
            await until(reactor, device, state)
        return await session.budget.report()


@pytest.mark.requirement("R6.listed", "R5.shared", "R5.paid", "W3")
async def test_a_404_of_listed_devices_is_off_line_and_costs_one_listing_for_all() -> None:
    devices = [f"d{number}" for number in range(10)]
    handler = listing_of(*({"id": device, "is_connected": False} for device in devices))
    async with raw_server(handler) as server:
        report = await report_of(server, devices, StreamState.OFFLINE)
    assert report.spent == {(Priority.STREAM, "input"): 10, (Priority.STREAM, "listing"): 1}


@pytest.mark.requirement("R6.listed", "R6.last")
async def test_a_404_of_a_device_that_is_not_listed_is_a_failure() -> None:
    handler = listing_of({"id": "other", "is_connected": True})
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            with anyio.fail_after(5), pytest.raises(Exception, match="404"):
                await anext(aiter(reactor))


@pytest.mark.requirement("R4.usual")
async def test_a_known_interval_makes_silence_longer() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        devices = [Device("slow", input_interval_ms=10_000), Device("quick", input_interval_ms=10)]
        async with InputReactor(session, devices, stall_after=0.1) as reactor:
            await until(reactor, "quick", StreamState.STALLED)
            assert reactor.status("slow").state is StreamState.LIVE


@pytest.mark.requirement("R5.listing", "W3")
async def test_the_way_of_a_device_that_goes_off_line_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.stream.SLOW_SCHEDULE_BASE", 0.05)
    monkeypatch.setattr("littlebits_async.stream.LISTING_EVERY", 0.05)
    monkeypatch.setattr("littlebits_async.reactor._listing.LISTING_EVERY", 0.05)
    listings: list[bool] = []

    async def handler(exchange: Exchange) -> None:
        if exchange.request.path.endswith("/devices"):
            listings.append(len(listings) >= 3)  # back on line for the fourth
            await exchange.answer(200, [{"id": "a", "is_connected": listings[-1]}])
        elif listings and listings[-1]:
            await events(2, 3)(exchange)
        else:
            await exchange.open_stream()
            if not listings and len(seen) == 0:
                await exchange.event(1, 1)
            await hold(exchange)

    seen: list[int] = []
    states: list[StreamState] = []
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK, stall_after=0.1) as reactor:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    async for status in reactor.changes():
                        states.append(status.state)  # noqa: PERF401 - to be seen while it goes on

                group.start_soon(watch)
                seen += [event.timestamp_ms for event in await take(reactor, 1)]
                seen += [event.timestamp_ms for event in await take(reactor, 2)]
                group.cancel_scope.cancel()
    assert seen == [1, 2, 3]
    notable = [state for state in states if state in (StreamState.LIVE, StreamState.STALLED, StreamState.OFFLINE)]
    assert [state for state, _ in itertools.groupby(notable)] == [
        StreamState.LIVE,
        StreamState.STALLED,
        StreamState.LIVE,
        StreamState.STALLED,
        StreamState.OFFLINE,
        StreamState.LIVE,
    ]
    assert listings == [False, False, False, True]
