"""Whatever is cancelled, at whatever checkpoint: the right exception comes out, and no harm is done."""

import asyncio
import gc
import itertools
import random
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast
from unittest.mock import patch

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest
from attrs import define, field, frozen

from littlebits_async import (
    Grant,
    InputEvent,
    InputReactor,
    OutputQueue,
    Overflow,
    Priority,
    RetryPolicy,
    Session,
    SessionClosedError,
    StreamState,
    TokenBucket,
    TransportError,
    Unlimited,
)
from littlebits_async.testing import RunningCloud, run_cloud
from littlebits_async.transport import Feed
from littlebits_async.wire import Call
from tests.chaos.checkpoints import ANYIO, ASYNCIO, Checkpoints, Ending, Flavour, counting, sweep, tasks_living
from tests.support.local_cloud import SLOWEST, add_devices, port_of, sockets_to
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.both_feeds

T = TypeVar("T")

IDS = ("00e040000001", "00e040000002", "00e040000003")
LIMIT = 1000


@pytest.fixture(scope="module")
def cloud() -> Generator[RunningCloud, None, None]:
    """Its bits are read when a stream opens, so that each stream brings one event at once."""
    with run_cloud(limit=LIMIT) as cloud:
        anyio.run(partial(add_devices, cloud, IDS, input_interval_ms=SLOWEST))
        yield cloud


class CountingSession(Session):
    """Counts the requests that it begins to send."""

    begun = 0

    async def send(self, call: Call[T], grant: Grant) -> T:
        self.begun += 1
        return await super().send(call, grant)

    async def open_input(self, device_id: str, grant: Grant) -> Feed:
        self.begun += 1
        return await super().open_input(device_id, grant)


@define
class Stand:
    """A session under test, and what it is to be like after each cancellation.

    Attributes:
        pooled: How many connections the pool of the session may hold.
        sockets: How many others are open.
        tasks: How many live then.
        streams: How many are open then.
    """

    cloud: RunningCloud
    bucket: TokenBucket
    session: CountingSession
    _token: str = field(alias="token")
    pooled: int
    sockets: int = 0
    tasks: int = 0
    streams: int = 0
    _others: list[CountingSession] = field(factory=list[CountingSession])

    async def settle(self) -> None:
        """Let what it is like now be what it is to be like."""
        await self.session.ping()
        self.sockets = sockets_to(port_of(self.cloud)) - 1
        self.tasks = tasks_living()

    def another(self, *, scheme: str = "http") -> CountingSession:
        """A session of the same token and budget, for an operation to use up."""
        url = self.cloud.url.replace("http", scheme, 1)
        session = CountingSession(self._token, base_url=url, budget=self.bucket, retry=RetryPolicy(attempts=1))
        self._others.append(session)
        return session

    async def unharmed(self) -> None:
        """Assert that nothing is left, open or owed, and that the session serves."""
        assert tasks_living() == self.tasks, "a task is left"
        with anyio.fail_after(5):
            await self.cloud.until_streams(self.streams)
            await self.session.ping()
            while (
                sockets_to(port_of(self.cloud)) > self.sockets + self.pooled
            ):  # asyncio closes a socket in its next round
                await anyio.lowlevel.checkpoint()
        report = await self.bucket.report()
        assert not any(report.waiting.values())
        assert report.elsewhere == 0, "a request was refunded that had been sent"
        begun = sum(session.begun for session in [self.session, *self._others])
        assert sum(report.spent.values()) <= begun, "a grant was lost that no request was begun with"


