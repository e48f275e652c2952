"""The push feed, by itself and beside the plain one: what a server says means the same on both. asyncio only."""

import asyncio
import gc
import gzip
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from littlebits_async import (
    InputEvent,
    InputReactor,
    LittleBitsError,
    Priority,
    RetryPolicy,
    Session,
    StreamClosedError,
    StreamError,
    TransportError,
    Unlimited,
)
from littlebits_async.transport import Feed, FeedItem
from littlebits_async.transport._bytes import ByteStream
from littlebits_async.transport._connection import Connection
from littlebits_async.transport._discretion import credentials
from littlebits_async.transport._names import Names
from littlebits_async.transport._push import PushBody
from littlebits_async.transport._tls import Tls
from tests.support.certificate import Certificate, make_certificate
from tests.support.raw_server import SSE_HEAD, event_bytes

pytestmark = pytest.mark.asyncio

BIT = "00e040000001"
TOKEN = "token-of-more-than-sixteen-characters"
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["plain text", "TLS"])
def tls(request: pytest.FixtureRequest, certificate: Certificate) -> Certificate | None:
    return certificate if request.param == "TLS" else None


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


@asynccontextmanager
async def server_and_session(
    handle: Server, tls: Certificate | None = None, *, trusted: bool = True
) -> AsyncGenerator[Session, None]:
    context = None
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.both)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):  # also of TLS
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    url = f"http{'' if tls is None else 's'}://127.0.0.1:{port}"
    client_context = None if tls is None else tls.trusted if trusted else ssl.create_default_context()
    async with server:
        async with asyncio.timeout(20):
            async with Session(
                TOKEN,
                base_url=url,
                trust_env=False,
                ssl_context=client_context,
                budget=Unlimited(),
                retry=RetryPolicy(attempts=1),
            ) as session:
                yield session


async def open_feed(session: Session) -> Feed:
    return await session.open_input(BIT, await session.grant(priority=Priority.STREAM, label="input"))


def body_of(feed: Feed) -> object:
    return feed._body  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


async def read(session: Session) -> tuple[list[str], str]:
    """Open a stream and read it to its end; return what it brought, and how it failed or ended."""
    brought: list[str] = []

    def take(items: list[FeedItem]) -> bool:
        brought.extend(map(repr, items))
        return len(brought) % 3 != 0

    try:
        feed = await open_feed(session)
    except LittleBitsError as error:
        return brought, f"opening: {type(error).__name__}: {error} {getattr(error, 'excerpt', '')}"
    try:
        while True:
            await feed.pump(take)
    except StreamError as error:
        return brought, f"{type(error).__name__}: {error} from {type(error.__cause__).__name__}"
    finally:
        await feed.aclose()


