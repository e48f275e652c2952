"""Each operator against an oracle that knows all events beforehand."""

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate, groupby, pairwise
from typing import Any, TypeVar

import anyio
import pytest
from attrs import evolve, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st

from littlebits_async import InputEvent
from littlebits_async._iteration import Iteration  # pyright: ignore[reportPrivateUsage]
from littlebits_async.signals import changes, debounce, edges, levels, merge, sample, smooth, throttle, window
from littlebits_async.signals._cores import Core, Throttle, Windows
from tests.support.feed import Feed

T = TypeVar("T")

HIGH, LOW = 70, 40
BY = 10
patient = settings(deadline=None)  # a loaded machine is slow, not wrong

SPAN = 3  # milliseconds, so that times fall on both sides of it, and on it
SECONDS = SPAN / 1000


def events_of(readings: Sequence[tuple[str, int, int]]) -> list[InputEvent]:
    """Make events of devices, milliseconds since the event before, and percents."""
    times = accumulate((step for _, step, _ in readings), initial=1000)
    next(times)
    return [
        InputEvent(device, time, percent, absolute=number)
        for number, ((device, _, percent), time) in enumerate(zip(readings, times, strict=True))
    ]


percents = st.one_of(st.integers(0, 100), st.sampled_from([LOW - 1, LOW, LOW + 1, HIGH - 1, HIGH, HIGH + 1]))
devices = st.sampled_from("aab")
steps = st.sampled_from([0, 0, 1, 1, 2, SPAN - 1, SPAN, SPAN + 1, 3 * SPAN])
back = st.sampled_from([-1, -SPAN, -4 * SPAN])
anyhow = st.lists(st.tuples(devices, st.one_of(steps, steps, back), percents), max_size=40).map(events_of)
"""Events of several devices, mixed, with equal times and times that go back."""
forward = st.lists(st.tuples(devices, steps, percents), max_size=40).map(events_of)
"""The same, and no time goes back."""


def of(device: str, events: Iterable[InputEvent]) -> list[InputEvent]:
    return [event for event in events if event.device_id == device]


def by_device(events: Iterable[InputEvent]) -> list[list[InputEvent]]:
    events = list(events)
    return [of(device, events) for device in sorted({event.device_id for event in events})]


def check(
    operate: Callable[[Sequence[InputEvent]], Iterable[InputEvent]],
    oracle: Callable[[list[InputEvent]], list[InputEvent]],
    events: list[InputEvent],
) -> None:
    """Compare, device by device."""
    given_back = list(operate(events))
    assert by_device(given_back) == [expected for alone in by_device(events) if (expected := oracle(alone))]


# Edges, levels, changes: what a reading is depends on those before it, not on their times


def level(readings: list[InputEvent]) -> str:
    decisive = [event.percent for event in readings if event.percent >= HIGH or event.percent <= LOW]
    return "active" if decisive and decisive[-1] >= HIGH else "idle"


@patient
@given(anyhow)
def test_edges(events: list[InputEvent]) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        found: list[InputEvent] = []
        for number in range(1, len(alone)):
            before, now = level(alone[:number]), level(alone[: number + 1])
            if before != now:
                delta = "ignite" if now == "active" else "release"
                found.append(evolve(alone[number], delta=delta, level=now))
        return found

    check(lambda events: edges(events, high=HIGH, low=LOW), oracle, events)


@patient
@given(anyhow)
def test_levels(events: list[InputEvent]) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        known = [level(alone[: number + 1]) for number in range(len(alone))]
        return [
            evolve(event, level=now)
            for event, before, now in zip(alone, [None, *known], known, strict=False)
            if now != before
        ]

    check(lambda events: levels(events, high=HIGH, low=LOW), oracle, events)


@patient
@given(anyhow, st.sampled_from([0, BY, 3 * BY]))
@example(events_of([("a", 1, percent) for percent in (50, 54, 58, 62, 66, 50)]), BY)  # a step at a time
def test_changes(events: list[InputEvent], by: int) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        if not alone:
            return []
        first, *others = alone
        far = [
            number
            for number, event in enumerate(others)
            if event.percent != first.percent and abs(event.percent - first.percent) >= by
        ]
        return [first, *oracle(others[far[0] :])] if far else [first]

    check(lambda events: changes(events, by=by), oracle, events)


# By time


@patient
@given(anyhow)
def test_debounce(events: list[InputEvent]) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        return [
            event
            for event, after in zip(alone, [*alone[1:], None], strict=True)
            if after is None or after.timestamp_ms - event.timestamp_ms >= SPAN
        ]

    check(lambda events: debounce(events, quiet=SECONDS), oracle, events)


@patient
@given(anyhow)
def test_throttle(events: list[InputEvent]) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        if not alone:
            return []
        begin = alone[0].timestamp_ms
        for number, event in enumerate(alone):
            if event.timestamp_ms not in range(begin, begin + SPAN):
                return [alone[0], *oracle(alone[number:])]
        return [alone[0]]

    check(lambda events: throttle(events, every=SECONDS), oracle, events)


