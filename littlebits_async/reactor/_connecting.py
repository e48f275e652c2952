"""Who may open a stream next: so many at a time, and none while the event loop is busy."""

import time
from typing import Final

import anyio
import anyio.lowlevel

__all__ = ["Connecting"]

_SHORT_TURN: Final = 0.002
"""Seconds; a turn of the event loop that takes longer has enough to do."""
_MOST_TURNS: Final = 50
"""Turns for which an opening is held up, at most: events alone may keep a loop busy for ever."""


class Connecting:
    """The openings of a reactor's streams.

    A thousand streams that are cut at once are all opened again, and each opening is work for the event loop; a call
    waits at each of its steps until all that was ready before it had its turn. So an opening begins only when the last
    turn was a short one. Openings that wait for their servers take no turns and hold nobody up.

    Args:
        most: How many there may be at a time.
    """

    def __init__(self, most: int) -> None:
        self._slots = anyio.CapacityLimiter(most)
        self._gate = anyio.Lock()

    async def acquire(self) -> None:
        """Wait until an opening may begin; `release` must follow.

        Cancellation: it may not begin.
        """
        await self._slots.acquire()
        try:
            async with self._gate:
                for _ in range(_MOST_TURNS):
                    began = time.monotonic()
                    await anyio.lowlevel.checkpoint()
                    if time.monotonic() - began <= _SHORT_TURN:
                        break
        except BaseException:
            self._slots.release()
            raise

    def release(self) -> None:
        """Let somebody else open."""
        self._slots.release()
