"""How often somebody may be wrong about a secret; no I/O, no clock."""

from collections import OrderedDict, deque
from typing import Final

__all__ = ["Guesses"]

_MOST_SOURCES: Final = 10_000


class Guesses:
    """A moving window of wrong guesses for each source of them: mostly an address.

    The secrets that the cloud makes have 128 bits and more, so this is not what keeps them: it bounds the work, and the
    noise. Passwords, which people make, it does keep.

    Args:
        most: Wrong guesses in any window.
        window: Seconds.
    """

    def __init__(self, most: int = 20, window: float = 60.0) -> None:
        self._most = most
        self._window = window
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, source: str, now: float) -> float:
        """Tell in how many seconds a source may guess again; 0 for now."""
        times = self._wrong.get(source)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._window - now)

    def note(self, source: str, now: float) -> None:
        """Count a wrong one."""
        times = self._wrong.setdefault(source, deque(maxlen=self._most))
        times.append(now)
        self._wrong.move_to_end(source)
        if len(self._wrong) > _MOST_SOURCES:
            self._wrong.popitem(last=False)
