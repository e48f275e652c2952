"""A scripted HTTP server on a real socket, in the test's own event loop, asyncio or trio."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.abc
from attrs import define, field, frozen

SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"


@frozen
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@frozen
class Exchange:
    """One request, and the socket to answer it on."""

    request: Request
    _stream: anyio.abc.ByteStream = field(alias="stream")

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def answer(
        self,
        status: int,
        body: object = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}", f"Content-Length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    async def open_stream(self) -> None:
        await self.send(SSE_HEAD)

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, percent: float, timestamp: int) -> None:
        await self.chunk(event_bytes(percent, timestamp))

    async def end_stream(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def close(self) -> None:
        """Close without another word."""
        await self._stream.aclose()

    async def until_closed(self) -> None:
        """Return when the client has closed its side."""
        try:
            while True:
                await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return


def event_bytes(percent: float, timestamp: int) -> bytes:
    return b"data:%s\n\n" % json.dumps({"type": "input", "timestamp": timestamp, "percent": percent}).encode()


Handler = Callable[[Exchange], Awaitable[None]]


@define
class RawServer:
    url: str
    handler: Handler
    requests: list[Request] = field(factory=list[Request])
    open_connections: int = 0
    most_connections: int = 0
    _changed: anyio.Event = field(factory=anyio.Event)

    def count(self, change: int) -> None:
        self.open_connections += change
        self.most_connections = max(self.most_connections, self.open_connections)
        self._changed.set()
        self._changed = anyio.Event()

    async def until_connections(self, number: int) -> None:
        with anyio.fail_after(5):
            while self.open_connections != number:
                await self._changed.wait()

    async def serve(self, stream: anyio.abc.ByteStream) -> None:
        self.count(1)
        try:
            async with stream:
                while (request := await _read_request(stream)) is not None:
                    self.requests.append(request)
                    await self.handler(Exchange(request, stream))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self.count(-1)


async def _read_request(stream: anyio.abc.ByteStream) -> Request | None:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        while len(body) < int(headers.get("content-length", "0")):
            body += await stream.receive()
    except anyio.EndOfStream:
        return None
    method, target, _ = first.split(" ")
    return Request(method, target, headers, body)


@asynccontextmanager
async def raw_server(handler: Handler) -> AsyncGenerator[RawServer, None]:
    """Serve until the block is left; every connection ends with it."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    server = RawServer(f"http://127.0.0.1:{port}", handler)
    failure: Exception | None = None
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, server.serve)
        try:
            yield server
        except Exception as exc:  # noqa: BLE001 - raised below: the group would wrap it in an ExceptionGroup
            failure = exc
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
