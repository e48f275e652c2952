"""The `littlebits` command at a terminal, with somebody who looks at it and answers."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from .command import PATIENCE

__all__ = ["Shown", "run_in_terminal"]

_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@frozen
class Shown:
    """How a command ended, and all that its terminal was sent."""

    code: int
    raw: str

    @property
    def text(self) -> str:
        """Without control codes, and with plain line ends."""
        return _CODES.sub("", self.raw).replace("\r\n", "\n")


async def run_in_terminal(
    *arguments: str,
    columns: int = 80,
    lines: int = 24,
    replies: Sequence[tuple[str, str | signal.Signals]] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Shown:
    """Run `littlebits` to its end.

    Args:
        arguments: Its arguments.
        columns: How wide the terminal is.
        lines: How high it is.
        replies: What to wait for, and what to do then: type, or send a signal; one after the other.
        environment: More variables.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    # xdist tells its workers a size of its own.
    dropped = ("LITTLEBITS_", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "littlebits_async", *arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | {"TERM": "xterm-256color"} | dict(environment),
    )
    os.close(theirs)
    try:
        async with asyncio.timeout(PATIENCE):
            raw = await asyncio.to_thread(_talk, ours, list(replies), process)
            return Shown(await process.wait(), raw)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _talk(terminal: int, replies: list[tuple[str, str | signal.Signals]], process: asyncio.subprocess.Process) -> str:
    """Read until nobody has the terminal open, and reply meanwhile."""
    seen = bytearray()
    answered = 0
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
            if replies and (found := re.search(replies[0][0].encode(), seen[answered:], re.DOTALL)):
                answered += found.end()
                _, reply = replies.pop(0)
                if isinstance(reply, str):
                    os.write(terminal, reply.encode())
                else:
                    process.send_signal(reply)
    except OSError:
        pass  # how Linux says that the other side is closed
    finally:
        os.close(terminal)
    return seen.decode()
