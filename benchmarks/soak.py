"""The client in bad weather for minutes or hours: does it come back each time, and does it grow?

``python -m benchmarks.soak --minutes 30 --devices 200``, from the root of the repository, runs a `Session`, an
`InputReactor`, an `OutputQueue` and what else a dashboard does against a cloud that ``storm.py`` batters, in a process
of its own. It prints the seed, the faults and a line of figures at intervals; then a verdict, which is its exit code
too. The same seed brings the same faults at the same times.

It fails where

- a guarantee broke: an event out of order, a device that does not come back, an error of another kind than the faults
  bring, one logged or left to the event loop, a call that never ends, a request that the budget did not grant;
- in the calm before the storm or after it a call failed, or an output was given up;
- the storm left the streams silent for long, and no stall was noticed; or no call at all was answered;
- in the calm after the storm, with every device back and nothing else going on, there is one open file or task more, or
  less, than in the calm before it, or more memory or objects, by more than `GROWTH` tolerates;
- during the storm there was growth: the median of the last quarter of the samples is more than that of the second (the
  first is warm-up) and the tolerance; or more open files or tasks at any moment than so many devices explain;
- any open file or task is left when the session was closed.
"""

import argparse
import json
import logging
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, field

from littlebits_async import (
    FOREVER,
    Backoff,
    InputEvent,
    InputGap,
    InputReactor,
    OutputQueue,
    RateLimitedError,
    RequestDone,
    ServerError,
    Session,
    SessionClosedError,
    StreamError,
    StreamState,
    StreamStatus,
    TokenBucket,
    TransportError,
)

from .verdict import FEWEST, GROWTH, Run, Sample, Tally, judge, reconcile

ROOT: Final = Path(__file__).resolve().parent.parent
LIMIT: Final = 100_000
"""Requests that the cloud and the budget allow, so many that the faults of an hour do not exhaust them."""
ARRIVES_WITHIN: Final = 60.0
"""Seconds from the grant of a request until the cloud counts it, at most: it may be held up on the way."""
STALL_AFTER: Final = 3.0
"""Seconds of silence after which the reactor gives a stream up."""
BACK_WITHIN: Final = 180.0
"""Seconds until every device must be back after the last fault: a bit that was off line waits for two listings."""
CALL_WITHIN: Final = 120.0
"""Seconds until any call must have ended, whatever happens."""
BROUGHT_BY_FAULTS: Final = (TransportError, RateLimitedError, ServerError, StreamError)
BACKOFF: Final = Backoff(base=0.25, cap=5, healthy_after=5)
IDLE: Final = 2.5
"""Seconds of calm after which idle connections have expired; the next call closes them."""


@define(eq=False)
class Notes:
    """What happened, as the session's hooks and the consumers saw it.

    Attributes:
        broken: What must not happen, as often as it did.
        seen: The devices of which an event came since this was last emptied.
    """

    broken: Counter[str] = field(factory=Counter[str])
    seen: set[str] = field(factory=set[str])
    requests: int = 0
    dropped: int = 0
    gaps: int = 0
    answered: int = 0
    failed: Counter[str] = field(factory=Counter[str])

    def request_done(self, request: RequestDone, /) -> None:
        """Count a request; that the cloud itself refuses one, and no gateway, the budget is there to prevent."""
        self.requests += 1
        if isinstance(request.error, RateLimitedError) and request.error.error == "rate_limit_exceeded":
            self.broken["a request refused for the limit"] += 1

    def stream_changed(self, status: StreamStatus, /) -> None:
        """Look for a stream that gave up: no fault brings a refusal that is the device's own."""
        if status.state is StreamState.FAILED:
            self.broken[f"a stream FAILED: {status.error!r}"] += 1

    def event_dropped(self, _device_id: str, /) -> None:
        """Count a drop."""
        self.dropped += 1

    def budget_waited(self, _label: str, _seconds: float, /) -> None:
        """Wait for no more than a hold."""

    async def call(self, what: Awaitable[object], *expected: type[Exception]) -> None:
        """Have a call made, and count how it ended: well, or with an error that is expected, or else not as it must."""
        try:
            with anyio.fail_after(CALL_WITHIN):
                await what
        except Exception as exc:  # noqa: BLE001 - that there is no other is what is to be shown
            if isinstance(exc, expected):
                self.failed[type(exc).__name__] += 1
            else:
                self.broken[f"a call raised {exc!r}"] += 1
        else:
            self.answered += 1


