"""A cloud that is killed at random moments loses nothing that it has answered for, and no webhook.

What is promised: a change that was answered with 2xx is there; an input that is there has told its webhooks, or they
wait with it, each at least once and in order; a subscriber that fails is not tried before its time, and its failures
still count. Inputs of the last half second may be gone, together with what follows from them. Nothing is looked at but
the cloud's answers, what the receivers heard, and the database as it lay on the disk after each kill.
"""

import json
import random
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from itertools import groupby, pairwise
from pathlib import Path

import anyio
import httpx
import pytest
from attrs import define, field, frozen

from littlebits_async.amplitude import EVENTS
from littlebits_async.localcloud.storage import Store, TokenRecord
from littlebits_async.localcloud.tokens import digest
from tests.support.mortal_cloud import LADDER, PUBLISHERS, THRESHOLDS, MortalCloud
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.asyncio

ROUNDS = 30
LIFE = (0.05, 0.8)
PATIENCE = 20
SHORT_RUNGS = sum(wait < 60 for wait in LADDER)

Value = str | float | bool
Change = Callable[[Value], Awaitable[httpx.Response]]


@frozen
class Told:
    """A webhook that was heard, or waits."""

    message_id: str
    name: str
    timestamp: int
    at: float = field(default=0.0, eq=False)


@define
class Fact:
    """One thing that is changed over and over: what was asked for last may be there, though nobody answered."""

    answered: Value
    asked: Value = field(default=None)

    def check(self, found: Value) -> None:
        assert found in (self.answered, self.asked)
        self.answered = self.asked = found


def facts() -> dict[str, Fact]:
    start: dict[str, Value] = {"label": "cloudbit", "output": 0.0, "subscribed": False, "activated": False}
    return {name: Fact(value, value) for name, value in start.items()}


