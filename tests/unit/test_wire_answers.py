"""Answers: every shape on record gives the value; what is no answer of this API is a `DecodeError`.

Expected values are written out by hand from the messages; the sources are sections of wire-facts and the documents.
"""

import json
import logging
from typing import Any

import pytest
from attrs import evolve

from littlebits_async import wire
from littlebits_async.errors import APIError, DecodeError, NotFoundError, PermissionDeniedError
from littlebits_async.models import AccessPoint, Device, Subscription
from tests.spec_messages import message

BIT = "00e040000001"
OTHER = "00e040000002"
CALLBACK = "https://YOURSERVER/endpoint"
V2 = "cloud-api-v2"
V1 = "cloud-http-api-v1"

FOLLOWS = Subscription(OTHER, BIT, ("amplitude",))
FIRST = Device(
    BIT,
    label="my cloudbit 1",
    user_id=1,
    is_connected=False,
    input_interval_ms=750,
    subscriptions=(FOLLOWS, Subscription(BIT, CALLBACK, ("amplitude:delta:ignite",))),
)
SECOND = Device(
    OTHER, label="my cloudbit 2", user_id=1, is_connected=False, input_interval_ms=750, subscribers=(FOLLOWS,)
)


def device_of(**fields: object) -> Device:
    return wire.device(BIT).read(json.dumps({"id": BIT, **fields}))


# --- devices


def test_the_devices_of_the_v2_document() -> None:
    assert wire.devices().read(message(f"{V2}/devices.200.json")) == [FIRST, SECOND]
    assert wire.device(BIT).read(message(f"{V2}/device.200.json")) == FIRST


def test_the_devices_of_the_v1_document() -> None:
    listed = [Device("000001", label="000001", user_id=1), Device("000002", label="000002", user_id=1)]
    assert wire.devices().read(message(f"{V1}/devices.200.json")) == listed
    # The document prints the list under GET /devices/{device_id}: the device is the one that was asked for.
    assert wire.device("000002").read(message(f"{V1}/devices.200.json")) == listed[1]


def test_a_device_as_a_list_of_one() -> None:
    assert wire.device("another").read(b'[{"id": "00e040000001"}]') == Device(BIT)


@pytest.mark.parametrize("body", [b"[]", b"[1]", b'[{"id": "a"}, {"id": "b"}]', b"{}", b"null", b"7", b'"OK"', b"OK"])
def test_an_answer_without_the_device_is_no_device(body: bytes) -> None:
    with pytest.raises(DecodeError, match=f"GET /devices/{BIT}"):
        wire.device(BIT).read(body)


# Values of the wrong type, by what they are not.
NO_BOOLEAN: list[Any] = [None, 1, "true", [], {}]
NO_TEXT: list[Any] = [None, 7, True, [], {}]
NO_OBJECT: list[Any] = [None, {}, [], "home", 7, True]
NO_LIST: list[Any] = [None, [], {}, "x", 7, True]
NO_NAMES: list[Any] = [None, [], {}, 7, True, "", [None, 7, "", {}, {"name": 7}, ["x"]]]
NO_INTEGER: list[Any] = [None, "", "one", "1.5", "0x10", "٣", 1.5, True, [], {}, 10**400, "9" * 5000, 2**63]


# Source: wire-facts section 4.
@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("user_id", 1, 1),
        ("user_id", "1", 1),
        ("user_id", 1.0, 1),
        ("user_id", 2**63 - 1, 2**63 - 1),
        *(("user_id", value, None) for value in NO_INTEGER),
        ("input_interval_ms", 750, 750),
        ("input_interval_ms", "200", 200),
        *(("input_interval_ms", value, None) for value in NO_INTEGER),
        ("is_connected", True, True),
        ("is_connected", False, False),
        *(("is_connected", value, None) for value in NO_BOOLEAN),
        ("label", "cloudbit", "cloudbit"),
        ("label", "", ""),
        *(("label", value, "") for value in NO_TEXT),
        ("ap", {"ssid": "home", "mac": "C0:FF:EE:00:00:01", "strength": "81", "server_id": "x", "socket_id": "y"},
         AccessPoint("home", "C0:FF:EE:00:00:01", 81)),
        ("ap", {"ssid": "home", "strength": 81}, AccessPoint("home", None, 81)),
        *(("ap", {"ssid": "home", "strength": value}, AccessPoint("home")) for value in NO_INTEGER),
        ("ap", {"ssid": 7, "mac": None}, None),
        *(("ap", value, None) for value in NO_OBJECT),
        *(("subscriptions", value, ()) for value in NO_LIST),
        *(("subscribers", value, ()) for value in NO_LIST),
    ],
)  # fmt: skip
def test_fields_of_a_device(field: str, value: Any, expected: Any) -> None:
    assert device_of(**{field: value}) == evolve(Device(BIT), **{field: expected})


