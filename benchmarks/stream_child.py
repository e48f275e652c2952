"""One measurement of ``stream.py``, in a process of its own: one client, one mode, so many streams.

The client is first run with a few streams, so that what is loaded once is loaded, and its code is warm. Then

- opening: from nothing until the consumer has an event of each stream;
- the mode itself, as ``stream_server.py`` says;
- memory: what is resident now, less what was before the opening, both with garbage collected;
- closing: until the client says that it is closed. That the server has seen the end of all connections is checked.

Each event is looked at: a lost, repeated or disordered one, a stream that ended or a connection more than there are
streams fail the measurement.
"""

import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from . import harness
from .stream_client import Peer, Target
from .stream_peers import PEERS
from .stream_tally import Tally

__all__ = ["Measurement", "Mode"]

Mode = Literal["step", "flood", "burst", "paced"]

_STUCK: Final = 60.0
"""Seconds without any event after which what is still to come is lost."""
_BURST: Final = 16
_WARM_STREAMS: Final = 10
_WARM: Final[dict[Mode, tuple[Mode, int]]] = {
    "step": ("step", 50),
    "flood": ("flood", 50),
    "burst": ("burst", 5),
    "paced": ("step", 50),
}
_SERVER: Final = "benchmarks.stream_server"


@attrs.frozen
class Measurement:
    """What to measure.

    Attributes:
        peer: The client's name.
        loop: asyncio or uvloop.
        mode: How events are sent.
        streams: How many streams.
        amount: How much of it: rounds of step and burst, events of each stream in a flood, seconds of paced.
        tls: Whether TLS is spoken.
    """

    peer: str
    loop: str
    mode: Mode
    streams: int
    amount: int
    tls: bool = False


class Trial:
    """A client at work.

    Args:
        server: What it streams from.
        peer: The client.
    """

    def __init__(self, server: harness.Server, peer: Peer) -> None:
        self._server = server
        self._peer = peer
        self._ids = peer.target.ids
        self.tally = Tally(self._ids, server.poke)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[tuple[harness.Phase, harness.Phase], None]:
        """Open all streams, and close them; what each costs."""
        opening, closing = harness.Phase(), harness.Phase()
        with opening:
            done = self.tally.expect(len(self._ids))
            await self._peer.__aenter__()
            self._consumer = asyncio.create_task(self._peer.consume(self.tally.take))
            try:
                await self._reach(done)
            except BaseException:
                await self._close()
                raise
        try:
            yield opening, closing
        finally:
            with closing:
                await self._close()

    async def _close(self) -> None:
        self._consumer.cancel()
        await asyncio.gather(self._consumer, return_exceptions=True)
        await self._peer.__aexit__()

    async def send(self, mode: Mode, amount: int) -> tuple[int, harness.Phase, dict[str, Any]]:
        """Have events sent, and take them.

        Returns:
            How many, what they cost, and what the server says of them.
        """
        streams = len(self._ids)
        match mode:
            case "step" | "burst":
                events = _BURST if mode == "burst" else 1
                rounds, each_round = amount, streams * events
                command = {"do": "rounds", "rounds": rounds, "events": events}
            case "flood":
                rounds, each_round = 1, streams * amount
                command = {"do": "flood", "events": amount}
            case "paced":
                rounds, each_round = 1, streams * amount
                command = {"do": "paced", "seconds": amount}
                self.tally.times = []
        with harness.Phase() as phase:
            done = self.tally.expect(each_round, rounds)
            self._server.tell(command)
            await self._reach(done)
        said = self._server.hear()
        if said["written"] != rounds * each_round:
            raise harness.MeasurementError(f"{said['written']} events were written, not {rounds * each_round}")
        return rounds * each_round, phase, said

    async def _reach(self, done: asyncio.Future[None]) -> None:
        """Wait until all is there that is expected, and nothing else."""
        while not done.done():
            taken = self.tally.taken
            ends: set[asyncio.Future[Any]] = {done, self._consumer, self._peer.broken}
            await asyncio.wait(ends, timeout=_STUCK, return_when=asyncio.FIRST_COMPLETED)
            if self._consumer.done():
                raise harness.MeasurementError(f"the consumer ended: {self._consumer.exception()!r}")
            if self._peer.broken.done():
                raise harness.MeasurementError(f"a stream ended: {self._peer.broken.result()!r}")
            if self.tally.taken == taken:
                raise harness.MeasurementError(f"events lost: after {taken} nothing came for {_STUCK:g} s")
        if self.tally.wrong:
            raise harness.MeasurementError(f"{self.tally.wrong} events lost, repeated or out of order")


