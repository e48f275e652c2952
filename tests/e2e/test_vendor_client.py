"""The vendor's own client, `@littlebits/cloud-http` of npm, against the local cloud: only its host is changed."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import Bit, Light, LocalCloud
from tests.support.services import missing, program

pytestmark = pytest.mark.asyncio

PACKAGE = "@littlebits/cloud-http@0.3.5"
PATIENCE = 20
URL = "https://yourserver.test/endpoint"

Call = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the client."""
    program("node", "node")
    target = tmp_path_factory.mktemp("vendor")
    command = [
        program("node", "npm"),
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(target),
        PACKAGE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        missing("node", f"npm cannot install {PACKAGE}: {done.stderr[-300:]}")
    return target / "node_modules" / "@littlebits" / "cloud-http"


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    async with LocalCloud() as cloud:
        yield cloud


@pytest_asyncio.fixture
async def bit(cloud: LocalCloud) -> Bit:
    return await cloud.add_device("00e040000001", label="my cloudbit 1")


@pytest_asyncio.fixture
async def call(cloud: LocalCloud, package: Path) -> AsyncIterator[Call]:
    """Make one call with the client; its error is raised as a RuntimeError of status and message."""
    async with running(package, cloud.url, await cloud.create_token()) as call:
        yield call


class running:  # noqa: N801 - a context manager
    def __init__(self, package: Path, url: str, token: str) -> None:
        self._command = ["node", str(Path(__file__).with_name("vendor_client.js")), str(package), url, token]

    async def __aenter__(self) -> Call:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"NODE_NO_WARNINGS": "1"},
        )
        return self._call

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.communicate()

    async def _call(self, call: str, *args: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "args": args}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            outcome = json.loads(await self._process.stdout.readline())
        if "error" in outcome:
            raise RuntimeError(outcome["error"]["statusCode"], outcome["error"]["message"])
        return outcome["answer"]


async def test_devices(call: Call, bit: Bit) -> None:
    (device,) = await call("devices")
    assert (device["id"], device["label"], device["is_connected"]) == (bit.id, "my cloudbit 1", True)
    assert (await call("device", bit.id)) == device


async def test_output_and_light(call: Call, bit: Bit) -> None:
    assert await call("output", bit.id) == {"success": True}
    assert bit.shown == 100
    await call("output", bit.id, {"percent": 25, "durationMs": -1})
    assert bit.shown == 25
    await call("output", {"device_id": bit.id, "percent": 0, "duration_ms": -1})
    assert bit.shown == 0
    await call("light", bit.id, {"color": "red", "mode": "blink"})
    assert bit.light == Light("red", "blink")


async def test_subscriptions(call: Call, cloud: LocalCloud, bit: Bit) -> None:
    other = await cloud.add_device("00e040000002")
    pair = {"publisher_id": bit.id, "subscriber_id": other.id}
    made = await call("subscribe", {**pair, "publisher_events": ["amplitude"]})
    assert made == {**pair, "publisher_events": ["amplitude"]}
    await call("subscribe", {"publisher_id": bit.id, "subscriber_id": URL})
    assert len(await call("subscriptions", {"publisher_id": bit.id})) == 2
    assert await call("subscriptions", {"subscriber_id": other.id}) == [made]
    assert await call("unsubscribe", pair) == [1, 1, 1]
    assert [item["subscriber_id"] for item in await call("subscriptions")] == [URL]


async def test_update_deactivate_activate(call: Call, bit: Bit) -> None:
    updated = await call("device_update", {"device_id": bit.id, "update": {"label": "lamp"}})
    assert updated["label"] == bit.label == "lamp"
    assert (await call("deactivate", bit.id))["id"] == bit.id
    assert await call("devices") == []
    await call("activate", {"device_id": bit.id, "device_hash": "0123456789abcdef0123456789abcdef"})
    assert [device["id"] for device in await call("devices")] == [bit.id]


async def test_errors_have_the_status_and_the_message_that_callers_look_at(
    call: Call, cloud: LocalCloud, package: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"404, 'The specified device could not be found'"):
        await call("device", "00e040000009")
    async with running(package, cloud.url, "wrong") as refused:
        with pytest.raises(RuntimeError, match=r"401, 'Token failed authorization'"):
            await refused("devices")


async def test_the_client_can_be_made_anew_from_the_route_table(
    cloud: LocalCloud, bit: Bit, package: Path, tmp_path: Path
) -> None:
    """As its own `scripts/download-routes.js` did, which asks ``/options`` for the routes that it then calls."""
    anew = tmp_path / "node_modules" / "@littlebits" / "cloud-http"
    shutil.copytree(package.parents[1], tmp_path / "node_modules")
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as http:
        routes = (await http.get("/v2/options")).text
    (anew / "lib" / "routes.js").write_text(f"module.exports = {routes};", encoding="utf-8")
    async with running(anew, cloud.url, await cloud.create_token()) as call:
        await call("output", bit.id, {"percent": 40, "durationMs": -1})
        assert bit.shown == 40
        await call("device_update", {"device_id": bit.id, "update": {"label": "lamp", "input_interval_ms": 300}})
        assert (bit.label, bit.input_interval_ms) == ("lamp", 300)
        assert len(await call("devices")) == 1
        await call("subscribe", {"publisher_id": bit.id, "subscriber_id": bit.id, "publisher_events": ["amplitude"]})
        assert len(await call("subscriptions", {"publisher_id": bit.id})) == 1
