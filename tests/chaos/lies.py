"""Lies that a server may tell instead of an answer, and what a caller should see of each."""

import gzip
import zlib
from collections.abc import Awaitable, Callable

import anyio
from attrs import define, field, frozen

from littlebits_async import (
    APIError,
    DecodeError,
    LittleBitsError,
    NotFoundError,
    RateLimitedError,
    RequestTimeoutError,
    ServiceUnavailableError,
    StreamClosedError,
    StreamError,
    StreamStalledError,
    StreamState,
    TransportError,
)
from tests.support.raw_server import SSE_HEAD, Exchange, event_bytes

Speech = Callable[[Exchange], Awaitable[None]]

TRUTH = [{"id": "true"}]
HANGS = 0.25
"""Seconds to wait where nothing more will come."""


@frozen
class Lie:
    """One lie.

    Attributes:
        name: What it is.
        tells: What is sent for an answer.
        sees: What the caller gets to see; None where the answer is usable all the same.
        skips: Events of it that are counted and skipped.
        asks_hours: Whether it asks to be left alone for hours.
    """

    name: str
    tells: Speech
    sees: type[LittleBitsError] | None = None
    skips: int = 0
    asks_hours: bool = False

    @property
    def timeout(self) -> float:
        """The session's, which is waited out where the lie is that nothing more comes."""
        return HANGS if self.sees is RequestTimeoutError else 10.0

    @property
    def state(self) -> StreamState:
        """What becomes of a reactor's stream."""
        if self.sees is None:
            return StreamState.LIVE
        return StreamState.FAILED if self.sees is NotFoundError else StreamState.BACKING_OFF

    def __str__(self) -> str:
        return self.name


async def close(exchange: Exchange) -> None:
    await exchange.close()


async def hold(exchange: Exchange) -> None:
    await exchange.until_closed()


