"""`/metrics`: what the cloud does, in numbers, as Prometheus reads them."""

import platform
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import prometheus_client
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from littlebits_async import __version__
from littlebits_async.localcloud import LocalCloud
from tests.support.disk import Disk, until
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.asyncio

SLOWEST = 24 * 60 * 60 * 1000
"""An input interval so long that a bit is read only when it comes on line, and when its stream opens."""


@pytest_asyncio.fixture
async def cloud(disk: Disk, db: Path) -> AsyncIterator[LocalCloud]:  # noqa: ARG001 - it is below the cloud
    async with LocalCloud(db, limit=4, allow_private_webhooks=True, metrics=True) as cloud:
        yield cloud


@pytest_asyncio.fixture
async def anybody(cloud: LocalCloud) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as anybody:
        yield anybody


class Numbers:
    """What `/metrics` says."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = {
            (sample.name.removeprefix("littlebits_cloud_"), frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        return self.samples.get((name, frozenset(labels.items())), 0)


async def look(anybody: httpx.AsyncClient) -> Numbers:
    return Numbers((await anybody.get("/metrics")).raise_for_status().text)


async def test_it_is_not_there_unless_it_is_asked_for() -> None:
    async with LocalCloud() as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as anybody:
        assert (await anybody.get("/metrics")).status_code == 404
        assert "/metrics" not in (await anybody.get("/openapi.json")).json()["paths"]


async def test_a_cloud_without_it_does_not_load_what_it_takes() -> None:
    code = "import sys; from littlebits_async import localcloud; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: ASYNC221
    assert done.stdout == "False\n"


async def test_requests_are_counted_by_route_and_status(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    token = await cloud.create_token()
    await cloud.add_device("x")
    for path in ("/v1/devices/x", "/v2/devices/x", "/devices/x"):
        assert (await anybody.get(path, headers={"Authorization": token})).status_code == 200
    assert (await anybody.get("/v2/devices/x")).status_code == 401
    numbers = await look(anybody)
    route = "/devices/{device_id}"
    assert numbers("requests_total", method="GET", route=route, status="200") == 3
    assert numbers("requests_total", method="GET", route=route, status="401") == 1
    assert numbers("request_duration_seconds_count", method="GET", route=route) == 4


async def test_no_label_has_what_a_client_made_up(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    token = await cloud.create_token()
    await cloud.add_device("secret-device")
    for method, path in (
        ("GET", "/devices/secret-device"),
        ("GET", "/secret-path"),
        ("GET", "/v9/devices"),
        ("SECRET", "/devices"),
        ("SECRET", "/metrics"),
        ("OPTIONS", "/secret-path"),
    ):
        await anybody.request(method, path, params={"access_token": token})
    numbers = await look(anybody)
    assert "secret" not in numbers.text.lower()
    assert token not in numbers.text
    assert numbers("requests_total", method="other", route="/devices", status="405") == 1
    assert numbers("requests_total", method="other", route="/metrics", status="405") == 1
    assert numbers("requests_total", method="GET", route="other", status="404") == 2


async def test_streams_and_what_they_are_sent_are_counted_while_they_last(
    cloud: LocalCloud, anybody: httpx.AsyncClient
) -> None:
    token = await cloud.create_token()
    bit = await cloud.add_device("x", input_interval_ms=SLOWEST)
    await cloud.add_device("y", is_connected=False)
    path = "/devices/{device_id}/input"
    async with anybody.stream("GET", "/v2/devices/x/input", headers={"Authorization": token}) as stream:
        lines = stream.aiter_lines()
        assert (await anext(lines)).startswith("data:")
        numbers = await look(anybody)
        assert (numbers("devices"), numbers("devices_connected")) == (2, 1)
        assert (numbers("streams"), numbers("events_sent_total"), numbers("tokens")) == (1, 1, 1)
        assert numbers("requests_total", method="GET", route=path, status="200") == 1
        await bit.close_streams()
        assert [line async for line in lines if line] == []
    await until(lambda: cloud.streams == 0)
    numbers = await look(anybody)
    assert (numbers("streams"), numbers("events_sent_total")) == (0, 1)


async def test_refused_requests_of_a_spent_hour_are_counted(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    token = await cloud.create_token()
    statuses = [(await anybody.get("/devices", headers={"Authorization": token})).status_code for _ in range(6)]
    assert statuses == [200] * 4 + [429] * 2
    numbers = await look(anybody)
    assert numbers("rate_limited_requests_total") == 2
    assert numbers("requests_total", method="GET", route="/devices", status="429") == 2


async def test_webhooks_are_counted_by_how_they_fared(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(500 if "bad" in exchange.request.target else 200)

    async with raw_server(answer) as server:
        headers = {"Authorization": await cloud.create_token()}
        bit = await cloud.add_device("x", input_interval_ms=SLOWEST)
        for name in ("good", "bad"):
            hook = {"publisher_id": "x", "subscriber_id": f"{server.url}/{name}", "publisher_events": "connection"}
            assert (await anybody.post("/subscriptions", json=hook, headers=headers)).status_code == 201
        await bit.set_connected(False)
        # The one arrived, and the other failed and waits for its next try.
        await until(lambda: sorted((item.waiting, item.failures) for item in cloud.webhooks) == [(0, 0), (1, 1)])
        numbers = await look(anybody)
    counted = ("webhooks_delivered_total", "webhooks_failed_total", "webhooks_waiting", "webhooks_dropped_total")
    assert [numbers(name) for name in counted] == [1, 1, 1, 0]


async def test_writes_are_timed_and_those_that_fail_are_counted(
    cloud: LocalCloud, anybody: httpx.AsyncClient, disk: Disk
) -> None:
    headers = {"Authorization": await cloud.create_token()}
    await cloud.add_device("x")
    before = await look(anybody)
    assert (await anybody.post("/devices/x/output", headers=headers)).status_code == 200
    after = await look(anybody)
    count = "storage_write_duration_seconds_count"
    assert after(count) == before(count) + 1
    assert after("storage_write_duration_seconds_sum") > before("storage_write_duration_seconds_sum")
    with disk.broken("UPDATE devices"):
        assert (await anybody.post("/devices/x/output", headers=headers)).status_code == 503
    failed = await look(anybody)
    assert failed(count) == after(count)
    assert failed("storage_failures_total") == after("storage_failures_total") + 1


async def test_each_cloud_has_numbers_of_its_own(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    await cloud.add_device("x")
    async with LocalCloud(metrics=True) as other, httpx.AsyncClient(base_url=other.url, trust_env=False) as visitor:
        assert ((await look(anybody))("devices"), (await look(visitor))("devices")) == (1, 0)
    assert b"littlebits" not in prometheus_client.generate_latest()


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=1.0.0", "text/plain; version=abc", "image/png"]
)
async def test_it_comes_in_the_format_that_all_read(anybody: httpx.AsyncClient, accept: str) -> None:
    answer = await anybody.get("/metrics", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    refused = await anybody.post("/metrics")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_it_says_what_runs_and_what_that_takes(anybody: httpx.AsyncClient) -> None:
    numbers = await look(anybody)
    assert numbers("build_info", version=__version__, python=platform.python_version()) == 1
    if sys.platform == "linux":
        assert 0 < numbers("process_open_fds") <= numbers("process_max_fds")


async def test_what_waits_for_the_database_is_counted(cloud: LocalCloud, anybody: httpx.AsyncClient) -> None:
    begun, held = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        held.wait(10)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            store = cloud._store  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - nothing public holds it up
            tasks.start_soon(store._run, hold)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            try:
                await anyio.to_thread.run_sync(begun.wait, 10)  # else one turn might take what follows, too
                for _ in range(3):
                    tasks.start_soon(cloud.history, "x")
                while (await look(anybody))("storage_waiting") < 3:
                    pass
            finally:
                held.set()
    assert (await look(anybody))("storage_waiting") == 0


async def test_a_scrape_waits_for_nobody_and_is_whole_while_all_is_at_work(
    cloud: LocalCloud, anybody: httpx.AsyncClient
) -> None:
    headers = {"Authorization": await cloud.create_token()}
    for number in range(50):
        await cloud.add_device(f"{number}")
    done, seen = 0, [0.0]

    async def ask() -> None:
        nonlocal done
        for _ in range(10):
            await anybody.get("/v2/devices", headers=headers)
            await cloud.create_token()
        done += 1

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
            while done < 5:
                numbers = await look(anybody)  # whole, or it could not be read
                seen.append(numbers("request_duration_seconds_count", method="GET", route="/devices"))
    assert seen == sorted(seen)
    numbers = await look(anybody)
    statuses = [numbers("requests_total", method="GET", route="/devices", status=status) for status in ("200", "429")]
    assert statuses == [4, 46]
    assert numbers("tokens") == 51


async def test_names_are_as_prometheus_has_them(anybody: httpx.AsyncClient) -> None:
    families = list(text_string_to_metric_families((await anybody.get("/metrics")).text))
    ours = [family for family in families if not family.name.startswith("process_")]
    assert len(ours) > 20
    for family in ours:
        assert family.name.startswith("littlebits_cloud_")
        assert family.documentation.endswith(".")
        if family.samples:
            assert all(sample.name.endswith("_total") for sample in family.samples) == (family.type == "counter")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
