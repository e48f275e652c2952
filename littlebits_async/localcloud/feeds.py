"""The way of one bit's input to those who read it: when a reading is due, and who gets it.

No I/O: times are passed in, and a reader is a bounded queue that an answer in `streams` empties. A bit is read only
while somebody reads or follows it. A reading is encoded once, whoever gets it.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from .ticker import Ticker

__all__ = ["BLANK_LINE", "MAX_WAITING", "Feed", "Reader", "Source"]

BLANK_LINE: Final = b"\n"
"""What keeps a silent stream alive: old clients die on a comment, and skip a blank line."""

MAX_WAITING: Final = 64
"""Events that may wait for a reader, beyond what its connection has taken; one more and it is dropped."""


class Reader:
    """The events that wait for one open stream.

    Args:
        drop: Cuts the connection; called at most once, when the reader does not read.
        owner: The digest of the token that it was opened with.
    """

    def __init__(self, drop: Callable[[], None], owner: str = "") -> None:
        self.drop = drop
        self.owner = owner
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    def push(self, chunk: bytes) -> None:
        """Let a chunk wait; too many, and the reader is dropped."""
        if self._ended:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.end()
            self.drop()
            return
        self._waiting.append(chunk)
        self._changed.set()

    def end(self) -> None:
        """End the stream after what waits already."""
        self._ended = True
        self._changed.set()

    async def next(self) -> bytes:
        """Wait for chunks and give all there are, joined; nothing at the end."""
        if not self._waiting and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        chunks = b"".join(self._waiting)
        self._waiting.clear()
        return chunks


class Source(Protocol):
    """What a feed is fed by: a bit."""

    @property
    def is_connected(self) -> bool:
        """Whether there are readings at all."""
        ...

    @property
    def is_followed(self) -> bool:
        """Whether somebody is told of readings even if no stream is open."""
        ...

    @property
    def input_interval(self) -> float:
        """Seconds between two readings."""
        ...

    def read(self) -> bytes:
        """Take a reading, tell the followers, and give it as an event of a stream."""
        ...


class Feed:
    """One bit's open streams, and the turns at which they get something.

    Args:
        source: The bit.
        ticker: Gives the turns.
        blank_line_every: Seconds of silence after which a stream gets a blank line.

    Attributes:
        readers: The open streams.
        due: When there is something to do again.
        sent: How many events all streams were given so far.
    """

    def __init__(self, source: Source, ticker: Ticker, *, blank_line_every: float) -> None:
        self.readers: set[Reader] = set()
        self.due = math.inf
        self.sent = 0
        self._source = source
        self._ticker = ticker
        self._blank_line_every = blank_line_every
        self._newest = b""
        self._read_at = -math.inf
        self._said_at = -math.inf

    def open(self, reader: Reader) -> None:
        """Add a reader; it gets the newest reading at once, the very same that others got if that is not yet old."""
        if not self.readers:
            self._said_at = self._ticker.clock()
        self.readers.add(reader)
        if self._source.is_connected and self._ticker.clock() < self._next_reading:
            reader.push(self._newest)
            self.sent += 1
        self.refresh()

    def close(self, reader: Reader) -> None:
        """Remove a reader."""
        self.readers.discard(reader)
        self.refresh()

    def refresh(self, *, anew: bool = False) -> None:
        """See what is due after a change to the bit.

        Args:
            anew: Take a reading now even if the last one is not yet old.
        """
        if anew:
            self._read_at = -math.inf
        before = self.due
        self.tick(self._ticker.clock())
        if self.due != before:
            self._ticker.plan(self)

    def tick(self, now: float) -> None:
        """Do what is due, and find out when there is more to do."""
        is_read = self._source.is_connected and bool(self.readers or self._source.is_followed)
        if is_read and now >= self._next_reading:
            # On a steady beat, unless a beat was missed altogether.
            on_beat = now < self._next_reading + self._source.input_interval
            self._read_at = self._next_reading if on_beat else now
            self._newest = self._source.read()
            self._say(self._newest, now)
            self.sent += len(self.readers)
        elif self.readers and now >= self._said_at + self._blank_line_every:
            self._say(BLANK_LINE, now)
        self.due = min(
            self._next_reading if is_read else math.inf,
            self._said_at + self._blank_line_every if self.readers else math.inf,
        )

    @property
    def _next_reading(self) -> float:
        return self._read_at + self._source.input_interval

    def _say(self, chunk: bytes, now: float) -> None:
        self._said_at = now
        for reader in self.readers:
            reader.push(chunk)
