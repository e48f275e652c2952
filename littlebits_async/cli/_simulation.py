"""Simulated cloudBits of mixed kinds."""

from collections.abc import Callable
from itertools import cycle
from typing import Final

from ..localcloud import Bit, Button, LocalCloud, Noise, Ramp, Sine, Waveform

__all__ = ["add_bits"]

_GOLDEN: Final = 0.618034
"""Whose multiples, as phases, lie as far apart as they can, however many there are."""
_KINDS: Final[tuple[tuple[str, Callable[[int], Waveform]], ...]] = (
    ("sine", lambda number: Sine(phase=_phase(number))),
    ("ramp", lambda number: Ramp(phase=_phase(number))),
    ("noise", lambda number: Noise(seed=number)),
    ("button", lambda number: Button(phase=_phase(number))),
)


async def add_bits(cloud: LocalCloud, count: int) -> list[Bit]:
    """Add bits ``00e040000001`` and on to a cloud; no two move in step."""
    return [
        await cloud.add_device(f"00e04{number:07x}", label=f"{kind} {number}", waveform=make(number))
        for number, (kind, make) in zip(range(1, count + 1), cycle(_KINDS), strict=False)
    ]


def _phase(number: int) -> float:
    return (number - 1) * _GOLDEN % 1
