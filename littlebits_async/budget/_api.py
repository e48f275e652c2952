"""What every budget has in common."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Protocol, runtime_checkable

from attrs import frozen

from ..errors import InvalidArgumentError

__all__ = ["Budget", "BudgetReport", "Correctable", "Grant", "Predictable", "Priority", "check_not_negative"]


class Priority(IntEnum):
    """Who goes first when requests are short; the lower number does."""

    COMMAND = 0
    """Somebody waits for it: a call."""
    STREAM = 1
    """Opening an input stream."""
    BULK = 2
    """Whatever can wait: polling, paging, recording."""


class Grant:
    """Leave to send one request. Ignoring it is fine: it then counts from the moment it was given.

    The first call of either method settles the grant; later calls have no effect. As they stand here both do nothing,
    which suits a budget that cannot take anything back, nor hold.
    """

    __slots__ = ()

    @property
    def hold(self) -> float:
        """Seconds for which it must not be used, since a 429 came after it was given; 0.0 where none did."""
        return 0.0

    def sent(self) -> None:
        """Say that the request goes out now: its hour starts at this moment, not when it was granted."""

    def cancel(self) -> None:
        """Give it back: the request surely was not sent."""


@frozen
class BudgetReport:
    """Where a budget stands. Holds nothing secret, unless a label does.

    Attributes:
        limit: Requests granted in `period`, None for no limit.
        period: Seconds that `limit` is counted over, None for no limit.
        available: Requests that could be granted before any has to wait, but for a hold; None for no limit.
        reserved: How many of `limit` only `Priority.COMMAND` may have.
        hold: Seconds until the hold after a 429 is over, 0.0 when there is none.
        waiting: How many wait for a grant.
        spent: Who spent how many by priority and label: those that are not back yet, or all ever without a limit.
        elsewhere: Requests of this key that only the server knew of, and that are not back yet.
        next_return: Seconds until the next request comes back, None when none is out.
        returns: How many come back in each twelfth of the period from now on (for an hour, in each 5 minutes);
            they add up to all that are out. Empty without a limit.
    """

    limit: int | None
    period: float | None
    available: int | None
    reserved: int
    hold: float
    waiting: Mapping[Priority, int]
    spent: Mapping[tuple[Priority, str], int]
    elsewhere: int
    next_return: float | None
    returns: tuple[int, ...]


@runtime_checkable
class Correctable(Protocol):
    """A budget that can learn from what the server counts."""

    def observe(self, *, limit: int | None = None, remaining: int | None = None, reset: float | None = None) -> None:
        """Correct the count by what the server said (``RateLimit-*``).

        Args:
            limit: The server's limit.
            remaining: How many the server has left.
            reset: Seconds from now until the server counts anew.
        """
        ...


@runtime_checkable
class Predictable(Protocol):
    """A budget that can tell how long a wait would be."""

    def expected_wait(self, *, priority: Priority = Priority.COMMAND) -> float | None:
        """Estimate for how many seconds one who asks now would wait, None where that cannot be told.

        Args:
            priority: Who goes first.
        """
        ...


class Budget(Protocol):
    """Requests to share: what a `Session` asks before it sends anything."""

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        """Wait for leave to send one request.

        Args:
            priority: Who goes first.
            label: Who spends it, for the report; not a place for secrets.
            max_wait: Seconds that the wait may take, None for as long as needed.

        Raises:
            BudgetExhaustedError: The wait would be longer than `max_wait`.
            InvalidArgumentError: `max_wait` is negative or not a number.
        """
        ...

    async def penalize(self, seconds: float) -> None:
        """Grant nothing for so many seconds: the server said 429."""
        ...

    async def report(self) -> BudgetReport:
        """Tell who spent what, who waits, and when requests come back."""
        ...


def check_not_negative(name: str, value: float) -> None:
    """Refuse what is below zero, or not a number."""
    if not value >= 0:
        raise InvalidArgumentError(f"{name} must be 0 or more, not {value}")
