"""An open input stream, from bytes to events."""

import sys
from collections.abc import Awaitable, Callable

from ..errors import DecodeError, StreamClosedError, StreamError
from ..models import InputEvent
from ..sse import Decoder, Message, Oversized, Retry
from ..wire import Call
from ._bytes import Body
from ._discretion import bare

__all__ = ["Feed", "FeedItem"]

FeedItem = InputEvent | DecodeError | Retry
# Other types are for other readers: a ping with data is no broken event.
_INPUT_TYPES = frozenset({"message", "input", "amplitude"})


class Feed:
    """The events of one device's open input stream, as they come.

    Args:
        body: The stream's bytes.
        call: The call that opened it, which reads one event's data.
        close: Closes the stream.
    """

    __slots__ = ("_body", "_call", "_close", "_decoder")

    def __init__(self, body: Body, call: Call[InputEvent | None], close: Callable[[Body], Awaitable[None]]) -> None:
        self._body = body
        self._call = call
        self._close = close
        self._decoder = Decoder()

    async def pump(self, take: Callable[[list[FeedItem]], bool]) -> None:
        """Have ``take`` called with what the bytes of each read completed, until it answers False.

        Called again, it goes on; nothing is read meanwhile. ``take`` must not wait. It may be called by the event loop,
        outside of any task; what it raises is raised here.

        Args:
            take: Is given events, what could not be read as one, and the server's wishes for reconnecting, in order:
                nothing where the bytes completed nothing (a keep-alive, a part of an event), a sign of life all the
                same. Answers whether it wants more.

        Raises:
            StreamClosedError: The server ended the stream.
            StreamError: The connection broke.
        """
        end = await self._body.pump(lambda data: take(self._read(data)))
        if end is None:
            return
        if self._body.is_closed:
            raise StreamClosedError(f"{self._call.path}: the stream was closed") from end.error
        if end.error is not None:
            raise StreamError(
                f"{self._call.path}: the stream broke: {type(end.error).__name__}: {end.error}"
            ) from end.error
        raise StreamClosedError(f"{self._call.path}: the server ended the stream")

    async def aclose(self) -> None:
        """Close the connection; whoever cancels, it is closed when this returns."""
        await self._close(self._body)

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
