"""Whatever happens to a budget, in whatever order: B1 and B3 hold, and nobody is lost."""

import math
from collections.abc import Iterable

import anyio
import pytest
import trio
from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from littlebits_async.budget import Grant, Priority, TokenBucket
from littlebits_async.budget._ledger import Ledger
from littlebits_async.errors import BudgetExhaustedError

PERIOD = 60.0

limits = st.integers(1, 8)
reserves = st.sampled_from([0.0, 0.1, 0.34, 0.5, 0.9])
margins = st.sampled_from([0.0, 0.5, 7.0])
priorities = st.sampled_from(Priority)
# Quarters add up exactly, so that windows end where others begin.
times = st.integers(0, 160).map(lambda quarters: quarters / 4)


def assert_no_window_exceeds(limit: int, spent: Iterable[float], *, closed: bool) -> None:
    """In no window [t, t + PERIOD), or [t, t + PERIOD] if closed, are more than `limit`."""
    ordered = sorted(spent)
    for first, beyond in zip(ordered, ordered[limit:], strict=False):
        assert beyond - first > PERIOD if closed else beyond - first >= PERIOD


@define
class Acquire:
    priority: Priority
    max_wait: float | None


@define
class Leave:
    """A waiter is cancelled."""

    which: int


@define
class Send:
    which: int


@define
class Refund:
    which: int


@define
class Penalize:
    seconds: float


@define
class Observe:
    remaining: int
    reset: float | None


@define
class Pass:
    seconds: float


Step = Acquire | Leave | Send | Refund | Penalize | Observe | Pass

whichever = st.integers(0, 50)
steps = st.lists(
    st.one_of(
        st.builds(Acquire, priorities, st.none() | times),
        st.builds(Acquire, priorities, st.none()),
        st.builds(Leave, whichever),
        st.builds(Send, whichever),
        st.builds(Refund, whichever),
        st.builds(Penalize, times),
        st.builds(Observe, st.integers(0, 8), st.none() | times),
        st.builds(Pass, times),
    ),
    max_size=60,
)


@define(eq=False)
class Asker:
    """A task that acquires, and what became of it."""

    priority: Priority
    max_wait: float | None
    asked_at: float
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    grant: Grant | None = None
    granted_at: float = math.nan
    sent_at: float = math.nan
    refunded: bool = False
    refused: BudgetExhaustedError | None = None
    ended_at: float = math.nan

    async def ask(self, budget: TokenBucket) -> None:
        with self.scope:
            try:
                self.grant = await budget.acquire(priority=self.priority, max_wait=self.max_wait)
                self.granted_at = anyio.current_time()
            except BudgetExhaustedError as error:
                self.refused = error
        self.ended_at = anyio.current_time()

    @property
    def kept(self) -> bool:
        return self.grant is not None and not self.refunded


async def settle() -> None:
    for _ in range(4):
        await trio.lowlevel.checkpoint()


async def play(budget: TokenBucket, span: float, script: list[Step], askers: list[Asker]) -> None:
    reserved = (await budget.report()).reserved
    limit = (await budget.report()).limit or 0
    async with trio.open_nursery() as nursery:
        for step in script:
            now = anyio.current_time()
            granted = [(asker, asker.grant) for asker in askers if asker.grant is not None]
            waiting = [asker for asker in askers if math.isnan(asker.ended_at)]
            match step:
                case Acquire():
                    askers.append(Asker(step.priority, step.max_wait, now))
                    nursery.start_soon(askers[-1].ask, budget)
                case Leave() if waiting:
                    waiting[step.which % len(waiting)].scope.cancel()
                case Send() if granted:
                    asker, grant = granted[step.which % len(granted)]
                    # Who sends after more than a period is over the limit by his own fault: see the unit tests.
                    if asker.kept and math.isnan(asker.sent_at) and now < asker.granted_at + span:
                        grant.sent()
                        asker.sent_at = now
                case Refund() if granted:
                    asker, grant = granted[step.which % len(granted)]
                    grant.cancel()
                    asker.refunded |= math.isnan(asker.sent_at)
                case Penalize():
                    await budget.penalize(step.seconds)
                case Observe():
                    budget.observe(remaining=step.remaining, reset=step.reset)
                    assert budget.available <= step.remaining or step.reset == 0
                case Pass():
                    await anyio.sleep(step.seconds)
                case _:
                    pass
            await settle()
            report = await budget.report()
            assert sum(report.waiting.values()) == sum(math.isnan(asker.ended_at) for asker in askers)
            lower = sum(number for (priority, _), number in report.spent.items() if priority is not Priority.COMMAND)
            assert lower <= limit - reserved
            assert sum(report.returns) == sum(report.spent.values()) + report.elsewhere <= limit
        # Nobody waits for ever: the nursery ends.


