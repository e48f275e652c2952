"""One open input stream as an async context manager of an async iterator, without reconnects."""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import anyio
import anyio.abc

from .._iteration import Iteration
from .._tasks import leave
from ..errors import StreamClosedError, StreamStalledError
from ..models import InputEvent
from ..transport import Feed, FeedItem

__all__ = ["InputStream"]


class InputStream(Iteration[InputEvent]):
    """The events of one device's input; opened by ``async with``, once, and ended with it.

    A timeout of your own around an ``anext`` loses nothing, and the stream goes on: a task of the block reads, at most
    64 KiB ahead of you.

    Attributes:
        device_id: The device.
        skipped: Events that could not be used so far.
    """

    def __init__(self, device_id: str, *, stall_after: float | None, open_feed: Callable[[], Awaitable[Feed]]) -> None:
        self.device_id = device_id
        self.skipped = 0
        self._stall_after = math.inf if stall_after is None else stall_after
        self._open_feed = open_feed
        self._entered = False
        self._feed: Feed | None = None
        self._group: anyio.abc.TaskGroup | None = None
        self._reading: anyio.CancelScope | None = None
        self._ready: deque[InputEvent] = deque()
        self._error: Exception | None = None
        self._heard = anyio.Event()
        self._taken = anyio.Event()
        self._waits_since: float | None = None
        self._guard = anyio.ResourceGuard("iterating over")

    async def __aenter__(self) -> Self:
        if self._entered:
            raise StreamClosedError(f"device {self.device_id}: a stream can be entered once; open another")
        self._entered = True
        self._feed = await self._open_feed()
        self._reading = anyio.CancelScope()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._read, self._feed, self._reading, name=f"input of {self.device_id}")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None  # noqa: S101 - entered
        try:
            await self.aclose()
        finally:
            await leave(self._group, exc_type, exc, tb)

    async def _read(self, feed: Feed, scope: anyio.CancelScope) -> None:
        """Read a chunk, and the next when its events are taken."""
        try:
            with scope:
                while True:
                    await feed.pump(self._take)
                    while self._ready:
                        self._taken = anyio.Event()
                        await self._taken.wait()
        except Exception as exc:  # noqa: BLE001 - raised where somebody iterates
            self._error = exc
        finally:
            if self._error is None:
                self._error = StreamClosedError(f"device {self.device_id}: the stream was closed")
            self._heard.set()

    def _take(self, items: list[FeedItem]) -> bool:
        self._ready.extend(item for item in items if isinstance(item, InputEvent))
        self.skipped += sum(isinstance(item, Exception) for item in items)
        self._waits_since = None
        self._heard.set()
        return not self._ready

    async def _next(self) -> InputEvent:
        if self._feed is None:
            raise StreamClosedError(f"device {self.device_id}: open the stream with `async with` first")
        with self._guard:
            while not self._ready:
                if self._error is not None:
                    raise self._error
                await self._wait()
            event = self._ready.popleft()
            if not self._ready:
                self._taken.set()
            return event

    async def _wait(self) -> None:
        """Wait for bytes; the silence counts while somebody waits, also through several waits that were given up."""
        if self._waits_since is None:
            self._waits_since = anyio.current_time()
        self._heard = anyio.Event()
        with anyio.CancelScope(deadline=self._waits_since + self._stall_after) as scope:
            await self._heard.wait()
        if scope.cancelled_caught and not self._heard.is_set():
            await self.aclose()
            raise StreamStalledError(
                f"device {self.device_id}: nothing came for {self._stall_after} s; the bit may be off line"
            )

    async def aclose(self) -> None:
        """Close the connection; no more events come."""
        self._ended = True
        if self._reading is not None:
            self._reading.cancel()
        if self._feed is not None:
            await self._feed.aclose()
