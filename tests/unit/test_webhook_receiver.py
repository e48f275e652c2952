"""WebhookReceiver: what is taken, what is answered, and what comes out; ASGI by hand, on asyncio and trio."""

import base64
import json
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import anyio
import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message

from littlebits_async import (
    CloudBit,
    Device,
    InputEvent,
    InputReactor,
    InvalidArgumentError,
    NotFoundError,
    Overflow,
    RetryPolicy,
    Session,
    TransportError,
    WebhookVerificationError,
)
from littlebits_async.signatures import new_secret, sign
from littlebits_async.webhooks import WebhookReceiver, WebhookStats
from littlebits_async.webhooks._receiver import MAX_BODY
from tests.chaos.secrets_watch import SecretsWatch
from tests.support.asgi import Answer, ask
from tests.support.raw_server import Exchange, raw_server

pytestmark = pytest.mark.anyio

PATIENCE = 10
JSON = [("content-type", b"application/json")]
KEY = "kQ7vT2xLmZ9rW4nB8cHs"


def body_of(number: int = 1, *, device: str = "00e040000001", delta: str = "ignite", **changes: object) -> bytes:
    payload: dict[str, object] = {"absolute": 709, "percent": 69.3, "delta": delta, "level": "active"}
    body: dict[str, object] = {"type": "amplitude", "device_id": device, "timestamp": number, "payload": payload}
    return json.dumps(body | changes).encode()


async def push(
    receiver: ASGIApp, body: bytes | Iterable[bytes], *, path: str = "/", headers: Iterable[tuple[str, bytes]] = JSON
) -> int:
    answer = await ask(receiver, "POST", path, headers=headers, body=[body] if isinstance(body, bytes) else body)
    assert answer.body == b""
    return answer.status


async def taken(receiver: WebhookReceiver) -> list[InputEvent]:
    """Close the receiver, and return what it holds."""
    await receiver.aclose()
    with anyio.fail_after(PATIENCE):
        return [event async for event in receiver]


# Bodies

