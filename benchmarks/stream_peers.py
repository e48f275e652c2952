"""The clients that ``stream.py`` compares: each streams the inputs of many devices into one consumer.

They are written as their users write them: one client, a task for each stream that decodes the JSON and puts an object
with the device, the time and the percent into one `asyncio.Queue`, and a consumer that takes from it. The queue has no
bound and time limits are off, which is the cheapest that a user can do: what they give up for it, ours does all the
same, since it runs as it comes, with its budget, its bounded buffer, its watch over silence and its reconnects. Only
the budget's limit is raised, so that it lets so many streams open at once.

``raw`` is the least that is possible: a socket for each stream, a deque, and one consumer that waits on one future. It
knows no errors, no limits and no other framing than this server's. It decodes with our own decoder and builds our own
events, so that the difference is what the client itself costs; ``raw-orjson`` decodes as little as it can get away
with instead.
"""

import asyncio
import json
import ssl
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any, ClassVar, Final, Self
from unittest import mock

from littlebits_async import InputReactor, Session, TokenBucket
from littlebits_async.transport import _connections

from . import harness
from .stream_client import HEADERS, TOKEN, Event, Peer, Reading, Target, event_of
from .stream_raw import Raw, RawOrjson

__all__ = ["PEERS", "missing"]

_LIMIT: Final = 100_000
"""Requests that the budget of ours allows."""


# Ours


class Ours(Peer):
    """An `InputReactor` as it comes."""

    async def __aenter__(self) -> Self:
        """Enter a session and a reactor."""
        self._stack = AsyncExitStack()
        target = self.target
        budget = TokenBucket(_LIMIT)
        session = Session(TOKEN, base_url=target.url, budget=budget, ssl_context=target.context)
        await self._stack.enter_async_context(session)
        # Room for what comes in one turn of the loop; with less, streams would stop and go on, as they should.
        buffer = max(1024, 2 * len(target.ids))
        self._reactor = await self._stack.enter_async_context(InputReactor(session, target.ids, buffer=buffer))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave both."""
        await self._stack.aclose()

    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Iterate."""
        async for event in self._reactor:
            take(event)


class OursPlain(Ours):
    """The same over the plain feed, as on trio, behind a proxy or over a user's own transport."""

    async def __aenter__(self) -> Self:
        """Switch the push feed off, for which there is no public way."""
        self._switch = mock.patch.object(_connections, "can_push", new=lambda: False)  # noqa: PT008 - a Mock is slow
        self._switch.start()
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        """Switch it on again."""
        await super().__aexit__()
        self._switch.stop()


class OursInBatches(Ours):
    """The same, taken as many at a time as are ready."""

    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Iterate."""
        async for batch in self._reactor.batches():
            for event in batch:
                take(event)


# What people use


class TaskEach(Peer):
    """A task for each stream, and one queue."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.queue = asyncio.Queue[Event]()

    @abstractmethod
    async def start(self, stack: AsyncExitStack) -> None:
        """Make the client; what is entered in the stack is left when all tasks have ended."""

    @abstractmethod
    async def stream(self, device_id: str) -> None:
        """Put the events of one stream into the queue."""

    async def __aenter__(self) -> Self:
        """Start the client and all tasks."""
        self._stack = AsyncExitStack()
        await self.start(self._stack)
        self._tasks = [asyncio.create_task(self._run(self.stream(device_id))) for device_id in self.target.ids]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cancel the tasks, and close the client."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def consume(self, take: Callable[[Reading], None]) -> None:
        """Take from the queue."""
        while True:
            take(await self.queue.get())

    async def _run(self, stream: Coroutine[Any, Any, None]) -> None:
        try:
            await stream
        except Exception as exc:  # noqa: BLE001 - whatever it is, this peer has failed
            self.tell_broken(exc)
        else:
            self.tell_broken(None)


