"""TLS between two buffers in memory; no I/O.

asyncio's own keeps some 300 KiB for each connection; this takes a fifth of that.
"""

import ssl
from contextlib import suppress
from typing import Final

__all__ = ["Tls"]

_RECORD: Final = 16 * 1024
"""Bytes that one record holds, at most."""


class Tls:
    """The client's side of one TLS connection.

    What is to be sent to the server stands in `outgoing` after each call, until somebody sends it.

    Args:
        context: The TLS settings.
        hostname: Who the server must be.
        session: A session of an earlier connection to that server, to be resumed.

    Attributes:
        is_secure: Whether the handshake is done.
        is_over: Whether the server has ended the connection, or said what it cannot have said.
        error: What is wrong with it then, if anything.
    """

    __slots__ = ("_incoming", "error", "is_over", "is_secure", "outgoing", "ssl_object")

    def __init__(self, context: ssl.SSLContext, hostname: str, session: ssl.SSLSession | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self.outgoing, server_hostname=hostname, session=session)
        self.is_secure = False
        self.is_over = False
        self.error: ssl.SSLError | None = None

    def take(self, data: bytes) -> None:
        """Take bytes from the server."""
        self._incoming.write(data)

    def shake_hands(self) -> bool:
        """Go on with the handshake, as far as the server's bytes reach; return whether it is done.

        Raises:
            ssl.SSLError: It failed.
        """
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.is_secure = True
        return True

    def read(self) -> bytes:
        """Return what the server said in the bytes taken so far; `is_over` and `error` tell what came behind it."""
        read, incoming = self.ssl_object.read, self._incoming
        pieces: list[bytes] = []
        try:
            while incoming.pending or self.ssl_object.pending():
                if not (piece := read(_RECORD)):
                    self.is_over = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass  # a record that is not whole, or a message of the protocol's own
        except ssl.SSLError as exc:
            self.is_over = True
            self.error = exc
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Say something to the server."""
        self.ssl_object.write(data)

    def close(self) -> None:
        """Say goodbye; nobody waits for an answer."""
        with suppress(ssl.SSLError):
            self.ssl_object.unwrap()
