"""The main job, end to end over `LocalCloud`: many bits into one ``async for``, outputs meanwhile, a clean end.

Source: issue 2, "It must show"; design.md, R1, R3, R4, R6, R7 and R10.
"""

import asyncio
import gc
import itertools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import anyio
import pytest
import sniffio
import trio

from littlebits_async import (
    FOREVER,
    Backoff,
    InputEvent,
    InputReactor,
    NotFoundError,
    Priority,
    Session,
    SessionClosedError,
    StreamState,
    StreamStatus,
)
from littlebits_async.testing import RunningBit, RunningCloud, run_cloud
from tests.support.local_cloud import PATIENCE, SLOWEST, port_of, sockets_to

pytestmark = pytest.mark.anyio

QUICK = Backoff(base=0.01, cap=0.05)
MANY = [f"00e04000{number:04x}" for number in range(100)]
FEW = MANY[:3]


@pytest.fixture
def cloud() -> Iterator[RunningCloud]:
    with run_cloud() as cloud:
        yield cloud


@pytest.fixture
async def session(cloud: RunningCloud) -> AsyncIterator[Session]:
    async with cloud.session() as session:
        yield session


@pytest.fixture
async def bits(cloud: RunningCloud) -> dict[str, RunningBit]:
    """A hundred bits, each with an input of its own: its number in percent."""
    bits = {device_id: await cloud.add_device(device_id, input_interval_ms=SLOWEST) for device_id in MANY}
    for number, bit in enumerate(bits.values()):
        await bit.set_input(number)
    return bits


async def until(reactor: InputReactor, wanted: Callable[[Mapping[str, StreamStatus]], bool]) -> None:
    """Wait until the streams are as wanted."""
    with anyio.fail_after(PATIENCE):
        async for _ in reactor.changes():
            if wanted(reactor.statuses()):
                return


def all_live(statuses: Mapping[str, StreamStatus]) -> bool:
    return all(status.state is StreamState.LIVE for status in statuses.values())


async def until_reconnected(reactor: InputReactor, times: int) -> None:
    await until(reactor, lambda statuses: reactor.stats.reconnects == times and all_live(statuses))


async def take(reactor: InputReactor, number: int) -> list[InputEvent]:
    taken: list[InputEvent] = []
    with anyio.fail_after(PATIENCE):
        async for event in reactor:
            taken.append(event)
            if len(taken) == number:
                break
    return taken


async def take_until(reactor: InputReactor, wanted: Callable[[InputEvent], bool]) -> list[InputEvent]:
    taken: list[InputEvent] = []
    with anyio.fail_after(PATIENCE):
        async for event in reactor:
            taken.append(event)
            if wanted(event):
                break
    return taken


def all_tasks() -> set[object]:
    """Every task of the running event loop."""
    if sniffio.current_async_library() == "asyncio":
        return set[object](asyncio.all_tasks())
    root = trio.lowlevel.current_root_task()
    found: set[object] = set()
    looking = [root] if root else []
    while looking:
        task = looking.pop()
        found.add(task)
        looking += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def assert_nothing_is_left(cloud: RunningCloud, tasks_before: set[object]) -> None:
    """Neither a stream on the cloud's side nor a socket or a task on ours."""
    await cloud.until_streams(0)
    with anyio.fail_after(PATIENCE):
        while sockets_to(port_of(cloud)):  # noqa: ASYNC110 - the kernel tells nobody
            await anyio.sleep(0.002)
    assert all_tasks() - tasks_before == set()
    gc.collect()  # what was not closed warns, and warnings are errors


# A hundred devices on one session


async def test_a_hundred_devices_while_outputs_answer(
    cloud: RunningCloud, session: Session, bits: dict[str, RunningBit]
) -> None:
    outputs = written_while_opening = 0

    async def write(stop: anyio.Event) -> None:
        nonlocal outputs
        for device_id in itertools.cycle(MANY):
            percent = outputs % 100 + 1
            with anyio.fail_after(PATIENCE):
                await session.output(device_id, percent, duration_ms=FOREVER)
            await bits[device_id].until_shown(percent)
            outputs += 1
            if stop.is_set():
                return

    async with InputReactor(session, MANY) as reactor, anyio.create_task_group() as group:
        stop = anyio.Event()
        group.start_soon(write, stop)
        await until(reactor, all_live)
        await cloud.until_streams(100)
        written_while_opening = outputs
        seen = {event.device_id: event.percent for event in await take(reactor, 100)}
        assert seen == {device_id: number for number, device_id in enumerate(MANY)}
        for bit in bits.values():
            await bit.turn(50)
        assert Counter(event.device_id for event in await take(reactor, 100)) == Counter(MANY)
        stop.set()
    assert outputs > written_while_opening
    assert reactor.stats.events == 200
    assert reactor.stats.reconnects == reactor.stats.stalls == reactor.stats.dropped == reactor.stats.decode_errors == 0
    spent = (await session.budget.report()).spent
    assert spent == {(Priority.STREAM, "input"): 100, (Priority.COMMAND, "output"): outputs}