# Beside the plain feed


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def head(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([first, b"Content-Type: text/event-stream", *lines]) + b"\r\n\r\n"


def event(number: int) -> bytes:
    return event_bytes(number, number)


EVENTS = b"".join(chunk(event(number)) for number in range(4))
BARE = b"".join(event(number) for number in range(4))
LAST = b"0\r\n\r\n"
ANSWERS = {
    "chunked": SSE_HEAD + EVENTS + LAST,
    "chunked, cut short": SSE_HEAD + EVENTS,
    "chunked, cut in a chunk": SSE_HEAD + EVENTS[:-9],
    "chunked, cut in a header": SSE_HEAD + EVENTS + b"1",
    "chunked, many events a chunk": SSE_HEAD + chunk(BARE) + chunk(BARE) + LAST,
    "chunked, events across chunks": SSE_HEAD + b"".join(chunk(BARE[at : at + 7]) for at in range(0, 90, 7)) + LAST,
    "extensions": SSE_HEAD + EVENTS.replace(b"\r\ndata", b';a="b" \r\ndata') + LAST,
    "trailers": SSE_HEAD + EVENTS + b"0\r\nExpires: never\r\n\r\n",
    "broken trailers": SSE_HEAD + EVENTS + b"0\r\nno field\r\n\r\n",
    "no size": SSE_HEAD + EVENTS + b"zz\r\n",
    "a negative size": SSE_HEAD + EVENTS + b"-1\r\n",
    "no line end behind a chunk": SSE_HEAD + EVENTS[:-2] + b"xx" + EVENTS,
    "more than the answer": SSE_HEAD + EVENTS + LAST + SSE_HEAD + EVENTS,
    "until the close": head() + BARE,
    "HTTP/1.0": head(first=b"HTTP/1.0 200 OK") + BARE,
    "a length": head(b"Content-Length: %d" % len(BARE)) + BARE,
    "a length, and more": head(b"Content-Length: %d" % len(BARE)) + BARE + BARE,
    "a length, cut short": head(b"Content-Length: %d" % (len(BARE) + 5)) + BARE,
    "no length": head(b"Content-Length: 0") + BARE,
    "a length and chunks": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + EVENTS + LAST,
    "lines that end in LF": (head(b"Transfer-Encoding: chunked")).replace(b"\r\n", b"\n") + EVENTS + LAST,
    "a body of blank lines first": head() + b"\n\r\n\n\n" + BARE,
    "informational answers first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    + SSE_HEAD
    + EVENTS
    + LAST,
    "gzip": head(b"Content-Encoding: gzip") + gzip.compress(BARE, mtime=0),
    "gzip, cut short": head(b"Content-Encoding: gzip") + gzip.compress(BARE, mtime=0)[:-4],
    "an encoding that nobody knows": head(b"Content-Encoding: br") + BARE,
    "identity by name": head(b"Content-Encoding: identity") + BARE,
    "events that are none": head() + b"data: {\n\nretry: 5\n: comment\n\ndata: 5\n\n" + BARE,
    "an event too large": head() + b"data: " + b"x" * 70_000 + b"\n\n" + BARE,
    "not found": b'HTTP/1.1 404 No\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"message": "no"}',
    "unavailable, in chunks": b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"a\n\nb\n\nc") + LAST,
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>\n\n</p>",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
    "half a head": SSE_HEAD[:40],
    "no head": b"SSH-2.0\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 150_000,
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 6") + BARE,
    "an unknown transfer encoding": head(b"Transfer-Encoding: gzip, chunked") + EVENTS,
    "an upgrade": b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + BARE,
}


@pytest.mark.requirement("R1", "R3.again", "R8")
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_what_a_server_says_means_the_same_on_both_feeds(
    answer: bytes, tls: Certificate | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = max(len(answer), 1)

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(answer), size):
            writer.write(answer[at : at + size])
            if size < len(answer):
                await asyncio.sleep(0)  # most pieces are read one by one then
        await writer.drain()

    async with server_and_session(handle, tls) as session:
        pushed = await read(session)
        size = max(len(answer) // 200, 1)
        assert await read(session) == pushed
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
        assert await read(session) == pushed
        size = max(len(answer), 1)
        assert await read(session) == pushed


@pytest.mark.parametrize("answer", [SSE_HEAD, head(), head(b"Content-Length: 9"), head(b"Content-Encoding: identity")])
async def test_a_stream_is_pushed(answer: bytes, tls: Certificate | None) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()

    async with server_and_session(handle, tls) as session:
        feed = await open_feed(session)
        assert isinstance(body_of(feed), PushBody)
        await feed.aclose()


async def test_a_stream_that_is_compressed_is_pulled() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWERS["gzip"])
        await reader.read()

    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        assert isinstance(body_of(feed), ByteStream)
        await feed.aclose()


# Ends


async def one_event(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(SSE_HEAD + chunk(event(1)))
    await reader.read()


def always(_items: list[FeedItem]) -> bool:
    return True


@pytest.mark.requirement("R3.again")
async def test_a_reset_breaks_the_stream_on_both_feeds_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    got = asyncio.Event()

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(event(1)))
        await got.wait()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    def take(_items: list[FeedItem]) -> bool:
        got.set()
        return True

    ends: list[str] = []
    async with server_and_session(handle) as session:
        for _ in range(2):
            feed = await open_feed(session)
            with pytest.raises(StreamError) as caught:
                await feed.pump(take)
            ends.append(f"{type(caught.value)}: {caught.value}")
            with pytest.raises(StreamError):
                await feed.pump(take)  # it stays broken
            await feed.aclose()
            got.clear()
            monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    assert ends[0] == ends[1]


@pytest.mark.requirement("R7.closed")
async def test_closing_ends_who_is_parked_and_the_connection(tls: Certificate | None) -> None:
    gone = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await one_event(reader, writer)
        gone.set()

    async with server_and_session(handle, tls) as session:
        feed = await open_feed(session)
        pump = asyncio.create_task(feed.pump(always))
        await asyncio.sleep(0.01)
        await feed.aclose()
        await feed.aclose()
        with pytest.raises(StreamClosedError, match="the stream was closed"):
            await pump
        with pytest.raises(StreamClosedError, match="the stream was closed"):
            await feed.pump(always)
        await gone.wait()


