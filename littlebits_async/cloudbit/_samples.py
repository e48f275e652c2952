"""Readings of one bit, now and then."""

import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import define

from .._iteration import Iteration
from ..errors import (
    APIError,
    InvalidArgumentError,
    LittleBitsError,
    NotFoundError,
    OAuthError,
    RateLimitedError,
    ServerError,
    SessionClosedError,
)
from ..models import InputEvent

__all__ = ["Cadence", "Samples"]

_log: Final = logging.getLogger("littlebits_async.cloudbit")
_PASSING: Final = frozenset({408, 425})


@define
class Cadence:
    """When to look next: at fixed distances from the first look; what was missed is made up for once.

    Attributes:
        every: Seconds between two looks.
        due: When the next one is; at once, if there was none.
    """

    every: float
    due: float = -math.inf

    def look(self, now: float) -> None:
        """Take note of a look, which was due."""
        if self.due == -math.inf:
            self.due = now
        self.due += self.every * (math.floor((now - self.due) / self.every) + 1)


class Samples(Iteration[InputEvent]):
    """The readings of a bit; made by `CloudBit.samples`.

    Attributes:
        failed: Looks that brought no reading, so far.
        error: Why the last look brought none; None where it brought one.
    """

    def __init__(self, device_id: str, read: Callable[[], Awaitable[InputEvent]], *, every: float) -> None:
        if not 0 < every < math.inf:
            raise InvalidArgumentError(f"every: seconds over 0, not {every!r}")
        self.failed = 0
        self.error: LittleBitsError | None = None
        self._device_id = device_id
        self._read = read
        self._cadence = Cadence(every)
        self._guard = anyio.ResourceGuard("iterating over")
        self._waiting: anyio.CancelScope | None = None

    async def _next(self) -> InputEvent:
        with self._guard:
            with anyio.CancelScope() as self._waiting:
                return await self._reading()
            raise StopAsyncIteration

    async def _reading(self) -> InputEvent:
        while True:
            await anyio.sleep(max(0.0, self._cadence.due - time.monotonic()))
            looked_at = time.monotonic()
            try:
                event = await self._read()
            except LittleBitsError as exc:
                self._cadence.look(looked_at)
                self._note(exc)
                if _is_final(exc):
                    raise
            else:
                self._cadence.look(looked_at)
                self._note(None)
                return event

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too."""
        await super().aclose()
        if self._waiting is not None:
            self._waiting.cancel()

    def _note(self, error: LittleBitsError | None) -> None:
        before, self.error = self.error, error
        if error is None:
            if before is not None:
                _log.info("device %s: read again", self._device_id)
            return
        self.failed += 1
        _log.log(
            logging.WARNING if before is None else logging.DEBUG, "device %s: not read: %s", self._device_id, error
        )


def _is_final(error: LittleBitsError) -> bool:
    """Whether another look would fail likewise; a bit that is off line is a 404 to some servers."""
    if isinstance(error, APIError):
        passing = isinstance(error, NotFoundError | RateLimitedError | ServerError) or error.status in _PASSING
        return not passing and error.status in range(400, 500)
    return isinstance(error, InvalidArgumentError | OAuthError | SessionClosedError)
