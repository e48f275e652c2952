"""How long to hold all requests after a 429; no I/O, no clock."""

from typing import Final

from ..backoff import LONGEST_ASKED_WAIT

__all__ = ["RateLimitHold"]

FIRST: Final = 60.0


class RateLimitHold:
    """Decides the hold that a 429 brings: what the server says, else 60 s doubling, at most an hour.

    A thousand requests on their way when the limit was hit bring a thousand 429s of one cause; those sent before the
    last hold began do not double it.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._next = FIRST

    def limited(self, *, sent_at: float, now: float, retry_after: float | None) -> float:
        """Take note of a 429, and return how many seconds to hold from ``now``; 0 where a hold has begun already."""
        if retry_after is None:
            if self._began is not None and sent_at < self._began:
                return 0.0
            seconds = self._next
            self._next = min(2 * self._next, LONGEST_ASKED_WAIT)
        else:
            seconds = min(retry_after, LONGEST_ASKED_WAIT)
        self._began = now
        return seconds

    def served(self, *, sent_at: float) -> None:
        """Take note that a request was served: one sent after the last hold began ends the doubling."""
        if self._began is None or sent_at >= self._began:
            self._next = FIRST
