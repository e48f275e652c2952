"""Switch an air conditioner on above a temperature, by a sensor that is read every five minutes.

littlebits serve --simulate 2    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/thermostat.py 00e040000001 00e040000002 --above 60
"""

import argparse
import asyncio

from littlebits_async import CloudBit, OutputQueue, Session
from littlebits_async.signals import levels


async def main(options: argparse.Namespace) -> None:
    """Let the conditioner follow the sensor."""
    async with Session() as session, OutputQueue(session) as outputs:
        sensor = CloudBit(session, options.sensor)
        readings = sensor.samples(every=options.every)
        # On from `above` on, off from `below` on: in between it stays as it is, and does not flutter.
        async for event in levels(readings, high=options.above, low=options.below):
            on = event.level == "active"
            outputs.set(options.conditioner, 100 if on else 0)
            print(f"{event.timestamp:%H:%M:%S} {event.percent:.1f} %: {'on' if on else 'off'}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sensor", help="the cloudBit whose input is the temperature")
    parser.add_argument("conditioner", help="the cloudBit whose output is the air conditioner")
    parser.add_argument("--above", type=float, default=60, help="percent of the input at which it goes on")
    parser.add_argument("--below", type=float, default=55, help="percent at which it goes off")
    parser.add_argument("--every", type=float, default=300, help="seconds between two readings")
    asyncio.run(main(parser.parse_args()))
