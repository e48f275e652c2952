"""Storms: everything fails at once, and comes back. Source: issue 4, "Storms"; design.md, R3, R5, R9, R10, B3, B4."""

import gc
import math
import statistics
import time
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from littlebits_async import (
    FOREVER,
    Backoff,
    BudgetReport,
    Grant,
    InputEvent,
    InputGap,
    InputReactor,
    OutputQueue,
    Overflow,
    Priority,
    RateLimitedError,
    Session,
    StreamClosedError,
    StreamState,
    TokenBucket,
    Unlimited,
)
from littlebits_async.budget._ledger import Ledger
from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.session._hold import RateLimitHold  # pyright: ignore[reportPrivateUsage]
from littlebits_async.stream import AskBudget, Open, Read, StreamMachine
from littlebits_async.testing import RunningCloud, run_cloud
from littlebits_async.transport._connection import Connection
from littlebits_async.wire import devices as devices_call
from tests.chaos.storm_watch import PATIENCE, Witness, distance_from_uniform, until_live, until_states
from tests.support.local_cloud import SLOWEST, add_devices, port_of, sockets_to
from tests.support.raw_server import Exchange, raw_server
from tests.unit.test_reactor import device_of, session_for

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]

THOUSAND = 1000
SHARED = 1800 - 180
"""What the default budget leaves to streams."""
SPAN = timedelta(seconds=3600 + 10)
"""How long its tokens are out."""
QUICK = Backoff(base=0.02, cap=0.3)


def ids_of(number: int) -> list[str]:
    return [f"00e04{index:07x}" for index in range(number)]


def is_stream(exchange: Exchange) -> bool:
    return exchange.request.path.endswith("/input")


async def serve(exchange: Exchange) -> None:
    """Answer as a server in good health."""
    if is_stream(exchange):
        await exchange.open_stream()
        await exchange.event(50, 1)
        await exchange.until_closed()
    else:
        await exchange.answer(200, [])


class Heard:
    """What a reactor tells, taken as it comes."""

    def __init__(self) -> None:
        self.events: list[InputEvent] = []
        self.gaps: list[InputGap] = []
        self._news = anyio.Event()

    async def listen(self, reactor: InputReactor) -> None:
        async for item in reactor.with_gaps():
            if isinstance(item, InputGap):
                self.gaps.append(item)
            else:
                self.events.append(item)
            self._news.set()

    async def until_events(self, number: int) -> None:
        with anyio.fail_after(PATIENCE):
            while len(self.events) < number:
                self._news = anyio.Event()
                await self._news.wait()


async def write(session: Session, device_id: str, witness: Witness, written: list[int]) -> None:
    """Write outputs one after the other, and note how often streams had become live when each was answered."""
    while True:
        with anyio.fail_after(PATIENCE):
            await session.output(device_id, 42, duration_ms=FOREVER)
        written.append(witness.states[StreamState.LIVE])
        await anyio.sleep(0.005)


async def set_connected(cloud: RunningCloud, ids: Collection[str], *, to: bool) -> None:
    """Take bits off line, or back; what is back is read at once, and its event is new."""
    for device_id in ids:
        await (await cloud.bit(device_id)).set_connected(to=to)


# A thousand streams


