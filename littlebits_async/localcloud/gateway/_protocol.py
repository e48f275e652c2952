"""Uvicorn's websockets, for peers that are slow, gone or of ill will, and without its log: that shows paths.

Uvicorn closes a connection in good order, which never ends where the peer does not read; so it is cut a moment later.
A handshake that is none it does not answer at all: so it is refused here.
"""

import asyncio
import logging
import socket
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

__all__ = ["LARGEST", "PING_EVERY", "PONG_WITHIN", "WebSocketProtocol"]

LARGEST: Final = 4096
"""Bytes of a frame; the largest that the firmware sends has 200."""
PING_EVERY: Final = 15.0
"""Seconds between two pings."""
PONG_WITHIN: Final = 10.0
"""Seconds that a bit has to answer; then it is gone."""
_CLOSE_WITHIN: Final = 1.0
"""Seconds that a peer has to take what is left for it."""
_SEND_BUFFER: Final = 4096
"""Bytes that the system keeps for a bit: what waits there cannot be taken back for something newer."""
_MOST_PONGS: Final = 16 * 1024
"""Bytes of pongs that a peer may leave unread."""
_MOST_PIECES: Final = 64
"""Pieces that a frame may come in."""
_SILENT: Final = logging.Logger("websockets of bits")  # noqa: LOG001 - nobody's, so that nobody turns it on
_SILENT.disabled = True


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A bit's websocket."""

    # Which protocol takes these is no part of what uvicorn promises; they are handed on as they come.
    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.logger = self.conn.logger = _SILENT
        self.conn.debug = False
        self._pieces = 0
        self._cutting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.transport.set_write_buffer_limits(0)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._cutting is not None:
            self._cutting.cancel()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # the request came whole: with a body, or with more than websockets takes
            refusal = self.conn.reject(HTTPStatus.BAD_REQUEST, "no handshake of a websocket\n")
            self.transport.write(refusal.serialize())
            self.transport.close()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        if self in self.connections:
            self._cutting = self.loop.call_later(_CLOSE_WITHIN, self.transport.abort)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    def handle_ping(self) -> None:
        super().handle_ping()
        if self.transport.get_write_buffer_size() > _MOST_PONGS:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        super().handle_cont(event)
        self._pieces = 0 if event.fin else self._pieces + 1
        if self._pieces > _MOST_PIECES:
            self.transport.abort()
