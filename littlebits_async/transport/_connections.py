"""The connections of a session: a keep-alive pool for its calls, one connection of its own for each stream.

A stream in the pool would cost every other request: httpcore's pool walks all its connections for each request, and its
limit starves the calls. So a request marked with the extension `STREAM` gets a connection of its own, closed with its
response: one whose bytes are pushed where that is possible, and else a transport of one connection.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.request import getproxies, proxy_bypass

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import sniffio

from .._tasks import run_to_end
from ._library import forget_library, tell_library

if TYPE_CHECKING:
    from ._network import Network

__all__ = ["STREAM", "OwnTransport", "SessionTransport", "environment_proxy"]

STREAM: Final = "littlebits_async.stream"
"""The request extension that asks for a connection of its own."""

_AT_ONCE: Final = 100
# Not bounded by httpcore: who is cancelled in its line just when served takes the connection along, for good.
_CALLS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=2.0)
_PORTS: Final = {"http": 80, "https": 443}
_ONE: Final = httpx.Limits(max_connections=1, max_keepalive_connections=0)

# A path that died without a word (a router restarted, a cable cut) is found by the kernel after idle + count * interval
# seconds, without a request. Not every platform has every option.
_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, option, value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if (option := getattr(socket, name, None)) is not None
    ),
]


def can_push() -> bool:
    """Whether this event loop can push."""
    return sniffio.current_async_library() == "asyncio"


def environment_proxy(url: httpx.URL) -> str | None:
    """Return the proxy that the environment (``HTTPS_PROXY``, ``NO_PROXY``, …) names for a URL, if any."""
    netloc = url.netloc.decode() if url.port else f"{url.netloc.decode()}:{_PORTS[url.scheme]}"
    # With its port an IPv6 host stands in brackets; NO_PROXY may name it without.
    if proxy_bypass(netloc) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


class SessionTransport(httpx.AsyncBaseTransport):
    """Both kinds of connections behind one httpx transport.

    Args:
        secure: Whether TLS is spoken, so that certificates must be loaded.
        ssl_context: The TLS settings; None loads the usual ones at the first request, off the event loop.
        trust_env: Whether ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` count.
        proxy: The proxy's URL, for calls and streams alike.
        http2: Whether calls may speak HTTP/2; streams never do.
    """

    def __init__(
        self, *, secure: bool, ssl_context: ssl.SSLContext | None, trust_env: bool, proxy: str | None, http2: bool
    ) -> None:
        self._secure = secure
        self._ssl_context = ssl_context
        self._trust_env = trust_env
        self._proxy = proxy
        self._http2 = http2
        self._pool: httpx.AsyncHTTPTransport | None = None
        self._network: Network | None = None
        # httpx loads it when it is needed, which takes a tenth of a second: that is no part of the first call's time.
        import_module("httpcore")
        self._slots = anyio.Semaphore(_AT_ONCE, max_value=_AT_ONCE, fast_acquire=True)
        self._starting = anyio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the pool, or over a connection of its own where it asks for one."""
        context = self._ssl_context or await self._load_context()
        library = tell_library()
        try:
            if request.extensions.get(STREAM):
                return await self._open_stream(request, context)
            if self._pool is None:
                self._pool = httpx.AsyncHTTPTransport(
                    verify=context, proxy=self._proxy, http2=self._http2, limits=_CALLS, socket_options=_KEEP_ALIVE
                )
            return await self._send(request, self._pool)
        except UnicodeError as exc:  # a name with a label that is empty, or longer than 63
            raise httpx.ConnectError("Name or service not known", request=request) from exc
        finally:
            forget_library(library)

    async def aclose(self) -> None:
        """Close the pool; a stream is closed with its response."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _load_context(self) -> ssl.SSLContext:
        async with self._starting:
            if self._ssl_context is None:
                if self._secure:
                    self._ssl_context = await anyio.to_thread.run_sync(
                        lambda: httpx.create_ssl_context(trust_env=self._trust_env)
                    )
                else:
                    self._ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, cheap to make
            return self._ssl_context

    async def _send(self, request: httpx.Request, pool: httpx.AsyncHTTPTransport) -> httpx.Response:
        timeout: float | None = request.extensions.get("timeout", {}).get("pool")
        try:
            with anyio.fail_after(timeout):
                await self._slots.acquire()
        except TimeoutError as exc:
            raise httpx.PoolTimeout(f"{_AT_ONCE} calls are on their way", request=request) from exc
        try:
            response = await pool.handle_async_request(request)
        except BaseException:
            self._slots.release()
            raise
        return _with_body(response, lambda body: _SlotStream(body, self._slots))

    async def _open_stream(self, request: httpx.Request, context: ssl.SSLContext) -> httpx.Response:
        if self._proxy is None and can_push():
            # They load httpcore, which httpx too loads when needed.
            from ._network import Network  # noqa: PLC0415
            from ._push import is_mocked, open_stream  # noqa: PLC0415

            if not is_mocked():
                self._network = self._network or Network(_KEEP_ALIVE)
                return await open_stream(request, context=context, network=self._network)
        connection = httpx.AsyncHTTPTransport(
            verify=context, proxy=self._proxy, limits=_ONE, socket_options=_KEEP_ALIVE
        )
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await run_to_end(connection.aclose)
            raise
        return _with_body(response, lambda body: _OwnedStream(body, connection))


def _with_body(
    response: httpx.Response, wrap: Callable[[httpx.AsyncByteStream], httpx.AsyncByteStream]
) -> httpx.Response:
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - httpx's own transport says so
    return httpx.Response(
        response.status_code,
        headers=response.headers,
        stream=wrap(response.stream),
        extensions=response.extensions,
    )


class _SlotStream(httpx.AsyncByteStream):
    """A body that lets the next call go when it is closed."""

    def __init__(self, body: httpx.AsyncByteStream, slots: anyio.Semaphore) -> None:
        self._body = body
        self._slots = slots

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.__aiter__()

    async def aclose(self) -> None:
        try:
            _discard_surplus(self._body)
            await self._body.aclose()
        finally:
            self._slots.release()


def _discard_surplus(body: object) -> None:
    """Have httpcore close a connection on which more came than the answer, which it would give the next request.

    There is no public way to ask for that. Should these names change, nothing breaks but the test that wants it.
    """
    for name in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        body = getattr(body, name, None)
    surplus, _ = getattr(body, "trailing_data", (b"", False))
    if surplus:
        cast("Any", body).send_failed()  # h11's public way to say that a connection is not to be used again


class _OwnedStream(httpx.AsyncByteStream):
    """A body that closes its connection with itself."""

    def __init__(self, body: httpx.AsyncByteStream, connection: httpx.AsyncHTTPTransport) -> None:
        self._body = body
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.__aiter__()

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            await self._connection.aclose()


class OwnTransport(httpx.AsyncBaseTransport):
    """A transport of the user's own, as polite as a socket: a body that never waits can be cancelled all the same.

    Args:
        transport: The user's.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over the user's transport."""
        response = await self._transport.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream) and not response.is_stream_consumed:
            response.stream = _PoliteStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the user's transport."""
        await self._transport.aclose()


class _PoliteStream(httpx.AsyncByteStream):
    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _PoliteChunks(self._body.__aiter__())

    async def aclose(self) -> None:
        await self._body.aclose()


class _PoliteChunks(AsyncIterator[bytes]):
    """No async generator: it has no frame that a cancellation leaves suspended."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks

    async def __anext__(self) -> bytes:
        try:
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            # A user's generator would stay suspended.
            if (aclose := getattr(self._chunks, "aclose", None)) is not None:
                await run_to_end(aclose)
            raise
        return await self._chunks.__anext__()
