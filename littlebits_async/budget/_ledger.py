"""Counting the requests of an hour: no I/O, no clock, no event loop.

A plain bucket of capacity L that refills at L an hour grants 2 L in its first hour. This one logs when each token that
is out comes back, so that each comes back exactly one span after it was spent, and no window of a span holds more than
L. The log has at most L entries: some 70 KiB for 1800.

Times are seconds of one clock that never goes back, and are passed in as ``now``.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import pairwise
from typing import Final

from attrs import define, evolve, field

from ._api import Priority

__all__ = ["Ledger"]

_ELSEWHERE: Final = len(Priority)
"""The rank of a token that somebody else spent, as the server told us."""

_PASSES: Final = 9
"""How many may go ahead of a lower class that waits, so that it gets each tenth token at the least."""

_SLICES: Final = 12


@define(eq=False)
class Ledger:
    """Which tokens are out, how many wait in each class, and whose turn it is.

    Waiters are numbers here: who they are, and that they stand in line within their class, is the caller's business.

    Turns. COMMAND goes before STREAM, STREAM before BULK. STREAM and BULK leave the last `reserved` free tokens alone.
    That alone would starve them under steady COMMAND demand, which takes each token as it comes back. So while they
    wait, COMMAND may go ahead of them nine times; where only reserved tokens are free, as often again as there are of
    those, for they are COMMAND's to use up. Then the next token is theirs, if STREAM and BULK together hold less than
    ``limit - reserved``, and the count begins anew. Likewise, each tenth of theirs is BULK's while BULK waits.

    Attributes:
        limit: Tokens in all.
        span: Seconds from a token's spending to its return.
        reserved: How many of them only COMMAND may have; less than `limit`. In proportion fewer where the server allows
            less than `limit`.
        hold_until: Nobody's turn comes before this time.
        waiting: How many wait, by priority.
    """

    limit: int
    span: float
    reserved: int
    hold_until: float = -math.inf
    waiting: list[int] = field(factory=lambda: [0] * len(Priority))
    # Three columns of one log, ordered by the first: when a token is back, whose it is, and the spender's label.
    _dues: list[float] = field(factory=list[float])
    _ranks: bytearray = field(factory=bytearray)
    _labels: list[str] = field(factory=list[str])
    _command_passes: int = 0
    _stream_passes: int = 0
    _whole_reserve: int = field(init=False)
    _anyone: int = field(init=False)
    _shared: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._whole_reserve = self.reserved
        self._anyone = sum(self.waiting)
        self._shared = self.limit - self.reserved

    def take(self, now: float, priority: Priority, label: str) -> float | None:
        """Spend a token if it can be had without overtaking anybody.

        Returns:
            When it is back, or None if it was not to be had.
        """
        # The hot path: what is back already is dropped only when the log is full.
        dues = self._dues
        if self._anyone or now < self.hold_until:
            return None
        if len(dues) >= self._shared:
            self._settle(now)
            if len(dues) >= (self.limit if priority is Priority.COMMAND else self._shared):
                return None
        due = now + self.span
        dues.append(due)
        self._ranks.append(priority)
        self._labels.append(label)
        return due

    def join(self, now: float, priority: Priority) -> None:
        """Count one more who waits."""
        _, streams, bulks = self.waiting
        if priority is not Priority.COMMAND and not (streams or bulks):
            self._let_commands_pass(now)
        if priority is Priority.BULK and not bulks:
            self._stream_passes = _PASSES
        self.waiting[priority] += 1
        self._anyone += 1

    def leave(self, priority: Priority) -> None:
        """Count one fewer who waits."""
        self.waiting[priority] -= 1
        self._anyone -= 1

    def turn(self, now: float) -> Priority | None:
        """Tell whose turn it is now, if anybody's who waits."""
        if now < self.hold_until:
            return None
        free = self.free(now)
        commands, streams, bulks = self.waiting
        if free == 0 or not self._anyone:
            return None
        if not ((streams or bulks) and self._lower_turn_due()):
            if commands:
                return Priority.COMMAND
            if free <= self.reserved:
                return None
        return Priority.BULK if bulks and (not streams or self._stream_passes <= 0) else Priority.STREAM

    def next_turn_at(self, now: float) -> float:
        """Tell when to ask for the next turn, given that it is nobody's now and somebody waits.

        That turn may not come then, if a class is kept from its share; it does not come earlier.
        """
        if now < self.hold_until:
            return self.hold_until
        free = self.limit - len(self._dues)
        spare = 0 if self.waiting[Priority.COMMAND] or self._lower_turn_due() else self.reserved
        return self._dues[max(0, spare - free)]

    def grant(self, now: float, priority: Priority, label: str) -> float:
        """Spend a token for one who waited, and whose turn it is.

        Returns:
            When it is back.
        """
        self.leave(priority)
        due = self._spend(now, priority, label)
        if priority is Priority.COMMAND:
            self._command_passes -= 1
        else:
            self._let_commands_pass(now)
            self._stream_passes = _PASSES if priority is Priority.BULK else self._stream_passes - 1
        return due

    def restart(self, now: float, due: float, priority: Priority, label: str) -> None:
        """Count a token that was to be back at `due` as spent only now.

        If it was back already it is spent once more, even over the limit: the server will count it, so others wait.
        """
        self.refund(now, due, priority, label)
        self._spend(now, priority, label)

    def refund(self, now: float, due: float, priority: Priority, label: str) -> None:
        """Take back a token that was to be back at `due`; no effect if it is."""
        if due <= now:
            return
        at = self._labels.index(label, bisect_left(self._dues, due))
        while self._ranks[at] != priority:  # many may have been granted at one time
            at = self._labels.index(label, at + 1)
        del self._dues[at], self._ranks[at], self._labels[at]

    def hold(self, until: float) -> None:
        """Let nobody's turn come before `until`; never shortens a hold."""
        self.hold_until = max(self.hold_until, until)

    def correct(self, now: float, limit: int | None, remaining: int | None, reset: float) -> None:
        """Spend what the server counts and we do not, until `reset` seconds from now; never the other way."""
        if limit is not None:
            allowed = min(limit, self.limit)
            self.reserved = -(-self._whole_reserve * allowed // self.limit)  # rounded up
            self._shared = self.limit - self.reserved
        free = self.free(now)
        ours = len(self._ranks) - self._ranks.count(_ELSEWHERE)
        theirs = free if remaining is None else remaining
        if remaining is None and limit is not None:
            theirs = max(0, limit - ours)
        surplus = free - theirs
        if surplus > 0:
            due = now + min(reset, self.span)
            at = bisect_right(self._dues, due)
            self._dues[at:at] = [due] * surplus
            self._ranks[at:at] = bytes([_ELSEWHERE]) * surplus
            self._labels[at:at] = [""] * surplus

    def expected_at(self, now: float, priority: Priority) -> float:
        """Estimate when one who asks now is served; exact where only its own class waits and nobody else comes.

        Beyond one span it is the end of the span in which that will be.
        """
        spare = 0 if priority is Priority.COMMAND else self.reserved
        return self._served_by(now, sum(self.waiting[: priority + 1]) + 1, spare)

    def everybody_served_by(self, now: float) -> float:
        """Tell by when all who wait will surely have been served, if nobody else comes."""
        return self._served_by(now, self._anyone, self.reserved)

    def served_at(self, now: float, priority: Priority, ahead: int) -> float:
        """Predict when one is served who has so many of the same class ahead, if nobody else comes or leaves.

        Played through on a copy, so that it is what will happen; `everybody_served_by` may spare one that.
        """
        twin = evolve(self, waiting=self.waiting[:], dues=self._dues[:], ranks=self._ranks[:], labels=self._labels[:])
        while True:
            turn = twin.turn(now)
            if turn is None:
                now = twin.next_turn_at(now)
                continue
            if turn == priority:
                if ahead == 0:
                    return now
                ahead -= 1
            twin.grant(now, turn, "")

    def free(self, now: float) -> int:
        """Count the tokens that are not out."""
        self._settle(now)
        return max(0, self.limit - len(self._dues))

    def spent(self, now: float) -> tuple[dict[tuple[Priority, str], int], int]:
        """Count the tokens that are out: ours by priority and label, and those of others."""
        self._settle(now)
        out = Counter(zip(self._ranks, self._labels, strict=True))
        elsewhere = out.pop((_ELSEWHERE, ""), 0)
        return {(Priority(rank), label): number for (rank, label), number in out.items()}, elsewhere

    def returns(self, now: float) -> tuple[float | None, tuple[int, ...]]:
        """Tell when the next token is back, in seconds, and how many are in each twelfth of the span from now on."""
        self._settle(now)
        ends = [bisect_right(self._dues, now + self.span * part / _SLICES) for part in range(_SLICES)]
        ends.append(len(self._dues))
        counts = tuple(after - before for before, after in pairwise(ends))
        return (self._dues[0] - now if self._dues else None), counts

    def _spend(self, now: float, priority: Priority, label: str) -> float:
        due = now + self.span
        self._dues.append(due)  # stays ordered: no token is ever due later than one spent now
        self._ranks.append(priority)
        self._labels.append(label)
        return due

    def _served_by(self, now: float, number: int, spare: int) -> float:
        """Tell by when so many are served who leave so many free tokens alone."""
        self._settle(now)
        begin = max(now, self.hold_until)
        if number > self.limit - spare:  # some must wait for tokens that are not even spent yet
            return begin + self.span * math.ceil(number / (self.limit - spare))
        needed = number + spare - self.limit + len(self._dues)
        return max(begin, self._dues[needed - 1]) if needed > 0 else begin

    def _settle(self, now: float) -> None:
        dues = self._dues
        if dues and dues[0] <= now:
            back = bisect_right(dues, now)
            del dues[:back], self._ranks[:back], self._labels[:back]

    def _let_commands_pass(self, now: float) -> None:
        free = self.free(now)
        self._command_passes = _PASSES + (free if free <= self.reserved else 0)

    def _lower_turn_due(self) -> bool:
        if self._command_passes > 0:
            return False
        held = self._ranks.count(Priority.STREAM) + self._ranks.count(Priority.BULK)
        return held < self._shared
