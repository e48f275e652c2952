"""A cloud with a database in a process of its own, to be killed; the next one is there in no time."""

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest.mock import patch

import anyio.to_thread
from attrs import frozen

from littlebits_async.localcloud import Button, LocalCloud, Noise, Thresholds, Waveform

THRESHOLDS = Thresholds(hold=0.3)
LADDER = (1, 2, 3, 4, 60, 60, 60)
"""Seconds; the documents' own would take a week."""

PUBLISHERS: dict[str, Callable[[int], Waveform]] = {
    "button": lambda seed: Button(period=0.8, held=0.5, phase=seed * 0.37),
    "noise": lambda seed: Noise(period=0.35, seed=seed),
    "slow": lambda seed: Button(period=4, held=0.5, phase=seed * 0.41),
}
"""The bits whose inputs are told, and how these move in each life."""
OTHERS = ("label", "output", "idle")
INTERVAL_MS = 200

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["littlebits_async.localcloud"])


@frozen
class MortalCloud:
    """A running cloud."""

    url: str
    token: str
    _process: ForkServerProcess

    @classmethod
    async def start(cls, db: Path, seed: int) -> "MortalCloud":
        ours, theirs = _processes.Pipe()
        with ours:
            process = _processes.Process(target=_live, args=(db, seed, theirs), daemon=True)
            process.start()
            theirs.close()
            url, token = await anyio.to_thread.run_sync(ours.recv)
        return cls(url, token, process)

    async def kill(self) -> None:
        self._process.kill()
        await anyio.to_thread.run_sync(self._process.join)
        self._process.close()


def _live(db: Path, seed: int, parent: Connection) -> None:
    with patch("littlebits_async.localcloud.webhooks._outbox.LADDER", LADDER):
        asyncio.run(_serve(db, seed, parent))


async def _serve(db: Path, seed: int, parent: Connection) -> None:
    async with LocalCloud(db, limit=1_000_000, allow_private_webhooks=True, thresholds=THRESHOLDS) as cloud:
        token = await cloud.create_token()
        for device_id in (*PUBLISHERS, *OTHERS):
            bit = cloud.devices.get(device_id)
            if bit is None:
                bit = await cloud.add_device(device_id, input_interval_ms=INTERVAL_MS, is_connected=False)
            if device_id in PUBLISHERS:
                await bit.set_waveform(PUBLISHERS[device_id](seed))
            await bit.set_connected(device_id != "idle")
        parent.send((cloud.url, token))
        await asyncio.Event().wait()
