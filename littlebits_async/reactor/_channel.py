"""From many producers to one consumer: a bounded buffer, and the waiting on both its sides."""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

from ..buffer import Buffer

__all__ = ["Channel"]

T = TypeVar("T")


class _Waiting(Generic[T]):
    """A producer with an item for which there is no room."""

    __slots__ = ("item", "key", "mergeable", "taken")

    def __init__(self, key: str, item: T, *, mergeable: bool) -> None:
        self.key = key
        self.item = item
        self.mergeable = mergeable
        self.taken = anyio.Event()


class Channel(Generic[T]):
    """A bounded buffer that producers wait for when it is full, and its consumer when it is empty.

    Neither side wakes the other while there is both room and something to take. Producers are served first come, first
    served, so that a busy one does not keep the others out.

    Args:
        buffer: Holds the items.
        check: Called before the consumer waits on an empty buffer; raises what there is to raise instead.
    """

    def __init__(self, buffer: Buffer[T], check: Callable[[], None]) -> None:
        self.buffer = buffer
        self._check = check
        self._waiting: deque[_Waiting[T]] = deque()
        self._taken_from = False  # by a consumer that waits, or was woken and has not run since
        self._asleep = False  # that consumer, until it is woken
        self._bell: anyio.Semaphore | None = None

    def offer(self, key: str, item: T, *, mergeable: bool = True) -> bool:
        """Put an item in, where there is room for it and nobody in line before it."""
        if self._waiting or not self.buffer.put(key, item, mergeable=mergeable):
            return False
        if self._asleep:
            self.wake()
        return True

    async def put(self, key: str, item: T, *, mergeable: bool = True) -> None:
        """Put an item in; wait for room where there is none."""
        if self.offer(key, item, mergeable=mergeable):
            return
        waiting = _Waiting(key, item, mergeable=mergeable)
        self._waiting.append(waiting)
        try:
            await waiting.taken.wait()
        except BaseException:
            if not waiting.taken.is_set():
                self._waiting.remove(waiting)
            raise

    @property
    def ready(self) -> bool:
        """Whether `get_nowait` has something to take, and nobody else is about to."""
        return not self._taken_from and bool(self.buffer)

    async def get(self) -> T:
        """Take the first item; wait for one where there is none.

        Raises:
            anyio.BusyResourceError: Another task is in here.
        """
        if not self.ready:
            await self._until_something()
        return self.get_nowait()

    def get_nowait(self) -> T:
        """Take the first item, where it is `ready`."""
        item = self.buffer.pop()
        if self._waiting:
            self._admit()
        return item

    async def get_all(self) -> list[T]:
        """Take all items there are; wait for one where there is none.

        Raises:
            anyio.BusyResourceError: Another task is in here.
        """
        if self._taken_from or not self.buffer:
            await self._until_something()
        items = self.buffer.drain()
        self._admit()
        return items

    def discard(self, key: str) -> None:
        """Drop a key's items."""
        self.buffer.discard(key)
        self._admit()

    def wake(self) -> None:
        """Have the consumer look again."""
        if self._asleep:
            self._asleep = False
            assert self._bell is not None  # noqa: S101 - somebody sleeps by it
            self._bell.release()

    def clear(self) -> None:
        """Drop all items, those that wait for room included."""
        self.buffer.drain()
        while self._waiting:
            self._waiting.popleft().taken.set()

    async def _until_something(self) -> None:
        if self._taken_from:
            raise anyio.BusyResourceError("iterating over")
        if self._bell is None:
            # An event that can be used again: a new anyio.Event for each wait costs twice as much. A cancelled wait may
            # leave it rung, and then the next one looks once more.
            self._bell = anyio.Semaphore(0, fast_acquire=True)
        self._taken_from = True
        try:
            while not self.buffer:
                self._check()
                self._asleep = True
                await self._bell.acquire()
        finally:
            self._taken_from = self._asleep = False

    def _admit(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if not self.buffer.put(first.key, first.item, mergeable=first.mergeable):
                return
            self._waiting.popleft()
            first.taken.set()
            self.wake()
