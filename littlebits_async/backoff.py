"""How long to wait before try n; no I/O, no clock.

Source: design.md R3; https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("full jitter").
"""

import math
import operator
import random
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from .errors import (
    APIError,
    InvalidArgumentError,
    LittleBitsError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    TransportError,
)

__all__ = ["LONGEST_ASKED_WAIT", "Backoff", "RetryPolicy"]

LONGEST_ASKED_WAIT: Final = 3600.0
"""Seconds; a server that asks for a longer wait (``retry:``, ``Retry-After``) gets this one."""

_GATEWAY: Final = frozenset({502, 503, 504})


@frozen
class Backoff:
    """Exponential backoff with full jitter.

    Attributes:
        base: Seconds, the ceiling of the first wait; above 0.
        factor: What each further try multiplies the ceiling by; at least 1.
        cap: Seconds, the highest ceiling; at least ``base``.
        healthy_after: Seconds from the first to the last event on one connection, after which a stream has proved
            healthy and counts its tries from 1 again; at least 0.

    Raises:
        InvalidArgumentError: A value is out of its range, or no finite number.

    Source: design.md R3 (what counts as healthy).
    """

    base: float = 0.5
    factor: float = 2.0
    cap: float = 60.0
    healthy_after: float = 30.0

    def __attrs_post_init__(self) -> None:
        for name in ("base", "factor", "cap", "healthy_after"):
            _check_finite(name, getattr(self, name))
        if self.base <= 0:
            raise InvalidArgumentError(f"base must be above 0 seconds, got {self.base!r}")
        if self.factor < 1:
            raise InvalidArgumentError(f"factor must be at least 1, got {self.factor!r}")
        if self.cap < self.base:
            raise InvalidArgumentError(f"cap must be at least base ({self.base!r} seconds), got {self.cap!r}")
        if self.healthy_after < 0:
            raise InvalidArgumentError(f"healthy_after must be at least 0 seconds, got {self.healthy_after!r}")

    def ceiling(self, attempt: int) -> float:
        """Return the longest wait in seconds before another try, when `attempt` tries have failed.

        Args:
            attempt: Failed tries since the last success, counted from 1.

        Raises:
            InvalidArgumentError: ``attempt`` is below 1.
        """
        if attempt < 1:
            raise InvalidArgumentError(f"attempt counts from 1, got {attempt!r}")
        try:
            # Of floats, whatever was given: a power of ints would be computed to its last digit.
            return min(self.cap, self.base * math.pow(self.factor, attempt - 1))
        except OverflowError:
            return self.cap

    def delay(self, attempt: int, *, rng: Callable[[], float] = random.random, at_least: float = 0.0) -> float:
        """Return how long to wait, in seconds, before another try, when `attempt` tries have failed.

        Each wait from 0 to the ceiling is as likely as any other, so that what failed together comes back apart.

        Args:
            attempt: Failed tries since the last success, counted from 1.
            rng: Gives numbers between 0 and 1.
            at_least: Seconds that the server asked for; it has its way up to `LONGEST_ASKED_WAIT`.

        Raises:
            InvalidArgumentError: ``attempt`` is below 1.
        """
        return max(rng() * self.ceiling(attempt), min(at_least, LONGEST_ASKED_WAIT))


@frozen
class RetryPolicy:
    """How often a call is tried, and how far apart.

    Attributes:
        attempts: Tries in all, the first one included; at least 1, which is never to retry.
        backoff: The waits between them.

    Raises:
        InvalidArgumentError: ``attempts`` is not a positive integer.
    """

    attempts: int = 3
    backoff: Backoff = field(factory=Backoff)

    def __attrs_post_init__(self) -> None:
        try:
            enough = operator.index(self.attempts) >= 1
        except TypeError:
            enough = False
        if not enough:
            raise InvalidArgumentError(f"attempts must be a positive integer, got {self.attempts!r}")

    def wait(self, exc: LittleBitsError, tried: int, *, idempotent: bool) -> float | None:
        """Return how many seconds to wait before a call is tried again, or None where it must not be.

        What surely was not sent may be sent again, and so may anything after a 429, which did nothing. What may have
        been done is repeated only where that does no harm, and only after what looks passing: a connection that had
        gone stale, a gateway's error. A try that ran out of its time is not repeated.

        Args:
            exc: Why the last try failed.
            tried: How often it was tried.
            idempotent: Whether the call may be repeated when it is not known whether it was done.
        """
        if tried >= self.attempts:
            return None
        match exc:
            case RateLimitedError() | TransportError(surely_unsent=True):
                pass
            case RequestTimeoutError():
                return None
            case TransportError() if idempotent:
                pass
            case ServerError(status=status) if idempotent and status in _GATEWAY:
                pass
            case _:
                return None
        asked = exc.retry_after if isinstance(exc, APIError) else None
        return self.backoff.delay(tried, at_least=asked or 0.0)


def _check_finite(name: str, value: float) -> None:
    try:
        finite = math.isfinite(value)
    except (TypeError, OverflowError):  # no number, or an int beyond every float
        finite = False
    if not finite:
        raise InvalidArgumentError(f"{name} must be a finite number, got {value!r}")
