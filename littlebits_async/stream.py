"""One device's input stream as a state machine; no I/O, no clock.

Its driver tells it what happened (`queued`, `granted`, `opened`, `received`, `event`, `closed`, `error`, `listed`,
`tick`) and does what it answers (`AskBudget`, `AskListing`, `Open`, `Read`, `Close`, `Wait`). All timing of a stream is
decided here: backoff after a failure, what counts as silence, when a refused device is tried again. Times are seconds
of any clock that never goes back.

It may be told anything at any time. What answers a command that no longer stands, or that was never given, comes to
nothing: it is a tick, so that a grant is never spent on a second connection, and nothing outlives `removed`.

```
        start ─→ WAITING_FOR_BUDGET ─granted→ CONNECTING ─opened→ LIVE ⇄ QUIET
                        ↑                         │                │
                        │ tick              error │   error, closed│  tick: silence
                        │                         ↓                ↓       ↓
                        ├────────────────── BACKING_OFF ←──────────┴── STALLED
                        │                         │ tick, after silence on silence, or a 404: AskListing
                        ├─ listed: on line ───────┼──→ OFFLINE (listed as not connected) ─tick→ AskListing
                        └─ tick, retry ──── FAILED (refused by the API, and not in the listing)
```
"""

import random
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from .backoff import LONGEST_ASKED_WAIT, Backoff
from .errors import (
    APIError,
    AuthenticationError,
    BudgetExhaustedError,
    LittleBitsError,
    NotFoundError,
    OAuthError,
    SessionClosedError,
    StreamClosedError,
    StreamStalledError,
)
from .models import Device, InputEvent, StreamState

__all__ = ["LISTING_EVERY", "AskBudget", "AskListing", "Close", "Command", "Open", "Read", "StreamMachine", "Wait"]

LISTING_EVERY: Final = 60.0
"""Seconds between two listings of all devices, at least."""

RETRY_REFUSED_AFTER: Final = 15 * 60.0
SLOW_SCHEDULE_BASE: Final = 60.0
SLOW_SCHEDULE_CAP: Final = 3600.0
GAP_FACTOR: Final = 3.0
# Refusals that say nothing about the device: too slow, too early, too many.
_PASSING: Final = frozenset({408, 425, 429})


@frozen
class AskBudget:
    """Ask the budget for a request, then say `granted`."""


@frozen
class Open:
    """Open a connection, then say `opened` or `error`."""


@frozen
class Read:
    """Go on reading."""


@frozen
class Close:
    """Close the connection, then say `closed`."""


@frozen
class AskListing:
    """Ask for the listing of all devices, shared and at most a minute old, then say `listed`."""


@frozen
class Wait:
    """Do nothing before a time, then say `tick`; without a time, wait to be told.

    Attributes:
        until: The time, or None.
    """

    until: float | None


Command = AskBudget | AskListing | Open | Read | Close | Wait
_CONNECTED: Final = (Read, Close)
_LOST: Final = InputEvent("", -1, 0.0)
_LONGEST_INTERVAL_MS: Final = 24 * 60 * 60 * 1000


