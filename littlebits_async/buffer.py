"""The bounded buffer between many streams and one consumer, and what it does when it is full.

Pure and synchronous: who must wait, waits in the reactor. Items are kept by the key of the device that they belong to.
The order is that of arrival; whatever the policy, items of one key leave in the order in which they were put.

Source: design.md R1, R2.
"""

import operator
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

from .errors import InvalidArgumentError

__all__ = ["Buffer", "Overflow", "make_buffer"]

T = TypeVar("T")


class Overflow(StrEnum):
    """What a full buffer does with one more event.

    Source: design.md R2.
    """

    BLOCK = "block"
    """Takes no more: the streams wait, and nothing is lost here."""
    DROP_OLDEST = "drop-oldest"
    """Drops the oldest event of the device that has most of them queued."""
    LATEST = "latest"
    """Keeps the newest event of each device, full or not; pushed delta events are kept besides."""


class Buffer(ABC, Generic[T]):
    """A bounded queue of items by key.

    Attributes:
        capacity: The greatest number of items held.
        dropped: Items that the policy dropped since the buffer was made.
        on_drop: Is told the key of each item that the policy drops; None tells nobody.
    """

    __slots__ = ("capacity", "dropped", "on_drop")
    on_drop: Callable[[str], None] | None

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.dropped = 0
        self.on_drop = None

    @property
    def full(self) -> bool:
        """Whether one more item would be refused, or would cost another its place."""
        return len(self) >= self.capacity

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def put(self, key: str, item: T, *, mergeable: bool = True) -> bool:
        """Queue an item.

        Args:
            key: The device that the item belongs to.
            item: The item.
            mergeable: Whether a newer item of the same key may stand for it; only ``LATEST`` asks.

        Returns:
            Whether the item was taken. Only a full ``BLOCK`` refuses; try again after `pop`, `drain` or `discard`.
        """

    @abstractmethod
    def pop(self) -> T:
        """Remove and return the item that is first in line.

        Raises:
            IndexError: The buffer is empty.
        """

    @abstractmethod
    def drain(self) -> list[T]:
        """Remove and return all items, first in line first."""

    @abstractmethod
    def discard(self, key: str) -> int:
        """Remove a key's items and forget its count of dropped ones.

        Returns:
            The number of items removed; they do not count as dropped.
        """

    @abstractmethod
    def dropped_by(self, key: str) -> int:
        """Return how many items of a key the policy dropped, since the key was last discarded."""


# The caller's annotation binds T: `buffer: Buffer[InputEvent] = make_buffer(...)`.
def make_buffer(capacity: int, overflow: Overflow) -> Buffer[T]:  # pyright: ignore[reportInvalidTypeVarUse]
    """Return an empty buffer.

    Args:
        capacity: The greatest number of items that it holds, over all keys.
        overflow: What it does when it is full.

    Raises:
        InvalidArgumentError: ``capacity`` is not a positive integer, or ``overflow`` is none of `Overflow`.
    """
    try:
        size = operator.index(capacity)
    except TypeError:
        size = 0
    if size < 1:
        raise InvalidArgumentError(f"capacity must be a positive integer, got {capacity!r}")
    try:
        overflow = Overflow(overflow)
    except ValueError:
        raise InvalidArgumentError(f"overflow must be one of {', '.join(Overflow)}, got {overflow!r}") from None
    if overflow is Overflow.BLOCK:
        return _Blocking(size)
    if overflow is Overflow.DROP_OLDEST:
        return _DropOldest(size)
    return _Latest(size)


class _Blocking(Buffer[T]):
    """Two deques in step: no object is made for an item, and to drain is to copy."""

    __slots__ = ("_items", "_keys")

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._items: deque[T] = deque()
        self._keys: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: str, item: T, *, mergeable: bool = True) -> bool:
        del mergeable
        if len(self._items) >= self.capacity:
            return False
        self._items.append(item)
        self._keys.append(key)
        return True

    def pop(self) -> T:
        item = self._items.popleft()
        self._keys.popleft()
        return item

    def drain(self) -> list[T]:
        items = list(self._items)
        self._items.clear()
        self._keys.clear()
        return items

    def discard(self, key: str) -> int:
        before = len(self._items)
        kept = [(k, item) for k, item in zip(self._keys, self._items, strict=True) if k != key]
        self._keys = deque(k for k, _ in kept)
        self._items = deque(item for _, item in kept)
        return before - len(kept)

    def dropped_by(self, key: str) -> int:
        del key
        return 0


