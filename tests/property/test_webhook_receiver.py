"""Whatever is posted to a WebhookReceiver: an answer, no error, and no more memory than it may take."""

import json
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from littlebits_async import InputEvent, Overflow
from littlebits_async.webhooks import WebhookReceiver
from tests.support.asgi import ask

BUFFER = 4

Body = dict[str, Any]


def amplitude(device: str, time: int, delta: str, percent: float) -> Body:
    payload = {"percent": percent, "delta": delta, "level": "active"}
    return {"type": "amplitude", "device_id": device, "timestamp": time, "payload": payload}


def changed(body: Body, field: str, value: object) -> Body:
    return body | {field: value}


def written(body: object) -> bytes:
    return json.dumps(body).encode()


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
deltas = st.sampled_from(["ignite", "release", "sustain", "nap"])
good = st.builds(amplitude, st.sampled_from(["a", "b"]), st.integers(0, 5), deltas, st.floats(0, 100))
fields = st.sampled_from(["type", "device_id", "timestamp", "payload", "from", "name", "percent"])
bodies = st.binary(max_size=60) | st.builds(written, good | st.builds(changed, good, fields, json_values) | json_values)
kinds = st.sampled_from([b"application/json", b"application/x-www-form-urlencoded", b"\xff", b""])


async def post(receiver: WebhookReceiver, body: bytes, kind: bytes, cut: int) -> int:
    pieces = [body[:cut], body[cut:]] if 0 < cut < len(body) else [body]
    return (await ask(receiver, "POST", "/", headers=[("content-type", kind)], body=pieces)).status


@given(st.lists(st.tuples(bodies, kinds, st.integers(0, 60)), max_size=12))
def test_whatever_is_posted_is_answered_and_counted(posted: list[tuple[bytes, bytes, int]]) -> None:
    async def run() -> None:
        receiver = WebhookReceiver(buffer=BUFFER)
        statuses = [await post(receiver, *each) for each in posted]
        assert set(statuses) <= {200, 400}
        stats = receiver.stats
        assert stats.refused == statuses.count(400)
        assert stats.events + stats.duplicates + stats.ignored + stats.decode_errors == statuses.count(200)
        await receiver.aclose()
        assert len([event async for event in receiver]) == min(stats.events, BUFFER) == stats.events - stats.dropped

    anyio.run(run)


def mark_of(body: Body) -> tuple[object, ...]:
    return body["device_id"], body["timestamp"], body["payload"]["delta"]


@given(st.lists(good, max_size=20), st.data())
def test_what_is_told_again_until_it_is_answered_200_arrives_once_and_in_order(
    sent: list[Body], data: st.DataObject
) -> None:
    """A cloud that tells in order, at least once, and a consumer that takes when it likes."""
    taken: list[InputEvent] = []

    async def run() -> None:
        receiver = WebhookReceiver(buffer=2, overflow=Overflow.BLOCK)
        events = aiter(receiver)
        for body in sent:
            for _ in range(data.draw(st.integers(1, 2))):
                while await post(receiver, written(body), b"application/json", 0) != 200:
                    taken.append(await anext(events))
        await receiver.aclose()
        taken.extend([event async for event in receiver])

    anyio.run(run)
    expected = list(dict.fromkeys(mark_of(body) for body in sent))
    assert [(event.device_id, event.timestamp_ms, event.delta) for event in taken] == expected
