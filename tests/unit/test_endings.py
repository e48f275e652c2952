"""Ends that come at the wrong moment: a session closed in mid-call, errors that cross cancellations, stale news."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from littlebits_async import (
    APIError,
    AuthenticationError,
    InputReactor,
    MemoryTokenStore,
    NotFoundError,
    OAuth2,
    OAuthError,
    OAuthToken,
    Priority,
    RateLimitedError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    Session,
    SessionClosedError,
    StreamClosedError,
    StreamState,
    TokenBucket,
    Unlimited,
)
from tests.support.raw_server import Exchange, raw_server
from tests.unit.test_reactor import QUICK, events, hold, refuse, script, session_for, take, until

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]


async def slow(exchange: Exchange) -> None:
    await anyio.lowlevel.checkpoint()
    await (events(1)(exchange) if exchange.request.path.endswith("/input") else exchange.answer(200, []))


# A session that is closed meanwhile


@pytest.mark.requirement("R7.closed", "W11")
@pytest.mark.parametrize("kind", ["call", "stream"])
async def test_closing_ends_whatever_is_on_its_way_and_leaves_nothing(kind: str) -> None:
    async with raw_server(slow) as server:
        for steps in range(30):
            session = session_for(server)
            outcomes: list[object] = []

            async def use(session: Session = session, outcomes: list[object] = outcomes) -> None:
                try:
                    outcomes.append(await (session.devices() if kind == "call" else session.read("a")))
                except (SessionClosedError, StreamClosedError) as exc:  # and no other error
                    outcomes.append(exc)

            async with anyio.create_task_group() as group:
                group.start_soon(use)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                with anyio.fail_after(5):
                    await session.aclose()
            assert len(outcomes) == 1
            await server.until_connections(0)


async def test_closing_ends_an_opening_that_hangs() -> None:
    async with raw_server(hold) as server, session_for(server) as session:
        async with anyio.create_task_group() as group:

            async def open_it() -> None:
                with pytest.raises(SessionClosedError):
                    async with session.inputs("a"):
                        pytest.fail("entered")

            group.start_soon(open_it)
            await server.until_connections(1)
            with anyio.fail_after(5):
                await session.aclose()
        await server.until_connections(0)


async def test_closing_wakes_who_waits_for_the_budget_and_spends_nothing() -> None:
    bucket = TokenBucket(limit=2, reserve=0.0)
    async with raw_server(slow) as server, session_for(server, budget=bucket, max_wait=None) as session:
        await session.devices()
        await session.devices()
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                with pytest.raises(SessionClosedError):
                    await session.devices()

            for _ in range(5):
                group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                await session.aclose()
        assert sum((await bucket.report()).waiting.values()) == 0
    assert len(server.requests) == 2


async def test_a_grant_that_comes_after_the_close_is_given_back() -> None:
    bucket = TokenBucket(limit=2)
    async with raw_server(slow) as server, session_for(server, budget=bucket) as session:
        grant = await session.grant(priority=Priority.STREAM, label="input")
        await session.aclose()
        with pytest.raises(SessionClosedError):
            await session.open_input("a", grant)
    assert bucket.available == 2


# Errors and cancellations


@pytest.mark.requirement("R7.error")
async def test_an_error_of_the_block_is_not_lost_in_a_cancellation_around_it() -> None:
    async with raw_server(events(1)) as server, session_for(server) as session:
        with pytest.raises(ZeroDivisionError), anyio.CancelScope() as scope:
            async with InputReactor(session, ["a"]):
                try:
                    scope.cancel()
                    await anyio.sleep_forever()
                finally:
                    raise ZeroDivisionError
        await server.until_connections(0)


async def ping(session: Session, caught: list[BaseException]) -> None:
    try:
        await session.ping()
    except BaseException as exc:
        caught.append(exc)
        raise


@pytest.mark.requirement("R7.cancelled")
async def test_a_cancelled_call_is_a_plain_cancellation() -> None:
    async with raw_server(slow) as server, session_for(server) as session:
        for steps in range(15):
            caught: list[BaseException] = []
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(ping, session, caught)
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            assert not [exc for exc in caught if not isinstance(exc, anyio.get_cancelled_exc_class())], caught


# News that is stale


@pytest.mark.requirement("R6.add")
async def test_a_device_that_failed_and_was_added_again_is_waited_for() -> None:
    handler = script(a=[refuse(404), events(7)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, ["a"]) as reactor:
            with anyio.fail_after(5), pytest.raises(NotFoundError):
                await anext(aiter(reactor))
            reactor.add("a")
            with anyio.fail_after(5):
                assert (await anext(aiter(reactor))).timestamp_ms == 7


@pytest.mark.requirement("R6.token")
async def test_an_old_401_does_not_come_back_with_the_next_stall() -> None:
    good = False

    async def handler(exchange: Exchange) -> None:
        await (events(1)(exchange) if good else refuse(401)(exchange))

    devices = [f"d{number}" for number in range(60)]
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, devices, backoff=QUICK, stall_after=0.2) as reactor:
            with anyio.fail_after(5), pytest.raises(AuthenticationError):
                await anext(aiter(reactor))
            await anyio.wait_all_tasks_blocked()
            good = True
            for device in devices:
                reactor.add(device)
            await take(reactor, 60)
            for device in devices:
                await until(reactor, device, StreamState.STALLED, StreamState.BACKING_OFF)
            with anyio.move_on_after(0.3):
                async for _ in reactor:
                    pass
            assert StreamState.FAILED not in {status.state for status in reactor.statuses().values()}


async def test_a_reactor_that_was_closed_before_it_was_entered_says_so() -> None:
    async with Session("token") as session:
        reactor = InputReactor(session, ["a"])
        await reactor.aclose()
        with pytest.raises(SessionClosedError):
            await reactor.__aenter__()
        await anyio.lowlevel.checkpoint()


async def test_two_watchers_of_one_iteration_of_changes_are_one_too_many() -> None:
    async with raw_server(events()) as server, session_for(server) as session:
        async with InputReactor(session) as reactor, anyio.create_task_group() as group:
            changes = reactor.changes()
            ended = anyio.Event()

            async def watch() -> None:
                async for _ in changes:
                    pass
                ended.set()

            group.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await anext(changes)
            await changes.aclose()
            with anyio.fail_after(5):
                await ended.wait()


# The status is the verdict, whatever its body is


def big(status: int) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, b"<p>" * 50_000, kind="text/html")

    return handler


def cut(status: int) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 %d No\r\nContent-Length: 1000\r\nRetry-After: 9\r\n\r\n{" % status)
        await exchange.close()

    return handler


def stuck(status: int) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 %d No\r\nContent-Length: 1000\r\n\r\n{" % status)
        await exchange.until_closed()

    return handler


@pytest.mark.parametrize("broken", [big, cut, stuck])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, AuthenticationError), (404, NotFoundError), (429, RateLimitedError), (503, ServiceUnavailableError)],
)
async def test_an_error_is_what_its_status_says(
    broken: Callable[[int], Callable[[Exchange], Awaitable[None]]], status: int, expected: type[APIError]
) -> None:
    patience = 0.5 if broken is stuck else 5.0
    options = {"retry": RetryPolicy(attempts=1), "timeout": patience, "budget": Unlimited()}
    async with raw_server(broken(status)) as server, session_for(server, **options) as session:
        with pytest.raises(expected) as caught:
            await session.devices()
        assert caught.value.status == status
        with pytest.raises(expected):
            async with session.inputs("a"):
                pytest.fail("entered")
        await server.until_connections(0)


# The wait for the budget, and the wait of a retry


@pytest.mark.requirement("W4")
async def test_max_wait_does_not_forbid_a_retry() -> None:
    handler_calls = 0

    async def once(exchange: Exchange) -> None:
        nonlocal handler_calls
        handler_calls += 1
        await (refuse(503)(exchange) if handler_calls == 1 else exchange.answer(200, []))

    async with raw_server(once) as server, session_for(server, max_wait=0.0) as session:
        assert await session.devices() == []
    assert handler_calls == 2


@pytest.mark.requirement("W4")
async def test_what_the_server_asks_for_counts_against_max_wait() -> None:
    async def busy(exchange: Exchange) -> None:
        await exchange.answer(503, None, headers={"Retry-After": "5"})

    async with raw_server(busy) as server, session_for(server, max_wait=1.0) as session:
        with pytest.raises(ServerError):
            await session.devices()
    assert len(server.requests) == 1


@pytest.mark.requirement("R3.told")
async def test_one_bad_token_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        async with InputReactor(session, [f"d{number}" for number in range(20)], max_connecting=1) as reactor:
            with pytest.raises(AuthenticationError):
                await anext(aiter(reactor))
            await anyio.wait_all_tasks_blocked()
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1


@pytest.mark.requirement("R6.token")
async def test_a_token_that_nobody_has_ends_every_stream_and_the_iteration_says_so() -> None:
    async with raw_server(hold) as server, Session(OAuth2("app"), base_url=server.url) as session:
        async with InputReactor(session, ["a", "b", "c"], backoff=QUICK) as reactor:
            with anyio.fail_after(5), pytest.raises(OAuthError, match="log in"):
                async for _ in reactor:
                    pytest.fail("an event")
            assert {status.state for status in reactor.statuses().values()} == {StreamState.FAILED}
        assert not server.requests


@pytest.mark.requirement("R6.token")
async def test_a_token_that_is_gone_ends_the_streams_that_are_open() -> None:
    auth = OAuth2("app", store=MemoryTokenStore(OAuthToken("token")))
    async with raw_server(script(others=[events(1)])) as server, Session(auth, base_url=server.url) as session:
        async with InputReactor(session, ["a"], backoff=QUICK) as reactor:
            assert len(await take(reactor, 1)) == 1
            await auth.forget()
            reactor.add("b")
            with anyio.fail_after(5), pytest.raises(OAuthError, match="log in"):
                async for _ in reactor:
                    pytest.fail("an event")
