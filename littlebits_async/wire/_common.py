"""The common event, read fast: a cloudBit's own, in the forms that are on record for streams.

Whatever is not exactly that is in doubt, and not decided here. So are unknown fields: msgspec skips them without a
look, and data that is no JSON would become an event.

Source: spec/blog-python-and-the-cloud-api.txt, "Python Read Value Example", for the form of 2018; records of 2014 and
2015 for what older ones have besides.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from ..models import AccessPoint, InputEvent

__all__ = ["END_OF_TIME_MS", "FULL_SCALE", "read_common"]

FULL_SCALE: Final = 1023
"""The most that the bit's 10-bit converter gives."""

END_OF_TIME_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that `datetime` knows."""

_Text = Annotated[str, Meta(min_length=1)]
_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Time = Annotated[int, Meta(ge=0, le=END_OF_TIME_MS)]
_Percent = Annotated[float, Meta(ge=0, le=100)]
_Absolute = Annotated[int, Meta(ge=0, le=FULL_SCALE)]


class _Payload(Struct, forbid_unknown_fields=True, gc=False):
    percent: _Percent
    absolute: _Absolute


class _User(Struct, forbid_unknown_fields=True, gc=False):
    id: _Number | None


class _AccessPoint(Struct, forbid_unknown_fields=True, gc=False):
    ssid: _Text
    mac: _Text
    strength: _Number


class _Settings(Struct, forbid_unknown_fields=True, gc=False):
    label: str


class _Device(Struct, forbid_unknown_fields=True, gc=False):
    id: _Text
    mac: _Text | None = None
    ap: _AccessPoint | None = None
    # Not asked for, but there until 2015.
    device: str | None = None
    setup_version: str | None = None
    protocol_version: str | None = None
    firmware_version: str | None = None
    hash: str | None = None
    settings: _Settings | None = None


class _Server(Struct, forbid_unknown_fields=True, gc=False):
    id: str


class _From(Struct, forbid_unknown_fields=True, gc=False):
    device: _Device
    user: _User | None = None
    server: _Server | None = None


class _Event(Struct, forbid_unknown_fields=True, gc=False, rename={"source": "from"}):
    type: Literal["input"]
    timestamp: _Time
    percent: _Percent
    absolute: _Absolute
    source: _From
    name: _Text | None = None
    payload: _Payload | None = None


_decode: Final = msgspec.json.Decoder(_Event).decode


def read_common(data: bytes | str) -> InputEvent | None:
    """Read the data of an event; None where it is in doubt what it says, if anything."""
    try:
        event = _decode(data)
    except (msgspec.DecodeError, UnicodeError):
        return None
    source = event.source
    device = source.device
    user = source.user
    ap = device.ap
    # By position: that is a tenth of it.
    return InputEvent(
        device.id,
        event.timestamp,
        event.percent,
        event.absolute,
        None,
        None,
        event.name,
        None if user is None else user.id,
        device.mac,
        None if ap is None else AccessPoint(ap.ssid, ap.mac, ap.strength),
    )
