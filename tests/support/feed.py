"""A source of events that a test feeds by hand."""

from collections import deque
from collections.abc import Collection, Iterable

import anyio

from littlebits_async import InputEvent
from littlebits_async._iteration import Iteration  # pyright: ignore[reportPrivateUsage]


def reading(percent: float, *, at: int = 0, device: str = "bit") -> InputEvent:
    return InputEvent(device, at, percent)


class Feed(Iteration[InputEvent]):
    """Gives what is put; a wait that is given up loses nothing.

    Attributes:
        waits: How many waits for an event are going on.
        given_up: How many were given up.
    """

    def __init__(self, events: Iterable[InputEvent] = (), *, ends: bool = False) -> None:
        self.waits = 0
        self.given_up = 0
        self.closed = False
        self.devices: Collection[str] = ()
        self._events: deque[InputEvent | Exception] = deque(events)
        self._ends = ends
        self._news = anyio.Event()
        self._looks = anyio.Event()

    def put(self, *events: InputEvent | Exception) -> None:
        self._events.extend(events)
        self._news.set()

    def end(self) -> None:
        self._ends = True
        self._news.set()

    async def until_waited_for(self) -> None:
        """Wait until somebody waits, and there is nothing."""
        with anyio.fail_after(5):
            while not self.waits:
                self._looks = anyio.Event()
                await self._looks.wait()

    async def _next(self) -> InputEvent:
        while not self._events:
            if self._ends:
                raise StopAsyncIteration
            self._news = anyio.Event()
            self.waits += 1
            self._looks.set()
            try:
                await self._news.wait()
            except BaseException:
                self.given_up += 1
                raise
            finally:
                self.waits -= 1
        event = self._events.popleft()
        if isinstance(event, Exception):
            raise event
        return event

    async def aclose(self) -> None:
        self.closed = True
        await super().aclose()
