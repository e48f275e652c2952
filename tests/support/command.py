"""The `littlebits` command in a process of its own, with every warning an error."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import frozen

PATIENCE = 20


@frozen
class Result:
    """How a command ended."""

    code: int
    output: str
    errors: str


@frozen
class Command:
    """A running command."""

    process: asyncio.subprocess.Process

    async def line(self) -> str:
        """Take the next line of its standard output; empty at the end."""
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def until(self, pattern: str) -> re.Match[str]:
        """Take lines until one matches."""
        seen: list[str] = []
        while line := await self.line():
            if (found := re.match(pattern, line)) is not None:
                return found
            seen.append(line)
        raise AssertionError(f"no line matches {pattern!r}: {seen}, {await self.result()}")

    async def result(self, send: signal.Signals | None = None) -> Result:
        """Wait for its end, which a signal may bring about."""
        if send is not None:
            self.process.send_signal(send)
        output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return Result(self.process.returncode, output.decode(), errors.decode())


@asynccontextmanager
async def command(*arguments: str, **environment: str) -> AsyncGenerator[Command, None]:
    """Start `littlebits` with these arguments; it is gone when the block is left."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LITTLEBITS_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "littlebits_async", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=kept | environment,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(*arguments: str, **environment: str) -> Result:
    """Run `littlebits` to its end."""
    async with command(*arguments, **environment) as running:
        return await running.result()
