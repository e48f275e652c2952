"""Recorder: events to a file."""

import io
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from ..errors import InvalidArgumentError, SessionClosedError
from ..models import InputEvent
from ._formats import UnreadableError, format_of

__all__ = ["Recorder"]

_log: Final = logging.getLogger("littlebits_async.recording")
_BLOCK: Final = 64 * 1024


class Recorder:
    """Writes events to a file, behind those that are there.

    ``with Recorder("run.jsonl") as recorder: recorder.write(event)``

    Writing blocks, and that is meant: a line goes to the system's memory in microseconds, which is less than a thread
    costs, and is safe there when the program is killed. For a disk across a slow network, use a thread of your own.

    Args:
        path: The file, made where there is none: ``.jsonl``, ``.ndjson`` or ``.csv``, see `recording`. One recorder at
            a time may write to it.

    Attributes:
        path: The file.
        events: Events written so far, by this recorder.

    Raises:
        InvalidArgumentError: The name says no format; on entering: what is there is no recording of that format.
        OSError: On entering and writing: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.events = 0
        self._format = format_of(self.path)
        self._file: io.FileIO | None = None
        self._end = 0

    def __enter__(self) -> Self:
        if self._file is not None:
            raise SessionClosedError(f"{self.path}: a recorder can be entered once")
        file = self._file = io.FileIO(os.fspath(self.path), "a+")  # an error of a Path's would show its repr
        try:
            self._mend(file)
        except BaseException:
            file.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def write(self, event: InputEvent) -> None:
        """Write an event; it is in the file when this returns.

        Raises:
            InvalidArgumentError: It could not be read again, as its percent is not finite, say.
            SessionClosedError: The recorder is not open.
            OSError: It could not be written, and the file is as it was before.
        """
        if self._file is None or self._file.closed:
            raise SessionClosedError(f"{self.path}: the recorder is not open")
        self._append(self._file, self._format.encode(event))
        self.events += 1

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _append(self, file: io.FileIO, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:  # a disk that gets full takes a part first
                left = left[file.write(left) :]
        except OSError:
            file.truncate(self._end)
            raise
        self._end += len(line)

    def _mend(self, file: io.FileIO) -> None:
        """Find where the file ends, without a last line that was cut; refuse what is no recording."""
        self._end = size = file.seek(0, os.SEEK_END)
        if size == 0:
            self._append(file, self._format.header)
            return
        last = _last_line(file, size)
        self._check(_first_line(file), is_only=len(last) == size)
        if not last:
            return
        if self._format.is_whole(last):
            self._append(file, b"\n")
            return
        _log.warning("%s: the last line was cut, and is removed", self.path)
        self._end = file.truncate(size - len(last))
        if self._end == 0:
            self._append(file, self._format.header)

    def _check(self, first: bytes, *, is_only: bool) -> None:
        try:
            self._format.begin(first, to_append=True)
        except UnreadableError as exc:
            # A first line may have been cut too; nothing else is taken for one, as it would be removed.
            beginning = self._format.beginning
            if not (is_only and (first.startswith(beginning) or beginning.startswith(first))):
                raise InvalidArgumentError(f"{self.path} is there, and is no recording to go on: {exc}") from None


def _first_line(file: io.FileIO) -> bytes:
    file.seek(0)
    return file.read(_BLOCK).split(b"\n", 1)[0]


def _last_line(file: io.FileIO, size: int) -> bytes:
    """Return what stands behind the last line end; nothing, mostly."""
    last = b""
    while len(last) < size:
        begin = max(0, size - len(last) - _BLOCK)
        file.seek(begin)
        block = file.read(size - len(last) - begin)
        _, found, rest = block.rpartition(b"\n")
        last = rest + last
        if found:
            break
    return last
