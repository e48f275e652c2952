"""The server of ``stream.py``: input streams from one epoll loop, as cheap as Python makes them. Linux only.

It answers each GET with a chunked event stream, its head and event 0 in one write, and then does what it is told by
lines of JSON on its standard input:

- ``{"do": "rounds", "rounds": 9, "events": 1}``: in each round one chunk of so many events for each stream; the next
  round begins with an empty line on the standard input, so that each chunk is a read of its own at the client's;
- ``{"do": "flood", "events": 400}``: so many events for each stream, one a chunk, as fast as the sockets take them;
- ``{"do": "paced", "seconds": 10}``: one event a second for each stream, at a phase of its own;
- ``{"do": "count"}``: nothing; the answer says how many connections are open, and how many ever were.

Events look as those on record do; the timestamp of an event is `EPOCH_MS` and its number on its connection, so that a
client knows of each event that was lost, repeated or out of order.
"""

import argparse
import json
import os
import random
import select
import socket
import ssl
import time
from collections import deque
from typing import Any, Final

from attrs import define, field

from . import harness

__all__ = ["EPOCH_MS"]

EPOCH_MS: Final = 1_521_587_206_463
_STDIN: Final = 0
_AT_ONCE: Final = 32
"""Events of a flood that are made at a time for a stream."""
_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"content-encoding: identity\r\n"
    b"Connection: keep-alive\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def _readings() -> list[bytes]:
    found: list[bytes] = []
    for percent in range(101):
        reading = f'"percent":{percent},"absolute":{round(percent * 10.23)}'
        found.append(f'{reading},"name":"amplitude","payload":{{{reading}}},"from":'.encode())
    return found


_READINGS: Final = _readings()


@define(eq=False)
class Connection:
    """A client's connection: in its handshake, its request, or streaming."""

    sock: socket.socket
    shaking_hands: bool
    request: bytes = b""
    source: bytes = b""
    sent: int = 0
    wanted: int = 0
    unsent: bytes = b""
    written_at: list[int] = field(factory=list[int])

    def next_event(self) -> bytes:
        """Make the next event."""
        number = self.sent
        self.sent += 1
        reading = _READINGS[number % 101]
        return b'data:{"type":"input","timestamp":%d,%b%b}\n\n' % (EPOCH_MS + number, reading, self.source)

    def next_chunk(self, events: int = 1) -> bytes:
        """Make the next chunk, of one event or more."""
        body = self.next_event() if events == 1 else b"".join(self.next_event() for _ in range(events))
        return b"%x\r\n%b\r\n" % (len(body), body)


