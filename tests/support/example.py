"""An example in a process of its own, as a person runs it, with every warning an error."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from littlebits_async.testing import RunningCloud
from tests.support.command import PATIENCE, Command

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@asynccontextmanager
async def example(name: str, cloud: RunningCloud, *arguments: str, **environment: str) -> AsyncGenerator[Command, None]:
    """Start an example against a cloud; it is gone when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "LITTLEBITS_BASE_URL": cloud.url,
            "LITTLEBITS_TOKEN": cloud.token,
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def interrupt(running: Command) -> str:
    """Press Ctrl-C, which ends it without a complaint; return what else it printed."""
    done = await running.result(signal.SIGINT)
    # An output's answer may be still on its way, though the bit shows it.
    complaints = [line for line in done.errors.splitlines() if not line.startswith("not sent when the queue ended: ")]
    assert (done.code, complaints) == (0, []), done
    return done.output