class Complaints(logging.Handler):
    """Counts what is logged as an error, by the event loop too; and warnings and exceptions that nobody could raise."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(logging.ERROR)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        self._notes.broken[f"logged by {record.name}: {record.getMessage()} {record.exc_info}"] += 1

    def unraisable(self, found: Any) -> None:  # noqa: ANN401 - its type has no name at run time
        """Count what a finalizer raised."""
        self._notes.broken[f"unraisable: {found.exc_value!r} in {found.object!r}"] += 1


@define(eq=False)
class Dashboard:
    """All that the client does at a time."""

    session: Session
    reactor: InputReactor
    outputs: OutputQueue
    ids: Sequence[str]
    notes: Notes
    rng: random.Random
    open_session: Callable[[], Session]
    _newest: list[dict[str, int]] = field(factory=list[dict[str, int]])

    @property
    def jobs(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What goes on beside the reactor's own iteration, until it is cancelled."""
        return (self.listen_to_all, self.listen_to_few, self.call, self.call, self.write, self.visit)

    async def guarded(self, job: Callable[[], Awaitable[None]]) -> None:
        """Do a job; whatever it raises is a guarantee broken."""
        try:
            await job()
        except Exception as exc:  # noqa: BLE001 - as above
            self.notes.broken[f"{job.__name__} raised {exc!r}"] += 1

    async def iterate(self) -> None:
        """Take all events and gaps, and pause at times, so that the streams are held back."""
        newest = self._consumer()
        nap_at = time.monotonic() + 20
        async for item in self.reactor.with_gaps():
            if isinstance(item, InputGap):
                self.notes.gaps += 1
                continue
            self._check(item, newest)
            self.notes.seen.add(item.device_id)
            if time.monotonic() > nap_at:
                await anyio.sleep(self.rng.uniform(1, 5))
                nap_at = time.monotonic() + 60

    async def listen_to_all(self) -> None:
        """Listen, and be too slow."""
        newest = self._consumer()
        async with self.reactor.listen() as events:
            async for event in events:
                self._check(event, newest)
                await anyio.sleep(0.01)

    async def listen_to_few(self) -> None:
        """Listen to some for a while, again and again."""
        while True:
            few = self.rng.sample(self.ids, min(5, len(self.ids)))
            newest = self._consumer()
            with anyio.move_on_after(self.rng.uniform(1, 10)):
                async with self.reactor.listen(devices=few) as events:
                    async for event in events:
                        self._check(event, newest)
            self._newest.remove(newest)

    async def call(self) -> None:
        """Make calls of all kinds, some of which are cancelled."""
        session, rng, ids = self.session, self.rng, self.ids
        calls: Sequence[Callable[[], Awaitable[object]]] = (
            session.devices,
            session.ping,
            lambda: session.device(rng.choice(ids)),
            lambda: session.read(rng.choice(ids), timeout=3),
            lambda: session.output(rng.choice(ids), rng.randrange(101), duration_ms=FOREVER),
            lambda: session.update_device(rng.choice(ids), label=f"soaked {rng.randrange(1000)}"),
            lambda: _take(session, rng.choice(ids), 3),
        )
        while True:
            call = rng.choice(calls)
            if rng.random() < 0.1:  # noqa: PLR2004 - one in ten
                with anyio.move_on_after(rng.uniform(0, 0.05)):
                    await self.notes.call(call(), *BROUGHT_BY_FAULTS)
            else:
                await self.notes.call(call(), *BROUGHT_BY_FAULTS)
            await anyio.sleep(rng.uniform(0.1, 0.9))

    async def write(self) -> None:
        """Set outputs."""
        while True:
            self.outputs.set(self.rng.choice(self.ids), self.rng.randrange(101))
            await anyio.sleep(self.rng.uniform(0.1, 0.9))

    async def visit(self) -> None:
        """Come and go: a device, a session, a reactor."""
        while True:
            await anyio.sleep(self.rng.uniform(1, 3))
            device_id = self.rng.choice(self.ids)
            try:
                await self.reactor.remove(device_id)
            finally:
                for newest in self._newest:  # what it sends next may be what it sent last
                    newest.pop(device_id, None)
            await anyio.sleep(self.rng.uniform(0, 1))
            self.reactor.add(device_id)
            await self._open_another()

    async def _open_another(self) -> None:
        """Open a session that is closed under a call, with a reactor that is left while it connects or streams."""
        few = self.rng.sample(self.ids, min(5, len(self.ids)))
        async with self.open_session() as session, anyio.create_task_group() as tasks:
            tasks.start_soon(self._call_until_closed, session)
            with anyio.move_on_after(self.rng.uniform(0, 3)):
                async with InputReactor(session, few) as reactor:
                    async for _ in reactor:
                        pass
            await session.aclose()

    async def _call_until_closed(self, session: Session) -> None:
        await self.notes.call(session.devices(), *BROUGHT_BY_FAULTS, SessionClosedError)

    def _consumer(self) -> dict[str, int]:
        newest: dict[str, int] = {}
        self._newest.append(newest)
        return newest

    def _check(self, event: InputEvent, newest: dict[str, int]) -> None:
        if event.timestamp_ms <= newest.get(event.device_id, 0):
            self.notes.broken["an event out of order"] += 1
        newest[event.device_id] = event.timestamp_ms

    async def calm(self) -> None:
        """Wait until each device is LIVE and has sent an event, and all else is over; then everything must succeed."""
        self.notes.seen.clear()
        with anyio.move_on_after(BACK_WITHIN):
            while self._missing():  # noqa: ASYNC110 - `changes` tells nothing of events
                await anyio.sleep(0.1)
        for status in self._missing():
            self.notes.broken[f"not back: {status}"] += 1
        for device_id in self.ids:
            self.outputs.set(device_id, self.rng.randrange(101))
        await self.outputs.flush()
        for device_id, error in self.outputs.errors.items():
            self.notes.broken[f"an output of {device_id} was given up: {error!r}"] += 1
        await anyio.sleep(IDLE)
        session, notes, device_id = self.session, self.notes, self.rng.choice(self.ids)
        await notes.call(session.devices())
        await notes.call(session.device(device_id))
        await notes.call(session.read(device_id))
        await notes.call(session.update_device(device_id, label="calm"))
        await notes.call(session.output(device_id, 50, duration_ms=FOREVER))
        await notes.call(session.ping())

    def _missing(self) -> list[StreamStatus]:
        statuses = self.reactor.statuses().values()
        return [
            each for each in statuses if each.state is not StreamState.LIVE or each.device_id not in self.notes.seen
        ]

    def line(self, sample: Sample, elapsed: float, rate: float) -> str:
        """Say how things are."""
        notes, stats = self.notes, self.reactor.stats
        states = Counter(status.state.value for status in self.reactor.statuses().values())
        failed = "".join(f", {number} {name}" for name, number in sorted(notes.failed.items()))
        return (
            f"{elapsed:6.0f} s  events {stats.events} ({rate:.0f}/s), gaps {notes.gaps}, dropped {notes.dropped}, "
            f"reconnects {stats.reconnects}, stalls {stats.stalls}, undecoded {stats.decode_errors} | "
            f"requests {notes.requests}, calls {notes.answered} ok{failed} | "
            f"{', '.join(f'{name} {number}' for name, number in sorted(states.items()))} | {sample}"
        )


