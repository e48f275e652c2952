"""Words and numbers for people."""

__all__ = ["counted", "duration", "one_line", "percent", "printable", "volts"]

_MINUTE = 60
_HOUR = 60 * _MINUTE
_TENTHS_BELOW = 10


def printable(text: str) -> str:
    """Take out what could steer a terminal, or begin a line: it may be a server's text, or a label."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def one_line(text: str) -> str:
    """Join lines, and take out what is not printable."""
    return printable(" ".join(text.split()))


def counted(number: int, thing: str) -> str:
    """Say how many of a thing there are."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def percent(value: float | None) -> str:
    """Write a percentage, ``-`` for one that is not known; at most 5 characters."""
    return "-" if value is None else f"{value:.0f} %"


def volts(value: float | None) -> str:
    """Write volts, ``-`` for what is not known; at most 6 characters."""
    return "-" if value is None else f"{value:.2f} V"


def duration(seconds: float | None) -> str:
    """Write a time in its largest unit, ``-`` for one that is not known; mostly at most 6 characters."""
    if seconds is None:
        return "-"
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.0f} h"