@pytest.mark.requirement("R3", "R3.backoff", "R9", "R10", "W8")
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])  # trio's feed is asyncio's plain one, and it takes long
async def test_a_thousand_streams_cut_at_once_come_back_apart_while_calls_are_answered() -> None:
    allow_many_open_files()
    witness, heard, ids = Witness(), Heard(), ids_of(THOUSAND)
    written: list[int] = []
    missed = set(ids[::100])
    with run_cloud(limit=20_000) as cloud:
        await add_devices(cloud, ids, input_interval_ms=SLOWEST)
        async with cloud.session(budget=TokenBucket(20_000), hooks=witness) as session:
            async with InputReactor(session, ids) as reactor, anyio.create_task_group() as group:
                group.start_soon(heard.listen, reactor)
                await until_live(reactor)
                await heard.until_events(THOUSAND)
                await set_connected(cloud, missed, to=False)

                for noted in (witness.waits, witness.late, witness.states):
                    noted.clear()
                group.start_soon(write, session, ids[1], witness, written)
                assert await cloud.faults.cut() == THOUSAND
                await witness.until_waits(1, THOUSAND)
                await until_live(reactor)
                # Calls, of which none failed, were not kept until the streams were back.
                meanwhile = Counter(3 * live // THOUSAND for live in written if 0 < live < THOUSAND)
                assert meanwhile.total() >= 20
                assert all(meanwhile[third] for third in range(3))
                # The wall clock of a status is off where its thread was interrupted just then.
                assert len(witness.late) >= THOUSAND
                assert sum(late < -0.005 for late in witness.late) <= THOUSAND // 100
                assert len(witness.waits[1]) == THOUSAND
                assert distance_from_uniform(witness.waits[1], Backoff().ceiling(1)) < 0.1

                await set_connected(cloud, missed, to=True)
                await heard.until_events(THOUSAND + len(missed))
                assert {gap.device_id for gap in heard.gaps} == missed
                assert len(heard.gaps) == len(missed)

                # Nothing is left of what was cut.
                gc.collect()
                connections = sum(type(item) in (httpx.AsyncHTTPTransport, Connection) for item in gc.get_objects())
                assert connections == THOUSAND + 1  # one for each stream, and the pool
                assert (await session.diagnostics())["open_streams"] == THOUSAND
                assert sockets_to(port_of(cloud)) <= THOUSAND + 2
                group.cancel_scope.cancel()
            await cloud.until_streams(0)


@pytest.mark.requirement("B3", "R5")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # what waits for a budget is tested on both, with fewer
async def test_of_a_thousand_streams_the_budget_brings_back_its_share_and_tells_the_rest_when() -> None:
    allow_many_open_files()
    ids = ids_of(THOUSAND)
    back = SHARED - THOUSAND
    with run_cloud() as cloud:
        await add_devices(cloud, ids, input_interval_ms=SLOWEST)
        token = await cloud.create_token()
        began = datetime.now(UTC)
        async with Session(token, base_url=cloud.url) as session, InputReactor(session, ids) as reactor:
            await until_live(reactor)
            opened = datetime.now(UTC)
            assert await cloud.faults.cut() == THOUSAND
            settled = {StreamState.LIVE: back, StreamState.WAITING_FOR_BUDGET: THOUSAND - back}
            await until_states(reactor, settled)
            for device_id in ids[:20]:
                await session.output(device_id, 42, duration_ms=FOREVER)

            report = await session.budget.report()
            assert report.next_return is not None
            statuses = reactor.statuses()
            assert Counter(status.state for status in statuses.values()) == settled
            for device_id, status in statuses.items():
                waits = status.state is StreamState.WAITING_FOR_BUDGET
                assert reactor.device_stats(device_id).reconnects == (not waits)  # nobody twice while another waits
                assert (status.retry_at is not None) == waits
            due = sorted(status.retry_at for status in statuses.values() if status.retry_at is not None)
            # The reserve is filled up first. The tokens that come back then are those that opened the first streams.
            looks = timedelta(seconds=1)  # at several clocks, one after the other
            assert began + SPAN - looks <= due[0] < due[-1] <= opened + SPAN + looks
            assert report.waiting[Priority.STREAM] == THOUSAND - back
            assert report.spent[Priority.STREAM, "input"] == SHARED
            assert await cloud.see(lambda running: running.requests(token)) == SHARED + 20


@pytest.mark.requirement("R10")
async def test_a_server_that_lets_a_thousand_streams_hang_answers_calls() -> None:
    connecting, asked = 64, 0
    healthy, full, passed_on = anyio.Event(), anyio.Event(), anyio.Event()

    async def hang(exchange: Exchange) -> None:
        nonlocal asked
        if is_stream(exchange):
            asked += 1
            if asked == connecting:
                full.set()
            if asked == 3 * connecting:
                passed_on.set()
            await healthy.wait()
        await serve(exchange)

    async with raw_server(hang) as server, session_for(server, timeout=PATIENCE) as session:
        async with InputReactor(session, ids_of(THOUSAND)):
            with anyio.fail_after(PATIENCE):
                await full.wait()
                for _ in range(50):
                    assert await session.devices() == []
                assert asked == connecting
                assert server.most_connections == connecting + 1
                healthy.set()
                await passed_on.wait()


# 429


@pytest.mark.requirement("B4.hold", "B4.together", "W4")
async def test_a_server_that_answers_429_to_all_sees_silence_until_it_said() -> None:
    """Not one request of a stream, a call or a queue but for those on their way: what was granted and waits counts."""
    calls, outputs, streams = 130, 5, 100
    on_their_way = 8 + 100  # as many streams as may connect at a time, and as many calls as the pool holds
    arrivals: list[float] = []
    all_there = anyio.Event()
    told_at = 0.0

    async def limited(exchange: Exchange) -> None:
        nonlocal told_at
        arrivals.append(time.monotonic())
        if len(arrivals) > on_their_way:
            await serve(exchange)
            return
        if len(arrivals) == on_their_way:
            told_at = time.monotonic()
            all_there.set()
        await all_there.wait()
        await exchange.answer(429, {"message": "slow down"}, headers={"Retry-After": "2"})

    async with raw_server(limited) as server, session_for(server, timeout=PATIENCE) as session:
        async with InputReactor(session, ids_of(streams), max_connecting=8) as reactor, OutputQueue(session) as out:
            for device_id in ids_of(outputs):
                out.set(device_id, 50)
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as group:
                    for _ in range(calls):
                        group.start_soon(session.devices)
                await out.flush()
            await until_live(reactor)
        assert not out.errors
    assert len(arrivals) == on_their_way + calls + outputs + streams
    assert not [at - told_at for at in arrivals[on_their_way:] if at < told_at + 2]


@pytest.mark.requirement("B4.hold", "W4")
async def test_what_was_granted_before_a_429_is_not_sent_and_is_given_back() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=[])

    budget = TokenBucket()  # which another session may share, and be told for both
    async with Session("token", transport=httpx.MockTransport(answer), budget=budget) as session:
        call = await session.grant(priority=Priority.COMMAND, label="devices")
        stream = await session.grant(priority=Priority.STREAM, label="input")
        await budget.penalize(60)
        with pytest.raises(RateLimitedError, match="was not sent: 429 to another request"):
            await session.send(devices_call(), call)
        with pytest.raises(RateLimitedError, match="was not sent: 429 to another request"):
            await session.open_input("a", stream)
        assert not sent
        assert budget.available == 1800
        assert (await session.diagnostics())["requests"] == {}