STREAMED = {
    "type": "input",
    "timestamp": 5,
    "percent": 61,
    "absolute": 629,
    "name": "amplitude",
    "payload": {"percent": 61, "absolute": 629},
    "from": {"user": {"id": 1}, "device": {"id": "00e040000001", "mac": "00e040000001"}},
}
AMPLITUDE = {"absolute": 1018, "percent": 100, "delta": "ignite", "level": "active"}
SHAPES: Mapping[str, dict[str, Any]] = {
    "generation 0": {"bit_id": "b", "user_id": 1, "timestamp": 5, "type": "amplitude", "payload": AMPLITUDE},
    "generation 1": {"device_id": "b", "user_id": "1", "timestamp": 5, "type": "amplitude", "payload": AMPLITUDE},
    "without a user": {"device_id": "b", "timestamp": 5, "type": "amplitude", "payload": AMPLITUDE},
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_recorded_shape_is_an_event_with_delta_and_level(shape: str) -> None:
    receiver = WebhookReceiver()
    assert await push(receiver, json.dumps(SHAPES[shape]).encode()) == 200
    (event,) = await taken(receiver)
    assert (event.device_id, event.timestamp_ms, event.percent, event.absolute) == ("b", 5, 100, 1018)
    assert (event.delta, event.level) == ("ignite", "active")
    assert event.user_id == SHAPES[shape].get("user_id", None) or event.user_id == 1


async def test_the_stream_s_own_shape_is_an_event_without_them() -> None:
    receiver = WebhookReceiver()
    assert await push(receiver, json.dumps(STREAMED).encode()) == 200
    (event,) = await taken(receiver)
    assert (event.device_id, event.percent, event.name, event.delta, event.level) == (
        "00e040000001",
        61,
        "amplitude",
        None,
        None,
    )


@pytest.mark.parametrize("body", [urlencode({"request": body_of().decode()}).encode(), body_of()])
async def test_a_form_with_the_event_in_it_is_taken_and_so_is_json_that_says_it_is_a_form(body: bytes) -> None:
    receiver = WebhookReceiver()
    headers = [("content-type", b"application/x-www-form-urlencoded; charset=utf-8")]
    assert await push(receiver, body, headers=headers) == 200
    assert len(await taken(receiver)) == 1


async def test_a_body_in_pieces_is_one_body() -> None:
    receiver = WebhookReceiver()
    body = body_of()
    assert await push(receiver, [body[index : index + 7] for index in range(0, len(body), 7)]) == 200
    assert len(await taken(receiver)) == 1


@pytest.mark.parametrize("kind", ["connection", "connection_change", "something new"])
async def test_messages_of_other_types_are_answered_and_ignored(kind: str) -> None:
    receiver = WebhookReceiver()
    assert await push(receiver, body_of(type=kind, payload={"is_connected": True})) == 200
    assert receiver.stats == WebhookStats(ignored=1)


UNUSABLE: list[dict[str, Any]] = [
    {"timestamp": "soon"},
    {"timestamp": None},
    {"payload": {}},
    {"payload": {"percent": "much"}},
    {"device_id": ""},
    {"device_id": None},
    {"type": 5},
]


@pytest.mark.parametrize("changes", UNUSABLE)
async def test_an_event_that_cannot_be_used_is_answered_counted_and_told_once(
    changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = WebhookReceiver()
    for number in range(3):
        assert await push(receiver, body_of(number, **changes)) == 200
    assert receiver.stats == WebhookStats(decode_errors=3)
    assert [record.levelno for record in caplog.records].count(logging.WARNING) == 1


# Answers


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"5", b"null", b"\xff\xfe", b"<html>"])
async def test_a_body_that_is_no_object_is_a_bad_request(body: bytes) -> None:
    receiver = WebhookReceiver()
    assert await push(receiver, body) == 400
    assert receiver.stats == WebhookStats(refused=1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_a_post_is_taken(method: str) -> None:
    answer = await ask(WebhookReceiver(), method, "/", headers=JSON, body=[body_of()])
    assert (answer.status, answer.headers["allow"], answer.body) == (405, "POST", b"")


async def test_a_body_is_bounded_whether_its_length_is_said_or_not() -> None:
    receiver = WebhookReceiver()
    padding = b" " * (MAX_BODY - len(body_of()))
    assert await push(receiver, body_of() + padding) == 200
    assert await push(receiver, body_of(2) + padding + b" ") == 413
    assert await push(receiver, [b"x" * 10_000] * 20) == 413
    said = [("content-length", b"99999999999999999999")]
    assert await push(receiver, body_of(3), headers=said) == 413
    assert len(await taken(receiver)) == 1


async def test_a_body_that_does_not_come_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.webhooks._receiver._BODY_WITHIN", 0.01)
    assert await talk(WebhookReceiver(), {}, "http.request") == 408


async def test_who_leaves_before_the_end_is_not_answered_and_nothing_is_taken() -> None:
    receiver = WebhookReceiver()
    assert await talk(receiver, {}, "http.request", "http.disconnect") is None
    assert await taken(receiver) == []


async def talk(receiver: WebhookReceiver, changes: dict[str, object], *messages: str) -> int | None:
    """Send these messages, and none after them; return the status of the answer, if there is one."""
    coming = list(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        if coming:
            return {"type": coming.pop(0), "body": body_of()[:9], "more_body": True}
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "headers": [], **changes}
    with anyio.fail_after(PATIENCE):
        await receiver(scope, receive, send)
    return sent[0]["status"] if sent else None


# The key


@pytest.mark.parametrize("path", ["/{key}", "/{key}/", "/mounted/here/{key}"])
async def test_the_key_is_the_last_step_of_the_path(path: str) -> None:
    receiver = WebhookReceiver(key=KEY)
    assert await push(receiver, body_of(), path=path.format(key=KEY)) == 200


@pytest.mark.parametrize("path", ["/", "", "/{key}x", "/x{key}", "/{key}/x", "/?key={key}", "/%C3%A9", "/{key}%00"])
async def test_without_the_key_there_is_nothing(path: str) -> None:
    receiver = WebhookReceiver(key=KEY)
    assert await push(receiver, body_of(), path=path.format(key=KEY)) == 404
    assert (await ask(receiver, "GET", path.format(key=KEY))).status == 404
    assert receiver.stats == WebhookStats(refused=2)


async def test_a_key_may_be_of_any_characters_but_a_slash() -> None:
    app = WebhookReceiver(key="ключ %2F é")

    async def receive() -> Message:
        return {"type": "http.request", "body": body_of()}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/hook/ключ %2F é", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 200


async def test_it_can_be_mounted() -> None:
    receiver = WebhookReceiver(key=KEY)
    app = Starlette(routes=[Mount("/littlebits/hook", app=receiver)])
    assert await push(app, body_of(), path=f"/littlebits/hook/{KEY}") == 200
    assert await push(app, body_of(), path="/littlebits/hook/other") == 404
    assert len(await taken(receiver)) == 1


# Signatures

SECRET = new_secret()


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> list[tuple[str, bytes]]:
    stamp = int(time.time() if at is None else at)
    signature = sign(secret, message_id="msg_1", timestamp=stamp, body=body)
    return [
        ("webhook-id", b"msg_1"),
        ("webhook-timestamp", str(stamp).encode()),
        ("webhook-signature", signature.encode()),
    ]


async def test_what_is_signed_is_taken_by_whichever_secret() -> None:
    new = new_secret()
    receiver = WebhookReceiver(secret=[new, SECRET])
    assert await push(receiver, body_of(1), headers=signed(body_of(1))) == 200
    assert await push(receiver, body_of(2), headers=signed(body_of(2), secret=new)) == 200
    assert len(await taken(receiver)) == 2


async def test_the_secret_may_be_bytes_and_standardwebhooks_signs_alike() -> None:
    key = b"0123456789abcdef0123456789abcdef"
    now = time.time()
    theirs = Webhook("whsec_" + base64.b64encode(key).decode())
    signature = theirs.sign("msg_1", datetime.fromtimestamp(int(now), UTC), body_of().decode())
    headers = [*signed(body_of(), at=now)[:2], ("webhook-signature", signature.encode())]
    assert await push(WebhookReceiver(secret=key), body_of(), headers=headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        signed(body_of())[:2],
        signed(body_of(2)),
        signed(body_of(), secret=new_secret()),
        signed(body_of(), at=time.time() - 1000),
        signed(body_of(), at=time.time() + 1000),
        [*signed(body_of())[:2], ("webhook-signature", "v1,é".encode())],
        [*signed(body_of()), *signed(body_of())[:1]],
    ],
)
async def test_what_is_not_signed_is_unauthorized(headers: list[tuple[str, bytes]]) -> None:
    receiver = WebhookReceiver(secret=SECRET)
    assert await push(receiver, body_of(), headers=headers) == 401
    assert receiver.stats == WebhookStats(refused=1)


