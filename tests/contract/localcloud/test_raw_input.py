"""Bytes on a socket that no well-behaved client sends: a 4xx or a closed connection, and nothing is left behind."""

import asyncio
import contextlib
import json
import os
import re
import socket
import stat
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attrs import frozen

from littlebits_async.localcloud import Bit, LocalCloud

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE = 10
LIMIT = 64 * 1024
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_PING = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


@frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"

    @property
    def message(self) -> str:
        """What a refusal says; its envelope is that of the newest version."""
        envelope = json.loads(self.body)
        assert envelope.keys() == {"statusCode", "error", "message"}
        assert envelope["statusCode"] == self.status
        assert self.headers["access-control-allow-origin"] == "*"
        message: str = envelope["message"]
        return message


class Peer:
    """A client that sends what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces apart, so that they come apart."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.005)

    async def answer(self) -> Answer:
        """Read one answer, whole."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split(" ")[1]), headers, body)

    async def rest(self) -> bytes:
        """Read until the connection ends, gently or not."""
        rest = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    rest += piece
        return rest

    def close(self) -> None:
        self.writer.close()

    def vanish(self) -> None:
        """End as a peer does that crashed: with a reset."""
        self.writer.transport.abort()


@frozen
class Wire:
    """A cloud with a bit for one test, and connections to it."""

    cloud: LocalCloud
    bit: Bit
    token: str

    async def peer(self) -> Peer:
        host, port = self.cloud.url.partition("://")[2].split(":")
        return Peer(*await asyncio.open_connection(host, int(port)))

    def post(self, *headers: str, body: bytes = b"", path: str = "/devices/BIT/output") -> bytes:
        """Write a POST; BIT stands for the bit."""
        lines = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: {self.token}", *headers)
        return "\r\n".join(lines).replace("BIT", self.bit.id).encode() + b"\r\n\r\n" + body

    def get(self, *headers: str, body: bytes = b"", path: str) -> bytes:
        return self.post(*headers, body=body, path=path).replace(b"POST", b"GET", 1)

    async def still_answers(self) -> None:
        peer = await self.peer()
        await peer.send(LAST_PING)
        assert (await peer.answer()).status == 200
        peer.close()

    async def ask(self, *pieces: bytes) -> Answer:
        """Send something, and take the one answer to it, after which the connection is closed."""
        peer = await self.peer()
        with contextlib.suppress(ConnectionError):
            await peer.send(*pieces)
        answer = await peer.answer()
        assert answer.closes
        assert await peer.rest() == b""
        peer.close()
        return answer


def connections(port: int) -> int:
    """Count this process's sockets that are one end of a connection to a port."""
    return sum(port in _ports(int(name)) for name in os.listdir("/dev/fd"))  # noqa: PTH208 - numbers, no paths


def _ports(descriptor: int) -> set[int]:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return set()
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            return {end[1] for end in (copy.getsockname(), copy.getpeername()) if len(end) > 1}
    except OSError:  # closed meanwhile, or it listens
        return set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud() -> AsyncIterator[LocalCloud]:
    async with LocalCloud(blank_line_every=0.05) as cloud:
        yield cloud


@pytest_asyncio.fixture(loop_scope="module")
async def wire(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    """A cloud that, when a test is done, has no connection and no task that it had not before."""
    monkeypatch.setattr("littlebits_async.localcloud.server._REQUEST_WITHIN", 0.3)
    monkeypatch.setattr("littlebits_async.localcloud.server._TAKEN_WITHIN", 0.3)
    tasks = len(asyncio.all_tasks())
    bit = await cloud.add_device(f"bit{len(cloud.devices)}", input_interval_ms=86_400_000)
    wire = Wire(cloud, bit, await cloud.create_token())
    yield wire
    await wire.still_answers()
    port = int(cloud.url.rpartition(":")[2])
    async with asyncio.timeout(PATIENCE):
        while connections(port) or len(asyncio.all_tasks()) != tasks or cloud.streams:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


NOT_HTTP = {
    "http 0.9": b"GET /ping\r\n\r\n",
    "no host": b"GET /ping HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no version": b"GET /ping HTTP/\r\nHost: x\r\n\r\n",
    "a blank too many": b"GET  /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the target": b"GET /devices/\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the method": b"G\xc3T /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "nul in a value": b"GET /ping HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "nul in a name": b"GET /ping HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n",
    "blank before the colon": b"GET /ping HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n",
    "no colon": b"GET /ping HTTP/1.1\r\nHost: x\r\nX\r\n\r\n",
    "socks": b"\x05\x01\x00\r\n\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n\r\n",
}


@pytest.mark.parametrize("content", NOT_HTTP.values(), ids=NOT_HTTP)
async def test_what_is_not_http_is_refused_and_closed(wire: Wire, content: bytes) -> None:
    answer = await wire.ask(content + PING)
    assert (answer.status, answer.message) == (400, "Invalid HTTP request received.")


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: -2"],
        ["Content-Length: +2"],
        ["Content-Length: 0x2"],
        ["Content-Length: 2, 3"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: " + "9" * 5000],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: identity"],
    ],
)
async def test_a_length_that_is_none_is_refused_and_closed(wire: Wire, headers: list[str]) -> None:
    answer = await wire.ask(wire.post(*headers, body=b"{}" + PING))
    assert (answer.status, answer.message) == (400, "Invalid HTTP request received.")
    assert wire.bit.shown == 0