async def test_a_grant_knows_of_a_hold_until_it_is_over_or_settled() -> None:
    now = 0.0
    budget = TokenBucket(clock=lambda: now)
    first, second = await budget.acquire(), await budget.acquire()
    assert first.hold == 0.0
    await budget.penalize(60)
    now = 20.0
    assert first.hold == second.hold == 40.0
    first.sent()
    assert first.hold == 0.0
    now = 60.0
    assert second.hold == 0.0
    assert (await Unlimited().acquire()).hold == Grant().hold == 0.0


@pytest.mark.requirement("B4.doubling", "B4.together")
def test_429s_that_say_nothing_bring_a_silence_that_doubles_from_a_minute_to_an_hour() -> None:
    hold, ledger = RateLimitHold(), Ledger(1800, 3610.0, 180)
    now, silences = 0.0, list[float]()
    for _ in range(9):
        sent_at, now = now, now + 0.1
        ledger.hold(now + hold.limited(sent_at=sent_at, now=now, retry_after=None))
        over = ledger.hold_until
        for priority in Priority:
            assert ledger.take(math.nextafter(over, now), priority, "") is None
        assert all(ledger.take(over, Priority.STREAM, "") for _ in range(100))
        silences.append(over - now)
        now = over
    assert silences == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])


# Waiting for the budget


class Asked:
    """A budget of the user's own that grants nothing."""

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        await anyio.sleep_forever()
        raise AssertionError("unreachable")

    async def penalize(self, seconds: float) -> None: ...

    async def report(self) -> BudgetReport:
        return await Unlimited().report()


