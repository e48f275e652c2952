"""How a stream's connection is opened: in time, over TLS, past whoever stands in the way."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpcore
import httpx
import pytest

from littlebits_async import (
    InputReactor,
    RateLimitedError,
    RequestTimeoutError,
    RetryPolicy,
    Session,
    TokenBucket,
    TransportError,
    Unlimited,
)
from tests.support.certificate import Certificate, make_certificate
from tests.support.raw_server import SSE_HEAD, Exchange, event_bytes, raw_server

BIT = "00e040000001"
OTHER = "00e040000002"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


# Time


async def say_nothing(exchange: Exchange) -> None:
    await exchange.until_closed()


@pytest.mark.anyio
@pytest.mark.both_feeds
@pytest.mark.parametrize(
    "limits",
    [
        0.1,
        httpx.Timeout(0.1),
        httpx.Timeout(0.1, pool=None),
        httpx.Timeout(0.1, connect=None),
        httpx.Timeout(None, read=0.1),
    ],
    ids=str,
)
async def test_an_opening_ends_in_time_whichever_limits_are_named(limits: float | httpx.Timeout) -> None:
    async with raw_server(say_nothing) as server:
        async with Session("token", base_url=server.url, trust_env=False, timeout=limits, retry=ONCE) as session:
            with anyio.fail_after(20), pytest.raises(RequestTimeoutError):
                async with session.inputs(BIT):
                    pass


@pytest.mark.anyio
@pytest.mark.both_feeds
@pytest.mark.requirement("R3", "R10")
async def test_a_device_that_never_answers_leaves_its_turn_to_others() -> None:
    async def answer(exchange: Exchange) -> None:
        if OTHER in exchange.request.target:
            await exchange.open_stream()
            await exchange.event(7, 1)
        await exchange.until_closed()

    limits = httpx.Timeout(0.1, pool=None)
    async with (
        raw_server(answer) as server,
        Session("token", base_url=server.url, trust_env=False, timeout=limits) as session,
    ):
        with anyio.fail_after(20):
            async with InputReactor(session, [BIT, OTHER], max_connecting=1) as reactor:
                assert (await anext(aiter(reactor))).device_id == OTHER


@pytest.mark.anyio
@pytest.mark.both_feeds
async def test_the_limit_of_a_read_is_none_of_an_open_stream() -> None:
    go_on = anyio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event(1, 1)
        await go_on.wait()
        await exchange.event(2, 2)

    limits = httpx.Timeout(5, read=0.1)
    async with (
        raw_server(answer) as server,
        Session("token", base_url=server.url, trust_env=False, timeout=limits) as session,
    ):
        with anyio.fail_after(20):
            async with session.inputs(BIT) as inputs:
                assert (await anext(inputs)).percent == 1
                with anyio.move_on_after(0.3):
                    await anext(inputs)  # would fail
                go_on.set()
                assert (await anext(inputs)).percent == 2


@pytest.mark.anyio
async def test_a_transport_of_ones_own_is_told_the_limits() -> None:
    told: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        told.append(dict(request.extensions["timeout"]))
        return httpx.Response(200, json=[])

    async with Session(
        "token", base_url="http://cloud.example", timeout=3, transport=httpx.MockTransport(answer)
    ) as session:
        await session.devices()
    assert told == [{"connect": 3, "read": 3, "write": 3, "pool": 3}]


# The context


@pytest.mark.asyncio
async def test_an_authentication_may_run_another_event_loop_in_a_thread() -> None:
    class Fetching(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
            request.headers["Authorization"] = f"Bearer {await asyncio.to_thread(anyio.run, self.fetch)}"
            yield request

        async def fetch(self) -> str:
            await anyio.lowlevel.checkpoint()
            return "fetched"

    async def answer(exchange: Exchange) -> None:
        assert exchange.request.headers["authorization"] == "Bearer fetched"
        if exchange.request.target.endswith("input"):
            await exchange.open_stream()
            await exchange.event(5, 5)
            await exchange.until_closed()
        else:
            await exchange.answer(200, [])

    async with raw_server(answer) as server, Session(Fetching(), base_url=server.url, trust_env=False) as session:
        async with asyncio.timeout(20):
            assert await session.devices() == []
            assert (await session.read(BIT)).percent == 5


@pytest.mark.asyncio
async def test_a_budget_may_run_another_event_loop_in_a_thread() -> None:
    held: list[float] = []

    class Elsewhere(TokenBucket):
        async def penalize(self, seconds: float) -> None:
            await asyncio.to_thread(anyio.run, self.hold, seconds)

        async def hold(self, seconds: float) -> None:
            await anyio.lowlevel.checkpoint()
            held.append(seconds)

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(429, headers={"Retry-After": "7"})

    budget = Elsewhere()
    async with raw_server(refuse) as server:
        async with Session("token", base_url=server.url, trust_env=False, budget=budget, retry=ONCE) as session:
            async with asyncio.timeout(20):
                with pytest.raises(RateLimitedError):
                    await session.devices()
    assert held == [7]


@pytest.mark.anyio
@pytest.mark.both_feeds
async def test_who_takes_events_may_run_another_event_loop_in_a_thread() -> None:
    async def nothing() -> str:
        await anyio.lowlevel.checkpoint()
        return "ran"

    async def answer(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.event(5, 5)
        await exchange.until_closed()

    async with raw_server(answer) as server, Session("token", base_url=server.url, trust_env=False) as session:
        with anyio.fail_after(20):
            async with session.inputs(BIT) as inputs:
                async for _ in inputs:
                    assert await anyio.to_thread.run_sync(anyio.run, nothing) == "ran"
                    break


# Who stands in the way

Handle = Callable[..., Awaitable[Any]]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "place",
    [httpx.AsyncHTTPTransport, httpcore.AsyncConnectionPool, httpcore.AsyncHTTPConnection],
    ids=lambda it: it.__name__,
)
async def test_who_watches_requests_sees_streams_as_well_as_calls(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    handle: Handle = place.handle_async_request

    async def watch(self: object, request: Any) -> object:
        target = request.url.raw_path if isinstance(request, httpx.Request) else request.url.target
        seen.append(target.rpartition(b"/")[2])
        return await handle(self, request)

    async def answer(exchange: Exchange) -> None:
        if exchange.request.target.endswith("input"):
            await exchange.open_stream()
            await exchange.event(5, 5)
            await exchange.until_closed()
        else:
            await exchange.answer(200, [])

    async with raw_server(answer) as server, Session("token", base_url=server.url, trust_env=False) as session:
        with monkeypatch.context() as patch, anyio.fail_after(20):
            patch.setattr(place, "handle_async_request", watch)
            await session.devices()
            await session.read(BIT)
        assert seen == [b"devices", b"input"]
        await session.read(BIT)  # and nobody any more
        assert seen == [b"devices", b"input"]


# TLS


@pytest.mark.anyio
@pytest.mark.both_feeds
async def test_settings_that_no_client_can_have_cost_no_socket() -> None:
    closed = anyio.Event()

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            closed.set()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = listener.extra(anyio.abc.SocketAttribute.local_port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with anyio.fail_after(20):
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            url = f"https://127.0.0.1:{port}"
            async with Session("token", base_url=url, trust_env=False, ssl_context=context, retry=ONCE) as session:
                with pytest.raises(TransportError, match="Cannot create a client socket"):
                    async with session.inputs(BIT):
                        pass
                await closed.wait()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def secure_server(
    certificate: Certificate, seen: list[tuple[str | None, str | None]]
) -> AsyncGenerator[str, None]:
    """Give a stream to whoever asks, and note the name and the protocol that were agreed on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append((names.pop(), writer.get_extra_info("ssl_object").selected_alpn_protocol()))
        event = event_bytes(5, 5)
        writer.write(SSE_HEAD + b"%x\r\n%s\r\n" % (len(event), event))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"


@pytest.mark.asyncio
async def test_a_stream_is_offered_http_1_only_whatever_the_settings_say(certificate: Certificate) -> None:
    seen: list[tuple[str | None, str | None]] = []
    context = certificate.trusted
    context.set_alpn_protocols(["h2", "http/1.1"])  # as the pool does where calls may speak HTTP/2
    async with asyncio.timeout(20), secure_server(certificate, seen) as url:
        async with Session("token", base_url=url, trust_env=False, ssl_context=context, budget=Unlimited()) as session:
            assert (await session.read(BIT)).percent == 5
    assert seen == [("localhost", "http/1.1")]


@pytest.mark.asyncio
async def test_an_authentication_may_name_another_server_to_tls(certificate: Certificate) -> None:
    class Naming(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
            request.extensions["sni_hostname"] = "localhost"
            yield request

    seen: list[tuple[str | None, str | None]] = []
    async with asyncio.timeout(20), secure_server(certificate, seen) as url:
        address = url.replace("localhost", "127.0.0.1")
        async with Session(Naming(), base_url=address, trust_env=False, ssl_context=certificate.trusted) as session:
            assert (await session.read(BIT)).percent == 5
    assert seen == [("localhost", "http/1.1")]
