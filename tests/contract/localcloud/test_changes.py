"""Changes that meet: each is made whole, one after the other, and only by whom the device belongs to by then."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import Light, LocalCloud
from littlebits_async.localcloud.storage import DeliveryRecord, Store, SubscriptionRecord
from littlebits_async.localcloud.tokens import digest
from littlebits_async.localcloud.webhooks import LADDER
from tests.support.disk import PATIENCE, Disk, until
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.asyncio

OTHER = "http://127.0.0.1:1/"
SLOWEST = 24 * 60 * 60 * 1000
"""An input interval so long that a bit is read only when it comes on line."""
DEVICE, SUBSCRIPTIONS = "/v2/devices/x", "/v2/subscriptions"


@pytest_asyncio.fixture
async def cloud(disk: Disk, db: Path) -> AsyncIterator[LocalCloud]:  # noqa: ARG001 - it is below the cloud
    async with LocalCloud(db, allow_private_webhooks=True) as cloud:
        yield cloud


class User:
    """Somebody with a token and a client."""

    def __init__(self, cloud: LocalCloud, token: str) -> None:
        self.token = token
        self.http = httpx.AsyncClient(
            base_url=cloud.url, headers={"Authorization": token}, trust_env=False, timeout=PATIENCE
        )
        self._cloud = cloud

    async def sent(self, method: str, path: str, **options: Any) -> "asyncio.Task[httpx.Response]":
        """Send a request; when this returns, it waits for the disk, or for the changes before it."""
        before = self._cloud.requests(self.token)
        answer = asyncio.create_task(self.http.request(method, path, **options))
        await until(lambda: self._cloud.requests(self.token) > before)
        for _ in range(3):  # what came before these has got as far as it gets
            await self.http.get("/ping")
        assert not answer.done()
        return answer


Visit = Callable[[int], Awaitable[User]]


@pytest_asyncio.fixture
async def user(cloud: LocalCloud) -> AsyncIterator[Visit]:
    users: list[User] = []

    async def visit(user_id: int) -> User:
        users.append(User(cloud, await cloud.create_token(user_id=user_id)))
        return users[-1]

    yield visit
    for one in users:
        await one.http.aclose()


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_change_that_waited_while_the_device_changed_hands_is_refused(
    cloud: LocalCloud, disk: Disk, db: Path, user: Visit, method: str
) -> None:
    old, new = await user(1), await user(2)
    bit = await cloud.add_device("x", label="old", user_id=1)
    await cloud.add_device("y", user_id=2)
    with disk.held():
        left = await old.sent("DELETE", DEVICE)
        taken = await new.sent("POST", DEVICE, json={"label": "new"})
        late = await old.sent(method, DEVICE, json={"label": "stolen", "input_interval_ms": 5000})
        followed = await new.sent("POST", SUBSCRIPTIONS, json={"publisher_id": "x", "subscriber_id": "y"})
    assert [(await answer).status_code for answer in (left, taken, late, followed)] == [200, 201, 403, 201]
    assert (bit.user_id, bit.label, bit.input_interval_ms) == (2, "new", 250)
    await cloud.__aexit__(None, None, None)
    async with LocalCloud(db) as again:
        kept = again.devices["x"]
        assert (kept.user_id, kept.label, kept.input_interval_ms) == (2, "new", 250)


async def test_two_halves_of_a_light_make_one(cloud: LocalCloud, disk: Disk, db: Path, user: Visit) -> None:
    owner = await user(1)
    bit = await cloud.add_device("x")
    with disk.held():
        color = await owner.sent("POST", f"{DEVICE}/light", json={"color": "red"})
        mode = await owner.sent("POST", f"{DEVICE}/light", json={"mode": "blink"})
    assert [(await answer).status_code for answer in (color, mode)] == [200, 200]
    assert bit.light == Light("red", "blink")
    await cloud.__aexit__(None, None, None)
    async with LocalCloud(db) as again:
        assert again.devices["x"].light == Light("red", "blink")


async def test_a_token_that_is_revoked_while_the_body_comes_changes_nothing(
    cloud: LocalCloud, db: Path, user: Visit
) -> None:
    owner = await user(1)
    bit = await cloud.add_device("x", label="old")
    rest = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"label":'
        await rest.wait()
        yield b'"new"}'

    answer = asyncio.create_task(
        owner.http.put(DEVICE, content=body(), headers={"Content-Type": "application/json"}),
    )
    await until(lambda: cloud.requests(owner.token) == 1)
    await revoke(db, owner.token)
    with anyio.fail_after(PATIENCE):
        while (await owner.http.get("/v2/devices")).status_code != 401:  # noqa: ASYNC110 - the cloud looks by itself
            await anyio.sleep(0.02)
    rest.set()
    assert (await answer).status_code == 401
    assert bit.label == "old"


async def revoke(db: Path, token: str) -> None:
    """Revoke a token as `littlebits tokens` does, beside the cloud."""
    store = Store(db)
    await store.open(alone=False)
    try:
        assert await store.remove_token(digest(token))
    finally:
        await store.aclose()


async def test_the_next_owner_finds_nothing_of_the_last(cloud: LocalCloud, disk: Disk, db: Path, user: Visit) -> None:
    last, next_ = await user(1), await user(2)
    bit, lamp = await cloud.add_device("x", user_id=1), await cloud.add_device("y", user_id=1)
    await last.http.put(DEVICE, json={"label": "Ada's bedroom", "input_interval_ms": SLOWEST})
    await last.http.post(SUBSCRIPTIONS, json={"publisher_id": "x", "subscriber_id": "y"})
    await last.http.post(f"{DEVICE}/output", json={"percent": 66, "duration_ms": -1})
    await last.http.post(f"{DEVICE}/light", json={"color": "red", "mode": "blink"})

    async def turn(percent: float) -> None:
        await bit.set_connected(False)
        await bit.set_input(percent=percent)
        await bit.set_connected(True)
        await until(lambda: lamp.shown == percent)  # so it was read

    await turn(40)
    assert await cloud.history("x")  # is on disk
    with disk.held():
        left = await last.sent("DELETE", DEVICE)
        await turn(70)  # is only noted
    told = await left
    assert (told.status_code, told.json()["label"]) == (200, "Ada's bedroom")
    found = await next_.http.post(DEVICE)
    assert (found.status_code, found.json()["label"], found.json()["input_interval_ms"]) == (201, "cloudbit", 250)
    assert (bit.shown, bit.light) == (0, None)
    assert await cloud.history("x") == []
    await cloud.__aexit__(None, None, None)
    async with LocalCloud(db) as again:
        kept = again.devices["x"]
        assert (kept.user_id, kept.label, kept.input_interval_ms) == (2, "cloudbit", 250)
        assert (kept.shown, kept.light) == (0, None)
        assert await again.history("x") == []


async def test_who_streams_a_device_that_is_taken_away_hears_no_more_of_it(cloud: LocalCloud, user: Visit) -> None:
    owner = await user(1)
    await cloud.add_device("x", input_interval_ms=SLOWEST)  # which ends with the owner's settings
    async with owner.http.stream("GET", f"{DEVICE}/input") as stream:
        pieces = stream.aiter_text()
        heard = await anext(pieces)
        await anyio.sleep(0.3)  # longer than the interval that it gets, so that a reading would be due at once
        assert (await owner.http.delete(DEVICE)).status_code == 200
        with anyio.fail_after(PATIENCE):
            heard += "".join([piece async for piece in pieces])
    assert heard.count("data:") == 1
    assert await cloud.history("x") == []


@asynccontextmanager
async def giving_up(cloud: LocalCloud, disk: Disk, db: Path, method: str) -> AsyncGenerator[LocalCloud, None]:
    """A cloud that was about to give a subscription up, and a request about it that came first."""
    asked, told = anyio.Event(), anyio.Event()

    async def fail(exchange: Exchange) -> None:
        asked.set()
        await told.wait()
        await exchange.answer(500)

    await cloud.add_device("x", input_interval_ms=SLOWEST)
    await cloud.__aexit__(None, None, None)
    async with raw_server(fail) as server:
        await fail_but_once(db, "x", server.url)
        async with LocalCloud(db, allow_private_webhooks=True) as again:
            owner = User(again, await again.create_token())
            with anyio.fail_after(PATIENCE):
                await asked.wait()
            with disk.held():
                before = await owner.sent("PUT", DEVICE, json={"label": "new"})
                pair = {"publisher_id": "x", "subscriber_id": server.url}
                first = await owner.sent(method, SUBSCRIPTIONS, json=pair)
                told.set()
                await until(lambda: [item.failures for item in again.webhooks] == [len(LADDER) + 1, 0])
                for _ in range(3):  # its end waits for its turn as well
                    await owner.http.get("/ping")
            assert [(await answer).is_success for answer in (before, first)] == [True, True]
            yield again
            await owner.http.aclose()


async def test_a_subscription_that_is_made_anew_in_time_is_not_given_up(
    cloud: LocalCloud, disk: Disk, db: Path
) -> None:
    async with giving_up(cloud, disk, db, "POST") as again:
        await until(lambda: [(item.failures, item.waiting) for item in again.webhooks] == [(1, 1), (0, 0)])


async def test_a_subscription_that_is_ended_in_time_is_not_given_up_as_well(
    cloud: LocalCloud, disk: Disk, db: Path
) -> None:
    async with giving_up(cloud, disk, db, "DELETE") as again:
        await again.add_device("y")  # takes its turn behind the end; leaving tells of what failed
        assert [item.url for item in again.webhooks] == [OTHER]


async def fail_but_once(db: Path, device_id: str, url: str) -> None:
    """Leave two subscriptions behind; the first is deleted when what waits for it fails once more."""
    event = "amplitude:delta:ignite"
    store = Store(db)
    await store.open()
    try:
        kept = await store.save_subscription(
            SubscriptionRecord(publisher_id=device_id, subscriber_id=url, events=(event,))
        )
        await store.save_subscription(
            SubscriptionRecord(publisher_id=device_id, subscriber_id=OTHER, events=("connection",))
        )
        delivery = DeliveryRecord(store.new_number(), kept.id, event, b"{}")
        store.note_delivery(delivery)
        await store.flush()
        await store.failed(delivery, failures=len(LADDER), retry_ms=1, failure="")
    finally:
        await store.aclose()