@asynccontextmanager
async def stand(cloud: RunningCloud, *, pooled: int = 1) -> AsyncGenerator[Stand, None]:
    bucket = TokenBucket(limit=LIMIT)  # as the cloud's, whose headers tell of each request that we do not count
    token = await cloud.create_token()
    idle = sockets_to(port_of(cloud))
    async with CountingSession(token, base_url=cloud.url, budget=bucket, max_wait=None) as session:
        stand = Stand(cloud, bucket, session, token, pooled)
        await stand.settle()
        yield stand
        gc.collect()  # a generator that was left suspended is a warning on trio, and a task on asyncio
        await anyio.lowlevel.checkpoint()
        assert tasks_living() == stand.tasks
        assert (await session.diagnostics())["open_streams"] == 0
    with anyio.fail_after(5):
        while sockets_to(port_of(cloud)) != idle:
            await anyio.lowlevel.checkpoint()


# --- what is cancelled: each from its first step to its last


async def calls(stand: Stand) -> None:
    assert [device.id for device in await stand.session.devices()] == list(IDS)
    await stand.session.output(IDS[0], 50, duration_ms=0)


async def first_call(stand: Stand) -> None:
    async with stand.another() as session:
        await session.ping()


async def first_calls_with_tls(stand: Stand) -> None:
    async def refused() -> None:
        with suppress(TransportError):  # nobody speaks TLS there
            await session.ping()

    def context(**_: object) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loads no certificates, which takes its time

    with patch.object(httpx, "create_ssl_context", context):
        async with stand.another(scheme="https") as session, anyio.create_task_group() as group:
            group.start_soon(refused)
            await refused()


async def waits_for_the_budget(stand: Stand) -> None:
    """Two calls for which there is no token, until two come back."""
    taken = list(iter(stand.bucket.acquire_nowait, None))

    async def give_back() -> None:
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
            taken.pop().cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(give_back)
            group.start_soon(stand.session.ping)
            await stand.session.ping()
    finally:
        for grant in taken:
            grant.cancel()


async def read(stand: Stand) -> None:
    assert (await stand.session.read(IDS[0])).device_id == IDS[0]


async def inputs(stand: Stand) -> None:
    async with stand.session.inputs(IDS[0]) as events:
        assert (await anext(events)).device_id == IDS[0]


async def closing(stand: Stand) -> None:
    """A session is closed that has an open stream, and two calls on their way."""

    async def ping() -> None:
        with suppress(SessionClosedError):
            await session.ping()

    session = stand.another()
    async with anyio.create_task_group() as group:
        try:
            await session.open_input(IDS[0], await session.grant(priority=Priority.STREAM, label="input"))
            group.start_soon(ping)
            group.start_soon(ping)
            for _ in range(4):  # until they are on their way
                await anyio.lowlevel.checkpoint()
        finally:
            await session.aclose()


async def reactor(stand: Stand) -> None:
    async with InputReactor(stand.session, IDS, max_connecting=1) as reactor:
        events = aiter(reactor)
        assert {(await anext(events)).device_id for _ in IDS} == set(IDS)
        await reactor.remove(IDS[0])
        await reactor.aclose()


async def views(stand: Stand) -> None:
    async with InputReactor(stand.session, IDS[:1]) as reactor:
        async with reactor.listen() as heard:
            assert (await anext(heard)).device_id == IDS[0]
        batches = reactor.batches()
        reactor.add(IDS[1])
        assert [event.device_id for event in await anext(batches)] == [IDS[1]]
        reactor.add(IDS[2])
        assert (await anext(reactor.with_gaps())).device_id == IDS[2]


async def queue(stand: Stand) -> None:
    async with OutputQueue(stand.session, at_a_time=2) as out:
        out.set(IDS[0], 1)
        out.pulse(IDS[1], duration_ms=0)
        await out.flush()
        for device_id in IDS:
            out.set(device_id, 2)


