"""The bodies of 2xx answers to values.

The status is the verdict. A body overrules it only where it says no in plain words, or is not what this API speaks at
all (a gateway's page); whatever else stands in it cannot undo what was done.

Source: spec/cloud-http-api-v1-and-webhooks.md ("Returns …"), and answers on record.
"""

from typing import Final, cast

from attrs import evolve

from ..models import Device, Subscription
from ._converter import many, structure
from ._json import RefusedError, UnusableError, decode, integer, items, members

__all__ = [
    "acknowledgement",
    "envelope_status",
    "only",
    "read_device",
    "read_devices",
    "read_done",
    "read_made_device",
    "read_made_subscription",
    "read_subscriptions",
    "refuse",
]

# "OK" is on record for output and subscriptions; what /ping says is not, and "pong" would be no surprise.
_WORDS: Final = frozenset({"", "ok", "pong"})


def read_done(data: bytes | str) -> None:
    """Read the answer of a call that has nothing to tell: ``{}``, ``{"success": true}``, ``OK``, ``[1,1,1]``, none."""
    refuse(acknowledgement(data))


def read_devices(data: bytes | str) -> list[Device]:
    """Read a list of devices; what is no device is left out."""
    return many(_list(data), Device)


def read_subscriptions(data: bytes | str) -> list[Subscription]:
    """Read a list of subscriptions; what is no subscription is left out."""
    return many(_list(data), Subscription)


def read_device(data: bytes | str, *, device_id: str) -> Device:
    """Read one device, or a list that holds it."""
    value = decode(data)
    try:
        return _device(value, device_id)
    except UnusableError:
        refuse(value)
        raise


def read_made_device(data: bytes | str, *, asked: Device) -> Device:
    """Read the device that was changed; where the answer does not show it, what was asked for is what is known."""
    value = acknowledgement(data)
    try:
        return _device(value, asked.id)
    except UnusableError:
        refuse(value)
        return asked


def read_made_subscription(data: bytes | str, *, asked: Subscription) -> Subscription:
    """Read the subscription that was made; what the answer leaves out is what was asked for."""
    value = acknowledgement(data)
    found = asked
    try:
        found = structure(only(value), Subscription)
    except UnusableError:
        refuse(value)
    return evolve(found, events=found.events or asked.events)


def envelope_status(value: object) -> int | None:
    """The status that an error's envelope repeats, as ``statusCode`` (v2, v3) or ``code`` (v1)."""
    wire = members(value)
    status = integer(wire.get("statusCode")) or integer(wire.get("code"))
    return status if status is not None and 400 <= status <= 599 else None  # noqa: PLR2004 - HTTP's own ranges


def acknowledgement(data: bytes | str) -> object:
    """Decode the answer of a call that has little to tell: a word that means yes, and nothing at all, is None."""
    word = data.decode(errors="replace") if isinstance(data, bytes) else data
    return None if word.strip().lower() in _WORDS else decode(data)


def _list(data: bytes | str) -> list[object]:
    value = decode(data)
    if not isinstance(value, list):
        refuse(value)
        raise UnusableError("not a list")
    return cast("list[object]", value)


def _device(value: object, device_id: str) -> Device:
    listed = items(value)
    if len(listed) > 1:
        # The v1 document prints the whole list under GET /devices/{device_id}.
        value = next((item for item in listed if members(item).get("id") == device_id), None)
    return structure(only(value), Device)


def only(value: object) -> object:
    """The one item of a list of one; anything else is itself."""
    listed = items(value)
    return listed[0] if len(listed) == 1 else value


def refuse(value: object) -> None:
    """Raise where an answer says no in plain words, in whichever API's envelope.

    Raises:
        RefusedError: It does.
    """
    said_no = (members(part).get("success") is False for part in (value, members(value).get("meta")))
    if value is False or any(said_no) or envelope_status(value) is not None:
        raise RefusedError(value)
