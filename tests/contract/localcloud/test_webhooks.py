"""Webhooks arrive: in order, at least once, signed, and whatever their receivers do; and nowhere they should not."""

import json
import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import trustme
from anyio.streams.tls import TLSListener
from attrs import define, field
from standardwebhooks import Webhook

from littlebits_async.amplitude import EVENTS
from littlebits_async.localcloud import Bit, LocalCloud, Thresholds
from littlebits_async.localcloud.storage import (
    DeliveryRecord,
    DeviceRecord,
    StorageError,
    Store,
    SubscriptionRecord,
)
from littlebits_async.localcloud.webhooks import LADDER, MOST_WAITING, Courier, DeliveryError, Poster
from littlebits_async.signatures import new_secret
from tests.support.disk import Disk
from tests.support.raw_server import Exchange, RawServer, Request, raw_server

pytestmark = pytest.mark.asyncio

PATIENCE = 10
EDGE = "amplitude:delta:ignite"
SLOWEST = 24 * 60 * 60 * 1000
SECRET = new_secret()

Reply = int | Callable[[Exchange], Awaitable[None]]


@define
class Receiver:
    """Takes webhooks, and answers as scripted, then as ever."""

    server: RawServer
    ever: Reply = 200
    script: deque[Reply] = field(factory=deque[Reply])

    @property
    def url(self) -> str:
        return f"{self.server.url}/hook?key=1"

    @property
    def heard(self) -> list[Request]:
        return self.server.requests

    @property
    def bodies(self) -> list[str]:
        return [request.body.decode() for request in self.heard]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.heard]

    @property
    def names(self) -> list[str]:
        return [event["name"] for event in self.events]

    async def until(self, wanted: Callable[[], bool]) -> None:
        await until(wanted)

    async def until_heard(self, count: int) -> None:
        await until(lambda: len(self.heard) >= count)


