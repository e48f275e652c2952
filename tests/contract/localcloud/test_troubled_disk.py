"""A disk that takes nothing, or has no room: what was not kept did not happen, and the cloud says why and goes on."""

import asyncio
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import Bit, LocalCloud
from tests.support.disk import PATIENCE, Disk, until
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.asyncio

SLOWEST = 24 * 60 * 60 * 1000
"""An input interval so long that a bit is read only when it comes on line."""
SUBSCRIPTIONS = "/v2/subscriptions"


@pytest_asyncio.fixture
async def cloud(disk: Disk, db: Path) -> AsyncIterator[LocalCloud]:  # noqa: ARG001 - it is below the cloud
    async with LocalCloud(db, allow_private_webhooks=True) as cloud:
        yield cloud


@pytest_asyncio.fixture
async def http(cloud: LocalCloud) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": await cloud.create_token()}
    async with httpx.AsyncClient(base_url=cloud.url, headers=headers, trust_env=False, timeout=PATIENCE) as http:
        yield http


async def turn(bit: Bit, *percents: float) -> None:
    """Turn a bit's input, and have each value read at once: a bit is read whenever it comes on line."""
    for percent in percents:
        await bit.set_connected(False)
        await bit.set_input(percent=percent)
        await bit.set_connected(True)


async def test_a_deactivation_that_is_not_kept_leaves_device_and_subscriptions_as_they_were(
    cloud: LocalCloud, http: httpx.AsyncClient, disk: Disk, db: Path
) -> None:
    bit, lamp = [await cloud.add_device(name, input_interval_ms=SLOWEST) for name in "xy"]
    for pair in ("xy", "yx"):
        made = await http.post(SUBSCRIPTIONS, json=dict(zip(("publisher_id", "subscriber_id"), pair, strict=True)))
        assert made.status_code == 201
    before = [(await http.get(path)).json() for path in ("/v2/devices/x", SUBSCRIPTIONS)]
    with disk.broken("UPDATE devices|INSERT INTO devices"):
        assert (await http.delete("/v2/devices/x")).status_code == 503
    assert [(await http.get(path)).json() for path in ("/v2/devices/x", SUBSCRIPTIONS)] == before
    await turn(bit, 70)
    await until(lambda: lamp.shown == 70)
    await cloud.__aexit__(None, None, None)
    async with LocalCloud(db) as again:
        http.base_url = again.url
        assert [item["id"] for item in (await http.get("/v2/devices")).json()] == ["x", "y"]
        assert (await http.get(SUBSCRIPTIONS)).json() == before[1]
        assert (await http.delete("/v2/devices/x")).status_code == 200
        assert (await http.get(SUBSCRIPTIONS)).json() == []


async def test_a_subscription_that_is_not_kept_leaves_the_one_before_it_to_its_ladder(
    cloud: LocalCloud, http: httpx.AsyncClient, disk: Disk
) -> None:
    async def fail(exchange: Exchange) -> None:
        await exchange.answer(500)

    async with raw_server(fail) as server:
        bit = await cloud.add_device("x", input_interval_ms=SLOWEST)
        pair = {"publisher_id": "x", "subscriber_id": f"{server.url}/hook"}
        assert (await http.post(SUBSCRIPTIONS, json=pair)).status_code == 201
        await turn(bit, 100)
        await until(lambda: [item.failures for item in cloud.webhooks] == [1])
        before, listed = cloud.webhooks, (await http.get(SUBSCRIPTIONS)).json()
        with disk.broken("INSERT INTO subscriptions"):
            changed = await http.post(SUBSCRIPTIONS, json=pair | {"publisher_events": ["connection"]})
        assert changed.status_code == 503
        assert cloud.webhooks == before
        assert (await http.get(SUBSCRIPTIONS)).json() == listed
        assert len(server.requests) == 1
        assert (await http.post(SUBSCRIPTIONS, json=pair)).status_code == 201
        await until(lambda: len(server.requests) == 2)  # one that is kept tries at once


async def test_a_disk_without_room_is_named_when_the_cloud_starts(db: Path) -> None:
    # Room for what SQLite needs to begin with, but not for the tables; then it rolls back by itself.
    program = f"""
import asyncio, resource
from littlebits_async.localcloud import LocalCloud, StorageError

resource.setrlimit(resource.RLIMIT_FSIZE, (36_000, 36_000))
try:
    asyncio.run(LocalCloud({str(db)!r}).__aenter__())
except StorageError as error:
    print(error)
"""
    ended = await anyio.run_process([sys.executable, "-W", "error", "-c", program], check=False)
    assert (ended.returncode, ended.stdout.decode(), ended.stderr) == (0, f"{db}: disk I/O error\n", b"")
    async with LocalCloud(db) as cloud:  # nothing half is left
        assert not cloud.devices


@pytest.fixture
def locked(db: Path) -> Callable[[], closing[sqlite3.Connection]]:
    """Another program that writes, and does not come to its end."""

    def lock() -> closing[sqlite3.Connection]:
        other = sqlite3.connect(db, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        return closing(other)

    return lock


async def test_another_program_that_writes_does_not_hold_up_the_end(
    cloud: LocalCloud,
    db: Path,
    locked: Callable[[], closing[sqlite3.Connection]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bit, lamp = await cloud.add_device("x"), await cloud.add_device("y")
    bit.add_follower("lamp", lamp.follow)
    await turn(bit, 40)
    await until(lambda: lamp.shown == 40)
    kept = await cloud.history("x")
    assert kept[-1][1] == 409
    with locked():
        await turn(bit, 70)
        await until(lambda: lamp.shown == 70)
        with anyio.fail_after(4):
            await cloud.__aexit__(None, None, None)
            await anyio.lowlevel.checkpoint_if_cancelled()  # which leaving is not to be
    lost = [record for record in caplog.records if "are lost" in record.getMessage()]
    assert [(record.levelno, "locked" in record.getMessage()) for record in lost] == [(logging.ERROR, True)]
    async with LocalCloud(db) as again:
        assert await again.history("x") == kept


async def test_a_change_that_waits_for_another_program_does_not_hold_up_the_end(
    cloud: LocalCloud, http: httpx.AsyncClient, db: Path, locked: Callable[[], closing[sqlite3.Connection]]
) -> None:
    await cloud.add_device("x", label="old")
    with locked():
        change = asyncio.create_task(http.put("/v2/devices/x", json={"label": "new"}))
        await until(lambda: cloud.requests(http.headers["Authorization"]) == 1)
        with anyio.fail_after(4):
            await cloud.__aexit__(None, None, None)
            await anyio.lowlevel.checkpoint_if_cancelled()
    with pytest.raises(httpx.HTTPError):
        (await change).raise_for_status()
    async with LocalCloud(db) as again:
        assert again.devices["x"].label == "old"


async def test_a_start_that_waits_for_another_program_can_be_given_up(
    cloud: LocalCloud, db: Path, locked: Callable[[], closing[sqlite3.Connection]]
) -> None:
    await cloud.__aexit__(None, None, None)
    with locked():
        starting = asyncio.create_task(LocalCloud(db).__aenter__())
        await anyio.sleep(0.1)  # it may be anywhere
        starting.cancel()
        with pytest.raises(asyncio.CancelledError), anyio.fail_after(4):
            await starting
