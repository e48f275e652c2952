"""What a call costs: `Session.devices` and `Session.output` against bare httpx and aiohttp.

```
python -m benchmarks.calls
```

One call after the other over one kept connection to a server of our own in another process. Ours comes with its budget,
its retries, its checks and its models; the peers read the JSON and look at the status, and no more.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Final

import httpx

from littlebits_async import Session, TokenBucket

from . import harness
from .compare import Comparison, Contender, compare

TOKEN: Final = "0123456789abcdef" * 4
HEADERS: Final = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/vnd.littlebits.v2+json"}
BIT: Final = "00e04c000001"
PULSE: Final = {"percent": 50, "duration_ms": 1000}
WARM_UP: Final = 50

_DEVICES: Final[list[dict[str, object]]] = [
    {
        "id": f"00e04c00000{number}",
        "label": f"bit {number}",
        "user_id": 1,
        "is_connected": True,
        "input_interval_ms": 750,
        "ap": {"ssid": "home", "mac": "C0:FF:EE:00:00:01", "strength": "81"},
        "subscriptions": [],
        "subscribers": [],
    }
    for number in range(3)
]

Calls = Mapping[str, Callable[[], Awaitable[object]]]
Open = Callable[[str], AbstractAsyncContextManager[Calls]]


# The server


class Answering(asyncio.Protocol):
    """Answers requests as fast as Python can."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for type checkers
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        """Answer a request when it is whole."""
        head, found, body = (self._held + data).partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        if not found or len(body) < int(length.split(b"\r\n")[0] or 0):
            self._held += data
            return
        self._held = b""
        self._transport.write(self._devices if head.startswith(b"GET") else self._done)

    @staticmethod
    def _answer(value: object) -> bytes:
        body = json.dumps(value, separators=(",", ":")).encode()
        kind = b"content-type: application/json; charset=utf-8\r\ncache-control: no-cache"
        return b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: %d\r\n\r\n%b" % (kind, len(body), body)

    _devices: Final = _answer(_DEVICES)
    _done: Final = _answer({"success": True})


async def serve() -> None:
    """Serve until killed, and say where."""
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    harness.say(f"http://{host}:{port}")
    await server.serve_forever()


# The clients


@asynccontextmanager
async def ours(url: str) -> AsyncGenerator[Calls]:
    """Open a session as it comes, but for its budget's limit."""
    async with Session(TOKEN, base_url=url, budget=TokenBucket(1_000_000)) as session:
        yield {
            "devices": session.devices,
            "output": partial(session.output, BIT, PULSE["percent"], duration_ms=PULSE["duration_ms"]),
        }


@asynccontextmanager
async def bare_httpx(url: str) -> AsyncGenerator[Calls]:
    """Open an httpx client."""
    async with httpx.AsyncClient(base_url=f"{url}/v2", headers=HEADERS, timeout=10) as client:

        async def devices() -> object:
            return (await client.get("/devices")).raise_for_status().json()

        async def output() -> object:
            return (await client.post(f"/devices/{BIT}/output", json=PULSE)).raise_for_status().json()

        yield {"devices": devices, "output": output}


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncGenerator[Calls]:
    """Open an aiohttp session."""
    aiohttp = import_module("aiohttp")
    async with aiohttp.ClientSession(headers=HEADERS, raise_for_status=True) as client:

        async def devices() -> object:
            async with client.get(f"{url}/v2/devices") as response:
                return await response.json()

        async def output() -> object:
            async with client.post(f"{url}/v2/devices/{BIT}/output", json=PULSE) as response:
                return await response.json()

        yield {"devices": devices, "output": output}


async def time_calls(open_client: Open, url: str, times: int) -> dict[str, float]:
    """Return microseconds of CPU a call, for each call."""
    figures: dict[str, float] = {}
    async with open_client(url) as calls:
        for name, call in calls.items():
            for _ in range(WARM_UP):
                await call()
            with harness.Phase() as phase:
                for _ in range(times):
                    await call()
            figures[name] = phase.cpu / times * 1e6
    return figures


def run(open_client: Open, times: int) -> Mapping[str, float]:
    """Return what each call costs."""
    with harness.Server("benchmarks.calls", "--server") as server:
        return asyncio.run(time_calls(open_client, server.hear(), times))


if __name__ == "__main__":
    if sys.argv[1:] == ["--server"]:
        asyncio.run(serve())
    compare(
        Comparison(
            module="benchmarks.calls",
            what="Calls: microseconds of CPU for each call",
            columns=["devices", "output"],
            contenders=[
                Contender("Session", partial(run, ours)),
                Contender("bare httpx", partial(run, bare_httpx)),
                Contender("bare aiohttp", partial(run, bare_aiohttp), ("aiohttp",)),
            ],
            target={"devices": 1.2, "output": 1.2},
            times=(1500, 50),
            distributions=["httpx", "httpcore", "h11", "aiohttp", "anyio"],
        )
    )