@pytest.mark.parametrize("path", ["/devices/BIT/output", "/health", "/nowhere", "/v1/devices"])
@pytest.mark.parametrize(
    "headers", [["Content-Length: 5", CHUNKED], ["TRANSFER-ENCODING: Chunked", "content-length: 0"]]
)
async def test_two_lengths_are_refused_and_nothing_behind_is_read(wire: Wire, path: str, headers: list[str]) -> None:
    answer = await wire.ask(wire.post(*headers, path=path, body=b"0\r\n\r\n" + PING))
    assert (answer.status, answer.message) == (400, "A request has Content-Length or Transfer-Encoding, not both")
    assert wire.bit.shown == 0


@pytest.mark.parametrize(
    "body",
    [b"zz\r\n{}", b"-2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}garbage", b"2\r\n{}\r\nzz\r\n", b"99999999999999999999999\r\n{}"],
)
async def test_bad_chunks_are_refused_and_closed(wire: Wire, body: bytes) -> None:
    answer = await wire.ask(wire.post(CHUNKED, body=body + PING))
    assert (answer.status, answer.message) == (400, "Invalid HTTP request received.")
    assert wire.bit.shown == 0


@pytest.mark.parametrize(
    "head", [b"X: 1234567890\r\n" * 70_000, b"X: %b\r\n" % (b"a" * 1_000_000)], ids=["many", "one"]
)
async def test_a_megabyte_of_headers_is_cut_off(wire: Wire, head: bytes) -> None:
    peer = await wire.peer()
    with contextlib.suppress(ConnectionError):
        await peer.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    assert re.match(rb"HTTP/1.1 400 |$", await peer.rest())  # a reset may overtake the answer
    peer.close()


async def test_a_header_may_hold_any_other_byte(wire: Wire) -> None:
    value = bytes({*range(1, 256)} - set(b"\t\n\x0b\x0c\r "))
    answer = await wire.ask(
        b"GET /devices HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: " + value + b"\r\n\r\n"
    )
    assert (answer.status, answer.message) == (401, "Token failed authorization")


@pytest.mark.parametrize("origin", ["http://x", "https://user:secret@x.test:80", "HTTP://[::1]"])
async def test_a_target_may_be_a_whole_url(wire: Wire, origin: str) -> None:
    for path in ("/devices/BIT/output?x", "/v2/devices/BIT/output/"):
        answer = await wire.ask(wire.post("Connection: close", path=origin + path))
        assert answer.status == 200
    assert wire.bit.shown == 100
    answer = await wire.ask(wire.post("Connection: close", path=origin))
    assert (answer.status, answer.message) == (404, "There is nothing at this path")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("OPTIONS *", 204),
        ("GET *", 404),
        ("CONNECT x.test:443", 404),
        ("CONNECT /devices/a", 405),
        ("GET x.test/devices", 404),
        ("GET ftp://x/devices", 404),
        ("TRACE /devices", 405),
        ("GET ?access_token=x", 404),
    ],
)
async def test_unusual_targets_and_methods_are_answered(wire: Wire, line: str, status: int) -> None:
    answer = await wire.ask(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.status == status
    assert status == 204 or answer.message


@pytest.mark.parametrize(
    "second",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01\r\n\r\n",
    ],
)
async def test_another_protocol_gets_no_further_than_its_preface(wire: Wire, second: bytes) -> None:
    peer = await wire.peer()
    await peer.send(second)
    assert (await peer.answer()).status == 404
    assert (await peer.answer()).status == 400
    assert await peer.rest() == b""
    peer.close()