class HttpxSse(TaskEach):
    """httpx, and httpx-sse's decoder."""

    packages: ClassVar[tuple[str, ...]] = ("httpx", "httpx_sse")

    async def start(self, stack: AsyncExitStack) -> None:
        """Make a client without limits."""
        import httpx  # noqa: PLC0415 - as its users do, and nobody else

        target = self.target
        client = httpx.AsyncClient(
            base_url=target.url,
            headers=HEADERS,
            timeout=None,  # noqa: S113 - cheapest
            limits=httpx.Limits(max_connections=None),
            # True would load certificates that nobody asks for.
            verify=target.context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            transport=self.transport(),
        )
        self.client = await stack.enter_async_context(client)

    def transport(self) -> Any:  # noqa: ANN401 - httpx's own where it is None
        """Return another transport than httpx's."""
        return None

    async def stream(self, device_id: str) -> None:
        """Stream one device."""
        from httpx_sse import aconnect_sse  # noqa: PLC0415 - an option

        async with aconnect_sse(self.client, "GET", self.target.path(device_id)) as source:
            async for event in source.aiter_sse():
                await self.queue.put(event_of(json.loads(event.data)))


class HttpxLines(HttpxSse):
    """httpx, and its own lines."""

    packages: ClassVar[tuple[str, ...]] = ("httpx",)

    async def stream(self, device_id: str) -> None:
        """Stream one device."""
        async with self.client.stream("GET", self.target.path(device_id)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    await self.queue.put(event_of(json.loads(line[5:])))


class HttpxAiohttp(HttpxSse):
    """httpx over aiohttp's connections, and httpx-sse's decoder."""

    packages: ClassVar[tuple[str, ...]] = ("httpx", "httpx_sse", "aiohttp", "httpx_aiohttp")

    def transport(self) -> Any:  # noqa: ANN401 - as above
        """Return a transport over a session without limits, which httpx's limits could not ask for."""
        from aiohttp import ClientSession, TCPConnector  # noqa: PLC0415 - an option
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - an option

        ssl_settings = self.target.context or True
        return AiohttpTransport(client=lambda: ClientSession(connector=TCPConnector(limit=0, ssl=ssl_settings)))


class Aiohttp(TaskEach):
    """aiohttp, and lines cut by hand."""

    packages: ClassVar[tuple[str, ...]] = ("aiohttp",)

    async def start(self, stack: AsyncExitStack) -> None:
        """Make a session without limits."""
        from aiohttp import ClientSession, ClientTimeout, TCPConnector  # noqa: PLC0415 - an option

        connector = TCPConnector(limit=0, ssl=self.target.context or True)
        session = ClientSession(self.target.url, connector=connector, headers=HEADERS, timeout=ClientTimeout())
        self.session = await stack.enter_async_context(session)

    async def stream(self, device_id: str) -> None:
        """Stream one device."""
        async with self.session.get(self.target.path(device_id)) as response:
            response.raise_for_status()
            rest = b""
            while data := await response.content.readany():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        await self.queue.put(event_of(json.loads(line[5:])))


class AiohttpSse(Aiohttp):
    """aiohttp, and aiohttp-sse-client2's decoder."""

    packages: ClassVar[tuple[str, ...]] = ("aiohttp", "aiohttp_sse_client2")

    async def stream(self, device_id: str) -> None:
        """Stream one device."""
        client = import_module("aiohttp_sse_client2.client")  # an option, and without types
        async with client.EventSource(self.target.path(device_id), session=self.session) as source:
            async for event in source:
                await self.queue.put(event_of(json.loads(event.data)))


PEERS: Final[dict[str, type[Peer]]] = {
    "ours": Ours,
    "ours-batches": OursInBatches,
    "ours-plain": OursPlain,
    "raw": Raw,
    "raw-orjson": RawOrjson,
    "aiohttp": Aiohttp,
    "aiohttp-sse-client2": AiohttpSse,
    "httpx-aiohttp": HttpxAiohttp,
    "httpx-lines": HttpxLines,
    "httpx-sse": HttpxSse,
}


def missing(name: str) -> bool:
    """Return whether what a peer needs is not installed."""
    return not harness.installed(*PEERS[name].packages)
