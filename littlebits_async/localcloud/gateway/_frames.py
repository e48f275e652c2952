"""What the community firmware says and is told: JSON in the frames of a websocket. No I/O.

Source: littleBitsman/cloudbit-software, src/main.rs; wire-facts 9. Its code reads ``led_command``, its README says
``commands``: a frame for the light has both, as the other one is not looked at.
"""

import enum
import json
import re
from collections.abc import Mapping
from typing import Final, TypeAlias, TypeGuard, cast

from attrs import frozen

from ..bits import Light

__all__ = [
    "FULL_SCALE",
    "FULL_SCALES",
    "BadFrameError",
    "Button",
    "Figures",
    "Frame",
    "Identity",
    "Input",
    "InputScale",
    "Opcode",
    "ask",
    "light",
    "output",
    "parse_mac",
    "read",
]

FULL_SCALE: Final = 0xFFFF
"""What 100 percent of the output is; of the input too, where it is not 255."""
_SMALL_SCALE: Final = 0xFF
FULL_SCALES: Final = (_SMALL_SCALE, FULL_SCALE)
"""What an input may go up to."""
_MAC: Final = re.compile(r"[0-9a-f]{2}(?:([:-]?)[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}", re.ASCII | re.IGNORECASE)
_LONGEST_ID: Final = 128
_SELF: Final = "green hold"
"""How the firmware has its light while it is connected and nobody tells it otherwise."""
_WORDS: Final[Mapping[str, str]] = {"cyan": "teal"}
"""Colours of the API that the firmware has another name for."""


class Opcode(enum.IntEnum):
    """What a frame is about."""

    INPUT = 0x1
    OUTPUT = 0x2
    IDENTIFY = 0x3
    LED = 0xF0
    ASK_BUTTON = 0xF1
    BUTTON = 0xF2
    ASK_FIGURES = 0xF3
    FIGURES = 0xF4


class BadFrameError(ValueError):
    """A frame that no firmware sends."""


@frozen
class Input:
    """What the input is now: 0 to 255, or to 65535, by the firmware's version."""

    value: int


@frozen
class Identity:
    """Who a bit says that it is.

    Attributes:
        mac: Its Wi-Fi address, 12 lower-case hexadecimal digits.
        cb_id: What the vendor called it, a hash of the address; not the id that the API knows it by.
    """

    mac: str
    cb_id: str


@frozen
class Button:
    """Whether the bit's button is down; told only when asked."""

    is_down: bool


@frozen
class Figures:
    """How the bit itself fares; told only when asked.

    Attributes:
        by_name: ``cpu_usage``, ``memory_usage`` and so on; None for what it cannot tell.
    """

    by_name: Mapping[str, float | None]


Frame: TypeAlias = Input | Identity | Button | Figures


class InputScale:
    """What a bit's input goes up to: the firmware's versions have 255 and 65535, and do not say which.

    Args:
        full: 255 or 65535; None takes it for 255 until a larger value shows that it is not.
    """

    def __init__(self, full: int | None = None) -> None:
        self.full = full

    def percent(self, value: int) -> float:
        """Convert a value of the input."""
        if self.full is None and value > _SMALL_SCALE:
            self.full = FULL_SCALE
        full = self.full or _SMALL_SCALE
        return min(value, full) / full * 100


def parse_mac(text: str) -> str:
    """Read a Wi-Fi address, with colons, dashes or nothing in between, as the id that a bit has in the API.

    Raises:
        ValueError: It is none.
    """
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no MAC address")
    return text.replace(":", "").replace("-", "").lower()


def read(text: str | bytes) -> Frame:
    """Read what a bit sent.

    Raises:
        BadFrameError: It is no frame of the firmware.
    """
    try:
        frame: Mapping[str, object] = json.loads(text)  # or anything else, as which it matches nothing
    except (ValueError, RecursionError):
        raise BadFrameError("no JSON") from None
    match frame:
        case {"opcode": Opcode.INPUT, "data": {"value": int(value)}} if _is_number(value) and 0 <= value <= FULL_SCALE:
            return Input(value)
        case {"opcode": Opcode.IDENTIFY, "mac_address": str(mac), "cb_id": str(cb_id)} if len(cb_id) <= _LONGEST_ID:
            try:
                return Identity(parse_mac(mac), cb_id)
            except ValueError as error:
                raise BadFrameError(str(error)) from None
        case {"opcode": Opcode.BUTTON, "data": {"button": bool(is_down)}}:
            return Button(is_down)
        case {"opcode": Opcode.FIGURES, "stats": stats} if _are_figures(stats):
            return Figures(stats)
        case _:
            raise BadFrameError("no frame of the firmware")


def output(percent: float) -> str:
    """Tell a bit what to show; its code takes an unsigned integer only."""
    return _write({"opcode": Opcode.OUTPUT, "data": {"value": round(percent / 100 * FULL_SCALE)}})


def light(wanted: Light | None) -> str:
    """Tell a bit's light what to show, None for its own business; colour and state are told together."""
    if wanted is None:
        words = _SELF
    else:
        named = None if wanted.color is None else _WORDS.get(wanted.color, wanted.color)
        words = " ".join(filter(None, (named, wanted.mode or "hold")))
    return _write({"opcode": Opcode.LED, "led_command": words, "commands": words})


def ask(what: Opcode) -> str:
    """Ask a bit for its button or its figures."""
    return _write({"opcode": what})


def _write(frame: Mapping[str, object]) -> str:
    return json.dumps(frame, separators=(",", ":"))


def _are_figures(stats: object) -> TypeGuard[dict[str, float | None]]:
    return isinstance(stats, dict) and all(
        value is None or _is_number(value) for value in cast("dict[str, object]", stats).values()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
