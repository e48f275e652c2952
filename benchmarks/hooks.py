"""What hooks cost: CPU of a call without hooks and with hooks that do nothing, in one run.

``python benchmarks/hooks.py`` prints one JSON object: medians in microseconds of CPU for each call, and the median of
the ratios of neighbouring repetitions (without / with).
"""

import json
import statistics
import time

import anyio
import httpx

from littlebits_async import RequestDone, Session, StreamStatus, Unlimited

CALLS = 300
REPETITIONS = 21


class Idle:
    """Hooks that do nothing."""

    def request_done(self, request: RequestDone, /) -> None:
        """Do nothing."""

    def stream_changed(self, status: StreamStatus, /) -> None:
        """Do nothing."""

    def event_dropped(self, device_id: str, /) -> None:
        """Do nothing."""

    def budget_waited(self, label: str, seconds: float, /) -> None:
        """Do nothing."""


async def cpu_of(session: Session) -> float:
    """Return microseconds of CPU for each of some calls."""
    begin = time.process_time()
    for _ in range(CALLS):
        await session.devices()
    return (time.process_time() - begin) / CALLS * 1e6


async def main() -> None:
    """Measure both in turns, so that the machine's moods hit both."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=[]))
    without: list[float] = []
    idle: list[float] = []
    async with (
        Session("token", transport=transport, budget=Unlimited()) as bare,
        Session("token", transport=transport, budget=Unlimited(), hooks=Idle()) as hooked,
    ):
        await cpu_of(bare)
        await cpu_of(hooked)
        for _ in range(REPETITIONS):
            without.append(await cpu_of(bare))
            idle.append(await cpu_of(hooked))
    ratios = [a / b for a, b in zip(without, idle, strict=True)]
    found = {
        "us_without": round(statistics.median(without), 1),
        "us_with": round(statistics.median(idle), 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_spread": [round(quantile, 3) for quantile in statistics.quantiles(ratios, n=4)],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    anyio.run(main)
