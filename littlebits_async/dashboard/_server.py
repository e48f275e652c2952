"""Uvicorn on a socket of our own, inside somebody else's event loop, with websockets. It ends though pages are open."""

import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any, Final

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["Server", "listen"]

_BACKLOG: Final = 128
_GRACE: Final = 1
"""Seconds that pages and answers have to end by themselves."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        OSError: The address cannot be had; the error says which, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    # Asyncio sets TCP_NODELAY only where a socket names its protocol, which create_server leaves out.
    return socket.socket(listening.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listening.detach())


class Server:
    """A web server for one application.

    Args:
        app: The application; it is not told of start and stop.
        listener: The socket; the server closes it.
        ssl_context: For HTTPS; None for HTTP.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, *, ssl_context: ssl.SSLContext | None = None) -> None:
        self._listener = listener
        self._stopped = anyio.Event()
        config = uvicorn.Config(
            app,
            http=_Protocol,  # the same everywhere: the default depends on what else is installed
            ws=_WebSocketProtocol,
            ws_per_message_deflate=False,  # costs more than it saves where pages are near
            lifespan="off",
            log_config=None,
            proxy_headers=False,  # guesses are counted by true addresses
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        self._uvicorn = _Uvicorn(config, ssl_context)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until stopped or cancelled; the task counts as started when connections are accepted."""
        self._uvicorn.task_status = task_status
        try:
            await self._uvicorn.serve([self._listener])
        finally:
            self._listener.close()
            await self._uvicorn.cut()
            self._stopped.set()

    async def stop(self) -> None:
        """Accept no more, close the pages' websockets, and cut what is left after a moment."""
        self._uvicorn.should_exit = True
        await self._stopped.wait()


class _Protocol(H11Protocol):
    """HTTP/1.1 without an access log; uvicorn's own switch takes the log from every other server of the process."""

    # Which protocol takes these is no part of what uvicorn promises; they are handed on as they come.
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.access_log = False


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """Websockets without the log of what goes over the wire: at its level DEBUG that shows cookies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(*args, **kwargs)
        self.conn.debug = False


class _Uvicorn(uvicorn.Server):
    """Uvicorn that says when it has started, leaves nothing, and leaves the signals to the program that it runs in."""

    def __init__(self, config: uvicorn.Config, ssl_context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._ssl_context = ssl_context
        self.task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        self.servers = []  # uvicorn has none before it has started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.ssl = self._ssl_context  # uvicorn itself makes one, from files
        await super().startup(sockets)
        self.task_status.started()

    async def cut(self) -> None:
        """Close what did not end by itself, or was cancelled before."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        with anyio.move_on_after(_GRACE, shield=True):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                await anyio.sleep(0.005)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
