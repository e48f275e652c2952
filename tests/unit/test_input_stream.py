"""One input stream and its user: own timeouts, second entries, ends; on asyncio and trio."""

import asyncio

import anyio
import pytest

from littlebits_async import Session, StreamClosedError, StreamStalledError
from tests.support.raw_server import Exchange, RawServer, event_bytes, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]

BIT = "00e040000001"


def session_for(server: RawServer) -> Session:
    return Session("token", base_url=server.url, trust_env=False)


async def one_event(exchange: Exchange) -> None:
    await exchange.open_stream()
    await exchange.event(1, 1)
    await exchange.until_closed()


async def test_a_timeout_of_the_users_own_loses_nothing() -> None:
    given_up = anyio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event(1, 1)
        await given_up.wait()
        await exchange.event(2, 2)
        await exchange.event(3, 3)
        await exchange.end_stream()

    async with raw_server(handler) as server, session_for(server) as session:
        async with session.inputs(BIT) as events:
            assert (await anext(events)).percent == 1
            for _ in range(3):
                with anyio.move_on_after(0.02) as scope:
                    await anext(events)
                assert scope.cancelled_caught
            given_up.set()
            assert [(await anext(events)).percent for _ in range(2)] == [2, 3]
            for _ in range(2):
                with pytest.raises(StreamClosedError, match="the server ended the stream"):
                    await anext(events)
        await server.until_connections(0)


async def test_timeouts_of_the_users_own_do_not_hide_a_stall() -> None:
    async with raw_server(one_event) as server, session_for(server) as session:
        async with session.inputs(BIT, stall_after=0.1) as events:
            await anext(events)
            with anyio.fail_after(5), pytest.raises(StreamStalledError):
                while True:
                    with anyio.move_on_after(0.02):
                        await anext(events)
        await server.until_connections(0)


async def test_a_slow_consumer_is_no_stall() -> None:
    go_on = anyio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event(1, 1)
        await go_on.wait()
        await exchange.event(2, 2)
        await exchange.until_closed()

    async with raw_server(handler) as server, session_for(server) as session:
        async with session.inputs(BIT, stall_after=0.2) as events:
            assert (await anext(events)).percent == 1
            await anyio.sleep(0.3)
            go_on.set()
            assert (await anext(events)).percent == 2


async def test_what_is_not_taken_is_not_read() -> None:
    sent = 0

    async def handler(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.open_stream()
        while True:
            await exchange.chunk(event_bytes(1, sent) + b":" + b"x" * 50_000 + b"\n\n")
            sent += 1

    async with raw_server(handler) as server, session_for(server) as session:
        async with session.inputs(BIT) as events:
            assert (await anext(events)).timestamp_ms == 0
            last, same = -1, 0
            while same < 20:  # until the sockets are full
                await anyio.sleep(0.01)
                last, same = sent, same + 1 if sent == last else 0
            await anyio.sleep(0.05)
            assert sent == last
            assert [(await anext(events)).timestamp_ms for _ in range(3)] == [1, 2, 3]


async def test_a_stream_can_be_entered_once() -> None:
    async with raw_server(one_event) as server, session_for(server) as session:
        stream = session.inputs(BIT)
        async with stream as events:
            with pytest.raises(StreamClosedError, match="once"):
                async with stream:
                    pytest.fail("entered")
            assert (await anext(events)).percent == 1
        await server.until_connections(0)
        with pytest.raises(StreamClosedError, match="once"):
            await stream.__aenter__()
    assert len(server.requests) == 1


@pytest.mark.requirement("R7.error")
async def test_an_error_of_the_block_comes_as_it_is_also_when_cancelled() -> None:
    async with raw_server(one_event) as server, session_for(server) as session:
        with pytest.raises(ValueError, match="of the block"):
            async with session.inputs(BIT):
                raise ValueError("of the block")
        with pytest.raises(ValueError, match="of the block"):
            with anyio.move_on_after(0.05):
                async with session.inputs(BIT):
                    try:
                        await anyio.sleep_forever()
                    finally:
                        raise ValueError("of the block")
        await server.until_connections(0)


@pytest.mark.requirement("R7.error")
async def test_a_break_in_the_connection_is_an_error_and_no_group() -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.send(b"zz\r\n")
        await exchange.until_closed()

    async with raw_server(handler) as server, session_for(server) as session:
        with pytest.raises(Exception, match="the stream broke") as caught:
            async with session.inputs(BIT) as events:
                await anext(events)
        assert type(caught.value).__name__ == "StreamError"
        await server.until_connections(0)


async def test_closing_from_the_block_ends_the_iteration() -> None:
    async with raw_server(one_event) as server, session_for(server) as session:
        async with session.inputs(BIT) as events:
            await events.aclose()
            await server.until_connections(0)
            assert [event async for event in events] == []


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("waits", ["in anext", "in the block"])
async def test_native_cancellation_closes_the_stream(waits: str) -> None:
    inside = anyio.Event()

    async def use(session: Session) -> None:
        async with session.inputs(BIT) as events:
            await anext(events)
            inside.set()
            await (anext(events) if waits == "in anext" else asyncio.sleep(60))

    async with raw_server(one_event) as server, session_for(server) as session:
        task = asyncio.ensure_future(use(session))
        await inside.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.until_connections(0)
