"""Requests: what is sent is what the documents print, and what cannot be sent is refused."""

from enum import StrEnum
from typing import Any

import pytest

from littlebits_async import wire
from littlebits_async.errors import InvalidArgumentError
from littlebits_async.models import FOREVER, AmplitudeEvent, LightColor, LightMode, Subscription
from tests.spec_messages import message, message_json

BIT = "00e040000001"
OTHER = "00e040000002"
CALLBACK = "http://YOURSERVER/endpoint"
V2 = "cloud-api-v2"
V1 = "cloud-http-api-v1"


@pytest.mark.parametrize(
    ("call", "method", "path", "example"),
    [
        (
            wire.update_device(BIT, label="cloudbit", input_interval_ms=250),
            "PUT",
            f"/devices/{BIT}",
            f"{V2}/update.request.json",
        ),
        (wire.output(BIT, 100, duration_ms=3000), "POST", f"/devices/{BIT}/output", f"{V2}/output.request.json"),
        (wire.output(BIT), "POST", f"/devices/{BIT}/output", f"{V2}/output.request.json"),
        (wire.output(BIT, version=3), "POST", f"/devices/{BIT}/output", f"{V2}/output.request.json"),
        (
            wire.output("000001", 75, duration_ms=1000, version=1),
            "POST",
            "/devices/000001/output",
            f"{V1}/output-percent.request.json",
        ),
        (
            wire.subscribe(publisher_id=BIT, subscriber_id=OTHER),
            "POST",
            "/subscriptions",
            f"{V2}/subscribe.request.json",
        ),
        (
            wire.subscribe(publisher_id=BIT, subscriber_id=CALLBACK),
            "POST",
            "/subscriptions",
            f"{V2}/subscribe-callback.request.json",
        ),
        (
            wire.subscribe(publisher_id=BIT, subscriber_id=OTHER, events=AmplitudeEvent.AMPLITUDE),
            "POST",
            "/subscriptions",
            f"{V2}/subscribe-events.request.json",
        ),
        (
            wire.unsubscribe(publisher_id=BIT, subscriber_id=CALLBACK),
            "DELETE",
            "/subscriptions",
            f"{V2}/unsubscribe.request.json",
        ),
    ],
)
def test_requests_with_a_body_are_those_of_the_documents(
    call: wire.Call[object], method: str, path: str, example: str
) -> None:
    assert (call.method, call.path, call.query) == (method, path, {})
    assert call.body == message_json(example)


def test_subscription_queries_are_those_of_the_document() -> None:
    calls = [
        wire.subscriptions(publisher_id=BIT),
        wire.subscriptions(subscriber_id=OTHER),
        wire.subscriptions(publisher_id=BIT, subscriber_id=OTHER),
    ]
    lines = [
        f"{call.method} /v2{call.path}?" + "&".join(f"{name}={value}" for name, value in call.query.items())
        for call in calls
    ]
    assert lines == message(f"{V2}/subscriptions.requests.txt").decode().splitlines()


# Source: the table "Endpoints Overview" of the v1 document; light and ping: wire-facts section 3.
@pytest.mark.parametrize(
    ("call", "method", "path", "body"),
    [
        (wire.devices(), "GET", "/devices", None),
        (wire.device(BIT), "GET", f"/devices/{BIT}", None),
        (wire.deactivate(BIT), "DELETE", f"/devices/{BIT}", None),
        (wire.inputs(BIT), "GET", f"/devices/{BIT}/input", None),
        (wire.subscriptions(), "GET", "/subscriptions", None),
        (wire.ping(), "GET", "/ping", None),
        (wire.light(BIT), "POST", f"/devices/{BIT}/light", {}),
        (wire.activate(BIT), "POST", f"/devices/{BIT}", {}),
        (wire.activate(BIT, device_hash="5ecret"), "POST", f"/devices/{BIT}", {"device_hash": "5ecret"}),
        (
            wire.activate(BIT, label="lamp", input_interval_ms=200),
            "POST",
            f"/devices/{BIT}",
            {"update": {"label": "lamp", "input_interval_ms": 200}},
        ),
        (
            wire.light(BIT, color="clownbarf", mode=LightMode.HOLD, duration_ms=FOREVER),
            "POST",
            f"/devices/{BIT}/light",
            {"color": "clownbarf", "mode": "hold", "duration_ms": -1},
        ),
    ],
)
def test_the_other_requests(call: wire.Call[object], method: str, path: str, body: dict[str, Any] | None) -> None:
    assert (call.method, call.path, call.query, call.body) == (method, path, {}, body)