@define
class Stage:
    """A server that tells so many lies, and the truth from then on; to the device `honest` always.

    Attributes:
        lie: What it says.
        lies: How often it still does.
        more: Has each true stream bring a second event; until then there are signs of life.
    """

    lie: Speech = hold
    lies: int = 0
    more: anyio.Event = field(factory=anyio.Event)

    async def __call__(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if self.lies and "/honest/" not in path:
            self.lies -= 1
            await self.lie(exchange)
        elif path.endswith("/input"):
            await exchange.open_stream()
            await exchange.event(1, 1001)
            while not self.more.is_set():
                with anyio.move_on_after(0.02):
                    await self.more.wait()
                await exchange.chunk(b"\n")
            await exchange.event(2, 1002)
            await exchange.until_closed()
        else:
            await exchange.answer(200, TRUTH)


async def serve(exchange: Exchange) -> None:
    """Take the next request on the same connection."""


def says(*pieces: bytes, then: Speech = close) -> Speech:
    async def speech(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
        await then(exchange)

    return speech


def endless(start: bytes, piece: bytes, *, every: float = 0.0) -> Speech:
    async def speech(exchange: Exchange) -> None:
        await exchange.send(start)
        while True:
            await exchange.send(piece)
            await anyio.sleep(every)

    return speech


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def unavailable(retry_after: str, *lines: str) -> Speech:
    return says(head(f"Retry-After: {retry_after}", "Content-Length: 0", *lines, status="503 No"), then=serve)


def moved(location: str) -> Speech:
    return says(head(f"Location: {location}", "Content-Length: 0", status="302 Found"), then=serve)


# Lies for calls and streams alike


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
UNFINISHED = [
    Lie("closes without a word", close, TransportError),
    Lie("says nothing", hold, RequestTimeoutError),
    Lie("half a status line, then nothing", says(b"HTTP/1.1 2", then=hold), RequestTimeoutError),
    Lie("headers cut short", says(b"HTTP/1.1 200 OK\r\nContent-Ty"), TransportError),
    Lie(
        "headers that trickle and never end",
        endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", every=0.01),
        RequestTimeoutError,
    ),
    Lie("headers that never end", endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 1000), TransportError),
    Lie("a status line that never ends", endless(b"HTTP/1.1 200 ", b"O" * 10_000), TransportError),
    Lie("1xx answers that never end", endless(b"", INTERIM * 100), RequestTimeoutError),
]
NOT_HTTP = [
    Lie("garbage", says(bytes(range(256)) * 10), TransportError),
    Lie("TLS", says(b"\x15\x03\x01\x00\x02\x02\x28"), TransportError),
    Lie("HTTP/0.9", says(b'[{"id": "lie"}]\n'), TransportError),
    Lie("status 000", says(b"HTTP/1.1 000 No\r\n\r\n"), TransportError),
    Lie("status 2000", says(b"HTTP/1.1 2000 OK\r\n\r\n"), TransportError),
    Lie("headers of 1 MB", says(head("a: " + "b" * 2**20, "Content-Length: 0")), TransportError),
    Lie("a header without a colon", says(head("Content-Type")), TransportError),
    Lie("a length below 0", says(head("Content-Length: -1"), b"[]"), TransportError),
    Lie("a length of text", says(head("Content-Length: two"), b"[]"), TransportError),
    Lie("two lengths", says(head("Content-Length: 2", "Content-Length: 3"), b"[]"), TransportError),
    Lie("an unknown transfer encoding", says(head("Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"), TransportError),
    Lie(
        "101",
        says(head("Upgrade: websocket", "Connection: Upgrade", status="101 Switching"), then=hold),
        TransportError,
    ),
]
NOT_THIS_API = [
    Lie("HTML", says(head("Content-Type: text/html", "Content-Length: 13"), b"<html></html>", then=serve), DecodeError),
    Lie("HTML that never ends", endless(head("Content-Type: text/html"), b"<p>" * 20_000), DecodeError),
    Lie("200 without a body", says(head("Content-Length: 0"), then=serve), DecodeError),
    Lie("204", says(head(status="204 No Content"), then=serve), DecodeError),
    Lie("304", says(head(status="304 Not Modified"), then=serve), APIError),
    Lie("999", says(head("Content-Length: 0", status="999 No"), then=serve), APIError),
    Lie("404 with a page that is cut", says(head("Content-Length: 9", status="404 No"), b"<p>"), NotFoundError),
    Lie("302 to an unusable address", moved("http://[::1"), APIError),
    Lie("302 to an endless address", moved("http://other.example/" + "a" * 70_000), APIError),
    Lie("302 to nowhere", moved(""), APIError),
    Lie("302 to a mailbox", moved("mailto:x"), APIError),
    Lie("429", says(head("Content-Length: 0", status="429 No"), then=serve), RateLimitedError),
]
RETRY_AFTER = [
    Lie("Retry-After: 14 hours", unavailable("50400"), ServiceUnavailableError, asks_hours=True),
    Lie("Retry-After: 5000 digits", unavailable("9" * 5000), ServiceUnavailableError),
    Lie("Retry-After: text", unavailable("soon"), ServiceUnavailableError),
    Lie("Retry-After: below 0", unavailable("-5"), ServiceUnavailableError),
    Lie("Retry-After: 1e999", unavailable("1e999"), ServiceUnavailableError),
    Lie("Retry-After: a past date", unavailable("Wed, 21 Oct 2015 07:28:00 GMT"), ServiceUnavailableError),
    Lie(
        "Retry-After: a far date",
        unavailable("Fri, 31 Dec 9999 23:59:59 GMT"),
        ServiceUnavailableError,
        asks_hours=True,
    ),
    Lie("Retry-After: no date", unavailable("Wed, 99 Oct 2015 99:99:99 GMT"), ServiceUnavailableError),
]
EITHER = [*UNFINISHED, *NOT_HTTP, *NOT_THIS_API, *RETRY_AFTER]


# Lies for calls


JSON = head("Content-Type: application/json", "Transfer-Encoding: chunked")
ZIPPED = head("Content-Type: application/json", "Content-Encoding: gzip")
TRUE = b'[{"id": "true"}]'
LIE = b'[{"id": "lie"}]'


def answers(data: bytes, *lines: str) -> Speech:
    return says(head(f"Content-Length: {len(data)}", *lines), data, then=serve)


def whole(data: bytes) -> bytes:
    """A body of one chunk."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


FRAMING = [
    Lie("a chunk that is shorter than it says", says(JSON, b"ff\r\n", LIE), TransportError),
    Lie("a chunk that is longer than it says", says(JSON, b"3\r\n", LIE, b"\r\n0\r\n\r\n"), TransportError),
    Lie("a chunk size below 0", says(JSON, b"-5\r\n", LIE), TransportError),
    Lie("a chunk size that is no number", says(JSON, b"zz\r\n", LIE), TransportError),
    Lie("a chunk size beyond 64 bits", says(JSON, b"f" * 20 + b"\r\n", LIE), TransportError),
    Lie("a chunk size of 1 MB of digits", says(JSON, b"0" * 2**20 + b"\r\n", LIE), TransportError),
    Lie("no last chunk", says(JSON, whole(LIE).removesuffix(b"0\r\n\r\n")), TransportError),
    Lie("no last chunk, then nothing", says(JSON, whole(LIE)[:-5], then=hold), RequestTimeoutError),
    Lie("trailers that never end", endless(JSON + whole(LIE)[:-2], b"a: b\r\n" * 1000), TransportError),
    Lie("a length that is too much", says(head("Content-Length: 100"), LIE), TransportError),
    Lie("a length that is too little", says(head("Content-Length: 5"), LIE, then=serve), DecodeError),
    Lie("a body that never ends", endless(head(), b" " * 65536), DecodeError),
    Lie("chunks that never end", endless(JSON, b"1\r\n \r\n"), RequestTimeoutError),
    Lie("gzip that is none", answers(LIE, "Content-Encoding: gzip"), DecodeError),
    Lie("gzip cut short", says(ZIPPED, gzip.compress(LIE)[:-8]), DecodeError),
    Lie("gzip that blows up", answers(gzip.compress(bytes(32 * 2**20), 9), "Content-Encoding: gzip"), DecodeError),
    Lie("an encoding that nobody asked for", answers(LIE, "Content-Encoding: br"), DecodeError),
]
CONTENT = [
    Lie("invalid UTF-8", answers(b'[{"id": "\xff\xfe"}]'), DecodeError),
    Lie("UTF-16", answers(LIE.decode().encode("utf-16")), DecodeError),
    Lie("NaN", answers(b'[{"id": "lie", "user_id": NaN}]'), DecodeError),
    Lie("Infinity", answers(b'[{"id": "lie", "user_id": -Infinity}]'), DecodeError),
    Lie("1e999", answers(b'[{"id": "lie", "user_id": 1e999}]'), DecodeError),
    Lie("5000 digits", answers(b'[{"id": "lie", "user_id": %s}]' % (b"9" * 5000)), DecodeError),
    Lie("10,000 levels", answers(b"[" * 10_000 + b"]" * 10_000), DecodeError),
    Lie(
        "10,000 levels in a field", answers(b'[{"id": "lie", "x": %s%s}]' % (b"[" * 10_000, b"]" * 10_000)), DecodeError
    ),
    Lie("an object, not a list", answers(b'{"id": "lie"}'), DecodeError),
    Lie("keys twice: the last counts", answers(b'[{"id": "lie", "id": "true"}]')),
    Lie("300 digits for a number that may be missing", answers(b'[{"id": "true", "user_id": %s}]' % (b"9" * 300))),
]
HARMLESS = [
    Lie("100 and 103 a thousand times before", says(INTERIM * 500, head("Content-Length: 16"), TRUE, then=serve)),
    Lie("type and charset are a joke", answers(TRUE, "Content-Type: \xff/\xfe; charset=klingon")),
    Lie("closes after the answer", says(head("Content-Length: 16"), TRUE)),
    Lie("a length and chunks", says(head("Content-Length: 3", "Transfer-Encoding: chunked"), whole(TRUE), then=serve)),
    Lie("RateLimit-* of no sense", answers(TRUE, "RateLimit-Remaining: -1", "RateLimit-Reset: 1e999")),
]
CALL_LIES = [*EITHER, *FRAMING, *CONTENT, *HARMLESS]


# Lies for streams


GOOD = event_bytes(7, 1)
ZIPPED_SSE = SSE_HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n"
BROTLI_SSE = SSE_HEAD[:-2] + b"Content-Encoding: br\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def streams(*pieces: bytes, then: Speech = close) -> Speech:
    return says(SSE_HEAD, *pieces, then=then)


def skipped(name: str, data: bytes) -> Lie:
    """An event that cannot be used, and a good one behind it."""
    return Lie(name, streams(chunk(b"data:" + data + b"\n\n" + GOOD), then=hold), skips=1)


def zipped(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=31)
    return chunk(compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))


def sse_head(*lines: str) -> bytes:
    return head("Content-Type: text/event-stream", *lines)


BROKEN_STREAMS = [
    Lie("a stream of nothing", says(sse_head("Content-Length: 0"), then=serve), StreamClosedError),
    Lie("ends at once", streams(b"0\r\n\r\n", then=serve), StreamClosedError),
    Lie("ends in an event", streams(chunk(GOOD[:20]), b"0\r\n\r\n", then=serve), StreamClosedError),
    Lie("a length that is too much", says(sse_head("Content-Length: 100"), b"\n"), StreamError),
    Lie("a length that is too little", says(sse_head("Content-Length: 20"), GOOD, then=serve), StreamClosedError),
    Lie("two answers", streams(b"0\r\n\r\n", SSE_HEAD, chunk(GOOD), then=hold), StreamClosedError),
    Lie("a chunk that is shorter than it says", streams(b"ff\r\n\n"), StreamError),
    Lie("a chunk that is longer than it says", streams(b"3\r\n", GOOD, b"\r\n", then=hold), StreamError),
    Lie("a chunk size below 0", streams(b"-5\r\n", GOOD, then=hold), StreamError),
    Lie("a chunk size that is no number", streams(b"zz\r\n", GOOD, then=hold), StreamError),
    Lie("a chunk size beyond 64 bits", streams(b"f" * 21 + b"\r\n", GOOD, then=hold), StreamError),
    Lie("a chunk size of 1 MB of digits", streams(b"0" * 2**20, then=hold), StreamError),
    Lie("no last chunk", streams(chunk(b"\n")), StreamError),
    Lie("gzip that is none", says(ZIPPED_SSE, chunk(GOOD), then=hold), StreamError),
    Lie("gzip that blows up", says(ZIPPED_SSE, zipped(bytes(32 * 2**20)), then=hold), StreamError),
    Lie("an encoding that nobody asked for", says(BROTLI_SSE, chunk(GOOD), then=hold), StreamError),
]
BAD_EVENTS = [
    skipped("a line of 4 MB", b"x" * 2**22),
    skipped("an event of 65,536 lines", b"x\ndata:" * 2**16),
    skipped("invalid UTF-8", b"\xff\xfe"),
    skipped("no JSON", b"<html>"),
    skipped("NaN", b'{"timestamp": 1, "percent": NaN}'),
    skipped("Infinity", b'{"timestamp": 1, "percent": Infinity}'),
    skipped("1e999", b'{"timestamp": 1, "percent": 1e999}'),
    skipped("5000 digits", b'{"timestamp": %s, "percent": 1}' % (b"9" * 5000)),
    skipped("10,000 levels", b"[" * 10_000 + b"]" * 10_000),
    skipped("10,000 levels in a field", b'{"timestamp": 1, "percent": 1, "x": %s%s}' % (b"[" * 10_000, b"]" * 10_000)),
    skipped("a time before 1970", b'{"timestamp": -1, "percent": 1}'),
    skipped("a time after the year 9999", b'{"timestamp": 1e15, "percent": 1}'),
    skipped("a time of 300 digits", b'{"timestamp": %s, "percent": 1}' % (b"9" * 300)),
]
USABLE_STREAMS = [
    Lie(
        "keys twice: the last counts",
        streams(chunk(b'data:{"timestamp": 0, "timestamp": 1, "percent": 9, "percent": 7}\n\n'), then=hold),
    ),
    Lie(
        "invalid UTF-8 in a name", streams(chunk(b'data:{"timestamp": 1, "percent": 7, "name": "\xff"}\n\n'), then=hold)
    ),
    Lie("gzip that nobody asked for", says(ZIPPED_SSE, zipped(GOOD), then=hold)),
    Lie("100 and 103 a thousand times before", says(INTERIM * 500, SSE_HEAD, chunk(GOOD), then=hold)),
    Lie(
        "retry: of absurd lengths",
        streams(chunk(b"retry:" + b"9" * 5000 + b"\nretry:-1\nretry:1e999\nretry:\n" + GOOD), then=hold),
    ),
    Lie("an id of 60 KB", streams(chunk(b"id:" + b"x" * 60_000 + b"\n" + GOOD), then=hold)),
    Lie(
        "10,000 comments and other types",
        streams(chunk(b":\n\n" * 5000 + b"event: x\ndata: x\n\n" * 5000 + GOOD), then=hold),
    ),
]
STREAM_LIES = [
    *EITHER,
    *BROKEN_STREAMS,
    Lie("opens, and says nothing", streams(then=hold), StreamStalledError),
    *BAD_EVENTS,
    *USABLE_STREAMS,
]