@pytest.mark.requirement("R7.closed")
async def test_a_session_that_closes_ends_who_is_parked() -> None:
    async with server_and_session(one_event) as session:
        feed = await open_feed(session)
        pump = asyncio.create_task(feed.pump(always))
        await asyncio.sleep(0.01)
        await session.aclose()
        with pytest.raises(StreamClosedError, match="the stream was closed"):
            await pump


async def test_a_cancelled_pump_can_be_taken_up_again() -> None:
    more = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(event(1)))
        await more.wait()
        writer.write(chunk(event(2)))
        await reader.read()

    brought: list[InputEvent] = []

    came = asyncio.Event()

    def take(items: list[FeedItem]) -> bool:
        brought.extend(item for item in items if isinstance(item, InputEvent))
        came.set()
        return len(brought) < 2

    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        pump = asyncio.create_task(feed.pump(take))
        await came.wait()
        pump.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pump
        more.set()
        await asyncio.sleep(0.01)
        assert len(brought) == 1  # nothing is taken meanwhile
        await feed.pump(take)
        assert [item.percent for item in brought] == [1, 2]
        await feed.aclose()


class Odd(BaseException):
    """No Exception, and no end of the program either."""


@pytest.mark.parametrize("error", [ZeroDivisionError, StopIteration, asyncio.CancelledError, Odd])
@pytest.mark.parametrize("pushed", [True, False])
async def test_what_take_raises_comes_out_of_pump(
    error: type[BaseException],
    pushed: bool,  # noqa: FBT001
    tls: Certificate | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take(_items: list[FeedItem]) -> bool:
        raise error("of the taker")

    if not pushed:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    async with server_and_session(one_event, tls) as session:
        feed = await open_feed(session)
        try:
            with pytest.raises(
                (error, RuntimeError) if error is StopIteration else error, match=r"of the taker|StopIteration"
            ):
                await feed.pump(take)
        finally:
            await feed.aclose()


# Who takes


def connections() -> list[Connection]:
    gc.collect()
    return [item for item in gc.get_objects() if type(item) is Connection]


@pytest.mark.parametrize("answer", [SSE_HEAD + EVENTS + LAST, SSE_HEAD + EVENTS + b"zz\r\n", head() + BARE])
@pytest.mark.parametrize("pushed", [True, False])
async def test_the_end_waits_for_who_has_enough(
    answer: bytes,
    pushed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    brought: list[FeedItem] = []

    def take(items: list[FeedItem]) -> bool:
        brought.extend(items)
        return False

    if not pushed:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        await asyncio.sleep(0.02)  # the end has mostly come by now
        while len(brought) < 4:
            await feed.pump(take)
        with pytest.raises(StreamError):
            await feed.pump(take)
        await feed.aclose()
    assert len(brought) == 4


async def test_nothing_is_read_that_is_not_taken() -> None:
    sent = 0

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(SSE_HEAD)
        while True:
            writer.write(chunk(event(sent) + b":" + b"x" * 50_000 + b"\n\n"))
            await writer.drain()
            sent += 1

    async def until_full() -> None:
        last, same = -1, 0
        while same < 20:
            await asyncio.sleep(0.005)
            last, same = sent, same + 1 if sent == last else 0

    brought: list[FeedItem] = []

    def take(items: list[FeedItem]) -> bool:
        brought.extend(items)
        return not items

    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        await until_full()
        before = sent
        for _ in range(before + 5):
            had = len(brought)
            await feed.pump(take)
            assert 1 <= len(brought) - had <= 2  # what one read completes
        await until_full()
        assert sent > before
        (connection,) = connections()
        assert len(connection._held) <= 64 * 1024  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        await feed.aclose()


async def test_what_comes_before_anybody_takes_is_held_to_a_bound() -> None:
    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(event(1)) + chunk(b":" + b"x" * 2_000_000 + b"\n\n") + chunk(event(2)) + LAST)
        await writer.drain()

    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        await asyncio.sleep(0.02)
        (connection,) = connections()
        assert 0 < len(connection._held) <= 64 * 1024  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        brought: list[FeedItem] = []

        def take(items: list[FeedItem]) -> bool:
            brought.extend(items)
            return True

        with pytest.raises(StreamClosedError):
            await feed.pump(take)
        assert sum(isinstance(item, InputEvent) for item in brought) == 2
        await feed.aclose()


@pytest.mark.parametrize("pushed", [True, False])
async def test_who_takes_is_no_part_of_our_requests(
    pushed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[object] = []

    def take(_items: list[FeedItem]) -> bool:
        seen.append(credentials.get())
        return False

    if not pushed:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    more = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD)
        await more.wait()
        writer.write(chunk(event(1)))
        await reader.read()

    async with server_and_session(handle) as session:
        feed = await open_feed(session)
        pump = asyncio.create_task(feed.pump(take))
        await asyncio.sleep(0.01)
        more.set()
        await pump
        await feed.aclose()
    assert seen == [None]


async def test_events_wake_no_task(tls: Certificate | None) -> None:
    turn, turns = asyncio.Event(), 50

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(event(0)))
        for number in range(1, turns):
            await turn.wait()
            turn.clear()
            writer.write(chunk(event(number)))
        await reader.read()

    async with server_and_session(handle, tls) as session:
        async with InputReactor(session, [BIT]) as reactor:
            events = aiter(reactor)
            await anext(events)
            (task,) = [each for each in asyncio.all_tasks() if each.get_name() == f"input of {BIT}"]
            waits_for: set[object] = set()
            for number in range(1, turns):
                turn.set()
                assert (await anext(events)).timestamp_ms == number
                waits_for.add(task._fut_waiter)  # type: ignore[attr-defined] # noqa: SLF001 # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue, reportUnknownArgumentType] - what it waits for
            assert len(waits_for) == 1  # the same all the time


