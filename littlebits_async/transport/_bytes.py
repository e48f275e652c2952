"""The body of an answer, as it comes."""

import zlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

import anyio
import httpx

from .._tasks import run_to_end

__all__ = ["ACCEPTED_ENCODING", "ByteStream"]

ACCEPTED_ENCODING: Final = "gzip"
_MAX_INFLATED: Final = 16 * 2**20


class ByteStream:
    """The bytes of one open response; closed with `aclose`, at once.

    gzip and deflate are undone here and not by httpx, whose decoder does not bound what a few bytes blow up to. One
    task reads; any task may close.

    Attributes:
        is_closed: Whether it was closed on this side.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.is_closed = False
        self._response = response
        # A mock's response may have been read by httpx already, and decoded with it.
        read_already = response.is_stream_consumed
        self._chunks = _once(response.content) if read_already else response.aiter_raw()
        self._decode = None if read_already else _content_decoder(response)
        self._reading = False

    async def receive(self) -> bytes:
        """Return the next bytes; none when the body has ended.

        Raises:
            httpx.HTTPError: The connection broke, or the body's framing or encoding is corrupt.
        """
        self._reading = True
        try:
            async for chunk in self._chunks:
                if data := chunk if self._decode is None else self._decode(chunk):
                    return data
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
            # httpx and httpcore read through a chain of async generators. One left suspended is a ResourceWarning on
            # trio, and closing the outermost does not close the rest; a cancelled read unwinds them all.
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    async for _ in self._chunks:
                        pass
                except (httpx.HTTPError, httpx.StreamError):
                    pass  # it was broken already
        await self._response.aclose()


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


def _content_decoder(response: httpx.Response) -> Callable[[bytes], bytes] | None:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return None
    inflater = zlib.decompressobj(wbits=47) if encoding in ("gzip", "x-gzip", "deflate") else None  # 47: both headers

    def decode(chunk: bytes) -> bytes:
        if inflater is None:
            raise httpx.DecodingError(f"content encoding {encoding!r} was not asked for", request=response.request)
        try:
            data = inflater.decompress(chunk, _MAX_INFLATED)
        except zlib.error as exc:
            raise httpx.DecodingError(str(exc), request=response.request) from exc
        if inflater.unconsumed_tail:
            raise httpx.DecodingError(f"{len(chunk)} bytes blow up to too many", request=response.request)
        return data

    return decode