class StreamMachine:
    """Decides what one device's stream does next.

    Args:
        device_id: The device.
        backoff: How long to wait after failures, and when a stream has proved healthy.
        stall_after: Seconds without bytes that count as silence, at least; None never counts any.
        quiet_after: Seconds without events, on a connection that is kept alive, until it is reopened; None never is.
        now: The time.
        rng: Gives numbers from 0 to 1, for jitter.
        on_change: Called after each change of state.

    Source: design.md, R1, R3, R4, R5, R6.
    """

    __slots__ = (
        "_asked",
        "_backoff",
        "_connection_events",
        "_event_gap",
        "_first_event_at",
        "_gap",
        "_heard_at",
        "_interruption",
        "_last_event",
        "_on_change",
        "_opened",
        "_paused_at",
        "_quiet_after",
        "_refusal",
        "_rng",
        "_seen_event_at",
        "_server_wait",
        "_silent_openings",
        "_slowed",
        "_stall_after",
        "attempt",
        "device_id",
        "error_seen",
        "gap_reason",
        "interval",
        "last_event_at",
        "reason",
        "reconnects",
        "retry_at",
        "since",
        "stalls",
        "state",
    )

    def __init__(
        self,
        device_id: str,
        *,
        backoff: Backoff,
        stall_after: float | None,
        quiet_after: float | None,
        now: float,
        rng: Callable[[], float] = random.random,
        on_change: Callable[["StreamMachine"], None] = lambda _machine: None,
    ) -> None:
        self.device_id: Final = device_id
        self._backoff = backoff
        self._stall_after = stall_after
        self._quiet_after = quiet_after
        self._rng = rng
        self._on_change = on_change

        self.state = StreamState.CONNECTING
        self.since = now
        self.reason = ""
        self.error_seen: LittleBitsError | None = None
        self.attempt = 0
        """Tries since the stream last proved healthy, the one that did included; 0 while it is."""
        self.retry_at: float | None = None
        self.last_event_at: float | None = None
        self.reconnects = 0
        self.stalls = 0
        self.interval = 0.0
        """The device's input interval in seconds, where it is known."""

        self.gap_reason: str | None = None
        """Why events may be missing before the last one that was passed on; None where none are."""

        self._asked: type[Command] | None = None  # what is to be done, and answered; None before `start`
        self._opened = False
        self._interruption = ""
        self._server_wait = 0.0
        self._silent_openings = 0
        self._slowed = False
        self._refusal: NotFoundError | None = None
        self._last_event: InputEvent | None = None
        self._paused_at: float | None = None
        self._gap = 0.0
        self._event_gap = 0.0
        # Of the present connection:
        self._heard_at = now
        self._seen_event_at = now
        self._first_event_at: float | None = None
        self._connection_events = 0

    # What happened -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> Command:
        """Begin."""
        return self._ask_budget(now) if self._asked is None else self.tick(now)

    def queued(self, seconds: float, now: float) -> None:
        """The budget lets it wait, for so many seconds as it seems."""
        if self._asked is AskBudget:
            self.retry_at = now + seconds
            self._on_change(self)

    def overdue(self, now: float) -> None:
        """Where the budget lets it wait longer than it seemed, nobody knows for how long."""
        if self._asked is AskBudget and self.retry_at is not None and now >= self.retry_at:
            self.retry_at = None
            self._on_change(self)

    def granted(self, now: float) -> Command:
        """The budget granted a request."""
        if self._asked is not AskBudget:
            return self.tick(now)
        self.attempt += 1
        if self._opened:
            self.reconnects += 1
        return self._enter(StreamState.CONNECTING, now, Open(), reason=self.reason, error=self.error_seen)

    def opened(self, now: float) -> Command:
        """The server answered with an event stream; one that is not wanted any more is to be closed."""
        if self._asked is not Open:
            return self.tick(now) if self._asked in _CONNECTED else Close()
        self._opened = True
        self._interruption = self.reason
        self._heard_at = self._seen_event_at = now
        self._first_event_at = None
        self._connection_events = 0
        self._paused_at = None
        return self._enter(StreamState.LIVE, now, Read())

    def received(self, now: float) -> None:
        """Bytes came, of whatever kind."""
        if self._asked not in _CONNECTED:
            return
        gap = now - self._heard_at
        if gap > self._gap:  # noqa: PLR1730 - max() costs as much as all the rest
            self._gap = gap
        self._heard_at = now

    def event(self, event: InputEvent, now: float) -> bool:
        """An event came; return whether it is to be passed on.

        False for the repeat of the last event on a new connection, as servers send the newest value at once, and for
        what comes without a connection.

        Args:
            event: The event.
            now: When it was read; a pause may have passed since.
        """
        if self._asked not in _CONNECTED:
            return False
        self._connection_events += 1
        self.gap_reason = None
        last = self._last_event
        if self._connection_events == 1 and last is not None:
            if (event.device_id, event.timestamp_ms) == (last.device_id, last.timestamp_ms):
                return False
            self.gap_reason = self._interruption
        self._last_event = event
        self.last_event_at = now
        gap = now - self._seen_event_at
        if self._first_event_at is None:
            self._first_event_at = now
        else:
            if gap > self._event_gap:  # noqa: PLR1730 - as above
                self._event_gap = gap
            if self.attempt and now - self._first_event_at >= self._backoff.healthy_after:
                self.attempt = 0
        if gap > 0:
            self._seen_event_at = now
        self._silent_openings = 0
        if self.state is StreamState.QUIET:
            self._enter(StreamState.LIVE, now, Read())
        return True

    def not_passed_on(self) -> None:
        """The event that came last was lost on its way: if it is repeated, the repeat is passed on."""
        self._last_event = _LOST

    def know_interval(self, milliseconds: int | None) -> None:
        """The device's input interval was told, or not; one of more than a day is taken for a day."""
        if milliseconds is not None:
            self.interval = min(milliseconds, _LONGEST_INTERVAL_MS) / 1000

    def server_wait(self, milliseconds: int) -> None:
        """The server named the least wait before a reconnect (``retry:``)."""
        self._server_wait = min(milliseconds, LONGEST_ASKED_WAIT * 1000) / 1000

    def paused(self, now: float) -> None:
        """Reading stopped, since the consumer is behind: the clock of silence stops."""
        if self._paused_at is None:
            self._paused_at = now

    def resumed(self, now: float) -> None:
        """Reading goes on."""
        if self._paused_at is not None:
            pause = now - self._paused_at
            self._paused_at = None
            self._heard_at = min(now, self._heard_at + pause)
            self._seen_event_at = min(now, self._seen_event_at + pause)

    def closed(self, now: float) -> Command:
        """The connection was closed on this side: as `Close` asked, or it has failed."""
        if self._asked is Close:
            return self._after_silence(now)
        if self._asked is Read:
            return self.error(StreamClosedError(f"device {self.device_id}: the stream was closed"), now)
        return self.tick(now)

    def error(self, exc: LittleBitsError, now: float) -> Command:
        """What was being done has failed, or was given up for this; nothing is open any more.

        A refused token, one that nobody has logged in for, or a closed session ends whatever is being done, and nothing
        that fails later makes up for it.
        """
        final = isinstance(exc, AuthenticationError | OAuthError | SessionClosedError)
        if self.state is StreamState.CLOSED or (self.state is StreamState.FAILED and not final):
            return self.tick(now)
        self._paused_at = self._refusal = None
        self._slowed = False
        self._count_failure()
        if final:
            return self._enter(StreamState.FAILED, now, Wait(None), reason=str(exc), error=exc)
        if isinstance(exc, NotFoundError) and self._asked is Open:
            self._refusal = exc  # a bit that is off line may look like this too
            return self._ask_listing()
        if isinstance(exc, APIError) and 400 <= exc.status < 500 and exc.status not in _PASSING:  # noqa: PLR2004
            return self._refused(exc, now)
        least = self._server_wait
        if isinstance(exc, APIError) and exc.retry_after is not None:
            least = max(least, exc.retry_after)
        if isinstance(exc, BudgetExhaustedError):
            least = max(least, exc.wait)
        delay = self._delay(min(least, LONGEST_ASKED_WAIT))
        return self._wait(StreamState.BACKING_OFF, now, delay, reason=str(exc), error=exc)

    def listed(self, listing: Mapping[str, Device] | None, now: float) -> Command:
        """The listing came: which devices there are, or None where it was not to be had."""
        if self._asked is not AskListing:
            return self.tick(now)
        refusal, self._refusal = self._refusal, None
        device = None if listing is None else listing.get(self.device_id)
        if device is None:
            return self._ask_budget(now) if refusal is None else self._refused(refusal, now)
        self.know_interval(device.input_interval_ms)
        if device.is_connected is False:
            self._silent_openings = min(self._silent_openings, 1)  # once back, it is as good as any other
            return self._wait(StreamState.OFFLINE, now, LISTING_EVERY, reason="listed as not connected", error=refusal)
        if refusal is not None:
            self._silent_openings = max(self._silent_openings + 1, 2)
            delay = self._slow_delay()
            return self._wait(StreamState.OFFLINE, now, delay, reason="listed, but not to be found", error=refusal)
        return self._ask_budget(now)

    def tick(self, now: float) -> Command:
        """Time has passed."""
        if self.state in (StreamState.LIVE, StreamState.QUIET):
            return self._watch(now)
        if self.state in (StreamState.BACKING_OFF, StreamState.FAILED, StreamState.OFFLINE):
            if self.retry_at is None or now < self.retry_at:
                return Wait(self.retry_at)
            if self._slowed or self.state is StreamState.OFFLINE:
                return self._ask_listing()
            return self._ask_budget(now)
        if self.state is StreamState.STALLED:
            return Close()
        return Wait(None)

    def retry(self, now: float) -> Command:
        """Someone asked for a device again: a failed one is tried at once."""
        if self.state is StreamState.FAILED:
            self.attempt = 0
            return self._ask_budget(now)
        return Wait(self.retry_at)

    def removed(self, now: float) -> None:
        """The device is no longer wanted."""
        self._enter(StreamState.CLOSED, now, Wait(None))

    # What follows --------------------------------------------------------------------------------------------------

    def silence_limit(self) -> float | None:
        """Return how many seconds without bytes are silence, given what this stream is used to."""
        if self._stall_after is None:
            return None
        return max(self._stall_after, GAP_FACTOR * self._gap, GAP_FACTOR * self.interval)

    def _ask_budget(self, now: float) -> Command:
        self._slowed = False
        return self._enter(StreamState.WAITING_FOR_BUDGET, now, AskBudget(), reason=self.reason, error=self.error_seen)

    def _ask_listing(self) -> Command:
        self._asked = AskListing
        return AskListing()

    def _watch(self, now: float) -> Command:
        if self._paused_at is not None:
            return Read()
        silence = self.silence_limit()
        unheard = now - self._heard_at
        if silence is not None and unheard >= silence:
            return self._stall(now, f"nothing came for {unheard:.3g} s")
        if self._heard_at <= self._seen_event_at:
            return Read()  # nothing came since the last event: the limit above is for that
        eventless = now - self._seen_event_at
        usual = GAP_FACTOR * max(self._event_gap, self.interval)
        if self._quiet_after is not None and eventless >= max(self._quiet_after, usual):
            return self._stall(now, f"no event came for {eventless:.3g} s")
        if self.state is StreamState.LIVE and silence is not None and eventless >= max(silence, usual):
            self._enter(StreamState.QUIET, now, Read(), reason=f"no event came for {eventless:.3g} s")
        return Read()

    def _stall(self, now: float, reason: str) -> Command:
        self.stalls += 1
        self._count_failure()
        error = StreamStalledError(f"device {self.device_id}: {reason}; the bit may be off line")
        return self._enter(StreamState.STALLED, now, Close(), reason=reason, error=error)

    def _after_silence(self, now: float) -> Command:
        self._silent_openings += 1
        if self._silent_openings == 1:
            # The path may just have died: once, promptly.
            delay = self._delay(self._server_wait, attempt=1)
        else:
            self._slowed = True
            delay = max(self._slow_delay(), self._server_wait)
        return self._wait(StreamState.BACKING_OFF, now, delay, reason=self.reason, error=self.error_seen)

    def _slow_delay(self) -> float:
        return min(SLOW_SCHEDULE_BASE * 2.0 ** min(self._silent_openings - 2, 16), SLOW_SCHEDULE_CAP)

    def _refused(self, exc: APIError, now: float) -> Command:
        return self._wait(StreamState.FAILED, now, RETRY_REFUSED_AFTER, reason=str(exc), error=exc)

    def _count_failure(self) -> None:
        # The try that proved healthy has failed in its turn, and the next one is the second.
        self.attempt = max(self.attempt, 1)

    def _delay(self, at_least: float, attempt: int | None = None) -> float:
        return self._backoff.delay(attempt or self.attempt, rng=self._rng, at_least=at_least)

    def _wait(
        self, state: StreamState, now: float, seconds: float, *, reason: str, error: LittleBitsError | None
    ) -> Command:
        retry_at = now + seconds
        return self._enter(state, now, Wait(retry_at), reason=reason, error=error, retry_at=retry_at)

    def _enter(
        self,
        state: StreamState,
        now: float,
        command: Command,
        *,
        reason: str = "",
        error: LittleBitsError | None = None,
        retry_at: float | None = None,
    ) -> Command:
        if state is not self.state:
            self.since = now
        self.state = state
        self._asked = type(command)
        self.reason = reason
        self.error_seen = error
        self.retry_at = retry_at
        self._on_change(self)
        return command
