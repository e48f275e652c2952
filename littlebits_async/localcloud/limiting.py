"""The hour's requests of each token: 1800 in any hour, counted on arrival.

Source: spec/cloud-api-v2.txt, "Rate limiting": 1800 requests an hour for each key, else a 429 with a
``rate_limit_exceeded`` error. No 429 was ever recorded, so which field has that word is unknown: here ``error`` is it
and ``message`` begins with it. The headers are ours; ``RateLimit-Reset`` and ``Retry-After`` are seconds until one
request comes back. The count is in memory: a cloud that is started anew begins a new hour for everybody.
"""

import time
from http import HTTPStatus
from typing import Final

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from .answers import Refusal

__all__ = ["RequestLimit"]

_WORD: Final = "rate_limit_exceeded"


class RequestLimit:
    """A moving window of one hour for each token.

    Args:
        limit: Requests allowed in any hour.

    Attributes:
        limit: The same.
        refused: How many requests were refused so far.

    Raises:
        ValueError: The limit is less than 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1 request an hour, not {limit!r}")
        self.limit = limit
        self.refused = 0
        self._item = RateLimitItemPerHour(limit)
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)

    def spend(self, key: str) -> dict[str, str]:
        """Count a request and give the headers that tell what is left.

        Raises:
            Refusal: 429; a refused request is not counted.
        """
        granted = self._limiter.hit(self._item, key)
        reset_time, remaining = self._limiter.get_window_stats(self._item, key)
        # Rounded up, and past the very moment at which the oldest request still counts.
        wait = max(int(reset_time - time.time()) + 1, 1)
        headers = {
            "ratelimit-limit": str(self.limit),
            "ratelimit-remaining": str(remaining),
            "ratelimit-reset": str(wait),
        }
        if not granted:
            self.refused += 1
            message = f"{_WORD}: at most {self.limit} requests an hour; try again in {wait} s"
            headers["retry-after"] = str(wait)
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, message, error=_WORD, headers=headers)
        return headers

    def spent(self, key: str) -> int:
        """Count the requests granted in the hour that ends now."""
        return self.limit - self._limiter.get_window_stats(self._item, key).remaining

    def close(self) -> None:
        """End the thread in which the storage forgets old requests; the next request starts it anew."""
        self._storage.timer.cancel()
        self._storage.timer.join()
