"""The edges and levels of one input, with hysteresis; no I/O, no clock.

An input is *active* from the reading that reaches the upper threshold, and *idle* from the one that falls to the lower
one; readings between the two change nothing, so that noise there is no edge. Six of the seven names that a webhook may
ask for follow from that (the seventh, ``amplitude``, is every reading):

- ``ignite`` and ``release`` with the reading that enters active and idle, and the level's own name right behind it;
- ``sustain`` and ``nap`` once in each stay, when its level has stood for `Thresholds.hold` seconds. The spec's
  "constant" is the level here, not the voltage: readings may move as they like, as long as none ends the level.

Nothing of the package is imported here: the client and the self-hosted cloud both stand on it.

Source: spec/cloud-http-api-v1-and-webhooks.md, "publisher_events"; wire-facts 7. The band of 68 to 70, that to meet an
end of it is crossing it, and that a first reading within it is idle, are the vendor's own:
https://github.com/littlebits/hysteresis. The second that a level must stand is ours: no record says what theirs was.
"""

import math
import sys
from typing import Final, Literal

from attrs import frozen

__all__ = ["EVENTS", "Amplitude", "Delta", "Level", "Thresholds", "Verdict"]

Level = Literal["active", "idle"]
Delta = Literal["ignite", "release", "sustain", "nap"]

EVENTS: Final = (
    "amplitude:delta:ignite",
    "amplitude:delta:release",
    "amplitude:delta:sustain",
    "amplitude:delta:nap",
    "amplitude:level:active",
    "amplitude:level:idle",
)
"""Every name that a `Verdict` may tell."""

# What is compared with it is finite: not NaN, not infinity, and no int beyond every float.
_LARGEST: Final = sys.float_info.max

_EDGES: Final[dict[Level, Delta]] = {"active": "ignite", "idle": "release"}
_STAYS: Final[dict[Level, Delta]] = {"active": "sustain", "idle": "nap"}


@frozen
class Thresholds:
    """What counts as active, what as idle, and how long either must stand to be told again.

    Attributes:
        high: Percent; a reading at or above it is active.
        low: Percent; a reading at or below it is idle, unless it is active already by reaching ``high``: where the two
            are one number, that number is active.
        hold: Seconds from the entry of a level to its sustain or nap.

    Raises:
        ValueError: Not 0 <= low <= high <= 100, or ``hold`` is negative or not finite.
    """

    high: float = 70.0
    low: float = 68.0
    hold: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 100:  # noqa: PLR2004 - percent
            raise ValueError(f"thresholds must be 0 <= low <= high <= 100, got low={self.low!r}, high={self.high!r}")
        if not 0 <= self.hold <= _LARGEST:
            raise ValueError(f"hold must be a finite number of seconds, at least 0, got {self.hold!r}")

    def level(self, percent: float, before: Level | None = None) -> Level:
        """Say which level a reading is at, given the level before it; a first one between the thresholds is idle.

        Raises:
            ValueError: ``percent`` is not within 0 to 100.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004 - percent; NaN is within nothing
            raise ValueError(f"percent must be 0 to 100, got {percent!r}")
        if percent >= self.high:
            return "active"
        if percent <= self.low:
            return "idle"
        return before or "idle"


@frozen
class Verdict:
    """What a reading, or the passing of time, means.

    Attributes:
        level: Where the input stands.
        delta: What it is doing: an edge with the one reading that made it, ``sustain`` or ``nap`` from their beginning
            to the end of the stay, None in between.
        entered: The names of `EVENTS` that begin here, in the order in which they are to be told.
    """

    level: Level
    delta: Delta | None
    entered: tuple[str, ...] = ()


class Amplitude:
    """Derives the edges and levels of one input from its readings.

    The first reading tells nothing: no edge was seen. A detector that goes on for another, as after a restart, is given
    what that one knew, and tells of the edge that nobody saw.

    Times are seconds on any one clock. One that is earlier than the last counts as the last.

    Args:
        thresholds: What counts as active and idle.
        level: The level before the first reading, where it is known.
        since: When that level was entered, None where that is not known: its stay then counts from the first reading.
        held: Whether the sustain or nap of that stay was told.

    Raises:
        ValueError: An unknown level, a time that is not finite, or what is said of a stay without its level.
    """

    __slots__ = ("_held", "_level", "_now", "_since", "thresholds")

    def __init__(
        self,
        thresholds: Thresholds = Thresholds(),
        *,
        level: Level | None = None,
        since: float | None = None,
        held: bool = False,
    ) -> None:
        if level not in (None, "active", "idle"):
            raise ValueError(f"level must be 'active' or 'idle', got {level!r}")
        if level is None and (since is not None or held):
            raise ValueError("since and held say something of a level, and there is none")
        if since is not None:
            _check_time("since", since)
        self.thresholds = thresholds
        self._level: Level | None = level
        self._since: float | None = since
        self._held = held
        self._now = -math.inf if since is None else since

    @property
    def level(self) -> Level | None:
        """Where the input stands, None before the first reading."""
        return self._level

    @property
    def since(self) -> float | None:
        """When that level was entered, None before the first reading."""
        return self._since

    @property
    def held(self) -> bool:
        """Whether the sustain or nap of this stay was told."""
        return self._held

    @property
    def due(self) -> float:
        """When `tick` has something to tell, unless a reading comes first; infinity where nothing is to come."""
        if self._since is None or self._held:
            return math.inf
        return self._since + self.thresholds.hold

    def feed(self, percent: float, now: float) -> Verdict:
        """Take a reading.

        A sustain or nap that was due by now and that no `tick` told comes first in ``entered``: the level before stood
        until this reading. Its edge and level follow, so what is told, and in which order, does not depend on ticks. No
        stay begins and is held with one reading, not even where ``hold`` is 0.

        Args:
            percent: 0 to 100.
            now: Seconds.

        Raises:
            ValueError: ``percent`` is not within 0 to 100, or ``now`` is not finite; nothing has changed then.
        """
        before = self._level
        level = self.thresholds.level(percent, before)
        late = self.tick(now)
        entered = late.entered if late else ()
        if level != before:
            self._level, self._since, self._held = level, self._now, False
            if before is None:
                return Verdict(level, None)
            edge = _EDGES[level]
            return Verdict(level, edge, (*entered, f"amplitude:delta:{edge}", f"amplitude:level:{level}"))
        if self._since is None:
            self._since = self._now
        return Verdict(level, _STAYS[level] if self._held else None, entered)

    def tick(self, now: float) -> Verdict | None:
        """Let time pass without a reading, and tell the sustain or nap that is due by now, if there is one.

        Args:
            now: Seconds.

        Raises:
            ValueError: ``now`` is not finite.
        """
        _check_time("now", now)
        self._now = max(now, self._now)
        if self._level is None or self._now < self.due:
            return None
        self._held = True
        stay = _STAYS[self._level]
        return Verdict(self._level, stay, (f"amplitude:delta:{stay}",))


def _check_time(name: str, value: float) -> None:
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{name} must be a finite number of seconds, got {value!r}")
