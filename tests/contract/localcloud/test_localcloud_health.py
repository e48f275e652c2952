"""`/health`: whether the cloud can keep what it is told."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import LocalCloud, StorageError
from littlebits_async.localcloud.health import Health
from littlebits_async.localcloud.storage import Store

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def anybody(cloud: LocalCloud) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as anybody:
        yield anybody


async def test_anybody_may_ask(anybody: httpx.AsyncClient) -> None:
    for path in ("/health", "/health/", "/health?x=1"):
        found = await anybody.get(path, headers={"Accept": "application/vnd.littlebits.v9+json, text/plain"})
        assert (found.status_code, found.json()) == (200, {"status": "ok"})
        assert found.headers["content-type"].startswith("application/json")
        assert found.headers["cache-control"] == "no-cache"
    head = await anybody.head("/health")
    assert (head.status_code, head.content) == (200, b"")


async def test_it_counts_against_no_limit() -> None:
    async with LocalCloud(limit=1) as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        token = await cloud.create_token()
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(3):
            answer = await client.get("/health")
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("ratelimit")]
        assert cloud.requests(token) == 0
        assert (await client.get("/devices")).status_code == 200


async def test_it_is_no_part_of_a_version(anybody: httpx.AsyncClient) -> None:
    for path in ("/v2/health", "/health/x", "/healthy"):
        assert (await anybody.get(path)).status_code == 404


async def test_browsers_find_it_as_any_other_path(anybody: httpx.AsyncClient) -> None:
    there, other = await anybody.options("/health"), await anybody.options("/devices")
    assert there.status_code == other.status_code == 204
    allowed = [name for name in other.headers if name.startswith("access-control-")]
    answer = await anybody.get("/health")
    for name in allowed:
        assert there.headers[name] == answer.headers[name] == other.headers[name]


async def test_another_method_is_refused(anybody: httpx.AsyncClient) -> None:
    refused = await anybody.post("/health")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert refused.json()["statusCode"] == 405


class Checked(Store):
    """A store whose checks are counted and answered as a test likes."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__(None)
        self.checks = 0
        self._check = check

    async def check(self) -> None:
        self.checks += 1
        await anyio.lowlevel.checkpoint()
        self._check()


def client_of(health: Health) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(health), base_url="http://cloud")


async def nothing(*_: object) -> None: ...


async def test_who_asks_often_costs_the_disk_nothing_more() -> None:
    store = Checked(lambda: None)
    async with client_of(Health(store, nothing)) as client, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client.get, "/health")
    assert store.checks == 1


async def test_a_store_that_fails_or_hangs_is_a_503(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StorageError("the disk is full")

    async def hang(_: Store) -> None:
        await anyio.sleep_forever()

    async with client_of(Health(Checked(fail), nothing)) as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert caplog.messages == ["not healthy: the disk is full"]
    monkeypatch.setattr("littlebits_async.localcloud.health._ANSWER_WITHIN", 0.01)
    monkeypatch.setattr(Checked, "check", hang)
    async with client_of(Health(Checked(fail), nothing)) as client:
        assert (await client.head("/health")).status_code == 503


async def test_a_database_that_takes_no_change_is_a_503_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.storage._writer.PATIENCE", 0)
    monkeypatch.setattr("littlebits_async.localcloud.health._GOOD_FOR", 0)
    db = tmp_path / "cloud.db"
    async with LocalCloud(db) as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False, timeout=20) as client:
        bit = await cloud.add_device("00e040000001")
        client.headers["Authorization"] = await cloud.create_token()
        other = sqlite3.connect(db, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert (await client.get("/health")).status_code == 503
        assert (await client.post(f"/devices/{bit.id}/output", json={"percent": 10})).status_code == 503
        assert bit.shown == 0
        with anyio.fail_after(20):
            while not any("looked after" in text for text in caplog.messages):  # noqa: ASYNC110 - logs wake nobody
                await anyio.sleep(0.05)
        other.close()
        assert (await client.get("/health")).status_code == 200
        assert (await client.post(f"/devices/{bit.id}/output", json={"percent": 10})).status_code == 200


async def test_a_check_writes_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    store = Store(path)
    await store.open()
    other = sqlite3.connect(path)
    try:
        before = other.execute("PRAGMA data_version").fetchone()
        await store.check()
        assert other.execute("PRAGMA data_version").fetchone() != before
    finally:
        other.close()
        await store.aclose()
