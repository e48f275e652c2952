"""Uvicorn on a socket of our own, inside somebody else's event loop.

Source: recipes/embedded_uvicorn.py. Uvicorn alone never ends while a stream is open, and a peer that does not read
keeps even a closed connection; so after a moment of grace the connections that are left are cut.
"""

import asyncio
import contextlib
import socket
import ssl
import weakref
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Any, Final

import anyio
import h11
import uvicorn
from anyio.abc import TaskStatus
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .answers import Refusal
from .dialects import DIALECTS
from .gateway import LARGEST, PING_EVERY, PONG_WITHIN, WebSocketProtocol, is_gateway
from .negotiation import VERSIONS
from .resources import forget_locals

__all__ = ["Listener", "Server", "listen"]

_BACKLOG: Final = 128
"""Connections that may wait to be accepted; asyncio reports each of them when the process is out of open files."""
_IDLE: Final = 75
"""Seconds that an idle connection is kept."""
_REQUEST_WITHIN: Final = 20
"""Seconds that a request has to arrive whole, head and body; whoever sends slower is cut off."""
_TAKEN_WITHIN: Final = 20
"""Seconds that a peer has to take an answer when it is the last, or too long to wait in the connection's buffer."""
_GRACE: Final = 0.4
"""Seconds that answers have to end by themselves when the server stops."""
_POLL: Final = 0.005
"""Seconds between two looks whether they have."""


class Listener(socket.socket):
    """A listening socket that knows which of the sockets it gave away are open.

    Asyncio tells nobody of a connection before its TLS handshake is done, and so nobody could end it.
    """

    def __init__(self, listening: socket.socket) -> None:
        # Asyncio sets TCP_NODELAY only where a socket names its protocol, which create_server leaves out, and accepted
        # ones inherit that. Without it head and body of an answer go out 40 ms apart: Nagle against the peer's delayed
        # ack.
        super().__init__(listening.family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listening.detach())
        self._accepted = weakref.WeakSet[socket.socket]()

    @property
    def accepted(self) -> list[socket.socket]:
        """The accepted sockets that are open."""
        return [item for item in self._accepted if item.fileno() >= 0]

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        accepted, address = super().accept()
        self._accepted.add(accepted)
        return accepted, address


def listen(host: str, port: int) -> Listener:
    """Open a listening socket.

    Raises:
        OSError: The address cannot be had; the error says which, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # As ``0.0.0.0`` is all of IPv4, ``::`` is all there is.
    both = host == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    return Listener(listener)


class Server:
    """A web server for one application.

    Args:
        make_app: Makes the application, which is not told of start and stop; given a way to cut the connection that a
            request came by, as ASGI has none to part with a peer that does not read.
        listener: The socket; the server closes it.
        ssl_context: For HTTPS; None for HTTP.
    """

    def __init__(
        self,
        make_app: Callable[[Callable[[Scope], None]], ASGIApp],
        listener: Listener,
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._stopped = anyio.Event()
        config = _Config(
            _forgetful(_refuse_two_lengths(make_app(self._drop))),
            http=_Protocol,  # the same everywhere: the default depends on what else is installed
            ws=WebSocketProtocol,
            ws_max_size=LARGEST,
            ws_ping_interval=PING_EVERY,
            ws_ping_timeout=PONG_WITHIN,
            ws_per_message_deflate=False,
            lifespan="off",
            backlog=_BACKLOG,
            log_config=None,
            proxy_headers=False,  # `_drop` knows connections by their true address
            server_header=False,
            timeout_keep_alive=_IDLE,
        )
        self._uvicorn = _Uvicorn(config, listener, ssl_context)

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

    async def wait_answered(self) -> None:
        """Wait until nobody is at work on an answer any more, those to peers that are gone included."""
        await self._uvicorn.wait_answered()

    def _drop(self, scope: Scope) -> None:
        for connection in self._uvicorn.connections:
            if connection.client == scope["client"]:
                connection.transport.abort()


class _Config(uvicorn.Config):
    """Uvicorn's settings, without its logger of messages: at its level TRACE that shows queries, tokens among them."""

    def load(self) -> None:
        super().load()
        self.loaded_app = self.app


