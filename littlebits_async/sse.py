"""Bytes to server-sent events: an incremental decoder without I/O and without a clock.

What a stream means does not depend on how its bytes were cut: any cut gives the same items, in the same order. What
is held between two reads is bounded by the decoder's limit, whatever the server sends.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "Parsing an event stream" and "Interpreting an
event stream". Two things are ours: comments are reported, and an event has a greatest size.
"""

import operator
from typing import Final

from msgspec import Struct

from .errors import InvalidArgumentError

__all__ = ["MAX_EVENT_SIZE", "Comment", "Decoder", "Item", "Message", "Oversized", "Retry"]

MAX_EVENT_SIZE: Final = 64 * 1024
"""Bytes of one event, line ends within it included, that a decoder takes unless it is told otherwise."""

_BOM: Final = b"\xef\xbb\xbf"
_COLON: Final = ord(":")
_CR: Final = ord("\r")
_LF: Final = ord("\n")
_SPACE: Final = ord(" ")
# Sixteen digits of milliseconds are more than thirty thousand years: of a longer number the front is enough.
_RETRY_DIGITS: Final = 16


# Structs, not attrs classes: built six times as fast, and one is built for each event. No item can be part of a
# reference cycle, so the garbage collector need not know of them.
class Message(Struct, frozen=True, gc=False):
    """One dispatched event.

    Attributes:
        data: Its data lines, joined by line feeds.
        event: Its type, ``message`` where the stream named none.
        last_event_id: The id in force when it was dispatched; empty where the stream set none.
    """

    data: str
    event: str = "message"
    last_event_id: str = ""


class Comment(Struct, frozen=True, gc=False):
    """A comment line, mostly a server's sign of life.

    Attributes:
        text: What follows the colon, without one leading space.
    """

    text: str


class Retry(Struct, frozen=True, gc=False):
    """The server's wish how long to wait before reconnecting.

    Attributes:
        milliseconds: The wait, not bounded here: an absurd one stays absurd.
    """

    milliseconds: int


class Oversized(Struct, frozen=True, gc=False):
    """An event was refused for its size, and skipped up to the blank line that ends it.

    Attributes:
        limit: The size in bytes that it went over.
    """

    limit: int


Item = Message | Comment | Retry | Oversized


