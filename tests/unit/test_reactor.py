"""InputReactor over real sockets, against a scripted server; on asyncio and trio."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import field, frozen

from littlebits_async import (
    AuthenticationError,
    Backoff,
    BudgetExhaustedError,
    CloudBit,
    Device,
    Grant,
    InputEvent,
    InputReactor,
    InvalidArgumentError,
    NoStreamsLeftError,
    NotFoundError,
    Overflow,
    Priority,
    RetryPolicy,
    Session,
    SessionClosedError,
    StreamState,
    TokenBucket,
)
from tests.support.raw_server import SSE_HEAD, Exchange, RawServer, event_bytes, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]

QUICK = Backoff(base=0.005, cap=0.01)
Handler = Callable[[Exchange], Awaitable[None]]


def session_for(server: RawServer, **options: object) -> Session:
    return Session("token", base_url=server.url, **{"retry": RetryPolicy(backoff=QUICK), **options})  # type: ignore[arg-type]  # per test


def device_of(exchange: Exchange) -> str:
    return exchange.request.path.split("/")[3]


@frozen
class Script:
    """Answers each device's first opening by its first handler, and so on; the last one serves all that follow."""

    handlers: dict[str, list[Handler]]
    opened: Counter[str] = field(factory=Counter[str])
    listing: list[dict[str, object]] = field(factory=list[dict[str, object]])

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.request.path.endswith("/devices"):
            await exchange.answer(200, self.listing)
            return
        device = device_of(exchange)
        handlers = self.handlers.get(device) or self.handlers["*"]
        number = self.opened[device]
        self.opened[device] += 1
        await handlers[min(number, len(handlers) - 1)](exchange)


def script(**handlers: list[Handler]) -> Script:
    named = {"*" if name == "others" else name: some for name, some in handlers.items()}
    return Script(named)


def events(*numbers: int, then: Handler | None = None) -> Handler:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        for number in numbers:
            await exchange.event(number % 101, number)
        await (then or hold)(exchange)

    return handler


async def hold(exchange: Exchange) -> None:
    await exchange.until_closed()


async def end(exchange: Exchange) -> None:
    await exchange.end_stream()


def refuse(status: int) -> Handler:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, {"statusCode": status, "error": "No", "message": "no"})

    return handler


async def flood(exchange: Exchange) -> None:
    """Send as fast as the client reads."""
    await exchange.open_stream()
    for number in itertools.count(1):
        await exchange.event(number % 101, number)


async def take(reactor: InputReactor, number: int) -> list[InputEvent]:
    taken: list[InputEvent] = []
    with anyio.fail_after(5):
        async for event in reactor:
            taken.append(event)
            if len(taken) == number:
                break
    return taken


async def until(reactor: InputReactor, device_id: str, *states: StreamState) -> None:
    with anyio.fail_after(5):
        async for status in reactor.changes():
            if status.device_id == device_id and status.state in states:
                return


# R1 order, R3 reconnects