# TLS


def say_below(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send bytes that are not encrypted."""
    with socket.socket(fileno=socket.dup(writer.get_extra_info("socket").fileno())) as below:
        below.send(data)


async def test_a_session_of_tls_is_resumed(certificate: Certificate) -> None:
    resumed: list[bool] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await one_event(reader, writer)

    async with server_and_session(handle, certificate) as session:
        for _ in range(3):
            assert (await session.read(BIT)).percent == 1
    assert resumed == [False, True, True]


async def test_a_server_that_nobody_trusts_is_refused_on_both_feeds_alike(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server_and_session(one_event, certificate, trusted=False) as session:
        pushed = await read(session)
        assert "CERTIFICATE_VERIFY_FAILED" in pushed[1]
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
        assert await read(session) == pushed


@pytest.mark.requirement("R3.again")
async def test_what_is_no_tls_breaks_the_stream_on_both_feeds_alike(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + chunk(event(1)))
        await got.wait()
        say_below(writer, b"this is no record of TLS")
        await reader.read()

    def take(_items: list[FeedItem]) -> bool:
        got.set()
        return True

    ends: list[str] = []
    async with server_and_session(handle, certificate) as session:
        for _ in range(2):
            feed = await open_feed(session)
            with pytest.raises(StreamError, match="the stream broke: SSLError") as caught:
                await feed.pump(take)
            ends.append(f"{type(caught.value)}: {caught.value}")
            await feed.aclose()
            got.clear()
            monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    assert ends[0] == ends[1]


@pytest.mark.parametrize("pushed", [True, False])
async def test_what_is_no_tls_in_place_of_an_answer_is_a_transport_error(
    certificate: Certificate,
    pushed: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        say_below(writer, b"this is no record of TLS")
        await reader.read()

    if not pushed:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
    async with server_and_session(handle, certificate) as session:
        for call in (session.ping, lambda: session.read(BIT)):
            with pytest.raises(TransportError, match="SSLError"):
                await call()


async def test_what_came_before_what_is_no_tls_is_read(certificate: Certificate) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.both)
    heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(heard, said, server_side=True)
    client = Tls(certificate.trusted, "localhost", None)
    while not client.shake_hands():
        heard.write(client.outgoing.read())
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.take(said.read())
    heard.write(client.outgoing.read())
    server.do_handshake()
    server.write(b"a" * 20_000)
    client.take(said.read() + b"this is no record of TLS")
    assert client.read() == b"a" * 20_000
    assert client.is_over
    assert client.error is not None


async def test_a_handshake_that_is_cut_short_is_an_error_on_both_feeds_alike(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        once = RetryPolicy(attempts=1)
        async with Session(
            TOKEN, base_url=url, trust_env=False, ssl_context=certificate.trusted, retry=once
        ) as session:
            pushed = await read(session)
            assert pushed[1].startswith("opening: TransportError")
            monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
            assert await read(session) == pushed


async def test_goodbye_is_said(certificate: Certificate) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.both)
    said_goodbye: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # By hand: asyncio's own TLS does not tell an end from a goodbye.
        heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(heard, said, server_side=True)
        answer = SSE_HEAD + chunk(event(1))
        while data := await reader.read(65536):
            heard.write(data)
            try:
                while request := tls.read(65536):  # which shakes hands, too
                    tls.write(answer if request.endswith(b"\r\n\r\n") else b"")
                said_goodbye.set_result(True)
            except ssl.SSLWantReadError:
                writer.write(said.read())
        if not said_goodbye.done():
            said_goodbye.set_result(False)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, asyncio.timeout(20):
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Session(TOKEN, base_url=url, trust_env=False, ssl_context=certificate.trusted) as session:
            assert (await session.read(BIT)).percent == 1
        assert await said_goodbye


# Names and addresses


class Lookups:
    """What the event loop is asked, and answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
        self.asked = 0
        self.addresses = addresses
        self.answer = asyncio.Event()
        self._news = asyncio.Event()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.getaddrinfo)

    async def until_asked(self, times: int) -> None:
        while self.asked < times:
            await self._news.wait()
            self._news.clear()

    async def getaddrinfo(self, host: str, port: int, **_options: object) -> Sequence[object]:
        if host != "cloud.example":
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # a literal address: asyncio's own look
        self.asked += 1
        self._news.set()
        await self.answer.wait()
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in address], socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]


