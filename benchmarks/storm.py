"""A cloud behind a proxy that does harm at random, in a process of its own: what ``soak.py`` has to live through.

``python -m benchmarks.storm``, from the root of the repository, speaks JSON, a value a line. It says where it is:
``{"url": …, "token": …, "devices": […]}``. A line on its standard input lets the storm begin, and each fault is told
as it comes, ``{"at": …, "fault": …, "silent": …}``; then ``{"calm": …}``. At the end of its input it tells what the
cloud counted, ``{"requests": …, "streams": …, "connections": …}``, and ends.
"""

import argparse
import json
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field, frozen

from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.cli._simulation import add_bits
from littlebits_async.localcloud import LocalCloud
from tests.chaos.proxy import NO_FAULTS, ChaosProxy, Faults, Passage, chaos_proxy
from tests.support.local_cloud import free_port
from tests.support.raw_server import Exchange, RawServer

INTERVAL_MS: Final = 500
BLANK_LINE_EVERY: Final = 1.0
_PAUSE: Final = (1.0, 16.0)
"""Seconds between two faults, the least and the most."""
_SHARES: Final = (0.0, 0.1, 0.5, 1.0)
"""Of the connections, or of the devices; one at least."""
_SLICED: Final = 4
"""Connections that are sliced to single bytes at a time, at most: each byte is a system call or two."""

_Making = Callable[[random.Random], Faults]

_LASTING: Final[Mapping[str, tuple[float, float, _Making]]] = {
    "latency": (2, 10, lambda rng: Faults(latency=rng.uniform(0.02, 0.5), jitter=0.02)),
    "slices": (2, 8, lambda _: Faults(piece=1)),
    "stall": (4, 14, lambda _: Faults(stalled=True)),
    "half open": (4, 20, lambda _: Faults(half_open=True)),
    "reset early": (1, 5, lambda rng: Faults(reset_after=rng.randrange(2000))),
    "end early": (1, 5, lambda rng: Faults(end_after=rng.randrange(2000))),
    "refuse": (1, 6, lambda _: Faults(refused=True)),
}
"""What the proxy does to connections: the least and the most seconds of it, and its making."""

_OTHERS: Final[Mapping[str, tuple[float, float]]] = {
    "cut": (0, 0),
    "abort streams": (0, 0),
    "end streams": (0, 0),
    "restart": (0.1, 3),
    "answer 429": (1, 4),
    "answer 502": (1, 4),
    "answer 503": (1, 4),
    "off line": (2, 45),
}
_WHOLE: Final = frozenset({"restart", "answer 429", "answer 502", "answer 503"})
"""Happens to all."""


@frozen
class Fault:
    """One fault.

    Attributes:
        at: Seconds from the storm's beginning.
        kind: What happens.
        seconds: How long.
        share: Of the connections, or devices, that it happens to.
        faults: What the proxy does, where it is the proxy.
    """

    at: float
    kind: str
    seconds: float
    share: float
    faults: Faults = NO_FAULTS

    @property
    def silent(self) -> float:
        """Seconds for which some streams bring nothing and do not end."""
        hushed = self.faults.stalled or self.faults.half_open
        return self.seconds if hushed and self.share else 0.0  # the one connection may be no stream's

    def __str__(self) -> str:
        whom = f"{self.share:.0%}" if self.share else "one"
        return f"{self.kind} ({whom}, {self.seconds:.1f} s)" if self.seconds else f"{self.kind} ({whom})"


