"""Log records as lines on standard error, without the tracebacks that some of them hold."""

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, cast

import attrs

from ._text import one_line

__all__ = ["Lines", "LogLevel", "in_json", "log_plainly", "log_structured", "structured"]

LogLevel = Literal["debug", "info", "warning", "error"]

_PACKAGE: Final = __name__.partition(".")[0]


def log_plainly() -> None:
    """Have warnings printed, for people; what a program has set up before stays."""
    handler = Lines(lambda record: f"littlebits: {one_line(record.getMessage())}")
    handler.setLevel(logging.WARNING)
    logging.basicConfig(handlers=[handler])


def log_structured(level: LogLevel, *, as_json: bool = False) -> None:
    """Have records printed as ``key=value`` pairs or as JSON, with their time, those of this package from a level on.

    Other packages are heard from warnings on: what they say below tells of headers and URLs, in which secrets stand.
    """
    logging.basicConfig(handlers=[Lines(in_json if as_json else structured)], force=True)
    logging.getLogger(_PACKAGE).setLevel(level.upper())


def structured(record: logging.LogRecord) -> str:
    """Lay a record out; one whose message is an object and no text brings pairs of its own."""
    start = f"time={_time(record)} level={record.levelname.lower()}"
    text = one_line(record.getMessage())
    if not isinstance(record.msg, str):
        return f"{start} {text}"
    line = f"{start} logger={record.name} message={json.dumps(text, ensure_ascii=False)}"
    return "".join([line, *(f" {name}={value}" for name, value in _failure(record).items())])


def in_json(record: logging.LogRecord) -> str:
    """Lay a record out as a JSON object; what brings pairs of its own stands in it with their names."""
    line: dict[str, object] = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
    message: object = record.msg  # which is text by its type, and at times is not
    if attrs.has(type(message)):
        line |= attrs.asdict(cast("attrs.AttrsInstance", message))
    else:
        line["message"] = record.getMessage()
    return json.dumps(line | _failure(record), default=str)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _failure(record: logging.LogRecord) -> dict[str, str]:
    """Name a record's error, and its place: its text may hold anything; where it was raised says no secret."""
    if not record.exc_info or (error := record.exc_info[1]) is None:
        return {}
    found = {"error": type(error).__name__}
    if frames := traceback.extract_tb(error.__traceback__):
        found["at"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    return found


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