async def test_a_signature_can_be_verified_by_itself() -> None:
    receiver = WebhookReceiver(secret=SECRET)
    receiver.verify(signed(b"body"), b"body")
    with pytest.raises(WebhookVerificationError):
        receiver.verify(signed(b"body"), b"another body")
    with pytest.raises(InvalidArgumentError):
        WebhookReceiver().verify(signed(b"body"), b"body")


async def test_a_replay_within_the_window_is_answered_and_brings_nothing() -> None:
    receiver = WebhookReceiver(secret=SECRET)
    headers = signed(body_of())
    assert [await push(receiver, body_of(), headers=headers) for _ in range(3)] == [200, 200, 200]
    assert receiver.stats == WebhookStats(events=1, duplicates=2)
    assert len(await taken(receiver)) == 1


async def test_neither_key_nor_secret_shows() -> None:
    watch = SecretsWatch(KEY, SECRET.removeprefix("whsec_"))
    with watch.watching():
        receiver = WebhookReceiver(key=KEY, secret=SECRET)
        watch.see_value("receiver", receiver)
        await push(receiver, body_of(), path=f"/{KEY}x")
        await push(receiver, body_of(), path=f"/{KEY}", headers=[("webhook-signature", SECRET.encode())])
        for options in ({"key": f"{KEY}/"}, {"secret": f"{SECRET}§"}, {"secret": SECRET.removeprefix("whsec_")}):
            with pytest.raises(InvalidArgumentError) as caught:
                WebhookReceiver(**options)  # type: ignore[arg-type] # per test
            watch.see_error("of the constructor", caught.value)
    assert receiver.stats.refused == 2
    watch.check()


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""},
        {"key": "a/b"},
        {"key": ".."},
        {"key": "\ud800"},
        {"secret": "plain"},
        {"secret": b"short"},
        {"secret": []},
        {"buffer": 0},
    ],
)
async def test_what_cannot_be_used_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        WebhookReceiver(**options)


