"""One connection of the push feed: httpcore's while it reads the head of an answer, its body's reader's then.

On asyncio alone; no task runs for it.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, cast

import anyio
import httpcore

from ._tls import Tls

__all__ = ["READ_SIZE", "Connection", "Shared", "in_time"]

READ_SIZE: Final = 64 * 1024
"""Bytes of one read at most, and of what is held for a reader who is not there."""

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")


class Shared:
    """What the connections of one session share.

    Attributes:
        buffer: All read into one, since each uses what it read before the next one reads.
        sessions: TLS sessions to be resumed, by settings and server.
    """

    def __init__(self) -> None:
        self.buffer: Final = memoryview(bytearray(READ_SIZE))
        self.sessions: Final[dict[tuple[ssl.SSLContext, str], ssl.SSLSession]] = {}


class Connection(asyncio.BufferedProtocol, httpcore.AsyncNetworkStream):
    """One connection: httpcore's while it reads the head of an answer, then `PushBody`'s.

    What httpcore reads of the head at a time ends with a blank line at the latest. That changes nothing of what it
    reads, but when it has read the head, what is left here is the body, from its first byte on.

    Args:
        shared: What it shares with others.

    Attributes:
        error: What the connection broke of.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_held",
        "_in_head",
        "_said",
        "_session_key",
        "_shared",
        "_sink",
        "_tls",
        "_transport",
        "_waiter",
        "error",
    )

    def __init__(self, shared: Shared) -> None:
        self.error: Exception | None = None
        self._shared = shared
        self._buffer = shared.buffer
        self._transport: asyncio.Transport | None = None
        self._tls: Tls | None = None
        self._session_key: tuple[ssl.SSLContext, str] | None = None
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
        return self._buffer[: READ_SIZE - len(self._held)] if self._held else self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._buffer[:nbytes].tobytes()
        if self._tls is not None:
            self._decrypt(self._tls, data)
        elif self._sink is None:
            self._hold(data)
        elif not self._sink(data):
            self.rest()

    def eof_received(self) -> None:
        self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc)

    def _hold(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= READ_SIZE:
            self._pause_reading()
        self._wake()

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

    def leave(self) -> None:
        """Have nobody called any more: who was is about to close this. What comes until then is held."""
        self._sink = None

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
        with in_time(timeout, httpcore.ReadTimeout):
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
        try:
            self._tls = tls = Tls(ssl_context, key[1], self._shared.sessions.get(key))
        except ssl.SSLError as exc:  # settings that no client can have
            raise httpcore.ConnectError(exc) from exc
        early, self._held = self._held, b""  # never to be taken for what the server says under TLS
        tls.take(early)
        try:
            with in_time(timeout, httpcore.ConnectTimeout):
                while not tls.shake_hands():
                    self._flush(tls)
                    if self._ended:
                        raise httpcore.ConnectError from self.error
                    await self._news()
        except ssl.SSLError as exc:
            self._shared.sessions.pop(key, None)
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
                    self._shared.sessions[self._session_key] = session
                self._session_key = None
            if self._sink is None:
                self._hold(data)
            elif not self._sink(data):
                self.rest()
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


@contextmanager
def in_time(seconds: float | None, error: type[Exception]) -> Generator[None, None, None]:
    """Bound what is done by seconds, if any."""
    try:
        with nullcontext() if seconds is None else anyio.fail_after(seconds):  # a scope costs more than to look
            yield
    except TimeoutError as exc:
        raise error from exc
