"""Several sources in one."""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import pytest

from littlebits_async import InputEvent, SessionClosedError, StreamClosedError, StreamStalledError
from littlebits_async.signals import Merged, merge
from tests.support.feed import Feed, reading

pytestmark = pytest.mark.anyio


async def soon(events: Merged[InputEvent]) -> InputEvent:
    with anyio.fail_after(5):
        return await anext(events)


async def rest(events: Merged[InputEvent]) -> list[InputEvent]:
    with anyio.fail_after(5):
        return [event async for event in events]


def readings(device: str, number: int) -> list[InputEvent]:
    return [reading(at % 100, at=at, device=device) for at in range(number)]


async def test_each_event_of_each_source_comes_once_and_in_its_order() -> None:
    async with merge(*(Feed(readings(device, 50), ends=True) for device in "abc")) as events:
        found = await rest(events)
    for device in "abc":
        assert [event for event in found if event.device_id == device] == readings(device, 50)
    assert len(found) == 150


async def test_a_busy_source_keeps_no_other_out() -> None:
    async with merge(*(Feed(readings(device, 100)) for device in "abc")) as events:
        assert Counter([(await soon(events)).device_id for _ in range(30)]) == {"a": 10, "b": 10, "c": 10}


async def test_a_source_is_read_one_event_ahead() -> None:
    feed = Feed(readings("a", 10))
    async with merge(feed) as events:
        assert (await soon(events)).timestamp_ms == 0
        await anyio.wait_all_tasks_blocked()
    # The one that was read ahead is lost with the block.
    assert (await anext(feed)).timestamp_ms == 2
    assert not feed.closed


async def test_it_ends_when_all_have_ended() -> None:
    first, second = Feed(readings("a", 1), ends=True), Feed()
    async with merge(first, second) as events:
        assert (await soon(events)).device_id == "a"
        second.put(reading(5, device="b"))
        assert (await soon(events)).device_id == "b"
        second.end()
        assert await rest(events) == []
    nothing: Merged[InputEvent] = merge()
    async with nothing:
        assert await rest(nothing) == []


async def test_the_first_error_ends_it_after_what_came_before() -> None:
    failing, other = Feed(), Feed(readings("b", 1))
    async with merge(failing, other) as events:
        await anyio.wait_all_tasks_blocked()
        failing.put(StreamStalledError("nothing came"))
        await anyio.wait_all_tasks_blocked()
        assert (await soon(events)).device_id == "b"
        with pytest.raises(StreamStalledError):
            await soon(events)
        assert await rest(events) == []
        assert other.waits == 0
        assert anyio.current_effective_deadline() > 0  # the block itself goes on


async def test_an_error_that_nobody_saw_is_raised_on_leaving() -> None:
    failing = Feed()
    with pytest.raises(StreamClosedError):
        async with merge(failing):
            failing.put(StreamClosedError("over"))
            await anyio.wait_all_tasks_blocked()


async def test_the_blocks_own_error_comes_out_as_itself() -> None:
    failing = Feed()
    with pytest.raises(ValueError, match=r"^mine$"):
        async with merge(failing):
            failing.put(StreamClosedError("over"))
            await anyio.wait_all_tasks_blocked()
            raise ValueError("mine")


async def test_leaving_gives_every_wait_up() -> None:
    feeds = [Feed(), Feed()]
    async with merge(*feeds) as events:
        for feed in feeds:
            await feed.until_waited_for()
    assert [feed.waits for feed in feeds] == [0, 0]
    assert await rest(events) == []


async def test_cancellation_gives_every_wait_up() -> None:
    feed = Feed()
    with anyio.move_on_after(0.01) as scope:
        async with merge(feed) as events:
            await anext(events)
    assert scope.cancelled_caught
    assert feed.waits == 0


async def test_a_wait_that_is_given_up_loses_nothing() -> None:
    feed = Feed()
    found: list[InputEvent] = []
    async with merge(feed) as events:
        for event in readings("a", 20):
            with anyio.move_on_after(0):
                found.append(await anext(events))
            feed.put(event)
        feed.end()
        found += await rest(events)
    assert found == readings("a", 20)


async def test_aclose_ends_it_for_who_waits_in_it() -> None:
    feed = Feed()
    async with merge(feed) as events, anyio.create_task_group() as tasks:
        tasks.start_soon(rest, events)
        await feed.until_waited_for()
        await events.aclose()


@pytest.mark.parametrize("waiting", [False, True])
async def test_async_generator_functions_end_with_the_block(*, waiting: bool) -> None:
    ended: list[str] = []

    async def generate() -> AsyncGenerator[InputEvent, None]:
        try:
            yield reading(1)
            if waiting:
                await anyio.sleep_forever()
            yield reading(2)
        finally:
            ended.append("generator")

    generator = generate()
    async with merge(generator) as events:
        assert await soon(events) == reading(1)
        await anyio.wait_all_tasks_blocked()
    assert ended == ["generator"]


async def test_it_is_entered_first_and_once() -> None:
    events = merge(Feed(readings("a", 1), ends=True))
    with pytest.raises(SessionClosedError, match="async with"):
        await anext(events)
    async with events:
        pass
    with pytest.raises(SessionClosedError, match="once"):
        async with events:
            pass


async def test_what_was_closed_before_it_is_entered_reads_nothing() -> None:
    feed = Feed(readings("a", 3))
    events = merge(feed)
    await events.aclose()
    async with events:
        await anyio.wait_all_tasks_blocked()
        assert await rest(events) == []
    assert await anext(feed) == reading(0, device="a")


async def test_a_source_that_is_none_is_told_at_once() -> None:
    with pytest.raises(TypeError):
        async with merge(Feed(), 5):  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
            pass


async def test_a_second_consumer_is_told_so() -> None:
    feed = Feed()
    async with merge(feed) as events, anyio.create_task_group() as tasks:
        tasks.start_soon(rest, events)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await anext(events)
        feed.end()


async def test_aclosing_is_enough_inside_the_block() -> None:
    async with merge(Feed(readings("a", 3))) as events, aclosing(events):
        await soon(events)
    assert await rest(events) == []


# Without a loop


def made_and_read(backend: str) -> list[InputEvent]:
    events = merge(Feed(readings("a", 3), ends=True))

    async def read() -> list[InputEvent]:
        async with events:
            return await rest(events)

    return anyio.run(read, backend=backend)


async def test_it_can_be_made_where_no_loop_runs(anyio_backend_name: str) -> None:
    # A thread has none.
    with anyio.fail_after(5):
        assert await anyio.to_thread.run_sync(made_and_read, anyio_backend_name) == readings("a", 3)