async def until(wanted: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not wanted():  # noqa: ASYNC110 - of several things, none of which tells
            await anyio.sleep(0.002)


@asynccontextmanager
async def receiving(*script: Reply, ever: Reply = 200) -> AsyncGenerator[Receiver, None]:
    async def reply(exchange: Exchange) -> None:
        answer = receiver.script.popleft() if receiver.script else receiver.ever
        await (exchange.answer(answer) if isinstance(answer, int) else answer(exchange))

    async with raw_server(reply) as server:
        receiver = Receiver(server, ever, deque(script))
        yield receiver


class Held:
    """An answer that waits until it is let go."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        await self.released.wait()
        await exchange.answer(self.status)


async def hang(exchange: Exchange) -> None:
    await exchange.until_closed()


# The courier, with a wall clock that the test moves


@define
class FakeTime:
    """A clock that stands until it is moved."""

    now_ms: int = 1_700_000_000_000
    ends: list[float] = field(factory=list[float])
    _moved: anyio.Event = field(factory=anyio.Event)

    async def sleep(self, seconds: float) -> None:
        end = self.now_ms + seconds * 1000
        self.ends.append(end)
        try:
            while self.now_ms < end:
                await self._moved.wait()
        finally:
            self.ends.remove(end)

    async def move(self, seconds: float) -> None:
        """Let time pass, until whoever sleeps sleeps again, or is up."""
        self.now_ms += round(seconds * 1000)
        self._moved.set()
        self._moved = anyio.Event()
        await until(lambda: all(end > self.now_ms for end in self.ends))

    async def until_asleep(self, count: int = 1) -> None:
        await until(lambda: len(self.ends) == count)


@define
class Bench:
    """A courier at work."""

    store: Store
    courier: Courier
    time: FakeTime
    given_up: list[int]

    async def subscribe(self, url: str) -> int:
        wanted = SubscriptionRecord(publisher_id="b1", subscriber_id=url, events=(EDGE,))
        kept = await self.store.save_subscription(wanted)
        self.courier.add(kept, SECRET)
        return kept.id

    def offer(self, number: int, *bodies: str, event: str = EDGE) -> None:
        for body in bodies:
            self.courier.offer(number, event, body.encode())

    async def kept(self) -> SubscriptionRecord:
        (item,) = (await self.store.load()).subscriptions
        return item

    async def kept_bodies(self) -> list[bytes]:
        return [delivery.body for delivery in (await self.store.load()).deliveries]


@asynccontextmanager
async def courier_at_work(*, answer_within: float = PATIENCE) -> AsyncGenerator[Bench, None]:
    store, time, given_up = Store(None), FakeTime(), list[int]()

    async def give_up(item: SubscriptionRecord) -> None:
        await store.remove_subscriptions([item.id])
        courier.remove(item.id)
        given_up.append(item.id)

    poster = Poster(allow_private=True, answer_within=answer_within)
    courier = Courier(store, poster, give_up, clock_ms=lambda: time.now_ms, sleep=time.sleep)
    await store.open()
    try:
        await store.save_device(DeviceRecord(id="b1", label="", user_id=1, input_interval_ms=250), now_ms=0)
        async with poster, anyio.create_task_group() as tasks:
            tasks.start_soon(courier.run)
            yield Bench(store, courier, time, given_up)
            tasks.cancel_scope.cancel()
    finally:
        await store.aclose()


async def test_the_ladder_and_its_end() -> None:
    async with receiving(ever=500) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "1", "2")
        for failures, wait in enumerate(LADDER, start=1):
            await bench.time.until_asleep()
            kept = await bench.kept()
            assert (kept.failures, kept.retry_ms) == (failures, bench.time.now_ms + wait * 1000)
            await bench.time.move(wait - 0.001)
            await bench.time.until_asleep()
            assert len(receiver.heard) == failures
            await bench.time.move(0.001)
            await receiver.until_heard(failures + 1)
        await until(lambda: bench.given_up == [number])
        assert (await bench.store.load()).subscriptions == ()
        assert await bench.kept_bodies() == []
        assert receiver.bodies == ["1"] * 8
        assert len({request.headers["webhook-id"] for request in receiver.heard}) == 1


async def test_a_success_sets_the_count_back() -> None:
    async with receiving(500, 500, 200, 500) as receiver, courier_at_work() as bench:
        bench.offer(await bench.subscribe(receiver.url), "1", "2")
        for wait in LADDER[:2]:
            await bench.time.until_asleep()
            await bench.time.move(wait)
        await receiver.until_heard(4)
        await bench.time.until_asleep()
        kept = await bench.kept()
        assert (kept.failures, kept.retry_ms) == (1, bench.time.now_ms + 10_000)
        await bench.time.move(10)
        await receiver.until_heard(5)
        assert receiver.bodies == ["1", "1", "1", "2", "2"]
        await until(lambda: bench.courier.backlogs[0].waiting == 0)
        assert (await bench.kept()).failures == 0


async def test_order_is_kept_behind_one_that_fails_and_others_do_not_wait_for_it() -> None:
    async with receiving(503, 503) as slow, receiving() as quick, courier_at_work() as bench:
        one, other = await bench.subscribe(slow.url), await bench.subscribe(quick.url)
        for body in "12345":
            bench.offer(one, body)
            bench.offer(other, body)
        await quick.until_heard(5)
        for wait in LADDER[:2]:
            await bench.time.until_asleep()
            bench.offer(one, f"after {wait}")
            await bench.time.move(wait)
        await slow.until_heard(9)
        assert slow.bodies == ["1", "1", "1", "2", "3", "4", "5", "after 10", "after 30"]
        assert quick.bodies == list("12345")


async def test_a_receiver_that_is_down_and_comes_back_hears_everything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with courier_at_work() as bench:
        number = await bench.subscribe(f"http://127.0.0.1:{port}/")
        bench.offer(number, "1", "2", "3")
        await bench.time.until_asleep()
        heard: list[bytes] = []

        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                data = b""
                while not data.endswith((b"1", b"2", b"3")):
                    data += await stream.receive()
                heard.append(data[-1:])
                await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, serve)
                await bench.time.move(10)
                await until(lambda: len(heard) == 3)
                tasks.cancel_scope.cancel()
        assert heard == [b"1", b"2", b"3"]


async def redirect(exchange: Exchange) -> None:
    await exchange.answer(302, headers={"Location": "/elsewhere"})


async def close(exchange: Exchange) -> None:
    await exchange.close()


async def garbage(exchange: Exchange) -> None:
    await exchange.send(b"\x00\xff no HTTP at all\r\n\r\n")


async def half(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await exchange.close()


async def half_a_failure(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nhalf")
    await exchange.close()


async def endless_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await exchange.send(b"X-More: and more\r\n" * 100)


async def endless_hints(exchange: Exchange) -> None:
    while True:
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await anyio.sleep(0.01)


async def drip(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        await exchange.send(b".")
        await anyio.sleep(0.01)


async def stall(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n\r\nOK")
    await exchange.until_closed()


async def bad_chunks(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk at all")


@pytest.mark.parametrize(
    "reply",
    [
        *(201, 202, 204, 301, 400, 404, 410, 500, 503),
        *(redirect, close, garbage, endless_headers, endless_hints, hang),
    ],
    ids=lambda reply: str(getattr(reply, "__name__", reply)),
)
async def test_all_but_a_200_is_a_failure(reply: Reply) -> None:
    async with receiving(reply) as receiver, courier_at_work(answer_within=0.4) as bench:
        bench.offer(await bench.subscribe(receiver.url), "1", "2")
        await bench.time.until_asleep()
        assert (await bench.kept()).failures == 1
        assert [request.target for request in receiver.heard] == ["/hook?key=1"]
        await bench.time.move(10)
        await receiver.until_heard(3)
        assert receiver.bodies == ["1", "1", "2"]


@pytest.mark.parametrize("reply", [half, drip, stall, bad_chunks], ids=lambda reply: reply.__name__)
async def test_the_status_decides_whatever_becomes_of_the_body(reply: Reply) -> None:
    async with receiving(reply) as receiver, courier_at_work(answer_within=0.4) as bench:
        bench.offer(await bench.subscribe(receiver.url), "1", "2")
        await receiver.until_heard(2)
        assert receiver.bodies == ["1", "2"]
        assert (await bench.kept()).failures == 0


async def test_of_an_answer_no_more_than_a_little_is_read() -> None:
    sent = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.open_stream()
        while True:
            await exchange.chunk(b"." * 10_000)
            sent += 10_000

    async with receiving(endless) as receiver, courier_at_work() as bench:
        bench.offer(await bench.subscribe(receiver.url), "1", "2")
        await receiver.until_heard(2)
        assert receiver.bodies == ["1", "2"]  # it was a 200
        await receiver.server.until_connections(1)
        assert sent < 20_000_000  # what fits into the sockets' buffers, and no more


async def test_nobodys_time_passes_in_waiting_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.webhooks._courier._MOST_AT_ONCE", 1)
    async with receiving(ever=hang) as deaf, receiving() as receiver, courier_at_work(answer_within=0.1) as bench:
        for number in range(4):
            bench.offer(await bench.subscribe(f"{deaf.url}&{number}"), "1")
        bench.offer(await bench.subscribe(receiver.url), "1")
        await receiver.until_heard(1)
        await bench.time.until_asleep(4)
        assert [item.failures for item in bench.courier.backlogs] == [1, 1, 1, 1, 0]
        assert deaf.server.most_connections == 1


async def test_while_an_amplitude_is_on_its_way_the_newest_waits() -> None:
    first = Held()
    async with receiving(first) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "1", event="amplitude")
        await first.asked.wait()
        for body in "234":
            bench.offer(number, body, event="amplitude")
        bench.offer(number, "edge")
        bench.offer(number, "5", event="amplitude")
        first.released.set()
        await receiver.until_heard(3)
        assert receiver.bodies == ["1", "edge", "5"]
        await until(lambda: bench.courier.backlogs[0].waiting == 0)
        assert await bench.kept_bodies() == []


async def test_amplitudes_arrive_where_the_disk_is_slower_than_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk.install(monkeypatch)
    async with receiving() as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        with disk.held():
            for body in "123456":  # each comes while the one before it is on its way to disk
                bench.offer(number, body, event="amplitude")
                await until(lambda: disk.is_asked)
                disk.write()
            await receiver.until_heard(1)
        await until(lambda: [item.waiting for item in bench.courier.backlogs] == [0])
        assert (receiver.bodies[0], receiver.bodies[-1]) == ("1", "6")


async def test_a_thousand_wait_and_the_oldest_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    first = Held()
    async with receiving(first) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "0")
        await first.asked.wait()
        bench.offer(number, *map(str, range(1, MOST_WAITING + 5)))  # in one step
        await until(lambda: "dropped" in caplog.text)
        assert [(item.waiting, item.dropped) for item in bench.courier.backlogs] == [(MOST_WAITING, 5)]
        await bench.store.flush()
        assert (await bench.kept()).dropped == 5
        assert await bench.kept_bodies() == [b"0", *(b"%d" % number for number in range(6, MOST_WAITING + 5))]
        first.released.set()
        await receiver.until_heard(MOST_WAITING)
        assert receiver.bodies == ["0", *map(str, range(6, MOST_WAITING + 5))]
    assert caplog.text.count("dropped") == 1


async def test_what_is_removed_is_not_sent() -> None:
    async with receiving(hang) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "1", "2")
        await receiver.until_heard(1)
        bench.courier.remove(number)
        await receiver.server.until_connections(0)
        other = await bench.subscribe(receiver.url + "&other")
        bench.offer(other, "3")
        await receiver.until_heard(2)
        assert receiver.bodies == ["1", "3"]


async def test_one_that_is_subscribed_anew_is_tried_at_once() -> None:
    async with receiving(500) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "1")
        await bench.time.until_asleep()
        bench.courier.renew(number)
        await receiver.until_heard(2)
        await until(lambda: bench.courier.backlogs[0].waiting == 0)


async def test_one_that_is_subscribed_anew_while_it_is_sent_is_not_sent_twice() -> None:
    first = Held()
    async with receiving(first) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        bench.offer(number, "1", "2")
        await first.asked.wait()
        bench.courier.renew(number)
        first.released.set()
        await receiver.until_heard(2)
        assert receiver.bodies == ["1", "2"]


async def test_nothing_is_sent_before_it_is_on_disk(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.webhooks._courier._KEEP_AGAIN_AFTER", 0.001)
    first = Held()
    async with receiving(first) as receiver, receiving() as other, courier_at_work() as bench:
        numbers = [await bench.subscribe(url) for url in (receiver.url, other.url)]
        bench.offer(numbers[0], "1")
        await first.asked.wait()

        async def full() -> int:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(bench.store, "flush", full)
            bench.offer(numbers[0], "2")
            bench.offer(numbers[1], "3")
            first.released.set()
            await until(lambda: caplog.text.count("disk is full") > 5)
            assert (receiver.bodies, other.bodies) == (["1"], [])
        await receiver.until_heard(2)
        await other.until_heard(1)


async def test_a_disk_that_takes_nothing_ends_no_courier(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    async with receiving(500, 200, *[500] * 9) as receiver, courier_at_work() as bench:
        number = await bench.subscribe(receiver.url)
        for name in ("failed", "delivered", "remove_subscriptions"):
            monkeypatch.setattr(bench.store, name, full)
        bench.offer(number, "1")
        await bench.time.until_asleep()
        await bench.time.move(LADDER[0])
        await receiver.until_heard(2)
        bench.offer(number, "2")
        for count, wait in enumerate(LADDER, start=3):
            await receiver.until_heard(count)
            await bench.time.until_asleep()
            await bench.time.move(wait)
        await receiver.until_heard(10)
        await bench.time.until_asleep()
        assert "could not be deleted" in caplog.text
        monkeypatch.undo()
        await bench.time.move(60)
        await until(lambda: bench.given_up == [number])


# The cloud


@asynccontextmanager
async def running(
    db: Path | None = None, *, allow_private_webhooks: bool = True, hold: float = 0.2
) -> AsyncGenerator[LocalCloud, None]:
    thresholds = Thresholds(high=60, low=40, hold=hold)
    async with LocalCloud(db, allow_private_webhooks=allow_private_webhooks, thresholds=thresholds) as cloud:
        yield cloud


async def call(cloud: LocalCloud, method: str, url: str, *events: str, user_id: int = 1) -> httpx.Response:
    token = await cloud.create_token(user_id=user_id)
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.request(
            method,
            f"{cloud.url}/v2/subscriptions",
            headers={"Authorization": f"Bearer {token}"},
            json={"publisher_id": "b1", "subscriber_id": url, **({"publisher_events": events} if events else {})},
        )


async def subscribe(cloud: LocalCloud, url: str, *events: str) -> None:
    assert (await call(cloud, "POST", url, *events)).status_code == 201


async def turn(bit: Bit, *percents: float) -> None:
    """Turn a bit's input, and have each value read at once: a bit is read whenever it comes on line."""
    for percent in percents:
        await bit.set_connected(False)
        await bit.set_input(percent=percent)
        await bit.set_connected(True)


async def test_the_events_of_a_bit() -> None:
    async with receiving() as receiver, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=200)
        await subscribe(cloud, receiver.url, "amplitude", *EVENTS)
        await receiver.until(lambda: "amplitude:delta:nap" in receiver.names)
        await bit.set_input(percent=50)  # between the thresholds
        before = len(receiver.heard)
        await receiver.until_heard(before + 2)
        await bit.set_input(percent=100)
        await receiver.until(lambda: "amplitude:delta:sustain" in receiver.names)
        await bit.set_input(percent=50)
        before = len(receiver.heard)
        await receiver.until_heard(before + 2)
        await bit.set_input(percent=0)
        await receiver.until(lambda: receiver.names.count("amplitude:delta:nap") == 2)
    assert [name.rpartition(":")[2] for name in receiver.names if name != "amplitude"] == [
        *("nap", "ignite", "active", "sustain"),
        *("release", "idle", "nap"),
    ]
    for event in receiver.events:
        assert event["type"] == "amplitude"
        assert event["device_id"] == event["bit_id"] == "b1"
        assert event["user_id"] == 1
        assert event["payload"].keys() == {"absolute", "percent", "delta", "level"}
    stamps = [event["timestamp"] for event in receiver.events]
    assert stamps == sorted(stamps)
    assert {request.headers["content-type"] for request in receiver.heard} == {"application/json"}