def test_the_older_name_of_the_access_point() -> None:
    assert device_of(wifi={"ssid": "home"}).ap == AccessPoint("home")
    assert device_of(wifi={"ssid": "old"}, ap={"ssid": "new"}).ap == AccessPoint("new")
    assert device_of(wifi={"ssid": "old"}, ap=None).ap == AccessPoint("old")


def test_escaped_slashes_and_unknown_fields() -> None:
    body = rb'{"zzz": [{}], "subscribers": [{"publisher_id": "b", "subscriber_id": "https:\/\/x"}], "id": "b"}'
    assert wire.device("b").read(body) == Device("b", subscribers=(Subscription("b", "https://x"),))


# Source: wire-facts section 4, "Items in four shapes", and "Which side is which".
@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"publisher_id": "p", "subscriber_id": "s", "publisher_events": [{"name": "amplitude"}]},
            Subscription("p", "s", ("amplitude",)),
        ),
        (
            {"publisher_id": "p", "subscriber_id": "s", "publisher_events": ["amplitude", "x"]},
            Subscription("p", "s", ("amplitude", "x")),
        ),
        ({"publisher_id": "p", "subscriber_id": "s", "events": ["amplitude"]}, Subscription("p", "s", ("amplitude",))),
        ({"publisher_id": "p", "subscriber_id": "s", "events": "amplitude"}, Subscription("p", "s", ("amplitude",))),
        (
            {"publisher_id": "p", "subscriber_id": "s", "publisher_events": None, "events": [{"name": "amplitude"}]},
            Subscription("p", "s", ("amplitude",)),
        ),
        ({"publisher_id": "p", "subscriber_id": "s"}, Subscription("p", "s")),
        ({"pid": "p", "sid": "s"}, Subscription("p", "s")),
        ({"pid": "p", "sid": "s", "data": {"input": {"percent": {"$cgte": 50}}}}, Subscription("p", "s")),
        *(
            ({"publisher_id": "p", "subscriber_id": "s", "publisher_events": events}, Subscription("p", "s"))
            for events in NO_NAMES
        ),
        (
            {"publisher_id": "p", "subscriber_id": "s", "publisher_events": [7, "amplitude", {"name": "y", "z": 1}]},
            Subscription("p", "s", ("amplitude", "y")),
        ),
    ],
)
def test_shapes_of_subscriptions(item: dict[str, object], expected: Subscription) -> None:
    assert wire.subscriptions().read(json.dumps([item])) == [expected]
    assert device_of(subscriptions=[item]).subscriptions == (expected,)
    assert device_of(subscribers=[item]).subscribers == (expected,)


@pytest.mark.parametrize("other", ["00e040000002", "https://example.net/hook?x=1"])
def test_a_bare_text_is_the_other_side(other: str) -> None:
    # 003: `subscribers` follow this bit, `subscriptions` are what this bit follows.
    assert device_of(subscriptions=[other]).subscriptions == (Subscription(other, BIT),)
    assert device_of(subscribers=[other]).subscribers == (Subscription(BIT, other),)
    assert device_of(subscriptions=[{"publisher_id": other}]).subscriptions == (Subscription(other, BIT),)
    assert device_of(subscribers=[{"sid": other}]).subscribers == (Subscription(BIT, other),)


# --- bad items


