"""How streams are, in the terms of whoever asks: wall-clock times, sums, log records."""

import logging
import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import astuple

from ..errors import LittleBitsError
from ..models import ReactorStats, StreamState, StreamStatus
from ..stream import StreamMachine
from ._changes import Watchers

__all__ = ["Chronicle", "Clock", "paste_safe", "status_of", "total"]

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


def shortened(device_id: str) -> str:
    """Return what may be shown of a device's id, which is its Wi-Fi address."""
    return f"…{device_id[-4:]}"


def paste_safe(status: StreamStatus) -> dict[str, object]:
    """Return a status as values of JSON, its device's id shortened wherever it stands."""
    return {
        "device": shortened(status.device_id),
        "state": status.state.value,
        "since": status.since.isoformat(),
        "attempt": status.attempt,
        "retry_at": status.retry_at and status.retry_at.isoformat(),
        "last_event_at": status.last_event_at and status.last_event_at.isoformat(),
        "reason": status.reason.replace(status.device_id, shortened(status.device_id)),
    }


class Chronicle:
    """Tells of each change of a stream's state: to the log, to those who watch, and to later questions."""

    _last_refusal: LittleBitsError | None = None

    def __init__(self) -> None:
        self.watchers = Watchers()
        self.recent: deque[tuple[datetime, str, StreamState, str]] = deque(maxlen=_REMEMBERED)
        self._warned: set[str] = set()
        self._last: dict[str, StreamState] = {}

    def note(self, machine: StreamMachine) -> None:
        """Take note of a change."""
        self._tell_log(machine)
        self.recent.append((datetime.now(UTC), machine.device_id, machine.state, machine.reason))
        self.watchers.note(machine)

    def recent_paste_safe(self) -> list[dict[str, object]]:
        """Return the last changes, the oldest first, as values of JSON."""
        return [
            {
                "at": at.isoformat(),
                "device": shortened(device_id),
                "state": state.value,
                "reason": reason.replace(device_id, shortened(device_id)),
            }
            for at, device_id, state, reason in self.recent
        ]

    def forget(self, device_id: str) -> None:
        """Forget a device."""
        self._warned.discard(device_id)
        self._last.pop(device_id, None)

    def _tell_log(self, machine: StreamMachine) -> None:
        device_id, state = machine.device_id, machine.state
        before, self._last[device_id] = self._last.get(device_id), state
        if state in _AILING:
            # A stream that goes on failing is told once, until it has proved healthy.
            goes_on = machine.attempt > 1 or before is StreamState.STALLED
            told = device_id in self._warned and goes_on
            if state is StreamState.FAILED:  # one refused token fails a thousand devices, and is one cause
                told = told or machine.error_seen is self._last_refusal
                self._last_refusal = machine.error_seen
            level = logging.DEBUG if told else logging.WARNING
            _log.log(level, "device %s: %s: %s", device_id, state.value, machine.reason)
            self._warned.add(device_id)
        elif state is StreamState.LIVE and device_id in self._warned:
            _log.info("device %s: live again", device_id)