class Decoder:
    """Decode one connection's event stream, piece by piece.

    Use a new decoder for each connection. There is no end to announce: an event that no blank line has ended is
    discarded by the standard, and goes with the decoder.

    The size of an event is that of its lines, each line end between them counted as one byte. A complete comment line
    no longer counts, so that heartbeats without blank lines never add up. A refused event leaves no id behind; what was
    reported of it before the line that was too much (comments, retries) stands.

    Args:
        max_event_size: The greatest size of an event in bytes. It bounds what is held between two reads, the last
            event's id, itself no longer than that, left out.

    Raises:
        InvalidArgumentError: ``max_event_size`` is not a positive integer.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    __slots__ = (
        "_data",
        "_event",
        "_id",
        "_limit",
        "_line",
        "_midway",
        "_next_id",
        "_raw",
        "_refusing",
        "_size",
        "_skip_lf",
        "_started",
    )

    def __init__(self, max_event_size: int = MAX_EVENT_SIZE) -> None:
        try:
            self._limit = operator.index(max_event_size)
        except TypeError:
            self._limit = 0
        if self._limit < 1:
            raise InvalidArgumentError(f"max_event_size must be a positive integer, got {max_event_size!r}")
        self._id = ""
        # The event at hand. Bytes until it is dispatched: as text they could take four times the room.
        self._line = bytearray()  # the line that no line end has ended yet
        self._data = bytearray()
        self._event = b""
        self._next_id: bytes | None = None
        self._size = 0  # without _line
        self._refusing = False
        self._midway = False  # some of an event is held, or being refused
        # What the next byte may be besides itself.
        self._started = False  # past the place of a byte order mark
        self._skip_lf = False  # behind a CR: a LF is the rest of that line end
        self._raw = True  # either of the two

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes of the stream, and return what they complete.

        Args:
            data: Any number of bytes, cut anywhere.

        Returns:
            The items in stream order: a comment or retry with the end of its line, a message with the end of the blank
            line behind it, where a CR is an end at once.
        """
        if (
            not (self._midway or self._raw)
            and data.find(b"\n") == len(data) - 2 <= self._limit
            and data[-1] == _LF
            and data[:5] == b"data:"
            and _CR not in data  # of a byte: to look for bytes costs five times as much
        ):
            # One read, one event, one line: nearly all that ever comes. What follows would say the same, later.
            return [Message(data[6 if data[5] == _SPACE else 5 : -2].decode("utf-8", "replace"), "message", self._id)]
        items: list[Item] = []
        if self._raw or _CR in data:
            data = self._normalize(data)
        if self._midway:
            head, blank, data = data.partition(b"\n\n")
            self._take_lines(head + blank, items)
        # From here `data` begins a new event, so that pairs of line ends alone tell where whole events end.
        whole, blank, tail = data.rpartition(b"\n\n")
        if blank:
            for block in whole.split(b"\n\n"):
                if block[:5] == b"data:" and _LF not in block and len(block) <= self._limit:
                    text = block[6 if block[5:6] == b" " else 5 :].decode("utf-8", "replace")
                    items.append(Message(text, "message", self._id))
                else:
                    self._take_lines(block + b"\n\n", items)
        if tail:
            self._take_lines(tail, items)
        return items

    def _normalize(self, data: bytes) -> bytes:
        """Return `data` without a byte order mark, and with LF for each line end."""
        if not data:
            return data
        if not self._started:
            data = bytes(self._line) + data
            self._line.clear()
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._line += data
                return b""
            self._started = True
            data = data.removeprefix(_BOM)
        elif self._skip_lf:
            data = data.removeprefix(b"\n")
        # A CR ends its line at once: to wait for the LF of a CRLF would hold up the last event of every burst.
        self._raw = self._skip_lf = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _take_lines(self, data: bytes, items: list[Item]) -> None:
        """Take normalized bytes line by line, and hold what follows the last line end."""
        *lines, tail = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
            for line in lines:
                self._take_line(line, items)
        if tail and not self._refusing and self._size + len(self._line) + len(tail) > self._limit:
            self._refuse(items)
        if not self._refusing:
            self._line += tail
        elif not self._line:
            self._line += tail[:1]  # enough to know, at its end, that this line is not blank
        self._midway = bool(self._line or self._size or self._refusing)

    def _take_line(self, line: bytes, items: list[Item]) -> None:
        """Interpret one complete line.

        Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
        """
        if not line:
            self._dispatch(items)
            return
        if self._refusing:
            return
        if self._size + len(line) > self._limit:
            self._refuse(items)
            return
        if line[0] == _COLON:
            items.append(Comment(line[1:].removeprefix(b" ").decode("utf-8", "replace")))
            return
        self._size += len(line) + 1
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data += value
            self._data += b"\n"
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._next_id = value
        elif name == b"retry" and value.isdigit():  # of bytes: ASCII digits only
            items.append(Retry(int(value.lstrip(b"0")[:_RETRY_DIGITS] or b"0")))

    def _dispatch(self, items: list[Item]) -> None:
        """End the event at hand with its blank line."""
        if self._next_id is not None:
            self._id = self._next_id.decode("utf-8", "replace")
        if self._data:
            event = self._event.decode("utf-8", "replace") or "message"
            items.append(Message(self._data[:-1].decode("utf-8", "replace"), event, self._id))
        self._forget()
        self._refusing = False

    def _refuse(self, items: list[Item]) -> None:
        """Let go of the event at hand, and of all that is still to come of it."""
        self._forget()
        self._refusing = True
        items.append(Oversized(self._limit))

    def _forget(self) -> None:
        self._line.clear()
        self._data.clear()
        self._event = b""
        self._next_id = None
        self._size = 0
