"""The JSON edge: bytes to plain values, plain values to what a model field may hold, and what may be shown of either.

Whatever comes in, what goes out is a value or `UnusableError`; the callers turn that into a `DecodeError`.
"""

import math
import re
from collections.abc import Mapping
from typing import Final, cast

import msgspec

__all__ = [
    "RefusedError",
    "UnusableError",
    "clean",
    "decode",
    "excerpt",
    "integer",
    "items",
    "members",
    "number",
    "text",
]

_EXCERPT: Final = 200
_INT64: Final = 2**63

# A client that cuts a label in the middle of an emoji leaves half a surrogate pair, which servers pass on as an escape
# and which msgspec refuses: mended, or that label would cost its owner the whole list of devices.
_SURROGATES: Final = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
# `hash` activates a bit: whoever has it, has the bit. Events carry it. `spree_api_key` is a user of the community.
_SECRETS: Final = re.compile(r'("(?:hash|device_hash|access_token|refresh_token|token|spree_api_key)"\s*:\s*")[^"]*')


class UnusableError(ValueError):
    """A value that cannot be what is asked of it; the reason never quotes the value."""


class RefusedError(Exception):
    """An answer whose status says yes and whose body says no."""

    def __init__(self, body: object) -> None:
        super().__init__("the answer says no")
        self.body = body


def decode(data: bytes | str) -> object:
    """Decode JSON; of repeated keys the last one counts.

    Raises:
        UnusableError: It is not JSON (NaN and Infinity are not), not UTF-8, too deep, or a number has no value.
    """
    try:
        raw = data.encode() if isinstance(data, str) else data
        if not raw.strip():
            raise UnusableError("nothing was sent")
        try:
            return cast("object", msgspec.json.decode(raw))
        except msgspec.DecodeError:
            mended = _SURROGATES.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw)
            if mended == raw:
                raise
            return cast("object", msgspec.json.decode(mended))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UnusableError("not JSON") from error
    except RecursionError:
        raise UnusableError("JSON nested too deeply") from None


def members(value: object) -> Mapping[str, object]:
    """The members of an object; none of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The items of an array; none of anything else."""
    return cast("list[object]", value) if isinstance(value, list) else []


def text(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> float | None:
    """A finite number; a boolean is none, and a text is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def integer(value: object) -> int | None:
    """A whole number of at most 64 bits, as a number or as text: the API wrote `user_id` and `strength` both ways."""
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", value):
            return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if -_INT64 <= value < _INT64 else None


def clean(shown: str, limit: int) -> str:
    """One line of printable characters, at most ``limit`` of them."""
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())[:limit]


def excerpt(data: bytes | str) -> str:
    """The beginning of an answer as an error may show it: without control characters, without secrets."""
    # Blanks shrink when cleaned, so more is taken than is shown.
    head = data[: 8 * _EXCERPT]
    shown = head.decode(errors="replace") if isinstance(head, bytes) else head
    return clean(_SECRETS.sub(r"\1***", shown), _EXCERPT)
