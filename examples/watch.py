"""Watch every cloudBit, in ten lines.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/watch.py
"""

import asyncio

from littlebits_async import InputReactor, LittleBitsError, Session


async def main() -> None:
    """Print each event of each bit."""
    async with Session() as session, InputReactor(session, await session.devices()) as reactor:
        async for event in reactor:
            print(f"{event.timestamp:%H:%M:%S} {event.device_id} {event.percent:5.1f} %")


try:
    asyncio.run(main())
except (KeyboardInterrupt, LittleBitsError) as exc:
    raise SystemExit(str(exc) or 0) from None  # Ctrl-C has nothing to say
