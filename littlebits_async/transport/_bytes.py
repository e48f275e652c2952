"""The body of an answer, as it comes."""

import ssl
import sys
import zlib
from collections.abc import AsyncGenerator, Callable
from typing import Final, Protocol

import anyio
import httpx
from msgspec import Struct

from .._tasks import run_to_end
from ._discretion import bare, credentials
from ._library import forget_library, tell_library

__all__ = ["ACCEPTED_ENCODING", "TAKE_OVER", "Body", "ByteStream", "End", "body_of"]

ACCEPTED_ENCODING: Final = "gzip"
TAKE_OVER: Final = "littlebits_async.take_over"
"""The response extension that makes a body of a response whose bytes can be pushed."""

_MAX_INFLATED: Final = 16 * 2**20
_EITHER_HEADER: Final = 47
"""zlib's wbits for a gzip or a zlib header."""


class End(Struct, frozen=True):
    """How a body ended.

    Attributes:
        error: What broke it; None where it was complete.
    """

    error: Exception | None


class Body(Protocol):
    """The bytes of one open response, for who reads them as they come.

    One task reads; any task may close.
    """

    @property
    def is_closed(self) -> bool:
        """Whether it was closed on this side."""
        ...

    async def pump(self, take: Callable[[bytes], bool]) -> End | None:
        """Have ``take`` called with the bytes of each read, until it answers False.

        Called again, it goes on; nothing is read meanwhile. What ``take`` raises is raised here.

        Returns:
            How the body ended, or None where ``take`` has enough for now.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection; whoever cancels, it is closed when this returns."""
        ...


def body_of(response: httpx.Response) -> Body:
    """Return the body of an open stream: pushed where that is possible, and else pulled."""
    take_over: Callable[[httpx.Response], Body] | None = response.extensions.get(TAKE_OVER)
    if take_over is None or response.is_stream_consumed or _is_encoded(response):
        return ByteStream(response)
    return take_over(response)


class ByteStream:
    """The bytes of one open response, pulled through httpx; closed with `aclose`, at once.

    gzip and deflate are undone here and not by httpx, whose decoder does not bound what a few bytes blow up to. One
    task reads; any task may close.

    Attributes:
        is_closed: Whether it was closed on this side.
    """

    def __init__(self, response: httpx.Response) -> None:
        self._credentials = credentials.get()  # its reader may be another task than its opener
        self.is_closed = False
        self._response = response
        # A mock's response may have been read by httpx already, and decoded with it.
        read_already = response.is_stream_consumed
        self._chunks = _once(response.content) if read_already else response.aiter_raw()
        self._decoder = None if read_already else _content_decoder(response)
        self._reading = False
        self._ended = False

    async def receive(self) -> bytes:
        """Return the next bytes; none when the body has ended.

        Raises:
            httpx.HTTPError: The connection broke, or the body's framing or encoding is corrupt or cut short.
        """
        self._reading = True
        library = tell_library()
        try:
            async for chunk in self._chunks:
                if self.is_closed:  # by another task, just as this came
                    await run_to_end(self._unwind)
                    return b""
                if data := chunk if self._decoder is None else self._decoder.decode(chunk):
                    return data
            self._ended = True
            if self._decoder is not None:
                self._decoder.finish()
            return b""
        finally:
            forget_library(library)
            self._reading = False

    async def pump(self, take: Callable[[bytes], bool]) -> End | None:
        """Have ``take`` called with the bytes of each read, until it answers False; see `Body`."""
        handled = sys.exception()
        while not self.is_closed:
            ours = credentials.set(self._credentials)
            try:
                data = await self.receive()
            except (httpx.HTTPError, httpx.StreamError, ssl.SSLError) as exc:
                return End(bare(exc, handled))
            finally:
                credentials.reset(ours)
            if not data:
                break
            if not take(data):
                return None
        return End(None)

    async def aclose(self) -> None:
        """Close the connection; whoever cancels, it is closed when this returns."""
        if not self.is_closed:
            self.is_closed = True
            await run_to_end(self._close)

    async def aclose_in_child(self) -> None:
        """Do as `aclose`, at a tenth of its cost, in a task that no native cancellation reaches; see `run_in_child`."""
        if not self.is_closed:
            self.is_closed = True
            with anyio.CancelScope(shield=True):
                await self._close()

    async def _close(self) -> None:
        library = tell_library()
        try:
            if not (self._reading or self._ended):
                await self._unwind()
            await self._response.aclose()
        finally:
            forget_library(library)

    async def _unwind(self) -> None:
        # httpx and httpcore read through a chain of async generators. One left suspended is a ResourceWarning on trio,
        # and closing the outermost does not close the rest; a cancelled read unwinds them all.
        with anyio.CancelScope() as scope:
            scope.cancel()
            try:
                # What had arrived comes before the cancellation; a user's body may never wait, but see `OwnTransport`.
                while True:
                    await anext(self._chunks)
            except (StopAsyncIteration, httpx.HTTPError, httpx.StreamError):
                pass  # it was at its end, or broken already


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


def _is_encoded(response: httpx.Response) -> bool:
    return _encoding(response) not in ("", "identity")


def _encoding(response: httpx.Response) -> str:
    encoding: str = response.headers.get("content-encoding", "identity")
    return encoding.strip().lower()


def _content_decoder(response: httpx.Response) -> "_Decoder | None":
    return _Decoder(_encoding(response), response.request) if _is_encoded(response) else None


class _Decoder:
    """Undoes a content encoding; gzip may come in several members, one after another."""

    def __init__(self, encoding: str, request: httpx.Request) -> None:
        self._encoding = encoding
        self._request = request
        self._inflater = zlib.decompressobj(wbits=_EITHER_HEADER)
        self._empty = True

    def decode(self, chunk: bytes) -> bytes:
        if self._encoding not in ("gzip", "x-gzip", "deflate"):
            raise self._error(f"content encoding {self._encoding!r} was not asked for")
        size = len(chunk)
        data = bytearray()
        while chunk:
            self._empty = False
            if self._inflater.eof:
                chunk = chunk.lstrip(b"\0")  # padding, which gzip's own tool allows
                if not chunk:
                    break
                self._inflater = zlib.decompressobj(wbits=_EITHER_HEADER)
            try:
                data += self._inflater.decompress(chunk, _MAX_INFLATED + 1 - len(data))
            except zlib.error as exc:
                raise self._error(str(exc)) from exc
            if len(data) > _MAX_INFLATED or self._inflater.unconsumed_tail:
                raise self._error(f"{size} bytes blow up to too many")
            chunk = self._inflater.unused_data
        return bytes(data)

    def finish(self) -> None:
        if not self._empty and not self._inflater.eof:
            raise self._error("the body is cut short")

    def _error(self, text: str) -> httpx.DecodingError:
        return httpx.DecodingError(text, request=self._request)
