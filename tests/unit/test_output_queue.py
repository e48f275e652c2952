"""OutputQueue over real sockets, against a scripted server; on asyncio and trio."""

import json
import logging
from collections.abc import Awaitable, Callable

import anyio
import pytest

from littlebits_async import (
    AuthenticationError,
    Backoff,
    InvalidArgumentError,
    NotFoundError,
    OutputQueue,
    RetryPolicy,
    Session,
    SessionClosedError,
    TokenBucket,
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


async def test_a_refused_token_ends_it() -> None:
    async with raw_server(refuse(401)) as server, session_for(server) as session:
        with pytest.raises(AuthenticationError):
            async with OutputQueue(session) as out:
                out.set("a", 1)
                with anyio.fail_after(5), pytest.raises(AuthenticationError):
                    await out.flush()
                with pytest.raises(AuthenticationError):
                    out.set("a", 2)


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