async def test_a_name_is_looked_up_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups, names = Lookups(monkeypatch, "127.0.0.1", "127.0.0.2", "::1"), Names()
    asking = [asyncio.create_task(names.addresses("cloud.example", 80)) for _ in range(20)]
    await lookups.until_asked(1)
    asking[0].cancel()  # who asks for all may be cancelled
    await lookups.until_asked(2)
    lookups.answer.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [["127.0.0.1", "::1", "127.0.0.2"]] * 19
    assert lookups.asked == 2
    assert await names.addresses("cloud.example", 80) == ["127.0.0.1", "::1", "127.0.0.2"]
    assert await names.addresses("127.0.0.7", 80) == ["127.0.0.7"]
    assert await names.addresses("::1", 80) == ["::1"]
    assert lookups.asked == 2


async def test_a_name_that_is_not_known_fails_all_who_ask_and_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups, names = Lookups(monkeypatch), Names()
    asking = [asyncio.create_task(names.addresses("cloud.example", 80)) for _ in range(20)]
    await asyncio.sleep(0)
    lookups.answer.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {repr(answer) for answer in answers} == {repr(socket.gaierror(-2, "Name or service not known"))}
    assert len({id(answer) for answer in answers}) == 20
    assert lookups.asked == 1
    lookups.addresses = ("127.0.0.1",)
    assert await names.addresses("cloud.example", 80) == ["127.0.0.1"]


@pytest.mark.parametrize("addresses", [("127.0.0.1", "::1"), ("::1", "127.0.0.1"), ("127.0.0.3", "127.0.0.1")])
async def test_the_address_that_answers_is_taken(addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await one_event(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        Lookups(monkeypatch, *addresses).answer.set()
        url = f"http://cloud.example:{server.sockets[0].getsockname()[1]}"
        async with Session(TOKEN, base_url=url, trust_env=False) as session, asyncio.timeout(10):
            assert (await session.read(BIT)).percent == 1


@pytest.mark.parametrize("addresses", [(), ("127.0.0.3",), ("127.0.0.3", "127.0.0.4")])
async def test_where_nobody_answers_the_error_is_the_plain_feeds(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:  # bound, and does not listen
        nobody.bind(("127.0.0.1", 0))
        url = f"http://cloud.example:{nobody.getsockname()[1]}"
        Lookups(monkeypatch, *addresses).answer.set()
        async with Session(TOKEN, base_url=url, trust_env=False, retry=RetryPolicy(attempts=1)) as session:
            async with asyncio.timeout(10):
                with pytest.raises(TransportError) as caught:
                    await session.read(BIT)
    text = "All connection attempts failed" if addresses else "[Errno -2] Name or service not known"
    assert str(caught.value) == f"GET /devices/{BIT}/input: ConnectError: {text}"
    assert caught.value.phase == "connect"
