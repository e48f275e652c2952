"""The example that switches an air conditioner, as a person runs it."""

import asyncio
import os
import sys
from functools import partial
from operator import eq
from pathlib import Path

import pytest

from littlebits_async.localcloud import LocalCloud

EXAMPLE = Path(__file__).parents[2] / "examples" / "thermostat.py"


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.asyncio
async def test_the_conditioner_follows_the_sensor_with_hysteresis() -> None:
    async with LocalCloud() as cloud, asyncio.timeout(20):
        sensor = await cloud.add_device("sensor")
        conditioner = await cloud.add_device("conditioner")
        await conditioner.set_input(percent=0)
        await sensor.set_input(percent=20)
        environment = {"LITTLEBITS_BASE_URL": cloud.url, "LITTLEBITS_TOKEN": await cloud.create_token()}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(EXAMPLE), sensor.id, conditioner.id, "--every", "0.1"),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | environment,
        )
        try:

            async def turn(percent: float) -> None:
                """Turn the sensor, and have it read at once: a bit is read whenever it comes on line."""
                await sensor.set_connected(False)
                await sensor.set_input(percent=percent)
                await sensor.set_connected(True)

            async def line() -> str:
                return (await process.stdout.readline()).decode().rstrip().partition(" ")[2] if process.stdout else ""

            told: list[str] = []
            for percent, shown in [(20, 0), (57, 0), (61, 100), (57, 100), (54, 0)]:
                await turn(percent)
                if percent == 57:  # between the two: it changes nothing, from wherever it is come to
                    await asyncio.sleep(0.3)  # some readings
                    assert conditioner.shown == shown
                else:
                    told.append(await line())
                    async with asyncio.timeout(5):
                        await conditioner.wait_shown(partial(eq, shown))
        finally:
            process.kill()
            await process.communicate()
    assert told == ["20.0 %: off", "61.0 %: on", "54.0 %: off"]
