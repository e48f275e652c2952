"""What the Cloud API talks about, as frozen, slotted attrs classes.

Units stand in the names at the edges (``duration_ms``), percent is 0 to 100 of full scale, times are aware UTC
datetimes. How these look on the wire is the business of ``wire`` alone.

Source: spec/cloud-api-v2.txt (devices, subscriptions), spec/blog-python-and-the-cloud-api.txt (input events),
spec/cloud-http-api-v1-and-webhooks.md (amplitude events).
"""

import re
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from attrs import field, frozen

from .errors import LittleBitsError

__all__ = [
    "FOREVER",
    "AccessPoint",
    "AmplitudeEvent",
    "ConnectionChange",
    "Device",
    "EventSource",
    "InputEvent",
    "InputGap",
    "LightColor",
    "LightMode",
    "ReactorStats",
    "StreamState",
    "StreamStatus",
    "Subscription",
]

FOREVER: Final = -1
"""A ``duration_ms`` without end: the output stays until the next one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FULL_SCALE_VOLTS = 5.0


class AmplitudeEvent(StrEnum):
    """What a subscription may ask to be told; a subscription that names nothing gets ``IGNITE``."""

    AMPLITUDE = "amplitude"
    SUSTAIN = "amplitude:delta:sustain"
    IGNITE = "amplitude:delta:ignite"
    RELEASE = "amplitude:delta:release"
    NAP = "amplitude:delta:nap"
    ACTIVE = "amplitude:level:active"
    IDLE = "amplitude:level:idle"


class LightColor(StrEnum):
    """The colours of a cloudBit's light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    BLUE = "blue"
    PURPLE = "purple"
    WHITE = "white"
    CYAN = "cyan"
    CLOWNBARF = "clownbarf"


class LightMode(StrEnum):
    """How a cloudBit's light shines."""

    BLINK = "blink"
    HOLD = "hold"


class StreamState(StrEnum):
    """Where one device's input stream stands."""

    CONNECTING = "connecting"
    """A request is on its way, or waits for its turn to be."""
    LIVE = "live"
    """An event stream is open."""
    QUIET = "quiet"
    """Open and kept alive, but without events for longer than usual."""
    STALLED = "stalled"
    """Nothing came for too long; it is being reopened."""
    BACKING_OFF = "backing off"
    """It failed; the next try has a time."""
    WAITING_FOR_BUDGET = "waiting for budget"
    """It would open, but the hour's requests are spent."""
    OFFLINE = "offline"
    """The cloud says that the device is not connected."""
    FAILED = "failed"
    """The API refuses this device; tried again seldom, and on ``add``."""
    CLOSED = "closed"
    """Removed, or its reactor has ended."""


@frozen
class AccessPoint:
    """The Wi-Fi access point of a cloudBit.

    Attributes:
        ssid: The network's name.
        mac: The access point's address.
        strength: Signal strength in percent.
    """

    ssid: str | None = None
    mac: str | None = None
    strength: int | None = None


def _without_key(subscriber_id: str) -> str:
    scheme, found, rest = subscriber_id.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return repr(f"{scheme}://{host}/…" if found else subscriber_id)


@frozen
class Subscription:
    """A publisher's events, and who is told of them.

    Attributes:
        publisher_id: The device whose input is told.
        subscriber_id: The device that follows, or the URL that is called; its repr is the host alone, as user, path and
            query of such URLs are often keys.
        events: Names of the events, mostly those of `AmplitudeEvent`; empty where the server did not say.
    """

    publisher_id: str
    subscriber_id: str = field(repr=_without_key)
    events: tuple[str, ...] = ()


@frozen
class Device:
    """A cloudBit as the API describes it.

    Attributes:
        id: The device id, mostly 12 lower-case hexadecimal digits; treat it as opaque.
        label: The owner's name for it; empty where the server gave none.
        user_id: The owner.
        is_connected: Whether it is on line, None where the server did not say.
        input_interval_ms: Milliseconds between two input events.
        ap: Its Wi-Fi access point, None when off line or not told.
        subscriptions: What this device follows.
        subscribers: Who follows this device.
    """

    id: str
    label: str = ""
    user_id: int | None = None
    is_connected: bool | None = None
    input_interval_ms: int | None = None
    ap: AccessPoint | None = None
    subscriptions: tuple[Subscription, ...] = ()
    subscribers: tuple[Subscription, ...] = ()


@frozen
class InputEvent:
    """One reading of a cloudBit's input.

    Attributes:
        device_id: The device that was read.
        timestamp_ms: The server's time, Unix milliseconds.
        percent: The input in percent of full scale, 0 to 100.
        absolute: The reading of the 10-bit converter, 0 to 1023.
        delta: The edge (``ignite``, ``release``, ``sustain``, ``nap``); None on streams.
        level: The level (``active``, ``idle``); None on streams.
        name: The event's own name, mostly ``amplitude``.
        user_id: The owner.
        mac: The device's Wi-Fi address.
        ap: The device's access point.
    """

    device_id: str
    timestamp_ms: int
    percent: float
    absolute: int | None = None
    delta: str | None = None
    level: str | None = None
    name: str | None = None
    user_id: int | None = None
    mac: str | None = None
    ap: AccessPoint | None = None

    @property
    def timestamp(self) -> datetime:
        """The server's time as an aware UTC datetime."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)

    @property
    def volts(self) -> float:
        """The input in volts: percent of 5 V."""
        return self.percent * _FULL_SCALE_VOLTS / 100


@frozen
class ConnectionChange:
    """A device came on line, or went.

    Attributes:
        device_id: The device.
        is_connected: Whether it is on line now.
        at: When that was seen, here.
    """

    device_id: str
    is_connected: bool
    at: datetime


@frozen
class InputGap:
    """A time in which events of a device may be missing.

    Attributes:
        device_id: The device.
        since: Server time of the last event before the gap.
        until: Server time of the first event after it.
        reason: Why, in a few words.
    """

    device_id: str
    since: datetime
    until: datetime
    reason: str


@frozen
class StreamStatus:
    """Where one device's stream stands, and since when.

    Attributes:
        device_id: The device.
        state: The state.
        since: When the state was entered.
        attempt: Tries since the stream last proved healthy; 0 while it is.
        retry_at: When the next try is due, where one is; an estimate, or None, while it waits for the budget.
        last_event_at: When the last event was received.
        reason: Why it is in this state, in a few words; empty where there is nothing to say.
        error: The error that led here, where one did.
    """

    device_id: str
    state: StreamState
    since: datetime
    attempt: int = 0
    retry_at: datetime | None = None
    last_event_at: datetime | None = None
    reason: str = ""
    error: LittleBitsError | None = None


@frozen
class ReactorStats:
    """What happened to a reactor's events and streams so far.

    Attributes:
        events: Events received and accepted.
        dropped: Events that an overflow policy dropped.
        reconnects: Tries to open a stream after its device's first opening.
        stalls: Times that a stream fell silent.
        decode_errors: Events that could not be used.
    """

    events: int = 0
    dropped: int = 0
    reconnects: int = 0
    stalls: int = 0
    decode_errors: int = 0


class EventSource(Protocol):
    """Anything that yields input events: a webhook receiver, a replay."""

    @property
    def devices(self) -> Collection[str]:
        """The ids of the devices that it speaks for, as far as it knows."""
        ...

    def __aiter__(self) -> AsyncIterator[InputEvent]:
        """Iterate over the events."""
        ...
