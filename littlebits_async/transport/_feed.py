"""An open input stream, from bytes to events."""

import sys
from collections.abc import Awaitable, Callable

import httpx

from ..errors import DecodeError, StreamClosedError, StreamError
from ..models import InputEvent
from ..sse import Decoder, Message, Oversized, Retry
from ..wire import Call
from ._bytes import ByteStream
from ._discretion import bare, credentials

__all__ = ["Feed", "FeedItem"]

FeedItem = InputEvent | DecodeError | Retry
# Other types are for other readers: a ping with data is no broken event.
_INPUT_TYPES = frozenset({"message", "input", "amplitude"})


class Feed:
    """The events of one device's open input stream, as they come.

    Args:
        stream: The stream's bytes.
        call: The call that opened it, which reads one event's data.
        close: Closes the stream.
    """

    def __init__(
        self, stream: ByteStream, call: Call[InputEvent | None], close: Callable[[ByteStream], Awaitable[None]]
    ) -> None:
        self._stream = stream
        self._call = call
        self._close = close
        self._decoder = Decoder()

    async def receive(self) -> list[FeedItem]:
        """Wait for bytes, and return what they completed.

        Returns:
            Events, what could not be read as one, and the server's wishes for reconnecting, in order. Empty where the
            bytes completed nothing (a keep-alive, a part of an event): a sign of life all the same.

        Raises:
            StreamClosedError: The server ended the stream.
            StreamError: The connection broke.
        """
        handled = sys.exception()
        ours = credentials.set(self._stream.credentials)
        try:
            data = b"" if self._stream.is_closed else await self._stream.receive()
        except (httpx.HTTPError, httpx.StreamError) as exc:
            bare(exc, handled)
            if self._stream.is_closed:
                raise StreamClosedError(f"{self._call.path}: the stream was closed") from exc
            raise StreamError(f"{self._call.path}: the stream broke: {type(exc).__name__}: {exc}") from exc
        finally:
            credentials.reset(ours)
        if not data:
            ended_by = "the stream was closed" if self._stream.is_closed else "the server ended the stream"
            raise StreamClosedError(f"{self._call.path}: {ended_by}")
        return self._read(data)

    async def aclose(self) -> None:
        """Close the connection; whoever cancels, it is closed when this returns."""
        await self._close(self._stream)

    def _read(self, data: bytes) -> list[FeedItem]:
        handled = sys.exception()
        items: list[FeedItem] = []
        for item in self._decoder.feed(data):
            if isinstance(item, Message):
                if item.event not in _INPUT_TYPES:
                    continue
                try:
                    event = self._call.read(item.data)
                except DecodeError as exc:
                    items.append(bare(exc, handled))  # its frames hold the event, and that may tell the bit's secret
                else:
                    if event is not None:
                        items.append(event)
            elif isinstance(item, Retry):
                items.append(item)
            elif isinstance(item, Oversized):
                items.append(DecodeError(f"{self._call.path}: an event of more than {item.limit} bytes"))
        return items