@pytest.mark.parametrize(
    ("call", "idempotent"),
    [
        (wire.devices(), True),
        (wire.device(BIT), True),
        (wire.update_device(BIT, label="lamp"), True),
        (wire.activate(BIT), False),
        (wire.deactivate(BIT), True),
        (wire.output(BIT), False),
        (wire.output(BIT, duration_ms=0), False),
        (wire.output(BIT, duration_ms=FOREVER), True),
        (wire.output(BIT, duration_ms=FOREVER, version=1), True),
        (wire.light(BIT, color=LightColor.RED, duration_ms=FOREVER), False),
        (wire.inputs(BIT), True),
        (wire.subscriptions(), True),
        (wire.subscribe(publisher_id=BIT, subscriber_id=OTHER), False),
        (wire.unsubscribe(publisher_id=BIT, subscriber_id=OTHER), True),
        (wire.ping(), True),
    ],
)
def test_what_may_be_repeated(call: wire.Call[object], idempotent: bool) -> None:  # noqa: FBT001
    assert call.idempotent is idempotent


@pytest.mark.parametrize(
    ("device_id", "segment"),
    [
        ("a84hf038ierj", "a84hf038ierj"),
        ("a/b", "a%2Fb"),
        ("../v1", "..%2Fv1"),
        ("a?b#c", "a%3Fb%23c"),
        ("100%", "100%25"),
        ("zwölf bits", "zw%C3%B6lf%20bits"),
        ("\r\nX: y", "%0D%0AX%3A%20y"),
        ("...", "..."),
    ],
)
def test_an_id_is_one_segment_whatever_it_holds(device_id: str, segment: str) -> None:
    assert wire.device(device_id).path == f"/devices/{segment}"
    assert wire.inputs(device_id).path == f"/devices/{segment}/input"


@pytest.mark.parametrize("device_id", ["", ".", "..", "\ud800", 12, None, b"00e040000001"])
def test_an_id_that_is_no_segment_is_refused(device_id: Any) -> None:
    for build in (wire.device, wire.deactivate, wire.output, wire.light, wire.inputs, wire.activate):
        with pytest.raises(InvalidArgumentError, match="device_id"):
            build(device_id)
    with pytest.raises(InvalidArgumentError, match="device_id"):
        wire.update_device(device_id, label="lamp")


@pytest.mark.parametrize("value", ["", "\udfff", 12, b"00e040000001"])
def test_ids_of_subscriptions_are_texts(value: Any) -> None:
    for build in (wire.subscribe, wire.unsubscribe, wire.subscriptions):
        with pytest.raises(InvalidArgumentError, match="publisher_id"):
            build(publisher_id=value, subscriber_id=OTHER)
        with pytest.raises(InvalidArgumentError, match="subscriber_id"):
            build(publisher_id=BIT, subscriber_id=value)


@pytest.mark.parametrize("percent", [0, 100, 61, 12.5, 99.999, True + 0, 5e-324])
def test_percent_in_range_is_sent(percent: float) -> None:
    assert wire.output(BIT, percent).body == {"percent": percent, "duration_ms": 3000}


@pytest.mark.parametrize(
    ("percent", "amount"), [(0, "0%"), (50, "50%"), (-0.0, "0%"), (75.0, "75%"), (12.5, "12.5%"), (1e-7, "0.0000001%")]
)
def test_version_1_says_amount_as_text(percent: float, amount: str) -> None:
    assert wire.output(BIT, percent, version=1).body == {"amount": amount, "duration_ms": 3000}


def test_whole_percents_are_sent_as_whole_numbers() -> None:
    body = wire.output(BIT, 75.0).body
    assert body is not None
    assert repr(body["percent"]) == "75"


NOT_PERCENT: list[Any] = [-1, 101, 100.001, -0.5, 10**400, float("nan"), float("inf"), True, False, "50", None, 1j]


@pytest.mark.parametrize("percent", NOT_PERCENT)
def test_percent_out_of_range_is_refused(percent: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="percent must be a number from 0 to 100"):
        wire.output(BIT, percent)


def test_an_int_too_long_to_print_is_refused_like_others() -> None:
    with pytest.raises(InvalidArgumentError, match=r"percent must be .*, not a huge int"):
        wire.output(BIT, 10**5000)


@pytest.mark.parametrize("duration_ms", [-1, 0, 32_000])
def test_durations_of_version_2(duration_ms: int) -> None:
    assert wire.output(BIT, duration_ms=duration_ms).body == {"percent": 100, "duration_ms": duration_ms}
    assert wire.light(BIT, duration_ms=duration_ms).body == {"duration_ms": duration_ms}


