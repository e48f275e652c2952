"""Log records as lines on standard error, without the tracebacks that some of them hold."""

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from ._text import one_line

__all__ = ["Lines", "LogLevel", "log_plainly", "log_structured"]

LogLevel = Literal["debug", "info", "warning", "error"]

_PACKAGE: Final = __name__.partition(".")[0]


def log_plainly() -> None:
    """Have warnings printed, for people; what a program has set up before stays."""
    handler = Lines(lambda record: f"littlebits: {one_line(record.getMessage())}")
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler])


def log_structured(level: LogLevel) -> None:
    """Have records printed as ``key=value`` pairs with their time, those of this package from a level on.

    Other packages are heard from warnings on: what they say below tells of headers and URLs, in which secrets stand.
    """
    logging.basicConfig(handlers=[Lines(structured)], force=True)
    logging.getLogger(_PACKAGE).setLevel(level.upper())


def structured(record: logging.LogRecord) -> str:
    """Lay a record out; one whose message is an object and no text brings pairs of its own."""
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    start = f"time={time} level={record.levelname.lower()}"
    text = one_line(record.getMessage())
    if not isinstance(record.msg, str):
        return f"{start} {text}"
    line = f"{start} logger={record.name} message={json.dumps(text, ensure_ascii=False)}"
    if record.exc_info and record.exc_info[1] is not None:
        # Its text may hold anything; where it was raised says the same, and no secret.
        error = record.exc_info[1]
        line += f" error={type(error).__name__}"
        if frames := traceback.extract_tb(error.__traceback__):
            line += f" at={Path(frames[-1].filename).name}:{frames[-1].lineno}"
    return line


class Lines(logging.Handler):
    """Prints a line for each record; of warnings that repeat, only how often.

    Args:
        layout: Makes the line.
    """

    def __init__(self, layout: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._layout = layout
        self._last: logging.LogRecord | None = None
        self._repeats = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, or count it."""
        if (
            record.levelno >= logging.WARNING
            and self._last is not None
            and record.getMessage() == self._last.getMessage()
        ):
            self._repeats += 1
            return
        self.flush()
        self._last = record
        self._print(record)

    def flush(self) -> None:
        """Tell of the repeats of the last line; called at exit as well."""
        if self._repeats and self._last is not None:
            name, level, repeats = self._last.name, self._last.levelno, self._repeats
            self._repeats = 0
            self._print(logging.LogRecord(name, level, "", 0, "(the same %d times more)", (repeats,), None))

    def _print(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self._layout(record)}\n")
            sys.stderr.flush()
        except OSError:
            pass  # whoever read it is gone; the work goes on
