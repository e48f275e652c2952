"""`/health` and `/ready`: whether the cloud answers at all, and whether requests may be sent to it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import LocalCloud, StorageError
from littlebits_async.localcloud.aside import Aside
from littlebits_async.localcloud.health import Health
from littlebits_async.localcloud.storage import Store

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def anybody(cloud: LocalCloud) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as anybody:
        yield anybody


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


async def nothing(*_: object) -> None: ...


def client_of(store: Store, *, is_stopping: bool = False) -> httpx.AsyncClient:
    health = Health(store, lambda: is_stopping)
    app = Aside({"/health": health.live, "/ready": health.ready}, nothing)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud")


async def test_anybody_may_ask(anybody: httpx.AsyncClient) -> None:
    for path in ("/health", "/health/", "/health?x=1"):
        found = await anybody.get(path, headers={"Accept": "application/vnd.littlebits.v9+json, text/plain"})
        assert (found.status_code, found.json()) == (200, {"status": "ok"})
        assert found.headers["content-type"].startswith("application/json")
        assert found.headers["cache-control"] == "no-cache"
    head = await anybody.head("/health")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_cloud_that_is_about_to_end_lives_and_is_not_ready() -> None:
    async with client_of(Checked(lambda: None), is_stopping=True) as client:
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "stopping"})
        assert (await client.get("/health")).status_code == 200


async def test_it_is_ready_until_it_is_told_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[Callable[[], bool]]()

    def make(store: Store, is_stopping: Callable[[], bool]) -> Health:
        made.append(is_stopping)
        return Health(store, is_stopping)

    monkeypatch.setattr("littlebits_async.localcloud.cloud.Health", make)
    cloud = LocalCloud()
    for _ in range(2):  # entered again it is ready again
        async with cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
            answer = await client.get("/ready")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
            assert not made[-1]()
        assert made[-1]()


async def test_it_counts_against_no_limit() -> None:
    async with LocalCloud(limit=1) as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        token = await cloud.create_token()
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(3):
            answer = await client.get("/ready")
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


async def test_who_asks_often_costs_the_disk_nothing_more() -> None:
    store = Checked(lambda: None)
    async with client_of(store) as client, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client.get, "/ready")
            tasks.start_soon(client.get, "/health")
    assert store.checks == 1


async def test_where_the_store_fails_or_hangs_the_cloud_lives_and_is_not_ready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StorageError("the disk is full")

    async def hang(_: Store) -> None:
        await anyio.sleep_forever()

    async with client_of(Checked(fail)) as client:
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
        assert (await client.get("/health")).status_code == 200
    assert caplog.messages == ["not ready: the disk is full"]
    monkeypatch.setattr("littlebits_async.localcloud.health._ANSWER_WITHIN", 0.01)
    monkeypatch.setattr(Checked, "check", hang)
    async with client_of(Checked(fail)) as client:
        assert (await client.head("/ready")).status_code == 503


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
        assert (await client.get("/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
        assert (await client.post(f"/devices/{bit.id}/output", json={"percent": 10})).status_code == 503
        assert bit.shown == 0
        with anyio.fail_after(20):
            while not any("looked after" in text for text in caplog.messages):  # noqa: ASYNC110 - logs wake nobody
                await anyio.sleep(0.05)
        other.close()
        assert (await client.get("/ready")).status_code == 200
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