async def put_through(server: harness.Server, target: Target, peer: str, mode: Mode, amount: int) -> dict[str, float]:
    """Open, send, and close."""
    streams = len(target.ids)
    before = harness.resident_kib()
    accepted = server.ask({"do": "count"})["accepted"]
    found: dict[str, float] = {}
    trial = Trial(server, PEERS[peer](target))
    async with trial.open() as (opening, closing):
        await trial.send("step", 2)  # with event 0, three events of each stream
        events, phase, said = await trial.send(mode, amount)
        found |= {"cpu_us": phase.cpu / events * 1e6, "wall_us": phase.wall / events * 1e6, "events": events}
        found["preempted_per_s"] = phase.preempted / phase.cpu
        if trial.tally.times is not None:
            found |= latencies(trial.tally.times, said["written_at"])
        found["kib"] = (harness.resident_kib() - before) / streams
    found |= {"open_cpu_ms": opening.cpu * 1e3, "open_ms": opening.wall * 1e3}
    found |= {"close_cpu_ms": closing.cpu * 1e3, "close_ms": closing.wall * 1e3}
    await all_closed(server, accepted + streams)
    if (surplus := trial.tally.taken - 3 * streams - events) or trial.tally.wrong:
        raise harness.MeasurementError(f"{surplus} events more than were sent")
    return found


def latencies(taken: list[tuple[str, int, int]], written: dict[str, tuple[int, list[int]]]) -> dict[str, float]:
    """Return the milliseconds from a write to the consumer, median and 99th percentile."""
    waits: list[float] = []
    for device_id, number, at in taken:
        first, written_at = written[device_id]
        waits.append((at - written_at[number - first]) / 1e6)
    waits.sort()
    return {"p50_ms": waits[len(waits) // 2], "p99_ms": waits[len(waits) * 99 // 100]}


async def all_closed(server: harness.Server, accepted: int) -> None:
    """Wait until the server has seen the end of all connections, and see that there were no more than streams."""
    give_up = time.monotonic() + _STUCK
    while (count := server.ask({"do": "count"}))["open"]:
        if time.monotonic() > give_up:
            raise harness.MeasurementError(f"{count['open']} connections are open after closing")
        await asyncio.sleep(0.01)
    if count["accepted"] != accepted:
        raise harness.MeasurementError(f"{count['accepted'] - accepted} connections more than streams")


async def main(what: Measurement) -> None:
    """Measure, and say what was found."""
    ids = [f"00e04c{number:06x}" for number in range(what.streams)]
    with tempfile.TemporaryDirectory() if what.tls else nullcontext("") as directory:
        context, arguments = certified(Path(directory)) if what.tls else (None, [])
        with harness.Server(_SERVER, *arguments) as server:
            target = Target("127.0.0.1", server.hear(), ids, context)
            warm = attrs.evolve(target, ids=ids[:_WARM_STREAMS])
            try:
                await put_through(server, warm, what.peer, *_WARM[what.mode])
                harness.say(await put_through(server, target, what.peer, what.mode, what.amount))
            except harness.MeasurementError as exc:
                harness.say({"failed": str(exc)})
            except Exception as exc:  # noqa: BLE001 - a peer's, which is to be shown and not to end the rest
                harness.say({"failed": f"{type(exc).__name__}: {exc}"})


def certified(directory: Path) -> tuple[ssl.SSLContext, list[str]]:
    """Make a certificate; what the client needs of it, and what the server."""
    import trustme  # noqa: PLC0415 - an option

    authority = trustme.CA()
    certificate = directory / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - takes pyOpenSSL's too, untyped
    return context, ["--certificate", str(certificate)]


if __name__ == "__main__":
    harness.allow_open_files()
    wanted = Measurement(**json.loads(sys.argv[1]))
    harness.run(lambda: main(wanted), loop=wanted.loop)
