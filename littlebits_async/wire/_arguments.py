"""What a request can carry: each check gives the argument back as it is sent, or says what is wrong with it.

Values that may be secrets (``device_hash``, the key in a callback URL) are never shown.

Source: spec/cloud-api-v2.txt and spec/cloud-http-api-v1-and-webhooks.md, the ranges of the parameters.
"""

import re
import reprlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, cast
from urllib.parse import quote

from ..errors import InvalidArgumentError
from ..models import FOREVER

__all__ = ["choice", "duration_ms", "input_interval_ms", "names", "path", "percent", "segment", "text", "whole"]

_MAX_PERCENT: Final = 100
_MAX_PULSE_MS: Final = 32_000
_MIN_INTERVAL_MS: Final = 200
_MAX_EXACT: Final = 2**53 - 1
"""The largest whole number that JavaScript, which the cloud is written in, reads as it stands."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_MOST_BYTES: Final = {"device_id": 1024, "publisher_id": 1024, "subscriber_id": 8192}
"""What goes into a URL is bounded, which as a whole is: 64 KiB in httpx, 8 KiB with many servers."""


def text(name: str, value: object, *, empty: bool = False, most: int | None = None) -> str:
    """A text that UTF-8 can carry, and where it goes into a URL one of a sane length, ``most`` bytes."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {type(value).__name__}")
    if not value and not empty:
        raise InvalidArgumentError(f"{name} must not be empty")
    # Not by trying to encode it: the error of that, which would be our error's context, shows the value.
    if _SURROGATE.search(value):
        raise InvalidArgumentError(f"{name} holds a lone surrogate, which no request can carry")
    size = len(value.encode())
    if size > (most := most or _MOST_BYTES.get(name, size)):
        raise InvalidArgumentError(f"{name} must be of {most} bytes at most, not {size}")
    return value


def path(device_id: object, *rest: str) -> str:
    """The path of a device, its id as one segment whatever it holds."""
    return "/".join(("/devices", segment("device_id", device_id), *rest))


def segment(name: str, value: object, *, most: int | None = None) -> str:
    """A text as one segment of a path, whatever it holds."""
    found = text(name, value, most=most)
    if found in {".", ".."}:
        raise InvalidArgumentError(f"{name} must be a name; {found!r} is a step in a path")
    return quote(found, safe="")


def percent(value: object) -> float:
    """A percent of full scale; whole numbers as the documents write them: 75, not 75.0."""
    # NaN is in no range.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_PERCENT:
        raise InvalidArgumentError(f"percent must be a number from 0 to {_MAX_PERCENT}, not {_shown(value)}")
    return int(value) if value == int(value) else float(value)


def duration_ms(value: object, *, bounded: bool) -> int:
    """How long an output or a light lasts; version 1 knows no bound."""
    return _integer("duration_ms", value, FOREVER, _MAX_PULSE_MS if bounded else _MAX_EXACT)


def input_interval_ms(value: object) -> int:
    """The time between two input events."""
    return _integer("input_interval_ms", value, _MIN_INTERVAL_MS, _MAX_EXACT)


def whole(name: str, value: object, *, least: int = 1) -> int:
    """A whole number, from ``least`` on."""
    return _integer(name, value, least, _MAX_EXACT)


def choice(name: str, value: object, allowed: Iterable[StrEnum]) -> str:
    """One of the values of an enumeration, given as its member or as text."""
    for member in allowed:
        if value == member:
            return member.value
    raise InvalidArgumentError(f"{name} must be one of {', '.join(allowed)}, not {_shown(value)}")


def names(events: object) -> tuple[str, ...]:
    """The names of events, each once; names that nobody knows yet pass, the server decides."""
    if not isinstance(events, Iterable):
        raise InvalidArgumentError(f"events must be a name or several, not {_shown(events)}")
    given = cast("Iterable[object]", (events,) if isinstance(events, str) else events)
    # Plain texts, not members of an enumeration: what is sent and what is given back look alike.
    found = tuple(dict.fromkeys(str.__str__(text("events", name)) for name in given))
    if not found:
        raise InvalidArgumentError("events must not be empty; leave it out for the server's default")
    return found


def _integer(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        forever = f"{FOREVER} (for ever) or 0" if least == FOREVER else str(least)
        raise InvalidArgumentError(f"{name} must be an int from {forever} to {most}, not {_shown(value)}")
    return int(value)


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # an int of more digits than Python prints
        return f"a huge {type(value).__name__}"