class _DropOldest(Buffer[T]):
    """Items by ticket, in one line over all keys and in one for each; keys ranked by the length of theirs.

    OrderedDicts because each line loses items at both ends and in the middle, and a dict whose front was deleted is
    searched from its beginning. Every step of put and pop costs the same, however many keys and items there are.
    """

    __slots__ = ("_dropped_by", "_keys", "_longest", "_queues", "_ranks", "_ticket")

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._ticket = 0
        self._keys: OrderedDict[int, str] = OrderedDict()  # the key of each ticket
        self._queues: dict[str, OrderedDict[int, T]] = {}  # no queue is empty
        # The keys that have n items, in the order in which they came to have n; no rank is empty.
        self._ranks: dict[int, OrderedDict[str, None]] = {}
        self._longest = 0  # the highest rank
        self._dropped_by: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, key: str, item: T, *, mergeable: bool = True) -> bool:
        del mergeable
        self._append(key, item)
        return True

    def pop(self) -> T:
        if not self._keys:
            raise IndexError("pop from an empty buffer")
        ticket, key = next(iter(self._keys.items()))
        return self._take(key, ticket)

    def drain(self) -> list[T]:
        items = [self._queues[key][ticket] for ticket, key in self._keys.items()]
        self._keys.clear()
        self._queues.clear()
        self._ranks.clear()
        self._longest = 0
        return items

    def discard(self, key: str) -> int:
        self._dropped_by.pop(key, None)
        tickets = list(self._queues.get(key, ()))
        for ticket in tickets:
            self._take(key, ticket)
        return len(tickets)

    def dropped_by(self, key: str) -> int:
        return self._dropped_by.get(key, 0)

    def _append(self, key: str, item: T) -> int:
        """Queue an item behind all others, make room for it if it is one too many, and return its ticket."""
        self._ticket += 1
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = OrderedDict()
        queue[self._ticket] = item
        self._keys[self._ticket] = key
        self._rank(key, len(queue) - 1, len(queue))
        if len(self._keys) > self.capacity:
            # The newcomer counts, so the device that floods pays. Of equals it is the one that has had so many for
            # the longest: never the newcomer itself, not even where every device has one.
            longest = next(iter(self._ranks[self._longest]))
            self._drop(longest, next(iter(self._queues[longest])))
        return self._ticket

    def _drop(self, key: str, ticket: int) -> None:
        self._take(key, ticket)
        self._count(key)

    def _count(self, key: str) -> None:
        self.dropped += 1
        self._dropped_by[key] = self._dropped_by.get(key, 0) + 1
        if self.on_drop is not None:
            self.on_drop(key)

    def _take(self, key: str, ticket: int) -> T:
        """Remove an item from wherever it stands."""
        queue = self._queues[key]
        item = queue.pop(ticket)
        del self._keys[ticket]
        if not queue:
            del self._queues[key]
        self._rank(key, len(queue) + 1, len(queue))
        return item

    def _rank(self, key: str, before: int, after: int) -> None:
        """Move a key to the next rank up or down."""
        if before:
            rank = self._ranks[before]
            del rank[key]
            if not rank:
                del self._ranks[before]
        if after:
            self._ranks.setdefault(after, OrderedDict())[key] = None
        # A rank that is left empty at the top has its key one below.
        if after > self._longest or (before == self._longest and before not in self._ranks):
            self._longest = after


class _Latest(_DropOldest[T]):
    """At most one mergeable item for each key, and it is the newest."""

    __slots__ = ("_mergeable",)

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._mergeable: dict[str, int] = {}  # the ticket of each key's last mergeable item, queued or gone

    def put(self, key: str, item: T, *, mergeable: bool = True) -> bool:
        if not mergeable:
            self._append(key, item)
            return True
        ticket = self._mergeable.get(key)
        queue = self._queues.get(key)
        if ticket is not None and queue is not None and ticket in queue:
            if ticket == next(reversed(queue)):
                # In the old one's place: a device that is read often is not served late for it.
                queue[ticket] = item
                self._count(key)
                return True
            # Something that cannot be merged came since, and must not be overtaken.
            self._drop(key, ticket)
        self._mergeable[key] = self._append(key, item)
        return True

    def discard(self, key: str) -> int:
        self._mergeable.pop(key, None)
        return super().discard(key)
