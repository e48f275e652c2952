"""What can go wrong at the edges of the push feed: before a connection is there, as it is taken over, as it ends.

asyncio only where it is about the push feed itself.
"""

import asyncio
import gc
import socket
import ssl
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import anyio
import httpcore
import httpx
import pytest

from littlebits_async import (
    InputReactor,
    NotFoundError,
    RetryPolicy,
    Session,
    StreamClosedError,
    StreamError,
    StreamState,
    TransportError,
    Unlimited,
)
from littlebits_async._iteration import Iteration  # pyright: ignore[reportPrivateUsage]
from littlebits_async.reactor._link import Link
from littlebits_async.transport._connection import Connection, Shared
from littlebits_async.transport._network import Network
from tests.support.certificate import Certificate, make_certificate
from tests.support.raw_server import SSE_HEAD, Exchange, event_bytes, raw_server
from tests.unit.test_reactor import QUICK, events, script, session_for, take

BIT = "00e040000001"
ONE = ("127.0.0.1",)
TWO = ("127.0.0.1", "127.0.0.2")
READ = 64 * 1024


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def nothing_reaches_the_loops_handler() -> Generator[None, None, None]:
    """asyncio only logs what a protocol raises; here that is an error."""
    caught: list[dict[str, Any]] = []

    def note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        caught.append(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "call_exception_handler", note)
        yield
    assert caught == []


def once(url: str, context: ssl.SSLContext | None = None) -> Session:
    """Return a session that tries each call once."""
    return Session(
        "token",
        base_url=url,
        trust_env=False,
        ssl_context=context,
        budget=Unlimited(),
        retry=RetryPolicy(attempts=1, backoff=QUICK),
    )


# Before the connection is there


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def port_of(serve: Serve) -> AsyncGenerator[int, None]:
    async with asyncio.timeout(20), await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def resolve_localhost(patch: pytest.MonkeyPatch, addresses: Sequence[str]) -> None:
    loop = asyncio.get_running_loop()
    as_ever = loop.getaddrinfo

    async def getaddrinfo(host: str | None, port: int, **options: Any) -> Sequence[object]:
        if host != "localhost":
            return await as_ever(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    patch.setattr(loop, "getaddrinfo", getaddrinfo)


def linger_after_connecting(patch: pytest.MonkeyPatch, until: Callable[[asyncio.Transport], Awaitable[object]]) -> None:
    """Have whoever connects go on only later, as in a busy loop."""
    loop = asyncio.get_running_loop()
    as_ever = loop.create_connection

    async def create_connection(*args: Any, **options: Any) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        transport, protocol = cast("tuple[asyncio.Transport, asyncio.BaseProtocol]", await as_ever(*args, **options))
        await until(transport)
        return transport, protocol

    patch.setattr(loop, "create_connection", create_connection)


async def until_gone(transport: asyncio.Transport) -> None:
    while transport.get_extra_info("socket").fileno() != -1:  # noqa: ASYNC110 - the event loop tells only the connection
        await asyncio.sleep(0)


async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@pytest.mark.asyncio
@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize("addresses", [ONE, TWO], ids=["one address", "two addresses"])
@pytest.mark.parametrize("pushed", [True, False], ids=["pushed", "pulled"])
async def test_what_is_said_before_the_handshake_is_never_taken_for_the_servers_answer(
    turns: int,
    addresses: Sequence[str],
    pushed: bool,  # noqa: FBT001
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forged = event_bytes(66, 1)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.both)
    spoke = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + b"%x\r\n%s\r\n" % (len(forged), forged))
        await writer.drain()
        spoke.set()
        with suppress(OSError):  # also of TLS
            await writer.start_tls(context)
            await reader.read()
        writer.close()

    async def until_it_spoke(_transport: asyncio.Transport) -> None:
        if turns:
            await spoke.wait()
        for _ in range(turns):
            await asyncio.sleep(0)

    if not pushed:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    resolve_localhost(monkeypatch, addresses)
    linger_after_connecting(monkeypatch, until_it_spoke)
    async with port_of(serve) as port, once(f"https://localhost:{port}", certificate.trusted) as session:
        for _ in range(3):
            with pytest.raises(TransportError, match=r"ConnectError: .*SSL: WRONG_VERSION_NUMBER") as caught:
                await session.read(BIT)
            assert caught.value.phase == "connect"
            spoke.clear()