# A clean end


class OwnError(Exception):
    pass


async def stream_all(cloud: RunningCloud, session: Session, live: anyio.Event, *, then: Callable[[], None]) -> None:
    """Stream a hundred devices, have one output on its way, and then do as told, in the midst of the iteration."""
    async with InputReactor(session, MANY) as reactor:
        await until(reactor, all_live)
        await cloud.until_streams(100)
        await session.output(MANY[0], 61, duration_ms=FOREVER)
        await take(reactor, 100)
        live.set()
        then()
        await anext(aiter(reactor))


async def leave_by_an_error(cloud: RunningCloud, session: Session) -> None:
    def fail() -> None:
        raise OwnError

    with pytest.raises(OwnError):
        await stream_all(cloud, session, anyio.Event(), then=fail)


async def leave_by_a_cancelled_scope(cloud: RunningCloud, session: Session) -> None:
    with anyio.CancelScope() as scope:
        await stream_all(cloud, session, anyio.Event(), then=scope.cancel)
    assert scope.cancelled_caught


async def leave_by_cancellation_from_outside(cloud: RunningCloud, session: Session) -> None:
    live = anyio.Event()
    async with anyio.create_task_group() as group:

        async def stream() -> None:
            await stream_all(cloud, session, live, then=lambda: None)

        group.start_soon(stream)
        await live.wait()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()


async def leave_by_native_cancellation(cloud: RunningCloud, session: Session) -> None:
    live = anyio.Event()
    task = asyncio.create_task(stream_all(cloud, session, live, then=lambda: None))
    await live.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # an impatient caller
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_while_it_opens(_cloud: RunningCloud, session: Session) -> None:
    with anyio.CancelScope() as scope:
        async with InputReactor(session, MANY, max_connecting=8) as reactor:
            await until(reactor, lambda statuses: any(s.state is StreamState.LIVE for s in statuses.values()))
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def leave_at_the_end_of_the_block(_cloud: RunningCloud, session: Session) -> None:
    async with InputReactor(session, MANY) as reactor:
        await take(reactor, 30)


async def leave_while_the_streams_are_held_back(_cloud: RunningCloud, session: Session) -> None:
    async with InputReactor(session, MANY, buffer=1) as reactor:
        await until(reactor, all_live)
        await anyio.wait_all_tasks_blocked()
        await take(reactor, 3)


Leaving = Callable[[RunningCloud, Session], Awaitable[None]]


@pytest.mark.requirement("R7.closed", "R7.cancelled", "R7.error", "W11")
@pytest.mark.parametrize(
    ("anyio_backend", "leave"),
    [
        *itertools.product(
            ["asyncio", "trio"],
            [
                leave_at_the_end_of_the_block,
                leave_by_an_error,
                leave_by_a_cancelled_scope,
                leave_by_cancellation_from_outside,
                leave_while_it_opens,
                leave_while_the_streams_are_held_back,
            ],
        ),
        ("asyncio", leave_by_native_cancellation),
    ],
)
async def test_leaving_leaves_nothing(
    cloud: RunningCloud, bits: dict[str, RunningBit], leave: Leaving, caplog: pytest.LogCaptureFixture
) -> None:
    tasks = all_tasks()
    async with cloud.session() as session:
        with anyio.fail_after(2 * PATIENCE):
            await leave(cloud, session)
        await cloud.until_streams(0)
        assert all_tasks() - tasks == set()
        # The session outlives its reactors.
        await session.output(MANY[1], 12, duration_ms=FOREVER)
        await bits[MANY[1]].until_shown(12)
    await assert_nothing_is_left(cloud, tasks)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.usefixtures("bits")
async def test_the_count_of_sockets_sees_those_of_a_session(cloud: RunningCloud, session: Session) -> None:
    async with InputReactor(session, FEW) as reactor:
        await until(reactor, all_live)
        assert sockets_to(port_of(cloud)) == 3  # one for each stream, and no call was made yet
        await session.ping()
        assert sockets_to(port_of(cloud)) == 4