def _forgetful(app: ASGIApp) -> ASGIApp:
    """Have the frames of a failure forget their locals: uvicorn logs it, and some logs show what each frame holds."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as exc:
            del scope
            forget_locals(exc)
            raise

    return respond


def _refuse_two_lengths(app: ASGIApp) -> ASGIApp:
    """Turn away a request that is chunked and has a length as well, and what came behind it.

    Whoever stands in front may have gone by the other one, and take for a body what is a request here.
    """

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        answers = app
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            answers = _refusal("A request has Content-Length or Transfer-Encoding, not both")
        await answers(scope, receive, send)

    return respond


def _refusal(message: str) -> Response:
    """Refuse, in the newest version, what is not HTTP; how the connection goes on cannot be known, so it ends."""
    refusal = Refusal(HTTPStatus.BAD_REQUEST, message, headers={"connection": "close"})
    return refusal.answer(DIALECTS[VERSIONS[-1]].status_field)


class _Protocol(H11Protocol):
    """HTTP/1.1 for peers that have only so much time, to send a request and to take its answer.

    Without an access log: a token may stand in a query.
    Uvicorn's own switch takes the log from every other server of the process, and yields to whoever adds a handler.
    """

    # Which protocol takes these is no part of what uvicorn promises; they are handed on as they come.
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.access_log = False
        self._to_send: asyncio.TimerHandle | None = None
        self._to_take: asyncio.TimerHandle | None = None
        self._is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._to_send = self._let_run(self._to_send, None)
        self._to_take = self._let_run(self._to_take, None)

    def _watch(self) -> None:
        """Let the peer's time run, however many pieces a request comes in, or stop it."""
        if self._is_upgraded:  # the websocket looks after its own times
            return
        is_closing = self.transport.is_closing()
        state = self.conn.their_state
        # Between two requests uvicorn's own timer runs, until the next one begins.
        sends = state is h11.SEND_BODY or (state is h11.IDLE and self.timeout_keep_alive_task is None)
        self._to_send = self._let_run(self._to_send, _REQUEST_WITHIN if sends and not is_closing else None)
        self._to_take = self._let_run(self._to_take, _TAKEN_WITHIN if is_closing or self.flow.write_paused else None)

    def _let_run(self, timer: asyncio.TimerHandle | None, seconds: float | None) -> asyncio.TimerHandle | None:
        if timer is None:
            return None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
        if seconds is None:
            timer.cancel()
            return None
        return timer

    def _should_upgrade(self) -> bool:
        return is_gateway(self.scope["raw_path"]) and super()._should_upgrade()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_upgraded = True
        self._to_send = self._let_run(self._to_send, None)
        self._to_take = self._let_run(self._to_take, None)
        super().handle_websocket_upgrade(event)

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no upgrade was asked for, which is allowed; uvicorn's own advises to install other packages."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as any other request; uvicorn's own answers in plain text."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:  # else an answer is on its way already
            refusal = _refusal(msg)
            for event in (
                h11.Response(status_code=refusal.status_code, headers=refusal.raw_headers, reason=b"Bad Request"),
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

    def __init__(self, config: uvicorn.Config, listener: Listener, ssl_context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._listener = listener
        self._ssl_context = ssl_context
        self.task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
        self.woken = anyio.Event()
        self.servers = []  # uvicorn has none before it has started

    @property
    def connections(self) -> list[_Protocol | WebSocketProtocol]:
        """The connections that are open."""
        return [item for item in self.server_state.connections if isinstance(item, _Protocol | WebSocketProtocol)]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.ssl = self._ssl_context  # uvicorn itself makes one, from files
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
        await asyncio.sleep(0)  # lets what was accepted a moment ago have its transport, which closes the socket
        for accepted in self._listener.accepted:
            with contextlib.suppress(OSError):  # not connected any more
                accepted.shutdown(socket.SHUT_RDWR)
        await self._wait_until_empty()

    async def wait_answered(self) -> None:
        """Wait until no request is being answered."""
        with anyio.move_on_after(_GRACE, shield=True):
            while self.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                await anyio.sleep(_POLL)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def _wait_until_empty(self) -> None:
        state = self.server_state
        with anyio.move_on_after(_GRACE, shield=True):
            while state.connections or state.tasks or self._listener.accepted:  # noqa: ASYNC110 - uvicorn tells nobody
                await anyio.sleep(_POLL)
