"""The push feed's connections: a stream's bytes go from the socket to its reader without a task, on asyncio.

httpcore opens each over one of its connections, with a network of ours, and reads the head of the answer; then the body
is taken over. To read from httpcore costs a wake-up of a task, a cancel scope and a turn of h11 for each chunk, ten
times what the bytes themselves cost.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext
from typing import Any, Final, cast

import anyio
import httpcore
import httpx

from .._tasks import run_to_end
from ._bytes import TAKE_OVER, End
from ._discretion import bare, credentials
from ._framing import Framing, framing_of
from ._names import Names
from ._tls import Tls

__all__ = ["Network", "PushBody", "open_stream"]

_READ: Final = 64 * 1024
"""Bytes of one read at most, and of what is held for a reader who is not there."""

_NEXT_ADDRESS_AFTER: Final = 0.25
"""Seconds, as RFC 8305 has them."""

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_SessionKey = tuple[ssl.SSLContext, str]
_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


async def open_stream(
    request: httpx.Request,
    *,
    context: ssl.SSLContext,
    network: "Network",
    socket_options: Iterable[_SocketOption],
) -> httpx.Response:
    """Send a request over a connection of its own; the connection is closed with the response."""
    url = httpcore.URL(
        scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
    )
    connection = httpcore.AsyncHTTPConnection(
        url.origin, ssl_context=context, network_backend=network, socket_options=socket_options
    )
    try:
        with _httpx_errors():
            response = await connection.handle_async_request(
                httpcore.Request(
                    request.method,
                    url,
                    headers=request.headers.raw,
                    content=cast("httpx.AsyncByteStream", request.stream),
                    extensions=request.extensions,
                )
            )
    except BaseException:
        await run_to_end(connection.aclose)
        raise
    extensions: dict[str, Any] = {**response.extensions}  # pyright: ignore[reportUnknownMemberType] - a bare dict
    if isinstance(opened := extensions.get("network_stream"), Connection):  # not where respx mocks what is below httpx
        opened.head_is_in()
        extensions[TAKE_OVER] = _take_over
    return httpx.Response(
        response.status, headers=response.headers, stream=_PulledBody(response, connection), extensions=extensions
    )


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

    def __init__(self, response: httpcore.Response, connection: httpcore.AsyncHTTPConnection) -> None:
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
            await self._connection.aclose()


class PushBody:
    """The bytes of one open response, as they come off the socket.

    Args:
        connection: Where they come from, from their first on.
        framing: Where they lie.

    Attributes:
        is_closed: Whether it was closed on this side.
    """

    __slots__ = ("_connection", "_crash", "_end", "_enough", "_framing", "_parked", "_take", "is_closed")

    def __init__(self, connection: "Connection", framing: Framing) -> None:
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
            finally:
                self._connection.rest()
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
                self._enough = bool(body) and not self._take(body)
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
        if not self._enough and self._end is None and self._crash is None:
            return True
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


class Connection(asyncio.BufferedProtocol, httpcore.AsyncNetworkStream):
    """One connection: httpcore's while it reads the head of an answer, then `PushBody`'s.

    What httpcore reads of the head at a time ends with a blank line at the latest. That changes nothing of what it
    reads, but when it has read the head, what is left here is the body, from its first byte on.

    Args:
        network: Has what connections share.

    Attributes:
        error: What the connection broke of.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_held",
        "_in_head",
        "_network",
        "_said",
        "_session_key",
        "_sink",
        "_tls",
        "_transport",
        "_waiter",
        "error",
    )

    def __init__(self, network: "Network") -> None:
        self.error: Exception | None = None
        self._network = network
        self._buffer = network.buffer
        self._transport: asyncio.Transport | None = None
        self._tls: Tls | None = None
        self._session_key: _SessionKey | None = None
        self._sink: Callable[[bytes], bool] | None = None
        self._held = b""  # what nobody has read yet
        self._in_head = True
        self._said = b""  # the last that httpcore read: what may be the front of a blank line
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the interface
        # All connections read into one buffer, since each uses what it read before the next one reads.
        return self._buffer[: _READ - len(self._held)] if self._held else self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._buffer[:nbytes].tobytes()
        if self._tls is not None:
            self._decrypt(self._tls, data)
        else:
            self._pass_on(data)

    def eof_received(self) -> None:
        self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)

    def _pass_on(self, data: bytes) -> None:
        if self._sink is None:
            self._held += data
            if len(self._held) >= _READ:
                self._pause_reading()
            self._wake()
        elif not self._sink(data):
            self.rest()

    def _finish(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended = True
        self.error = error
        sink, self._sink = self._sink, None
        if sink is not None:
            sink(b"")
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # For who reads the body

    def start(self, sink: Callable[[bytes], bool]) -> None:
        """Have ``sink`` called with what is held, with what comes, and with nothing when no more comes.

        It rests when ``sink`` answers False.
        """
        held, self._held = self._held, b""
        if held and not sink(held):
            return
        if self._ended:
            sink(b"")
            return
        self._sink = sink
        self._resume_reading()

    def rest(self) -> None:
        """Read no more until `start`; what has come is held."""
        self._sink = None
        self._pause_reading()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # For httpcore

    def head_is_in(self) -> None:
        """Take note that the body is next: httpcore may read it as it comes."""
        self._in_head = False
        self._said = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's own word
        """Wait for bytes, and return them up to the next blank line; none at the end."""
        with _in_time(timeout, httpcore.ReadTimeout):
            while not self._held and not self._ended:
                self._resume_reading()
                await self._news()
        if not self._held:
            if isinstance(self.error, ssl.SSLError):
                raise self.error
            if self.error is not None:
                raise httpcore.ReadError from self.error
            return b""
        text = self._said + self._held[:max_bytes]
        blank = _BLANK_LINE.search(text) if self._in_head else None
        end = len(text) if blank is None else blank.end()
        data = text[len(self._said) : end]
        self._held = self._held[len(data) :]
        self._said = b"" if blank is not None or not self._in_head else text[-2:]
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - as above
        """Send bytes; what the system does not take at once is kept, and that is a request's head at most."""
        if self._ended or self._transport is None:
            raise httpcore.WriteError from self.error
        if self._tls is None:
            self._transport.write(buffer)
        elif buffer:
            self._tls.write(buffer)
            self._flush(self._tls)

    async def aclose(self) -> None:
        """Close the connection, at once."""
        self.close()

    def close(self) -> None:
        """Close the connection; asyncio closes the socket in the loop's next turn."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._tls is not None and self._tls.is_secure and not self._ended:
            self._tls.close()
            self._flush(self._tls)
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> httpcore.AsyncNetworkStream:
        """Speak TLS from now on."""
        key = (ssl_context, server_hostname or "")
        self._tls = tls = Tls(ssl_context, key[1], self._network.sessions.get(key))
        early, self._held = self._held, b""  # never to be taken for what the server says under TLS
        tls.take(early)
        try:
            with _in_time(timeout, httpcore.ConnectTimeout):
                while not tls.shake_hands():
                    self._flush(tls)
                    if self._ended:
                        raise httpcore.ConnectError from self.error
                    await self._news()
        except ssl.SSLError as exc:
            self._network.sessions.pop(key, None)
            raise httpcore.ConnectError(exc) from exc
        finally:
            self._flush(tls)  # where it failed, with the reason
            if not tls.is_secure:
                self.close()
        self._session_key = key
        self._decrypt(tls, b"")  # what came with the end of the handshake
        return self

    def _decrypt(self, tls: Tls, data: bytes) -> None:
        tls.take(data)
        if not tls.is_secure:
            self._wake()
            return
        data = tls.read()
        self._flush(tls)  # what the protocol answers by itself
        if data:
            if self._session_key is not None:  # what resumes a session comes before the first data
                if (session := tls.ssl_object.session) is not None:
                    self._network.sessions[self._session_key] = session
                self._session_key = None
            self._pass_on(data)
        if tls.is_over:
            self._finish(tls.error)

    def _flush(self, tls: Tls) -> None:
        if tls.outgoing.pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(tls.outgoing.read())

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's own
        """Return what is known of the connection: ``ssl_object``, ``socket``, ``client_addr``, ``server_addr``."""
        if info == "ssl_object":
            return None if self._tls is None else self._tls.ssl_object
        name = {"client_addr": "sockname", "server_addr": "peername", "socket": "socket"}.get(info)
        return None if name is None or self._transport is None else self._transport.get_extra_info(name)


class Network(httpcore.AsyncNetworkBackend):
    """Makes the connections of one session's streams, on asyncio, and has what they share."""

    def __init__(self) -> None:
        self.buffer: Final = memoryview(bytearray(_READ))
        self._names = Names()
        self.sessions: Final[dict[_SessionKey, ssl.SSLSession]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own word
        local_address: str | None = None,  # noqa: ARG002 - ours name none
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to whichever address answers first."""
        # The event loop calls a connection in the context that made it, and users' hooks with it: none of our requests.
        ours = credentials.set(None)
        try:
            with _in_time(timeout, httpcore.ConnectTimeout):
                transport, connection = await self._connect_first(await self._names.addresses(host, port), port)
        except OSError as exc:
            raise httpcore.ConnectError(exc) from exc
        finally:
            credentials.reset(ours)
        try:
            if not transport.is_closing():  # else the first read tells
                for option in socket_options or ():
                    transport.get_extra_info("socket").setsockopt(*option)
        except OSError as exc:
            connection.close()
            raise httpcore.ConnectError(exc) from exc
        return connection

    async def _connect_first(self, addresses: list[str], port: int) -> tuple[asyncio.Transport, Connection]:
        errors: list[OSError] = []
        if len(addresses) > 1:
            connected = await self._race(addresses, port, errors)
            if connected is not None:
                return connected
        else:  # no task for what there mostly is
            try:
                return await self._connect(addresses[0], port)
            except OSError as exc:
                errors.append(exc)
        raise OSError("All connection attempts failed") from (
            errors[0] if len(errors) == 1 else ExceptionGroup("multiple connection attempts failed", errors)
        )

    async def _race(
        self, addresses: list[str], port: int, errors: list[OSError]
    ) -> tuple[asyncio.Transport, Connection] | None:
        """Try addresses, each a moment after the one before it; source: RFC 8305."""
        connected: list[tuple[asyncio.Transport, Connection]] = []

        async def connect(address: str, failed: anyio.Event) -> None:
            try:
                connected.append(await self._connect(address, port))
            except OSError as exc:
                errors.append(exc)
                failed.set()
            else:
                group.cancel_scope.cancel()

        first = None
        try:
            async with anyio.create_task_group() as group:
                for address in addresses:
                    failed = anyio.Event()
                    group.start_soon(connect, address, failed)
                    with anyio.move_on_after(_NEXT_ADDRESS_AFTER):
                        await failed.wait()
            first = connected[0] if connected else None
        finally:
            for each in connected:
                if each is not first:
                    each[1].close()
        return first

    async def _connect(self, address: str, port: int) -> tuple[asyncio.Transport, Connection]:
        return await asyncio.get_running_loop().create_connection(lambda: Connection(self), address, port)


@contextmanager
def _in_time(seconds: float | None, error: type[Exception]) -> Generator[None, None, None]:
    try:
        with nullcontext() if seconds is None else anyio.fail_after(seconds):
            yield
    except TimeoutError as exc:
        raise error from exc
