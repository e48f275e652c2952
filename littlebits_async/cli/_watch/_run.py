"""Reads the streams, and has somebody look on."""

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

import anyio
from attrs import define, field, frozen

from ...budget import BudgetReport
from ...dashboard import Board
from ...models import InputEvent, InputGap, StreamStatus
from ...reactor import InputReactor
from ...session import Session
from .._account import open_session
from .._targets import find

__all__ = ["Scene", "Watcher", "run"]


@frozen
class Scene:
    """What is to be seen at one moment.

    Attributes:
        board: The devices.
        now: The time, as the board has it.
        budget: Where the budget stands.
    """

    board: Board
    now: float
    budget: BudgetReport


class Watcher(Protocol):
    """Who looks on, while it is entered."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        ...

    def __enter__(self) -> Self:
        """Begin to look."""
        ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def tell(self, board: Board, item: InputEvent | InputGap | StreamStatus) -> None:
        """Something happened."""
        ...

    def show(self, scene: Scene) -> None:
        """Show how things are."""
        ...

    def finish(self, scene: Scene) -> None:
        """Tell how things were in the end."""
        ...


async def run(names: Sequence[str], watcher: Watcher, scope: anyio.CancelScope, seconds: float | None) -> None:
    """Watch until the scope is cancelled, or for so many seconds."""
    async with open_session() as session:
        show = _Show(session, watcher)
        with scope:
            show.board.set_devices(await find(session, names, ids_suffice=False))
            if seconds is not None:
                scope.deadline = anyio.current_time() + seconds
            with _quiet(), watcher:
                await show.run()
        if show.board.cards:
            watcher.finish(await show.scene())


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Have the reactor log no states: the watcher tells of each, and lines would tear a screen."""
    log = logging.getLogger("littlebits_async.reactor")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@define
class _Show:
    session: Session
    watcher: Watcher
    board: Board = field(factory=Board)

    async def run(self) -> None:
        devices = [card.device for card in self.board.cards.values()]
        async with InputReactor(self.session, devices) as reactor, anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            tasks.start_soon(self._follow, reactor)
            async for item in reactor.with_gaps():
                self.board.add(item, time.monotonic())
                self.watcher.tell(self.board, item)

    async def scene(self) -> Scene:
        return Scene(self.board, time.monotonic(), await self.session.budget.report())

    async def _follow(self, reactor: InputReactor) -> None:
        async for status in reactor.changes():
            self.board.note(status, reconnects=reactor.device_stats(status.device_id).reconnects)
            self.watcher.tell(self.board, status)

    async def _look(self) -> None:
        while True:
            self.watcher.show(await self.scene())
            await anyio.sleep(self.watcher.interval)