async def _take(session: Session, device_id: str, number: int) -> None:
    async with session.inputs(device_id, stall_after=STALL_AFTER) as events:
        async for _ in events:
            number -= 1
            if not number:
                return


@define(eq=False)
class Weather:
    """The other process: a cloud, a proxy and a storm."""

    process: anyio.abc.Process
    _lines: BufferedByteReceiveStream

    async def hear(self) -> dict[str, Any]:
        """Wait for what it says next."""
        return dict(json.loads(await self._lines.receive_until(b"\n", 2**20)))

    async def begin(self) -> None:
        """Let the storm begin."""
        assert self.process.stdin is not None  # noqa: S101 - it is a pipe
        await self.process.stdin.send(b"begin\n")

    async def end(self) -> dict[str, Any]:
        """Have it end, and wait for what it counted."""
        assert self.process.stdin is not None  # noqa: S101 - as above
        await self.process.stdin.aclose()
        while "requests" not in (said := await self.hear()):
            pass
        return said


@asynccontextmanager
async def weather(*, devices: int, seed: int, seconds: float) -> AsyncGenerator[Weather, None]:
    """Start the other process, and have it gone when the block is left."""
    command = [sys.executable, "-m", "benchmarks.storm", "--limit", str(LIMIT)]
    command += ["--devices", str(devices), "--seed", str(seed), "--seconds", str(seconds)]
    process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None, cwd=ROOT)
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        yield Weather(process, BufferedByteReceiveStream(process.stdout))
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