@pytest.mark.requirement("R7.closed")
@pytest.mark.usefixtures("bits")
async def test_closing_the_session_under_a_reactor_leaves_nothing(cloud: RunningCloud) -> None:
    tasks = all_tasks()
    session = cloud.session()
    with pytest.raises(SessionClosedError):
        async with InputReactor(session, FEW) as reactor:
            await take(reactor, 3)
            await session.aclose()
            await take(reactor, 1)
    await assert_nothing_is_left(cloud, tasks)


# Nothing is lost


@pytest.mark.parametrize("buffer", [1, 7, 1024])
async def test_break_and_iterating_again_loses_nothing(cloud: RunningCloud, session: Session, buffer: int) -> None:
    last = 60  # a reader of the cloud may be 64 events behind
    bits = [await cloud.add_device(device_id, input_interval_ms=SLOWEST) for device_id in FEW]
    taken: list[InputEvent] = []

    async def turn_all() -> None:
        for percent in range(1, last + 1):
            for bit in bits:
                await bit.turn(percent)

    async with InputReactor(session, FEW, buffer=buffer) as reactor, anyio.create_task_group() as group:
        taken += await take(reactor, 3)  # what each stream begins with
        group.start_soon(turn_all)
        for number in itertools.cycle((1, 7, 2, 13, 3)):
            taken += await take(reactor, min(number, 3 * (last + 1) - len(taken)))
            await session.ping()  # something else to do between two iterations
            if len(taken) == 3 * (last + 1):
                break
        assert reactor.stats.dropped == reactor.stats.reconnects == 0
    for device_id in FEW:
        own = [event for event in taken if event.device_id == device_id]
        assert [event.percent for event in own] == list(range(last + 1))
        times = [event.timestamp_ms for event in own]
        assert times == sorted(set(times))


async def test_what_came_while_nobody_iterated_is_there(cloud: RunningCloud, session: Session) -> None:
    bit = await cloud.add_device(FEW[0], input_interval_ms=SLOWEST)
    async with InputReactor(session, FEW[:1], buffer=4) as reactor:
        assert [event.percent for event in await take(reactor, 1)] == [0]
        for percent in range(1, 41):
            await bit.turn(percent)
        assert [event.percent for event in await take(reactor, 40)] == list(range(1, 41))
        assert reactor.stats.dropped == 0


def count() -> Callable[[float], float]:
    """A waveform that goes up by one with each reading, however late it is."""
    readings = itertools.count()
    return lambda _seconds: next(readings)


async def test_simulated_bits_at_their_own_pace(cloud: RunningCloud, session: Session) -> None:
    for device_id in FEW:
        await cloud.add_device(device_id, input_interval_ms=200, waveform=count())
    async with InputReactor(session, FEW) as reactor:
        taken = await take(reactor, 12)
    for device_id in FEW:
        percents = [event.percent for event in taken if event.device_id == device_id]
        assert len(percents) >= 2
        assert percents == list(range(len(percents)))


# A bit that follows another


async def test_a_bit_that_follows_another_shows_its_value(cloud: RunningCloud, session: Session) -> None:
    publisher, follower = [
        await cloud.add_device(device_id, input_interval_ms=200, waveform=None) for device_id in FEW[:2]
    ]
    async with InputReactor(session, FEW[:2]) as reactor:
        await session.subscribe(publisher_id=publisher.id, subscriber_id=follower.id, events="amplitude")
        for percent in (61, 12, 100, 0):
            await publisher.set_input(percent)
            await follower.until_shown(percent)

        def told(event: InputEvent) -> bool:
            return event.device_id == publisher.id and event.percent == 61

        await take_until(reactor, told)
        await session.unsubscribe(publisher_id=publisher.id, subscriber_id=follower.id)
        await publisher.set_input(33)
        await take_until(reactor, lambda event: event.device_id == publisher.id and event.percent == 33)
        assert await follower.see(lambda bit: bit.shown) == 0


# What breaks, and mends


