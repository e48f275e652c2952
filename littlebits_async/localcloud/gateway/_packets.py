"""What a localbit says and is told: ten bytes each way, big-endian. No I/O.

Its README has red for 4 and green for 2; its code, which is what runs, has it the other way round.

Source: Hixie/localbit, localbit.c; wire-facts 9.
"""

import struct
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from ..bits import Light
from ._frames import FULL_SCALE

__all__ = ["LENGTH", "BadPacketError", "Report", "command", "read"]

_FORMAT: Final = struct.Struct(">6sBBH")
LENGTH: Final = _FORMAT.size
_BUTTON: Final = 0x01
_SET: Final = 0x80
_COLORS: Final[Mapping[str, int]] = {
    "blue": 1,
    "red": 2,
    "purple": 3,
    "green": 4,
    "cyan": 5,
    "yellow": 6,
    "white": 7,
    "clownbarf": 7,
}


class BadPacketError(ValueError):
    """A packet that no localbit sends."""


@frozen
class Report:
    """How a bit is.

    Attributes:
        mac: Its Wi-Fi address, 12 lower-case hexadecimal digits.
        percent: Its input, 0 to 100.
        is_button_down: Whether its button is down.
    """

    mac: str
    percent: float
    is_button_down: bool


def read(packet: bytes) -> Report:
    """Read what a bit sent.

    Raises:
        BadPacketError: It has another length.
    """
    if len(packet) != LENGTH:
        raise BadPacketError(f"{len(packet)} bytes, not {LENGTH}")
    mac, _, flags, value = _FORMAT.unpack(packet)
    return Report(mac.hex(), value / FULL_SCALE * 100, bool(flags & _BUTTON))


def command(mac: str, percent: float, light: Light | None) -> bytes:
    """Tell a bit what to show; it answers with a report at once.

    Args:
        mac: Its Wi-Fi address.
        percent: Its output, 0 to 100.
        light: Its light, which cannot blink; None for its own business, which is to be off.
    """
    colors = 0 if light is None else _COLORS.get(light.color or "")
    led = 0 if colors is None else _SET | colors
    return _FORMAT.pack(bytes.fromhex(mac), led, _SET, round(percent / 100 * FULL_SCALE))