# Duplicates


async def test_events_of_one_reading_with_different_names_or_edges_are_events_of_their_own() -> None:
    receiver = WebhookReceiver()
    bodies = [
        body_of(),
        body_of(delta="sustain"),
        body_of(name="amplitude"),
        body_of(name="amplitude:delta:ignite"),
        body_of(device="other"),
        body_of(2),
    ]
    for body in bodies * 2:
        assert await push(receiver, body) == 200
    assert receiver.stats == WebhookStats(events=6, duplicates=6)


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.webhooks._receiver._REMEMBERED", 3)
    receiver = WebhookReceiver(buffer=100)
    for number in [1, 2, 3, 4, 2, 3, 4, 1]:
        await push(receiver, body_of(number))
    assert [event.timestamp_ms for event in await taken(receiver)] == [1, 2, 3, 4, 1]


# The buffer


async def test_a_full_buffer_drops_the_oldest_and_counts() -> None:
    receiver = WebhookReceiver(buffer=2)
    assert [await push(receiver, body_of(number)) for number in (1, 2, 3)] == [200, 200, 200]
    assert receiver.stats == WebhookStats(events=3, dropped=1)
    assert [event.timestamp_ms for event in await taken(receiver)] == [2, 3]


async def test_a_full_buffer_that_is_to_block_refuses_and_takes_it_when_it_comes_again() -> None:
    receiver = WebhookReceiver(buffer=2, overflow=Overflow.BLOCK)
    assert [await push(receiver, body_of(number)) for number in (1, 2, 3)] == [200, 200, 503]
    iterator = aiter(receiver)
    assert (await anext(iterator)).timestamp_ms == 1
    assert [await push(receiver, body_of(number)) for number in (2, 3)] == [200, 200]
    assert receiver.stats == WebhookStats(events=3, duplicates=1, refused=1)
    assert [event.timestamp_ms for event in await taken(receiver)] == [2, 3]


async def test_latest_keeps_every_edge_and_the_newest_reading() -> None:
    receiver = WebhookReceiver(overflow=Overflow.LATEST)
    for number in (1, 2):
        await push(receiver, body_of(number))
    for number in (3, 4):
        await push(receiver, json.dumps(STREAMED | {"timestamp": number}).encode())
    assert [event.timestamp_ms for event in await taken(receiver)] == [1, 2, 4]


# Iteration


async def test_an_event_wakes_who_waits_and_leaving_off_loses_nothing() -> None:
    async with WebhookReceiver() as receiver:
        found: list[int] = []

        async def consume() -> None:
            async for event in receiver:
                found.append(event.timestamp_ms)
                if event.timestamp_ms == 2:
                    break
            async for event in receiver:
                found.append(event.timestamp_ms)
                if event.timestamp_ms == 4:
                    return

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(consume)
                for number in (1, 2, 3, 4):
                    await anyio.wait_all_tasks_blocked()
                    await push(receiver, body_of(number))
    assert found == [1, 2, 3, 4]


