"""What real bits cost the cloud: memory for each that is connected, CPU for each frame, and all of them at once.

``python -m benchmarks.gateway``, from the root of the repository, prints a table, and one JSON object below it. The
cloud runs in a process of its own, which tells its CPU time and resident memory; the bits are bare sockets that send
the firmware's frames, ready-made, so as to be no bottleneck.

- ``kib_per_bit``: resident memory for each bit that is connected, and ``kib_per_localbit``.
- ``us_per_connection``: CPU for each that comes in: handshake, admission, the first frame.
- ``us_per_frame``, ``us_per_packet``: CPU for each input, a thousand bits with two a second.
- ``idle_percent``: of a core, while a thousand bits are there and turn nothing.
- ``us_per_output``: CPU for each output that reaches a bit, set by the API.

The peer is what one would write with Starlette in an afternoon: a route that reads frames as JSON and keeps the newest
value, without admission, streams, outputs or a database. Linux only, by ``/proc``.
"""

import asyncio
import json
import secrets
import socket
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from attrs import define
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.cloud import resident
from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.server import listen

BITS: Final = 1000
SECONDS: Final = 4.0
EVERY: Final = 0.5
OUTPUTS: Final = 1000
ROUNDS: Final = 3


async def serve(localbit_port: int) -> None:
    """Run a cloud; tell, for each line that comes in, CPU seconds and resident KiB, or do what the line says."""
    async with LocalCloud(limit=100_000_000, localbit_ports=(0, localbit_port)) as cloud:
        real = cloud.real_bits
        urls = [await real.enrol(f"{number:012x}") for number in range(BITS)]
        print(json.dumps([cloud.url, await cloud.create_token(), real.localbit_port, urls]), flush=True)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := (await reader.readline()).decode().strip():
            if line == "localbits":
                for number in range(BITS):
                    await real.enrol_localbit(f"{BITS + number:012x}")
            print(json.dumps([time.process_time(), resident(), real.counts()]), flush=True)


async def serve_peer() -> None:
    """Do the same with a plain server."""
    counts, values = {"websocket_bits": 0, "frames": 0}, dict[str, int]()

    async def gateway(websocket: WebSocket) -> None:
        await websocket.accept()
        counts["websocket_bits"] += 1
        async for text in websocket.iter_text():
            said = json.loads(text)
            if said["opcode"] == 1:
                counts["frames"] += 1
                values[websocket.url.path] = said["data"]["value"]

    app = Starlette(routes=[WebSocketRoute("/{number}", gateway)])
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", backlog=BITS, ws_per_message_deflate=False)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(uvicorn.Server(config).serve([listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(json.dumps([url, "", 0, [f"{url}/{number}" for number in range(BITS)]]), flush=True)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            print(json.dumps([time.process_time(), resident(), counts]), flush=True)
        task.cancel()


@define
class Used:
    """What a cloud has used so far."""

    cpu: float
    kib: float
    counts: dict[str, int]


class Remote:
    """A cloud in another process."""

    def __init__(self, process: asyncio.subprocess.Process, said: list[Any]) -> None:
        self._process = process
        url: str = said[0]
        self.token: str = said[1]
        self.localbit_port: int = said[2]
        self.urls: list[str] = said[3]
        self.address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

    async def used(self, command: str = "-") -> Used:
        """Have it do something, and tell what it has used."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._process.stdin.write(f"{command}\n".encode())
        return Used(*json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def remote(*words: str) -> AsyncGenerator[Remote, None]:
    """Run a server in another process until the block is left."""
    pipe = asyncio.subprocess.PIPE
    arguments = ("-m", "benchmarks.gateway", *words)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe, limit=2**20)
    assert process.stdout is not None  # noqa: S101 - a pipe
    try:
        yield Remote(process, json.loads(await process.stdout.readline()))
    finally:
        process.kill()
        await process.communicate()


def frame(payload: bytes, opcode: int = 0x1) -> bytes:
    """Write a short frame as a client does, masked with nothing."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


