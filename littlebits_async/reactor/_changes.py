"""The changes of many streams' states, for whoever watches them."""

from collections.abc import Callable, Iterable
from weakref import WeakSet

import anyio

from .._iteration import Iteration
from ..models import StreamStatus
from ..stream import StreamMachine

__all__ = ["Changes", "Watchers"]


class Changes(Iteration[StreamStatus]):
    """The statuses of devices as they change, beginning with the present ones.

    A device that changes faster than it is looked at is told once, with its newest status.
    """

    def __init__(self, machines: Iterable[StreamMachine], status: Callable[[StreamMachine], StreamStatus]) -> None:
        self._status = status
        self._pending = {machine.device_id: machine for machine in machines}
        self._news = anyio.Event()
        self._over = False
        self._guard = anyio.ResourceGuard("iterating over")

    def note(self, machine: StreamMachine) -> None:
        """Take note that a machine changed."""
        self._pending[machine.device_id] = machine
        self._news.set()

    def end(self) -> None:
        """Let the iteration end when what is pending was told."""
        self._over = True
        self._news.set()

    async def _next(self) -> StreamStatus:
        with self._guard:
            while not self._pending:
                if self._over or self._ended:
                    raise StopAsyncIteration
                self._news = anyio.Event()
                await self._news.wait()
            device_id = next(iter(self._pending))
            return self._status(self._pending.pop(device_id))

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too."""
        await super().aclose()
        self._pending.clear()
        self._news.set()


class Watchers:
    """Everyone who watches; an iteration that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._watching: WeakSet[Changes] = WeakSet()

    def add(self, changes: Changes) -> Changes:
        """Tell one more."""
        self._watching.add(changes)
        return changes

    def note(self, machine: StreamMachine) -> None:
        """Tell all that a machine changed."""
        for changes in self._watching:
            changes.note(machine)

    def end(self) -> None:
        """Tell all that there is no more to come."""
        for changes in self._watching:
            changes.end()