@pytest.mark.parametrize("item", [None, 7, True, "00e04c", [], {}, {"id": None}, {"id": ""}, {"id": 7}, {"id": ["a"]}])
def test_a_bad_device_costs_itself(item: object, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps([{"id": "a"}, item, {"id": "b"}])
    assert wire.devices().read(body) == [Device("a"), Device("b")]
    assert caplog.record_tuples == [
        ("littlebits_async.wire", logging.WARNING, "1 of 3 items are no Device and are left out: no usable id")
    ]


@pytest.mark.parametrize("item", [None, 7, True, "00e04c", [], {}, {"publisher_id": "p"}, {"pid": "p", "sid": 7}])
def test_a_bad_subscription_costs_itself(item: object, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps([{"pid": "a", "sid": "b"}, item])
    assert wire.subscriptions().read(body) == [Subscription("a", "b")]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_bad_items_of_a_device_cost_themselves_and_their_values_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad: list[object] = [None, 7, "", {}, [], {"publisher_id": 7, "key": "5ecret"}]
    device = device_of(subscriptions=["a", *bad], subscribers=[*bad, "b"])
    assert device == Device(BIT, subscriptions=(Subscription("a", BIT),), subscribers=(Subscription(BIT, "b"),))
    assert "6 of 7" in caplog.text
    assert "5ecret" not in caplog.text


# --- answers that have nothing to tell


# Source: wire-facts sections 3, 5 and 12; the v1 document's `{}` and `[1, 1, 1]`.
DONE = [
    b"{}",
    b'{"success":true}',
    b"OK",
    b" ok\r\n",
    b'"OK"',
    b"[1,1,1]",
    b"",
    b" \n",
    b"null",
    b"true",
    b"pong",
    b'{"anything": [1]}',
    b'{"success": "false"}',
    b'{"code": 200}',
    message(f"{V1}/output.200.json"),
    message(f"{V1}/unsubscribe.200.json"),
    message(f"{V2}/device.200.json"),
]
REFUSED = [b"false", b'{"success": false}', b'{"success":false,"message":"The device is asleep"}']
NO_JSON = [
    b"<html><body>It works!</body></html>",
    b"garbage",
    b"{",
    b"\xff\xfe",
    b'"\xff"',
    b"NaN",
    b'{"x": Infinity}',
    b"1e999",
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    b"1" * 5_000,
    "OK\N{NO-BREAK SPACE}OK".encode(),
]


@pytest.mark.parametrize(
    "call",
    [
        wire.output(BIT),
        wire.light(BIT),
        wire.deactivate(BIT),
        wire.unsubscribe(publisher_id=BIT, subscriber_id=OTHER),
        wire.ping(),
    ],
)
@pytest.mark.parametrize("body", DONE)
def test_success_in_every_form(call: wire.Call[None], body: bytes) -> None:
    call.read(body)
    call.read(body.decode())


ALL_CALLS: list[wire.Call[Any]] = [
    wire.devices(),
    wire.device(BIT),
    wire.update_device(BIT, label="lamp"),
    wire.activate(BIT),
    wire.deactivate(BIT),
    wire.output(BIT),
    wire.light(BIT),
    wire.subscriptions(),
    wire.subscribe(publisher_id=BIT, subscriber_id=OTHER),
    wire.unsubscribe(publisher_id=BIT, subscriber_id=OTHER),
    wire.ping(),
]


@pytest.mark.parametrize("call", ALL_CALLS)
@pytest.mark.parametrize("body", REFUSED)
def test_a_body_that_says_no_is_no_success(call: wire.Call[object], body: bytes) -> None:
    with pytest.raises(APIError, match=f"^{call.method} {call.path} failed: 200 Refused") as caught:
        call.read(body)
    assert type(caught.value) is APIError
    assert (caught.value.status, caught.value.method, caught.value.path) == (200, call.method, call.path)
    assert caught.value.message == ("The device is asleep" if b"asleep" in body else None)


@pytest.mark.parametrize("call", ALL_CALLS)
def test_an_error_under_a_status_of_success(call: wire.Call[object]) -> None:
    with pytest.raises(PermissionDeniedError, match="You do not own this device"):
        call.read(message(f"{V1}/output.403.json"))
    with pytest.raises(NotFoundError, match="404 Not Found: gone"):
        call.read(b'{"statusCode": 404, "error": "Not Found", "message": "gone"}')


@pytest.mark.parametrize("call", ALL_CALLS)
@pytest.mark.parametrize("body", NO_JSON)
def test_what_is_no_json_is_no_answer(call: wire.Call[object], body: bytes) -> None:
    with pytest.raises(DecodeError, match=f"{call.method} {call.path} .*JSON") as caught:
        call.read(body)
    assert len(caught.value.excerpt) <= 200
    assert caught.value.excerpt.isprintable()


@pytest.mark.parametrize("body", [b"", b"OK", b"null", b"{}", b"true", b"7", b'"x"', b'{"success": true}'])
def test_a_list_is_expected_of_lists(body: bytes) -> None:
    for call in (wire.devices(), wire.subscriptions()):
        with pytest.raises(DecodeError, match=r"not a list|not JSON|nothing was sent"):
            call.read(body)


def test_an_empty_answer_is_named_so() -> None:
    with pytest.raises(DecodeError, match="nothing was sent"):
        wire.devices().read(b" \r\n")


# --- devices that were changed


@pytest.mark.parametrize("body", [body for body in DONE if b'"id"' not in body])
def test_a_change_without_the_device_in_its_answer_is_what_was_asked_for(body: bytes) -> None:
    assert wire.update_device(BIT, label="lamp").read(body) == Device(BIT, label="lamp")
    assert wire.update_device(BIT, input_interval_ms=250).read(body) == Device(BIT, input_interval_ms=250)
    assert wire.activate(BIT, device_hash="x").read(body) == Device(BIT)


def test_a_change_with_the_device_in_its_answer_is_that_device() -> None:
    body = message(f"{V2}/device.200.json")
    assert wire.update_device(BIT, label="lamp", input_interval_ms=250).read(body) == FIRST
    assert wire.activate(BIT).read(b"[" + body + b"]") == FIRST


# --- subscriptions


def test_the_subscriptions_of_the_documents() -> None:
    assert wire.subscriptions().read(message(f"{V2}/subscriptions.200.json")) == [
        Subscription(BIT, OTHER, ("amplitude",)),
        Subscription(BIT, CALLBACK, ("amplitude:delta:ignite",)),
    ]
    assert wire.subscriptions().read(message(f"{V1}/subscriptions.200.json")) == [
        Subscription("000001", "000002", ("amplitude",)),
        Subscription("000001", "http://some.callback.com?params=stuff", ("amplitude:delta:ignite",)),
    ]


# Source: wire-facts section 7, "Answer of POST".
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (message(f"{V2}/subscribe.201.json"), Subscription(BIT, OTHER, ("amplitude",))),
        (message(f"{V1}/subscribe.201.json"), Subscription("000001", "000002", ("amplitude",))),
        (
            b'{"publisher_id":"p","subscriber_id":"s","publisher_events":[{"name":"amplitude:delta:ignite"}]}',
            Subscription("p", "s", ("amplitude:delta:ignite",)),
        ),
        (b'[{"pid":"p","sid":"s","events":["x"]}]', Subscription("p", "s", ("x",))),
        (b'{"publisher_id":"p","subscriber_id":"s"}', Subscription("p", "s", ("asked",))),
        *((body, Subscription(BIT, OTHER, ("asked",))) for body in DONE if b'"id"' not in body),
    ],
)
def test_the_answer_of_subscribe(body: bytes, expected: Subscription) -> None:
    assert wire.subscribe(publisher_id=BIT, subscriber_id=OTHER, events="asked").read(body) == expected