@define
class Trial:
    """What was asked for, and what was heard, over all lives of a cloud."""

    db: Path
    chance: random.Random
    url: str = ""
    heard: dict[str, list[Told]] = field(factory=dict[str, list[Told]])
    facts: dict[str, Fact] = field(factory=facts)
    tokens: list[str] = field(factory=list[str])
    changes: int = 0
    failures: int = 0
    retry_at: float = 0.0
    tries: int = 0
    killed_at: list[float] = field(factory=list[float])

    async def hear(self, exchange: Exchange) -> None:
        """Take a webhook, and answer some time; one receiver is never content."""
        request = exchange.request
        body = json.loads(request.body)
        told = Told(request.headers["webhook-id"], body["name"], body["timestamp"], time.time())
        self.heard.setdefault(request.path, []).append(told)
        await anyio.sleep(self.chance.uniform(0, 0.03))
        await exchange.answer(500 if request.path == "/never" else 200)

    async def subscribe(self, cloud: MortalCloud) -> None:
        async with client(cloud) as http:
            for publisher, path in (*((name, name) for name in PUBLISHERS), ("button", "never")):
                pair = {"publisher_id": publisher, "subscriber_id": f"{self.url}/{path}"}
                (await http.post("/subscriptions", json={**pair, "publisher_events": EVENTS})).raise_for_status()

    async def change_all(self, cloud: MortalCloud) -> None:
        """Change everything, until the cloud is gone."""
        async with client(cloud) as http, anyio.create_task_group() as tasks:

            async def label(value: Value) -> httpx.Response:
                return await http.put("/devices/label", json={"label": value})

            async def output(value: Value) -> httpx.Response:
                return await http.post("/devices/output/output", json={"percent": value, "duration_ms": -1})

            async def subscribed(value: Value) -> httpx.Response:
                pair = {"publisher_id": "idle", "subscriber_id": "http://follower.test/"}
                return await http.request("POST" if value else "DELETE", "/subscriptions", json=pair)

            async def activated(value: Value) -> httpx.Response:
                return await http.request("POST" if value else "DELETE", "/devices/passing")

            async def keep_changing(fact: Fact, change: Change, choose: Callable[[], Value]) -> None:
                while True:
                    fact.asked = choose()
                    try:
                        answer = await change(fact.asked)
                    except httpx.HTTPError:
                        return
                    assert answer.is_success, answer.text
                    fact.answered = fact.asked
                    self.changes += 1

            known = self.facts
            tasks.start_soon(keep_changing, known["label"], label, lambda: f"☀ {self.chance.random()}")
            tasks.start_soon(keep_changing, known["output"], output, lambda: round(self.chance.uniform(0, 100), 3))
            tasks.start_soon(keep_changing, known["subscribed"], subscribed, lambda: not known["subscribed"].answered)
            tasks.start_soon(keep_changing, known["activated"], activated, lambda: not known["activated"].answered)

    async def make_tokens(self) -> None:
        """Make tokens beside the cloud, as `littlebits tokens create` does, until cancelled."""
        while True:
            token = f"{self.chance.getrandbits(256):064x}"
            store = Store(self.db)
            await store.open(alone=False)
            try:
                await store.add_token(TokenRecord(digest(token), 1, frozenset({"read"})))
                self.tokens.append(token)
            finally:
                await store.aclose()
            await anyio.sleep(self.chance.uniform(0.05, 0.2))

    async def live(self, cloud: MortalCloud, seconds: float) -> None:
        """Let a cloud live for so long."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.make_tokens)
            async with anyio.create_task_group() as changes:
                changes.start_soon(self.change_all, cloud)
                await anyio.sleep(seconds)
                await cloud.kill()
                self.killed_at.append(time.time())
            tasks.cancel_scope.cancel()

    def check(self, place: Path) -> dict[str, list[Told]]:
        """Look at a copy of the database, so that the cloud itself has to mend it; return what waits."""
        place.mkdir()
        shutil.copy(self.db, place)
        if (journal := self.db.with_name(f"{self.db.name}-wal")).exists():
            shutil.copy(journal, place)
        with closing(sqlite3.connect(place / self.db.name)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            self.check_changes(db)
            self.check_ladder(db)
            return {device_id: self.check_webhooks(db, device_id) for device_id in PUBLISHERS}

    def check_changes(self, db: sqlite3.Connection) -> None:
        devices = {row[0]: row[1:] for row in db.execute("SELECT id, label, percent, user_id FROM devices")}
        self.facts["label"].check(devices["label"][0])
        self.facts["output"].check(devices["output"][1])
        self.facts["activated"].check("passing" in devices and devices["passing"][2] is not None)
        (count,) = db.execute("SELECT count(*) FROM subscriptions WHERE publisher_id = 'idle'").fetchone()
        self.facts["subscribed"].check(count == 1)
        kept = {row[0] for row in db.execute("SELECT digest FROM tokens")}
        assert {digest(token) for token in self.tokens} <= kept

    def check_ladder(self, db: sqlite3.Connection) -> None:
        tries = self.heard.get("/never", [])
        # Nobody was early; a try whose answer was cut off by the kill does not count.
        assert all(told.at >= self.retry_at for told in tries[self.tries :])
        failures, retry_ms = db.execute(
            "SELECT failures, retry_ms FROM subscriptions WHERE subscriber_id = ?", (f"{self.url}/never",)
        ).fetchone()
        assert self.failures <= failures <= len(tries)
        if failures > self.failures:
            assert retry_ms / 1000 > self.retry_at + LADDER[failures - 1]
        self.failures, self.retry_at, self.tries = failures, retry_ms / 1000, len(tries)

    def check_webhooks(self, db: sqlite3.Connection, device_id: str) -> list[Told]:
        inputs = [
            (at_ms, round(absolute / 1023 * 100))
            for at_ms, absolute in db.execute(
                "SELECT timestamp_ms, absolute FROM inputs WHERE device_id = ? ORDER BY timestamp_ms", (device_id,)
            )
        ]
        rows = db.execute(
            """
            SELECT subscription_id, deliveries.id, body FROM deliveries JOIN subscriptions
            ON subscription_id = subscriptions.id WHERE subscriber_id = ? ORDER BY deliveries.id
            """,
            (f"{self.url}/{device_id}",),
        )
        waiting = [
            Told(f"msg_{subscription}_{number}", (found := json.loads(body))["name"], found["timestamp"])
            for subscription, number, body in rows
        ]
        # What was on its way may have been heard and wait as well; else none comes twice, and none overtakes.
        told = [each for each, _ in groupby([*self.heard.get(f"/{device_id}", []), *waiting])]
        assert len({each.message_id for each in told}) == len(told)
        assert [(each.timestamp, each.name) for each in told if not is_stay(each)] == edges(inputs)
        for begin, end, is_due in stays(inputs, self.killed_at):
            count = sum(begin <= each.timestamp < end for each in told if is_stay(each))
            assert count <= 1
            assert count == 1 or not is_due
        return waiting


def is_stay(told: Told) -> bool:
    return told.name in {"amplitude:delta:sustain", "amplitude:delta:nap"}


def levels(inputs: list[tuple[int, int]]) -> list[bool]:
    """Tell active from idle, in the documents' own words."""
    found: list[bool] = []
    for _, percent in inputs:
        before = bool(found) and found[-1]
        found.append(percent >= THRESHOLDS.high or (before and percent > THRESHOLDS.low))
    return found