class Foreseeing(Asked):
    """One that can tell when it would grant something, but for what comes in between."""

    def __init__(self, *waits: float | None) -> None:
        self._waits = list(waits)

    def expected_wait(self, *, priority: Priority = Priority.COMMAND) -> float | None:
        assert priority is Priority.STREAM
        return self._waits.pop(0) if len(self._waits) > 1 else self._waits[0]


@pytest.mark.parametrize("budget", [Asked(), Foreseeing(None), Foreseeing(math.inf), Foreseeing(math.nan)])
async def test_a_budget_that_cannot_tell_when_is_waited_for_without_a_time(budget: Asked) -> None:
    async with Session("token", budget=budget) as session, InputReactor(session, ["a"]) as reactor:
        await until_states(reactor, {StreamState.WAITING_FOR_BUDGET: 1})
        assert reactor.status("a").retry_at is None


async def test_what_waits_longer_than_foreseen_is_told_to_wait_for_nobody_knows_how_long() -> None:
    async with (
        Session("token", budget=Foreseeing(0.05)) as session,
        InputReactor(session, ["a"], stall_after=0.1) as reactor,
    ):
        seen: list[bool] = []
        with anyio.fail_after(PATIENCE):
            async for status in reactor.changes():
                if status.state is StreamState.WAITING_FOR_BUDGET:
                    seen.append(status.retry_at is not None)
                if seen[-2:] == [True, False]:
                    return


def test_a_wait_for_the_budget_is_told_with_its_time_and_ends_with_it() -> None:
    told: list[tuple[StreamState, float | None]] = []
    machine = StreamMachine(
        "a",
        backoff=Backoff(),
        stall_after=30,
        quiet_after=300,
        now=0.0,
        on_change=lambda changed: told.append((changed.state, changed.retry_at)),
    )
    machine.queued(5.0, 0.0)  # not asked yet
    assert machine.start(0.0) == AskBudget()
    machine.queued(5.0, 1.0)
    machine.overdue(5.9)
    machine.overdue(6.0)
    assert machine.granted(12.0) == Open()
    machine.queued(5.0, 12.0)
    machine.overdue(18.0)
    assert told == [
        (StreamState.WAITING_FOR_BUDGET, None),
        (StreamState.WAITING_FOR_BUDGET, 6.0),
        (StreamState.WAITING_FOR_BUDGET, None),
        (StreamState.CONNECTING, None),
    ]


@given(
    ledgers=st.tuples(st.integers(2, 30), st.integers(0, 29)),
    before=st.lists(st.tuples(st.sampled_from([0.0, 0.25, 3.0, 20.0]), st.sampled_from(Priority)), max_size=60),
    hold=st.integers(0, 90),
    priority=st.sampled_from(Priority),
    waiters=st.integers(1, 80),
)
def test_the_expected_wait_is_what_it_will_be_among_equals(
    ledgers: tuple[int, int], before: list[tuple[float, Priority]], hold: int, priority: Priority, waiters: int
) -> None:
    limit, reserved = ledgers
    ledger = Ledger(limit, 60.0, min(reserved, limit - 1))
    now = 0.0
    for passed, earlier in before:
        now += passed
        ledger.take(now, earlier, "")
    ledger.hold(now + hold)
    share = limit if priority is Priority.COMMAND else limit - ledger.reserved
    for ahead in range(waiters):
        expected = ledger.expected_at(now, priority)
        ledger.join(now, priority)
        served = ledger.served_at(now, priority, ahead)
        if ahead < share:
            assert expected == served
        else:
            assert served <= expected