class Bit(asyncio.Protocol):
    """A bit, which counts the outputs that it is told, and answers pings."""

    outputs = 0

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count."""
        if not self.opened.done():
            assert data.startswith(b"HTTP/1.1 101"), data  # noqa: S101 - else the figures mean nothing
            self.opened.set_result(None)
        Bit.outputs += data.count(b'"opcode":2,')
        if (ping := data.find(b"\x89\x04")) >= 0 and self._transport is not None:
            self._transport.write(frame(data[ping + 2 : ping + 6], 0xA))


async def come(server: Remote, number: int) -> asyncio.Transport:
    """Connect as the firmware does."""
    transport, bit = await asyncio.get_running_loop().create_connection(Bit, *server.address)
    mac = ":".join(f"{number:012X}"[at : at + 2] for at in range(0, 12, 2))
    lines = [
        f"GET {urlsplit(server.urls[number]).path} HTTP/1.1",
        f"MAC-Address: {mac}",
        "CB-Id: 0123abcd",
        "User-Agent: littleARCH cloudBit",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    transport.write("\r\n".join([*lines, "", ""]).encode())
    await bit.opened
    transport.write(frame(f'{{"cb_id":"0123abcd","mac_address":"{mac}","opcode":3}}'.encode()))
    transport.write(frame(b'{"data":{"value":100},"opcode":1}'))
    return transport


async def websocket_costs(server: Remote) -> dict[str, float]:
    """Measure what bits of the community firmware cost."""
    before = await server.used()
    transports: list[asyncio.Transport] = []
    for first in range(0, BITS, 50):
        transports += await asyncio.gather(*(come(server, number) for number in range(first, first + 50)))
    await asyncio.sleep(1)
    there = await server.used()
    assert there.counts["websocket_bits"] == BITS  # noqa: S101 - else the figures mean nothing
    await asyncio.sleep(SECONDS)
    idle = await server.used()
    sent, end = 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for transport in transports:
            transport.write(frame(f'{{"data":{{"value":{secrets.randbelow(256)}}},"opcode":1}}'.encode()))
            sent += 1
            if sent % 50 == 0:
                await asyncio.sleep(EVERY * 50 / BITS)
    await asyncio.sleep(0.5)
    turned = await server.used()
    assert turned.counts["frames"] - idle.counts["frames"] == sent  # noqa: S101 - as above
    figures = {
        "kib_per_bit": (there.kib - before.kib) / BITS,
        "us_per_connection": (there.cpu - before.cpu) / BITS * 1e6,
        "idle_percent": (idle.cpu - there.cpu) / SECONDS * 100,
        "us_per_frame": (turned.cpu - idle.cpu) / sent * 1e6,
    }
    if server.token:
        figures["us_per_output"] = await output_costs(server)
    for transport in transports:
        transport.abort()
    return figures


async def output_costs(server: Remote) -> float:
    """Measure what an output costs, from the API's request to the bit."""
    reader, writer = await asyncio.open_connection(*server.address)
    before, Bit.outputs = await server.used(), 0
    for number in range(OUTPUTS):
        body = f'{{"percent":{number % 100 + 0.5},"duration_ms":-1}}'.encode()
        path = f"/v2/devices/{number % BITS:012x}/output"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {server.token}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer  # noqa: S101 - as above
        length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    await asyncio.sleep(0.5)
    assert Bit.outputs == OUTPUTS, Bit.outputs  # noqa: S101 - as above
    after = await server.used()
    writer.close()
    return (after.cpu - before.cpu) / OUTPUTS * 1e6


async def localbit_costs(server: Remote, sender: socket.socket) -> dict[str, float]:
    """Measure what localbits cost."""
    before = await server.used("localbits")

    def tell(number: int, value: int) -> None:
        packet = (BITS + number).to_bytes(6, "big") + b"\0\0" + value.to_bytes(2, "big")
        sender.sendto(packet, ("127.0.0.1", server.localbit_port))

    for number in range(BITS):
        tell(number, 100)
        if number % 20 == 0:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    there = await server.used()
    assert there.counts["localbits"] == BITS, there.counts  # noqa: S101 - as above
    sent, end = 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for number in range(BITS):
            tell(number, secrets.randbelow(65536))
            sent += 1
            if sent % 50 == 0:
                await asyncio.sleep(EVERY * 50 / BITS)
    await asyncio.sleep(0.5)
    turned = await server.used()
    taken = turned.counts["packets"] - there.counts["packets"]
    assert taken > 0.9 * sent, f"{taken} of {sent}"  # noqa: S101 - as above
    return {
        "kib_per_localbit": (there.kib - before.kib) / BITS,
        "us_per_packet": (turned.cpu - there.cpu) / taken * 1e6,
    }


async def main() -> None:
    """Measure some rounds, and print medians, and what the peer needs."""
    ours: list[dict[str, float]] = []
    peers: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        async with remote("peer") as server:
            peers.append(await websocket_costs(server))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind(("127.0.0.1", 0))
            port = str(sender.getsockname()[1])
            async with remote("serve", port) as server:
                figures = await websocket_costs(server)
            async with remote("serve", port) as server:
                ours.append(figures | await localbit_costs(server, sender))
    mine, theirs = medians(ours), medians(peers)
    print(f"{'':20}{'ours':>10}{'plain':>10}{'ratio':>10}")
    for name, value in mine.items():
        plain = theirs.get(name)
        print(f"{name:20}{value:10.1f}" + ("" if plain is None else f"{plain:10.1f}{value / plain:10.2f}"))
    print(json.dumps({"rounds": ROUNDS, "bits": BITS, "ours": mine, "plain": theirs}, indent=1))


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: round(statistics.median(figures[name] for figures in rounds), 1) for name in rounds[0]}


if __name__ == "__main__":
    allow_many_open_files()
    match sys.argv[1:]:
        case ["serve", port]:
            asyncio.run(serve(int(port)))
        case ["peer"]:
            asyncio.run(serve_peer())
        case _:
            asyncio.run(main())