@pytest.mark.requirement("R1.order", "R1.repeat", "W8")
async def test_events_come_in_order_and_the_repeat_after_a_reconnect_is_dropped() -> None:
    handler = script(others=[events(1, 2, 3, then=end), events(3, 4, then=end), events(4, 5)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            assert [event.timestamp_ms for event in await take(reactor, 5)] == [1, 2, 3, 4, 5]
            assert reactor.stats.reconnects == 2
            assert reactor.stats.events == 5


async def corrupt(exchange: Exchange) -> None:
    await exchange.send(SSE_HEAD + b"zz\r\nnot a chunk\r\n")
    await exchange.until_closed()


async def reset(exchange: Exchange) -> None:
    await exchange.send(SSE_HEAD + b"40\r\ndata:{")
    await exchange.close()


async def no_stream(exchange: Exchange) -> None:
    await exchange.answer(200, b"<html>log in first</html>", kind="text/html")


async def moved(exchange: Exchange) -> None:
    await exchange.answer(302, None, headers={"Location": "https://example.org/"})


@pytest.mark.requirement("R3.again", "R6.passing", "W8")
@pytest.mark.parametrize(
    "failure",
    [end, corrupt, reset, no_stream, moved, refuse(500), refuse(502), refuse(503), refuse(408), refuse(425)],
    ids=["end", "corrupt", "reset", "no stream", "302", "500", "502", "503", "408", "425"],
)
async def test_a_failed_stream_is_tried_again(failure: Handler) -> None:
    first = events(1, then=end) if failure is end else failure
    async with raw_server(script(others=[first, failure, events(7)])) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            async for event in reactor:
                if event.timestamp_ms == 7:
                    break
            assert reactor.status("a").state is StreamState.LIVE


@pytest.mark.requirement("R3.told")
async def test_a_server_that_goes_on_failing_is_told_once_and_its_recovery_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "littlebits_async")
    handler = script(others=[refuse(503), refuse(503), refuse(503), events(1)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            await take(reactor, 1)
    levels = [record.levelname for record in caplog.records if record.name == "littlebits_async.reactor"]
    assert levels == ["WARNING", "DEBUG", "DEBUG", "INFO"]


@pytest.mark.requirement("R4.stall", "W1")
async def test_a_silent_stream_is_reopened() -> None:
    handler = script(others=[events(1), events(2)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK, stall_after=0.1) as reactor:
            assert [event.timestamp_ms for event in await take(reactor, 2)] == [1, 2]
            assert reactor.stats.stalls == 1
        await server.until_connections(0)


@pytest.mark.requirement("R4.quiet", "W2")
async def test_a_stream_that_is_kept_alive_is_quiet_and_then_reopened() -> None:
    async def blank_lines(exchange: Exchange) -> None:
        await exchange.open_stream()
        while True:
            await exchange.chunk(b"\n")
            await anyio.sleep(0.01)

    async with raw_server(script(others=[blank_lines, events(2)])) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK, stall_after=0.1, quiet_after=0.4) as reactor:
            await until(reactor, "a", StreamState.QUIET)
            await take(reactor, 1)
            assert reactor.stats.stalls == 1


# R2 bounded memory


@pytest.mark.requirement("R2.block", "W9")
async def test_a_consumer_that_stops_holds_the_streams_back_and_loses_nothing() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"], buffer=10) as reactor:
            await until(reactor, "a", StreamState.LIVE)
            await until(reactor, "b", StreamState.LIVE)
            with anyio.fail_after(5):
                await anyio.wait_all_tasks_blocked()  # which a flood that is not held back never lets come
            taken = await take(reactor, 3000)
            assert reactor.stats.dropped == 0
    for device in "ab":
        numbers = [event.timestamp_ms for event in taken if event.device_id == device]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 100  # each has its turns; how many is up to the sockets


@pytest.mark.requirement("R2.oldest", "W9")
async def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    handler = events(*range(1, 101))
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=10, overflow=Overflow.DROP_OLDEST) as reactor:
            with anyio.fail_after(5):
                while reactor.stats.events < 100:
                    await anyio.wait_all_tasks_blocked()
            assert [event.timestamp_ms for event in await take(reactor, 10)] == list(range(91, 101))
            assert reactor.stats.dropped == 90
            assert reactor.device_stats("a").dropped == 90


@pytest.mark.requirement("R2.latest", "W9")
async def test_latest_keeps_the_newest_of_each_device() -> None:
    async with raw_server(events(*range(1, 101))) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"], overflow=Overflow.LATEST) as reactor:
            with anyio.fail_after(5):
                while reactor.stats.events < 200:
                    await anyio.wait_all_tasks_blocked()
            taken = await take(reactor, 2)
            assert {(event.device_id, event.timestamp_ms) for event in taken} == {("a", 100), ("b", 100)}


# R6 errors


@pytest.mark.requirement("R6.token", "W6")
async def test_a_refused_token_ends_the_iteration() -> None:
    handler = script(a=[events(1)], others=[refuse(401)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            await until(reactor, "a", StreamState.LIVE)
            reactor.add("b")
            with anyio.fail_after(5), pytest.raises(AuthenticationError):
                async for _ in reactor:
                    pass
            assert {status.state for status in reactor.statuses().values()} == {StreamState.FAILED}
            await server.until_connections(0)


@pytest.mark.requirement("R6.token", "W6")
async def test_a_refused_token_is_not_tried_for_every_device() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        async with InputReactor(session, [f"d{n}" for n in range(200)], max_connecting=4) as reactor:
            with anyio.fail_after(5), pytest.raises(AuthenticationError):
                await anext(aiter(reactor))
            await anyio.wait_all_tasks_blocked()
    assert len(server.requests) < 50


@pytest.mark.requirement("R6.last", "R6.add", "W7")
async def test_the_only_device_failing_raises_its_cause_and_a_new_one_goes_on() -> None:
    handler = script(a=[refuse(404), events(9)], b=[events(5)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            for _ in range(2):  # it stays so until something is added
                with anyio.fail_after(5), pytest.raises(NotFoundError):
                    await anext(aiter(reactor))
            assert reactor.status("a").retry_at is not None
            reactor.add("b")
            assert (await take(reactor, 1))[0].device_id == "b"
            reactor.add("a")
            assert (await take(reactor, 1))[0].timestamp_ms == 9


@pytest.mark.requirement("R6.last", "W7")
async def test_several_causes_are_told_together() -> None:
    handler = script(a=[refuse(404)], b=[refuse(403)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"]) as reactor:
            with anyio.fail_after(5), pytest.raises(NoStreamsLeftError) as caught:
                await anext(aiter(reactor))
    assert {device: getattr(cause, "status", None) for device, cause in caught.value.causes.items()} == {
        "a": 404,
        "b": 403,
    }


@pytest.mark.requirement("R6.last")
async def test_removing_the_last_device_that_could_deliver_tells_of_the_others() -> None:
    async with raw_server(script(a=[refuse(404)], b=[events()])) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"]) as reactor, anyio.create_task_group() as group:

            async def consume() -> None:
                with pytest.raises(NotFoundError):
                    await anext(aiter(reactor))

            await until(reactor, "a", StreamState.FAILED)
            await until(reactor, "b", StreamState.LIVE)
            group.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                await reactor.remove("b")


@pytest.mark.requirement("R6.last")
async def test_queued_events_come_before_the_error() -> None:
    handler = script(others=[events(1, 2, then=end), refuse(404)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            await until(reactor, "a", StreamState.FAILED)
            assert [event.timestamp_ms for event in await take(reactor, 2)] == [1, 2]
            with pytest.raises(NotFoundError):
                await anext(aiter(reactor))


async def ten_at_once(exchange: Exchange) -> None:
    await exchange.open_stream()
    await exchange.chunk(b"".join(event_bytes(number, number) for number in range(1, 11)))
    await hold(exchange)


@pytest.mark.requirement("R6.token")
async def test_what_was_read_comes_before_another_devices_401_though_it_waits_for_room() -> None:
    handler = script(a=[ten_at_once], b=[refuse(401)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=3) as reactor:
            await until(reactor, "a", StreamState.LIVE)
            await anyio.wait_all_tasks_blocked()
            reactor.add("b")
            await until(reactor, "b", StreamState.FAILED)
            assert [event.timestamp_ms for event in await take(reactor, 10)] == list(range(1, 11))
            with anyio.fail_after(5), pytest.raises(AuthenticationError):
                await anext(aiter(reactor))


@pytest.mark.requirement("R6.leaving")
async def test_a_401_is_raised_on_leaving_though_another_device_waits_for_room() -> None:
    handler = script(a=[ten_at_once], b=[refuse(401)])
    async with raw_server(handler) as server, session_for(server) as session:
        with pytest.raises(AuthenticationError):
            async with InputReactor(session, ["a"], buffer=3) as reactor:
                await until(reactor, "a", StreamState.LIVE)
                await anyio.wait_all_tasks_blocked()
                reactor.add("b")
                await until(reactor, "b", StreamState.FAILED)
        await server.until_connections(0)


@pytest.mark.requirement("R3.asked")
async def test_the_servers_retry_is_the_least_wait() -> None:
    async def asks(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.chunk(b"retry: 60000\n\n")
        await end(exchange)

    async with raw_server(asks) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            await until(reactor, "a", StreamState.BACKING_OFF)
            status = reactor.status("a")
            assert status.retry_at is not None
            assert 59 < (status.retry_at - status.since).total_seconds() < 61


@pytest.mark.requirement("R6.leaving")
async def test_an_error_that_nobody_iterated_to_see_is_raised_on_leaving() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        with pytest.raises(AuthenticationError):
            async with InputReactor(session, ["a"]) as reactor:
                await until(reactor, "a", StreamState.FAILED)


@pytest.mark.requirement("R6.leaving")
async def test_an_error_that_was_seen_is_not_raised_again_on_leaving() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            with pytest.raises(AuthenticationError):
                await anext(aiter(reactor))


async def test_a_session_that_is_closed_meanwhile_ends_the_iteration() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            await take(reactor, 1)
            await session.aclose()
            with anyio.fail_after(5), pytest.raises(SessionClosedError):
                await anext(aiter(reactor))


async def test_a_budget_that_refuses_is_a_failure_to_retry() -> None:
    class Fickle(TokenBucket):
        asked = 0

        async def acquire(self, **options: Any) -> Grant:
            self.asked += 1
            if self.asked == 1:
                raise BudgetExhaustedError("not now", wait=0.01)
            return await super().acquire(**options)

    async with raw_server(events(1)) as server, session_for(server, budget=Fickle()) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            assert [event.timestamp_ms for event in await take(reactor, 1)] == [1]


@pytest.mark.requirement("R7.error")
async def test_a_bug_in_a_plugged_in_part_comes_out_as_itself() -> None:
    class Broken(TokenBucket):
        async def acquire(self, **_options: object) -> None:  # type: ignore[override]  # broken on purpose
            raise ZeroDivisionError

    async with raw_server(events(1)) as server, session_for(server, budget=Broken()) as session:
        with pytest.raises(ZeroDivisionError):
            async with InputReactor(session, ["a"]) as reactor:
                await anext(aiter(reactor))


# R8, R10


@pytest.mark.requirement("R8.goes-on", "R8.large", "R8.counted", "W10")
async def test_a_bad_event_is_counted_and_the_stream_goes_on() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        for data in (b"data:{broken\n\n", b"data:" + b"x" * 70_000 + b"\n\n", b": comment\n\n", event_bytes(5, 1)):
            await exchange.chunk(data)
        await hold(exchange)

    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            assert (await take(reactor, 1))[0].percent == 5
            assert reactor.stats.decode_errors == 2
            assert reactor.device_stats("a").decode_errors == 2


@pytest.mark.requirement("R10", "W7")
async def test_one_device_that_never_answers_slows_no_other() -> None:
    handler = script(hole=[hold], gone=[refuse(404)], flapping=[end], others=[flood])
    async with raw_server(handler) as server, session_for(server) as session:
        devices = ["hole", "gone", "flapping", "a", "b"]
        async with InputReactor(session, devices, backoff=QUICK, buffer=10) as reactor:
            seen = {event.device_id for event in await take(reactor, 500)}
            assert seen == {"a", "b"}
            assert reactor.status("hole").state is StreamState.CONNECTING
            assert reactor.status("gone").state is StreamState.FAILED


@pytest.mark.requirement("R10")
async def test_only_so_many_connections_are_opened_at_a_time() -> None:
    opening = 0
    most = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal opening, most
        opening += 1
        most = max(most, opening)
        await anyio.sleep(0.01)
        opening -= 1
        await events(1)(exchange)

    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, [f"d{n}" for n in range(30)], max_connecting=3) as reactor:
            await take(reactor, 30)
    assert most == 3


@pytest.mark.requirement("R5.paid", "R5.share", "B3.reserve", "W5")
async def test_streams_leave_the_reserve_to_commands() -> None:
    async def handler(exchange: Exchange) -> None:
        await (events(1)(exchange) if exchange.request.path.endswith("/input") else exchange.answer(200, []))

    bucket = TokenBucket(limit=10, reserve=0.5)
    async with raw_server(handler) as server, session_for(server, budget=bucket) as session:
        async with InputReactor(session, [f"d{n}" for n in range(8)]) as reactor:
            await take(reactor, 5)
            states = Counter(status.state for status in reactor.statuses().values())
            assert states == {StreamState.LIVE: 5, StreamState.WAITING_FOR_BUDGET: 3}
            for _ in range(5):
                assert await session.devices() == []
            report = await bucket.report()
            assert report.spent[Priority.STREAM, "input"] == 5


# R7 a clean end


@pytest.mark.requirement("R7.closed", "W11")
async def test_leaving_closes_every_connection() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, [f"d{n}" for n in range(50)], buffer=10) as reactor:
            await take(reactor, 200)
        await server.until_connections(0)


@pytest.mark.requirement("R7.error", "W11")
async def test_an_error_in_the_body_comes_out_as_itself_and_closes_all() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        with pytest.raises(ZeroDivisionError):
            async with InputReactor(session, ["a", "b"]) as reactor:
                await take(reactor, 20)
                raise ZeroDivisionError
        await server.until_connections(0)


@pytest.mark.requirement("R7.cancelled", "W11")
async def test_a_cancelled_scope_closes_all() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        with anyio.CancelScope() as scope:
            async with InputReactor(session, ["a", "b"]) as reactor:
                async for event in reactor:
                    if event.timestamp_ms == 20:
                        scope.cancel()
        assert scope.cancelled_caught
        await server.until_connections(0)


async def test_a_timeout_around_the_iteration_ends_just_that() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            await take(reactor, 1)
            with anyio.move_on_after(0.02) as scope:
                await anext(aiter(reactor))
            assert scope.cancelled_caught
            assert reactor.status("a").state is StreamState.LIVE


@pytest.mark.requirement("R7.cancelled", "W11")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_native_cancellation_closes_all() -> None:
    async with raw_server(flood) as server, session_for(server) as session:

        async def run() -> None:
            async with InputReactor(session, [f"d{n}" for n in range(20)]) as reactor:
                async for _ in reactor:
                    pass

        for delay in (0, 1, 2, 5, 10, 20, 50):
            task = asyncio.ensure_future(run())
            await asyncio.sleep(delay / 1000)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(outcome, asyncio.CancelledError)
        await server.until_connections(0)
        assert not [task for task in asyncio.all_tasks() if "input" in task.get_name().lower()]


# Iteration


async def test_break_loses_nothing() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=16) as reactor:
            numbers = [event.timestamp_ms for number in (1, 7, 50, 3) for event in await take(reactor, number)]
    assert numbers == list(range(1, 62))


async def test_a_second_consumer_is_one_too_many() -> None:
    async with raw_server(events()) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor, anyio.create_task_group() as group:

            async def consume() -> None:
                async for _ in reactor:
                    pass

            group.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await anext(aiter(reactor))
            group.cancel_scope.cancel()


@pytest.mark.requirement("R7.closed", "W11")
async def test_aclose_from_another_task_ends_the_iteration_normally() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        ended = anyio.Event()
        async with InputReactor(session, ["a"]) as reactor, anyio.create_task_group() as group:

            async def consume() -> None:
                async for _ in reactor:
                    pass
                ended.set()

            group.start_soon(consume)
            await until(reactor, "a", StreamState.LIVE)
            with anyio.fail_after(5):
                await reactor.aclose()
                await ended.wait()
            await server.until_connections(0)
            with pytest.raises(SessionClosedError):
                reactor.add("b")
            await reactor.aclose()


async def test_aclose_leaves_the_body_running() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            await reactor.aclose()
            await anyio.lowlevel.checkpoint()
            assert [event async for event in reactor] == []


async def test_an_empty_reactor_waits_for_a_device() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        taken: list[InputEvent] = []
        async with InputReactor(session) as reactor, anyio.create_task_group() as group:

            async def consume() -> None:
                taken.extend(await take(reactor, 1))

            group.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            assert taken == []
            reactor.add("a")
        assert [event.device_id for event in taken] == ["a"]


async def test_devices_come_and_go() -> None:
    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b", "a"], buffer=8) as reactor:
            assert list(reactor.devices) == ["a", "b"]
            await take(reactor, 20)
            with anyio.fail_after(5):
                await reactor.remove("a")
                await reactor.remove("unknown")
            assert list(reactor.devices) == ["b"]
            reactor.add("b")  # known and well: no effect
            assert {event.device_id for event in await take(reactor, 50)} == {"b"}
            await server.until_connections(1)
            assert set(reactor.statuses()) == {"b"}
            with pytest.raises(KeyError):
                reactor.status("a")
            assert reactor.stats.events >= 70


async def test_devices_may_be_ids_devices_or_cloudbits() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a", Device("b"), CloudBit(session, "c")]) as reactor:
            assert {event.device_id for event in await take(reactor, 3)} == {"a", "b", "c"}


async def test_changes_begin_with_the_present_and_end_with_the_reactor() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"]) as reactor:
            await take(reactor, 2)
            changes = reactor.changes()
            present = [await anext(changes), await anext(changes)]
            assert [(status.device_id, status.state) for status in present] == [
                ("a", StreamState.LIVE),
                ("b", StreamState.LIVE),
            ]
            assert all(status.last_event_at is not None for status in present)
            await reactor.remove("a")
            assert (await anext(changes)).state is StreamState.CLOSED
        assert [status.state async for status in changes] == [StreamState.CLOSED]
        assert [status async for status in reactor.changes()] != []  # and one that comes late ends too


@pytest.mark.parametrize(
    ("devices", "options"),
    [
        ("00e040000001", {}),
        ([""], {}),
        ([".."], {}),
        ([3], {}),
        (["a"], {"buffer": 0}),
        (["a"], {"overflow": "sometimes"}),
        (["a"], {"stall_after": 0}),
        (["a"], {"quiet_after": -1.0}),
        (["a"], {"max_connecting": 0}),
    ],
)
async def test_what_no_reactor_can_use_is_refused_at_construction(devices: object, options: dict[str, object]) -> None:
    async with Session("token") as session:
        with pytest.raises(InvalidArgumentError):
            InputReactor(session, devices, **options)  # type: ignore[arg-type]  # wrong on purpose


async def test_a_reactor_is_entered_first_and_once() -> None:
    async with Session("token") as session:
        reactor = InputReactor(session)
        with pytest.raises(SessionClosedError, match="async with"):
            await anext(aiter(reactor))
        async with reactor:
            with pytest.raises(SessionClosedError):
                await reactor.__aenter__()


@pytest.mark.requirement("W7", "R10")
async def test_a_refused_device_gives_its_turn_to_open_back() -> None:
    async def handler(exchange: Exchange) -> None:
        if "/a/" in exchange.request.path:
            await exchange.answer(403, {"message": "not yours"})
            return
        await exchange.open_stream()
        await exchange.event(1, 1)
        await exchange.until_closed()

    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a", "b"], max_connecting=1) as reactor:
            wanted = {"a": StreamState.FAILED, "b": StreamState.LIVE}
            with anyio.fail_after(5):
                async for _ in reactor.changes():
                    if {name: status.state for name, status in reactor.statuses().items()} == wanted:
                        return
