"""The data of input events, streamed or pushed, to `InputEvent`.

Three generations of messages are on record: ``bit_id`` or ``device_id`` at the top with a payload (webhooks), and the
stream's own with ``from``.

Source: spec/blog-python-and-the-cloud-api.txt ("Python Read Value Example"), spec/cloud-http-api-v1-and-webhooks.md
("/subscriptions", POST; "amplitude").
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ..errors import DecodeError
from ..models import InputEvent
from ._common import END_OF_TIME_MS, FULL_SCALE, read_common
from ._converter import structure
from ._json import UnusableError, decode, excerpt, integer, members, number, text

__all__ = ["read_event", "read_input"]

_TYPES: Final = frozenset({"input", "amplitude"})


def read_event(data: bytes | str, *, device_id: str) -> InputEvent | None:
    """Read the data of one event of a stream, or the body of one webhook call.

    Args:
        data: The JSON.
        device_id: Whose stream it is; ``""`` where the source is no device's own, and the event must say it.

    Returns:
        The event; None where it is of another type than an input's (``connection_change``). Percent is as the server
        said, also out of 0 to 100.

    Raises:
        DecodeError: It is not JSON, or has no usable time (Unix milliseconds), percent or device.

    Source: spec/blog-python-and-the-cloud-api.txt, "Python Read Value Example".
    """
    try:
        return read_input(data, device_id=device_id)
    except UnusableError as error:
        whose = f" of device {device_id}" if device_id else ""
        raise DecodeError(f"an input event{whose} cannot be used: {error}", excerpt=excerpt(data)) from error


def read_input(data: bytes | str, *, device_id: str) -> InputEvent | None:
    """Do as `read_event` does, with the package's own error."""
    event = read_common(data)
    return _read_any(data, device_id=device_id) if event is None else event


def _read_any(data: bytes | str, *, device_id: str) -> InputEvent | None:
    """Read whatever a cloud may send; what this makes of data is the truth."""
    event = members(decode(data))
    kind = event.get("type", "input")
    if not isinstance(kind, str):
        raise UnusableError("its type is no text")
    if kind not in _TYPES:
        return None

    payload = members(event.get("payload"))
    source = members(event.get("from"))
    device = members(source.get("device"))
    absolute = _first(integer(place.get("absolute")) for place in (event, payload))
    return structure(
        {
            "device_id": text(device.get("id"))
            or text(event.get("device_id"))
            or text(event.get("bit_id"))
            or device_id,
            "timestamp_ms": _timestamp_ms(event.get("timestamp")),
            "percent": _percent(event, payload, absolute),
            "absolute": absolute,
            "delta": payload.get("delta"),
            "level": payload.get("level"),
            "name": event.get("name"),
            "user_id": _first((integer(members(source.get("user")).get("id")), integer(event.get("user_id")))),
            "mac": device.get("mac"),
            "ap": device.get("ap"),
        },
        InputEvent,
    )


def _first(found: Iterable[int | None]) -> int | None:
    return next((value for value in found if value is not None), None)


def _timestamp_ms(said: object) -> int:
    time = number(said)
    if time is None or not 0 <= time <= END_OF_TIME_MS:
        raise UnusableError("no usable timestamp")
    return int(time)


def _percent(event: Mapping[str, object], payload: Mapping[str, object], absolute: int | None) -> float:
    for place in (event, payload):
        # One that is there and no number is corrupt, not missing: the other places are no better then.
        if (said := place.get("percent")) is not None:
            percent = number(said)
            if percent is None:
                raise UnusableError("percent is no number")
            return percent
    if absolute is None:
        raise UnusableError("no usable percent")
    return absolute / FULL_SCALE * 100
