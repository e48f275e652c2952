"""What it costs when a thousand streams are cut at once: how long until all are live again, and what calls feel of it.

``python benchmarks/reconnect.py [asyncio|trio]`` prints one JSON object: the medians over some storms of

- seconds from the cut until 10, 50, 90 and 100 % of the streams are live again, and the same of the waits drawn;
- the latency of a call in milliseconds, median and longest, while all is quiet and amid the storm, and their ratios;
- the peak of this process's memory in MiB, with all streams open for the first time, and at the end.

The cloud runs in a process of its own, so that latencies are the client's. Opening a stream costs either side some CPU:
on a machine of one or two cores the two compete, and the storm lasts as long as both need.
"""

import json
import logging
import resource
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, field

from littlebits_async import InputReactor, RequestDone, Session, StreamState, StreamStatus, TokenBucket
from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.localcloud import LocalCloud

DEVICES = 1000
STORMS = 3
LIMIT = 100_000
QUIET = 300
"""Calls while all is quiet."""
PAUSE = 0.005
"""Seconds between two calls."""
SHARES = (0.1, 0.5, 0.9, 1.0)
IDS = [f"00e04{number:07x}" for number in range(DEVICES)]


# The cloud's process


async def cloud() -> None:
    """Serve, and cut all streams for each line that comes in."""
    allow_many_open_files()
    async with LocalCloud(limit=LIMIT) as running:
        for device_id in IDS:
            await running.add_device(device_id, input_interval_ms=60_000)
        print(running.url, await running.create_token(), flush=True)
        async for _ in anyio.wrap_file(sys.stdin):
            print(await running.close_streams(abort=True), flush=True)


@define
class Remote:
    """A cloud in another process."""

    url: str
    token: str
    _process: anyio.abc.Process = field(alias="process")
    _lines: BufferedByteReceiveStream = field(alias="lines")

    async def cut(self) -> None:
        """Cut all streams."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        await self._process.stdin.send(b"cut\n")
        cut = int(await self._lines.receive_until(b"\n", 100))
        assert cut == DEVICES, f"{cut} streams were cut, not {DEVICES}"  # noqa: S101 - else the figures mean nothing


@asynccontextmanager
async def remote_cloud() -> AsyncGenerator[Remote, None]:
    """Run a cloud in another process until the block is left."""
    async with await anyio.open_process([sys.executable, __file__, "cloud"], stderr=None) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe
        lines = BufferedByteReceiveStream(process.stdout)
        url, token = (await lines.receive_until(b"\n", 1000)).decode().split()
        yield Remote(url, token, process, lines)
        process.terminate()


# The client


@define
class Watch:
    """Hooks that note when streams were live, and for how long they were to wait."""

    live_at: dict[str, datetime] = field(factory=dict[str, datetime])
    waits: list[float] = field(factory=list[float])
    all_live: anyio.Event = field(factory=anyio.Event)

    def begin(self) -> None:
        """Forget what was before."""
        self.live_at.clear()
        self.waits.clear()
        self.all_live = anyio.Event()

    def stream_changed(self, status: StreamStatus, /) -> None:
        """Note it."""
        if status.state is StreamState.LIVE:
            self.live_at[status.device_id] = status.since
            if len(self.live_at) == DEVICES:
                self.all_live.set()
        elif status.state is StreamState.BACKING_OFF and status.retry_at is not None:
            self.waits.append((status.retry_at - status.since).total_seconds())

    def request_done(self, request: RequestDone, /) -> None:
        """Do nothing."""

    def event_dropped(self, device_id: str, /) -> None:
        """Do nothing."""

    def budget_waited(self, label: str, seconds: float, /) -> None:
        """Do nothing."""


async def call(session: Session) -> float:
    """Return the milliseconds of a call."""
    begin = time.perf_counter()
    await session.ping()
    return (time.perf_counter() - begin) * 1000


def shares(values: list[float]) -> list[float]:
    """Return what a tenth, half, nine tenths and all of some values are not above."""
    ordered = sorted(values)
    return [ordered[round(share * len(ordered)) - 1] for share in SHARES]


def peak() -> float:
    """Return the most memory that this process has had, in MiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)


async def storm(running: Remote) -> dict[str, list[float]]:
    """Open all streams, cut them, and measure."""
    watch = Watch()
    async with (
        Session(running.token, base_url=running.url, budget=TokenBucket(LIMIT), hooks=watch) as session,
        InputReactor(session, IDS) as reactor,
    ):
        await watch.all_live.wait()
        opened = peak()
        quiet = [await paced(session) for _ in range(QUIET)]
        watch.begin()
        amid: list[float] = []
        cut_at = datetime.now(UTC)
        async with anyio.create_task_group() as group:
            group.start_soon(running.cut)
            while not watch.all_live.is_set():
                amid.append(await paced(session))
        assert reactor.stats.reconnects >= DEVICES  # noqa: S101 - as above
        calls = [statistics.median(quiet), max(quiet), statistics.median(amid), max(amid)]
        return {
            "live_again_s": shares([(at - cut_at).total_seconds() for at in watch.live_at.values()]),
            "waits_drawn_s": shares(watch.waits),
            "call_ms_quiet": calls[:2],
            "call_ms_storm": calls[2:],
            "call_ratio": [calls[2] / calls[0], calls[3] / calls[1]],
            "calls_amid": [len(amid)],
            "peak_mib_opened_end": [opened, peak()],
        }


async def paced(session: Session) -> float:
    """Make a call after a pause."""
    await anyio.sleep(PAUSE)
    return await call(session)


async def main() -> None:
    """Measure some storms, and print the medians."""
    allow_many_open_files()
    logging.getLogger("littlebits_async").setLevel(logging.ERROR)  # a thousand warnings, at each cut
    async with remote_cloud() as running:
        found = [await storm(running) for _ in range(STORMS)]
    medians = {
        name: [round(statistics.median(column), 3) for column in zip(*(each[name] for each in found), strict=True)]
        for name in found[0]
    }
    worst = max(each["call_ms_storm"][1] for each in found)
    print(json.dumps({"devices": DEVICES, "storms": STORMS} | medians | {"call_ms_worst": round(worst, 1)}))


if __name__ == "__main__":
    if sys.argv[1:] == ["cloud"]:
        anyio.run(cloud)
    else:
        anyio.run(main, backend=next(iter(sys.argv[1:]), "asyncio"))