@pytest.mark.requirement("R3.again", "W8")
@pytest.mark.parametrize("abort", [False, True], ids=["ended", "cut"])
async def test_streams_that_the_server_ends_are_opened_again(
    cloud: RunningCloud, session: Session, bits: dict[str, RunningBit], *, abort: bool
) -> None:
    async with InputReactor(session, FEW, backoff=QUICK) as reactor:
        before = await take(reactor, 3)
        for reconnects in (3, 6):
            assert await cloud.faults.cut(abort=abort) == 3
            await until_reconnected(reactor, reconnects)
            await cloud.until_streams(3)
        for device_id in FEW:
            await bits[device_id].turn(77)
        after = await take(reactor, 3)
    # What a stream begins with is the newest reading, which was here already: it is not told twice.
    assert {(event.device_id, event.percent) for event in before} == {(FEW[0], 0), (FEW[1], 1), (FEW[2], 2)}
    assert {(event.device_id, event.percent) for event in after} == {(device_id, 77) for device_id in FEW}


@pytest.mark.requirement("R3.again", "W8")
async def test_a_server_that_is_restarted_is_found_again() -> None:
    with run_cloud() as cloud:
        bits = [await cloud.add_device(device_id, input_interval_ms=SLOWEST) for device_id in FEW]
        tasks = all_tasks()
        async with cloud.session() as session, InputReactor(session, FEW, backoff=QUICK) as reactor:
            await take(reactor, 3)
            async with cloud.faults.away():
                await until(reactor, lambda statuses: all(s.state is not StreamState.LIVE for s in statuses.values()))
            await until(reactor, all_live)
            await cloud.until_streams(3)
            for number, bit in enumerate(bits, start=5):
                await bit.turn(number)
            seen: dict[str, float] = {}
            while seen != {FEW[0]: 5, FEW[1]: 6, FEW[2]: 7}:
                (event,) = await take(reactor, 1)
                seen[event.device_id] = event.percent
            with anyio.fail_after(PATIENCE):
                await session.output(FEW[0], 61, duration_ms=FOREVER)
            await bits[0].until_shown(61)
        await assert_nothing_is_left(cloud, tasks)


@pytest.mark.requirement("R4.quiet", "W2")
async def test_a_bit_that_goes_off_line_is_quiet_and_then_live_again() -> None:
    with run_cloud(blank_line_every=0.05) as cloud:
        steady, absent = [await cloud.add_device(device_id, input_interval_ms=200) for device_id in FEW[:2]]
        async with cloud.session() as session:
            async with InputReactor(session, FEW[:2], stall_after=0.8) as reactor:
                await take(reactor, 4)
                await absent.set_input(10)
                await absent.set_connected(to=False)
                await until(reactor, lambda statuses: statuses[absent.id].state is StreamState.QUIET)
                assert reactor.status(steady.id).state is StreamState.LIVE
                await absent.set_input(20)
                await absent.set_connected(to=True)
                taken = await take_until(reactor, lambda event: event.device_id == absent.id and event.percent == 20)
                # While it was off line, nothing was read.
                assert 10 not in {event.percent for event in taken}
                await until(reactor, all_live)
                assert reactor.stats.reconnects == 0


@pytest.mark.requirement("R4.stall", "W1")
async def test_a_bit_that_is_silent_off_line_is_asked_for_again(cloud: RunningCloud, session: Session) -> None:
    bit = await cloud.add_device(FEW[0], input_interval_ms=SLOWEST)
    async with InputReactor(session, FEW[:1], backoff=QUICK, stall_after=0.6) as reactor:
        await take(reactor, 1)
        await bit.set_connected(to=False)
        await until_reconnected(reactor, 1)
        assert reactor.stats.stalls == 1
        await bit.set_input(42)
        await bit.set_connected(to=True)
        assert [event.percent for event in await take(reactor, 1)] == [42]


@pytest.mark.requirement("R6.refused", "R6.add", "W7")
async def test_a_device_that_is_given_up_fails_alone_and_can_come_back(
    session: Session, bits: dict[str, RunningBit]
) -> None:
    gone, *others = FEW
    async with InputReactor(session, FEW, backoff=QUICK) as reactor:
        await take(reactor, 3)
        await session.deactivate(gone)
        await until(reactor, lambda statuses: statuses[gone].state is StreamState.FAILED)
        assert isinstance(reactor.status(gone).error, NotFoundError)
        assert {reactor.status(device_id).state for device_id in others} == {StreamState.LIVE}
        await bits[others[0]].turn(90)
        assert [(event.device_id, event.percent) for event in await take(reactor, 1)] == [(others[0], 90)]
        await session.activate(gone)
        reactor.add(gone)
        await until(reactor, all_live)
        await bits[gone].turn(80)
        await take_until(reactor, lambda event: event.device_id == gone and event.percent == 80)
