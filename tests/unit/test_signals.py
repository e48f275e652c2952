"""Operators over events that come: waiting, leaving, errors."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio
import pytest

from littlebits_async import InputEvent, InvalidArgumentError, StreamStalledError, signals
from littlebits_async.signals import changes, debounce, edges, levels, merge, sample, smooth, throttle, window
from tests.support.feed import Feed, reading

Operator = Callable[[Any], AsyncGenerator[Any, None]]
Holding = Callable[[Any, float], AsyncGenerator[Any, None]]

SHORT = 0.01
LONG = 3600

AT_ONCE: dict[str, Operator] = {
    "edges": edges,
    "levels": levels,
    "changes": changes,
    "smooth": partial(smooth, over=1),
    "throttle": partial(throttle, every=1),
}


def holding(operate: Callable[..., Any], argument: str, **others: Any) -> Holding:
    return lambda events, span: operate(events, **{argument: span}, **others)


def for_long(operate: Holding) -> Operator:
    return lambda events: operate(events, LONG)


HOLDING = {
    "debounce": holding(debounce, "quiet"),
    "trailing": holding(throttle, "every", trailing=True),
    "sample": holding(sample, "every"),
    "window": holding(window, "every"),
}
ALL = AT_ONCE | {name: for_long(operate) for name, operate in HOLDING.items()}

of_all = pytest.mark.parametrize("operate", ALL.values(), ids=ALL)
of_holding = pytest.mark.parametrize("operate", HOLDING.values(), ids=HOLDING)


def some() -> list[InputEvent]:
    """Every operator makes something of these."""
    return [reading(0, at=0), reading(100, at=2_000), reading(0, at=2 * LONG * 1000), reading(100, at=4 * LONG * 1000)]


async def soon(found: AsyncGenerator[Any, None]) -> Any:
    with anyio.fail_after(5):
        return await anext(found)


async def rest(found: AsyncGenerator[Any, None]) -> list[Any]:
    with anyio.fail_after(5):
        return [item async for item in found]


# What is held is let go of by the local clock


@pytest.mark.anyio
@of_holding
async def test_what_is_due_comes_though_nothing_follows(operate: Holding) -> None:
    feed = Feed([reading(1), reading(2)])
    found = operate(feed, SHORT)
    if operate is HOLDING["trailing"]:
        assert await soon(found) == reading(1)
    last = await soon(found)
    assert last in (reading(2), (reading(1), reading(2)))
    # And again: a wait that was given up has harmed nothing.
    feed.put(reading(3, at=5000))
    assert await soon(found) in (reading(3, at=5000), (reading(3, at=5000),))
    assert feed.given_up >= 1


@pytest.mark.anyio
async def test_each_device_has_its_own_time() -> None:
    feed = Feed([reading(1, at=9_000_000, device="ahead"), reading(2, at=0, device="behind")])
    found = debounce(feed, quiet=SHORT)
    assert {(await soon(found)).device_id for _ in range(2)} == {"ahead", "behind"}


@pytest.mark.anyio
async def test_what_is_not_due_waits_for_the_end() -> None:
    feed = Feed([reading(2, at=7, device="b"), reading(1, device="a"), reading(3, at=8, device="a")])
    found = window(feed, every=LONG)
    with anyio.move_on_after(0.05):
        await anext(found)
        raise AssertionError("nothing is due yet")
    feed.end()
    assert await rest(found) == [
        (reading(1, device="a"), reading(3, at=8, device="a")),
        (reading(2, at=7, device="b"),),
    ]


@pytest.mark.anyio
async def test_nothing_is_lost_by_waits_that_are_given_up_at_any_moment() -> None:
    feed = Feed()
    events = [reading(number, at=number) for number in range(200)]

    async def put() -> None:
        for number, event in enumerate(events):
            feed.put(event)
            await anyio.sleep(0.001 if number % 3 else 0)
        feed.end()

    groups: list[tuple[InputEvent, ...]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put)
        groups += await rest(window(feed, every=0.001))
    assert [event for group in groups for event in group] == events
    assert feed.given_up > 0


@pytest.mark.anyio
async def test_events_that_wait_already_come_before_what_is_due() -> None:
    feed = Feed([reading(1, at=0)])
    found = debounce(feed, quiet=SHORT)
    with anyio.move_on_after(0):
        await anext(found)
    feed.put(reading(2, at=1))
    await anyio.sleep(5 * SHORT)  # the first is long due, and was not silent that long
    assert await soon(found) == reading(2, at=1)


@pytest.mark.anyio
@of_holding
async def test_an_event_that_comes_late_is_of_the_time_after(operate: Holding) -> None:
    feed = Feed([reading(1, at=0), reading(2, at=2)])
    found = operate(feed, SHORT)
    while reading(2, at=2) not in ((last,) if isinstance(last := await soon(found), InputEvent) else last):
        pass  # which only the local clock lets go of
    late, after = reading(3, at=9), reading(4, at=15)
    feed.put(late, after)
    feed.end()
    assert await rest(found) == [(late, after) if operate is HOLDING["window"] else after]


# Leaving


@pytest.mark.anyio
@of_all
async def test_a_break_loses_nothing(operate: Operator) -> None:
    whole = await rest(operate(Feed(some(), ends=True)))
    assert whole
    feed = Feed(some(), ends=True)
    found = operate(feed)
    pieces: list[Any] = []
    for _ in whole:
        async for item in found:
            pieces.append(item)
            break
    assert pieces == whole
    assert await rest(found) == []
    assert not feed.closed


@pytest.mark.anyio
@of_all
async def test_a_cancelled_wait_loses_nothing(operate: Operator) -> None:
    whole = await rest(operate(Feed(some(), ends=True)))
    feed = Feed()
    found = operate(feed)
    pieces: list[Any] = []
    for event in some():
        with anyio.move_on_after(0):
            async for item in found:
                pieces.append(item)  # noqa: PERF401 - what came before the cancellation counts
        feed.put(event)
    feed.end()
    assert pieces + await rest(found) == whole


@pytest.mark.anyio
@of_all
async def test_aclose_ends_it_and_leaves_its_source_open(operate: Operator) -> None:
    feed = Feed(some())
    async with aclosing(operate(feed)) as found:
        await soon(found)
    assert await rest(found) == []
    assert not feed.closed
    assert await anext(feed) is not None


@pytest.mark.anyio
@of_all
async def test_aclose_ends_it_for_who_waits_in_it(operate: Operator) -> None:
    feed = Feed()
    found = operate(feed)
    got: list[list[Any]] = []

    async def take() -> None:
        got.append(await rest(found))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await feed.until_waited_for()
        await found.aclose()
    assert got == [[]]
    assert feed.waits == 0


class Opened:
    """Makes an iterator that has something to close."""

    def __init__(self) -> None:
        self.made = Feed([reading(1)])

    def __aiter__(self) -> Feed:
        return self.made


@pytest.mark.anyio
@pytest.mark.parametrize("waits", [False, True])
async def test_an_iterator_that_it_made_is_closed(*, waits: bool) -> None:
    source = Opened()
    found = changes(source)
    assert await soon(found) == reading(1)
    async with anyio.create_task_group() as tasks:
        if waits:
            tasks.start_soon(rest, found)
            await source.made.until_waited_for()
        await found.aclose()
    assert source.made.closed


@pytest.mark.anyio
async def test_a_second_consumer_is_told_so() -> None:
    feed = Feed()
    found = changes(feed)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rest, found)
        await feed.until_waited_for()
        with pytest.raises(anyio.BusyResourceError):
            await anext(found)
        feed.end()


@pytest.mark.anyio
@of_all
async def test_an_error_of_the_source_comes_through_and_it_can_go_on(operate: Operator) -> None:
    feed = Feed([reading(0)])
    found = operate(feed)
    feed.put(StreamStalledError("nothing came"), *some())
    feed.end()
    with pytest.raises(StreamStalledError):
        while True:
            await soon(found)
    assert await rest(found)


@pytest.mark.anyio
async def test_they_nest() -> None:
    times = {0: 0, 2000: 80, 2100: 20, 2200: 80, 4000: 82, 6000: 30, 9000: 90}
    feed = Feed([reading(percent, at=at) for at, percent in times.items()], ends=True)
    found = edges(debounce(changes(feed, by=5), quiet=1.5), high=70, low=40)
    told = [(event.timestamp_ms, event.delta) for event in await rest(found)]
    assert told == [(2200, "ignite"), (6000, "release"), (9000, "ignite")]


# Async generator functions


async def generated(
    *events: InputEvent, then: AsyncIterable[InputEvent] | None = None
) -> AsyncGenerator[InputEvent, None]:
    for event in events:
        yield event
    if then is not None:
        async for event in then:
            yield event


@pytest.mark.anyio
@of_holding
async def test_an_async_generator_function_is_refused_where_it_would_not_survive(
    operate: Holding,
) -> None:
    async with aclosing(generated(reading(1))) as source:
        with pytest.raises(InvalidArgumentError, match=r"merge\(\)"):
            operate(source, SHORT)
        with pytest.raises(InvalidArgumentError, match=r"merge\(\)"):
            operate(changes(source), SHORT)


@pytest.mark.anyio
@of_holding
async def test_merge_makes_it_survive(operate: Holding) -> None:
    feed = Feed()
    async with merge(generated(reading(1), reading(2), then=feed)) as merged:
        found = operate(merged, SHORT)
        first = await soon(found)
        if operate is HOLDING["trailing"]:
            assert first == reading(1)
            first = await soon(found)
        assert first in (reading(2), (reading(1), reading(2)))
        feed.put(reading(3, at=5000))
        assert await soon(found) in (reading(3, at=5000), (reading(3, at=5000),))
        assert feed.given_up == 0


@pytest.mark.anyio
@pytest.mark.parametrize("operate", AT_ONCE.values(), ids=AT_ONCE)
async def test_others_take_one_and_do_not_close_it(operate: Operator) -> None:
    async with aclosing(generated(*some())) as source:
        async with aclosing(operate(source)) as found:
            await soon(found)
        assert (await anext(source)).device_id == "bit"


# Events that are there


@of_all
def test_a_list_gives_a_generator_that_reads_no_further_than_it_is_asked(operate: Callable[[Any], Any]) -> None:
    read: list[InputEvent] = []

    def source() -> Any:
        for event in some():
            read.append(event)
            yield event

    found = operate(source())
    assert inspect.isgenerator(found)
    assert not read
    next(found)
    assert len(read) < len(some())


@pytest.mark.parametrize(
    ("percent", "level"), [(104.0, "active"), (-3.0, "idle")], ids=["more than full scale", "less than nothing"]
)
def test_percents_out_of_scale_have_a_level(percent: float, level: str) -> None:
    (event,) = levels([reading(percent)])
    assert (event.percent, event.level) == (percent, level)


# Arguments


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: edges([], high=40, low=70),
        lambda: levels([], high=101),
        lambda: changes([], by=-1),
        lambda: changes([], by=float("nan")),
        *(
            partial(operate, [], seconds)
            for operate in (*HOLDING.values(), holding(throttle, "every"), holding(smooth, "over"))
            for seconds in (0, -1, 0.0004, float("inf"), float("nan"))
        ),
    ],
)
def test_what_cannot_be_is_refused_at_once(wrong: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgumentError):
        wrong()


@pytest.mark.parametrize("name", sorted({*signals.__all__} - {"Merged", "merge"}))
def test_help_shows_the_events_and_the_operators_own_arguments(name: str) -> None:
    operate = getattr(signals, name)
    first, *others = inspect.signature(operate).parameters.values()
    assert (first.name, first.kind) == ("events", first.POSITIONAL_ONLY)
    assert all(other.kind is other.KEYWORD_ONLY for other in others)
    assert operate.__name__ == name
    assert operate.__doc__