@pytest.mark.requirement("B1", "B3.turns")
@settings(max_examples=400, deadline=None)
@given(limits, reserves, margins, steps)
def test_no_window_exceeds_the_limit_and_nobody_is_lost(
    limit: int, reserve: float, margin: float, script: list[Step]
) -> None:
    askers: list[Asker] = []

    async def main() -> None:
        budget = TokenBucket(limit, PERIOD, reserve=reserve, margin=margin, clock=anyio.current_time)
        with anyio.fail_after(1e6):
            await play(budget, PERIOD + margin, script, askers)
        assert (await budget.report()).waiting == dict.fromkeys(Priority, 0)

    trio.run(main, clock=MockClock(autojump_threshold=0))

    kept = [asker for asker in askers if asker.kept]
    closed = margin > 0
    assert_no_window_exceeds(limit, (asker.granted_at for asker in kept), closed=closed)
    effective = [asker.granted_at if math.isnan(asker.sent_at) else asker.sent_at for asker in kept]
    assert_no_window_exceeds(limit, effective, closed=closed)

    for asker in askers:
        outcomes = (asker.grant is not None, asker.refused is not None, asker.scope.cancelled_caught)
        assert sum(outcomes) == 1
        if asker.refused is not None:
            assert asker.max_wait is not None
            assert asker.ended_at <= asker.asked_at + asker.max_wait
            assert asker.refused.wait > 0
    for priority in Priority:
        granted_at = [asker.granted_at for asker in askers if asker.priority is priority and asker.grant is not None]
        assert granted_at == sorted(granted_at)


@pytest.mark.requirement("B3.reserve")
@settings(deadline=None)
@given(
    limits,
    reserves,
    st.lists(st.tuples(times, priorities, st.booleans()), max_size=80),
)
def test_streams_and_bulk_never_eat_the_reserve(
    limit: int, reserve: float, asked: list[tuple[float, Priority, bool]]
) -> None:
    now = 0.0
    budget = TokenBucket(limit, PERIOD, reserve=reserve, clock=lambda: now)
    reserved = min(math.ceil(limit * reserve), limit - 1)
    for passed, priority, kept in asked:
        now += passed
        before = budget.available
        grant = budget.acquire_nowait(priority=priority)
        needed = 1 if priority is Priority.COMMAND else reserved + 1
        assert (grant is not None) == (before >= needed)
        if grant is not None and not kept:
            grant.cancel()
            assert budget.available == before


@settings(deadline=None)
@given(
    st.integers(2, 30),
    st.integers(0, 29),
    st.lists(st.tuples(times, priorities), max_size=60),
    st.lists(priorities, min_size=1, max_size=80),
    times,
)
@example(20, 10, [(1.0, Priority.COMMAND)] * 20, [Priority.COMMAND] * 60 + [Priority.STREAM, Priority.BULK] * 10, 30.0)
def test_what_is_predicted_happens(
    limit: int, reserved: int, before: list[tuple[float, Priority]], waiters: list[Priority], hold: float
) -> None:
    ledger = Ledger(limit, PERIOD, min(reserved, limit - 1))
    now = 0.0
    for passed, priority in before:
        now += passed
        ledger.take(now, priority, "")
    ledger.hold(now + hold)
    for priority in waiters:
        ledger.join(now, priority)
    predicted = {
        priority: [ledger.served_at(now, priority, ahead) for ahead in range(ledger.waiting[priority])]
        for priority in Priority
    }
    everybody_by = ledger.everybody_served_by(now)

    served: dict[Priority, list[float]] = {priority: [] for priority in Priority}
    while any(ledger.waiting):
        turn = ledger.turn(now)
        if turn is None:
            later = ledger.next_turn_at(now)
            assert later > now
            now = later
            continue
        ledger.grant(now, turn, "")
        served[turn].append(now)
    assert served == predicted
    assert now <= everybody_by
    assert all(at == sorted(at) for at in served.values())
