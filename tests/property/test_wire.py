"""Whatever a server sends: a value, a `DecodeError` or an `APIError`; more fields change nothing."""

import json
import math
from datetime import UTC, datetime
from typing import Any, cast

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from littlebits_async import wire
from littlebits_async.errors import APIError, DecodeError
from littlebits_async.models import AccessPoint, Device, InputEvent, Subscription
from tests.spec_messages import event_data, message, message_json

BIT = "00e040000001"
STREAM = "00e04c000000"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)

DEVICE: dict[str, Any] = {
    "id": BIT,
    "label": "my cloudbit 1",
    "user_id": "1",
    "is_connected": True,
    "input_interval_ms": 750,
    "ap": {"ssid": "home", "mac": "C0:FF:EE:00:00:01", "strength": "81"},
    "subscriptions": ["00e040000002", {"pid": "00e040000003", "sid": BIT}],
    "subscribers": [{"publisher_id": BIT, "subscriber_id": "https://x", "publisher_events": [{"name": "amplitude"}]}],
}
EVENT: dict[str, Any] = {
    "type": "input",
    "timestamp": 1437400000123,
    "percent": 69,
    "absolute": 709,
    "name": "amplitude",
    "payload": {"percent": 69, "absolute": 709, "delta": "ignite", "level": "active"},
    "from": {"user": {"id": 1}, "device": {"id": BIT, "mac": BIT, "ap": {"ssid": "home", "strength": 81}}},
}
# Every name that means something somewhere: no others may.
KNOWN = frozenset(
    {
        "id",
        "label",
        "user_id",
        "is_connected",
        "input_interval_ms",
        "ap",
        "wifi",
        "ssid",
        "mac",
        "strength",
        "subscriptions",
        "subscribers",
        "publisher_id",
        "subscriber_id",
        "publisher_events",
        "events",
        "name",
        "pid",
        "sid",
        "type",
        "timestamp",
        "percent",
        "absolute",
        "payload",
        "delta",
        "level",
        "from",
        "user",
        "device",
        "device_id",
        "bit_id",
        "success",
        "meta",
        "errors",
        "statusCode",
        "code",
        "error",
        "message",
    }
)

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
known_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(sorted(KNOWN)), inner, max_size=8),
    max_leaves=24,
)
extra_fields = st.dictionaries(st.text().filter(lambda name: name not in KNOWN), any_json, max_size=3)