async def test_a_stay_is_told_between_two_readings() -> None:
    async with receiving() as receiver, running(hold=0.05) as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url, *EVENTS)
        await turn(bit, 100)
        await receiver.until_heard(3)
        assert receiver.names == ["amplitude:delta:ignite", "amplitude:level:active", "amplitude:delta:sustain"]


async def test_the_default_is_ignite_and_connection_tells_of_coming_and_going() -> None:
    async with receiving() as receiver, receiving() as watcher, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url)
        await subscribe(cloud, watcher.url, "connection")
        await turn(bit, 0, 100, 0, 100)
        await receiver.until_heard(2)
        assert receiver.names == [EDGE, EDGE]
        await watcher.until_heard(8)
        assert [event["type"] for event in watcher.events] == ["connection"] * 8
        assert [event["payload"]["state"] for event in watcher.events] == [0, 2] * 4


async def test_what_arrives_is_signed() -> None:
    async with receiving() as receiver, running() as cloud:
        bit = await cloud.add_device("b1", label="ü", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url)
        await turn(bit, 100)
        await receiver.until_heard(1)
        (request,) = receiver.heard
        oracle = Webhook(await cloud.webhook_secret())
        oracle.verify(request.body, dict(request.headers))
        sent = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        assert abs((datetime.now(UTC) - sent).total_seconds()) < PATIENCE