class StreamServer:
    """All streams, and the loop."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=socket.SOMAXCONN)
        self._listener.settimeout(0)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(_STDIN, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._accepted = 0
        self._commands: deque[dict[str, Any]] = deque()
        self._pokes = 0
        self._input = b""

    def run(self) -> None:
        """Serve until the standard input ends."""
        harness.say(self._listener.getsockname()[1])
        while True:
            while self._commands:
                harness.say(self._do(self._commands.popleft()))
            self._turn()

    def _do(self, command: dict[str, Any]) -> dict[str, Any]:
        match command:
            case {"do": "rounds", "rounds": int(rounds), "events": int(events)}:
                return self._rounds(rounds, events)
            case {"do": "flood", "events": int(events)}:
                return self._flood(events)
            case {"do": "paced", "seconds": int(seconds)}:
                return self._paced(seconds)
            case {"do": "count"}:
                return {"open": len(self._connections), "accepted": self._accepted}
            case _:
                raise ValueError(command)

    # What it can do

    def _streams(self) -> list[Connection]:
        return [connection for connection in self._connections.values() if connection.source]

    def _rounds(self, rounds: int, events: int) -> dict[str, Any]:
        streams = self._streams()
        self._pokes = 0
        for _ in range(rounds):
            for stream in streams:
                self._send(stream, stream.next_chunk(events))
            while not self._pokes:
                self._turn()
            self._pokes -= 1
        return {"written": rounds * events * len(streams)}

    def _flood(self, events: int) -> dict[str, Any]:
        streams = self._streams()
        for stream in streams:
            stream.wanted = stream.sent + events
            self._pour(stream)
        while any(stream.unsent or stream.sent < stream.wanted for stream in streams):
            self._turn()
        return {"written": events * len(streams)}

    def _pour(self, stream: Connection) -> None:
        while stream.sent < stream.wanted and not stream.unsent:
            self._send(stream, b"".join(stream.next_chunk() for _ in range(min(_AT_ONCE, stream.wanted - stream.sent))))

    def _paced(self, seconds: int) -> dict[str, Any]:
        rng = random.Random(0)  # noqa: S311 - the same phases each time
        streams = self._streams()
        first = {stream.source: stream.sent for stream in streams}
        phases = sorted(((rng.random(), stream) for stream in streams), key=lambda phased: phased[0])
        begin = time.monotonic() + 0.1
        for second in range(seconds):
            for phase, stream in phases:
                while (wait := begin + second + phase - time.monotonic()) > 0:
                    self._turn(wait)
                chunk = stream.next_chunk()
                stream.written_at.append(time.monotonic_ns())
                self._send(stream, chunk)
        written_at = {
            json.loads(stream.source)["device"]["id"]: [first[stream.source], stream.written_at] for stream in streams
        }
        return {"written": seconds * len(streams), "written_at": written_at}

    # The loop

    def _turn(self, wait: float | None = None) -> None:
        for number, events in self._epoll.poll(wait):
            if number == _STDIN:
                self._listen_to_commands()
            elif number == self._listener.fileno():
                self._accept()
            elif events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(self._connections[number])
            else:
                self._flush(self._connections[number])

    def _listen_to_commands(self) -> None:
        data = os.read(_STDIN, 1 << 16)
        if not data:
            raise SystemExit
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            if line:
                self._commands.append(json.loads(line))
            else:
                self._pokes += 1

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._accepted += 1
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            connection = Connection(sock, shaking_hands=self._context is not None)
            self._connections[sock.fileno()] = connection
            self._epoll.register(sock, select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        sock = connection.sock
        try:
            if connection.shaking_hands:
                assert isinstance(sock, ssl.SSLSocket)  # noqa: S101 - or there is no handshake
                sock.do_handshake()
                connection.shaking_hands = False
            data = sock.recv(1 << 16)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        connection.request += data
        if not connection.source and connection.request.endswith(b"\r\n\r\n"):
            path = connection.request.split(b" ", 2)[1].decode()  # …/devices/<id>/input
            device_id = path.split("/")[-2]
            source = {"user": {"id": 1}, "device": {"id": device_id, "mac": device_id}}
            connection.source = json.dumps(source, separators=(",", ":")).encode()
            self._send(connection, _HEAD + connection.next_chunk())

    def _send(self, connection: Connection, data: bytes) -> None:
        if connection.unsent:
            connection.unsent += data
            return
        try:
            sent = connection.sock.send(data)
        except (ssl.SSLWantWriteError, BlockingIOError):
            sent = 0
        except OSError:
            return  # its end is read in a moment
        if sent < len(data):
            connection.unsent = data[sent:]
            self._epoll.modify(connection.sock, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, connection: Connection) -> None:
        data, connection.unsent = connection.unsent, b""
        self._epoll.modify(connection.sock, select.EPOLLIN)
        self._send(connection, data)
        self._pour(connection)

    def _drop(self, connection: Connection) -> None:
        connection.wanted = connection.sent
        connection.unsent = b""
        self._epoll.unregister(connection.sock)
        del self._connections[connection.sock.fileno()]
        connection.sock.close()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", help="a file with a key and its certificates: speak TLS")
    arguments = parser.parse_args()
    harness.allow_open_files()
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate)
    StreamServer(context).run()


if __name__ == "__main__":
    main()
