"""What a simulated bit's input does over time: pure functions of seconds, so that a test can foretell every reading.

A waveform is any callable that takes the seconds since the bit began and gives a percent of full scale. The four here
are values as well: frozen, comparable, with a repr that says what they are.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from attrs import Attribute, field, frozen

__all__ = ["WAVEFORMS", "Button", "Noise", "Ramp", "Sine", "Waveform", "waveform"]

Waveform = Callable[[float], float]
"""Seconds since the bit began, to percent of full scale (0 to 100)."""

_FULL: Final = 100.0
_MASK: Final = (1 << 64) - 1


def _is_positive(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{attribute.name} must be more than 0 seconds, not {value!r}")


def _is_share(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{attribute.name} must be a share between 0 and 1, not {value!r}")


def _is_finite(_: object, attribute: "Attribute[float]", value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{attribute.name} must be a finite number, not {value!r}")


@frozen(kw_only=True)
class _Periodic:
    """What repeats each `period` seconds, shifted by `phase` periods."""

    period: float = field(default=10.0, validator=_is_positive)
    phase: float = field(default=0.0, validator=_is_finite)

    def _turns(self, seconds: float) -> float:
        return seconds / self.period + self.phase


@frozen(kw_only=True)
class Sine(_Periodic):
    """A smooth swing between 0 and 100 percent that begins in the middle and rises.

    Attributes:
        period: Seconds of one swing.
        phase: Shift in periods; 0.25 begins at the top.
    """

    def __call__(self, seconds: float) -> float:
        """Give the percent at a time."""
        return _FULL / 2 * (1 + math.sin(math.tau * self._turns(seconds)))


@frozen(kw_only=True)
class Ramp(_Periodic):
    """A rise from 0 towards 100 percent, then a fall at once.

    Attributes:
        period: Seconds of one rise.
        phase: Shift in periods; 0.5 begins half way up.
    """

    def __call__(self, seconds: float) -> float:
        """Give the percent at a time."""
        return _FULL * (self._turns(seconds) % 1)


@frozen(kw_only=True)
class Noise(_Periodic):
    """Random values, one each `period`, joined smoothly; the same seed gives the same course.

    Attributes:
        period: Seconds between two random values.
        phase: Shift in periods.
        seed: Which course; any integer.
    """

    period: float = field(default=1.0, validator=_is_positive)
    seed: int = 0

    def __call__(self, seconds: float) -> float:
        """Give the percent at a time."""
        turns = self._turns(seconds)
        step = math.floor(turns)
        share = turns - step
        start, end = self._value(step), self._value(step + 1)
        return start + (end - start) * share * share * (3 - 2 * share)

    def _value(self, step: int) -> float:
        # splitmix64's finalizer: random.Random would be seeded anew for each reading, at twenty times the cost.
        z = (self.seed * 0xD1342543DE82EF95 + step * 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return _FULL * ((z ^ (z >> 31)) / _MASK)


@frozen(kw_only=True)
class Button(_Periodic):
    """A button that is pressed at the beginning of each period: 100 percent while held, else 0.

    Attributes:
        period: Seconds between two presses.
        phase: Shift in periods.
        held: The share of the period that it is held down, between 0 and 1.
    """

    period: float = field(default=4.0, validator=_is_positive)
    held: float = field(default=0.25, validator=_is_share)

    def __call__(self, seconds: float) -> float:
        """Give the percent at a time."""
        return _FULL if self._turns(seconds) % 1 < self.held else 0.0


class _Maker(Protocol):
    def __call__(self, *, phase: float = ...) -> Waveform: ...


WAVEFORMS: Final[Mapping[str, _Maker]] = {"sine": Sine, "ramp": Ramp, "noise": Noise, "button": Button}
"""The waveforms that have a name, by name."""


def waveform(name: str, *, phase: float = 0.0) -> Waveform:
    """Make the waveform of that name, with its own default period.

    Args:
        name: One of `WAVEFORMS`.
        phase: Shift in periods; different bits with different phases do not move in step.

    Raises:
        ValueError: No waveform has that name, or the phase is not finite.
    """
    try:
        make = WAVEFORMS[name]
    except KeyError:
        raise ValueError(f"no waveform is called {name!r}; there are {', '.join(WAVEFORMS)}") from None
    return make(phase=phase)
