"""The operators."""

import math
from collections.abc import Sequence

from ..amplitude import Thresholds
from ..errors import InvalidArgumentError
from ..models import InputEvent
from ._cores import Changes, Core, Debounce, Edges, Levels, Smooth, Throttle, Windows
from ._operator import operator

__all__ = ["changes", "debounce", "edges", "levels", "sample", "smooth", "throttle", "window"]

_DEFAULT = Thresholds()


@operator
def edges(*, high: float = _DEFAULT.high, low: float = _DEFAULT.low) -> Core[InputEvent]:
    """Give the events at which an input becomes active (``ignite``) or idle (``release``).

    ``delta`` and ``level`` of each are filled in, as in the events that a webhook brings. The first event is no edge:
    nobody knows what was before it.

    Args:
        high: Percent; an input that reaches it is active.
        low: Percent; an input that falls to it is idle. Between the two it stays what it was.

    Raises:
        InvalidArgumentError: Not 0 <= low <= high <= 100.
    """
    return Edges(_thresholds(high, low))


@operator
def levels(*, high: float = _DEFAULT.high, low: float = _DEFAULT.low) -> Core[InputEvent]:
    """Give the first event, and each at which the input enters another level; ``level`` is filled in.

    What is to follow an input, whatever it was before, follows this; what is to happen at an edge, `edges`.

    Args:
        high: Percent; an input that reaches it is ``active``.
        low: Percent; an input that falls to it is ``idle``, and so is a first one between the two.

    Raises:
        InvalidArgumentError: Not 0 <= low <= high <= 100.
    """
    return Levels(_thresholds(high, low))


@operator
def changes(*, by: float = 0.0) -> Core[InputEvent]:
    """Give the first event, and each whose percent differs from the one given last.

    Args:
        by: Percent that it differs at least.

    Raises:
        InvalidArgumentError: ``by`` is negative or not finite.
    """
    if not 0 <= by < math.inf:
        raise InvalidArgumentError(f"by: percent from 0 on, not {by!r}")
    return Changes(by)


@operator
def debounce(*, quiet: float) -> Core[InputEvent]:
    """Give an event when no other has followed it for a while.

    A cloudBit sends events whether its input moves or not; to wait until it rests, debounce its `changes`.

    Args:
        quiet: Seconds without another.

    Raises:
        InvalidArgumentError: Less than a millisecond, or not finite.
    """
    return Debounce(_milliseconds("quiet", quiet))


@operator
def throttle(*, every: float, trailing: bool = False) -> Core[InputEvent]:
    """Give an event, and none of those that follow it for a while.

    Args:
        every: Seconds from one that is given to the next, at least.
        trailing: Give the last of those besides, when that time is over; then it counts anew. So what comes last is
            never kept back for good.

    Raises:
        InvalidArgumentError: Less than a millisecond, or not finite.
    """
    return Throttle(_milliseconds("every", every), trailing=trailing)


@operator
def sample(*, every: float) -> Core[InputEvent]:
    """Give the newest event of each span of time, at its end; none where there was none.

    The spans count from a device's first event. To ask a bit seldom, rather than to hear it seldom, see
    `CloudBit.samples`.

    Args:
        every: Seconds of each span.

    Raises:
        InvalidArgumentError: Less than a millisecond, or not finite.
    """
    return Windows(_milliseconds("every", every), _newest, keep=1)


@operator
def smooth(*, over: float) -> Core[InputEvent]:
    """Give each event with its percent drawn to those before it: an exponential moving average.

    A reading counts by the time since the last one, so it does not matter how often an input is read. ``volts`` follow
    ``percent``; ``absolute`` stays what the converter said.

    Args:
        over: Seconds after which a step of the input is told to 63 %, after three times as much to 95 %.

    Raises:
        InvalidArgumentError: Less than a millisecond, or not finite.
    """
    return Smooth(_milliseconds("over", over))


@operator
def window(*, every: float) -> Core[tuple[InputEvent, ...]]:
    """Give all events of each span of time, at its end; nothing where there was none.

    The spans count from a device's first event, and each gives the events of one device. They are held until then.

    Args:
        every: Seconds of each span.

    Raises:
        InvalidArgumentError: Less than a millisecond, or not finite.
    """
    return Windows(_milliseconds("every", every), _all)


def _newest(events: Sequence[InputEvent]) -> InputEvent:
    return events[-1]


def _all(events: Sequence[InputEvent]) -> tuple[InputEvent, ...]:
    return tuple(events)


def _thresholds(high: float, low: float) -> Thresholds:
    try:
        return Thresholds(high=high, low=low)
    except ValueError as exc:
        raise InvalidArgumentError(str(exc)) from None


def _milliseconds(name: str, seconds: float) -> int:
    """Take a span as the events count it: in whole milliseconds."""
    if not 0.001 <= seconds < math.inf:  # noqa: PLR2004 - a millisecond
        raise InvalidArgumentError(f"{name}: seconds, a millisecond at least, not {seconds!r}")
    return round(seconds * 1000)