async def test_leaving_the_block_ends_the_iteration_and_what_comes_then_is_to_come_again() -> None:
    ended = anyio.Event()
    receiver = WebhookReceiver()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            async with receiver:

                async def consume() -> None:
                    assert [event async for event in receiver] == []
                    ended.set()

                group.start_soon(consume)
                await anyio.wait_all_tasks_blocked()
            await ended.wait()
    assert await push(receiver, body_of()) == 503


async def test_closing_an_iteration_ends_it_for_who_waits_and_takes_nothing() -> None:
    async with WebhookReceiver() as receiver:
        waiting = aiter(receiver)
        ended: list[bool] = []

        async def wait() -> None:
            with pytest.raises(StopAsyncIteration):
                await anext(waiting)
            ended.append(True)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await waiting.aclose()
                assert await push(receiver, body_of(1)) == 200
        assert ended == [True]
        assert [event.timestamp_ms for event in await taken(receiver)] == [1]


async def test_two_consumers_at_a_time_are_one_too_many() -> None:
    receiver = WebhookReceiver()
    async with anyio.create_task_group() as group:
        group.start_soon(aiter(receiver).__anext__)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await anext(aiter(receiver))
        group.cancel_scope.cancel()


async def test_a_reactor_merges_it() -> None:
    async with Session("token", base_url="http://127.0.0.1:1") as session, WebhookReceiver() as receiver:
        async with InputReactor(session) as reactor:
            reactor.attach(receiver)
            await push(receiver, body_of())
            with anyio.fail_after(PATIENCE):
                event = await anext(aiter(reactor))
    assert (event.device_id, event.delta, event.level) == ("00e040000001", "ignite", "active")


# Other scopes


