"""What a user plugs in may fail, be slow or have tasks of its own: neither it nor the session is harmed."""

import asyncio
import math
from collections.abc import AsyncGenerator

import anyio
import httpx
import pytest

from littlebits_async import RateLimitedError, RetryPolicy, Session, TokenBucket, Unlimited
from littlebits_async.budget import Grant, Priority
from tests.support.raw_server import Exchange, RawServer, raw_server

PATIENCE = 10
AT_ONCE = 100
"""Calls that a session lets be on their way at a time."""


def session_to(server: RawServer, budget: Unlimited | TokenBucket, auth: str | httpx.Auth = "token") -> Session:
    return Session(auth, base_url=server.url, budget=budget, retry=RetryPolicy(attempts=1), trust_env=False)


class Failing(Unlimited):
    async def penalize(self, seconds: float) -> None:
        raise ConnectionError("no way to the others")


class Slow(Unlimited):
    def __init__(self) -> None:
        super().__init__()
        self.scope = anyio.CancelScope()

    async def penalize(self, seconds: float) -> None:
        self.scope.cancel()  # whoever calls gives up just then
        await anyio.sleep(math.inf)


async def ping_or_refuse(exchange: Exchange) -> None:
    if exchange.request.path.endswith("/ping"):
        await exchange.answer(200, {})
    else:
        await exchange.answer(429, {"message": "no"})


@pytest.mark.anyio
async def test_a_budget_that_fails_to_hold_costs_no_connection() -> None:
    async with raw_server(ping_or_refuse) as server, session_to(server, Failing()) as session:
        with anyio.fail_after(PATIENCE):
            for _ in range(AT_ONCE + 1):
                with pytest.raises(ConnectionError):
                    await session.devices()
            await session.ping()
        await server.until_connections(1)


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_while_the_budget_is_told_of_a_429_costs_no_connection() -> None:
    budget = Slow()
    async with raw_server(ping_or_refuse) as server, session_to(server, budget) as session:
        with anyio.fail_after(PATIENCE):
            for _ in range(AT_ONCE + 1):
                with anyio.CancelScope() as budget.scope:
                    await session.devices()
                assert budget.scope.cancelled_caught
            await session.ping()
        await server.until_connections(1)


@pytest.mark.anyio
async def test_a_try_that_is_held_back_in_the_middle_counts_what_was_sent() -> None:
    budget = TokenBucket()

    class Challenged(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
            response = yield request
            assert response.status_code == 401
            await budget.penalize(5)  # as if another request had met a 429 meanwhile
            yield request

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(401, {})

    async with raw_server(handler) as server, session_to(server, budget, Challenged()) as session:
        with pytest.raises(RateLimitedError, match="was not sent") as caught:
            await session.ping()
    assert len(server.requests) == 1
    assert budget.available == 1799
    assert caught.value.retry_after == pytest.approx(5, abs=1)


class Elsewhere(Unlimited):
    """Asks a task of its own, which lives on when it fails: what it raises comes out in another task."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Queue[asyncio.Future[Grant]] = asyncio.Queue()

    async def work(self) -> None:
        while True:
            future = await self.asked.get()
            try:
                raise ConnectionError("no way to the others")  # noqa: TRY301 - as a library under it would
            except ConnectionError as exc:
                future.set_exception(exc)

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait(future)
        return await future


@pytest.mark.asyncio
async def test_a_task_that_an_error_comes_from_goes_on() -> None:
    budget = Elsewhere()
    worker = asyncio.create_task(budget.work())
    async with Session("token", base_url="http://127.0.0.1:1", budget=budget) as session:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(PATIENCE):
                    await session.subscriptions()
    assert not worker.done()
    worker.cancel()
