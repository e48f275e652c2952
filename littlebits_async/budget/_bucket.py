"""The budget to use: a ledger, the queue before it, and a clock."""

import math
import time
from collections.abc import Callable

from ..errors import InvalidArgumentError
from ._api import BudgetReport, Grant, Priority, check_not_negative
from ._ledger import Ledger
from ._queue import Queue, Spent

__all__ = ["TokenBucket"]


class TokenBucket:
    """A budget of `limit` requests in any `period` seconds, shared by priority.

    In no window of `period` seconds are more than `limit` granted, because each token comes back exactly
    ``period + margin`` after it was spent; none is lost, so the full rate holds for ever. All of a fresh bucket's
    tokens can be had at once.

    COMMAND goes before STREAM, STREAM before BULK; within each, first come, first served. STREAM and BULK leave the
    last `reserve` of the tokens to COMMAND, and never hold more than the rest. Nobody waits for ever: while STREAM or
    BULK wait, COMMAND may use up its reserve, and then goes ahead nine times for each turn of theirs; among these,
    STREAM goes ahead nine times for each turn of BULK.

    The count is that of one object: share it between the sessions of one key. It belongs to one event loop and its
    thread, and keeps no task of its own: while anybody waits, one of the waiters sleeps for all.

    Args:
        limit: Requests in a period.
        period: Seconds.
        reserve: The share of `limit` kept for COMMAND, from 0 up to but not including 1; rounded up to whole requests,
            but at least one is left to all.
        margin: Seconds by which a token comes back later than it might, because the server counts a request when it
            arrives; None for a 360th of the period. With 0 the windows exclude one of their ends.
        clock: Seconds, never going back; at the speed of the event loop's clock.

    Raises:
        InvalidArgumentError: An argument is out of range.

    Source: spec/cloud-api-v2.txt, "Rate limiting".
    """

    def __init__(
        self,
        limit: int = 1800,
        period: float = 3600.0,
        *,
        reserve: float = 0.1,
        margin: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1:
            raise InvalidArgumentError(f"limit must be 1 or more, not {limit}")
        if not 0 < period < math.inf:
            raise InvalidArgumentError(f"period must be a number of seconds above 0, not {period}")
        if not 0 <= reserve < 1:
            raise InvalidArgumentError(f"reserve must be at least 0 and below 1, not {reserve}")
        margin = period / 360 if margin is None else margin
        if not 0 <= margin < math.inf:
            raise InvalidArgumentError(f"margin must be a number of seconds, 0 or more, not {margin}")
        # Rounded before it is rounded up: 0.07 * 100 is 7.000000000000001.
        reserved = min(math.ceil(round(limit * reserve, 9)), limit - 1)
        self._period = period
        self._clock = clock
        self._ledger = Ledger(limit, period + margin, reserved)
        self._queue = Queue(self._ledger, clock)

    def __repr__(self) -> str:
        return f"TokenBucket(limit={self._ledger.limit}, period={self._period}, available={self.available})"

    @property
    def available(self) -> int:
        """How many could be granted before any has to wait, but for a hold; STREAM and BULK leave the reserve."""
        return self._ledger.free(self._clock())

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        """Wait for leave to send one request.

        Costs less than a microsecond when nobody waits and a token is free, and then does not yield to the event loop
        nor look for cancellation.

        Args:
            priority: Who goes first.
            label: Who spends it, for the report; not a place for secrets.
            max_wait: Seconds that the wait may take, None for as long as needed.

        Raises:
            BudgetExhaustedError: The wait would be longer than `max_wait`, counting those ahead: raised at once, or
                when `max_wait` has passed where a later hold, or others of a higher priority, made it longer.
            InvalidArgumentError: `max_wait` is negative or not a number.

        Cancellation: gives the place in the line, or a token just granted, to the next at once.
        """
        if max_wait is not None and not max_wait >= 0:  # written so that it catches NaN, without a call
            check_not_negative("max_wait", max_wait)
        now = self._clock()
        due = self._ledger.take(now, priority, label)
        if due is None:
            return await self._queue.wait(now, priority, label, max_wait)
        return Spent(self._queue, due, priority, label)

    def acquire_nowait(self, *, priority: Priority = Priority.COMMAND, label: str = "") -> Grant | None:
        """Take leave to send one request if it is to be had at once, without going ahead of anybody's turn."""
        now = self._clock()
        due = self._ledger.take(now, priority, label)
        if due is None:
            return self._queue.ask(now, priority, label)
        return Spent(self._queue, due, priority, label)

    def expected_wait(self, *, priority: Priority = Priority.COMMAND) -> float:
        """Estimate for how many seconds one who asks now would wait, 0.0 where not at all.

        Exact where nobody of another class waits, and nobody asks or leaves later; a 429 can make it longer.

        Args:
            priority: Who goes first.
        """
        now = self._clock()
        return self._ledger.expected_at(now, priority) - now

    async def penalize(self, seconds: float) -> None:
        """Grant nothing for so many seconds: the server said 429. Then all go on at once.

        No tokens are spent by it. A hold that lasts longer already is not shortened. How long to hold when the server
        did not say (60 s, doubling) is the caller's to know.

        Args:
            seconds: The length of the hold; more than `period` counts as `period`.

        Raises:
            InvalidArgumentError: `seconds` is negative or not a number.
        """
        check_not_negative("seconds", seconds)
        self._ledger.hold(self._clock() + min(seconds, self._period))

    def observe(self, *, limit: int | None = None, remaining: int | None = None, reset: float | None = None) -> None:
        """Correct the count by what the server said (``RateLimit-*``), which knows of the key's other users.

        Only downwards: where the server has fewer left than we believe, the difference counts as spent until `reset`.
        Of a limit lower than ours the reserve is the same share.

        Args:
            limit: The server's limit; matters only where it is lower than ours.
            remaining: How many the server has left.
            reset: Seconds from now until the server counts anew, None for a whole period; never longer than that.

        Raises:
            InvalidArgumentError: A value is negative or not a number.
        """
        for name, value in (("limit", limit), ("remaining", remaining), ("reset", reset)):
            if value is not None:
                check_not_negative(name, value)
        self._ledger.correct(self._clock(), limit, remaining, math.inf if reset is None else reset)
        self._queue.look_again()

    async def report(self) -> BudgetReport:
        """Tell who spent what, who waits, and when requests come back."""
        now, ledger = self._clock(), self._ledger
        spent, elsewhere = ledger.spent(now)
        next_return, returns = ledger.returns(now)
        return BudgetReport(
            limit=ledger.limit,
            period=self._period,
            available=ledger.free(now),
            reserved=ledger.reserved,
            hold=max(0.0, ledger.hold_until - now),
            waiting=dict(zip(Priority, ledger.waiting, strict=True)),
            spent=spent,
            elsewhere=elsewhere,
            next_return=next_return,
            returns=returns,
        )
