"""Replay, and recorded: events from a file."""

import logging
import math
import os
from collections import deque
from collections.abc import AsyncIterator, Collection, Generator
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from .._iteration import Iteration
from .._tasks import run_in_child
from ..errors import DecodeError, InvalidArgumentError
from ..models import InputEvent
from ._formats import Format, UnreadableError, format_of

__all__ = ["Reading", "Replay", "recorded"]

_log: Final = logging.getLogger("littlebits_async.recording")
_BLOCK: Final = 64 * 1024
_EXCERPT: Final = 200


class Reading:
    """Reads a recording, a block at a time; no file is open in between, so that one that is given up leaves none.

    Args:
        path: The file.

    Attributes:
        done: Whether there is no more to read; what was read is still to be taken.
    """

    def __init__(self, path: Path) -> None:
        self.done = False
        self._path = path
        self._format: Format = format_of(path)
        self._position = 0
        self._lines: deque[bytes] = deque()
        self._taken = 0

    def read(self) -> None:
        """Read on; blocks.

        Raises:
            OSError: The file cannot be read.
        """
        with self._path.open("rb") as file:
            file.seek(self._position)
            lines = file.readlines(_BLOCK)
        self._position += sum(map(len, lines))
        self.done = not lines
        if lines and not lines[-1].endswith(b"\n") and not self._format.is_whole(lines[-1]):
            _log.warning("%s: the last line was cut, and is left out", self._path)
            lines.pop()
            self.done = True  # its rest may follow, and is no line of its own
        self._lines.extend(lines)

    def take(self) -> InputEvent | None:
        """Take the next event of what was read; None where there is none.

        Raises:
            DecodeError: A line holds no event; nothing is taken after it.
        """
        while self._lines:
            line = self._lines.popleft()
            self._taken += 1
            try:
                event = None if self._taken == 1 and self._format.begin(line) else self._format.decode(line)
            except UnreadableError as exc:
                self._lines.clear()
                self.done = True
                shown = line[:_EXCERPT].decode(errors="replace").strip()
                raise DecodeError(f"{self._path}, line {self._taken}: no event: {exc}", excerpt=shown) from None
            if event is not None:
                return event
        return None


def recorded(path: str | os.PathLike[str]) -> Generator[InputEvent, None, None]:
    """Give the events of a recording, as fast as they can be read; blocks while it reads.

    ``for edge in signals.edges(recorded("run.jsonl")): …``

    Args:
        path: The file: ``.jsonl``, ``.ndjson`` or ``.csv``, see `recording`.

    Raises:
        InvalidArgumentError: The name says no format.
        DecodeError: A line holds no event; a last one that was cut is left out, with a warning.
        OSError: The file cannot be read.
    """
    return _recorded(Reading(Path(path)))


def _recorded(reading: Reading) -> Generator[InputEvent, None, None]:
    while not reading.done:
        reading.read()
        while (event := reading.take()) is not None:
            yield event


class Replay:
    """Gives the events of a recording again, with their spacing: an `EventSource`, for `InputReactor.attach` too.

    ``async for event in Replay("run.jsonl", speed=10): …``

    Each event comes as long after the first as its time says, divided by the speed; one whose time is before that of
    an earlier one comes at once. Who takes them late gets them late, and without further pause until the spacing is
    kept again. Each iteration begins at the beginning; a wait that is given up loses nothing.

    Args:
        path: The file: ``.jsonl``, ``.ndjson`` or ``.csv``, see `recording`.
        speed: How many times as fast; None, or infinity, as fast as they are taken.

    Raises:
        InvalidArgumentError: The name says no format, or the speed is not over 0.
    """

    def __init__(self, path: str | os.PathLike[str], *, speed: float | None = 1.0) -> None:
        if speed is not None and not speed > 0:
            raise InvalidArgumentError(f"speed: over 0, or None, not {speed!r}")
        self.path = Path(path)
        self._speed = math.inf if speed is None else speed
        self._devices: dict[str, None] = {}
        format_of(self.path)

    @property
    def devices(self) -> Collection[str]:
        """The ids of the devices whose events it has given so far."""
        return self._devices.keys()

    def __aiter__(self) -> AsyncIterator[InputEvent]:
        """Iterate over the events, from the first on.

        Raises:
            DecodeError: A line holds no event; a last one that was cut is left out, with a warning.
            OSError: The file cannot be read.
        """
        return _Replaying(Reading(self.path), self._speed, self._devices)


class _Replaying(Iteration[InputEvent]):
    """One iteration of a replay."""

    def __init__(self, reading: Reading, speed: float, devices: dict[str, None]) -> None:
        self._reading = reading
        self._speed = speed
        self._devices = devices
        self._event: InputEvent | None = None  # the next one
        self._began: tuple[float, int] | None = None  # by the local clock, by that of the events
        self._guard = anyio.ResourceGuard("iterating over")

    async def _next(self) -> InputEvent:
        with self._guard:
            while self._event is None:
                self._event = self._reading.take()
                if self._event is None:
                    if self._reading.done:
                        raise StopAsyncIteration
                    await self._read()
            await self._until_due(self._event.timestamp_ms)
            event, self._event = self._event, None
            self._devices[event.device_id] = None
            return event

    async def _read(self) -> None:
        # In a child, so that no cancellation can leave the thread behind.
        await run_in_child(lambda: anyio.to_thread.run_sync(self._reading.read))

    async def _until_due(self, time_ms: int) -> None:
        if self._began is None:
            self._began = anyio.current_time(), time_ms
        began, first_ms = self._began
        due = began + (time_ms - first_ms) / 1000 / self._speed
        if due > anyio.current_time():
            await anyio.sleep_until(due)
