"""What the consumer of ``stream.py`` does with its events: it counts them, and looks at each."""

import asyncio
import time
from collections.abc import Callable, Iterable

from .stream_client import Reading
from .stream_server import EPOCH_MS

__all__ = ["Tally"]


class Tally:
    """Counts what the consumer gets, and sees that it is what was sent.

    Args:
        ids: The devices.
        next_round: Called when all events of a round are there.

    Attributes:
        taken: How many events there were.
        wrong: How many of them were not the next of their device.
        times: Where it is a list: the device, number and time of each event, as `time.monotonic_ns` has it.
    """

    def __init__(self, ids: Iterable[str], next_round: Callable[[], None]) -> None:
        self._next = dict.fromkeys(ids, 0)
        self._next_round = next_round
        self._left = self._each_round = self._rounds_left = 0
        self._done: asyncio.Future[None] | None = None
        self.taken = 0
        self.wrong = 0
        self.times: list[tuple[str, int, int]] | None = None

    def expect(self, events: int, rounds: int = 1) -> asyncio.Future[None]:
        """Expect so many events in each of so many rounds; the future has a result when they are there."""
        self._left = self._each_round = events
        self._rounds_left = rounds
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def take(self, reading: Reading) -> None:
        """Take an event."""
        device_id = reading.device_id
        number = reading.timestamp_ms - EPOCH_MS
        if self._next[device_id] != number:
            self.wrong += 1
        self._next[device_id] = number + 1
        if self.times is not None:
            self.times.append((device_id, number, time.monotonic_ns()))
        self.taken += 1
        self._left -= 1
        if not self._left:
            self._end_round()

    def _end_round(self) -> None:
        assert self._done is not None  # noqa: S101 - something is expected
        self._rounds_left -= 1
        self._next_round()
        if self._rounds_left:
            self._left = self._each_round
        elif not self._done.done():
            self._done.set_result(None)