async def test_a_url_is_called_as_it_is_meant() -> None:
    async with receiving() as receiver, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        host = receiver.server.url.removeprefix("http://")
        await subscribe(cloud, f"http://us%65r:pa:ss@{host}/ü%20/x?q=a b&r=☀#part")
        await turn(bit, 100)
        await receiver.until_heard(1)
        (request,) = receiver.heard
        assert (request.target, request.headers["host"]) == ("/%C3%BC%20/x?q=a%20b&r=%E2%98%80", host)
        assert request.headers["authorization"] == "Basic dXNlcjpwYTpzcw=="


async def test_unsubscribing_ends_what_waits() -> None:
    async with receiving(hang) as receiver, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url)
        await turn(bit, 100, 0, 100)
        await receiver.until_heard(1)
        assert (await call(cloud, "DELETE", receiver.url)).status_code == 200
        assert cloud.webhooks == []
        await receiver.server.until_connections(0)
        await subscribe(cloud, receiver.url)
        await turn(bit, 0, 100)
        await receiver.until_heard(2)
        assert receiver.events[1]["timestamp"] == (await cloud.history("b1"))[-1][0]


async def test_subscribing_anew_tries_at_once_and_takes_the_new_events() -> None:
    async with receiving(500) as receiver, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url)
        await turn(bit, 100)
        await until(lambda: [item.failures for item in cloud.webhooks] == [1])
        await turn(bit, 0, 100)
        await subscribe(cloud, receiver.url, "amplitude:delta:release")
        await receiver.until_heard(3)
        await turn(bit, 0)
        await receiver.until_heard(4)
        assert receiver.names == [EDGE, EDGE, EDGE, "amplitude:delta:release"]
        await until(lambda: [(item.failures, item.waiting) for item in cloud.webhooks] == [(0, 0)])


