"""Record every cloudBit for a while, and plot what was recorded.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/plot.py run      # writes run.jsonl, then run.png; Ctrl-C ends the recording sooner
"""

# pyright: reportUnknownMemberType=false
# matplotlib tells the types of most arguments, not of all

import argparse
import asyncio
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import anyio
from matplotlib.figure import Figure

from littlebits_async import InputReactor, LittleBitsError, Recorder, Session, recorded


async def record(path: Path, seconds: float) -> None:
    """Write what comes to a file, behind what is there."""
    async with Session() as session:
        devices = await session.devices()
        if not devices:
            sys.exit("plot: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")
        with Recorder(path) as recorder, anyio.move_on_after(seconds):
            async with InputReactor(session, devices) as reactor:
                async for event in reactor:
                    recorder.write(event)


def plot(path: Path) -> Figure:
    """Draw a line for each device of a recording."""
    times, percents = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    began = None
    for event in recorded(path):
        began = began or event.timestamp
        times[event.device_id].append((event.timestamp - began).total_seconds())
        percents[event.device_id].append(event.percent)
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds", ylabel="input (percent)", ylim=(-2, 102))
    for device_id in times:
        axes.plot(times[device_id], percents[device_id], label=device_id)
    figure.legend(loc="outside right upper")
    return figure


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", type=Path, help="of the files, without .jsonl and .png")
    parser.add_argument("--seconds", type=float, default=10, help="how long to record")
    options = parser.parse_args()
    recording, picture = options.name.with_suffix(".jsonl"), options.name.with_suffix(".png")
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(record(recording, options.seconds))
        plot(recording).savefig(picture)
        print(f"{recording}, {picture}")
    except (LittleBitsError, OSError) as exc:
        sys.exit(f"plot: {exc}")
