"""The body of an answer, as it comes."""

import zlib
from collections.abc import AsyncGenerator
from typing import Final

import anyio
import httpx

from .._tasks import run_to_end
from ._discretion import credentials

__all__ = ["ACCEPTED_ENCODING", "ByteStream"]

ACCEPTED_ENCODING: Final = "gzip"
_MAX_INFLATED: Final = 16 * 2**20
_EITHER_HEADER: Final = 47
"""zlib's wbits for a gzip or a zlib header."""


class ByteStream:
    """The bytes of one open response; closed with `aclose`, at once.

    gzip and deflate are undone here and not by httpx, whose decoder does not bound what a few bytes blow up to. One
    task reads; any task may close.

    Attributes:
        is_closed: Whether it was closed on this side.
        credentials: What the request said in ``Authorization``; its reader may be another task than its opener.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.credentials = credentials.get()
        self.is_closed = False
        self._response = response
        # A mock's response may have been read by httpx already, and decoded with it.
        read_already = response.is_stream_consumed
        self._chunks = _once(response.content) if read_already else response.aiter_raw()
        self._decoder = None if read_already else _content_decoder(response)
        self._reading = False

    async def receive(self) -> bytes:
        """Return the next bytes; none when the body has ended.

        Raises:
            httpx.HTTPError: The connection broke, or the body's framing or encoding is corrupt or cut short.
        """
        self._reading = True
        try:
            async for chunk in self._chunks:
                if self.is_closed:  # by another task, just as this came
                    await run_to_end(self._unwind)
                    return b""
                if data := chunk if self._decoder is None else self._decoder.decode(chunk):
                    return data
            if self._decoder is not None:
                self._decoder.finish()
            return b""
        finally:
            self._reading = False

    async def aclose(self) -> None:
        """Close the connection; whoever cancels, it is closed when this returns."""
        if not self.is_closed:
            self.is_closed = True
            await run_to_end(self._close)

    async def _close(self) -> None:
        if not self._reading:
            await self._unwind()
        await self._response.aclose()

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


def _content_decoder(response: httpx.Response) -> "_Decoder | None":
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    return None if encoding in ("", "identity") else _Decoder(encoding, response.request)


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