@frozen
class Case:
    """An operation, and what is known of it.

    Attributes:
        checkpoints: How many it has at least.
        at_once: How many of its calls may be on their way at a time, each on a connection.
    """

    operation: Callable[[Stand], Coroutine[Any, Any, None]]
    checkpoints: int
    at_once: int = 1

    async def sweep(self, cloud: RunningCloud, flavour: Flavour) -> None:
        async with stand(cloud, pooled=self.at_once) as under_test:
            operation = partial(self.operation, under_test)
            afterwards = under_test.session.ping
            result = await sweep(operation, flavour, afterwards=afterwards, check=under_test.unharmed)
        assert result.checkpoints >= self.checkpoints
        assert result.cancelled + result.late >= result.checkpoints, "a checkpoint was not tried"
        assert result.cancelled >= self.checkpoints // 2  # a scope may end in what is shielded, so late


CASES = {
    "calls": Case(calls, 12),
    "the first call": Case(first_call, 10),
    "the first calls, with TLS": Case(first_calls_with_tls, 18, at_once=2),
    "calls that wait for the budget": Case(waits_for_the_budget, 12, at_once=2),
    "read": Case(read, 5),
    "inputs": Case(inputs, 9),
    "closing a session": Case(closing, 15),
    "a reactor": Case(reactor, 31),
    "a reactor's views": Case(views, 27),
    "an output queue": Case(queue, 35, at_once=2),
}
SOME = {name: ASYNCIO[name] for name in ("native", "native, and again at the next", "native, and swallowed")}
WAITS = {name: ASYNCIO[name] for name in ("native, just when it is woken", "asyncio.timeout", "asyncio.wait_for")}

of_each = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
by_scope = pytest.mark.parametrize("flavour", ANYIO.values(), ids=ANYIO)
by_asyncio = pytest.mark.parametrize("flavour", ASYNCIO.values(), ids=ASYNCIO)
by_some = pytest.mark.parametrize("flavour", SOME.values(), ids=SOME)
by_some_waits = pytest.mark.parametrize("flavour", WAITS.values(), ids=WAITS)


@of_each
@by_scope
@pytest.mark.anyio
@pytest.mark.requirement("R7.cancelled", "W11")
async def test_a_cancelled_scope_does_no_harm(cloud: RunningCloud, case: Case, flavour: Flavour) -> None:
    await case.sweep(cloud, flavour)


@of_each
@by_asyncio
@pytest.mark.asyncio
@pytest.mark.requirement("R7.cancelled", "W11")
async def test_native_cancellation_does_no_harm(cloud: RunningCloud, case: Case, flavour: Flavour) -> None:
    await case.sweep(cloud, flavour)


# --- a stream that is removed in whatever state it is


async def add_and_remove(cloud: RunningCloud, flavour: Flavour) -> None:
    *passing, staying = IDS
    async with stand(cloud) as under_test:
        async with InputReactor(under_test.session, [staying], max_connecting=1) as reactor:
            events = aiter(reactor)
            assert (await anext(events)).device_id == staying

            async def operation() -> None:
                try:
                    for device_id in passing:
                        reactor.add(device_id)
                    assert {(await anext(events)).device_id for _ in passing} == set(passing)
                finally:
                    for device_id in passing:
                        await reactor.remove(device_id)

            async def check() -> None:
                for device_id in passing:  # removing it may have been cancelled
                    await reactor.remove(device_id)
                with anyio.fail_after(5):
                    while tasks_living() > under_test.tasks:  # one that was removed before its task had its turn
                        await anyio.lowlevel.checkpoint()
                await under_test.unharmed()
                assert reactor.devices == (staying,)
                assert reactor.status(staying).state is StreamState.LIVE
                assert reactor.stats.reconnects == 0

            under_test.streams = 1
            await under_test.settle()
            result = await sweep(operation, flavour, afterwards=under_test.session.ping, check=check)
        under_test.streams = 0
        under_test.sockets -= 1
        under_test.tasks = tasks_living()
    assert result.checkpoints >= 15


@by_scope
@pytest.mark.anyio
@pytest.mark.requirement("R7.cancelled", "R10")
async def test_a_cancelled_scope_around_a_device_leaves_the_others_alone(cloud: RunningCloud, flavour: Flavour) -> None:
    await add_and_remove(cloud, flavour)