async def soak(*, devices: int, seed: int, seconds: float, every: float, loop: str) -> list[str]:
    """Run, print, and return what speaks against it."""
    run, notes, budget = Run(), Notes(), TokenBucket(LIMIT, margin=ARRIVES_WITHIN)
    answered, silences = Counter[str](), 0
    complaints = Complaints(notes)
    logging.basicConfig(handlers=[complaints], level=logging.ERROR)
    sys.unraisablehook = complaints.unraisable

    def look(when: str) -> Sample:
        sample = Sample.take(loop)
        print(f"{when}: {sample}", flush=True)
        return sample

    async with weather(devices=devices, seed=seed, seconds=seconds) as storm:
        place = await storm.hear()

        def open_session() -> Session:
            return Session(
                place["token"], base_url=place["url"], budget=budget, timeout=5, trust_env=False, hooks=notes
            )

        run.ends.append(look("before"))
        async with open_session() as session:
            reactor = InputReactor(session, place["devices"], backoff=BACKOFF, stall_after=STALL_AFTER, quiet_after=15)
            async with reactor, OutputQueue(session) as outputs, anyio.create_task_group() as tasks:
                rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
                dashboard = Dashboard(session, reactor, outputs, place["devices"], notes, rng, open_session)
                tasks.start_soon(dashboard.guarded, dashboard.iterate)
                await dashboard.calm()
                run.calm.append(look("calm"))
                answered["the calm before"] = notes.answered
                silences = await _live_through(storm, dashboard, run.storm, every, loop)
                answered["the storm"] = notes.answered - answered.total()
                over = time.monotonic()
                await dashboard.calm()
                run.calm.append(look(f"calm {time.monotonic() - over:.1f} s after the storm"))
                answered["the calm after"] = notes.answered - answered.total()
                tasks.cancel_scope.cancel()
        run.ends.append(look("after"))
        paid = sum((await budget.report()).spent.values())
        counted = await storm.end()
    if len(run.storm) >= FEWEST:
        medians = ", ".join(f"{name} {run.quarter(1, name):.1f} and {run.quarter(3, name):.1f}" for name in GROWTH)
        print(f"medians of the storm's second quarter and of its last: {medians}")
    tally = Tally(
        paid=paid,
        counted=counted["requests"],
        silences=silences,
        stalls=reactor.stats.stalls,
        answered=answered,
    )
    print(tally)
    for what in ("streams", "connections"):
        notes.broken[f"{what} that the cloud still has"] += counted[what]
    broken = [f"{what} ({number})" for what, number in notes.broken.most_common(20) if number]
    return broken + reconcile(tally) + judge(run, devices=devices)


async def _live_through(storm: Weather, dashboard: Dashboard, samples: list[Sample], every: float, loop: str) -> int:
    """Do all that a dashboard does, and look at it at intervals, until the storm is over; count its long silences."""
    began = time.monotonic()
    silences = 0

    async def look() -> None:
        events = dashboard.reactor.stats.events
        while True:
            await anyio.sleep(every)
            samples.append(sample := Sample.take(loop))
            before, events = events, dashboard.reactor.stats.events
            print(dashboard.line(sample, time.monotonic() - began, (events - before) / every), flush=True)

    async with anyio.create_task_group() as tasks:
        for job in dashboard.jobs:
            tasks.start_soon(dashboard.guarded, job)
        tasks.start_soon(look)
        await storm.begin()
        while "calm" not in (said := await storm.hear()):
            print(f"{said['at']:6.0f} s  {said['fault']}", flush=True)
            silences += said["silent"] > STALL_AFTER
        tasks.cancel_scope.cancel()
    for device_id in dashboard.ids:  # one may have been on a visit
        dashboard.reactor.add(device_id)
    return silences


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of storm; the calm after it comes besides")
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two lines of figures")
    parser.add_argument("--loop", choices=("asyncio", "trio"), default="asyncio")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)

    async def run() -> list[str]:
        return await soak(
            devices=given.devices, seed=seed, seconds=given.minutes * 60, every=given.every, loop=given.loop
        )

    warnings.simplefilter("error")
    try:
        against = anyio.run(run, backend=given.loop)
    except Exception as exc:  # noqa: BLE001 - whatever it is, there must be a verdict
        traceback.print_exc()
        against = [f"it raised {exc!r}"]
    print(f"verdict: FAILED: {'; '.join(against)}" if against else "verdict: passed")
    return 1 if against else 0


if __name__ == "__main__":
    sys.exit(main())
