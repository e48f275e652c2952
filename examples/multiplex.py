"""Send several on/off signals over the one value of a cloudBit: each combination is a level of its own.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/multiplex.py     # the first two cloudBits, or those whose ids follow
"""

import asyncio
import sys
from collections.abc import Sequence

from littlebits_async import InputReactor, LittleBitsError, OutputQueue, Session

SIGNALS = ("lamp", "fan", "pump")
LEVELS = 1 << len(SIGNALS)
STEP = 100 / (LEVELS - 1)  # percent from one level to the next: 14.3 for three signals
TOLERANCE = STEP / 3  # a reading further than this from its level is on its way to another


def encode(signals: Sequence[bool]) -> float:
    """Return the percent that stands for these signals."""
    return STEP * sum(on << place for place, on in enumerate(signals))


def decode(percent: float) -> tuple[bool, ...] | None:
    """Return the signals that a percent stands for, or None where it is between two levels."""
    level = round(percent / STEP)
    if abs(percent - level * STEP) > TOLERANCE:
        return None
    return tuple(bool(level >> place & 1) for place in range(len(SIGNALS)))


async def repeat(session: Session, source: str, target: str) -> None:
    """Take signals from one bit's input, noisy as it is, and put them on another's output, clean."""
    seen: tuple[bool, ...] | None = None
    told: tuple[bool, ...] | None = None
    async with OutputQueue(session) as outputs, InputReactor(session, [source]) as reactor:
        async for event in reactor:
            before, seen = seen, decode(event.percent)
            if seen is not None and seen == before != told:  # two readings agree: it does not just pass this level
                told = seen
                outputs.set(target, encode(seen))
                on = [name for name, is_on in zip(SIGNALS, seen, strict=True) if is_on]
                print(f"{event.percent:5.1f} %: {', '.join(on) or 'all off'}")


async def main() -> None:
    """Repeat between the bits that are named, or else the first two that are listed."""
    async with Session() as session:
        match sys.argv[1:] or [device.id for device in await session.devices()]:
            case [source, target, *_]:
                await repeat(session, source, target)
            case _:
                sys.exit("multiplex: two cloudBits are needed; `littlebits serve --simulate 2` has them")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"multiplex: {exc}")
