"""How far long work is, on standard error: a bar for people, lines elsewhere, nothing beside JSON."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self

from ._output import Printer, complain
from ._terminal import is_screen
from ._text import duration

__all__ = ["PATIENCE", "Progress", "choose_progress", "waits"]

PATIENCE: Final = 0.5
"""Seconds that work takes before its progress is worth to be shown."""
_LINE_EVERY: Final = 10.0
_WAIT_WORTH_TELLING: Final = 1.0


class Progress(Protocol):
    """Shows how far something is, while it is entered."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def show(self, done: int, total: int, wait: float) -> None:
        """Show how far it is.

        Args:
            done: How many are done.
            total: How many there are to do, 0 where that is not known yet.
            wait: Seconds until the next request may be sent.
        """
        ...


def choose_progress(what: str, say: Printer) -> Progress:
    """Take what suits whoever looks on.

    Args:
        what: What is done.
        say: Whether it is JSON.
    """
    if say.as_json:
        return _Silence()
    if is_screen(sys.stderr):
        from ._progress_bar import ProgressBar  # noqa: PLC0415 - rich costs a while

        return ProgressBar(what)
    return ProgressLines(what)


def waits(wait: float) -> str:
    """Say how long the budget is waited for; nothing where that is not worth it."""
    return "" if wait < _WAIT_WORTH_TELLING else f"waits {duration(wait)} for the hour's requests"


class _Silence:
    """Shows nothing, and has nothing to leave."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass

    def show(self, done: int, total: int, wait: float) -> None:
        """Show nothing."""


class ProgressLines(_Silence):
    """Prints a line when the budget has to be waited for, and now and then.

    Args:
        what: What is done.
        clock: Seconds, never going back.
    """

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._said_at = clock()
        self._waited = False

    def show(self, done: int, total: int, wait: float) -> None:
        """Print a line, if it is time to."""
        now, told = self._clock(), waits(wait)
        begins_to_wait = bool(told) and not self._waited
        self._waited = bool(told)
        if not begins_to_wait and now - self._said_at < _LINE_EVERY:
            return
        self._said_at = now
        parts = [f"{done} of {total} done" if total else "", told]
        complain(f"{self._what}: {'; '.join(filter(None, parts)) or 'begins'}")
