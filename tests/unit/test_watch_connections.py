"""Session.watch_connections: who came and who went, by one listing a round; on asyncio and trio."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import anyio
import pytest

from littlebits_async import (
    AuthenticationError,
    InvalidArgumentError,
    LittleBitsError,
    PermissionDeniedError,
    Priority,
    Session,
    SessionClosedError,
    TokenBucket,
)
from littlebits_async.models import ConnectionChange, Device
from littlebits_async.session._connections_watch import ConnectionWatch, Presence
from littlebits_async.testing import RunningCloud
from tests.support.local_cloud import SLOWEST
from tests.support.raw_server import Exchange, raw_server

PATIENCE = 10
AT = datetime(2026, 11, 22, tzinfo=UTC)
Listing = dict[str, bool | None]


def devices(listing: Listing) -> list[Device]:
    return [Device(device_id, is_connected=state) for device_id, state in listing.items()]


@pytest.mark.parametrize(
    ("listings", "expected"),
    [
        ([{"a": True, "b": False}], []),
        ([{"a": True}, {"a": True}], []),
        ([{"a": True}, {"a": False}, {"a": True}], [("a", False), ("a", True)]),
        ([{"a": False, "b": True}, {"a": True, "b": False}], [("a", True), ("b", False)]),
        ([{}, {"a": True}], [("a", True)]),
        ([{}, {"a": False}], []),
        ([{"a": True}, {}], [("a", False)]),
        ([{"a": False}, {}], []),
        ([{"a": True}, {}, {"a": True}], [("a", False), ("a", True)]),
        ([{"a": True}, {"a": None}, {"a": False}], [("a", False)]),
        ([{"a": True}, {"a": None}, {"a": True}], []),
        ([{"a": None}, {"a": True}], [("a", True)]),
        ([{"a": None}, {"a": None}], []),
    ],
)
def test_changes_are_what_differs_from_the_listing_before(
    listings: Sequence[Listing], expected: list[tuple[str, bool]]
) -> None:
    presence = Presence()
    found = [change for listing in listings for change in presence.update(devices(listing), AT)]
    assert found == [ConnectionChange(device_id, is_connected=state, at=AT) for device_id, state in expected]


@pytest.mark.parametrize("every", [0, -1, float("nan"), float("inf")])
def test_what_is_no_time_to_wait_is_refused(every: float) -> None:
    with pytest.raises(InvalidArgumentError):
        Session("token", base_url="http://127.0.0.1:1").watch_connections(every=every)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("closed", [False, True])
def test_it_can_be_made_where_no_loop_runs(backend: str, *, closed: bool) -> None:
    session = Session("token", base_url="http://127.0.0.1:1")
    changes = session.watch_connections(every=3600)

    async def use() -> None:
        await session.aclose()
        if closed:
            await changes.aclose()
        with anyio.fail_after(PATIENCE), pytest.raises(StopAsyncIteration if closed else SessionClosedError):
            await anext(changes)

    anyio.run(use, backend=backend)


class Listings:
    """Answers with one listing after another; the last one stays."""

    def __init__(self, *listings: Listing | int | LittleBitsError) -> None:
        self._left = list(listings)
        self.asked = 0

    @property
    def done(self) -> bool:
        return len(self._left) == 1

    async def __call__(self, exchange: Exchange) -> None:
        self.asked += 1
        listing = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        if isinstance(listing, int):
            await exchange.answer(listing)
        else:
            assert isinstance(listing, dict)
            await exchange.answer(200, [{"id": name, "is_connected": state} for name, state in listing.items()])


async def until(session: Session, *, rounds: int) -> None:
    while (await session.budget.report()).spent.get((Priority.BULK, "watch_connections"), 0) < rounds:  # noqa: ASYNC110
        await anyio.sleep(0.002)  # it is told to nobody


@pytest.mark.anyio
async def test_a_bit_that_goes_and_comes_is_told(running_cloud: RunningCloud) -> None:
    bit = await running_cloud.add_device("00e040000001", input_interval_ms=SLOWEST)
    async with running_cloud.session() as session:
        changes = session.watch_connections(every=0.02)
        seen: list[ConnectionChange] = []

        async def watch() -> None:
            async for change in changes:
                seen.append(change)
                if len(seen) == 2:
                    break

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                await until(session, rounds=2)  # the first one has been answered
                await bit.set_connected(to=False)
                while not seen:  # noqa: ASYNC110 - as below
                    await anyio.sleep(0.002)
                await bit.set_connected(to=True)
    assert [(change.device_id, change.is_connected) for change in seen] == [(bit.id, False), (bit.id, True)]
    assert all(abs((datetime.now(UTC) - change.at).total_seconds()) < 60 for change in seen)


@pytest.mark.anyio
async def test_each_round_costs_one_request_and_nobody_pays_for_what_nobody_watches() -> None:
    budget = TokenBucket()
    listings = Listings({"a": True}, {"a": True}, {"a": False})
    async with raw_server(listings) as server:
        async with Session("token", base_url=server.url, budget=budget) as session:
            changes = session.watch_connections(every=0.01)
            assert budget.available == 1800
            with anyio.fail_after(PATIENCE):
                await anext(changes)
            assert (await budget.report()).spent == {(Priority.BULK, "watch_connections"): 3}
            assert listings.asked == 3


@pytest.mark.anyio
async def test_what_passes_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    listings = Listings({"a": True}, 503, 500, 408, 502, {"a": False})
    caplog.set_level(logging.DEBUG, "littlebits_async.session")
    async with raw_server(listings) as server, Session("token", base_url=server.url) as session:
        with anyio.fail_after(PATIENCE):
            change = await anext(session.watch_connections(every=0.01))
    assert (change.device_id, change.is_connected) == ("a", False)
    levels = [record.levelno for record in caplog.records if record.name == "littlebits_async.session"]
    assert levels == [logging.WARNING, *[logging.DEBUG] * 3, logging.INFO]


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (403, PermissionDeniedError)])
async def test_what_is_for_good_is_raised(status: int, error: type[LittleBitsError]) -> None:
    async with raw_server(Listings({"a": True}, status)) as server, Session("token", base_url=server.url) as session:
        with anyio.fail_after(PATIENCE), pytest.raises(error):
            await anext(session.watch_connections(every=0.01))


@pytest.mark.anyio
async def test_a_closed_session_ends_the_wait_with_its_own_error() -> None:
    async with raw_server(Listings({})) as server:
        session = Session("token", base_url=server.url)
        await session.aclose()
        with pytest.raises(SessionClosedError):
            await anext(session.watch_connections())


@pytest.mark.anyio
async def test_a_wait_that_is_given_up_asks_no_more_often_and_loses_nothing() -> None:
    every = 0.05
    asked = 0

    async def listing() -> list[Device]:
        nonlocal asked
        asked += 1
        if asked <= 2:
            await anyio.sleep_forever()
        return devices({"a": asked == 3, "b": asked == 3})

    changes = ConnectionWatch(listing, every)
    began = anyio.current_time()
    found: list[str] = []
    with anyio.fail_after(PATIENCE):
        while len(found) < 2:
            with anyio.move_on_after(0.01):
                found.append((await anext(changes)).device_id)
    assert found == ["a", "b"]
    assert asked == 4
    assert anyio.current_time() - began >= 2.9 * every


@pytest.mark.anyio
async def test_rounds_keep_their_times_and_missed_ones_are_left_out() -> None:
    began: list[float] = []

    async def listing() -> list[Device]:
        began.append(anyio.current_time())
        await anyio.sleep(0.07 if len(began) == 2 else 0.005)  # the second takes longer than three rounds
        return devices({"a": len(began) > 3})

    with anyio.fail_after(PATIENCE):
        await anext(ConnectionWatch(listing, 0.02))
    offsets = [(time - began[0]) / 0.02 for time in began]
    assert len(offsets) == 4
    # On the grid of the first, never before it; a busy machine is late, and the next one is on the grid all the same.
    numbers = [int(offset + 0.001) for offset in offsets]
    assert numbers == sorted(set(numbers))
    assert numbers[2] >= 4


@pytest.mark.anyio
async def test_closing_ends_the_wait_of_another_task() -> None:
    async with raw_server(Listings({})) as server, Session("token", base_url=server.url) as session:
        changes = session.watch_connections(every=3600)
        ended = anyio.Event()

        async def watch() -> None:
            assert [change async for change in changes] == []
            ended.set()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(anyio.BusyResourceError):
                    await anext(changes)
                await changes.aclose()
                await ended.wait()
        with pytest.raises(StopAsyncIteration):
            await anext(changes)
