"""OutputQueue over real sockets, against a scripted server; on asyncio and trio."""

import json
import logging
from collections.abc import Awaitable, Callable, Generator

import anyio
import httpx
import pytest

from littlebits_async import (
    AuthenticationError,
    Backoff,
    BudgetExhaustedError,
    Grant,
    InvalidArgumentError,
    NotFoundError,
    OAuth2,
    OAuthError,
    OutputQueue,
    Priority,
    RetryPolicy,
    ServiceUnavailableError,
    Session,
    SessionClosedError,
    TokenBucket,
    TransportError,
    Unlimited,
)
from tests.support.raw_server import Exchange, RawServer, raw_server

pytestmark = pytest.mark.anyio


def session_for(server: RawServer, **options: object) -> Session:
    retry = RetryPolicy(backoff=Backoff(base=0.001, cap=0.001))
    return Session("token", base_url=server.url, retry=retry, **{"budget": Unlimited(), **options})  # type: ignore[arg-type]  # per test


def written(server: RawServer) -> list[tuple[str, float]]:
    """Return device and percent of each output that reached the server."""
    return [(request.path.split("/")[3], json.loads(request.body)["percent"]) for request in server.requests]


async def accept(exchange: Exchange) -> None:
    await exchange.answer(200, {"success": True})


def refuse(status: int, *, times: int = 1000, device: str = "") -> Callable[[Exchange], Awaitable[None]]:
    left = times

    async def handler(exchange: Exchange) -> None:
        nonlocal left
        if left and device in exchange.request.path:
            left -= 1
            await exchange.answer(status, {"statusCode": status, "error": "No", "message": "no"})
        else:
            await accept(exchange)

    return handler


def put_off(seconds: int, *, device: str = "") -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        if device in exchange.request.path:
            await exchange.answer(503, {}, headers={"Retry-After": str(seconds)})
        else:
            await accept(exchange)

    return handler


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody
            await anyio.sleep(0.001)


class FakeBudget(Unlimited):
    """Does something before each grant; counts who asked."""

    def __init__(self, before: Callable[[int], Awaitable[None]]) -> None:
        super().__init__()
        self.asked = 0
        self._before = before

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        self.asked += 1
        await self._before(self.asked)
        return await super().acquire(priority=priority, label=label, max_wait=max_wait)


def raises_first(error: Exception) -> FakeBudget:
    async def before(asked: int) -> None:
        if asked == 1:
            raise error

    return FakeBudget(before)


