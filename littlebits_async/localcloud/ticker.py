"""One task that gives every bit its turns: a thousand bits share its wake-ups."""

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable
from typing import Final, Protocol

import anyio

__all__ = ["Tick", "Ticker"]

_GRAIN: Final = 0.005
"""Seconds between two wake-ups at least; turns due in between are taken together, and late by this."""


class Tick(Protocol):
    """What takes turns."""

    @property
    def due(self) -> float:
        """When the next turn is due, in the ticker's time; infinity for never."""
        ...

    def tick(self, now: float) -> None:
        """Take the turn, and move `due` to the next one."""
        ...


class Ticker:
    """The turns to come, the nearest first.

    Args:
        clock: The time in seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._turns: list[tuple[float, int, Tick]] = []
        self._order = itertools.count()
        self._sooner = asyncio.Event()

    def plan(self, item: Tick) -> None:
        """Note that an item's `due` has changed; what was planned for it before is void."""
        if item.due == math.inf:
            return
        if not self._turns or item.due < self._turns[0][0]:
            self._sooner.set()
        heapq.heappush(self._turns, (item.due, next(self._order), item))

    async def run(self) -> None:
        """Give turns until cancelled."""
        self._sooner = asyncio.Event()  # belongs to the loop that runs, and a cloud may run again in another
        while True:
            self._sooner.clear()
            self._take_turns(self.clock())
            wait = max(self._turns[0][0] - self.clock(), _GRAIN) if self._turns else math.inf
            with anyio.move_on_after(wait):
                await self._sooner.wait()

    def _take_turns(self, now: float) -> None:
        while self._turns and self._turns[0][0] <= now:
            due, _, item = heapq.heappop(self._turns)
            if item.due == due:  # else it has been planned anew
                item.tick(now)
                self.plan(item)
