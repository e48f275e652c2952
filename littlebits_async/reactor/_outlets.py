"""Where the events of a reactor go: its own iteration, and whoever listens besides."""

import logging
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Final, Self

import anyio

from .._iteration import Iteration
from ..buffer import Overflow, make_buffer
from ..models import InputEvent
from ._channel import Channel
from ._reader import Entry, Reader

__all__ = ["LAG_AFTER", "Listener", "Outlet", "Outlets"]

LAG_AFTER: Final = 5.0
"""Seconds for which a buffer is full, look for look, until its consumer counts as lagging."""

_log = logging.getLogger("littlebits_async.reactor")


class Outlet:
    """A way out for some devices' events.

    Args:
        reader: Who takes them.
        name: Of what it is, for the log.
        devices: Whose events; None for all.
    """

    def __init__(self, reader: Reader, name: str, devices: Collection[str] | None = None) -> None:
        self.reader = reader
        self.channel = reader.channel
        self.name = name
        self.closed = False
        self.devices = devices
        self._full_since: float | None = None
        self._lag_told = False

    async def put(self, key: str, entry: Entry) -> None:
        """Pass an event on; wait for room."""
        if self.closed:
            return  # whoever listened has left since
        await self.reader.channel.put(key, entry, mergeable=entry.event.delta is None)

    def sweep(self, now: float) -> None:
        """Look whether its consumer lags, and warn of it once."""
        buffer = self.reader.channel.buffer
        if not buffer.full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        elif not self._lag_told and now - self._full_since >= LAG_AFTER:
            self._lag_told = True
            _log.warning("%s lags: its %d events have been full for %.0f s", self.name, buffer.capacity, LAG_AFTER)


class Outlets:
    """All ways out.

    The reactor's own iteration is one, from the start where nobody listens, and else from when it is begun: it would
    hold up everybody who listens if nobody took from it.

    Args:
        own: The reactor's own.
    """

    def __init__(self, own: Outlet) -> None:
        self._own = own
        self._own_begun = False
        self._listening: list[Outlet] = []
        self._open = [own]

    def begin_own(self) -> None:
        """Let the reactor's own iteration take part from now on."""
        self._own.name = f"the iteration over an InputReactor in task {anyio.get_current_task().name!r}"
        if not self._own_begun:
            self._own_begun = True
            self._choose()

    def __iter__(self) -> Iterator[Outlet]:
        return iter([self._own, *self._listening])

    def sweep(self, now: float) -> None:
        """Look whether any consumer lags."""
        for outlet in self._open:
            outlet.sweep(now)

    def add(self, outlet: Outlet) -> None:
        """Add one who listens."""
        self._listening.append(outlet)
        self._choose()
        if not self._own_begun:
            self._own.reader.channel.clear()

    def discard(self, outlet: Outlet) -> None:
        """Take one away who listened."""
        outlet.closed = True
        self._listening.remove(outlet)
        self._choose()
        outlet.reader.channel.clear()

    def offer(self, key: str, entry: Entry) -> list[Outlet]:
        """Pass an event on, and return those that have no room for it."""
        mergeable = entry.event.delta is None
        crowded: list[Outlet] = []
        for outlet in self._open:
            if (outlet.devices is None or key in outlet.devices) and not outlet.channel.offer(
                key, entry, mergeable=mergeable
            ):
                crowded.append(outlet)  # noqa: PERF401 - a comprehension is one call more for each event
        return crowded

    def forget(self, device_id: str) -> None:
        """Drop what a device has queued."""
        for outlet in self:
            outlet.reader.forget(device_id)

    def wake(self) -> None:
        """Have everybody look again."""
        for outlet in self:
            outlet.reader.channel.wake()

    def _choose(self) -> None:
        own = [self._own] if self._own_begun or not self._listening else []
        self._open = own + self._listening


class Listener(Iteration[InputEvent]):
    """The events of some devices of a reactor, beside its own iteration; opened by ``async with``, ended with it.

    Args:
        outlets: Where to listen.
        devices: Whose events; None for all.
        buffer: The number of events held.
        overflow: What happens to one more.
        on_drop: Is told of each event that is dropped for want of room.
        check: Raises what there is to raise when no event is there.
    """

    def __init__(
        self,
        outlets: Outlets,
        *,
        devices: Collection[str] | None,
        buffer: int,
        overflow: Overflow,
        on_drop: Callable[[str], None] | None,
        check: Callable[[], None],
    ) -> None:
        self._outlets = outlets
        self._reader = Reader(Channel[Entry](make_buffer(buffer, overflow), check))
        self._reader.channel.buffer.on_drop = on_drop
        self._outlet = Outlet(self._reader, "a listener", devices)
        self._listening = False

    async def __aenter__(self) -> Self:
        self._outlet.name = f"a listener in task {anyio.get_current_task().name!r}"
        self._outlets.add(self._outlet)
        self._listening = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def dropped(self) -> int:
        """How many events its overflow policy dropped."""
        return self._reader.channel.buffer.dropped

    async def _next(self) -> InputEvent:
        if not self._listening:
            raise RuntimeError("listen with `async with` first")
        return await self._reader.event()

    async def aclose(self) -> None:
        """Listen no more."""
        self._ended = True
        if self._listening:
            self._listening = False
            self._outlets.discard(self._outlet)
