import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import pytest
from anyio.lowlevel import checkpoint

from littlebits_async.buffer import Overflow, make_buffer
from littlebits_async.reactor._channel import Channel  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.anyio

Items = Channel[int]


class FakeEndError(Exception):
    """What a check may raise instead of waiting."""


def make(capacity: int = 2, overflow: Overflow = Overflow.BLOCK, check: Callable[[], None] = lambda: None) -> Items:
    return Items(make_buffer(capacity, overflow), check)


@asynccontextmanager
async def tasks() -> AsyncGenerator[anyio.abc.TaskGroup, None]:
    """A group whose tasks are all to end by themselves."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            yield group


async def settle() -> None:
    """Let every task run until it waits for another."""
    for _ in range(10):
        await checkpoint()


class Producer:
    """Puts items one after the other, and says which are in."""

    def __init__(self, channel: Items, key: str, *items: int) -> None:
        self.channel = channel
        self.key = key
        self.items = items
        self.put: list[int] = []
        self.scope = anyio.CancelScope()

    async def __call__(self) -> None:
        with self.scope:
            for item in self.items:
                await self.channel.put(self.key, item)
                self.put.append(item)


async def take(channel: Items, number: int) -> list[int]:
    return [await channel.get() for _ in range(number)]


@pytest.mark.requirement("R1.order")
async def test_items_leave_in_the_order_in_which_they_came() -> None:
    channel = make(10)
    with anyio.fail_after(5):
        for item in range(10):
            await channel.put("ab"[item % 2], item)
        assert await take(channel, 10) == list(range(10))


@pytest.mark.requirement("R2.block")
async def test_offer_takes_while_there_is_room() -> None:
    channel = make(2)
    assert channel.offer("a", 1)
    assert channel.offer("a", 2)
    assert not channel.offer("a", 3)
    with anyio.fail_after(5):
        assert await channel.get() == 1
        assert channel.offer("a", 3)
        assert await take(channel, 2) == [2, 3]


async def test_the_consumer_waits_for_an_item() -> None:
    channel = make()
    taken: list[int] = []

    async def consume() -> None:
        taken.append(await channel.get())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        assert taken == []
        await channel.put("a", 7)
    assert taken == [7]


async def test_an_offer_wakes_the_consumer() -> None:
    channel = make()
    taken: list[int] = []

    async def consume() -> None:
        taken.extend(await take(channel, 3))

    async with tasks() as group:
        group.start_soon(consume)
        for item in range(3):
            await settle()
            assert channel.offer("a", item)
    assert taken == [0, 1, 2]


@pytest.mark.requirement("R2.block")
async def test_a_producer_waits_for_room() -> None:
    channel = make(2)
    producer = Producer(channel, "a", 1, 2, 3, 4)
    async with tasks() as group:
        group.start_soon(producer)
        await settle()
        assert producer.put == [1, 2]
        assert await channel.get() == 1
        await settle()
        assert producer.put == [1, 2, 3]
        assert await take(channel, 3) == [2, 3, 4]


@pytest.mark.requirement("R2.block")
async def test_memory_is_bounded_by_the_buffer() -> None:
    channel = make(3)
    producers = [Producer(channel, str(number), *range(50)) for number in range(20)]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
        for _ in range(20 * 50):
            await settle()
            assert len(channel.buffer) <= 3
            await channel.get()
    assert len(channel.buffer) == 0


@pytest.mark.requirement("R10")
async def test_producers_are_served_first_come_first_served() -> None:
    channel = make(1)
    channel.offer("x", 0)
    async with tasks() as group:
        for number in range(1, 6):
            group.start_soon(Producer(channel, "abcde"[number - 1], number))
            await settle()
        assert await take(channel, 6) == [0, 1, 2, 3, 4, 5]


@pytest.mark.requirement("R10")
async def test_a_busy_producer_does_not_keep_the_others_out() -> None:
    channel = make(1)
    busy = Producer(channel, "busy", *range(100, 110))
    shy = Producer(channel, "shy", 1)
    async with tasks() as group:
        group.start_soon(busy)
        await settle()
        group.start_soon(shy)
        await settle()
        assert await take(channel, 3) == [100, 101, 1]
        assert await take(channel, 8) == list(range(102, 110))


@pytest.mark.requirement("R1.order")
async def test_nobody_is_let_in_before_those_in_line() -> None:
    channel = make(1)
    channel.offer("a", 0)
    first, second = Producer(channel, "a", 1), Producer(channel, "b", 2)
    async with tasks() as group:
        group.start_soon(first)
        await settle()
        group.start_soon(second)
        await settle()
        channel.buffer.drain()  # there is room, which nobody in line has been told of
        assert not channel.offer("c", 3)
        channel.discard("a")  # now they are
        assert await take(channel, 2) == [1, 2]


async def test_each_item_that_is_taken_lets_one_producer_in() -> None:
    channel = make(2)
    channel.offer("x", 0)
    channel.offer("x", 0)
    producers = [Producer(channel, "a", number) for number in range(4)]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
            await settle()
        for number in range(4):
            assert [len(producer.put) for producer in producers] == [1] * number + [0] * (4 - number)
            await channel.get()
            await settle()
        assert await take(channel, 2) == [2, 3]


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_cancelled_producer_leaves_the_line_and_loses_nothing_of_the_others(position: int) -> None:
    channel = make(1)
    channel.offer("x", 0)
    producers = [Producer(channel, "abc"[number], number + 1) for number in range(3)]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
            await settle()
        producers[position].scope.cancel()
        await settle()
        expected = [0, 1, 2, 3]
        expected.remove(position + 1)
        assert await take(channel, 3) == expected
    assert producers[position].put == []
    assert len(channel.buffer) == 0
    assert channel.offer("x", 9)


async def test_a_producer_cancelled_when_its_item_was_just_let_in_loses_nothing() -> None:
    channel = make(1)
    channel.offer("a", 0)
    first, second = Producer(channel, "a", 1), Producer(channel, "b", 2)
    async with tasks() as group:
        for producer in (first, second):
            group.start_soon(producer)
            await settle()
        assert await channel.get() == 0  # the first's item is in; it has not run since
        first.scope.cancel()
        await settle()
        assert await take(channel, 2) == [1, 2]
    assert second.put == [2]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_producer_cancelled_natively_when_its_item_was_just_let_in_loses_nothing() -> None:
    channel = make(1)
    channel.offer("a", 0)
    task = asyncio.create_task(channel.put("a", 1))
    with anyio.fail_after(5):
        await settle()
        assert await channel.get() == 0
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await channel.get() == 1


async def test_get_all_takes_what_is_there_and_lets_in_who_waits() -> None:
    channel = make(2)
    producer = Producer(channel, "a", 1, 2, 3, 4, 5)
    async with tasks() as group:
        group.start_soon(producer)
        await settle()
        assert await channel.get_all() == [1, 2]
        assert len(channel.buffer) == 1  # the one that was in line
        await settle()
        assert await channel.get_all() == [3, 4]
        await settle()
        assert await channel.get_all() == [5]


async def test_get_all_waits_for_an_item() -> None:
    channel = make()
    taken: list[int] = []

    async def consume() -> None:
        taken.extend(await channel.get_all())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        channel.offer("a", 1)
        channel.offer("a", 2)
    assert taken == [1, 2]


async def test_get_all_refuses_a_second_consumer() -> None:
    channel = make()
    async with tasks() as group:
        group.start_soon(channel.get)
        await settle()
        with pytest.raises(anyio.BusyResourceError):
            await channel.get_all()
        channel.offer("a", 1)


async def test_clear_drops_what_is_queued_and_what_waits_and_frees_its_producers() -> None:
    channel = make(1)
    producers = [Producer(channel, "abc"[number], number) for number in range(3)]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
            await settle()
        channel.clear()
    assert [producer.put for producer in producers] == [[0], [1], [2]]
    assert len(channel.buffer) == 0
    with anyio.fail_after(5):
        assert channel.offer("a", 9)
        assert await channel.get() == 9


@pytest.mark.requirement("R2.edges")
async def test_what_cannot_be_merged_is_kept_besides_the_latest() -> None:
    channel = make(4, Overflow.LATEST)
    assert channel.offer("a", 1)
    assert channel.offer("a", 2, mergeable=False)
    with anyio.fail_after(5):
        await channel.put("a", 3, mergeable=False)
        await channel.put("a", 4)
        assert await channel.get_all() == [2, 3, 4]


@pytest.mark.requirement("R7.cancelled")
async def test_a_cancelled_consumer_loses_nothing() -> None:
    channel = make()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await channel.get()
    with anyio.fail_after(5):
        assert channel.offer("a", 1)
        assert channel.offer("a", 2)
        assert await take(channel, 2) == [1, 2]


async def test_a_consumer_cancelled_when_an_item_has_just_come_leaves_it_for_the_next() -> None:
    channel = make()
    scope = anyio.CancelScope()
    taken: list[int] = []

    async def consume() -> None:
        with scope:
            taken.append(await channel.get())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        channel.offer("a", 1)
        scope.cancel()
        await settle()
        if not taken:
            taken.append(await channel.get())
    assert taken == [1]
    assert len(channel.buffer) == 0


async def test_a_second_consumer_is_refused() -> None:
    channel = make()
    taken: list[int] = []

    async def consume() -> None:
        taken.append(await channel.get())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        with pytest.raises(anyio.BusyResourceError):
            await channel.get()
        channel.offer("a", 1)  # the first is not disturbed
    assert taken == [1]


async def test_a_second_consumer_is_refused_what_the_first_was_woken_for() -> None:
    channel = make()
    taken: list[int] = []

    async def consume() -> None:
        taken.append(await channel.get())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        channel.offer("a", 1)  # the first has not run since
        with pytest.raises(anyio.BusyResourceError):
            await channel.get()
        with pytest.raises(anyio.BusyResourceError):
            await channel.get_all()
    assert taken == [1]


async def test_the_consumer_is_woken_once_for_all_that_comes_at_a_time() -> None:
    looks: list[int] = []
    channel = make(10, check=lambda: looks.append(len(channel.buffer)))
    taken: list[int] = []

    async def consume() -> None:
        taken.extend(await take(channel, 6))

    async with tasks() as group:
        group.start_soon(consume)
        for first in (0, 3):
            await settle()
            for item in range(first, first + 3):
                channel.offer("a", item)
    assert taken == list(range(6))
    assert looks == [0, 0]  # before it waits, and not once for each item


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.parametrize("woken", [True, False])
async def test_waits_that_were_cancelled_do_not_keep_the_next_from_waiting(woken: bool) -> None:  # noqa: FBT001
    looks: list[int] = []
    channel = make(check=lambda: looks.append(len(channel.buffer)))
    taken: list[int] = []

    async def consume(scope: anyio.CancelScope) -> None:
        with scope:
            await channel.get()

    async with tasks() as group:
        for _ in range(5):
            scope = anyio.CancelScope()
            group.start_soon(consume, scope)
            await settle()
            if woken:
                channel.wake()
            scope.cancel()
            await settle()
            channel.offer("a", 0)  # wakes nobody
            assert await channel.get() == 0
    looks.clear()
    async with tasks() as group:

        async def follow() -> None:
            taken.append(await channel.get())

        group.start_soon(follow)
        await settle()
        assert len(looks) <= 2  # once more at most, and then it sleeps
        channel.offer("a", 1)
    assert taken == [1]


async def test_one_consumer_may_follow_another() -> None:
    channel = make()
    with anyio.move_on_after(0):
        await channel.get()
    channel.offer("a", 1)
    with anyio.fail_after(5):
        assert await channel.get() == 1


async def test_discard_drops_the_items_of_one_key_and_admits_those_in_line() -> None:
    channel = make(3)
    for key, item in (("a", 1), ("b", 2), ("a", 3)):
        channel.offer(key, item)
    producers = [Producer(channel, "c", 4), Producer(channel, "d", 5), Producer(channel, "e", 6)]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
            await settle()
        channel.discard("a")
        await settle()
        assert [producer.put for producer in producers] == [[4], [5], []]
        assert await take(channel, 4) == [2, 4, 5, 6]


async def test_a_consumer_woken_for_an_item_that_is_discarded_waits_on() -> None:
    channel = make(1)
    taken: list[int] = []

    async def consume() -> None:
        taken.append(await channel.get())

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        channel.offer("a", 1)
        channel.discard("a")
        await settle()
        assert taken == []
        channel.offer("b", 2)
    assert taken == [2]


async def test_what_is_queued_comes_before_what_the_check_raises() -> None:
    def check() -> None:
        raise FakeEndError

    channel = make(check=check)
    channel.offer("a", 1)
    channel.offer("a", 2)
    with anyio.fail_after(5):
        assert await take(channel, 2) == [1, 2]
        with pytest.raises(FakeEndError):
            await channel.get()
        channel.offer("a", 3)  # and the channel can be used on
        assert await channel.get() == 3


async def test_wake_has_a_waiting_consumer_check_again() -> None:
    ended = False

    def check() -> None:
        if ended:
            raise FakeEndError

    channel = make(check=check)
    raised = anyio.Event()

    async def consume() -> None:
        with pytest.raises(FakeEndError):
            await channel.get()
        raised.set()

    async with tasks() as group:
        group.start_soon(consume)
        await settle()
        channel.wake()
        await settle()
        assert not raised.is_set()
        ended = True
        channel.wake()
        await raised.wait()


async def test_wake_without_a_consumer_does_nothing() -> None:
    channel = make()
    channel.wake()
    channel.offer("a", 1)
    channel.wake()
    with anyio.fail_after(5):
        assert await channel.get() == 1


@pytest.mark.parametrize(
    ("overflow", "left"),
    [(Overflow.DROP_OLDEST, [3, 4, 9]), (Overflow.LATEST, [4, 9])],
)
async def test_a_dropping_policy_never_makes_a_producer_wait(overflow: Overflow, left: list[int]) -> None:
    channel = make(3, overflow)
    with anyio.fail_after(5):
        for item in range(5):
            await channel.put("a", item)
        assert channel.offer("b", 9)
        assert await take(channel, len(left)) == left
    assert channel.buffer.dropped == 6 - len(left)
    assert len(channel.buffer) == 0


@pytest.mark.requirement("R2.block")
async def test_block_drops_nothing() -> None:
    channel = make(2, Overflow.BLOCK)
    producers = [Producer(channel, key, *range(20)) for key in "abc"]
    async with tasks() as group:
        for producer in producers:
            group.start_soon(producer)
        assert sorted(await take(channel, 60)) == sorted(list(range(20)) * 3)
    assert channel.buffer.dropped == 0


@pytest.mark.requirement("R1.order")
@pytest.mark.parametrize("overflow", list(Overflow))
async def test_the_order_of_each_key_holds_under_every_policy(overflow: Overflow) -> None:
    channel = make(4, overflow)
    taken: dict[str, list[int]] = {"0": [], "1": [], "2": []}

    async def consume() -> None:
        while True:
            item = await channel.get()
            taken[str(item // 100)].append(item)
            await checkpoint()

    async with tasks() as group:
        group.start_soon(consume)
        async with anyio.create_task_group() as producing:
            for key in range(3):
                producing.start_soon(Producer(channel, str(key), *range(100 * key, 100 * key + 50)))
        await settle()
        group.cancel_scope.cancel()
    for items in taken.values():
        assert items == sorted(set(items))
    assert sum(map(len, taken.values())) + channel.buffer.dropped + len(channel.buffer) == 150
