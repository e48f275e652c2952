"""A progress bar."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars

from ._progress import waits

__all__ = ["ProgressBar"]


class ProgressBar:
    """Shows a bar, and how long the budget is waited for; it is gone when the work is done.

    Args:
        what: What is done.
    """

    def __init__(self, what: str) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("[yellow]{task.fields[wait]}"),
            console=Console(stderr=True),
            transient=True,
            # What is printed meanwhile goes above the bar, unless it goes to a file.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._bars.add_task(what, total=None, wait="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, done: int, total: int, wait: float) -> None:
        """Draw it anew."""
        self._bars.update(self._task, completed=done, total=total or None, wait=waits(wait), refresh=True)
