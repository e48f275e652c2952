"""Any answer through every reader of answers, errors, events and counts.

The input is an answer as HTTP has it: a status, headers, a blank line, the body; without a blank line it is all body.
"""

import math
import re
from datetime import UTC, datetime
from typing import Final

from littlebits_async import wire
from littlebits_async.errors import APIError, DecodeError, LittleBitsError
from littlebits_async.models import Device, InputEvent, Subscription
from tests.property.test_community_answers import check_answers
from tests.property.test_wire import CALLS, MESSAGES
from tests.spec_messages import FOLDER

_NOW: Final = datetime(2026, 7, 1, 12, tzinfo=UTC)
_INT64: Final = 2**63
_HEADS: Final = [
    b'401\nwww-authenticate: Bearer realm="x", error_description="it \\"expired\\""',
    b"429\nretry-after: 50400\nratelimit-limit: 100, 100;w=10\nratelimit-remaining: 0\nratelimit-reset: 17",
    b"503\nretry-after: Wed, 01 Jul 2026 12:00:07 GMT\ndate: Wed, 01 Jul 2026 12:00:00 GMT",
    b"302\nlocation: https://user:secret@example.org/v2/devices?token=x#y",
]

BODIES: Final = [
    *(file.read_bytes() for file in sorted(FOLDER.glob("cloud-*/*"))),
    *(file.read_bytes() for file in sorted(FOLDER.glob("mobile/*.200.json"))),
    *MESSAGES,
    b"OK",
    b"[1,1,1]",
    b'{"success":false,"message":"no"}',
    b'{"results":{},"meta":{"success":false,"errors":{"email":["is invalid"]}}}',
    b'{"statusCode":404,"error":"Not Found","message":"Device not found."}',
    b'{"id":"a","label":"\\ud83d"}',
    b'{"id":"a","user_id":"9999999999999999999","input_interval_ms":1e30}',
    b'{"timestamp":1e18,"percent":1}',
    b"<html><body>502 Bad Gateway</body></html>",
    b"[" * 1000,
]
SEEDS: Final = [*BODIES, *(head + b"\n\n" + BODIES[-3] for head in _HEADS), *(head + b"\n\n" for head in _HEADS)]


def check(data: bytes) -> None:
    """Hold the readers to what they promise of an answer: a value, or an error that can be shown."""
    head, blank, body = data.partition(b"\n\n")
    if not blank:
        head, body = b"", data
    first, *lines = head.decode("latin-1").split("\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first) if re.fullmatch("[3-5][0-9][0-9]", first, re.ASCII) else 500

    for call, kind in CALLS:
        try:
            value = call.read(body)
        except (DecodeError, APIError) as error:
            check_error(error)
        else:
            assert isinstance(value, kind)
            check_value(value)
    check_answers(body)
    for said in (body, body.decode(errors="replace")):
        for device_id in ("00e04c000000", ""):
            try:
                event = wire.read_event(said, device_id=device_id)
            except DecodeError as error:
                check_error(error)
            else:
                check_value(event)
    failure = wire.read_error(method="GET", path="/devices", status=status, headers=headers, body=body, now=_NOW)
    assert failure.status == status
    check_error(failure)
    limit = wire.read_rate_limit(headers)
    assert limit is None or all(
        number is None or 0 <= number < 10**9 for number in (limit.limit, limit.remaining, limit.reset)
    )


def check_error(error: LittleBitsError) -> None:
    assert str(error).isprintable()
    assert len(str(error)) < 1_700
    if isinstance(error, DecodeError):
        assert error.excerpt.isprintable()
        assert len(error.excerpt) <= 200
    if isinstance(error, APIError):
        assert error.retry_after is None or 0 <= error.retry_after < math.inf


def check_value(value: object) -> None:
    match value:
        case list():
            for item in value:  # pyright: ignore[reportUnknownVariableType] - of anything
                check_value(item)  # pyright: ignore[reportUnknownArgumentType]
        case Device():
            assert value.id
            for number in (value.user_id, value.input_interval_ms):
                assert number is None or -_INT64 <= number < _INT64
            check_value([*value.subscriptions, *value.subscribers])
        case Subscription():
            assert value.publisher_id
            assert value.subscriber_id
            assert all(value.events)
        case InputEvent():
            assert value.device_id
            assert math.isfinite(value.percent)
            assert value.timestamp.tzinfo is UTC
            assert value.absolute is None or -_INT64 <= value.absolute < _INT64
        case _:
            assert value is None