async def test_requests_in_a_row_are_answered_in_their_order(wire: Wire) -> None:
    peer = await wire.peer()
    bodies = [json.dumps({"percent": percent}).encode() for percent in range(1, 20)]
    posts = [wire.post(f"Content-Length: {len(body)}", body=body) for body in bodies]
    chunked = wire.post(CHUNKED, body=b"7;x=y\r\namount=\r\n2\r\n50\r\n0\r\nTrailer: x\r\n\r\n")
    await peer.send(b"".join([*posts, chunked, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", LAST_PING]))
    assert [(await peer.answer()).status for _ in range(22)] == [200] * 20 + [404, 200]
    assert wire.bit.shown == 50
    assert await peer.rest() == b""
    peer.close()


async def test_a_request_may_come_byte_by_byte(wire: Wire) -> None:
    peer = await wire.peer()
    for byte in wire.post("Content-Length: 14", "Connection: close", body=b'{"percent":25}'):
        peer.writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await peer.answer()).status == 200
    assert wire.bit.shown == 25
    peer.close()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("path", ["/devices/BIT/output", "/v1/devices/BIT/input", "/subscriptions"])
async def test_too_long_a_body_is_413_and_never_read_as_a_request(wire: Wire, path: str, *, is_chunked: bool) -> None:
    body = PING * (LIMIT // len(PING) + 1)
    content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    peer = await wire.peer()
    await peer.send(wire.post(CHUNKED if is_chunked else f"Content-Length: {len(body)}", path=path))
    for begin in range(0, len(content), 8192):
        await peer.send(content[begin : begin + 8192])
    answer = await peer.answer()
    assert answer.status == json.loads(answer.body)["code" if "v1" in path else "statusCode"] == 413
    await peer.send(LAST_PING)  # the same connection goes on
    assert (await peer.answer()).status == 200
    assert await peer.rest() == b""
    peer.close()
    assert wire.bit.shown == 0


async def test_too_long_a_body_is_413_where_it_means_nothing_as_well(wire: Wire) -> None:
    for path in ("/devices", "/devices/BIT", "/v2/ping", "/options"):
        body = b"\xff" * (LIMIT + 1)
        answer = await wire.ask(wire.get(f"Content-Length: {LIMIT + 1}", "Connection: close", path=path, body=body))
        assert (answer.status, answer.message) == (413, "A body has at most 65536 bytes")
        answer = await wire.ask(wire.get(f"Content-Length: {LIMIT}", "Connection: close", path=path, body=body[1:]))
        assert answer.status == 200
    delete = wire.get(f"Content-Length: {LIMIT + 1}", "Connection: close", path="/devices/BIT").replace(
        b"GET", b"DELETE"
    )
    assert (await wire.ask(delete)).status == 413
    assert wire.bit.user_id == 1


async def test_who_asks_whether_to_go_on_is_told(wire: Wire) -> None:
    peer = await wire.peer()
    await peer.send(wire.post("Expect: 100-continue", "Content-Length: 14"))
    assert (await peer.answer()).status == 100
    await peer.send(b'{"percent":25}')
    assert (await peer.answer()).status == 200
    await peer.send(wire.post("Expect: 100-continue", f"Content-Length: {LIMIT + 1}"))
    assert (await peer.answer()).status == 413  # and not that it should
    assert await peer.rest() == b""  # it did not, and had its time
    peer.close()
    assert wire.bit.shown == 25


@pytest.mark.parametrize("length", [10, LIMIT + 1, 10**19])
@pytest.mark.parametrize("path", ["/devices/BIT/output", "/nowhere", "/health"])
async def test_a_sender_that_stops_is_cut_off(wire: Wire, path: str, length: int) -> None:
    peer = await wire.peer()
    await peer.send(wire.post(f"Content-Length: {length}", path=path, body=b"{"))
    rest = await peer.rest()
    assert re.findall(rb"HTTP/1.1 (\d+)", rest) in ([], [b"413"], [b"404"], [b"405"])
    assert wire.bit.shown == 0
    peer.close()


async def test_a_sender_that_dribbles_without_end_is_cut_off(wire: Wire) -> None:
    peer = await wire.peer()
    await peer.send(wire.post(CHUNKED, path="/devices/BIT/input"))

    async def dribble() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(b"1\r\nx\r\n")

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(dribble(), peer.rest())
    peer.close()


@pytest.mark.parametrize(
    "content", [b"", b"GET /pi", b"POST /devices/BIT/output HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"]
)
@pytest.mark.parametrize("how", ["waits", "shuts", "closes", "vanishes"])
async def test_half_a_request_leaves_nothing(wire: Wire, content: bytes, how: str) -> None:
    peers = [await wire.peer() for _ in range(20)]
    for peer in peers:
        await peer.send(content)
        if how == "closes":
            peer.close()
        elif how == "vanishes":
            peer.vanish()
        elif how == "shuts":
            with contextlib.suppress(OSError):  # the cloud was faster
                peer.writer.write_eof()
    if how in {"waits", "shuts"}:
        for peer in peers:
            assert not re.search(rb"HTTP/1.1 [^4]", await peer.rest())
            peer.close()


@pytest.mark.parametrize("how", ["closes", "vanishes"])
@pytest.mark.parametrize("more", [b"", PING * 3, b"garbage\r\n\r\n" * 10_000])
async def test_who_sends_on_while_a_stream_is_open_gets_the_stream(wire: Wire, more: bytes, how: str) -> None:
    peer = await wire.peer()
    await peer.send(wire.get(path="/devices/BIT/input"))
    with contextlib.suppress(ConnectionError):
        await peer.send(more)
    async with asyncio.timeout(PATIENCE):
        head = await peer.reader.readuntil(b"\r\n\r\n")
        for _ in range(3):  # the reading, and blank lines
            size = int(await peer.reader.readuntil(b"\r\n"), 16)
            await peer.reader.readexactly(size + 2)
    assert b"text/event-stream" in head
    assert wire.cloud.streams == 1
    peer.close() if how == "closes" else peer.vanish()


async def test_who_takes_no_answers_is_cut_off(wire: Wire) -> None:
    """One that pipelines requests and reads nothing: an answer waits for room, and no longer than it may."""
    wire.bit.label = "x" * 60_000
    peer = await wire.peer()
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of both ways
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while True:
                await peer.send(wire.get(path="/devices/BIT") * 50)
    peer.vanish()