@patient
@given(forward)
def test_throttle_with_its_last(events: list[InputEvent]) -> None:
    def oracle(alone: list[InputEvent]) -> list[InputEvent]:
        """Live through each millisecond."""
        found: list[InputEvent] = []
        left: InputEvent | None = None
        free_at = -1
        for now in range(1000, 1600):
            if left is not None and now == free_at:
                found.append(left)
                left, free_at = None, now + SPAN
            for event in (each for each in alone if each.timestamp_ms == now):
                if now >= free_at:
                    found.append(event)
                    free_at = now + SPAN
                else:
                    left = event
        return found

    check(lambda events: throttle(events, every=SECONDS, trailing=True), oracle, events)


@patient
@given(anyhow)
def test_throttle_with_its_last_never_keeps_the_newest_back(events: list[InputEvent]) -> None:
    found = list(throttle(events, every=SECONDS, trailing=True))
    for alone in by_device(events):
        mine = of(alone[0].device_id, found)
        assert mine[0] is alone[0]
        assert mine[-1] is alone[-1]
        numbers = [event.absolute or 0 for event in mine]
        assert numbers == sorted(set(numbers))


def spans(alone: list[InputEvent]) -> list[tuple[InputEvent, ...]]:
    """Cut into spans; where a time goes back behind the present span's begin, they count from there."""
    keys: list[tuple[int, int]] = []
    start, epoch, begin = 0, -1, math.inf
    for event in alone:
        if event.timestamp_ms < begin:
            start, epoch = event.timestamp_ms, epoch + 1
        number = (event.timestamp_ms - start) // SPAN
        begin = start + number * SPAN
        keys.append((epoch, number))
    pairs = zip(keys, alone, strict=True)
    return [tuple(event for _, event in group) for _, group in groupby(pairs, key=lambda pair: pair[0])]


@patient
@given(anyhow)
def test_window(events: list[InputEvent]) -> None:
    found = list(window(events, every=SECONDS))
    for alone in by_device(events):
        assert [group for group in found if group[0].device_id == alone[0].device_id] == spans(alone)


@patient
@given(anyhow)
def test_sample(events: list[InputEvent]) -> None:
    check(lambda events: sample(events, every=SECONDS), lambda alone: [group[-1] for group in spans(alone)], events)


@patient
@given(anyhow)
def test_smooth(events: list[InputEvent]) -> None:
    found = list(smooth(events, over=SECONDS))
    assert [evolve(event, percent=0) for event in found] == [evolve(event, percent=0) for event in events]
    for alone in by_device(events):
        # The time that passed up to each; one that goes back lets none pass.
        steps = [max(0, after.timestamp_ms - event.timestamp_ms) for event, after in pairwise(alone)]
        at = [sum(steps[:number]) for number in range(len(alone))]
        for number, event in enumerate(of(alone[0].device_id, found)):
            weights = [
                (1 if each == 0 else 1 - math.exp(-steps[each - 1] / SPAN)) * math.exp(-(at[number] - at[each]) / SPAN)
                for each in range(number + 1)
            ]
            assert sum(weights) == pytest.approx(1)
            expected = sum(weight * each.percent for weight, each in zip(weights, alone, strict=False))
            assert event.percent == pytest.approx(expected)


# By time, where events come late: what they belong to was let go of by the local clock


late = st.lists(st.tuples(steps, st.sampled_from([0, 0, 0, 1, SPAN, 4 * SPAN])), max_size=40)
"""Milliseconds since the event before, and that it takes to come."""


def lived(core: Core[T], readings: Sequence[tuple[int, int]]) -> tuple[list[InputEvent], list[tuple[float, T]]]:
    """Return the events, and what a core tells of them as they come, each with the time at which it is due."""
    events = events_of([("a", step, 50) for step, _ in readings])
    arrivals = accumulate((event.timestamp_ms + takes for event, (_, takes) in zip(events, readings, strict=True)), max)
    told: list[tuple[float, T]] = []
    deadline = math.inf
    for event, arrival in zip(events, arrivals, strict=True):
        if arrival > deadline:
            due = core.due
            told += [(due, item) for item in core.release()]
        due = min(core.due, event.timestamp_ms)
        for item in core.feed(event):
            told.append((due, item))
            due = event.timestamp_ms
        deadline = arrival + core.due - event.timestamp_ms
    due = core.due
    told += [(due, item) for item in core.release()]
    return events, told


@patient
@given(late)
@example([(0, 0), (1, 0), (1, 2 * SPAN), (2, 0)])
def test_throttle_keeps_its_pauses_where_events_come_late(readings: list[tuple[int, int]]) -> None:
    events, told = lived(Throttle(SPAN, trailing=True), readings)
    assert all(after - before >= SPAN for (before, _), (after, _) in pairwise(told))
    found = [event.absolute or 0 for _, event in told]
    assert found == sorted(set(found))
    assert found[-1:] == [event.absolute for event in events[-1:]]


