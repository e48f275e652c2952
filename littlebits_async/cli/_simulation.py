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
    """Have bits ``00e040000001`` and on in a cloud; no two move in step.

    One that the cloud knows already, from its database, comes on line again as its owner left it.

    Returns:
        Those that are somebody's.
    """
    bits: list[Bit] = []
    for number, (kind, make) in zip(range(1, count + 1), cycle(_KINDS), strict=False):
        device_id = f"00e04{number:07x}"
        bit = cloud.devices.get(device_id)
        if bit is None:
            bit = await cloud.add_device(device_id, label=f"{kind} {number}", waveform=make(number))
        else:
            await bit.set_waveform(make(number))
            await bit.set_connected(True)
        if bit.user_id is not None:
            bits.append(bit)
    return bits


def _phase(number: int) -> float:
    return (number - 1) * _GOLDEN % 1