@pytest.mark.parametrize("kept", ["file", "memory"])
async def test_what_waits_outlives_the_cloud(kept: str, tmp_path: Path) -> None:
    db = tmp_path / "cloud.db" if kept == "file" else None
    thresholds = Thresholds(hold=3600)
    async with receiving(500) as failing, receiving(hang) as hanging:
        cloud = LocalCloud(db, allow_private_webhooks=True, thresholds=thresholds)
        async with cloud:
            bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
            await subscribe(cloud, failing.url)
            await subscribe(cloud, hanging.url, "amplitude:delta:ignite", "amplitude:delta:release")
            await turn(bit, 100)
            await hanging.until_heard(1)
            await until(lambda: [item.failures for item in cloud.webhooks] == [1, 0])
            before = cloud.webhooks
            await turn(bit, 0, 100)  # the last is only noted when the cloud stops
        again = cloud if db is None else LocalCloud(db, allow_private_webhooks=True, thresholds=thresholds)
        async with again:
            await hanging.until_heard(4)
            assert hanging.names == [EDGE, EDGE, "amplitude:delta:release", EDGE]
            assert hanging.heard[0].headers["webhook-id"] == hanging.heard[1].headers["webhook-id"]
            state = again.webhooks[0]
            assert (state.failures, state.retry_ms, state.waiting) == (1, before[0].retry_ms, 2)
            await turn(again.devices["b1"], 0)  # an edge against what was before
            await hanging.until_heard(5)
            await subscribe(again, failing.url)
            await failing.until_heard(3)
            assert failing.names == [EDGE] * 3
            assert failing.heard[0].headers["webhook-id"] == failing.heard[1].headers["webhook-id"]