@pytest.mark.parametrize("duration_ms", [-2, 32_001, True, 3000.0, "3000", None, 10**400])
def test_durations_out_of_range_are_refused(duration_ms: Any) -> None:
    allowed = r"duration_ms must be an int from -1 \(for ever\) or 0 to 32000"
    with pytest.raises(InvalidArgumentError, match=allowed):
        wire.output(BIT, duration_ms=duration_ms)
    if duration_ms is not None:
        with pytest.raises(InvalidArgumentError, match=allowed):
            wire.light(BIT, duration_ms=duration_ms)


def test_version_1_knows_no_longest_duration() -> None:
    # A week: the example "idle output for one week".
    week = message_json(f"{V1}/output-idle.request.json")["duration_ms"]
    assert wire.output(BIT, 0, duration_ms=week, version=1).body == {"amount": "0%", "duration_ms": week}
    assert wire.light(BIT, duration_ms=week, version=1).body == {"duration_ms": week}
    for outside in (-2, 2**53):
        with pytest.raises(InvalidArgumentError, match="duration_ms"):
            wire.output(BIT, duration_ms=outside, version=1)


@pytest.mark.parametrize("interval", [199, 0, -1, True, 250.0, "250", 2**53])
def test_intervals_out_of_range_are_refused(interval: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="input_interval_ms must be an int from 200"):
        wire.update_device(BIT, input_interval_ms=interval)
    with pytest.raises(InvalidArgumentError, match="input_interval_ms must be an int from 200"):
        wire.activate(BIT, input_interval_ms=interval)


def test_an_update_sends_only_what_was_given() -> None:
    assert wire.update_device(BIT, label="").body == {"update": {"label": ""}}
    assert wire.update_device(BIT, input_interval_ms=200).body == {"update": {"input_interval_ms": 200}}
    with pytest.raises(InvalidArgumentError, match="nothing to update"):
        wire.update_device(BIT)


@pytest.mark.parametrize("label", [7, b"lamp", "\ud83d"])
def test_labels_are_texts(label: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="label"):
        wire.update_device(BIT, label=label)


class Home(StrEnum):
    DOOR = "amplitude:delta:ignite"


@pytest.mark.parametrize(
    ("events", "names"),
    [
        ("amplitude", ["amplitude"]),
        ([AmplitudeEvent.IGNITE, "amplitude:delta:release"], ["amplitude:delta:ignite", "amplitude:delta:release"]),
        ((name for name in ("amplitude", "amplitude")), ["amplitude"]),
        ("connection", ["connection"]),
        ({Home.DOOR}, ["amplitude:delta:ignite"]),
    ],
)
def test_events_are_names(events: Any, names: list[str]) -> None:
    call = wire.subscribe(publisher_id=BIT, subscriber_id=OTHER, events=events)
    assert call.body == {"publisher_id": BIT, "subscriber_id": OTHER, "publisher_events": names}
    assert call.read(b"OK") == Subscription(BIT, OTHER, tuple(names))
    assert {type(name) for name in call.read(b"OK").events} == {str}


@pytest.mark.parametrize("events", [[], (), "", [""], [None], 7, b"amplitude", ["\ud800"]])
def test_events_that_are_no_names_are_refused(events: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="events"):
        wire.subscribe(publisher_id=BIT, subscriber_id=OTHER, events=events)


@pytest.mark.parametrize("color", list(LightColor))
def test_every_colour_is_sent_as_member_or_text(color: LightColor) -> None:
    assert wire.light(BIT, color=color).body == wire.light(BIT, color=color.value).body == {"color": color.value}


@pytest.mark.parametrize("value", ["pink", "", "GREEN", 3, []])
def test_other_lights_are_refused_and_the_allowed_named(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"color must be one of green, yellow, red, .*clownbarf, not"):
        wire.light(BIT, color=value)
    with pytest.raises(InvalidArgumentError, match="mode must be one of blink, hold, not"):
        wire.light(BIT, mode=value)


def test_secrets_do_not_show() -> None:
    callback = "https://example.net/hook?key=5ecret"
    calls = [
        wire.activate(BIT, device_hash="5ecret"),
        wire.subscribe(publisher_id=BIT, subscriber_id=callback),
        wire.unsubscribe(publisher_id=BIT, subscriber_id=callback),
        wire.subscriptions(subscriber_id=callback),
    ]
    assert "5ecret" not in repr(calls)
    wrong: list[Any] = [b"5ecret", "5ecret\ud800"]
    for device_hash in wrong:
        with pytest.raises(InvalidArgumentError, match="device_hash") as caught:
            wire.activate(BIT, device_hash=device_hash)
        assert "5ecret" not in str(caught.value)


def test_calls_are_values() -> None:
    assert wire.device(BIT) == wire.device(BIT)
    assert wire.device(BIT) != wire.device(OTHER)
