"""Tell when the input of any cloudBit goes over a level, and when it is back.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/alert.py
"""

import asyncio
import sys
from collections.abc import Sequence

from littlebits_async import Device, InputReactor, LittleBitsError, Session
from littlebits_async.signals import edges


async def alert(session: Session, devices: Sequence[Device]) -> None:
    """Print a line for each edge; a mail or a chat message would go out from here as well."""
    labels = {device.id: device.label for device in devices}
    async with InputReactor(session, devices) as reactor:
        # Over at 70, back at 60: what wavers in between rings once.
        async for event in edges(reactor, high=70, low=60):
            what = "ALERT" if event.delta == "ignite" else "all clear"
            print(f"{event.timestamp:%H:%M:%S} {what}: {labels[event.device_id]} is at {event.percent:.0f} %")


async def main() -> None:
    """Watch all bits that are listed."""
    async with Session() as session:
        devices = await session.devices()
        if not devices:
            sys.exit("alert: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")
        await alert(session, devices)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"alert: {exc}")