async def test_the_eighth_failure_deletes_the_subscription_and_it_may_be_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    db = tmp_path / "cloud.db"
    async with receiving(503) as receiver:
        async with running(db) as cloud:
            await cloud.add_device("b1", input_interval_ms=SLOWEST)
        store = Store(db)
        await store.open()
        kept = await store.save_subscription(
            SubscriptionRecord(publisher_id="b1", subscriber_id=receiver.url, events=(EDGE,))
        )
        delivery = DeliveryRecord(store.new_number(), kept.id, EDGE, b'{"name":"kept"}')
        store.note_delivery(delivery)
        await store.flush()
        await store.failed(delivery, failures=7, retry_ms=1, failure="")
        await store.aclose()
        with caplog.at_level(logging.WARNING):
            async with running(db) as cloud:
                await until(lambda: cloud.webhooks == [])
                assert receiver.names == ["kept"]
                assert (await call(cloud, "GET", receiver.url)).json() == []
                await subscribe(cloud, receiver.url)
                await turn(cloud.devices["b1"], 0, 100)
                await receiver.until_heard(2)
                assert receiver.names[1] == EDGE
        assert caplog.text.count("is given up") == 1


async def test_targets_of_this_machine_are_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    getaddrinfo = socket.getaddrinfo
    asked: list[object] = []

    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        if threading.current_thread().name == "LocalCloud name lookup":
            asked.append(host)
        return getaddrinfo("127.0.0.1" if host == "rebinding.test" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    async with receiving() as receiver, running(allow_private_webhooks=False) as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        port = receiver.server.url.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]", "10.0.0.1", "169.254.169.254", "127.1"):
            answer = await call(cloud, "POST", f"http://{host}:{port}/")
            assert answer.status_code == 400
            assert "private network" in answer.json()["message"]
        assert cloud.webhooks == []
        assert asked == []
        await subscribe(cloud, f"http://rebinding.test:{port}/")
        await turn(bit, 0, 100)
        await until(lambda: [item.failures for item in cloud.webhooks] == [1])
        assert asked == ["rebinding.test"]
        assert receiver.heard == []
        assert receiver.server.most_connections == 0


