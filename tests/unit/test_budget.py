"""B1 to B6. The event loops here have clocks of their own, which leap to the next timer: hours pass in no time."""

import asyncio
import math
import selectors
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count, pairwise
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup
from trio.testing import MockClock

from littlebits_async.budget import Budget, BudgetReport, Grant, Priority, TokenBucket, Unlimited
from littlebits_async.budget._ledger import Ledger
from littlebits_async.errors import BudgetExhaustedError, InvalidArgumentError

COMMAND, STREAM, BULK = Priority

Log = list[tuple[Any, float]]
"""Who was granted, or the error of who was refused, and when."""


class _LeapingSelector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and for nothing"
            self.now += timeout
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": LeapingLoop}
    return "trio", {"clock": MockClock(autojump_threshold=0)}


def bucket(limit: int = 10, period: float = 100.0, *, reserve: float = 0.0, margin: float = 0.0) -> TokenBucket:
    return TokenBucket(limit, period, reserve=reserve, margin=margin, clock=anyio.current_time)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def most_in_a_window(times: Iterable[float], period: float, *, closed: bool) -> int:
    """The most of `times` in any window: [t, t + period] if closed, else [t, t + period)."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while ordered[first] + period < time or (not closed and ordered[first] + period == time):
            first += 1
        most = max(most, last - first + 1)
    return most


async def spend(budget: Budget, number: int, priority: Priority = COMMAND) -> list[Grant]:
    return [await budget.acquire(priority=priority, max_wait=0) for _ in range(number)]


async def spend_one_a_second(budget: Budget, number: int) -> None:
    for _ in range(number):
        await spend(budget, 1)
        await anyio.sleep(1)


async def acquire_and_log(budget: Budget, log: Log, name: Any, **options: Any) -> None:
    try:
        await budget.acquire(**options)
    except BudgetExhaustedError as error:
        log.append((error, anyio.current_time()))
    else:
        log.append((name, anyio.current_time()))


async def start(group: TaskGroup, budget: Budget, log: Log, name: Any, **options: Any) -> None:
    """Start a task that acquires, and let it get as far as it can."""
    group.start_soon(partial(acquire_and_log, budget, log, name, **options))
    await let_others_run()


async def let_others_run() -> None:
    """Unlike `anyio.wait_all_tasks_blocked`, which sleeps on asyncio, without moving the clock."""
    for _ in range(5):
        await anyio.lowlevel.checkpoint()


# The ledger, without a loop


@pytest.mark.requirement("B1", "W5")
def test_three_hours_of_greedy_demand_use_the_whole_budget_and_no_more() -> None:
    ledger = Ledger(1800, 3610.0, 180)
    times: list[float] = []
    now = 0.0
    ledger.join(now, COMMAND)
    while now < 3 * 3600:
        if ledger.turn(now) is COMMAND:
            ledger.grant(now, COMMAND, "")
            ledger.join(now, COMMAND)
            times.append(now)
        else:
            now = ledger.next_turn_at(now)
    assert most_in_a_window(times, 3600, closed=True) == 1800
    assert len(times) >= 0.99 * 3 * 1800


@pytest.mark.requirement("B1")
def test_three_hours_of_greedy_demand_that_starts_slowly() -> None:
    ledger = Ledger(1800, 3610.0, 180)
    times: list[float] = []
    for second in range(3 * 3600):
        wanted = 1 if second < 900 else 3
        times += [float(second) for _ in range(wanted) if ledger.take(second, COMMAND, "") is not None]
    assert most_in_a_window(times, 3600, closed=True) == 1800


@pytest.mark.requirement("B1")
def test_tokens_come_back_exactly_one_span_after_each_was_spent() -> None:
    ledger = Ledger(3, 10.0, 0)
    assert [ledger.take(now, COMMAND, "") for now in (0.0, 1.0, 1.5, 1.5)] == [10.0, 11.0, 11.5, None]
    assert [ledger.free(now) for now in (9.99, 10.0, 10.99, 11.0, 11.5)] == [0, 1, 1, 2, 3]


def test_the_log_does_not_outgrow_the_limit() -> None:
    ledger = Ledger(18, 36.0, 0)
    for now in range(2000):
        ledger.take(float(now), COMMAND, "")
        spent, _ = ledger.spent(now)
        assert sum(spent.values()) == 18 - ledger.free(now) <= 18


def drain(ledger: Ledger, now: float, until: float, *, greedy: tuple[Priority, ...]) -> list[tuple[float, Priority]]:
    """Serve those who wait; each of a greedy class that is served is followed by another."""
    served: list[tuple[float, Priority]] = []
    while now < until and any(ledger.waiting):
        turn = ledger.turn(now)
        if turn is None:
            now = ledger.next_turn_at(now)
            continue
        ledger.grant(now, turn, "")
        served.append((now, turn))
        if turn in greedy:
            ledger.join(now, turn)
    return served


def spent_evenly(limit: int, span: float, reserved: int) -> Ledger:
    ledger = Ledger(limit, span, reserved)
    for spent in range(limit):
        assert ledger.take(spent * span / limit, COMMAND, "") is not None
    return ledger


@pytest.mark.requirement("B3.turns")
def test_lower_classes_get_each_tenth_token_under_greedy_demand_of_all() -> None:
    ledger = spent_evenly(100, 100.0, 10)
    for priority in Priority:
        ledger.join(100.0, priority)
    served = [priority for _, priority in drain(ledger, 100.0, 1100.0, greedy=(COMMAND, STREAM, BULK))]
    turns = [at for at, priority in enumerate(served) if priority is not COMMAND]
    assert turns[0] == 9 + 1  # one token was free when they began to wait
    assert {after - before for before, after in pairwise(turns)} == {10}
    lower = [priority for priority in served if priority is not COMMAND]
    assert lower[:20] == ([STREAM] * 9 + [BULK]) * 2


@pytest.mark.requirement("B3.turns")
def test_commands_may_use_up_what_is_free_before_a_lower_class_has_its_turn() -> None:
    ledger = Ledger(30, 100.0, 12)
    for _ in range(18):
        ledger.take(0.0, COMMAND, "")
    ledger.join(0.0, STREAM)
    for _ in range(13):
        ledger.join(0.0, COMMAND)
    assert [priority for _, priority in drain(ledger, 0.0, 1.0, greedy=())] == [COMMAND] * 12


@pytest.mark.requirement("B3.reserve")
def test_a_lower_class_never_gets_more_than_what_is_not_reserved() -> None:
    ledger = spent_evenly(100, 100.0, 97)
    for priority in Priority:
        ledger.join(100.0, priority)
    served = drain(ledger, 100.0, 1100.0, greedy=(COMMAND, STREAM, BULK))
    assert most_in_a_window((time for time, turn in served if turn is not COMMAND), 100, closed=False) == 3


def test_waits_are_predicted_as_they_will_be() -> None:
    ledger = spent_evenly(50, 100.0, 10)
    for priority in (COMMAND,) * 40 + (STREAM,) * 30 + (BULK,) * 20:
        ledger.join(110.0, priority)
    ledger.hold(115.0)
    predicted = {
        priority: [ledger.served_at(110.0, priority, ahead) for ahead in range(ledger.waiting[priority])]
        for priority in Priority
    }
    served = drain(ledger, 110.0, math.inf, greedy=())
    assert predicted == {priority: [time for time, turn in served if turn is priority] for priority in Priority}


# Waiting for it


@pytest.mark.requirement("B1")
@pytest.mark.anyio
async def test_three_hours_of_greedy_tasks_use_the_whole_budget_and_no_more() -> None:
    budget = TokenBucket(1800, 3600, clock=anyio.current_time)
    times: list[float] = []

    async def greedy() -> None:
        while True:
            (await budget.acquire()).sent()
            times.append(anyio.current_time())

    began = anyio.current_time()
    with anyio.move_on_after(3 * 3600):
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(greedy)
    assert anyio.current_time() - began == pytest.approx(3 * 3600)
    assert most_in_a_window(times, 3600, closed=True) == 1800
    assert len(times) >= 0.99 * 3 * 1800


@pytest.mark.requirement("B2")
@pytest.mark.anyio
async def test_a_fresh_bucket_lets_1000_streams_open_at_once() -> None:
    budget = TokenBucket(clock=anyio.current_time)
    before = anyio.current_time()
    assert len(await spend(budget, 1000, STREAM)) == 1000
    assert anyio.current_time() == before
    assert budget.available == 800


@pytest.mark.requirement("B5.yield")
def test_an_uncontended_acquire_does_not_yield() -> None:
    with pytest.raises(StopIteration) as stop:
        TokenBucket().acquire().send(None)
    assert isinstance(stop.value.value, Grant)


@pytest.mark.requirement("B1")
@pytest.mark.anyio
async def test_the_next_token_is_granted_exactly_a_period_and_the_margin_later() -> None:
    budget = bucket(1, 100.0, margin=5.0)
    await spend(budget, 1)
    before = anyio.current_time()
    await budget.acquire()
    assert anyio.current_time() - before == pytest.approx(105)


@pytest.mark.requirement("B1")
def test_the_margin_is_a_360th_of_the_period_unless_said() -> None:
    clock = Clock()
    budget = TokenBucket(1, 3600, clock=clock)
    assert budget.acquire_nowait() is not None
    clock.now = 3609.9
    assert budget.available == 0
    clock.now = 3610.0
    assert budget.available == 1


@pytest.mark.requirement("B3.order")
@pytest.mark.anyio
async def test_commands_go_before_streams_before_bulk() -> None:
    budget = bucket(7)
    await spend_one_a_second(budget, 7)
    log: Log = []
    async with anyio.create_task_group() as group:
        for name, priority in enumerate((BULK, STREAM, COMMAND, BULK, STREAM, COMMAND, COMMAND)):
            await start(group, budget, log, name, priority=priority)
        for priority in Priority:
            assert budget.acquire_nowait(priority=priority) is None
    assert [name for name, _ in log] == [2, 5, 6, 1, 4, 0, 3]


@pytest.mark.requirement("B3.order")
@pytest.mark.anyio
@pytest.mark.parametrize("priority", Priority)
async def test_within_a_class_the_first_come_is_the_first_served(priority: Priority) -> None:
    budget = bucket(5)
    await spend_one_a_second(budget, 5)
    log: Log = []
    async with anyio.create_task_group() as group:
        for name in range(5):
            await start(group, budget, log, name, priority=priority)
    assert [name for name, _ in log] == [0, 1, 2, 3, 4]
    assert [after - before for (_, before), (_, after) in pairwise(log)] == pytest.approx([1, 1, 1, 1])


@pytest.mark.requirement("B3.reserve", "W5")
@pytest.mark.parametrize(
    ("limit", "reserve", "reserved"),
    [(10, 0.1, 1), (10, 0.11, 2), (1800, 0.1, 180), (100, 0.07, 7), (10, 0, 0), (1, 0.1, 0), (10, 0.999, 9)],
)
@pytest.mark.parametrize("priority", [STREAM, BULK])
def test_streams_and_bulk_leave_the_reserve(limit: int, reserve: float, reserved: int, priority: Priority) -> None:
    budget = TokenBucket(limit, reserve=reserve, clock=Clock())
    while budget.acquire_nowait(priority=priority):
        pass
    assert budget.available == reserved
    while budget.acquire_nowait():
        pass
    assert budget.available == 0


@pytest.mark.requirement("B3.reserve")
@pytest.mark.anyio
async def test_without_demand_for_commands_the_reserve_is_refilled_first() -> None:
    budget = bucket(20, reserve=0.5)
    await spend_one_a_second(budget, 20)
    began = anyio.current_time()
    await budget.acquire(priority=STREAM)
    assert anyio.current_time() - began == pytest.approx(80 + 10)
    assert budget.available == 10


@pytest.mark.requirement("B3.turns")
@pytest.mark.anyio
@pytest.mark.parametrize("priority", [STREAM, BULK])
async def test_nobody_waits_for_ever_behind_commands_that_wait(priority: Priority) -> None:
    budget = bucket(100, reserve=0.1)

    async def greedy() -> NoReturn:
        while True:
            await budget.acquire()

    await spend_one_a_second(budget, 100)
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(greedy)
        await let_others_run()
        for _ in range(20):
            with anyio.fail_after(11):
                await budget.acquire(priority=priority)
        group.cancel_scope.cancel()


@pytest.mark.requirement("B3.turns")
@pytest.mark.anyio
async def test_nobody_waits_for_ever_behind_commands_that_never_wait() -> None:
    budget = bucket(100, reserve=0.2)

    async def steady() -> NoReturn:
        while True:  # takes each token as it comes back, so that ten stay free
            await budget.acquire(max_wait=0)
            await anyio.sleep(1)

    await spend_one_a_second(budget, 90)
    await anyio.sleep(10.5)
    async with anyio.create_task_group() as group:
        group.start_soon(steady)
        await anyio.sleep(30)
        assert budget.available in (10, 11)
        for _ in range(2):
            with anyio.fail_after(21):
                await budget.acquire(priority=STREAM)
        group.cancel_scope.cancel()


@pytest.mark.requirement("B3.cancelled")
@pytest.mark.anyio
async def test_a_cancelled_waiter_costs_nothing_and_its_place_passes_on() -> None:
    budget = bucket(2)
    before = anyio.current_time()
    await spend_one_a_second(budget, 2)
    log: Log = []
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as doomed:
            await start(doomed, budget, log, "cancelled")  # the first to wait sleeps for all
            await start(group, budget, log, "second")
            await start(doomed, budget, log, "cancelled too")
            await start(group, budget, log, "fourth")
            doomed.cancel_scope.cancel()
        assert (await budget.report()).waiting == {COMMAND: 2, STREAM: 0, BULK: 0}
    assert [name for name, _ in log] == ["second", "fourth"]
    assert [time - before for _, time in log] == pytest.approx([100, 101])
    assert (await budget.report()).spent == {(COMMAND, ""): 2}


@pytest.mark.requirement("B3.cancelled")
@pytest.mark.anyio
async def test_all_but_one_cancelled_in_any_order_leave_that_one_waiting() -> None:
    budget = bucket(1)
    await spend(budget, 1)
    log: Log = []
    async with anyio.create_task_group() as group:
        scopes: list[anyio.CancelScope] = []

        async def task(name: int) -> None:
            with anyio.CancelScope() as scope:
                scopes.append(scope)
                await acquire_and_log(budget, log, name)

        for name in range(100):
            group.start_soon(task, name)
        await let_others_run()
        for scope in scopes[:40] + scopes[:40:-1]:
            scope.cancel()
    assert len(log) == 1


@pytest.mark.requirement("B3.cancelled")
@pytest.mark.anyio
async def test_who_is_granted_and_cancelled_at_the_same_time_passes_the_grant_on() -> None:
    budget = bucket(1)
    (held,) = await spend(budget, 1)
    log: Log = []
    before = anyio.current_time()
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as doomed:
            await start(doomed, budget, log, "cancelled")
            await start(group, budget, log, "next")
            doomed.cancel_scope.cancel()
            held.cancel()  # grants the first, whose task has had no time to leave
            assert (await budget.report()).waiting[COMMAND] == 1
    assert log == [("next", before)]


@pytest.mark.requirement("B3.cancelled")
def test_a_native_cancellation_of_who_is_granted_passes_the_grant_on_too() -> None:
    async def main() -> tuple[Grant | BaseException, ...]:
        budget = TokenBucket(1)
        (held,) = await spend(budget, 1)
        tasks = [asyncio.create_task(budget.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        held.cancel()
        tasks[0].cancel()
        async with asyncio.timeout(5):
            return tuple(await asyncio.gather(*tasks, return_exceptions=True))

    cancelled, granted = asyncio.run(main())
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(granted, Grant)


@pytest.mark.requirement("W5")
@pytest.mark.anyio
async def test_a_wait_that_would_be_too_long_is_refused_at_once() -> None:
    budget = bucket(2)
    await spend(budget, 1)
    await anyio.sleep(10)
    await spend(budget, 1)
    before = anyio.current_time()
    with pytest.raises(BudgetExhaustedError, match=r"granted in 90\.0 s") as caught:
        await budget.acquire(max_wait=89)
    assert caught.value.wait == pytest.approx(90)
    assert anyio.current_time() == before
    assert (await budget.report()).waiting[COMMAND] == 0
    await budget.acquire(max_wait=90)
    assert anyio.current_time() - before == pytest.approx(90)


@pytest.mark.anyio
async def test_the_prediction_counts_those_ahead_and_the_reserve() -> None:
    budget = bucket(10, reserve=0.2)
    await spend_one_a_second(budget, 10)
    log: Log = []
    async with anyio.create_task_group() as group:
        for name in range(3):
            await start(group, budget, log, name)
        with pytest.raises(BudgetExhaustedError) as caught:
            await budget.acquire(max_wait=0)
        assert caught.value.wait == pytest.approx(90 + 3)
        with pytest.raises(BudgetExhaustedError) as caught:
            await budget.acquire(priority=STREAM, max_wait=0)
        assert caught.value.wait == pytest.approx(90 + 3 + 2)
        await start(group, budget, log, "stream", priority=STREAM)
        with pytest.raises(BudgetExhaustedError) as caught:
            await budget.acquire(priority=STREAM, max_wait=0)
        assert caught.value.wait == pytest.approx(90 + 3 + 2 + 1)
        with pytest.raises(BudgetExhaustedError) as caught:
            await budget.acquire(max_wait=0)
        assert caught.value.wait == pytest.approx(90 + 3)


@pytest.mark.anyio
async def test_a_hold_can_make_a_wait_too_long() -> None:
    budget = bucket(1, 100.0)
    await spend(budget, 1)
    before = anyio.current_time()
    log: Log = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "patient")
        await start(group, budget, log, "refused", max_wait=220)
        await anyio.sleep(90)
        await budget.penalize(50)
    assert [time - before for _, time in log] == pytest.approx([140, 220])
    error, _ = log[1]
    assert isinstance(error, BudgetExhaustedError)
    assert error.wait == pytest.approx(20)


@pytest.mark.anyio
async def test_those_of_a_higher_priority_can_make_a_wait_too_long() -> None:
    budget = bucket(1, 100.0)
    await spend(budget, 1)
    before = anyio.current_time()
    log: Log = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "refused", priority=STREAM, max_wait=101)
        await anyio.sleep(1)
        await start(group, budget, log, "command")
        await start(group, budget, log, "command too")
    assert [time - before for _, time in log] == pytest.approx([100, 101, 200])
    error, _ = log[1]
    assert isinstance(error, BudgetExhaustedError)
    assert error.wait == pytest.approx(199)


@pytest.mark.requirement("B4.hold", "B4.together", "W4")
@pytest.mark.anyio
async def test_a_hold_stops_everybody_and_then_all_go_on_at_once() -> None:
    budget = bucket(10)
    before = anyio.current_time()
    await budget.penalize(30)
    assert budget.acquire_nowait() is None
    with pytest.raises(BudgetExhaustedError) as caught:
        await budget.acquire(max_wait=29)
    assert caught.value.wait == pytest.approx(30)
    log: Log = []
    async with anyio.create_task_group() as group:
        for priority in Priority:
            await start(group, budget, log, priority, priority=priority)
        await budget.penalize(10)  # does not shorten it
        assert (await budget.report()).hold == pytest.approx(30)
        await anyio.sleep(20)
        await budget.penalize(20)  # makes it longer
    assert [time - before for _, time in log] == pytest.approx([40, 40, 40])
    assert budget.available == 7
    assert (await budget.report()).hold == 0.0


@pytest.mark.requirement("B4.hold")
@pytest.mark.anyio
async def test_a_hold_may_end_at_any_moment() -> None:
    ticks = count()

    def clock() -> float:
        return anyio.current_time() + 0.25 * next(ticks)  # time passes from each look at the clock to the next

    budget = TokenBucket(10, 100, clock=clock)
    for hold in range(20):
        await budget.penalize(hold / 8)
        with anyio.fail_after(10):
            await budget.acquire(max_wait=50)
        await anyio.sleep(50)


@pytest.mark.requirement("B4.hold")
@pytest.mark.anyio
async def test_a_hold_is_never_longer_than_the_period() -> None:
    budget = bucket(10, 100.0)
    await budget.penalize(math.inf)
    assert (await budget.report()).hold == pytest.approx(100)


@pytest.mark.anyio
@pytest.mark.parametrize("budget", [TokenBucket(), Unlimited()])
@pytest.mark.parametrize("seconds", [-1, math.nan, -math.inf])
async def test_numbers_that_are_no_times_are_refused(budget: TokenBucket | Unlimited, seconds: float) -> None:
    with pytest.raises(InvalidArgumentError):
        await budget.penalize(seconds)
    with pytest.raises(InvalidArgumentError):
        await budget.acquire(max_wait=seconds)
    if isinstance(budget, TokenBucket):
        with pytest.raises(InvalidArgumentError):
            budget.observe(remaining=5, reset=seconds)
    assert (await budget.report()).spent == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: TokenBucket(0),
        lambda: TokenBucket(-1),
        lambda: TokenBucket(period=0),
        lambda: TokenBucket(period=math.inf),
        lambda: TokenBucket(period=math.nan),
        lambda: TokenBucket(reserve=1),
        lambda: TokenBucket(reserve=-0.1),
        lambda: TokenBucket(reserve=math.nan),
        lambda: TokenBucket(margin=-1),
        lambda: TokenBucket(margin=math.inf),
        lambda: TokenBucket(margin=math.nan),
    ],
)
def test_impossible_buckets_are_refused(make: Callable[[], TokenBucket]) -> None:
    with pytest.raises(InvalidArgumentError):
        make()


# Grants


@pytest.mark.requirement("B1")
def test_the_hour_of_a_grant_starts_when_it_is_sent() -> None:
    clock = Clock()
    budget = TokenBucket(2, 100, margin=0, clock=clock)
    first, second = budget.acquire_nowait(), budget.acquire_nowait()
    assert first is not None
    assert second is not None
    clock.now = 30.0
    first.sent()
    clock.now = 40.0
    first.sent()  # once is enough
    clock.now = 100.0
    assert budget.available == 1
    clock.now = 129.9
    assert budget.available == 1
    clock.now = 130.0
    assert budget.available == 2


@pytest.mark.requirement("B1")
def test_a_grant_sent_when_its_token_was_back_already_is_spent_again() -> None:
    clock = Clock()
    budget = TokenBucket(2, 100, margin=0, clock=clock)
    late = budget.acquire_nowait()
    assert late is not None
    clock.now = 100.0
    assert [budget.acquire_nowait() is None for _ in range(3)] == [False, False, True]
    clock.now = 150.0
    late.sent()  # three are out
    assert budget.available == 0
    clock.now = 200.0
    assert budget.available == 1
    clock.now = 250.0
    assert budget.available == 2


@pytest.mark.requirement("B1")
def test_a_grant_that_surely_was_not_sent_is_refunded_once() -> None:
    clock = Clock()
    budget = TokenBucket(3, 100, clock=clock)
    first, second = budget.acquire_nowait(), budget.acquire_nowait()
    assert first is not None
    assert second is not None
    first.cancel()
    first.cancel()
    first.sent()
    assert budget.available == 2
    second.sent()
    second.cancel()
    assert budget.available == 2


def test_a_refund_comes_too_late_when_the_token_is_back() -> None:
    clock = Clock()
    budget = TokenBucket(1, 100, margin=0, clock=clock)
    late = budget.acquire_nowait()
    assert late is not None
    clock.now = 100.0
    assert budget.acquire_nowait() is not None
    late.cancel()
    assert budget.available == 0


@pytest.mark.anyio
async def test_refunds_name_the_right_spender_among_those_of_one_moment() -> None:
    budget = bucket(10)
    labels = ("a", "b", "a", "c")
    grants = [await budget.acquire(label=label, priority=BULK if label == "b" else COMMAND) for label in labels]
    grants += [await budget.acquire(label="a", priority=STREAM)]
    grants[4].cancel()
    grants[1].cancel()
    assert (await budget.report()).spent == {(COMMAND, "a"): 2, (COMMAND, "c"): 1}


@pytest.mark.anyio
async def test_a_refund_wakes_the_next_at_once() -> None:
    budget = bucket(10, reserve=0.1)
    grants = await spend(budget, 10)
    before = anyio.current_time()
    log: Log = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "stream", priority=STREAM)
        await anyio.sleep(5)
        grants[0].cancel()
        await anyio.sleep(5)
        assert log == []  # one is free, and reserved
        grants[1].cancel()
    assert [time - before for _, time in log] == pytest.approx([10])


@pytest.mark.anyio
async def test_a_newcomer_whose_turn_is_sooner_does_not_wait_for_the_sleeper() -> None:
    budget = bucket(4, reserve=0.5)
    for _ in range(4):
        await spend(budget, 1)
        await anyio.sleep(10)
    before = anyio.current_time()
    log: Log = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "stream", priority=STREAM)  # sleeps until three are back
        await start(group, budget, log, "command")
    assert [name for name, _ in log] == ["command", "stream"]
    assert [time - before for _, time in log] == pytest.approx([60, 90])


@pytest.mark.requirement("B5.batch")
@pytest.mark.anyio
async def test_a_thousand_waiters_are_woken_in_one_batch_by_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[float] = []
    move_on_after = anyio.move_on_after

    def counting(delay: float) -> anyio.CancelScope:
        timers.append(delay)
        return move_on_after(delay)

    budget = bucket(1000)
    await spend(budget, 1000)
    monkeypatch.setattr("littlebits_async.budget._queue.anyio.move_on_after", counting)
    log: Log = []
    async with anyio.create_task_group() as group:
        for name in range(1000):
            group.start_soon(partial(acquire_and_log, budget, log, name, max_wait=1000))
    assert len(log) == 1000
    assert len({time for _, time in log}) == 1
    assert len(timers) <= 2


# What the server says


@pytest.mark.requirement("B4.headers")
@pytest.mark.anyio
async def test_the_server_corrects_the_count_downwards_until_it_counts_anew() -> None:
    budget = bucket(10, 100.0)
    await spend(budget, 3)
    budget.observe(limit=10, remaining=2, reset=20)
    assert budget.available == 2
    budget.observe(remaining=2, reset=50)
    assert budget.available == 2
    assert (await budget.report()).elsewhere == 5
    await anyio.sleep(20)
    assert budget.available == 7
    assert (await budget.report()).elsewhere == 0


@pytest.mark.requirement("B4.headers")
@pytest.mark.anyio
async def test_the_server_never_corrects_the_count_upwards() -> None:
    budget = bucket(10, 100.0)
    await spend(budget, 8)
    budget.observe(limit=1000, remaining=900, reset=0)
    budget.observe(limit=1000, remaining=None, reset=None)
    budget.observe()
    assert budget.available == 2


@pytest.mark.requirement("B4.headers")
@pytest.mark.anyio
async def test_a_lower_limit_alone_is_heeded_and_no_reset_means_a_period() -> None:
    budget = bucket(10, 100.0, margin=1)
    await spend(budget, 3)
    budget.observe(limit=5)
    assert budget.available == 2
    budget.observe(limit=2)
    assert budget.available == 0
    await anyio.sleep(101)
    assert budget.available == 10
    budget.observe(remaining=0, reset=math.inf)
    await anyio.sleep(101)
    assert budget.available == 10


@pytest.mark.requirement("B3.reserve", "B4.headers")
@pytest.mark.anyio
async def test_of_a_lower_limit_the_reserve_is_the_same_share() -> None:
    budget = bucket(100, 1000.0, reserve=0.2)
    budget.observe(limit=11, remaining=10, reset=1000)
    assert (await budget.report()).reserved == 3  # rounded up
    for _ in range(7):
        assert budget.acquire_nowait(priority=STREAM) is not None
    assert budget.acquire_nowait(priority=STREAM) is None
    assert budget.available == 3
    budget.observe(limit=100)
    assert (await budget.report()).reserved == 20


@pytest.mark.requirement("B3.reserve")
@pytest.mark.anyio
async def test_who_waited_for_a_reserve_that_shrinks_goes_at_once() -> None:
    budget = bucket(10, 1000.0, reserve=0.5)
    await spend(budget, 6)
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(budget.acquire, priority=STREAM))
        await anyio.wait_all_tasks_blocked()
        budget.observe(limit=7, remaining=4, reset=1000)  # four left, four kept
        await anyio.wait_all_tasks_blocked()
        assert (await budget.report()).waiting[STREAM] == 1
        budget.observe(limit=5, remaining=4, reset=1000)  # four left, three kept
    assert anyio.current_time() == began


# The report


@pytest.mark.requirement("B6.report")
@pytest.mark.anyio
async def test_the_report_says_who_spent_what_who_waits_and_when_tokens_return() -> None:
    budget = TokenBucket(10, 115, margin=5, reserve=0.2, clock=anyio.current_time)
    await budget.acquire(label="output")
    await anyio.sleep(25)
    await budget.acquire(label="output")
    await budget.acquire(label="00e040000001", priority=STREAM)
    budget.observe(remaining=2, reset=61)
    log: Log = []
    reports: list[BudgetReport] = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "stream", priority=STREAM)
        await budget.penalize(7)
        reports.append(await budget.report())
        group.cancel_scope.cancel()
    (report,) = reports
    assert (report.limit, report.period, report.available, report.reserved) == (10, 115, 2, 2)
    assert report.hold == pytest.approx(7)
    assert report.waiting == {COMMAND: 0, STREAM: 1, BULK: 0}
    assert report.spent == {(COMMAND, "output"): 2, (STREAM, "00e040000001"): 1}
    assert report.elsewhere == 5
    assert report.next_return == pytest.approx(61)
    assert report.returns == (0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 0, 2)
    assert "available=2" in repr(budget)


@pytest.mark.requirement("B6.report")
@pytest.mark.anyio
async def test_the_report_of_a_fresh_bucket() -> None:
    report = await TokenBucket().report()
    assert (report.limit, report.period, report.available, report.reserved) == (1800, 3600, 1800, 180)
    assert (report.spent, report.elsewhere, report.next_return, report.returns) == ({}, 0, None, (0,) * 12)


@pytest.mark.anyio
async def test_unlimited_never_waits_and_counts() -> None:
    budget = Unlimited()
    before = anyio.current_time()
    await budget.penalize(1000)
    grants = [await budget.acquire(label="a", max_wait=0) for _ in range(5000)]
    other = await budget.acquire(label="b", priority=STREAM)
    grants[0].cancel()
    grants[0].cancel()
    grants[1].sent()
    grants[1].cancel()
    other.cancel()
    assert anyio.current_time() == before
    report = await budget.report()
    assert report.spent == {(COMMAND, "a"): 4999}
    assert (report.limit, report.available, report.hold, report.returns) == (None, None, 0.0, ())


def test_a_plain_grant_suits_budgets_that_take_nothing_back() -> None:
    grant = Grant()
    grant.sent()
    grant.cancel()


def test_both_are_budgets() -> None:
    budgets: tuple[Budget, ...] = (TokenBucket(), Unlimited())
    assert len(budgets) == 2


# What is foreseen


@pytest.mark.requirement("W5")
@pytest.mark.anyio
async def test_the_expected_wait_is_told_by_what_returns_who_waits_and_a_hold() -> None:
    clock = Clock()
    budget = TokenBucket(5, 100, reserve=0.4, margin=5, clock=clock)

    def expected() -> tuple[float, ...]:
        return tuple(budget.expected_wait(priority=priority) for priority in Priority)

    assert expected() == (0, 0, 0)
    for clock.now in (0.0, 10.0, 20.0):
        await spend(budget, 1)
    assert expected() == (0, 85, 85)  # two are free, and reserved
    for clock.now in (30.0, 40.0):
        await spend(budget, 1)
    assert expected() == (65, 85, 85)  # and the reserve is filled up first

    clock.now = 50.0
    log: Log = []
    async with anyio.create_task_group() as group:
        await start(group, budget, log, "command")
        assert expected() == (65, 85, 85)
        await start(group, budget, log, "stream", priority=STREAM)
        assert expected() == (65, 95, 95)
        group.cancel_scope.cancel()
    assert expected() == (55, 75, 75)

    await budget.penalize(60)
    assert expected() == (60, 75, 75)
    await budget.penalize(90)
    assert expected() == (90, 90, 90)
    clock.now = 145.0
    assert expected() == (0, 0, 0)
