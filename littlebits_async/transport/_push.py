"""The push feed: a stream's bytes go from the socket to its reader without a task, on asyncio.

httpcore sends the request over a connection of ours, and reads the head of the answer; then the body is taken over. To
read from httpcore costs a wake-up of a task, a cancel scope and a turn of h11 for each chunk, ten times what the bytes
themselves cost.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, cast

import httpcore
import httpx

from ._bytes import TAKE_OVER, End
from ._connection import Connection
from ._discretion import bare
from ._framing import Framing, framing_of
from ._network import Network

__all__ = ["PushBody", "is_mocked", "open_stream"]

_PORTS: Final = {b"http": 80, b"https": 443}


def is_mocked() -> bool:
    """Whether a mock or an instrument stands where requests pass, so that streams must pass there, as calls do."""
    return any(
        handle.__module__.partition(".")[0] not in ("httpcore", "httpx") or hasattr(handle, "__wrapped__")
        for handle in (
            httpx.AsyncHTTPTransport.handle_async_request,
            httpcore.AsyncConnectionPool.handle_async_request,
            httpcore.AsyncHTTPConnection.handle_async_request,
        )
    )


async def open_stream(request: httpx.Request, *, context: ssl.SSLContext, network: Network) -> httpx.Response:
    """Send a request over a connection of its own; the connection is closed with the response."""
    url = httpcore.URL(
        scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
    )
    sending = httpcore.Request(
        request.method,
        url,
        headers=request.headers.raw,
        content=cast("httpx.AsyncByteStream", request.stream),
        extensions=request.extensions,
    )
    with _httpx_errors():
        connection = await _connect(request, context, network)
        try:
            # Not httpcore's AsyncHTTPConnection: its locks and traces cost a tenth of an opening, for nothing here.
            http = httpcore.AsyncHTTP11Connection(url.origin, connection)
            response = await http.handle_async_request(sending)
        except BaseException:
            connection.close()
            raise
    extensions: dict[str, Any] = {**response.extensions}  # pyright: ignore[reportUnknownMemberType] - a bare dict
    extensions[TAKE_OVER] = _take_over
    connection.head_is_in()
    return httpx.Response(
        response.status, headers=response.headers, stream=_PulledBody(response, connection), extensions=extensions
    )


async def _connect(request: httpx.Request, context: ssl.SSLContext, network: Network) -> Connection:
    if (trace := request.extensions.get("trace")) is not None:
        await trace("connection.connect_tcp.started", {})  # as httpcore says it
    host = request.url.raw_host.decode("ascii")
    limit: float | None = request.extensions.get("timeout", {}).get("connect")
    connection = await network.connect(host, request.url.port or _PORTS[request.url.raw_scheme], timeout=limit)
    if request.url.raw_scheme == b"https":
        try:
            context.set_alpn_protocols(["http/1.1"])  # the pool, whose context it is too, may have named others
            await connection.start_tls(context, request.extensions.get("sni_hostname") or host, limit)
        except BaseException:
            connection.close()
            raise
    return connection


def _take_over(response: httpx.Response) -> "PushBody":
    """Take the body of an open response out of httpcore's hands; the response is left empty."""
    connection: Connection = response.extensions["network_stream"]
    response.stream = httpx.ByteStream(b"")  # httpx's own holds the response, and so itself
    return PushBody(connection, framing_of(response.headers))


@contextmanager
def _httpx_errors() -> Generator[None, None, None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
        # Each has its namesake.
        raise cast("type[httpx.TransportError]", getattr(httpx, type(exc).__name__))(str(exc)) from exc


class _PulledBody(httpx.AsyncByteStream):
    """A body that httpcore reads; closes its connection with itself."""

    def __init__(self, response: httpcore.Response, connection: Connection) -> None:
        self._response = response
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:
            self._connection.close()


class PushBody:
    """The bytes of one open response, as they come off the socket.

    Args:
        connection: Where they come from, from their first on.
        framing: Where they lie.

    Attributes:
        is_closed: Whether it was closed on this side.
    """

    __slots__ = ("_connection", "_crash", "_end", "_enough", "_framing", "_parked", "_take", "is_closed")

    def __init__(self, connection: Connection, framing: Framing) -> None:
        self.is_closed = False
        self._connection = connection
        self._framing = framing
        self._take: Callable[[bytes], bool] = _refuse
        self._enough = False
        self._crash: BaseException | None = None
        self._end = End(None) if framing.over else None
        self._parked: asyncio.Future[None] | None = None

    async def pump(self, take: Callable[[bytes], bool]) -> End | None:
        """Have ``take`` called with the bytes of each read, by the event loop, until it answers False.

        Returns:
            How the body ended, or None where ``take`` has enough for now.
        """
        if self._end is None:
            self._take = take
            self._enough = False
            self._parked = asyncio.get_running_loop().create_future()
            try:
                self._connection.start(self._arrived)
                await self._parked
                self._connection.rest()
            finally:
                self._connection.leave()
                self._take = _refuse
                self._parked = None
                crash, self._crash = self._crash, None
            try:
                if crash is not None:
                    raise crash
            finally:
                del crash  # whose traceback holds this frame
            if self._enough:
                return None
        return self._end

    async def aclose(self) -> None:
        """Close the connection."""
        self.is_closed = True
        await self._connection.aclose()

    def _arrived(self, data: bytes) -> bool:
        """Pass on what came; nothing is the end of the connection."""
        framing = self._framing
        if data:
            body = framing.decode(data)
            try:
                # What httpcore would not tell of, as half a chunk's header, is not told of here.
                if not body or self._take(body):
                    if not framing.over:
                        return True
                else:
                    self._enough = True
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exc:  # noqa: BLE001 - raised by `pump`; the event loop would but log it
                self._crash = exc
        elif self._connection.error is not None:
            self._end = End(_broken(self._connection.error))
        else:
            framing.close()
        if framing.over and self._end is None:
            self._end = End(None if framing.error is None else httpx.RemoteProtocolError(framing.error))
        if self._parked is not None and not self._parked.done():
            self._parked.set_result(None)
        return False


def _refuse(_data: bytes) -> bool:
    return False


def _broken(error: Exception) -> Exception:
    """Return what httpcore would make of a connection's error."""
    if isinstance(error, ssl.SSLError):
        return bare(error, None)
    broken = httpx.ReadError("")
    broken.__cause__ = bare(error, None)
    return broken
