"""What the local cloud costs: CPU per event and memory per stream, requests a second, beside a plain server.

``python -m benchmarks.cloud``, from the root of the repository, prints one JSON object. The server runs in a process of
its own, which tells its CPU time and resident memory; the client speaks to raw sockets, so as to be no bottleneck.

- ``events``: microseconds of the server's CPU for each event delivered, and KiB for each open stream, with 1, 100 and
  1000 readers, each of a bit of its own (``own``) or all of one bit (``shared``), five events a second.
- ``requests``: requests a second over 16 connections and microseconds of CPU for each: a list of ten devices, and an
  output, with a database in memory and in a file.

The peer is what one would write with Starlette in an afternoon: a StreamingResponse whose generator sleeps, encodes and
yields, and a route that answers with the same JSON, without tokens, limits or a database. Linux only, by ``/proc``.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
from attrs import define
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.server import listen

READERS: Final = (1, 100, 1000)
INTERVAL_MS: Final = 200
SECONDS: Final = 4.0
CONNECTIONS: Final = 16
ROUNDS: Final = 3
DEVICES: Final = 10


# The server's process


async def ours(db: str | None) -> None:
    """Run a local cloud."""
    async with LocalCloud(db, limit=100_000_000) as cloud:
        for user_id, count in enumerate((max(READERS), DEVICES), 1):
            for number in range(count):
                device_id = f"{user_id:06x}{number:06x}"
                await cloud.add_device(device_id, waveform="sine", input_interval_ms=INTERVAL_MS, user_id=user_id)
        print(cloud.url, await cloud.create_token(user_id=1), await cloud.create_token(user_id=2), flush=True)
        await tell()


async def peer() -> None:
    """Run the plain server."""

    async def events(device_id: str) -> AsyncIterator[bytes]:
        while True:
            amplitude = {"percent": 50, "absolute": 512}
            event = {
                "type": "input",
                "timestamp": time.time_ns() // 1_000_000,
                **amplitude,
                "name": "amplitude",
                "payload": amplitude,
                "from": {"user": {"id": 1}, "device": {"id": device_id, "mac": device_id}},
            }
            yield b"data:%b\n\n" % json.dumps(event, separators=(",", ":")).encode()
            await asyncio.sleep(INTERVAL_MS / 1000)

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(events(request.path_params["device_id"]), media_type="text/event-stream")

    async def devices(_: Request) -> JSONResponse:
        device = {"label": "cloudbit", "user_id": 1, "is_connected": True, "input_interval_ms": INTERVAL_MS}
        return JSONResponse(
            [{"id": f"{n:012x}", **device, "subscriptions": [], "subscribers": []} for n in range(DEVICES)]
        )

    async def output(request: Request) -> JSONResponse:
        await request.json()
        return JSONResponse({"success": True})

    app = Starlette(
        routes=[
            Route("/v2/devices/{device_id}/input", stream),
            Route("/v2/devices", devices),
            Route("/v2/devices/{device_id}/output", output, methods=["POST"]),
        ]
    )
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
    serving = asyncio.create_task(uvicorn.Server(config).serve([listener]))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", "token", "token", flush=True)
    await tell()
    serving.cancel()


async def tell() -> None:
    """Tell CPU seconds and resident KiB for each line that comes in, until the end of the input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(time.process_time(), resident(), flush=True)