@by_some
@pytest.mark.asyncio
@pytest.mark.requirement("R7.cancelled", "R10")
async def test_native_cancellation_around_a_device_leaves_the_rest_alone(cloud: RunningCloud, flavour: Flavour) -> None:
    await add_and_remove(cloud, flavour)


# --- an iteration whose wait is cancelled goes on


@asynccontextmanager
async def view(session: Session, kind: str) -> AsyncGenerator[AsyncIterator[object], None]:
    if kind == "plain":
        async with session.inputs(IDS[0]) as events:
            yield events
        return
    async with InputReactor(session, IDS[:1]) as reactor:
        if kind == "listen":
            async with reactor.listen(overflow=Overflow.BLOCK) as heard:
                yield heard
        else:
            ways = {"own": reactor.__aiter__, "batches": reactor.batches, "gaps": reactor.with_gaps}
            yield ways[kind]()


def percents(item: object) -> list[float]:
    events = cast("list[object]", item) if isinstance(item, list) else [item]
    return [event.percent for event in events if isinstance(event, InputEvent)]


async def iterate(cloud: RunningCloud, kind: str, flavour: Flavour) -> None:
    bit = await cloud.bit(IDS[0])
    given: list[float] = []
    got: list[float] = []
    news = anyio.Event()

    async def give() -> None:
        nonlocal news
        while True:
            await news.wait()
            news = anyio.Event()
            await bit.turn(*given[-2:])

    async def take() -> None:
        with anyio.fail_after(5):
            while len(got) < len(given):
                got.extend(percents(await anext(events)))
        assert got == given

    async def operation() -> None:
        given.extend(float((len(given) + number) % 100) for number in (1, 2))
        news.set()
        while len(got) < len(given):
            got.extend(percents(await anext(events)))

    async with stand(cloud) as under_test, anyio.create_task_group() as group:
        group.start_soon(give)
        async with view(under_test.session, kind) as events:
            given.append(await bit.see(lambda bit: bit.percent))
            await take()
            result = await sweep(operation, flavour, afterwards=under_test.session.ping, check=take)
        assert result.cancelled + result.late >= 1
        group.cancel_scope.cancel()


of_each_kind = pytest.mark.parametrize("kind", ["plain", "own", "batches", "gaps", "listen"])


@of_each_kind
@by_scope
@pytest.mark.anyio
@pytest.mark.requirement("R7.cancelled")
async def test_a_wait_for_an_event_that_is_cancelled_loses_none(
    cloud: RunningCloud, kind: str, flavour: Flavour
) -> None:
    await iterate(cloud, kind, flavour)


@of_each_kind
@by_some_waits
@pytest.mark.asyncio
@pytest.mark.requirement("R7.cancelled")
async def test_a_wait_for_an_event_that_is_cancelled_natively_loses_none(
    cloud: RunningCloud, kind: str, flavour: Flavour
) -> None:
    await iterate(cloud, kind, flavour)


# --- who waits for the budget


@define(eq=False)
class Line:
    """Three who wait for two tokens; the second of them is to be cancelled."""

    _group: anyio.abc.TaskGroup = field(alias="group")
    bucket: TokenBucket = field(init=False)
    taken: list[Grant] = field(init=False)
    served: dict[str, Grant] = field(init=False)

    async def form(self) -> None:
        self.bucket = TokenBucket(limit=2, reserve=0.0)
        self.taken = list(iter(self.bucket.acquire_nowait, None))
        self.served = {}
        self._group.start_soon(self._wait, "first")
        while not (await self.bucket.report()).waiting[Priority.COMMAND]:
            await anyio.lowlevel.checkpoint()

    async def operation(self) -> None:
        self._group.start_soon(self._give_back)
        self._group.start_soon(self._wait, "last")
        await self._wait("second")

    async def check(self) -> None:
        with anyio.fail_after(5):
            while len(self.served) < 2:
                await anyio.lowlevel.checkpoint()
            assert list(self.served) in (["first", "second"], ["first", "last"])
            if "last" not in self.served:
                self.served.pop("first").cancel()
            while "last" not in self.served:
                await anyio.lowlevel.checkpoint()
        assert self.bucket.available == 0
        assert not any((await self.bucket.report()).waiting.values())
        for grant in self.served.values():
            grant.cancel()
        assert self.bucket.available == 2
        await self.form()

    async def _wait(self, name: str) -> None:
        self.served[name] = await self.bucket.acquire(label=name)

    async def _give_back(self) -> None:
        for grant in self.taken:
            await anyio.lowlevel.checkpoint()
            grant.cancel()