def edges(inputs: list[tuple[int, int]]) -> list[tuple[int, str]]:
    """List what inputs must have told, but for what tells of a stay."""
    names = {
        (False, True): ("amplitude:delta:ignite", "amplitude:level:active"),
        (True, False): ("amplitude:delta:release", "amplitude:level:idle"),
    }
    changes = zip(inputs[1:], pairwise(levels(inputs)), strict=True) if inputs else ()
    return [(at_ms, name) for (at_ms, _), change in changes for name in names.get(change, ())]


def stays(inputs: list[tuple[int, int]], killed_at: list[float]) -> list[tuple[int, float, bool]]:
    """List when each stay begins and ends, and whether it stood long enough within one life to be told of."""
    found: list[tuple[int, float, bool]] = []
    for _, group in groupby(zip(inputs, levels(inputs), strict=True), key=lambda item: item[1]):
        times = [at_ms for (at_ms, _), _ in group]
        if found:
            found[-1] = (found[-1][0], times[0], found[-1][2])
        lives = [
            [at_ms for at_ms in times if begin <= at_ms / 1000 < end] for begin, end in pairwise([0.0, *killed_at])
        ]
        is_due = any(life and life[-1] - life[0] > (THRESHOLDS.hold + 0.05) * 1000 for life in lives)
        found.append((times[0], float("inf"), is_due))
    return found


def client(cloud: MortalCloud) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{cloud.url}/v2", headers={"Authorization": f"Bearer {cloud.token}"}, trust_env=False
    )


@asynccontextmanager
async def trial(db: Path, seed: int) -> AsyncGenerator[Trial, None]:
    it = Trial(db, random.Random(seed))  # noqa: S311 - that it can be repeated is the point
    async with raw_server(it.hear) as receiver:
        it.url = receiver.url
        yield it


async def test_what_was_answered_for_outlives_being_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    waiting: dict[str, list[Told]] = {}
    async with trial(tmp_path / "cloud.db", seed) as it:
        for number in range(ROUNDS):
            with anyio.fail_after(PATIENCE):
                cloud = await MortalCloud.start(it.db, seed + number)
                if number == 0:
                    await it.subscribe(cloud)
                await it.live(cloud, it.chance.uniform(*LIFE))
            waiting = it.check(tmp_path / str(number))
        # In the end all is told, and whatever may be read is as it was.
        cloud = await MortalCloud.start(it.db, seed + ROUNDS)
        with anyio.fail_after(PATIENCE):
            while any(each not in it.heard[f"/{name}"] for name, left in waiting.items() for each in left):  # noqa: ASYNC110 - the receiver's own list
                await anyio.sleep(0.01)
        async with client(cloud) as http:
            labels = {item["id"]: item["label"] for item in (await http.get("/devices")).json()}
            assert labels["label"] == it.facts["label"].answered
            for token in it.tokens:
                assert (await http.get("/devices", headers={"Authorization": token})).is_success
        await cloud.kill()
    assert it.changes > ROUNDS
    assert it.failures == SHORT_RUNGS + 1  # each rung but the long ones was climbed
