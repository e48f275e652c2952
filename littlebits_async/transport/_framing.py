"""Where a body lies among the bytes that follow its head: chunked, of a told length, or all there is. No I/O.

What the bytes mean does not depend on how they were cut. Judged as h11 judges, in its words, so that it makes no
difference who reads a body; only of trailers h11 judges some names as well, and both bound lines, each by its own.

Source: RFC 9112, sections 6 and 7.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol

__all__ = ["Chunked", "Framing", "Sized", "UntilClose", "framing_of"]

_LONGEST_LINE: Final = 16 * 1024
"""Bytes of a chunk's header, or of all trailers; nobody sends more who means well."""

_TOO_LONG: Final = "Receive buffer too long"
_CUT_SHORT: Final = "peer closed connection without sending complete message body"
_HEADER: Final = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;.*)?[ \t]*")
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_FIELD: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+:(?:[^\0\s]|[ \t])*")


class Framing(Protocol):
    """What tells a body's bytes from those around them.

    Attributes:
        over: Whether nothing of the body is to come: it was complete, or there is an error.
        error: What is wrong with it, if anything.
    """

    over: bool
    error: str | None

    def decode(self, data: bytes) -> bytes:
        """Take the next bytes of the connection, and return those of the body among them; what is wrong comes after."""
        ...

    def close(self) -> None:
        """Take note that the connection has ended."""
        ...


def framing_of(headers: Mapping[str, str]) -> Framing:
    """Return the framing that a response's headers tell, which httpcore has checked."""
    if "transfer-encoding" in headers:
        return Chunked()
    if (length := headers.get("content-length")) is not None:
        return Sized(int(length))
    return UntilClose()


class Chunked:
    """A body in chunks, each behind its size."""

    __slots__ = ("_before_chunk", "_behind_chunk", "_held", "_in_trailers", "_left", "error", "over")

    def __init__(self) -> None:
        self.over = False
        self.error: str | None = None
        self._before_chunk = True
        self._left = 0  # of the chunk at hand
        self._behind_chunk = False  # where its line end belongs
        self._in_trailers = False
        self._held = b""  # a line, or the trailers, as far as they came

    def decode(self, data: bytes) -> bytes:
        """Take the next bytes."""
        if self._before_chunk:
            # One read, one chunk: nearly all that ever comes. What follows would say the same, later.
            start = data.find(b"\r\n", 0, 18) + 2
            size = len(data) - start - 2
            if size > 0 and data[: start - 2] == b"%x" % size and data.endswith(b"\r\n"):
                return data[start:-2]
        return self._decode(data)

    def close(self) -> None:
        """Take note that the connection has ended."""
        if self._held and not self._behind_chunk:
            self._fail("peer unexpectedly closed connection")
        elif not self.over:
            self._fail(f"{_CUT_SHORT} (incomplete chunked read)")

    def _decode(self, data: bytes) -> bytes:
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end and not self.over:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._behind_chunk = not self._left
            elif self._behind_chunk:
                ending = data[at : at + 2]
                if ending == b"\r\n":
                    at += 2
                    self._behind_chunk = False
                elif ending == b"\r":
                    self._held = ending
                    break
                else:
                    self._fail("malformed chunk footer")
            elif self._in_trailers:
                self._take_trailers(data[at:])
                break
            else:
                at = self._take_header(data, at)
        self._before_chunk = not (self._left or self._behind_chunk or self._held or self._in_trailers)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_header(self, data: bytes, at: int) -> int:
        """Take a chunk's header, and return where its chunk begins; the end of what is there where there is none."""
        line_end = data.find(b"\r\n", at)
        behind = len(data) if line_end < 0 else line_end + 2
        if behind - at > _LONGEST_LINE:
            self._fail(_TOO_LONG)
        elif line_end < 0:
            self._held = data[at:]
        elif (header := _HEADER.fullmatch(data, at, line_end)) is None:
            self._fail("illegal chunk header")
        else:
            self._left = int(header[1], 16)
            self._in_trailers = not self._left
        return behind

    def _take_trailers(self, data: bytes) -> None:
        blank = _BLANK_LINE.search(data)
        if data.startswith((b"\n", b"\r\n")):
            self.over = True
        elif (len(data) if blank is None else blank.end()) > _LONGEST_LINE:
            self._fail(_TOO_LONG)
        elif blank is None:
            self._held = data
        else:
            lines = _FOLD.sub(b" ", data[: blank.start()]).split(b"\n")
            self.over = True
            if not all(_FIELD.fullmatch(line.removesuffix(b"\r")) for line in lines):
                self._fail("illegal header line")

    def _fail(self, error: str) -> None:
        self.over = True
        self.error = error


class Sized:
    """A body of a length that was told."""

    __slots__ = ("_left", "_size", "error", "over")

    def __init__(self, size: int) -> None:
        self.over = not size
        self.error: str | None = None
        self._size = self._left = size

    def decode(self, data: bytes) -> bytes:
        """Take the next bytes."""
        data = data[: self._left]
        self._left -= len(data)
        self.over = not self._left
        return data

    def close(self) -> None:
        """Take note that the connection has ended."""
        if not self.over:
            self.over = True
            self.error = f"{_CUT_SHORT} (received {self._size - self._left} bytes, expected {self._size})"


class UntilClose:
    """A body that ends with its connection."""

    __slots__ = ("error", "over")

    def __init__(self) -> None:
        self.over = False
        self.error: str | None = None

    def decode(self, data: bytes) -> bytes:
        """Take the next bytes."""
        return data

    def close(self) -> None:
        """Take note that the connection has ended."""
        self.over = True
