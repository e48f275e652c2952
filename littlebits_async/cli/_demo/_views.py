"""How a demo is looked at."""

import sys
from types import TracebackType
from typing import Protocol, Self

from .._output import Printer
from .._terminal import is_screen
from ._lines import LinesView
from ._run import Watcher
from ._snapshot import Snapshot

__all__ = ["View", "choose_view"]


class View(Watcher, Protocol):
    """Shows a demo while it is entered, and tells what it came to after that."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def finish(self, snapshot: Snapshot) -> None:
        """Tell what it came to."""
        ...


def choose_view(say: Printer, *, plain: bool) -> View:
    """Take the live table where there is a terminal that can move its cursor, and lines elsewhere."""
    if plain or say.as_json or not is_screen(sys.stdout):
        return LinesView(say)
    from ._table import TableView  # noqa: PLC0415 - rich costs a while

    return TableView()