MESSAGES = [
    message("cloud-api-v2/devices.200.json"),
    message("cloud-api-v2/subscriptions.200.json"),
    message("cloud-http-api-v1/devices.200.json"),
    message("cloud-http-api-v1/output.404.json"),
    event_data("blog/input-event.sse"),
    json.dumps(DEVICE).encode(),
    json.dumps(EVENT).encode(),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid message of which a piece is replaced by any bytes."""
    whole = draw(st.sampled_from(MESSAGES))
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(len(whole), start + 16)))
    piece = draw(st.binary(max_size=8) | st.sampled_from([b"NaN", b"1e999", b"-1", b"null", rb"\ud800", b"9" * 400]))
    return whole[:start] + piece + whole[end:]


any_body = (
    st.binary() | any_json.map(json.dumps).map(str.encode) | known_json.map(json.dumps).map(str.encode) | damaged()
)


@st.composite
def superset(draw: st.DrawFn, value: Any) -> Any:
    """The same message with more fields in every object, its own in any order."""
    if isinstance(value, list):
        return [draw(superset(item)) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    more = {name: draw(superset(inner)) for name, inner in fields.items()} | draw(extra_fields)
    return dict(draw(st.permutations(list(more.items()))))


CALLS: list[tuple[wire.Call[Any], type]] = [
    (wire.devices(), list),
    (wire.device(BIT), Device),
    (wire.update_device(BIT, label="lamp"), Device),
    (wire.activate(BIT), Device),
    (wire.deactivate(BIT), type(None)),
    (wire.output(BIT), type(None)),
    (wire.light(BIT), type(None)),
    (wire.subscriptions(), list),
    (wire.subscribe(publisher_id=BIT, subscriber_id="https://x"), Subscription),
    (wire.unsubscribe(publisher_id=BIT, subscriber_id="https://x"), type(None)),
    (wire.ping(), type(None)),
]


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(any_body)
def test_any_body_is_an_answer_or_an_error(body: bytes) -> None:
    for call, kind in CALLS:
        try:
            value = call.read(body)
        except (DecodeError, APIError) as error:
            assert str(error).isprintable()  # noqa: PT017 - errors are one of the two outcomes
        else:
            assert isinstance(value, kind)


@pytest.mark.requirement("R8.goes-on")
@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(any_body | st.text())
def test_any_data_is_an_event_or_an_error(data: bytes | str) -> None:
    try:
        event = wire.read_event(data, device_id=STREAM)
    except DecodeError as error:
        assert len(error.excerpt) <= 200  # noqa: PT017 - errors are one of the two outcomes
        assert error.excerpt.isprintable()  # noqa: PT017
    else:
        assert event is None or (event.device_id and math.isfinite(event.percent) and event.timestamp.year <= 9999)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    st.integers(300, 599),
    any_body,
    st.dictionaries(st.sampled_from(["retry-after", "date", "location", "www-authenticate"]), st.text()),
)
def test_any_answer_that_is_no_success_is_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = wire.read_error(method="GET", path="/devices", status=status, headers=headers, body=body, now=NOW)
    assert error.status == status
    assert str(error).isprintable()
    assert len(str(error)) < 1_700
    assert error.retry_after is None or 0 <= error.retry_after < math.inf


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(superset(DEVICE))
def test_more_fields_change_no_device(more: Any) -> None:
    plain = wire.device(BIT).read(json.dumps(DEVICE))
    body = json.dumps(more)
    assert wire.device(BIT).read(body) == plain
    assert wire.devices().read(f"[{body}]") == [plain]
    assert wire.update_device(BIT, label="lamp").read(body) == plain


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    superset(message_json("cloud-api-v2/devices.200.json")), superset(message_json("cloud-api-v2/subscribe.201.json"))
)
def test_more_fields_change_no_message_of_the_document(devices: Any, subscription: Any) -> None:
    assert wire.devices().read(json.dumps(devices)) == wire.devices().read(message("cloud-api-v2/devices.200.json"))
    expected = Subscription("00e040000001", "00e040000002", ("amplitude",))
    assert wire.subscriptions().read(json.dumps([subscription])) == [expected]
    assert wire.subscribe(publisher_id="p", subscriber_id="s").read(json.dumps(subscription)) == expected


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(superset(EVENT))
def test_more_fields_change_no_event(more: Any) -> None:
    plain = wire.read_event(json.dumps(EVENT), device_id=STREAM)
    assert isinstance(plain, InputEvent)
    assert wire.read_event(json.dumps(more), device_id=STREAM) == plain


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.sampled_from(sorted(set(DEVICE) - {"id"})), any_json | known_json)
def test_no_optional_field_breaks_a_device(field: str, value: Any) -> None:
    device = wire.device(BIT).read(json.dumps(DEVICE | {field: value}))
    expected = wire.device(BIT).read(json.dumps(DEVICE))
    others = set(DEVICE) - {field}
    assert {name: getattr(device, name) for name in others} == {name: getattr(expected, name) for name in others}


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.sampled_from(["absolute", "name", "payload", "from"]), any_json | known_json)
def test_no_optional_field_breaks_an_event(field: str, value: Any) -> None:
    event = wire.read_event(json.dumps(EVENT | {field: value}), device_id=STREAM)
    assert event is not None
    assert (event.timestamp_ms, event.percent) == (1437400000123, 69.0)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.text(min_size=1).filter(lambda text: text not in {".", ".."}))
def test_any_id_is_one_plain_segment(device_id: str) -> None:
    head, devices, segment, tail = wire.inputs(device_id).path.split("/")
    assert (head, devices, tail) == ("", "devices", "input")
    assert segment.isascii()
    assert segment.isprintable()
    assert not set(segment) & set(' /?#\\"<>')


IDS = st.text(min_size=1).filter(lambda text: text not in {".", ".."})  # which are steps in a path
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.none() | st.text(min_size=1)
ACCESS_POINTS = st.none() | st.builds(AccessPoint, ssid=IDS, mac=TEXTS, strength=st.none() | INT64)
NAMES = st.lists(IDS).map(tuple)


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    st.builds(
        InputEvent,
        device_id=IDS,
        timestamp_ms=st.integers(0, 253_402_300_799_999),
        percent=st.floats(allow_nan=False, allow_infinity=False),
        absolute=st.none() | INT64,
        name=TEXTS,
        user_id=st.none() | INT64,
        mac=TEXTS,
        ap=ACCESS_POINTS,
    ),
    st.booleans(),
)
def test_what_is_written_of_an_event_is_read(event: InputEvent, in_payload: bool) -> None:  # noqa: FBT001
    strength = {"percent": event.percent, "absolute": event.absolute}
    written = {
        "type": "input",
        "timestamp": event.timestamp_ms,
        "name": event.name,
        "payload": strength if in_payload else {},
        "from": {
            "user": {"id": event.user_id},
            "device": {"id": event.device_id, "mac": event.mac, "ap": event.ap and attrs.asdict(event.ap)},
        },
    } | ({} if in_payload else strength)
    assert wire.read_event(json.dumps(written), device_id=STREAM) == event
    assert wire.read_event(json.dumps(written, ensure_ascii=False).encode(), device_id=STREAM) == event


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    st.builds(
        Device,
        id=IDS,
        label=st.text(),
        user_id=st.none() | INT64,
        is_connected=st.none() | st.booleans(),
        input_interval_ms=st.none() | INT64,
        ap=ACCESS_POINTS,
        subscriptions=st.lists(st.builds(Subscription, IDS, IDS, NAMES), max_size=3).map(tuple),
        subscribers=st.lists(st.builds(Subscription, IDS, IDS, NAMES), max_size=3).map(tuple),
    )
)
def test_what_is_written_of_a_device_is_read(device: Device) -> None:
    body = json.dumps(attrs.asdict(device))
    assert wire.device(device.id).read(body) == device
    assert wire.devices().read(f"[{body}]") == [device]
    assert wire.activate(BIT).read(body) == device


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(st.integers(1, 100_000), st.sampled_from(["[", '{"id":', '[{"from":', '{"subscriptions":[']))
def test_depth_without_end_is_an_error_that_can_be_shown(depth: int, opening: str) -> None:
    body = opening * depth
    for call in (call for call, _ in CALLS):
        with pytest.raises(DecodeError) as caught:
            call.read(body)
        assert len(caught.value.excerpt) <= 200
    with pytest.raises(DecodeError):
        wire.read_event(body, device_id=STREAM)
    assert wire.read_error(method="GET", path="/", status=500, headers={}, body=body.encode(), now=NOW).status == 500


@settings(deadline=None)  # a loaded machine is slow, not wrong
@given(
    st.dictionaries(
        st.sampled_from(["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]),
        st.text() | st.integers().map(str) | st.integers(0, 2000).map(lambda number: f" {number}, 100;w=60"),
    )
)
def test_any_count_of_the_server_is_a_small_whole_number_or_none(headers: dict[str, str]) -> None:
    count = wire.read_rate_limit(headers)
    if count is not None:
        said = (count.limit, count.remaining, count.reset)
        assert said[:2] != (None, None)
        assert all(number is None or 0 <= number < 10**9 for number in said)
