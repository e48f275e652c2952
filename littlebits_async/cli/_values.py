"""Values of options, as people write them."""

import re
from collections.abc import Sequence
from typing import Annotated, Final

from cyclopts import Parameter, Token

from ..models import FOREVER

__all__ = ["Duration", "Percent", "span"]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s)")
_LONGEST_MS: Final = 32_000
_FOREVER: Final = "forever"
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?) ?%?")
_FULL: Final = 100.0


def span(duration_ms: int) -> str:
    """Say for how long."""
    if duration_ms == FOREVER:
        return "until the next"
    return f"for {duration_ms} ms" if duration_ms % 100 else f"for {duration_ms / 1000:g} s"


def _read_duration(_: type, tokens: Sequence[Token]) -> int:
    text = tokens[0].value.strip().lower()
    if text == _FOREVER:
        return FOREVER
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a time has its unit: 500ms, 2s, or forever")
    milliseconds = round(float(found[1]) * (1 if found[2] == "ms" else 1000))
    if milliseconds > _LONGEST_MS:
        raise ValueError("32s at most, or forever")
    return milliseconds


def _read_percent(_: type, tokens: Sequence[Token]) -> float:
    found = _PERCENT.fullmatch(tokens[0].value.strip())
    if found is None or float(found[1]) > _FULL:
        raise ValueError("a percentage is a number from 0 to 100")
    return float(found[1])


Duration = Annotated[int, Parameter(metavar="TIME", converter=_read_duration, n_tokens=1, allow_leading_hyphen=True)]
"""Milliseconds, or `FOREVER`."""
Percent = Annotated[float, Parameter(metavar="PERCENT", converter=_read_percent, n_tokens=1, allow_leading_hyphen=True)]
"""0 to 100."""