async def leave_the_line(flavour: Flavour) -> None:
    async with anyio.create_task_group() as group:
        line = Line(group)
        await line.form()
        result = await sweep(line.operation, flavour, afterwards=anyio.lowlevel.checkpoint, check=line.check)
        assert result.checkpoints >= 3  # those of the others count too
        assert result.cancelled >= 1
        group.cancel_scope.cancel()


@by_scope
@pytest.mark.anyio
@pytest.mark.requirement("B3.cancelled")
async def test_the_token_of_a_cancelled_waiter_passes_on(flavour: Flavour) -> None:
    await leave_the_line(flavour)


@by_asyncio
@pytest.mark.asyncio
@pytest.mark.requirement("B3.cancelled")
async def test_the_token_of_a_waiter_that_is_cancelled_natively_passes_on(flavour: Flavour) -> None:
    await leave_the_line(flavour)


# --- many at once


SLOTS = 100
"""How many calls of a session may be on their way at a time."""


@define(eq=False)
class Gate:
    """Answers at once; or, when it is shut, only when so many ask at the same time."""

    opens_for: int = 0
    _inside: int = 0
    _came: anyio.Event = field(factory=anyio.Event, init=False)
    _opened: anyio.Event = field(factory=anyio.Event, init=False)

    async def __call__(self, exchange: Exchange) -> None:
        if self.opens_for:
            self._inside += 1
            self._came.set()
            self._came = anyio.Event()
            if self._inside == self.opens_for:
                self._opened.set()
            await self._opened.wait()
        await exchange.answer(200, [])

    def shut(self, *, opens_for: int) -> None:
        """Let those go who wait, and have others wait for each other."""
        self._opened.set()
        self._opened = anyio.Event()
        self.opens_for = opens_for
        self._inside = 0

    async def until_inside(self, number: int) -> None:
        while self._inside < number:
            await self._came.wait()


@asynccontextmanager
async def gated() -> AsyncGenerator[tuple[Gate, Session], None]:
    """A session over which as many calls as may must be able to be on their way at the end."""
    gate = Gate()
    async with raw_server(gate) as server:
        async with Session("token", base_url=server.url, budget=Unlimited(), timeout=30) as session:
            yield gate, session
            gate.shut(opens_for=SLOTS)
            with anyio.fail_after(10):
                async with anyio.create_task_group() as group:
                    for _ in range(SLOTS):
                        group.start_soon(session.devices)
        await server.until_connections(0)


@define(eq=False)
class Slots:
    """Stands in for a session's semaphore, and counts who was cancelled while waiting in line."""

    _semaphore: anyio.Semaphore = field(alias="semaphore")
    left: int = 0

    async def acquire(self) -> None:
        in_line = self._semaphore.value == 0
        try:
            await self._semaphore.acquire()
        except anyio.get_cancelled_exc_class():
            self.left += in_line
            raise

    def release(self) -> None:
        self._semaphore.release()


