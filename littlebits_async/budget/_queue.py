"""Tasks that wait for their turn in a `Ledger`."""

import math
from collections import OrderedDict
from collections.abc import Callable

import anyio
from attrs import define, field
from msgspec import Struct

from ..errors import BudgetExhaustedError
from ._api import Grant, Priority
from ._ledger import Ledger

__all__ = ["Queue", "Spent"]


@define(eq=False)
class _Waiter:
    priority: Priority
    label: str
    deadline: float = math.inf
    called: anyio.Event = field(factory=anyio.Event)
    grant: Grant | None = None
    overdue: float = 0.0  # seconds that it would have to wait, once that is too long

    @property
    def waits(self) -> bool:
        return self.grant is None and not self.overdue


class Queue:
    """The lines before a ledger: first come, first served within each class.

    No task of its own: one of the waiters, the sleeper, sleeps until the next turn or the next deadline, and then calls
    all whose turn it is in one go. Who leaves while being the sleeper calls another to be it.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._lines = tuple(OrderedDict[_Waiter, None]() for _ in Priority)
        self._sleeper: _Waiter | None = None
        self._wakes_at = math.inf  # when the sleeper does

    def ask(self, now: float, priority: Priority, label: str) -> Grant | None:
        """Get a grant at once, without going ahead of anybody's turn, or None."""
        waiter = _Waiter(priority, label)
        self._join(now, waiter)
        self._leave(waiter)
        return waiter.grant

    async def wait(self, now: float, priority: Priority, label: str, max_wait: float | None) -> Grant:
        """Get a grant.

        Raises:
            BudgetExhaustedError: That would take, or took, more than `max_wait` seconds.
        """
        waiter = _Waiter(priority, label, math.inf if max_wait is None else now + max_wait)
        self._join(now, waiter)
        if waiter.grant is None and self._ledger.everybody_served_by(now) > waiter.deadline:
            served_at = self._ledger.served_at(now, priority, len(self._lines[priority]) - 1)
            if served_at > waiter.deadline:
                waiter.overdue = served_at - now
        try:
            while waiter.waits:
                if waiter.called.is_set():  # to be the sleeper, or to look again when to wake
                    waiter.called = anyio.Event()
                if self._sleeper is None or self._sleeper is waiter:
                    await self._sleep_for_all(waiter)
                else:
                    await waiter.called.wait()
        except BaseException:
            if waiter.grant is not None:  # granted, and cancelled before its task could run
                waiter.grant.cancel()
            raise
        finally:
            self._leave(waiter)
        if waiter.grant is None:
            raise BudgetExhaustedError(
                f"the budget of requests is spent: the next could be granted in {waiter.overdue:.1f} s; "
                "try again later, or allow a longer max_wait",
                wait=waiter.overdue,
            )
        return waiter.grant

    @property
    def hold(self) -> float:
        """Seconds until the hold is over; 0.0 where there is none."""
        return max(0.0, self._ledger.hold_until - self._clock())

    def look_again(self) -> None:
        """Grant what can be granted, now that the ledger was corrected."""
        self._hand_out(self._clock())

    def restart(self, due: float, priority: Priority, label: str) -> None:
        """Count a token that was to be back at `due` as spent only now."""
        self._ledger.restart(self._clock(), due, priority, label)

    def refund(self, due: float, priority: Priority, label: str) -> None:
        """Take back a token that was to be back at `due`, for the next in line."""
        now = self._clock()
        self._ledger.refund(now, due, priority, label)
        self._hand_out(now)

    async def _sleep_for_all(self, waiter: _Waiter) -> None:
        """Be the sleeper: call all who are due, then sleep until the next is, or until called."""
        self._sleeper = waiter
        self._wakes_at = -math.inf  # awake
        now = self._clock()
        self._hand_out(now)
        self._turn_away(now)
        if waiter.waits:
            # Those who come while it sleeps have no deadline before the next turn: they would have been refused.
            deadline = min(other.deadline for line in self._lines for other in line)
            self._wakes_at = min(self._ledger.next_turn_at(now), deadline)
            with anyio.move_on_after(self._wakes_at - now):
                await waiter.called.wait()

    def _join(self, now: float, waiter: _Waiter) -> None:
        self._lines[waiter.priority][waiter] = None
        self._ledger.join(now, waiter.priority)
        self._hand_out(now)

    def _step_out(self, waiter: _Waiter) -> None:
        if waiter in self._lines[waiter.priority]:
            del self._lines[waiter.priority][waiter]
            self._ledger.leave(waiter.priority)

    def _leave(self, waiter: _Waiter) -> None:
        self._step_out(waiter)
        if self._sleeper is waiter:
            # The last in line will need no successor for the longest time.
            self._sleeper = next((next(reversed(line)) for line in reversed(self._lines) if line), None)
            if self._sleeper is not None:
                self._sleeper.called.set()

    def _hand_out(self, now: float) -> None:
        """Grant all that can be granted now."""
        while (priority := self._ledger.turn(now)) is not None:
            waiter, _ = self._lines[priority].popitem(last=False)
            due = self._ledger.grant(now, priority, waiter.label)
            waiter.grant = Spent(self, due, priority, waiter.label)
            waiter.called.set()
        if self._sleeper is not None and any(self._lines) and self._ledger.next_turn_at(now) < self._wakes_at:
            self._sleeper.called.set()

    def _turn_away(self, now: float) -> None:
        """Tell those whose deadline has passed."""
        for line in self._lines:
            overdue = [(ahead, waiter) for ahead, waiter in enumerate(line) if waiter.deadline <= now]
            for ahead, waiter in overdue:
                waiter.overdue = self._ledger.served_at(now, waiter.priority, ahead) - now
            for _, waiter in overdue:
                self._step_out(waiter)
                waiter.called.set()


# A Struct, as in sse: built in a third of the time, and one is built for each request.
class Spent(Struct, Grant, eq=False, gc=False):
    """A token that is out; settled when it has no `_queue` any more."""

    # It is part of no cycle, so garbage collection need not know of it.
    _queue: Queue | None
    _due: float
    _priority: Priority
    _label: str

    @property
    def hold(self) -> float:
        return 0.0 if self._queue is None else self._queue.hold

    def sent(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.restart(self._due, self._priority, self._label)

    def cancel(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.refund(self._due, self._priority, self._label)
