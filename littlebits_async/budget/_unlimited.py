"""No budget at all."""

from collections import Counter
from collections.abc import Callable

from attrs import define

from ._api import BudgetReport, Grant, Priority, check_not_negative

__all__ = ["Unlimited"]


@define(eq=False)
class _Counted(Grant):
    _refund: Callable[[tuple[Priority, str]], None] | None
    _spender: tuple[Priority, str]

    def sent(self) -> None:
        self._refund = None

    def cancel(self) -> None:
        refund, self._refund = self._refund, None
        if refund is not None:
            refund(self._spender)


class Unlimited:
    """A budget without a limit: it grants everything at once, and counts it for the report.

    It never waits, not even after a 429: `penalize` has no effect. Whoever wants the hold takes a `TokenBucket` with a
    limit that is never reached.
    """

    def __init__(self) -> None:
        self._spent = Counter[tuple[Priority, str]]()

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        """Grant at once, without yielding to the event loop.

        Raises:
            InvalidArgumentError: `max_wait` is negative or not a number.
        """
        if max_wait is not None:
            check_not_negative("max_wait", max_wait)
        spender = (priority, label)
        self._spent[spender] += 1
        return _Counted(self._refund, spender)

    async def penalize(self, seconds: float) -> None:
        """Hold nobody up.

        Raises:
            InvalidArgumentError: `seconds` is negative or not a number.
        """
        check_not_negative("seconds", seconds)

    async def report(self) -> BudgetReport:
        """Tell who spent what since this object was made."""
        return BudgetReport(
            limit=None,
            period=None,
            available=None,
            reserved=0,
            hold=0.0,
            waiting=dict.fromkeys(Priority, 0),
            spent=dict(+self._spent),  # the plus drops those that were all refunded
            elsewhere=0,
            next_return=None,
            returns=(),
        )

    def _refund(self, spender: tuple[Priority, str]) -> None:
        self._spent[spender] -= 1
