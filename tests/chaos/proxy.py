"""A TCP proxy that does harm on purpose, in the test's own event loop, asyncio or trio."""

import random
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET

import anyio
import anyio.abc
from attrs import define, field, frozen

_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@frozen
class Faults:
    """What happens to a connection.

    Attributes:
        latency: Seconds before each read is passed on, each way.
        jitter: Seconds that vary it, up and down.
        piece: Bytes that are passed on at a time; 0 as many as were read.
        stalled: Nothing is passed on, either way, and nobody is told.
        stall_after: Bytes to the client after which nothing more is passed on to it, and nobody is told.
        half_open: The server's side is reset, and the client is not told.
        refused: A new connection is reset at once.
        reset_after: Bytes to the client after which both sides are reset.
        end_after: Bytes to the client after which both sides are closed in good order.
    """

    latency: float = 0.0
    jitter: float = 0.0
    piece: int = 0
    stalled: bool = False
    stall_after: int | None = None
    half_open: bool = False
    refused: bool = False
    reset_after: int | None = None
    end_after: int | None = None


NO_FAULTS = Faults()


@define(eq=False)
class Passage:
    """One connection through the proxy."""

    client: anyio.abc.SocketStream
    server: anyio.abc.SocketStream
    _faults: Faults = field(alias="faults")
    _rng: random.Random = field(alias="rng")
    passed: int = 0
    """Bytes that went to the client."""
    _changed: anyio.Event = field(factory=anyio.Event, init=False)

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = anyio.Event()

    async def reset(self) -> None:
        """Cut it: both sides get a reset."""
        await _reset(self.client)
        await _reset(self.server)

    async def run(self) -> None:
        async with self.client, self.server, anyio.create_task_group() as group:
            group.start_soon(self._watch_half_open)
            group.start_soon(self._upwards)
            await self._downwards()
            group.cancel_scope.cancel()

    async def _watch_half_open(self) -> None:
        while not self._faults.half_open:
            await self._changed.wait()
        await _reset(self.server)

    async def _upwards(self) -> None:
        with suppress(*_GONE):
            while True:
                data = await self.client.receive()
                await self._delay()
                for piece in self._pieces(data):
                    await self.server.send(piece)
        if not self._faults.half_open:
            with suppress(*_GONE):
                await self.server.send_eof()

    async def _downwards(self) -> None:
        with suppress(*_GONE):
            while True:
                data = await self.server.receive()
                await self._delay()
                for piece in self._pieces(data):
                    if await self._ended_by(piece):
                        return
                    await self._pass_on(piece)
        while self._faults.half_open:  # the client goes on believing
            await self._changed.wait()

    async def _pass_on(self, piece: bytes) -> None:
        if (room := self._room()) < len(piece):
            await self.client.send(piece[:room])
            self.passed += room
            piece = piece[room:]
            while self._room() < len(piece):
                await self._changed.wait()
        await self.client.send(piece)
        self.passed += len(piece)

    def _room(self) -> int:
        limit = self._faults.stall_after
        return sys.maxsize if limit is None else max(0, limit - self.passed)

    async def _delay(self) -> None:
        if self._faults.latency or self._faults.jitter:
            swing = self._rng.uniform(-self._faults.jitter, self._faults.jitter)
            await anyio.sleep(max(0.0, self._faults.latency + swing))
        while self._faults.stalled:
            await self._changed.wait()

    def _pieces(self, data: bytes) -> list[bytes]:
        size = self._faults.piece or len(data)
        return [data[start : start + size] for start in range(0, len(data), size)]

    async def _ended_by(self, piece: bytes) -> bool:
        """Pass on what may still pass and end the passage, where this piece is one too many."""
        for limit, end in ((self._faults.reset_after, self.reset), (self._faults.end_after, self.client.aclose)):
            if limit is not None and self.passed + len(piece) > limit:
                with suppress(*_GONE):
                    await self.client.send(piece[: max(0, limit - self.passed)])
                await end()
                return True
        return False


@define(eq=False)
class ChaosProxy:
    """A running proxy.

    Attributes:
        url: Where it listens.
        passages: What is open.
        accepted: How many connections came.
    """

    url: str
    _target: tuple[str, int] = field(alias="target")
    _rng: random.Random = field(alias="rng")
    _faults: Faults = field(alias="faults")
    passages: list[Passage] = field(factory=list[Passage], init=False)
    accepted: int = field(default=0, init=False)
    _changed: anyio.Event = field(factory=anyio.Event, init=False)

    @property
    def faults(self) -> Faults:
        """What happens to every connection, the open ones too."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        for passage in self.passages:
            passage.faults = faults

    async def cut(self) -> int:
        """Reset every open connection, and return how many."""
        open_now = list(self.passages)
        for passage in open_now:
            await passage.reset()
        return len(open_now)

    async def until(self, wanted: Callable[["ChaosProxy"], bool], patience: float = 10) -> None:
        """Wait until connections came and went as wanted."""
        with anyio.fail_after(patience):
            while not wanted(self):
                await self._changed.wait()

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        self.accepted += 1
        self._note()
        if self._faults.refused:
            await _reset(client)
            return
        try:
            server = await anyio.connect_tcp(*self._target)
        except OSError:
            await _reset(client)
            return
        passage = Passage(client, server, faults=self._faults, rng=self._rng)
        self.passages.append(passage)
        self._note()
        try:
            await passage.run()
        finally:
            self.passages.remove(passage)
            self._note()

    def _note(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def chaos_proxy(target: str, *, faults: Faults = NO_FAULTS, seed: int = 0) -> AsyncGenerator[ChaosProxy, None]:
    """Stand in front of a server until the block is left; every connection ends with it.

    Args:
        target: The server's URL, http with host and port.
        faults: What happens to every connection at first.
        seed: Of what is random.
    """
    host, _, port = target.removeprefix("http://").rpartition(":")
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)
    own_port = listener.extra(anyio.abc.SocketAttribute.local_port)
    proxy = ChaosProxy(
        f"http://127.0.0.1:{own_port}",
        target=(host, int(port)),
        rng=random.Random(seed),  # noqa: S311 - no secret hangs on it
        faults=faults,
    )
    failure: Exception | None = None
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, proxy.serve)
        try:
            yield proxy
        except Exception as exc:  # noqa: BLE001 - raised below: the group would wrap it in an ExceptionGroup
            failure = exc
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _reset(stream: anyio.abc.SocketStream) -> None:
    with suppress(*_GONE):
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        raw.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))  # closing sends RST, not FIN
        await stream.aclose()