@pytest.mark.asyncio
@pytest.mark.parametrize("gone_first", [True, False])
@pytest.mark.parametrize("addresses", [ONE, TWO], ids=["one address", "two addresses"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_hangs_up_at_once_is_a_transport_error(
    gone_first: bool,  # noqa: FBT001
    addresses: Sequence[str],
    scheme: str,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_localhost(monkeypatch, addresses)
    if gone_first:
        linger_after_connecting(monkeypatch, until_gone)
    async with port_of(reset) as port, once(f"{scheme}://localhost:{port}", certificate.trusted) as session:
        for _ in range(5):
            with pytest.raises(TransportError):
                await session.read(BIT)


@pytest.mark.asyncio
@pytest.mark.requirement("R3.again")
@pytest.mark.parametrize("addresses", [ONE, TWO], ids=["one address", "two addresses"])
async def test_a_reactor_outlasts_a_server_that_hangs_up_at_once(
    addresses: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resets, accepted, connected = 3, 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        if accepted <= resets:
            await reset(reader, writer)
            return
        event = event_bytes(7, 7)
        writer.write(SSE_HEAD + b"%x\r\n%s\r\n" % (len(event), event))
        await reader.read()  # the request
        await reader.read()
        writer.close()

    async def until_gone_at_first(transport: asyncio.Transport) -> None:
        nonlocal connected
        connected += 1
        if connected <= resets:
            await until_gone(transport)

    resolve_localhost(monkeypatch, addresses)
    linger_after_connecting(monkeypatch, until_gone_at_first)
    async with port_of(serve) as port, once(f"http://localhost:{port}") as session:
        async with InputReactor(session, [BIT], backoff=QUICK) as reactor:
            (event,) = await take(reactor, 1)
            assert event.percent == 7
    assert accepted == resets + 1


@pytest.mark.asyncio
async def test_a_socket_that_takes_no_option_is_a_connect_error_and_is_closed() -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    async with port_of(serve) as port:
        with pytest.raises(httpcore.ConnectError):
            await Network([(socket.SOL_SOCKET, 9999, 1)]).connect("127.0.0.1", port)
        await gone.wait()


NO_NAMES = {
    "empty label": "a..b",
    "empty first label": ".b",
    "long label": "a" * 64,
    "long first label": "a" * 64 + ".b",
}


@pytest.mark.anyio
@pytest.mark.both_feeds
@pytest.mark.parametrize("host", NO_NAMES.values(), ids=NO_NAMES)
async def test_what_cannot_be_a_name_is_a_transport_error(host: str) -> None:
    async with once(f"http://{host}:1") as session:
        with anyio.fail_after(20):
            with pytest.raises(TransportError) as caught:
                await session.read(BIT)
            assert caught.value.phase == "connect"


@pytest.mark.anyio
@pytest.mark.both_feeds
@pytest.mark.parametrize("host", NO_NAMES.values(), ids=NO_NAMES)
async def test_a_reactor_goes_on_trying_what_cannot_be_a_name(host: str) -> None:
    async with once(f"http://{host}:1") as session:
        async with InputReactor(session, [BIT], backoff=QUICK) as reactor:
            with anyio.fail_after(20):
                async for status in reactor.changes():
                    if status.attempt >= 3 and status.state is StreamState.BACKING_OFF:
                        assert isinstance(status.error, TransportError)
                        break
                else:
                    pytest.fail("it ended")


# As a body is taken over


@pytest.mark.anyio
@pytest.mark.both_feeds
async def test_an_authentication_that_reads_bodies_takes_no_event_away() -> None:
    class Reader(httpx.Auth):
        requires_response_body = True

    async def finite(exchange: Exchange) -> None:
        await exchange.open_stream()
        for number in (1, 2):
            await exchange.event(number, number)
        await exchange.end_stream()

    brought: list[float] = []
    async with raw_server(finite) as server:
        async with Session(Reader(), base_url=server.url, trust_env=False, retry=RetryPolicy(attempts=1)) as session:
            with anyio.fail_after(20), pytest.raises(StreamClosedError, match="the server ended the stream"):
                async with session.inputs(BIT) as inputs:
                    async for event in inputs:
                        brought.append(event.percent)  # noqa: PERF401 - it ends with an error
    assert brought == [1, 2]


@pytest.mark.anyio
async def test_what_stands_in_for_httpxs_transport_gets_streams_as_well_as_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def answer(_transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        if asked[-1] == "devices":
            return httpx.Response(200, json=[])
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=event_bytes(5, 5))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    async with once("http://127.0.0.1:1") as session:  # where nobody listens
        with anyio.fail_after(20):
            assert await session.devices() == []
            assert (await session.read(BIT)).percent == 5
    assert asked == ["devices", "input"]


@pytest.mark.asyncio
@pytest.mark.parametrize("line", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
async def test_a_refusal_full_of_blank_lines_is_read_in_few_pieces(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = line * (READ // len(line))
    pieces: list[bytes] = []
    as_ever = Connection.read

    async def read(connection: Connection, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own word
        pieces.append(await as_ever(connection, max_bytes, timeout))
        return pieces[-1]

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(404, body, kind="text/html")

    monkeypatch.setattr(Connection, "read", read)
    async with raw_server(refuse) as server, once(server.url) as session:
        with anyio.fail_after(20), pytest.raises(NotFoundError):
            await session.read(BIT)
    assert b"".join(pieces).endswith(body)
    assert len(pieces) < 100  # as many as TCP makes of it


# Bytes that are held


class FakeTransport(asyncio.Transport):
    """Notes what is said, and whether it would read on."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.said = b""
        self.is_gone = False
        self.on_resume: Callable[[], None] | None = None

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        if self.on_resume is not None:
            self.on_resume()
        self.reads = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data


class Wire:
    """The server's side of a connection's TLS, and the event loop's side of the connection; nothing is sent."""

    def __init__(self, certificate: Certificate) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.both)
        self._heard, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._server = context.wrap_bio(self._heard, self._said, server_side=True)
        self._under_way = b""
        self.transport = FakeTransport()
        self.connection = Connection(Shared())
        self.connection.connection_made(self.transport)

    async def secure(self, trusted: ssl.SSLContext) -> None:
        securing = asyncio.create_task(self.connection.start_tls(trusted, "localhost"))
        while not securing.done():
            await asyncio.sleep(0)
            self._heard.write(self.transport.said)
            self.transport.said = b""
            with suppress(ssl.SSLWantReadError):
                self._server.do_handshake()
            self.deliver()
        await securing

    def say(self, data: bytes) -> None:
        self._server.write(data)
        self.deliver()

    def deliver(self) -> None:
        """Do as the event loop does with what is under way, while the connection reads."""
        self._under_way += self._said.read()
        while self._under_way and self.transport.reads:
            view = self.connection.get_buffer(-1)
            size = min(len(view), len(self._under_way))
            assert size > 0  # else the loop breaks the connection off
            view[:size] = self._under_way[:size]
            self._under_way = self._under_way[size:]
            self.connection.buffer_updated(size)


@pytest.mark.asyncio
@pytest.mark.parametrize("beside", [-1, 0, 1, 5000])
async def test_what_is_held_at_its_bound_breaks_nothing(beside: int, certificate: Certificate) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    body = b"x" * (READ + beside)
    wire = Wire(certificate)
    connection = wire.connection
    await wire.secure(certificate.trusted)

    def nothing_is_held() -> None:
        assert connection._held == b""  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - else there may be no room

    wire.transport.on_resume = nothing_is_held
    text = head + body
    for at in range(0, len(text), 16_000):
        wire.say(text[at : at + 16_000])
    wire.say(b"y" * 100_000)
    assert await connection.read(READ) == head  # the rest is the body, and is held
    wire.deliver()
    brought = b""

    def take_all(data: bytes) -> bool:
        nonlocal brought
        brought += data
        return True

    connection.start(take_all)
    wire.deliver()
    assert brought == body + b"y" * 100_000


@pytest.mark.asyncio
async def test_nothing_is_asked_of_a_transport_that_is_gone(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = FakeTransport()  # as uvloop's, it has no socket any more

    async def create_connection(
        make: Callable[[], Connection], _host: str, _port: int
    ) -> tuple[asyncio.Transport, Connection]:
        connection = make()
        connection.connection_made(gone)
        gone.is_gone = True
        connection.connection_lost(ConnectionResetError())
        return gone, connection

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create_connection)
    option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection = await Network([option]).connect("127.0.0.1", 80)
    with pytest.raises(httpcore.ReadError):
        await connection.read(READ)
    with pytest.raises(httpcore.WriteError):
        await connection.write(b"hello")
    with pytest.raises(httpcore.ConnectError):
        await connection.start_tls(certificate.trusted, "localhost")
    await connection.aclose()
    assert gone.said == b""


# As a stream or an iteration ends


def sweep(link: Link) -> None:
    link.sweep(time.monotonic() + 1000)


def interrupt(link: Link) -> None:
    link.interrupt(StreamError("/input: of the source"))


@pytest.mark.asyncio
@pytest.mark.requirement("R1.repeat", "R2.block")
@pytest.mark.parametrize("end", [sweep, interrupt])
async def test_an_event_that_meets_a_full_buffer_as_its_stream_is_ended_is_passed_on_when_repeated(
    end: Callable[[Link], None],
) -> None:
    answers = script(others=[events(1), events(2, 3)])
    async with raw_server(answers) as server, session_for(server) as session, asyncio.timeout(20):
        async with InputReactor(session, [BIT], buffer=1, backoff=QUICK) as reactor:
            while not reactor.latest:  # noqa: ASYNC110 - an event that nobody takes yet
                await asyncio.sleep(0.001)
            link: Link = reactor._links[BIT]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            gc.collect()
            (connection,) = (
                item
                for item in gc.get_objects()
                if type(item) is Connection and item._sink is not None  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
            )
            end(link)
            # In the same turn of the loop its socket brings more.
            event = event_bytes(2, 2)
            chunk = b"%x\r\n%s\r\n" % (len(event), event)
            connection.get_buffer(-1)[: len(chunk)] = chunk
            connection.buffer_updated(len(chunk))
            assert [event.timestamp_ms for event in await take(reactor, 3)] == [1, 2, 3]


class FakeCount(Iteration[int]):
    """Counts."""

    def __init__(self) -> None:
        self.value = 0

    async def _next(self) -> int:
        self.value += 1
        return self.value


@pytest.mark.anyio
async def test_an_iteration_that_is_closed_before_it_is_awaited_takes_nothing() -> None:
    count = FakeCount()
    coming = anext(count)
    await count.aclose()
    with pytest.raises(StopAsyncIteration):
        await coming
    assert count.value == 0


@asynccontextmanager
async def reactor_with_two_events() -> AsyncGenerator[InputReactor, None]:
    async with raw_server(events(1, 2)) as server, session_for(server) as session:
        async with InputReactor(session, [BIT], backoff=QUICK) as reactor:
            with anyio.fail_after(5):
                while reactor.stats.events < 2:  # noqa: ASYNC110 - events that nobody takes yet
                    await anyio.sleep(0.001)
            yield reactor


@pytest.mark.anyio
@pytest.mark.both_feeds
@pytest.mark.parametrize("begin", [InputReactor.__aiter__, InputReactor.batches, InputReactor.with_gaps])
async def test_a_reactors_iteration_that_is_closed_before_it_is_awaited_takes_no_event(
    begin: Callable[[InputReactor], AsyncGenerator[object, None]],
) -> None:
    async with reactor_with_two_events() as reactor:
        iteration = begin(reactor)
        coming = anext(iteration)
        await iteration.aclose()
        with pytest.raises(StopAsyncIteration):
            await coming
        assert [event.timestamp_ms for event in await take(reactor, 2)] == [1, 2]


@pytest.mark.anyio
@pytest.mark.both_feeds
async def test_a_listener_that_is_closed_before_it_is_awaited_has_ended() -> None:
    async with reactor_with_two_events() as reactor, reactor.listen() as listener:
        coming = anext(listener)
        await listener.aclose()
        with pytest.raises(StopAsyncIteration):
            await coming