@pytest.mark.requirement("B3.order")
async def test_no_device_starves_while_another_opens_twice() -> None:
    devices, at_once = 20, 5
    openings: Counter[str] = Counter()
    unequal: list[Counter[str]] = []
    enough = anyio.Event()

    async def flap(exchange: Exchange) -> None:
        openings[device_of(exchange)] += 1
        counts = [openings[device_id] for device_id in ids_of(devices)]
        if max(counts) - min(counts) > 2:  # one for the turn that goes on, one for what came in one batch
            unequal.append(openings.copy())
        if min(counts) == 4:
            enough.set()
        await exchange.open_stream()
        await exchange.end_stream()

    budget = TokenBucket(at_once, 0.05, reserve=0)
    async with raw_server(flap) as server, session_for(server, budget=budget) as session:
        async with InputReactor(session, ids_of(devices), backoff=Backoff(base=0.001, cap=0.001)):
            with anyio.fail_after(PATIENCE):
                await enough.wait()
    assert not unequal


# A server that flaps


@pytest.mark.requirement("R3.backoff", "R3.healthy")
@pytest.mark.parametrize("events", [0, 1, 60])
def test_a_flapping_server_sees_waits_that_grow_to_a_minute(events: int) -> None:
    """It opens, sends nothing, or one event, or events for less than half a minute, and closes: for ever."""
    machine = StreamMachine("a", backoff=Backoff(), stall_after=30, quiet_after=300, now=0.0, rng=lambda: 1.0)
    command, now, waits = machine.start(0.0), 0.0, list[float]()
    for _ in range(20):
        assert command == AskBudget()
        assert machine.granted(now) == Open()
        assert machine.opened(now) == Read()
        for _ in range(events):
            now += 0.5
            machine.received(now)
            assert machine.event(InputEvent(device_id="a", timestamp_ms=round(now * 1000), percent=50.0), now)
        machine.error(StreamClosedError("the server ended the stream"), now)
        assert machine.retry_at is not None
        waits.append(machine.retry_at - now)
        now = machine.retry_at
        command = machine.tick(now)
    assert waits == [0.5, 1, 2, 4, 8, 16, 32] + [60] * 13


@pytest.mark.requirement("R3.backoff", "R3.healthy", "R3.again")
async def test_streams_of_a_flapping_server_are_tried_ever_more_seldom() -> None:
    devices, tries = 30, 8
    backoff = Backoff(base=0.001, cap=0.1)
    witness, timestamp = Witness(), 0

    async def flap(exchange: Exchange) -> None:
        nonlocal timestamp
        await exchange.open_stream()
        for _ in range((0, 1, 5)[int(device_of(exchange), 16) % 3]):
            timestamp += 1
            await exchange.event(50, timestamp)
        await exchange.end_stream()

    async with raw_server(flap) as server, session_for(server, hooks=witness) as session:
        async with InputReactor(session, ids_of(devices), backoff=backoff, overflow=Overflow.LATEST):
            await witness.until_waits(tries, devices)
    for attempt in range(1, tries + 1):
        assert len(witness.waits[attempt]) == devices  # whatever was opened and came in between
        assert max(witness.waits[attempt]) <= backoff.ceiling(attempt) + 1e-5  # the clocks of two looks
    assert statistics.mean(witness.waits[tries]) > 10 * statistics.mean(witness.waits[1])


# A server that restarts


@pytest.mark.requirement("R3.again", "R9.reconnect", "W8")
async def test_a_restarted_server_gets_its_streams_back_and_gaps_are_told() -> None:
    witness, heard, ids = Witness(), Heard(), ids_of(200)
    missed = set(ids[::20])
    with run_cloud(limit=20_000) as cloud:
        await add_devices(cloud, ids, input_interval_ms=SLOWEST)
        async with cloud.session(budget=TokenBucket(20_000), hooks=witness) as session:
            async with InputReactor(session, ids, backoff=QUICK) as reactor, anyio.create_task_group() as group:
                group.start_soon(heard.listen, reactor)
                await until_live(reactor)
                await heard.until_events(len(ids))
                await set_connected(cloud, missed, to=False)

                async with cloud.faults.away():
                    await witness.until_waits(3, 1)  # tries find nobody
                await until_live(reactor)
                await session.devices()

                await set_connected(cloud, missed, to=True)
                await heard.until_events(len(ids) + len(missed))
                assert {gap.device_id for gap in heard.gaps} == missed
                assert len(heard.gaps) == len(missed)
                assert StreamState.FAILED not in witness.states
                group.cancel_scope.cancel()
            await cloud.until_streams(0)
