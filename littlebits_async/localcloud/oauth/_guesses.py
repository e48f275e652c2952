"""How often somebody may be wrong about a secret; no I/O, no clock."""

from collections import OrderedDict, deque
from typing import Final

__all__ = ["Guesses"]

_MOST: Final = 10_000
"""How many to know of."""


class Guesses:
    """A moving window of wrong guesses for each who guesses.

    All secrets here have 128 bits and more, so this is not what keeps them: it bounds the work, and the noise.

    Args:
        most: Wrong guesses in any window.
        window: Seconds.
    """

    def __init__(self, most: int = 20, window: float = 60.0) -> None:
        self._most = most
        self._window = window
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, who: str, now: float) -> float:
        """Tell in how many seconds somebody may guess again; 0 for now."""
        times = self._wrong.get(who)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._window - now)

    def note(self, who: str, now: float) -> None:
        """Count a wrong one."""
        times = self._wrong.setdefault(who, deque(maxlen=self._most))
        times.append(now)
        self._wrong.move_to_end(who)
        if len(self._wrong) > _MOST:
            self._wrong.popitem(last=False)
