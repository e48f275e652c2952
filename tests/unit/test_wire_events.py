"""Input events, streamed and pushed: every generation on record; what cannot be used is a `DecodeError`."""

import json
from typing import Any

import pytest

from littlebits_async import wire
from littlebits_async.errors import DecodeError
from littlebits_async.models import AccessPoint, InputEvent
from tests.spec_messages import event_data

STREAM = "00e04c000000"
TIME = 1521587206463


def read(event: object, device_id: str = STREAM) -> InputEvent | None:
    return wire.read_event(json.dumps(event), device_id=device_id)


def test_the_event_of_the_blog() -> None:
    expected = InputEvent("00e04c0379bb", TIME, 61.0, 629, name="amplitude", mac="00e04c0379bb")
    data = event_data("blog/input-event.sse")
    assert wire.read_event(data, device_id=STREAM) == expected
    assert wire.read_event(data.decode(), device_id=STREAM) == expected
    assert wire.inputs(STREAM).read(data) == expected


# Source: wire-facts section 6, the fields of 2014 and 2015 (values made up).
def test_an_event_with_everything() -> None:
    event = {
        "type": "input",
        "timestamp": 1437400000123,
        "percent": 69,
        "absolute": 709,
        "name": "amplitude",
        "payload": {"percent": 69, "absolute": 709},
        "from": {
            "user": {"id": 4242},
            "device": {
                "id": "00e04c0379bb",
                "mac": "00e04c0379bb",
                "device": "littlebits-module-cloud",
                "firmware_version": "1.0.140820b",
                "hash": "5ecret",
                "ap": {"ssid": "home", "mac": "C0:FF:EE:00:00:01", "strength": 81},
                "settings": {"label": "cloudbit"},
            },
            "server": {"id": "x1"},
        },
    }
    assert read(event) == InputEvent(
        "00e04c0379bb",
        1437400000123,
        69.0,
        709,
        name="amplitude",
        user_id=4242,
        mac="00e04c0379bb",
        ap=AccessPoint("home", "C0:FF:EE:00:00:01", 81),
    )


# Source: wire-facts section 6 ("absent in 2018") and section 12 ("`from` with little in it").
@pytest.mark.parametrize(
    "source", [None, {}, [], "x", {"device": None}, {"device": {}}, {"device": {"id": 7}}, {"user": 1}]
)
def test_an_event_that_does_not_say_its_device_is_the_streams(source: object) -> None:
    event = {"type": "input", "timestamp": TIME, "percent": 61, "absolute": 629, "from": source}
    assert read(event) == InputEvent(STREAM, TIME, 61.0, 629)


# Source: wire-facts section 7, generations 0 and 1; the v1 document's templates.
@pytest.mark.parametrize("key", ["bit_id", "device_id"])
def test_events_of_webhooks(key: str) -> None:
    event = {
        key: "000001",
        "user_id": 7,
        "timestamp": TIME,
        "type": "amplitude",
        "payload": {"absolute": 1018, "percent": 100, "delta": "ignite", "level": "active"},
    }
    assert read(event, "") == InputEvent("000001", TIME, 100.0, 1018, "ignite", "active", user_id=7)


def test_generation_2_of_webhooks_is_the_streams_event() -> None:
    event = {"type": "input", "timestamp": TIME, "percent": 61, "from": {"device": {"id": "000001"}}}
    assert read(event, "") == InputEvent("000001", TIME, 61.0)


def test_an_event_of_no_device_is_no_event() -> None:
    with pytest.raises(DecodeError, match=r"^an input event cannot be used: no usable id$"):
        read({"type": "input", "timestamp": TIME, "percent": 61}, "")


# Source: wire-facts section 8; the last is the spelling of the webhook seed app.
@pytest.mark.parametrize("kind", ["connection_change", "output", "connectionChange", "", "INPUT"])
def test_other_types_are_no_input_events(kind: str) -> None:
    assert read({"type": kind, "state": 2, "timestamp": "whatever"}) is None


def test_an_event_without_type_is_an_input_event() -> None:
    assert read({"timestamp": TIME, "percent": 61}) == InputEvent(STREAM, TIME, 61.0)


@pytest.mark.requirement("R8.goes-on")
@pytest.mark.parametrize("kind", [None, 7, True, [], {}])
def test_a_type_that_is_no_text_is_broken(kind: object) -> None:
    with pytest.raises(DecodeError, match="type"):
        read({"type": kind, "timestamp": TIME, "percent": 61})


@pytest.mark.parametrize(
    ("time", "timestamp_ms"),
    [(0, 0), (TIME, TIME), (float(TIME), TIME), (TIME + 0.9, TIME), (253_402_300_799_999, 253_402_300_799_999)],
)
def test_usable_times(time: float, timestamp_ms: int) -> None:
    event = read({"type": "input", "timestamp": time, "percent": 61})
    assert event is not None
    assert event.timestamp_ms == timestamp_ms
    assert isinstance(event.timestamp_ms, int)
    assert event.timestamp.year <= 9999


NO_INTEGER: list[Any] = [True, "x", [], {}, 1.5, 10**400]
NO_NUMBER: list[Any] = [True, False, "61", "", [], {}, 10**400, -(10**400)]


