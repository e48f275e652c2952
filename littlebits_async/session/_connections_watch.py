"""Which devices came on line and which went, by one listing after another."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import anyio

from .._iteration import Iteration
from ..errors import (
    APIError,
    BudgetExhaustedError,
    DecodeError,
    LittleBitsError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from ..models import ConnectionChange, Device

__all__ = ["ConnectionWatch", "Presence"]

_log = logging.getLogger("littlebits_async.session")

_PASSING: Final = frozenset({408, 425})


class Presence:
    """Which devices are on line, as far as was told; no I/O, no clock."""

    def __init__(self) -> None:
        self._known: dict[str, bool] | None = None

    def update(self, devices: Iterable[Device], at: datetime) -> list[ConnectionChange]:
        """Take a listing, and return what has changed; the first one is what later ones are compared with.

        A device that is new counts as one that was off line, and so does one that is no longer listed. Where the server
        does not say, what it said before holds.
        """
        before = self._known
        known = {} if before is None else before
        now = {
            device.id: known.get(device.id, False) if device.is_connected is None else device.is_connected
            for device in devices
        }
        self._known = now
        if before is None:
            return []
        return [
            ConnectionChange(device_id, is_connected=now.get(device_id, False), at=at)
            for device_id in dict.fromkeys([*before, *now])
            if before.get(device_id, False) != now.get(device_id, False)
        ]


class ConnectionWatch(Iteration[ConnectionChange]):
    """Changes as they are seen in a listing each round.

    Args:
        listing: Asks for the devices, one try.
        every: Seconds between two rounds' beginnings; a round that is late delays none that follows, one that is missed
            is left out.
    """

    def __init__(self, listing: Callable[[], Awaitable[list[Device]]], every: float) -> None:
        self._listing = listing
        self._every = every
        self._presence = Presence()
        self._pending: deque[ConnectionChange] = deque()
        self._next_at: float | None = None
        self._failing = False
        self._guard = anyio.ResourceGuard("iterating over")
        self._waiting: anyio.CancelScope | None = None

    async def _next(self) -> ConnectionChange:
        with self._guard:
            with anyio.CancelScope() as self._waiting:
                while not self._pending:
                    await self._round()
                return self._pending.popleft()
            raise StopAsyncIteration

    async def _round(self) -> None:
        now = anyio.current_time()
        if self._next_at is None:
            self._next_at = now
        await anyio.sleep_until(self._next_at)
        # Noted before it is asked: a wait that is given up, and begun again, must not ask more often.
        missed = (anyio.current_time() - self._next_at) // self._every
        self._next_at += (missed + 1) * self._every
        try:
            devices = await self._listing()
        except LittleBitsError as exc:
            if not _is_passing(exc):
                raise
            _log.log(logging.DEBUG if self._failing else logging.WARNING, "the listing was not to be had: %s", exc)
            self._failing = True
            return
        if self._failing:
            _log.info("the listing is there again")
            self._failing = False
        self._pending.extend(self._presence.update(devices, datetime.now(UTC)))

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too."""
        self._ended = True
        self._pending.clear()
        if self._waiting is not None:
            self._waiting.cancel()


def _is_passing(exc: LittleBitsError) -> bool:
    """Whether the next round may bring what this one did not."""
    if isinstance(exc, TransportError | DecodeError | BudgetExhaustedError | RateLimitedError | ServerError):
        return True
    return isinstance(exc, APIError) and exc.status in _PASSING