@patient
@given(late)
@example([(0, 0), (1, 0), (1, 2 * SPAN), (2, 0)])
@example([(0, 0), *[(0, 4 * SPAN)] * 3, (9 * SPAN, 0)])
def test_window_tells_no_span_twice_and_loses_nothing_where_events_come_late(readings: list[tuple[int, int]]) -> None:
    events, told = lived(Windows(SPAN, tuple[InputEvent, ...]), readings)
    assert all(after - before >= SPAN for (before, _), (after, _) in pairwise(told))
    assert [event for _, group in told for event in group] == events
    assert all(event.timestamp_ms < due for due, group in told for event in group)


@pytest.mark.parametrize("released", [False, True], ids=["by the next event", "by the local clock"])
def test_what_is_behind_one_that_came_in_time_is_not_late_but_of_a_clock_set_back(*, released: bool) -> None:
    first, held, after, back = events_of([("a", step, 50) for step in (0, 1, SPAN - 1, -1)])
    throttling, windowing = Throttle(SPAN, trailing=True), Windows(SPAN, tuple[InputEvent, ...])
    for core in (throttling, windowing):
        list(core.feed(first))
        list(core.feed(held))
        if released:
            core.release()
        list(core.feed(after))
    assert list(throttling.feed(back)) == [after, back]
    assert list(windowing.feed(back)) == [(after,)]


# All


@frozen
class Case:
    name: str
    operate: Callable[[Any], Any]


OPERATORS = [
    Case("edges", partial(edges, high=HIGH, low=LOW)),
    Case("levels", partial(levels, high=HIGH, low=LOW)),
    Case("changes", partial(changes, by=BY)),
    # So long that no wait for what is there could take it: only the events' own times count.
    Case("debounce", partial(debounce, quiet=SPAN)),
    Case("throttle", partial(throttle, every=SPAN)),
    Case("throttle, trailing", partial(throttle, every=SPAN, trailing=True)),
    Case("sample", partial(sample, every=SPAN)),
    Case("smooth", partial(smooth, over=SPAN)),
    Case("window", partial(window, every=SPAN)),
]
all_operators = pytest.mark.parametrize("case", OPERATORS, ids=lambda case: case.name)


def in_seconds(events: Iterable[InputEvent]) -> list[InputEvent]:
    return [evolve(event, timestamp_ms=1000 * event.timestamp_ms) for event in events]


class Coming(Iteration[InputEvent]):
    """Events that are there, one after the other; lets others run between some."""

    def __init__(self, events: Iterable[InputEvent]) -> None:
        self._events = iter(events)

    async def _next(self) -> InputEvent:
        for event in self._events:
            if event.percent < LOW:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
            return event
        raise StopAsyncIteration


async def taken(found: AsyncIterator[Any]) -> list[Any]:
    with anyio.fail_after(5):
        return [item async for item in found]


@all_operators
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_events_that_come_give_the_same_as_events_that_are_there(case: Case, backend: str) -> None:
    @settings(max_examples=30, deadline=None)  # each has an event loop of its own
    @given(anyhow.map(in_seconds))
    def same(events: list[InputEvent]) -> None:
        async def run() -> list[Any]:
            return await taken(case.operate(Coming(events)))

        assert anyio.run(run, backend=backend) == list(case.operate(events))

    same()


@all_operators
def test_a_device_is_treated_as_if_it_were_alone(case: Case) -> None:
    @settings(max_examples=50, deadline=None)
    @given(anyhow.map(in_seconds))
    def same(events: list[InputEvent]) -> None:
        def whose(item: InputEvent | tuple[InputEvent, ...]) -> str:
            return item.device_id if isinstance(item, InputEvent) else item[0].device_id

        together = list(case.operate(events))
        for device in "ab":
            assert [item for item in together if whose(item) == device] == list(case.operate(of(device, events)))

    same()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(st.lists(st.integers(0, 12), min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_merge(backend: str, lengths: list[int]) -> None:
    """Each source's events in its order, each once, and no source far behind another that has more to give."""
    sources = [[InputEvent(str(number), at, 0.0) for at in range(length)] for number, length in enumerate(lengths)]

    async def run() -> list[InputEvent]:
        async with merge(*(Feed(source, ends=True) for source in sources)) as events:
            with anyio.fail_after(5):
                return [event async for event in events]

    found = anyio.run(run, backend=backend)
    assert [[event for event in found if event.device_id == str(number)] for number in range(len(lengths))] == sources
    given_of = [0] * len(lengths)
    for event in found:
        given_of[int(event.device_id)] += 1
        waiting = [given for given, length in zip(given_of, lengths, strict=True) if given < length]
        assert not waiting or given_of[int(event.device_id)] - min(waiting) <= 1