async def test_a_server_s_start_and_end_are_answered() -> None:
    messages: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await WebhookReceiver()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_closed_and_an_unknown_scope_refused() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await WebhookReceiver()({"type": "websocket", "path": "/"}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
    with pytest.raises(ValueError, match="scope"):
        await WebhookReceiver()({"type": "gopher"}, receive, send)


# Subscriptions


class Subscriptions:
    """A cloud's subscriptions, and what it answers besides."""

    def __init__(self) -> None:
        self.now: list[tuple[str, str]] = []
        self.seen: list[tuple[str, str, object]] = []
        self.fail_on: dict[tuple[str, str], int] = {}
        self.hold_on: tuple[str, str] | None = None
        self.held = anyio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        method, asked = exchange.request.method, json.loads(exchange.request.body)
        pair = (asked["publisher_id"], asked["subscriber_id"])
        self.seen.append((method, pair[0], asked.get("publisher_events")))
        status = self.fail_on.get((method, pair[0]), 201 if method == "POST" else 200)
        if method == "POST" and status == 201:
            self.now.append(pair)
        elif method == "DELETE" and status == 200:
            if pair in self.now:
                self.now.remove(pair)
            else:
                status = 404
        if self.hold_on == (method, pair[0]):
            self.held.set()
            await exchange.until_closed()
            return
        await exchange.answer(status, {"error": "said so"} if status > 299 else asked)


def once(url: str) -> Session:
    return Session("token", base_url=url, retry=RetryPolicy(attempts=1))


async def test_a_block_is_subscribed_with_the_key_in_the_url_and_leaves_nothing_behind() -> None:
    cloud = Subscriptions()
    receiver = WebhookReceiver(key="a key")
    async with raw_server(cloud) as server, once(server.url) as session:
        devices: list[str | Device | CloudBit] = ["a", Device("b"), CloudBit(session, "c"), "a"]
        subscribed = receiver.subscribed(
            session, devices, url="https://me.example/hook/?x=1", events=["amplitude", "amplitude:delta:nap"]
        )
        assert cloud.seen == []
        for _ in range(2):
            async with subscribed:
                assert cloud.now == [(each, "https://me.example/hook/a%20key?x=1") for each in "abc"]
                assert tuple(receiver.devices) == ("a", "b", "c")
            assert cloud.now == []
            assert tuple(receiver.devices) == ()
    assert cloud.seen[0] == ("POST", "a", ["amplitude", "amplitude:delta:nap"])


async def test_where_one_device_is_refused_the_others_are_let_go_and_the_refusal_is_raised() -> None:
    cloud = Subscriptions()
    cloud.fail_on = {("POST", "c"): 404}
    receiver = WebhookReceiver()
    async with raw_server(cloud) as server, once(server.url) as session:
        with pytest.raises(NotFoundError):
            async with receiver.subscribed(session, ["a", "b", "c", "d"], url="http://me.example/"):
                raise AssertionError("entered")
    assert cloud.now == []
    assert tuple(receiver.devices) == ()
    assert "d" not in [device for _, device, _ in cloud.seen]


async def test_what_may_have_been_subscribed_is_let_go_too() -> None:
    cloud = Subscriptions()
    cloud.hold_on = ("POST", "b")
    async with raw_server(cloud) as server, Session("token", base_url=server.url, timeout=0.2) as session:
        with pytest.raises(TransportError):
            async with WebhookReceiver().subscribed(session, ["a", "b"], url="http://me.example/"):
                raise AssertionError("entered")
    assert cloud.now == []


@pytest.mark.parametrize("moment", ["entering", "inside"])
async def test_a_cancelled_block_leaves_no_subscription(moment: str) -> None:
    cloud = Subscriptions()
    cloud.hold_on = ("POST", "b") if moment == "entering" else None
    async with raw_server(cloud) as server, once(server.url) as session:
        inside = anyio.Event()

        async def stay() -> None:
            async with WebhookReceiver().subscribed(session, ["a", "b"], url="http://me.example/"):
                inside.set()
                await anyio.sleep_forever()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(stay)
                await (cloud.held if moment == "entering" else inside).wait()
                group.cancel_scope.cancel()
    assert cloud.now == []


async def test_an_unsubscribing_that_fails_is_logged_and_hides_no_error(caplog: pytest.LogCaptureFixture) -> None:
    cloud = Subscriptions()
    cloud.fail_on = {("DELETE", "a"): 403}
    async with raw_server(cloud) as server, once(server.url) as session:
        with pytest.raises(ZeroDivisionError):
            async with WebhookReceiver().subscribed(session, ["a", "b"], url="http://me.example/"):
                raise ZeroDivisionError
    assert [publisher for publisher, _ in cloud.now] == ["a"]
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told.startswith("device a: the webhook's subscription could not be ended: DELETE /subscriptions")


async def test_leaving_does_not_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("littlebits_async.webhooks._subscribing.LEAVE_WITHIN", 0.05)
    cloud = Subscriptions()
    cloud.hold_on = ("DELETE", "a")
    with anyio.fail_after(PATIENCE):
        async with raw_server(cloud) as server, Session("token", base_url=server.url, timeout=3600) as session:
            async with WebhookReceiver().subscribed(session, ["a", "b"], url="http://me.example/"):
                pass
    assert "of 1 devices could not be ended" in caplog.text


@pytest.mark.parametrize(
    "options",
    [{"devices": "00e040000001"}, {"devices": [""]}, {"devices": ["a"], "url": ""}, {"devices": ["a"], "events": []}],
)
async def test_what_no_request_could_carry_is_refused_before_the_first(options: dict[str, Any]) -> None:
    async with Session("token", base_url="http://127.0.0.1:1") as session:
        with pytest.raises(InvalidArgumentError):
            WebhookReceiver().subscribed(session, **{"url": "http://me.example/", **options})


async def test_an_answer_has_no_body_and_says_so() -> None:
    answer: Answer = await ask(WebhookReceiver(), "POST", "/", body=[body_of()])
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "0", b"")
