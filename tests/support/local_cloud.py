"""A `LocalCloud` for tests on asyncio and trio: it runs in a thread, with an event loop of its own."""

import os
import socket
import stat
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import field, frozen

from littlebits_async import Session
from littlebits_async.localcloud import Bit, LocalCloud

T = TypeVar("T")

PATIENCE = 5
SLOWEST = 24 * 60 * 60 * 1000
"""An input interval so long that a bit is read only when its stream opens, and when `turn` turns it."""


@frozen
class CloudInThread:
    """A running cloud, seen from another event loop."""

    _cloud: LocalCloud = field(alias="cloud")
    _portal: BlockingPortal = field(alias="portal")

    @property
    def url(self) -> str:
        return self._cloud.url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have something done in the cloud's own loop."""
        return await anyio.to_thread.run_sync(self._portal.call, work)

    async def see(self, look: Callable[[LocalCloud], T]) -> T:
        """Look at something in the cloud's own thread."""
        return await anyio.to_thread.run_sync(self._portal.call, look, self._cloud)

    async def until(self, wanted: Callable[[LocalCloud], bool]) -> None:
        """Wait until the cloud is as wanted."""

        async def watch() -> None:
            with anyio.fail_after(PATIENCE):
                while not wanted(self._cloud):  # noqa: ASYNC110 - the cloud tells nobody
                    await anyio.sleep(0.002)

        await self.do(watch)

    async def until_shown(self, bit: Bit, percent: float) -> None:
        """Wait until a bit is told to show a percent."""

        async def watch() -> None:
            with anyio.fail_after(PATIENCE):
                await bit.wait_shown(lambda shown: shown == percent)

        await self.do(watch)

    async def until_streams(self, number: int) -> None:
        """Wait until so many input streams are open."""
        await self.until(lambda cloud: cloud.streams == number)

    async def create_token(self, scopes: Iterable[str] = ("read", "write", "admin"), *, user_id: int = 1) -> str:
        return await self.do(partial(self._cloud.create_token, scopes, user_id=user_id))

    async def session(self, **options: Any) -> Session:
        """Open a session of a new token's."""
        return Session(await self.create_token(), base_url=self.url, **options)

    async def add_device(self, device_id: str, **options: Any) -> Bit:
        return await self.do(partial(self._cloud.add_device, device_id, **options))

    async def add_devices(self, device_ids: Iterable[str], **options: Any) -> None:
        async def add() -> None:
            for device_id in device_ids:
                await self._cloud.add_device(device_id, **options)

        await self.do(add)

    async def set_input(self, bit: Bit, percent: float) -> None:
        await self.do(partial(bit.set_input, percent=percent))

    async def set_connected(self, bit: Bit, *, to: bool) -> None:
        await self.do(partial(bit.set_connected, to))

    async def turn(self, bit: Bit, *percents: float) -> None:
        """Turn a bit's input, and have each value read at once: a bit is read whenever it comes on line."""

        async def turn() -> None:
            for percent in percents:
                await bit.set_connected(False)
                await bit.set_input(percent=percent)
                await bit.set_connected(True)
                await anyio.lowlevel.checkpoint()  # lets the streams take it

        await self.do(turn)

    async def close_streams(self, *, abort: bool) -> int:
        return await self.do(partial(self._cloud.close_streams, abort=abort))

    async def stop(self) -> None:
        await self.do(partial(self._cloud.__aexit__, None, None, None))

    async def start(self) -> None:
        """Start again after `stop`."""
        await self.do(self._cloud.__aenter__)


@contextmanager
def cloud_in_thread(**options: Any) -> Generator[CloudInThread, None, None]:
    """Run a cloud until the block is left."""
    with start_blocking_portal("asyncio") as portal:
        cloud = LocalCloud(**options)
        with portal.wrap_async_context_manager(cloud):
            yield CloudInThread(cloud, portal)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def sockets_to(port: int) -> int:
    """Count this process's sockets whose peer is at a port, by asking the kernel about every open file."""
    return sum(_peer_port(int(name)) == port for name in os.listdir("/dev/fd"))  # noqa: PTH208 - numbers, no paths


def _peer_port(descriptor: int) -> int | None:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            _, port, *_ = copy.getpeername()
    except (OSError, ValueError):  # closed meanwhile, not connected, or a pair without addresses
        return None
    return int(port)
