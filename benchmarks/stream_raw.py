"""The least that streams can cost: a socket for each, a deque, and one consumer that waits on one future.

It knows no errors, no limits, and no other framing than that of ``stream_server.py``.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Self

from littlebits_async.sse import Decoder, Message
from littlebits_async.wire import inputs

from .stream_client import HEADERS, Peer, Reading, event_of

__all__ = ["Raw", "RawOrjson"]


class Merge:
    """The least that brings events from many callbacks to one consumer."""

    def __init__(self) -> None:
        self._events: deque[Reading] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def push(self, event: Reading) -> None:
        """Add an event."""
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Hand each event on."""
        events = self._events
        loop = asyncio.get_running_loop()
        while True:
            while events:
                take(events.popleft())
            self._waiter = loop.create_future()
            await self._waiter


class Raw(Peer):
    """Sockets, and our decoder."""

    async def __aenter__(self) -> Self:
        """Connect all sockets at once."""
        self._merge = Merge()
        self._transports: list[asyncio.Transport] = []
        self._opening = [asyncio.create_task(self._open(device_id)) for device_id in self.target.ids]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close them."""
        for task in self._opening:
            task.cancel()
        for transport in self._transports:
            transport.abort()
        await asyncio.gather(*self._opening, return_exceptions=True)

    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Take from the deque."""
        await self._merge.consume(take)

    async def _open(self, device_id: str) -> None:
        target = self.target
        lines = [
            f"GET {target.path(device_id)} HTTP/1.1",
            f"Host: {target.host}:{target.port}",
            *map(": ".join, HEADERS.items()),
            "",
            "",
        ]
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: RawStream(self.reading(device_id), self.tell_broken),
                target.host,
                target.port,
                ssl=target.context,
            )
        except OSError as exc:
            self.tell_broken(exc)
        else:
            self._transports.append(transport)
            transport.write("\r\n".join(lines).encode())

    def reading(self, device_id: str) -> Callable[[bytes], None]:
        """Return what takes the body of one stream."""
        feed, read, push = Decoder().feed, inputs(device_id).read, self._merge.push

        def take(data: bytes) -> None:
            for item in feed(data):
                if isinstance(item, Message) and (event := read(item.data)) is not None:
                    push(event)

        return take


class RawOrjson(Raw):
    """Sockets, orjson, and an attrs class of three fields."""

    packages: ClassVar[tuple[str, ...]] = ("orjson",)

    def reading(self, device_id: str) -> Callable[[bytes], None]:  # noqa: ARG002 - the event says it too
        """Return what takes the body of one stream."""
        from orjson import loads  # noqa: PLC0415 - an option

        push = self._merge.push
        rest = b""

        def take(data: bytes) -> None:
            nonlocal rest
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                push(event_of(loads(event[5:])))

        return take


class RawStream(asyncio.BufferedProtocol):
    """One socket: skips the head, undoes the chunks."""

    _buffer: ClassVar = memoryview(bytearray(1 << 16))
    """One for all: what is read is used at once."""

    def __init__(self, take: Callable[[bytes], None], end: Callable[[BaseException | None], None]) -> None:
        self._take = take
        self._end = end
        self._rest = b""
        self._in_head = True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the interface
        """Return where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        data = bytes(self._buffer[:nbytes])
        if self._rest:
            data, self._rest = self._rest + data, b""
        if self._in_head:
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return
            assert head.startswith(b"HTTP/1.1 200"), head  # noqa: S101 - else the figures mean nothing
            self._in_head = False
            data = body
        end = data.find(b"\r\n")
        if end > 0 and end + 4 + int(data[:end], 16) == len(data):  # one chunk, one read
            self._take(data[end + 2 : -2])
            return
        begin = 0
        parts: list[bytes] = []
        while (end := data.find(b"\r\n", begin)) >= 0:
            stop = end + 2 + int(data[begin:end], 16)
            if stop + 2 > len(data):
                break
            parts.append(data[end + 2 : stop])
            begin = stop + 2
        self._rest = data[begin:]
        self._take(b"".join(parts))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of it."""
        self._end(exc)