def test_a_subscription_that_nobody_told_the_events_of() -> None:
    assert wire.subscribe(publisher_id=BIT, subscriber_id=OTHER).read(b"{}") == Subscription(BIT, OTHER)


# --- JSON's hazards


def test_of_repeated_keys_the_last_counts() -> None:
    assert wire.device(BIT).read(b'{"id": "a", "label": "x", "id": "b", "label": "y"}') == Device("b", label="y")


# A client that cut a label in the middle of an emoji must not cost its owner the list.
@pytest.mark.parametrize(
    ("escaped", "label"),
    [
        (rb"lamp \ud83d", "lamp \ufffd"),
        (rb"\udca1 lamp", "\ufffd lamp"),
        (rb"\uD83D\uD83D\uDCA1", "\ufffd\U0001f4a1"),
        (rb"\ud83d\udca1 \ud800", "\U0001f4a1 \ufffd"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (rb"\ud83d\n", "\ufffd\n"),
    ],
)
def test_half_a_surrogate_pair_costs_a_character(escaped: bytes, label: str) -> None:
    body = b'[{"id": "a", "label": "' + escaped + b'"}, {"id": "b"}]'
    assert wire.devices().read(body) == [Device("a", label=label), Device("b")]


def test_a_text_with_a_raw_surrogate_is_no_json() -> None:
    with pytest.raises(DecodeError):
        wire.devices().read('["\ud800"]')


# --- what errors show


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<html>\r\n\t<body>\x1b[31mred\x00</body>", "<html> <body> [31mred </body>"),
        (b"x" * 1000, "x" * 200),
        (b" " * 1000 + b"x" * 1000, "x" * 200),
        (b"\xff\xfeabc", "\ufffd\ufffdabc"),
        ("\u202eevil\u2028next", "evil next"),
        (b'{"hash": "5ecret", "access_token":"5ecret', '{"hash": "***", "access_token":"***'),
        (b'{"device_hash" :  "' + b"5ecret" * 500, '{"device_hash" : "***'),
    ],
)
def test_excerpts_are_short_clean_and_without_secrets(body: bytes | str, shown: str) -> None:
    assert wire.excerpt(body) == shown
    with pytest.raises(DecodeError) as caught:
        wire.devices().read(body)
    assert caught.value.excerpt == shown
    assert "5ecret" not in str(caught.value)