# TLS


@asynccontextmanager
async def receiving_https(authority: trustme.CA, name: str) -> AsyncGenerator[RawServer, None]:
    """A receiver at 127.0.0.1, with a certificate for a name."""

    async def thank(exchange: Exchange) -> None:
        await exchange.answer(200)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with authority.issue_cert(name).private_key_and_cert_chain_pem.tempfile() as path:
        context.load_cert_chain(path)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    server = RawServer(f"https://localhost:{port}/hook", thank)
    async with TLSListener(listener, context, standard_compatible=False) as tls, anyio.create_task_group() as tasks:
        tasks.start_soon(tls.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


async def test_https_is_spoken_to_whom_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, other = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def post(server: RawServer) -> None:
        await poster.post(server.url, b"1", secret=SECRET, message_id="1", timestamp=1)

    async with (
        receiving_https(trusted, "localhost") as receiver,
        receiving_https(other, "localhost") as unknown,
        receiving_https(trusted, "other.test") as wrong,
        Poster(allow_private=True) as poster,
    ):
        for server in (unknown, wrong):
            with pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
                await post(server)
            assert server.requests == []
        await post(receiver)
        assert [request.body for request in receiver.requests] == [b"1"]


async def test_a_receiver_that_is_not_trusted_is_one_that_fails() -> None:
    async with receiving_https(trustme.CA(), "localhost") as receiver, running() as cloud:
        bit = await cloud.add_device("b1", input_interval_ms=SLOWEST)
        await subscribe(cloud, receiver.url)
        await turn(bit, 100)
        await until(lambda: [(item.failures, item.waiting) for item in cloud.webhooks] == [(1, 1)])
        assert receiver.requests == []
