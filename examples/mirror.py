"""Mirror one cloudBit's input to another's output.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/mirror.py        # the first two cloudBits, or those whose ids follow
"""

import asyncio
import sys

from littlebits_async import InputReactor, LittleBitsError, OutputQueue, Session
from littlebits_async.signals import changes, throttle


async def mirror(session: Session, source: str, target: str) -> None:
    """Let the target show what the source reads."""
    async with OutputQueue(session) as outputs, InputReactor(session, [source]) as reactor:
        # 1440 outputs an hour at most, of the 1800 requests that there are; where it comes to rest is always told.
        async for event in throttle(changes(reactor, by=1), every=2.5, trailing=True):
            outputs.set(target, event.percent)
            print(f"{event.timestamp:%H:%M:%S} {source} -> {target}: {event.percent:.1f} %")


async def main() -> None:
    """Mirror the bits that are named, or else the first two that are listed."""
    async with Session() as session:
        match sys.argv[1:] or [device.id for device in await session.devices()]:
            case [source, target, *_]:
                await mirror(session, source, target)
            case _:
                sys.exit("mirror: two cloudBits are needed; `littlebits serve --simulate 2` has them")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"mirror: {exc}")