class NoTokenFile(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        raise KeyError(request.url.path)


async def test_outputs_are_written_in_the_background() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            out.set("a", 10)
            out.set("b", 20)
            out.pulse("c", 30, duration_ms=0)
            with anyio.fail_after(5):
                await out.flush()
            assert out.pending == 0
            assert sorted(written(server)) == [("a", 10), ("b", 20), ("c", 30)]
            durations = {request.path.split("/")[3]: json.loads(request.body) for request in server.requests}
            assert durations["a"]["duration_ms"] == -1
            assert durations["c"]["duration_ms"] == 0
        assert list(out.dropped) == []


async def test_the_last_value_wins_while_the_budget_is_short() -> None:
    budget = TokenBucket(limit=1, period=0.1, margin=0.0, reserve=0.0)
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        async with OutputQueue(session) as out:
            out.set("a", 1)
            with anyio.fail_after(5):
                await out.flush()
                for percent in range(2, 50):
                    out.set("a", percent)
                out.set("b", 7)
                await out.flush()
    assert written(server) == [("a", 1), ("a", 49), ("b", 7)]


async def test_pulses_of_a_device_are_all_sent_in_order() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            for percent in (10, 20, 30):
                out.pulse("a", percent, duration_ms=1, pause_ms=1)
    assert written(server) == [("a", 10), ("a", 20), ("a", 30)]


async def test_leaving_sends_what_is_left_and_says_what_it_could_not(caplog: pytest.LogCaptureFixture) -> None:
    budget = TokenBucket(limit=1, margin=0.0)
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        async with OutputQueue(session, flush_within=0.1) as out:
            out.set("a", 1)
            out.set("b", 2)
    assert written(server) == [("a", 1)]
    assert list(out.dropped) == [("b", 2)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_an_error_in_the_body_drops_what_is_left_and_comes_out_as_itself() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        out = OutputQueue(session)
        with pytest.raises(ZeroDivisionError):
            async with out:
                out.set("a", 1)
                raise ZeroDivisionError
    assert list(out.dropped) == [("a", 1)]
    assert server.requests == []


async def test_cancellation_drops_what_is_left() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        out = OutputQueue(session)
        with anyio.CancelScope() as scope:
            async with out:
                out.set("a", 1)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert list(out.dropped) == [("a", 1)]
    assert server.requests == []


async def test_a_refused_device_is_told_and_does_not_stop_the_others() -> None:
    async with raw_server(refuse(404, device="/gone/")) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            out.set("gone", 1)
            out.set("a", 2)
            with anyio.fail_after(5):
                await out.flush()
            assert isinstance(out.errors["gone"], NotFoundError)
            assert list(out.errors) == ["gone"]


async def test_a_value_is_tried_again_and_a_pulse_that_may_have_been_sent_is_not() -> None:
    async with raw_server(refuse(503, times=2)) as server, session_for(server) as session:
        async with OutputQueue(session, at_a_time=1) as out:
            out.set("a", 1)
            with anyio.fail_after(5):
                await out.flush()
            assert written(server) == [("a", 1)] * 3
            assert dict(out.errors) == {}
    async with raw_server(refuse(503)) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            out.pulse("a", 1)
            with anyio.fail_after(5):
                await out.flush()
            assert written(server) == [("a", 1)]
            assert "a" in out.errors


async def test_a_value_is_given_up_after_so_many_tries_and_its_error_forgotten_with_the_next_success() -> None:
    async with raw_server(refuse(503, times=3)) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            out.set("a", 1)
            with anyio.fail_after(5):
                await out.flush()
                assert isinstance(out.errors["a"], ServiceUnavailableError)
                assert written(server) == [("a", 1)] * 3
                out.set("a", 2)
                await out.flush()
            assert dict(out.errors) == {}


async def test_a_refused_token_ends_it() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        with pytest.raises(AuthenticationError):
            async with OutputQueue(session) as out:
                out.set("a", 1)
                with anyio.fail_after(5), pytest.raises(AuthenticationError):
                    await out.flush()
                with pytest.raises(AuthenticationError):
                    out.set("a", 2)


async def test_a_token_that_nobody_has_ends_it() -> None:
    async with raw_server(accept) as server, Session(OAuth2("app"), base_url=server.url) as session:
        with pytest.raises(OAuthError):
            async with OutputQueue(session) as out:
                out.set("a", 1)
                with anyio.fail_after(5), pytest.raises(OAuthError):
                    await out.flush()
                with pytest.raises(OAuthError):
                    out.set("a", 2)
    assert not server.requests


async def test_a_refused_token_drops_what_waits_at_once() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        out = OutputQueue(session, at_a_time=1)
        with pytest.raises(AuthenticationError):
            async with out:
                out.set("a", 1)
                out.set("b", 2)
                out.set("c", 3)
                with anyio.fail_after(5), pytest.raises(AuthenticationError):
                    await out.flush()
                assert list(out.errors) == ["a"]
                assert list(out.dropped) == [("b", 2), ("c", 3)]
                assert out.pending == 0
        assert list(out.dropped) == [("b", 2), ("c", 3)]
    assert written(server) == [("a", 1)]


async def test_a_grant_that_is_not_used_since_the_token_was_refused_is_given_back() -> None:
    asked_twice = anyio.Event()

    async def before(asked: int) -> None:
        if asked == 2:
            asked_twice.set()
            with anyio.CancelScope(shield=True):  # grants late, whoever cancels
                await until(lambda: "a" in out.errors)

    async def handler(exchange: Exchange) -> None:
        await asked_twice.wait()
        await exchange.answer(401, {})

    budget = FakeBudget(before)
    async with raw_server(handler) as server, session_for(server, budget=budget) as session:
        out = OutputQueue(session)
        with pytest.raises(AuthenticationError):
            async with out:
                out.set("a", 1)
                out.set("b", 2)
                await until(lambda: out.pending == 0)
        assert list(out.dropped) == [("b", 2)]
    assert budget.asked == 2
    assert dict((await budget.report()).spent) == {(Priority.COMMAND, "output"): 1}


async def test_a_grant_that_comes_when_the_block_is_being_left_is_given_back() -> None:
    scope = anyio.CancelScope()

    async def before(asked: int) -> None:
        del asked
        scope.cancel()

    budget = FakeBudget(before)
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        out = OutputQueue(session)
        with scope:
            async with out:
                out.set("a", 1)
                await anyio.sleep_forever()
        assert list(out.dropped) == [("a", 1)]
    assert budget.asked == 1
    assert dict((await budget.report()).spent) == {}
    assert server.requests == []


async def test_a_foreign_error_of_a_request_comes_out_as_itself() -> None:
    async with raw_server(accept) as server, Session(NoTokenFile(), base_url=server.url) as session:
        out = OutputQueue(session)
        with pytest.raises(KeyError):
            async with out:
                out.set("a", 1)
                out.set("b", 2)
                with anyio.fail_after(5), pytest.raises(KeyError):
                    await out.flush()
                with pytest.raises(KeyError):
                    out.set("c", 3)
        assert sorted(out.dropped) == [("a", 1), ("b", 2)]
        assert out.pending == 0


async def test_a_foreign_error_of_the_budget_comes_out_as_itself() -> None:
    budget = raises_first(ZeroDivisionError())
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        out = OutputQueue(session)
        with pytest.raises(ZeroDivisionError):
            async with out:
                out.set("a", 1)
        assert list(out.dropped) == [("a", 1)]


async def test_a_foreign_error_while_the_block_is_being_left_comes_out_as_itself() -> None:
    async def before(asked: int) -> None:
        del asked
        try:
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError

    async with raw_server(accept) as server, session_for(server, budget=FakeBudget(before)) as session:
        with anyio.fail_after(5), pytest.raises(ZeroDivisionError):
            async with OutputQueue(session, flush_within=0.05) as out:
                out.set("a", 1)


async def test_an_output_that_the_budget_refuses_is_told_and_does_not_stop_the_others() -> None:
    budget = raises_first(BudgetExhaustedError("no more", wait=1.0))
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        async with OutputQueue(session, at_a_time=1) as out:
            out.set("a", 1)
            with anyio.fail_after(5):
                await out.flush()
                assert isinstance(out.errors["a"], BudgetExhaustedError)
                out.set("b", 2)
                await out.flush()
            assert list(out.errors) == ["a"]
    assert written(server) == [("b", 2)]


async def test_an_output_is_tried_again_where_the_budget_failed_in_passing() -> None:
    budget = raises_first(TransportError("redis is away", phase="connect"))
    async with raw_server(accept) as server, session_for(server, budget=budget) as session:
        async with OutputQueue(session) as out:
            out.pulse("a", 1)
            with anyio.fail_after(5):
                await out.flush()
            assert dict(out.errors) == {}
    assert written(server) == [("a", 1)]


async def test_an_output_that_waits_to_be_tried_again_is_pending_and_then_dropped() -> None:
    async with raw_server(put_off(60)) as server, session_for(server) as session:
        async with OutputQueue(session, flush_within=0.2) as out:
            out.set("a", 42)
            await until(lambda: len(server.requests) == 1)
            assert out.pending == 1
        assert list(out.dropped) == [("a", 42)]
        assert dict(out.errors) == {}
        assert out.pending == 0
    assert len(server.requests) == 1


async def test_an_output_that_is_on_its_way_when_the_block_is_left_is_dropped() -> None:
    async with raw_server(Exchange.until_closed) as server, session_for(server) as session:
        async with OutputQueue(session, flush_within=0.05) as out:
            out.set("a", 1)
            await until(lambda: len(server.requests) == 1)
            out.pulse("a", 2)
        assert list(out.dropped) == [("a", 1), ("a", 2)]
        assert out.pending == 0


async def test_devices_that_wait_to_be_tried_again_hold_up_no_other() -> None:
    async with raw_server(put_off(60, device="/bad")) as server, session_for(server) as session:
        async with OutputQueue(session, flush_within=0, at_a_time=2) as out:
            for number in range(4):
                out.set(f"bad{number}", 1)
            out.set("good", 2)
            await until(lambda: ("good", 2) in written(server) and out.pending == 4)
    assert len(server.requests) == 5


async def test_an_output_is_given_up_where_the_server_asks_for_too_long_a_wait() -> None:
    async with raw_server(put_off(61)) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            out.set("a", 1)
            with anyio.fail_after(5):
                await out.flush()
            assert isinstance(out.errors["a"], ServiceUnavailableError)
        assert list(out.dropped) == []
    assert len(server.requests) == 1


async def test_any_number_of_tasks_may_flush() -> None:
    answered = anyio.Event()

    async def handler(exchange: Exchange) -> None:
        if "/slow/" in exchange.request.path:
            await answered.wait()
        await accept(exchange)

    async with raw_server(handler) as server, session_for(server) as session, OutputQueue(session) as out:
        out.set("a", 1)
        with anyio.fail_after(5):
            await out.flush()
            out.set("slow", 1)
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(out.flush)
                    await anyio.wait_all_tasks_blocked()  # never, were one to look again and again
                answered.set()
        assert out.pending == 0


async def test_a_flush_that_another_task_leaves_unfinished_says_so() -> None:
    flushing = anyio.Event()

    async def flush(out: OutputQueue) -> None:
        flushing.set()
        with pytest.raises(SessionClosedError, match="left"):
            await out.flush()

    async with raw_server(Exchange.until_closed) as server, session_for(server) as session:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                async with OutputQueue(session, flush_within=0) as out:
                    out.set("a", 1)
                    group.start_soon(flush, out)
                    await flushing.wait()


async def test_an_error_in_the_body_comes_out_though_the_surrounding_scope_is_cancelled() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        out = OutputQueue(session)
        with pytest.raises(ZeroDivisionError) as caught:
            with anyio.CancelScope() as scope:
                async with out:
                    out.set("a", 1)
                    scope.cancel()
                    raise ZeroDivisionError
        assert caught.value.__context__ is None
        assert list(out.dropped) == [("a", 1)]


async def test_an_error_in_the_body_comes_before_that_of_the_writing() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        with pytest.raises(ZeroDivisionError):
            async with OutputQueue(session) as out:
                out.set("a", 1)
                await until(lambda: out.pending == 0)
                raise ZeroDivisionError


async def test_leaving_in_a_cancelled_scope_goes_no_further() -> None:
    went_on: list[bool] = []
    async with Session("token") as session:
        with anyio.CancelScope() as scope:
            async with OutputQueue(session):
                scope.cancel()
            went_on.append(True)
    assert went_on == []


async def test_what_no_request_could_carry_is_refused_at_once() -> None:
    async with raw_server(accept) as server, session_for(server) as session:
        async with OutputQueue(session) as out:
            for device_id, percent in (("a", 101), ("", 1)):
                with pytest.raises(InvalidArgumentError):
                    out.set(device_id, percent)
            for duration_ms, pause_ms in ((-1, 0), (32_001, 0), (1, -1)):
                with pytest.raises(InvalidArgumentError):
                    out.pulse("a", 1, duration_ms=duration_ms, pause_ms=pause_ms)
        with pytest.raises(InvalidArgumentError):
            OutputQueue(session, flush_within=-1.0)
        with pytest.raises(InvalidArgumentError):
            OutputQueue(session, at_a_time=0)
    assert server.requests == []


async def test_it_is_used_inside_its_block() -> None:
    async with Session("token") as session:
        out = OutputQueue(session)
        with pytest.raises(SessionClosedError, match="async with"):
            out.set("a", 1)
        async with out:
            with pytest.raises(SessionClosedError):
                await out.__aenter__()
        with pytest.raises(SessionClosedError):
            out.set("a", 1)