@pytest.mark.requirement("R8.goes-on")
@pytest.mark.parametrize("time", [*NO_NUMBER, None, -1, -0.5, 253_402_300_800_000, 1e300])
def test_unusable_times(time: object) -> None:
    with pytest.raises(DecodeError, match=f"^an input event of device {STREAM} cannot be used: no usable timestamp$"):
        read({"type": "input", "timestamp": time, "percent": 61})


@pytest.mark.requirement("R8.goes-on")
@pytest.mark.parametrize("event", [{"type": "input", "percent": 61}, [], [1], None, 7, "x", True, {}])
def test_events_without_a_time(event: object) -> None:
    with pytest.raises(DecodeError, match="no usable timestamp"):
        read(event)


@pytest.mark.parametrize(
    ("fields", "percent", "absolute"),
    [
        ({"percent": 61, "absolute": 629}, 61.0, 629),
        ({"payload": {"percent": 61, "absolute": 629}}, 61.0, 629),
        ({"percent": None, "absolute": None, "payload": {"percent": 61, "absolute": 629}}, 61.0, 629),
        ({"percent": 61, "payload": {"percent": 62, "absolute": 629}}, 61.0, 629),
        ({"percent": 12.25}, 12.25, None),
        ({"percent": 0}, 0.0, None),
        # As the server said.
        ({"percent": -3.5}, -3.5, None),
        ({"percent": 250}, 250.0, None),
        # Of the converter's 1023 steps.
        ({"absolute": 1023}, 100.0, 1023),
        ({"absolute": 0}, 0.0, 0),
        ({"payload": {"absolute": 341}}, 100 / 3, 341),
        ({"percent": 61, "payload": 7}, 61.0, None),
        *(({"percent": 61, "absolute": value}, 61.0, None) for value in NO_INTEGER),
    ],
)
def test_readings(fields: dict[str, object], percent: float, absolute: int | None) -> None:
    event = read({"type": "input", "timestamp": TIME, **fields})
    assert event is not None
    assert event.percent == pytest.approx(percent)
    assert isinstance(event.percent, float)
    assert event.absolute == absolute


@pytest.mark.requirement("R8.goes-on")
@pytest.mark.parametrize("percent", NO_NUMBER)
def test_a_percent_that_is_no_number_is_broken_whatever_else_there_is(percent: object) -> None:
    payload = {"percent": 61, "absolute": 629}
    with pytest.raises(DecodeError, match="percent is no number"):
        read({"type": "input", "timestamp": TIME, "percent": percent, "absolute": 629, "payload": payload})
    with pytest.raises(DecodeError, match="percent is no number"):
        read({"type": "input", "timestamp": TIME, "absolute": 629, "payload": {"percent": percent}})


@pytest.mark.requirement("R8.goes-on")
@pytest.mark.parametrize("fields", [{}, {"percent": None}, {"absolute": "x"}, {"payload": {}}, {"payload": []}])
def test_an_event_without_a_reading_is_broken(fields: dict[str, object]) -> None:
    with pytest.raises(DecodeError, match="no usable percent"):
        read({"type": "input", "timestamp": TIME, **fields})


@pytest.mark.parametrize("value", [None, 7, True, [], {}])
def test_optional_fields_of_the_wrong_type_are_missing(value: object) -> None:
    event: dict[str, Any] = {
        "type": "input",
        "timestamp": TIME,
        "percent": 61,
        "name": value,
        "user_id": [],
        "device_id": value,
        "payload": {"delta": value, "level": value},
        "from": {"user": {"id": {}}, "device": {"mac": value, "ap": value}},
    }
    assert read(event) == InputEvent(STREAM, TIME, 61.0)


@pytest.mark.requirement("R8.goes-on", "W10")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"garbage",
        b"\xff",
        b'{"type":"input","timestamp":NaN,"percent":61}',
        b'{"type":"input","timestamp":1521587206463,"percent":NaN}',
        b'{"type":"input","timestamp":1521587206463,"percent":Infinity}',
        b'{"type":"input","timestamp":1521587206463,"percent":1e999}',
        b'{"type":"input","timestamp":1521587206463,"percent":61} trailing',
        b"[" * 10_000 + b"]" * 10_000,
        "\ud800",
    ],
)
def test_what_is_no_json_is_no_event(data: bytes | str) -> None:
    with pytest.raises(DecodeError, match=STREAM) as caught:
        wire.read_event(data, device_id=STREAM)
    assert len(caught.value.excerpt) <= 200
    with pytest.raises(DecodeError, match=f"GET /devices/{STREAM}/input"):
        wire.inputs(STREAM).read(data)


def test_half_a_surrogate_pair_costs_a_character() -> None:
    data = rb'{"timestamp":1521587206463,"percent":61,"from":{"device":{"ap":{"ssid":"home \ud83d"}}}}'
    event = wire.read_event(data, device_id=STREAM)
    assert event is not None
    assert event.ap == AccessPoint("home \ufffd")


def test_an_error_does_not_show_the_bits_secret() -> None:
    data = b'{"type":"input","from":{"device":{"id":"a","hash":"5ecret"}}}'
    with pytest.raises(DecodeError) as caught:
        wire.read_event(data, device_id=STREAM)
    assert caught.value.excerpt == '{"type":"input","from":{"device":{"id":"a","hash":"***"}}}'
    assert "5ecret" not in repr(caught.value)
