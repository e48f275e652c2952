"""Uvicorn on a socket of our own, inside somebody else's event loop.

Source: recipes/embedded_uvicorn.py. Uvicorn alone never ends while a stream is open, and a peer that does not read
keeps even a closed connection; so after a moment of grace the connections that are left are cut.
"""

import contextlib
import socket
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Any, Final

import anyio
import h11
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from .answers import Refusal
from .dialects import DIALECTS
from .negotiation import VERSIONS

__all__ = ["Server", "listen"]

_BACKLOG: Final = 128
"""Connections that may wait to be accepted; asyncio reports each of them when the process is out of open files."""
_IDLE: Final = 75
"""Seconds that an idle connection is kept."""
_GRACE: Final = 0.4
"""Seconds that answers have to end by themselves when the server stops."""
_POLL: Final = 0.005
"""Seconds between two looks whether they have."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        OSError: The address cannot be had; the error says which, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    # Asyncio sets TCP_NODELAY only where a socket names its protocol, which create_server leaves out, and accepted ones
    # inherit that. Without it head and body of an answer go out 40 ms apart: Nagle against the peer's delayed ack.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listener.detach())


class Server:
    """A web server for one application.

    Args:
        make_app: Makes the application, which is not told of start and stop; given a way to cut the connection that a
            request came by, as ASGI has none to part with a peer that does not read.
        listener: The socket; the server closes it.
    """

    def __init__(self, make_app: Callable[[Callable[[Scope], None]], ASGIApp], listener: socket.socket) -> None:
        self._listener = listener
        self._stopped = anyio.Event()
        config = _Config(
            make_app(self._drop),
            http=_Protocol,  # the same everywhere: the default depends on what else is installed
            ws="none",
            lifespan="off",
            backlog=_BACKLOG,
            log_config=None,
            proxy_headers=False,  # `_drop` knows connections by their true address
            server_header=False,
            timeout_keep_alive=_IDLE,
        )
        self._uvicorn = _Uvicorn(config)

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
        """Accept no more, let answers end, and cut what is left."""
        self._uvicorn.should_exit = True
        self._uvicorn.woken.set()
        await self._stopped.wait()

    def _drop(self, scope: Scope) -> None:
        for connection in self._uvicorn.connections:
            if connection.client == scope["client"]:
                connection.transport.abort()


class _Config(uvicorn.Config):
    """Uvicorn's settings, without its logger of messages: at its level TRACE that shows queries, tokens among them."""

    def load(self) -> None:
        super().load()
        self.loaded_app = self.app


class _Protocol(H11Protocol):
    """HTTP/1.1 without an access log: a token may stand in a query.

    Uvicorn's own switch takes the log from every other server of the process, and yields to whoever adds a handler.
    """

    # Which protocol takes these is no part of what uvicorn promises; they are handed on as they come.
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.access_log = False

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade was asked for, which is allowed; uvicorn's own advises to install other packages."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as any other request; uvicorn's own answers in plain text."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:  # else an answer is on its way already
            refusal = Refusal(HTTPStatus.BAD_REQUEST, msg).answer(DIALECTS[VERSIONS[-1]].status_field)
            headers = [*refusal.raw_headers, (b"connection", b"close")]
            for event in (
                h11.Response(status_code=refusal.status_code, headers=headers, reason=b"Bad Request"),
                h11.Data(data=bytes(refusal.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:  # pyright: ignore[reportUnnecessaryComparison] - until the first request it is
            self.cycle.disconnected = True  # what it still has to say would be a second answer
            self.cycle.message_event.set()
        self.transport.close()


class _Uvicorn(uvicorn.Server):
    """Uvicorn that says when it has started, ends at once, and leaves the signals to the program that it runs in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        self.woken = anyio.Event()
        self.servers = []  # uvicorn has none before it has started

    @property
    def connections(self) -> list[_Protocol]:
        """The connections that are open."""
        return [item for item in self.server_state.connections if isinstance(item, _Protocol)]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.task_status.started()

    async def main_loop(self) -> None:
        # Uvicorn's own wakes ten times a second; its first tick of the ten is the one that keeps the Date header.
        while not await self.on_tick(0):
            with anyio.move_on_after(1):
                await self.woken.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - `Server` closes it
        # Uvicorn's own waits a tenth of a second for nothing, and for ever for a stream.
        for server in self.servers:
            server.close()
        for connection in self.connections:
            connection.shutdown()
        await self._wait_until_empty()

    async def cut(self) -> None:
        """Leave nothing behind: what shut down in vain, or was cancelled before."""
        for server in self.servers:
            server.close()
        for connection in self.connections:
            connection.transport.abort()
        await self._wait_until_empty()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def _wait_until_empty(self) -> None:
        state = self.server_state
        with anyio.move_on_after(_GRACE, shield=True):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                await anyio.sleep(_POLL)
