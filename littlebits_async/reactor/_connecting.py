"""Who may open a stream next: so many at a time, and none while the event loop is busy."""

import time
from collections.abc import Callable
from typing import Final

import anyio
import anyio.lowlevel

__all__ = ["Connecting"]

_SHORT_TURN: Final = 0.002
"""Seconds; a turn of the event loop that takes longer has enough to do."""
_LONGEST_HOLD: Final = 0.02
"""Seconds for which one opening holds up the next, at most: a program's own work may keep its loop busy for ever."""


class Connecting:
    """The openings of a reactor's streams.

    A thousand streams that are cut at once are all opened again, and each opening is work for the event loop; a call
    waits at each of its steps until all that was ready before it had its turn. So an opening begins only when the last
    turn was a short one. Openings that wait for their servers take no turns and hold nobody up.

    Args:
        most: How many there may be at a time.
        clock: Gives the time in seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Fast, as a checkpoint follows.
        self._slots = anyio.Semaphore(most, max_value=most, fast_acquire=True)
        self._gate = anyio.Lock(fast_acquire=True)

    async def acquire(self) -> None:
        """Wait until an opening may begin; `release` must follow.

        Cancellation: it may not begin.
        """
        await self._slots.acquire()
        try:
            async with self._gate:
                turned = self._clock()
                until = turned + _LONGEST_HOLD
                while turned < until:
                    began = turned
                    await anyio.lowlevel.checkpoint()
                    turned = self._clock()
                    if turned - began <= _SHORT_TURN:
                        break
        except BaseException:
            self._slots.release()
            raise

    def release(self) -> None:
        """Let somebody else open."""
        self._slots.release()
