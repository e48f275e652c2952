"""One open input stream as an async context manager of an async iterator, without reconnects."""

from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio

from .._iteration import Iteration
from ..errors import StreamClosedError, StreamStalledError
from ..models import InputEvent
from ..transport import Feed

__all__ = ["InputStream"]


class InputStream(Iteration[InputEvent]):
    """The events of one device's input; opened by ``async with``, ended with it.

    Attributes:
        device_id: The device.
        skipped: Events that could not be used so far.
    """

    def __init__(self, device_id: str, *, stall_after: float | None, open_feed: Callable[[], Awaitable[Feed]]) -> None:
        self.device_id = device_id
        self.skipped = 0
        self._stall_after = stall_after
        self._open_feed = open_feed
        self._feed: Feed | None = None
        self._ready: deque[InputEvent] = deque()
        self._guard = anyio.ResourceGuard("iterating over")

    async def __aenter__(self) -> Self:
        self._feed = await self._open_feed()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _next(self) -> InputEvent:
        if self._feed is None:
            raise StreamClosedError(f"device {self.device_id}: open the stream with `async with` first")
        with self._guard:
            while not self._ready:
                with anyio.move_on_after(self._stall_after) as scope:
                    items = await self._feed.receive()
                    self._ready.extend(item for item in items if isinstance(item, InputEvent))
                    self.skipped += sum(isinstance(item, Exception) for item in items)
                if scope.cancelled_caught:
                    await self.aclose()
                    raise StreamStalledError(
                        f"device {self.device_id}: nothing came for {self._stall_after} s; the bit may be off line"
                    )
            return self._ready.popleft()

    async def aclose(self) -> None:
        """Close the connection; no more events come."""
        self._ended = True
        if self._feed is not None:
            await self._feed.aclose()
