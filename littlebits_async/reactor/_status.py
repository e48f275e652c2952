"""How streams are, in the terms of whoever asks: wall-clock times, sums, log records."""

import logging
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import astuple

from ..models import ReactorStats, StreamState, StreamStatus
from ..stream import StreamMachine
from ._changes import Watchers

__all__ = ["Chronicle", "Clock", "status_of", "total"]

_log = logging.getLogger("littlebits_async.reactor")
_REMEMBERED: Final = 50
_AILING: Final = frozenset({StreamState.BACKING_OFF, StreamState.STALLED, StreamState.OFFLINE, StreamState.FAILED})


class Clock:
    """Turns monotonic times into wall-clock times, by one look at both clocks."""

    def __init__(self) -> None:
        self._now = time.monotonic()
        self._wall = datetime.now(UTC)

    def wall(self, moment: float) -> datetime:
        """Return when a moment was or will be."""
        return self._wall + timedelta(seconds=moment - self._now)


def status_of(machine: StreamMachine, clock: Clock | None = None) -> StreamStatus:
    """Return how a stream is."""
    clock = clock or Clock()
    return StreamStatus(
        device_id=machine.device_id,
        state=machine.state,
        since=clock.wall(machine.since),
        attempt=machine.attempt,
        retry_at=None if machine.retry_at is None else clock.wall(machine.retry_at),
        last_event_at=None if machine.last_event_at is None else clock.wall(machine.last_event_at),
        reason=machine.reason,
        error=machine.error_seen,
    )


def total(several: Iterable[ReactorStats]) -> ReactorStats:
    """Add up what happened to several devices."""
    return ReactorStats(*map(sum, zip(*map(astuple, several), strict=True)))


class Chronicle:
    """Tells of each change of a stream's state: to the log, to those who watch, and to later questions."""

    def __init__(self) -> None:
        self.watchers = Watchers()
        self.recent: deque[tuple[datetime, str, StreamState, str]] = deque(maxlen=_REMEMBERED)
        self._warned: set[str] = set()

    def note(self, machine: StreamMachine) -> None:
        """Take note of a change."""
        self._tell_log(machine)
        self.recent.append((datetime.now(UTC), machine.device_id, machine.state, machine.reason))
        self.watchers.note(machine)

    def forget(self, device_id: str) -> None:
        """Forget a device."""
        self._warned.discard(device_id)

    def _tell_log(self, machine: StreamMachine) -> None:
        device_id, state = machine.device_id, machine.state
        if state in _AILING:
            # A stream that goes on failing is told once, until it has proved healthy.
            level = logging.DEBUG if device_id in self._warned and machine.attempt > 1 else logging.WARNING
            _log.log(level, "device %s: %s: %s", device_id, state.value, machine.reason)
            self._warned.add(device_id)
        elif state is StreamState.LIVE and device_id in self._warned:
            _log.info("device %s: live again", device_id)
