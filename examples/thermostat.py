"""Switch an air conditioner on above a temperature, by a sensor that is read every five minutes.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/thermostat.py    # the first two cloudBits, or those whose ids follow: sensor, conditioner
"""

import argparse
import asyncio
import sys

from littlebits_async import CloudBit, LittleBitsError, OutputQueue, Session
from littlebits_async.signals import levels


async def thermostat(session: Session, sensor: str, conditioner: str, options: argparse.Namespace) -> None:
    """Let the conditioner follow the sensor."""
    async with OutputQueue(session) as outputs:
        readings = CloudBit(session, sensor).samples(every=options.every)
        # On from `above` on, off from `below` on: in between it stays as it is, and does not flutter.
        async for event in levels(readings, high=options.above, low=options.below):
            on = event.level == "active"
            outputs.set(conditioner, 100 if on else 0)
            print(f"{event.timestamp:%H:%M:%S} {event.percent:.1f} %: {'on' if on else 'off'}")


async def main(options: argparse.Namespace) -> None:
    """Take the bits that are named, or else the first two that are listed."""
    async with Session() as session:
        match options.ids or [device.id for device in await session.devices()]:
            case [sensor, conditioner, *_]:
                await thermostat(session, sensor, conditioner, options)
            case _:
                sys.exit("thermostat: two cloudBits are needed; `littlebits serve --simulate 2` has them")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "ids", nargs="*", help="the cloudBit whose input is the temperature, and that of the conditioner"
    )
    parser.add_argument("--above", type=float, default=60, help="percent of the input at which it goes on")
    parser.add_argument("--below", type=float, default=55, help="percent at which it goes off")
    parser.add_argument("--every", type=float, default=300, help="seconds between two readings")
    try:
        asyncio.run(main(parser.parse_args()))
    except KeyboardInterrupt:
        pass
    except LittleBitsError as exc:
        sys.exit(f"thermostat: {exc}")