async def contend(flavours: list[Flavour], *, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancel most of many calls, each at a checkpoint at random; some while they wait in line for a slot."""
    slots = Slots(anyio.Semaphore(SLOTS, max_value=SLOTS, fast_acquire=True))

    def make(*_: object, **__: object) -> Slots:
        return slots

    monkeypatch.setattr(anyio, "Semaphore", make)
    rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
    endings: list[Ending] = []

    async def call() -> None:
        at = rng.randint(1, 12) if rng.random() < 0.7 else 0
        endings.append(await rng.choice(flavours)(session.devices, nothing, at))

    async with gated() as (_, session):
        with counting():
            for _ in range(2):
                async with anyio.create_task_group() as group:
                    for _ in range(2 * SLOTS):
                        group.start_soon(call)
    assert sum(ending.cancelled for ending in endings) > len(endings) / 4
    assert slots.left > 0, "none was cancelled in line"


@pytest.mark.anyio
@pytest.mark.requirement("R7.cancelled")
async def test_no_connection_is_lost_where_many_calls_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    await contend(list(ANYIO.values()), seed=1093, monkeypatch=monkeypatch)


@pytest.mark.asyncio
@pytest.mark.requirement("R7.cancelled")
async def test_no_connection_is_lost_where_many_calls_are_cancelled_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    flavours = [flavour for name, flavour in ASYNCIO.items() if name.startswith("native")]
    await contend(flavours, seed=1093, monkeypatch=monkeypatch)


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.anyio
async def test_who_is_cancelled_in_line_just_when_served_passes_the_connection_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer_once(exchange: Exchange) -> None:
        await exchange.answer(200, [], headers={"Connection": "close"})
        await exchange.close()

    async def in_line() -> None:
        with second:
            await session.devices()

    monkeypatch.setattr("littlebits_async.transport._connections._AT_ONCE", 1)
    async with raw_server(answer_once) as server, Session("token", base_url=server.url, budget=Unlimited()) as session:
        with counting():
            for at in itertools.count(1):
                second = anyio.CancelScope()
                first = Checkpoints({at: second.cancel}, woken=True)
                with anyio.fail_after(5):
                    async with anyio.create_task_group() as group:
                        with first.watched():
                            group.start_soon(session.devices)
                        group.start_soon(in_line)
                    await session.devices()
                if not first.acted:
                    assert first.met >= 8
                    break


# --- the harness itself


@pytest.mark.asyncio
async def test_the_checkpoints_of_all_tasks_are_met() -> None:
    steps: list[int] = []

    async def child() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def operation() -> None:
        steps.append(0)
        await asyncio.sleep(0)
        async with asyncio.TaskGroup() as group:
            group.create_task(child())

    for name, flavour in ASYNCIO.items():
        steps.clear()
        result = await sweep(operation, flavour, afterwards=nothing, check=nothing)
        waits = 1 if name == "asyncio.wait_for" and sys.version_info < (3, 12) else 0  # for a task of its own
        assert (result.checkpoints, len(steps)) == (1 + 3 + 1 + waits, result.checkpoints + 1)
        assert result.late == 0


@pytest.mark.anyio
async def test_the_checkpoints_of_all_tasks_are_met_on_both_loops() -> None:
    async def operation() -> None:
        await anyio.lowlevel.checkpoint()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(anyio.lowlevel.checkpoint)

    for flavour in ANYIO.values():
        result = await sweep(operation, flavour, afterwards=nothing, check=nothing)
        assert result.checkpoints >= 5
        assert result.cancelled >= 4


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()


async def swallow() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)


async def end_otherwise() -> None:
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        raise ValueError("another") from None


async def end_in_a_group() -> None:
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as exc:
        raise BaseExceptionGroup("together", [exc]) from None


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", [swallow, end_otherwise, end_in_a_group])
async def test_what_does_not_end_as_cancelled_is_found(operation: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with pytest.raises(AssertionError, match="checkpoint 1: "):
        await sweep(operation, ASYNCIO["native"], afterwards=nothing, check=nothing)
