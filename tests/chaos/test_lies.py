"""Whatever a server says, a caller sees a value or one error of ours, and all goes on; on asyncio and trio."""

import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest

from littlebits_async import (
    APIError,
    InputEvent,
    InputReactor,
    Session,
    StreamStalledError,
    StreamState,
)
from tests.chaos.lies import CALL_LIES, HANGS, STREAM_LIES, TRUTH, Lie, Stage, chunk, head, moved
from tests.chaos.lies_witness import QUICK, Witness, devices, failure_of, session_to, take, until_closed
from tests.support.local_cloud import PATIENCE
from tests.support.raw_server import SSE_HEAD, Exchange, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]

FOR_EVER = 1_000_000


@pytest.mark.requirement("R7")
@pytest.mark.parametrize("lie", CALL_LIES, ids=str)
async def test_a_call_that_is_lied_to(lie: Lie) -> None:
    stage = Stage(lie.tells, lies=FOR_EVER)
    async with raw_server(stage) as server:
        async with session_to(server.url, timeout=lie.timeout) as session:
            with anyio.fail_after(PATIENCE):
                if lie.sees is None:
                    assert await devices(session) == TRUTH
                else:
                    assert type(await failure_of(session.devices())) is lie.sees
                stage.lies = 0
                assert await devices(session) == TRUTH
        await until_closed(server.url)


@pytest.mark.requirement("R7", "R8")
@pytest.mark.parametrize("lie", STREAM_LIES, ids=str)
async def test_a_stream_that_is_lied_to(lie: Lie) -> None:
    async def read(session: Session) -> InputEvent:
        return await session.read("liar", timeout=patience)

    async def first(session: Session) -> InputEvent:
        async with session.inputs("liar", stall_after=patience) as events:
            event = await anext(events)
            assert events.skipped == (lie.skips if stage.lies else 0)
            return event

    patience = HANGS if lie.sees is StreamStalledError else PATIENCE
    stage = Stage(lie.tells)
    async with raw_server(stage) as server:
        async with session_to(server.url, timeout=lie.timeout) as session:

            async def check(call: Callable[[Session], Awaitable[InputEvent]]) -> None:
                if lie.sees is None:
                    assert (await call(session)).percent == 7
                else:
                    assert type(await failure_of(call(session))) is lie.sees

            stage.lies = FOR_EVER
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    group.start_soon(check, read)
                    group.start_soon(check, first)
                stage.lies = 0
                assert (await read(session)).percent == 1
                assert (await first(session)).percent == 1
            assert await devices(session) == TRUTH
        await until_closed(server.url)


@pytest.mark.requirement("R3", "R7", "R8")
@pytest.mark.parametrize("lie", [lie for lie in STREAM_LIES if lie.sees is not StreamStalledError], ids=str)
async def test_a_reactor_that_is_lied_to(lie: Lie) -> None:
    stage = Stage(lie.tells, lies=1)
    witness = Witness()
    async with raw_server(stage) as server:
        async with session_to(server.url, timeout=lie.timeout, hooks=witness) as session:
            async with InputReactor(session, ["liar", "honest"], backoff=QUICK, stall_after=None) as reactor:
                status = await witness.until("liar", lie.state)
                if lie.sees is None:
                    await take(reactor, ("liar", 7))
                    assert reactor.device_stats("liar").decode_errors == lie.skips
                else:
                    assert type(status.error) is lie.sees
                stage.more.set()
                if lie.state is StreamState.FAILED:
                    reactor.add("liar")
                if lie.asks_hours:
                    assert status.retry_at is not None
                    assert (status.retry_at - status.since).total_seconds() == pytest.approx(3600)
                if lie.sees is None or lie.asks_hours:
                    await take(reactor, ("honest", 2))
                else:  # the liar comes back, and by itself
                    await take(reactor, ("honest", 2), ("liar", 2))
                assert reactor.device_stats("honest").reconnects == 0
                assert await devices(session) == TRUTH
        await until_closed(server.url)


# What a table cannot show


async def test_a_redirect_takes_the_token_nowhere() -> None:
    async def other(exchange: Exchange) -> None:
        await exchange.answer(200, TRUTH)

    witness = Witness()
    async with raw_server(other) as elsewhere, raw_server(moved(f"{elsewhere.url}/new")) as server:
        async with session_to(server.url, hooks=witness) as session:
            for call in (session.devices(), session.read("liar")):
                with pytest.raises(APIError, match=f"redirected to {elsewhere.url}/new") as caught:
                    await call
                assert caught.value.status == 302
            async with InputReactor(session, ["liar"], backoff=QUICK):
                await witness.until("liar", StreamState.BACKING_OFF)
        await until_closed(server.url)
        assert {request.headers["authorization"] for request in server.requests} == {"Bearer SECRET"}
        assert elsewhere.most_connections == 0


async def test_a_servers_cookies_are_not_kept() -> None:
    async def bake(exchange: Exchange) -> None:
        cookies = {"Set-Cookie": f"c{len(server.requests)}={'x' * 4000}"}
        await exchange.answer(200, TRUTH, headers=cookies)

    async with raw_server(bake) as server, session_to(server.url) as session:
        for _ in range(3):
            await session.devices()
    assert [request.headers.get("cookie") for request in server.requests] == [None, None, None]


async def test_an_answer_that_nobody_asked_for_is_no_answer() -> None:
    async def handler(exchange: Exchange) -> None:
        truth, lie = (head("Content-Length: 16") + b'[{"id": "true"}]', head("Content-Length: 15") + b'[{"id": "lie"}]')
        await exchange.send(truth + lie)

    async with raw_server(handler) as server:
        async with session_to(server.url) as session:
            for _ in range(4):
                assert await devices(session) == TRUTH
        await until_closed(server.url)


async def test_an_answer_before_the_request_is_read_is_an_answer() -> None:
    async def hasty(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(head("Content-Length: 16") + b'[{"id": "true"}]')
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, hasty)
        with anyio.fail_after(PATIENCE):
            async with session_to(url) as session:
                assert await devices(session) == TRUTH
        await until_closed(url)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("start", [b"data:", b":", b"id:", b"x", b"data:\n"], ids=repr)
@pytest.mark.requirement("R2", "R8.large", "R10")
async def test_a_line_that_never_ends_is_one_bad_event_and_takes_no_room(start: bytes) -> None:
    piece = chunk(b"x" * 60_000)
    sent = anyio.Event()

    async def babble(exchange: Exchange) -> None:
        await exchange.send(SSE_HEAD + chunk(start))
        for _ in range(200):  # 12 MB
            await exchange.send(piece)
        sent.set()
        while True:
            await exchange.send(piece)

    stage = Stage(babble, lies=1)
    async with raw_server(stage) as server:
        async with session_to(server.url) as session:
            async with InputReactor(session, ["liar", "honest"], backoff=QUICK) as reactor:
                tracemalloc.start()
                try:
                    with anyio.fail_after(PATIENCE):
                        await sent.wait()
                    _, peak = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
                assert peak < 3 * 2**20
                assert reactor.device_stats("liar").decode_errors == 1
                assert reactor.status("liar").state is StreamState.LIVE
                stage.more.set()
                await take(reactor, ("honest", 2))
                assert await devices(session) == TRUTH
        await until_closed(server.url)