def plan(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of a storm: the same for the same arguments, one after the other but for bits off line."""
    rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
    kinds: dict[str, tuple[float, float, _Making]] = {
        **_LASTING,
        **{kind: (least, most, lambda _: NO_FAULTS) for kind, (least, most) in _OTHERS.items()},
    }
    # All kinds come before one comes again, and the faults and pauses of a short storm are so short that all do come.
    spans = [*((least, most) for least, most, _ in kinds.values()), *[_PAUSE] * len(kinds)]
    room = seconds - sum(least for least, _ in spans)
    scale = max(0.0, min(1.0, room / sum(most - least for least, most in spans)))

    def draw(least: float, most: float) -> float:
        return rng.uniform(least, least + (most - least) * scale)

    found: list[Fault] = []
    deck: list[str] = []
    at = _PAUSE[0]
    while True:
        if not deck:
            deck = list(kinds)
            rng.shuffle(deck)
        kind = deck.pop()
        least, most, make = kinds[kind]
        lasts = draw(least, most)
        share = 1.0 if kind in _WHOLE else rng.choice(_SHARES)
        fault = Fault(at, kind, lasts, share, make(rng))
        if at + lasts > seconds:
            return found
        found.append(fault)
        at += (0 if kind == "off line" else lasts) + draw(*_PAUSE)


@define
class Storm:
    """Faults, done to a cloud and its proxy."""

    cloud: LocalCloud
    port: int
    proxy: ChaosProxy
    rng: random.Random
    _off_line: dict[str, int] = field(factory=dict[str, int])

    async def rage(self, faults: list[Fault]) -> None:
        """Do them all, each at its time."""
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for fault in faults:
                await anyio.sleep_until(began + fault.at)
                say(at=round(anyio.current_time() - began, 1), fault=str(fault), silent=fault.silent)
                if fault.kind == "off line":
                    tasks.start_soon(self._take_off_line, fault)
                else:
                    await self._do(fault)

    async def _do(self, fault: Fault) -> None:
        match fault.kind.split():
            case ["cut"]:
                for passage in self._some(fault):
                    await passage.reset()
            case ["abort" | "end" as how, "streams"]:
                for device_id in self._some_devices(fault):
                    await self.cloud.devices[device_id].close_streams(abort=how == "abort")
            case ["restart"]:
                await self._away(lambda: anyio.sleep(fault.seconds))
            case ["answer", status]:
                await self._away(lambda: self._answer(int(status), fault.seconds))
            case _:
                await self._spoil(fault)

    async def _spoil(self, fault: Fault) -> None:
        """Have the proxy do harm for a while: to all connections and new ones, or to some that are open."""
        chosen = self._some(fault)
        if fault.faults.refused:
            self.proxy.faults = fault.faults
            for passage in chosen:  # nobody is refused who does not try
                await passage.reset()
        elif fault.faults.piece:
            chosen = chosen[:_SLICED]
        elif fault.share == 1:
            self.proxy.faults = fault.faults
        for passage in chosen:
            passage.faults = fault.faults
        await anyio.sleep(fault.seconds)
        self.proxy.faults = NO_FAULTS

    async def _away(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Stop the cloud, and start it again where it was."""
        await self.cloud.__aexit__(None, None, None)
        await meanwhile()
        await self.cloud.__aenter__()

    async def _answer(self, status: int, seconds: float) -> None:
        """Stand in for the cloud, as a gateway that has its own opinion of every request."""

        async def refuse(exchange: Exchange) -> None:
            await exchange.answer(status, b"<html>not now</html>", kind="text/html", headers={"Retry-After": "1"})

        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port, backlog=1024)
        async with listener:
            with anyio.move_on_after(seconds):
                await listener.serve(RawServer(f"http://127.0.0.1:{self.port}", refuse).serve)

    async def _take_off_line(self, fault: Fault) -> None:
        chosen = self._some_devices(fault)
        for device_id in chosen:
            self._off_line[device_id] = self._off_line.get(device_id, 0) + 1
            await self.cloud.devices[device_id].set_connected(False)
        await anyio.sleep(fault.seconds)
        for device_id in chosen:
            self._off_line[device_id] -= 1
            if not self._off_line[device_id]:  # else another fault keeps it off line
                await self.cloud.devices[device_id].set_connected(True)

    def _some(self, fault: Fault) -> list[Passage]:
        passages = self.proxy.passages
        return self.rng.sample(passages, min(len(passages), max(1, round(fault.share * len(passages)))))

    def _some_devices(self, fault: Fault) -> list[str]:
        ids = list(self.cloud.devices)
        return self.rng.sample(ids, max(1, round(fault.share * len(ids))))


def say(**values: object) -> None:
    """Tell whoever listens."""
    print(json.dumps(values), flush=True)


async def main(*, devices: int, seed: int, seconds: float, limit: int) -> None:
    """Run until the input ends."""
    allow_many_open_files()
    port = free_port()
    cloud = LocalCloud(port=port, limit=limit, blank_line_every=BLANK_LINE_EVERY)
    async with cloud, chaos_proxy(cloud.url, seed=seed) as proxy:
        bits = await add_bits(cloud, devices)
        for bit in bits:
            bit.input_interval_ms = INTERVAL_MS
        token = await cloud.create_token()
        say(url=proxy.url, token=token, devices=[bit.id for bit in bits])
        storm = Storm(cloud, port, proxy, random.Random(seed))  # noqa: S311 - no secret hangs on it
        async with anyio.create_task_group() as tasks:

            async def rage() -> None:
                await storm.rage(plan(seed, seconds))
                say(calm=True)

            if await anyio.to_thread.run_sync(sys.stdin.readline):
                tasks.start_soon(rage)
            await anyio.to_thread.run_sync(sys.stdin.read)  # its end: whoever started us has had enough, or has died
            tasks.cancel_scope.cancel()
        await _until_gone(cloud, proxy)
        say(requests=cloud.requests(token), streams=cloud.streams, connections=len(proxy.passages))


async def _until_gone(cloud: LocalCloud, proxy: ChaosProxy) -> None:
    """Let the news of closed connections arrive."""
    with anyio.move_on_after(5):
        while cloud.streams or proxy.passages:  # noqa: ASYNC110 - the cloud tells nobody
            await anyio.sleep(0.01)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--limit", type=int, default=100_000)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()

    async def run() -> None:
        """Run as told."""
        await main(devices=given.devices, seed=given.seed, seconds=given.seconds, limit=given.limit)

    anyio.run(run)