def resident() -> float:
    """Return this process's resident memory in KiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


# The client


@define
class Remote:
    """A server in another process, with a user who has many bits to stream, and one who has few to list."""

    url: str
    streamer: str
    lister: str
    _process: asyncio.subprocess.Process

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    async def used(self) -> tuple[float, float]:
        """Return its CPU seconds so far, and its resident KiB."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._process.stdin.write(b"\n")
        cpu, memory = (await self._process.stdout.readline()).split()
        return float(cpu), float(memory)

    @staticmethod
    def request(token: str, method: str, path: str, body: bytes = b"") -> bytes:
        """Write a request."""
        lines = [f"{method} /v2{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def remote(*arguments: str) -> AsyncGenerator[Remote, None]:
    """Run a server in another process until the block is left."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.cloud", *arguments, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None  # noqa: S101 - a pipe
    try:
        url, streamer, lister = (await process.stdout.readline()).decode().split()
        yield Remote(url, streamer, lister, process)
    finally:
        process.kill()
        await process.communicate()


class Counter(asyncio.Protocol):
    """Counts the events of a stream, and does nothing else with them."""

    events = 0

    def data_received(self, data: bytes) -> None:
        """Count."""
        Counter.events += data.count(b"data:")


async def stream_costs(server: Remote, readers: int, *, shared: bool) -> dict[str, float]:
    """Measure what so many readers cost."""
    loop = asyncio.get_running_loop()
    _, before = await server.used()
    transports: list[asyncio.Transport] = []
    for number in range(readers):
        transport, _ = await loop.create_connection(Counter, *server.address)
        transport.write(server.request(server.streamer, "GET", f"/devices/000001{0 if shared else number:06x}/input"))
        transports.append(transport)
        if number % 50 == 0:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    _, opened = await server.used()
    cpu_before, _ = await server.used()
    Counter.events = 0
    await asyncio.sleep(SECONDS)
    delivered = Counter.events
    cpu_after, _ = await server.used()
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0.5)
    expected = readers * SECONDS * 1000 / INTERVAL_MS
    assert 0.9 * expected <= delivered <= 1.1 * expected, f"{delivered} events, not {expected:.0f}"  # noqa: S101
    return {"us_per_event": (cpu_after - cpu_before) / delivered * 1e6, "kib_per_stream": (opened - before) / readers}


async def request_costs(server: Remote, request: bytes) -> dict[str, float]:
    """Measure how many requests are answered in a while."""
    answered = 0

    async def ask() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(*server.address)
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head  # noqa: S101 - else the figures mean nothing
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            answered += 1
        writer.close()

    cpu_before, _ = await server.used()
    end = time.perf_counter() + SECONDS / 2
    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    cpu_after, _ = await server.used()
    return {"per_second": answered / (SECONDS / 2), "us_per_request": (cpu_after - cpu_before) / answered * 1e6}


def server_of(name: str, directory: str) -> AbstractAsyncContextManager[Remote]:
    """Start a server; one in a file begins with a new one."""
    if name == "peer":
        return remote("peer")
    return remote("ours", *([f"{directory}/{time.time_ns()}.db"] if name == "ours in a file" else []))


async def round_of(directory: str) -> dict[str, float]:
    """Measure everything once."""
    figures: dict[str, float] = {}

    def note(name: str, costs: dict[str, float]) -> None:
        figures.update({f"{name} {key}": value for key, value in costs.items()})

    for name in ("ours", "ours in a file", "peer"):
        for readers in READERS:
            for shared in (False, True) if name == "ours" else (False,):
                async with server_of(name, directory) as server:
                    label = f"events {name}{' shared' if shared else ''} {readers}"
                    note(label, await stream_costs(server, readers, shared=shared))
        async with server_of(name, directory) as server:
            listing = server.request(server.lister, "GET", "/devices")
            body = b'{"percent":50,"duration_ms":-1}'
            output = server.request(server.lister, "POST", "/devices/000002000000/output", body)
            note(f"devices {name}", await request_costs(server, listing))
            note(f"output {name}", await request_costs(server, output))
    return figures


async def main() -> None:
    """Measure some rounds, and print medians and what they are of the peer's."""
    with tempfile.TemporaryDirectory() as directory:
        rounds = [await round_of(directory) for _ in range(ROUNDS)]
    medians = {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}
    ratios: dict[str, float] = {}
    for name in medians:
        other = name.replace("ours in a file", "peer").replace("ours shared", "peer").replace("ours", "peer")
        if other != name:
            ratios[name] = statistics.median(figures[name] / figures[other] for figures in rounds)
    result: dict[str, Any] = {
        "rounds": ROUNDS,
        "figures": {name: round(value, 1) for name, value in medians.items()},
        "of_the_peers": {name: round(value, 2) for name, value in ratios.items()},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    allow_many_open_files()
    match sys.argv[1:]:
        case ["ours", *db]:
            asyncio.run(ours(next(iter(db), None)))
        case ["peer"]:
            asyncio.run(peer())
        case _:
            asyncio.run(main())
