"""What the operators do with the events of one device; no I/O, no clock.

Times are the events' own, in milliseconds.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from attrs import evolve

from ..amplitude import Level, Thresholds
from ..models import InputEvent

__all__ = ["Changes", "Core", "Debounce", "Edges", "Levels", "Smooth", "Throttle", "Windows"]

T = TypeVar("T")

_FULL_SCALE: Final = 100.0


class Core(ABC, Generic[T]):
    """Takes events, and gives what comes of them: at once, or when it is due.

    Attributes:
        holds: Whether it may hold something back.
        due: When what it holds is to be released, unless an event at or after that time does it; infinity where it
            holds nothing.
    """

    holds: bool = False
    due: float = math.inf

    def feed(self, event: InputEvent) -> Iterable[T]:
        """Take an event."""
        if event.timestamp_ms >= self.due:
            yield from self.release()
        yield from self._take(event)

    @abstractmethod
    def _take(self, event: InputEvent) -> Sequence[T]: ...

    def release(self) -> Sequence[T]:
        """Give what is held: it is due, or no more events come."""
        return ()


class Levels(Core[InputEvent]):
    """The first event, and each that enters another level."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._level: Level | None = None

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        before, level = self._enter(event)
        return () if level == before else (evolve(event, level=level),)

    def _enter(self, event: InputEvent) -> tuple[Level | None, Level]:
        before = self._level
        # A server may say more than 100, or less than 0.
        percent = min(max(event.percent, 0.0), _FULL_SCALE)
        self._level = self._thresholds.level(percent, before)
        return before, self._level


class Edges(Levels):
    """Each event that enters a level from the other one."""

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        before, level = self._enter(event)
        if before is None or level == before:
            return ()
        return (evolve(event, level=level, delta="ignite" if level == "active" else "release"),)


class Changes(Core[InputEvent]):
    """The first event, and each that is another percent than the last one given, by so much at least."""

    def __init__(self, by: float) -> None:
        self._by = by
        self._last: float | None = None

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        if self._last is not None and (event.percent == self._last or abs(event.percent - self._last) < self._by):
            return ()
        self._last = event.percent
        return (event,)


class Smooth(Core[InputEvent]):
    """Each event, its percent drawn to those before it, by a weight that fades with time."""

    def __init__(self, over: int) -> None:
        self._over = over
        self._last: InputEvent | None = None

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        if (last := self._last) is not None:
            passed = max(event.timestamp_ms - last.timestamp_ms, 0)
            kept = math.exp(-passed / self._over)
            event = evolve(event, percent=kept * last.percent + (1 - kept) * event.percent)
        self._last = event
        return (event,)


class Debounce(Core[InputEvent]):
    """The last event before a silence."""

    holds = True

    def __init__(self, quiet: int) -> None:
        self._quiet = quiet
        self._held: InputEvent | None = None

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        self._held = event
        self.due = event.timestamp_ms + self._quiet
        return ()

    def release(self) -> Sequence[InputEvent]:
        held, self._held = self._held, None
        self.due = math.inf
        return () if held is None else (held,)


class Throttle(Core[InputEvent]):
    """One event of each pause, the first; and its last, if wanted, when the pause is over, which begins another.

    Of one that was over before they came, its last events are of the next.
    """

    def __init__(self, every: int, *, trailing: bool) -> None:
        self.holds = trailing
        self._every = every
        self._begin: float = math.inf
        self._late: float = math.inf  # events from here on, and before the begin, come late
        self._held: InputEvent | None = None

    def _take(self, event: InputEvent) -> Sequence[InputEvent]:
        now = event.timestamp_ms
        if not self._late <= now < self._begin + self._every:  # also before it: the clock was set back
            held = self.release()
            self._begin = self._late = now
            return (*held, event)
        if now >= self._begin:
            self._late = self._begin
        if self.holds:
            self._held = event
            self.due = self._begin + self._every
        return ()

    def release(self) -> Sequence[InputEvent]:
        if self._held is None:
            return ()
        held, self._held = self._held, None
        self._begin, self.due = self.due, math.inf
        return (held,)


class Windows(Core[T]):
    """Spans of one length, the first from the first event on; what is made of each that has events.

    Of one that was told before they came, its last events are of the next.

    Args:
        every: Their length.
        make: Makes it.
        keep: How many events it needs, the newest; None for all.
    """

    holds = True

    def __init__(self, every: int, make: Callable[[Sequence[InputEvent]], T], *, keep: int | None = None) -> None:
        self._every = every
        self._make = make
        self._begin = 0
        self._late: float = math.inf  # events from here on, and before the begin, come late
        self._held: deque[InputEvent] = deque(maxlen=keep)

    def _take(self, event: InputEvent) -> Sequence[T]:
        now = event.timestamp_ms
        before: Sequence[T] = ()
        if now < self._late:  # the first, or the clock was set back: from here on anew
            before = self.release()
            self._begin = now
        if now >= self._begin:
            self._begin += (now - self._begin) // self._every * self._every
            self._late = self._begin
        self._held.append(event)
        self.due = self._begin + self._every
        return before

    def release(self) -> Sequence[T]:
        self.due = math.inf
        if not self._held:
            return ()
        made = self._make(self._held)
        self._held.clear()
        self._begin += self._every
        return (made,)
