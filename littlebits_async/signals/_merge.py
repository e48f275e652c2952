"""Several sources in one."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from inspect import isasyncgen
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc

from .._iteration import Iteration
from .._tasks import leave
from ..errors import SessionClosedError

__all__ = ["Merged", "merge"]

T = TypeVar("T")


def merge(*sources: AsyncIterable[T]) -> "Merged[T]":
    """Read several sources at once.

    ``async with merge(reactor, receiver) as events: async for event in events: …``

    Items come as they come, those of one source in its order, and from each in turn where all are ready. It ends when
    all sources have ended. The first error ends it for all: it is raised after what came before it, and on leaving the
    block if nobody iterated to see it.

    Each source is read by a task of the block, one item ahead at most. So a wait for the next item can be given up,
    whatever the sources are; and leaving the block loses of each source the item that nobody had taken yet. It also
    ends those sources that are async generator functions, which do not survive that; no others.

    Recorded events are there already: ``heapq.merge(a, b, key=lambda event: event.timestamp_ms)``.
    """
    return Merged(sources)


class Merged(Iteration[T]):
    """What `merge` makes; entered once."""

    def __init__(self, sources: tuple[AsyncIterable[T], ...]) -> None:
        self._sources = sources
        self._running = len(sources)
        self._ready: deque[tuple[T, anyio.Event]] = deque()
        self._news = anyio.Event()
        self._error: Exception | None = None
        self._told = False
        self._group: anyio.abc.TaskGroup | None = None
        self._reading: anyio.CancelScope | None = None
        self._guard = anyio.ResourceGuard("iterating over")

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise SessionClosedError("merge(): can be entered once")
        iterators = [] if self._ended else [aiter(source) for source in self._sources]
        self._reading = anyio.CancelScope()
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run, iterators, self._reading, name="merge")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None  # noqa: S101 - entered
        await self.aclose()
        await leave(self._group, exc_type, exc, tb)
        if exc is None and self._error is not None and not self._told:
            raise self._error

    async def _run(self, iterators: Sequence[AsyncIterator[T]], reading: anyio.CancelScope) -> None:
        with reading:
            async with anyio.create_task_group() as tasks:
                for iterator in iterators:
                    tasks.start_soon(self._read, iterator, reading, name=f"merge of {type(iterator).__name__}")

    async def _read(self, iterator: AsyncIterator[T], reading: anyio.CancelScope) -> None:
        try:
            async for item in iterator:
                taken = anyio.Event()
                self._ready.append((item, taken))
                self._news.set()
                await taken.wait()
        except Exception as exc:  # noqa: BLE001 - raised where somebody iterates
            if self._error is None:
                self._error = exc
            reading.cancel()
        finally:
            self._running -= 1
            self._news.set()
            ours = all(iterator is not source for source in self._sources)
            if (ours or isasyncgen(iterator)) and (close := getattr(iterator, "aclose", None)) is not None:
                with anyio.CancelScope(shield=True):
                    await close()

    async def _next(self) -> T:
        if self._group is None:
            raise SessionClosedError("merge(): enter it with `async with` first")
        with self._guard:
            while not self._ready:
                if self._error is not None and not self._told:
                    self._told = True
                    raise self._error
                if self._ended or not self._running:
                    raise StopAsyncIteration
                self._news = anyio.Event()
                await self._news.wait()
            item, taken = self._ready.popleft()
            taken.set()
            return item

    async def aclose(self) -> None:
        """End the reading, and with it the iteration, for whoever waits in it too."""
        await super().aclose()
        self._ready.clear()
        self._news.set()
        if self._reading is not None:
            self._reading.cancel()
