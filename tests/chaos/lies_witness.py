"""A session that is lied to, and what is seen of it."""

from collections.abc import Awaitable
from typing import Any

import anyio
import pytest

from littlebits_async import Backoff, InputReactor, RetryPolicy, Session, StreamState, StreamStatus, Unlimited
from littlebits_async.hooks import RequestDone
from tests.support.local_cloud import PATIENCE, sockets_to

QUICK = Backoff(base=0.005, cap=0.01)


def session_to(url: str, **options: Any) -> Session:
    # A token bucket would hold all requests after a 429, and nothing could be seen of the session any more.
    usual: dict[str, Any] = {"budget": Unlimited(), "retry": RetryPolicy(backoff=QUICK), "trust_env": False}
    return Session("SECRET", base_url=url, **{**usual, **options})


async def until_closed(url: str) -> None:
    """Wait until this process has no socket to a server any more: closing takes the loop a turn or two."""
    with anyio.fail_after(PATIENCE):
        while sockets_to(int(url.rpartition(":")[2])):  # noqa: ASYNC110 - the kernel tells nobody
            await anyio.sleep(0.001)


async def devices(session: Session) -> list[dict[str, str]]:
    return [{"id": device.id} for device in await session.devices()]


async def failure_of(call: Awaitable[object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - who asks looks at its very type
        await call
    return caught.value


async def take(reactor: InputReactor, *wanted: tuple[str, float]) -> None:
    """Iterate until all these events, given by device and percent, have come in whatever order."""
    missing = set(wanted)
    with anyio.fail_after(PATIENCE):
        async for event in reactor:
            missing.discard((event.device_id, event.percent))
            if not missing:
                return


class Witness:
    """Hooks that see each state which a stream passes through; `InputReactor.changes` tells the newest only."""

    def __init__(self) -> None:
        self.seen: list[StreamStatus] = []
        self._changed = anyio.Event()

    def stream_changed(self, status: StreamStatus, /) -> None:
        self.seen.append(status)
        self._changed.set()
        self._changed = anyio.Event()

    def request_done(self, request: RequestDone, /) -> None:
        pass

    def event_dropped(self, device_id: str, /) -> None:
        pass

    def budget_waited(self, label: str, seconds: float, /) -> None:
        pass

    async def until(self, device_id: str, state: StreamState) -> StreamStatus:
        """Return the first status of a device in a state."""
        with anyio.fail_after(PATIENCE):
            while True:
                for status in self.seen:
                    if (status.device_id, status.state) == (device_id, state):
                        return status
                await self._changed.wait()
