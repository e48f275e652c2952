"""Events to lines and back; no I/O."""

import csv
import io
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from attrs import asdict

from ..errors import InvalidArgumentError
from ..models import AccessPoint, InputEvent

__all__ = ["Format", "UnreadableError", "format_of"]


class UnreadableError(ValueError):
    """A line that holds no event."""


class Format(ABC):
    """A way to write events, a line each.

    Attributes:
        header: The line that a file begins with before its events; empty for none.
        beginning: How every file of ours begins.
    """

    header: bytes = b""
    beginning: bytes

    def encode(self, event: InputEvent) -> bytes:
        """Write an event as a line.

        Raises:
            InvalidArgumentError: It could not be read again.
        """
        try:
            _check(event)
            return self._encode(event)
        except (ValueError, OverflowError, msgspec.EncodeError) as exc:  # UnicodeEncodeError is a ValueError
            raise InvalidArgumentError(f"an event of device {event.device_id!a} cannot be written: {exc}") from None

    def decode(self, line: bytes) -> InputEvent | None:
        """Read a line, without or with its end; None where it is blank.

        Raises:
            UnreadableError: It holds no event.
        """
        text = line.rstrip(b"\r\n")
        if not text.strip():
            return None
        try:
            event = self._decode(text)
            _check(event)
        except (ValueError, OverflowError, csv.Error) as exc:
            raise UnreadableError(str(exc)) from None
        except RecursionError:
            raise UnreadableError("JSON nested too deeply") from None
        return event

    @abstractmethod
    def _encode(self, event: InputEvent) -> bytes: ...

    @abstractmethod
    def _decode(self, line: bytes) -> InputEvent: ...

    @abstractmethod
    def begin(self, first: bytes, *, to_append: bool = False) -> bool:
        """Take the first line of a file, and return whether it was a header.

        Args:
            first: The line.
            to_append: Whether events are to be written below it.

        Raises:
            UnreadableError: It is neither a header nor an event.
        """

    @abstractmethod
    def is_whole(self, line: bytes) -> bool:
        """Whether a last line that lacks its end is an event nevertheless."""


class JsonLines(Format):
    """A JSON object a line."""

    beginning = b'{"device_id":'

    def _encode(self, event: InputEvent) -> bytes:
        known = asdict(event, filter=lambda _, value: value is not None)
        return msgspec.json.encode(known) + b"\n"

    def _decode(self, line: bytes) -> InputEvent:
        return msgspec.json.decode(line, type=InputEvent)

    def begin(self, first: bytes, *, to_append: bool = False) -> bool:
        del to_append
        self.decode(first)
        return False

    def is_whole(self, line: bytes) -> bool:
        try:
            return self.decode(line) is not None
        except UnreadableError:
            return False


class Csv(Format):
    """Comma separated values below a line of their names."""

    def __init__(self) -> None:
        self._names = list(_COLUMNS)
        self.header = self.beginning = _csv_line(self._names)

    def _encode(self, event: InputEvent) -> bytes:
        values = asdict(event, recurse=False)
        ap = values.pop("ap") or AccessPoint()
        values |= {f"{_AP}{name}": value for name, value in asdict(ap).items()}
        return _csv_line([_cell(name, values.get(name)) for name in self._names])

    def _decode(self, line: bytes) -> InputEvent:
        cells = _csv_cells(line)
        if len(cells) != len(self._names):
            raise UnreadableError(f"{len(self._names)} values expected, got {len(cells)}")
        values = {
            name: _value(name, cell) for name, cell in zip(self._names, cells, strict=True) if cell and name in _COLUMNS
        }
        ap = {name.removeprefix(_AP): values.pop(name) for name in list(values) if name.startswith(_AP)}
        if missing := [name for name in _REQUIRED if name not in values]:
            raise UnreadableError(f"no {missing[0]}")
        # As typed as a JSON line is, and by the same hand.
        return msgspec.convert({**values, "ap": ap or None}, InputEvent)

    def begin(self, first: bytes, *, to_append: bool = False) -> bool:
        try:
            names = _csv_cells(first.rstrip(b"\r\n").removeprefix(_BOM))
        except (ValueError, csv.Error) as exc:
            raise UnreadableError(str(exc)) from None
        if missing := [name for name in (_COLUMNS if to_append else _REQUIRED) if name not in names]:
            raise UnreadableError(f"the first line names no column {missing[0]}")
        self._names = names
        return True

    def is_whole(self, line: bytes) -> bool:
        del line  # 61.5 may have been 61.57
        return False


_AP: Final = "ap_"
_BOM: Final = b"\xef\xbb\xbf"
"""Which spreadsheets put before the first name."""
_LONGEST: Final = 131_072
"""Characters that Python's csv takes in a cell."""
_NO_TEXT: Final = ("", '"', "=", "+", "-", "@")
"""What a text cannot begin with as it is: nothing, what JSON begins with, and what a spreadsheet would compute."""
_REQUIRED: Final = ("device_id", "timestamp_ms", "percent")


def _text(cell: str) -> str:
    return msgspec.json.decode(cell, type=str) if cell.startswith('"') else cell


_COLUMNS: Final[Mapping[str, Callable[[str], object]]] = {
    "device_id": _text,
    "timestamp_ms": int,
    "percent": float,
    "absolute": int,
    "delta": _text,
    "level": _text,
    "name": _text,
    "user_id": int,
    "mac": _text,
    "ap_ssid": _text,
    "ap_mac": _text,
    "ap_strength": int,
}
"""What stands in a column."""


def _value(name: str, cell: str) -> object:
    try:
        return _COLUMNS[name](cell)
    except ValueError:
        raise UnreadableError(f"{name} cannot be {cell!r}") from None


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value)
    plain = value.isprintable() and value[:1] not in _NO_TEXT
    cell = value if plain else msgspec.json.encode(value).decode()
    if len(cell) > _LONGEST:
        raise ValueError(f"{name} has more than {_LONGEST} characters")
    return cell


def _csv_line(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _csv_cells(line: bytes) -> list[str]:
    (cells,) = csv.reader([line.decode()], strict=True)
    return cells


def _check(event: InputEvent) -> None:
    if not math.isfinite(event.percent):
        raise ValueError(f"percent is {event.percent}")
    try:
        _ = event.timestamp
    except OverflowError:
        raise ValueError(f"{event.timestamp_ms} is no time") from None


_FORMATS: Final[Mapping[str, Callable[[], Format]]] = {".jsonl": JsonLines, ".ndjson": JsonLines, ".csv": Csv}


def format_of(path: Path) -> Format:
    """Return the format that a file's name says.

    Raises:
        InvalidArgumentError: It says none.
    """
    make = _FORMATS.get(path.suffix.lower())
    if make is None:
        raise InvalidArgumentError(f"{path}: the name of a recording ends in {', '.join(_FORMATS)}")
    return make()
