"""What a bit's webhooks are told: its input's edges and levels, and its coming and going.

Source: spec/cloud-http-api-v1-and-webhooks.md, "Each channel is POSTed to individually" and "`publisher_events` field
details"; the thresholds are those of `Thresholds`, after wire-facts 7.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ..amplitude import Amplitude, Delta, Level, Thresholds
from .readings import Reading
from .storage import SubscriptionRecord
from .subscriptions import CONNECTION
from .ticker import Ticker
from .webhooks import amplitude_body, connection_body

__all__ = ["Publisher", "Tell"]

Tell = Callable[[int, str, bytes], None]
"""Takes the number of a subscription, an event and a body, and has it delivered."""

_CATCH_ALL: Final = "amplitude"
_MEANING: Final[Mapping[str, tuple[Delta, Level]]] = {
    "amplitude:delta:ignite": ("ignite", "active"),
    "amplitude:delta:sustain": ("sustain", "active"),
    "amplitude:delta:release": ("release", "idle"),
    "amplitude:delta:nap": ("nap", "idle"),
    "amplitude:level:active": ("ignite", "active"),
    "amplitude:level:idle": ("release", "idle"),
}
"""Each derived event, and the delta and level that its body has."""
_STAYS: Final[Mapping[Level, Delta]] = {"active": "sustain", "idle": "nap"}


class Publisher:
    """One bit's webhooks.

    Args:
        device_id: The bit.
        ticker: Gives a turn when a stay becomes a sustain or a nap, with or without a reading.
        thresholds: What counts as active and idle.
        tell: Has a delivery made.
        history: Readings of before the cloud was started, so that an edge that happened meanwhile is told.
    """

    def __init__(
        self, device_id: str, ticker: Ticker, thresholds: Thresholds, tell: Tell, history: Iterable[Reading] = ()
    ) -> None:
        self._device_id = device_id
        self._ticker = ticker
        self._tell = tell
        self._newest: Reading | None = None
        past = Amplitude(thresholds)
        for reading in history:
            self._newest = reading
            past.feed(reading.percent, reading.timestamp_ms / 1000)
        self._amplitude = Amplitude(thresholds, level=past.level, held=past.held)
        self._is_connected = True
        self._subscriptions: dict[int, SubscriptionRecord] = {}

    @property
    def listens(self) -> bool:
        """Whether it needs the bit's readings."""
        return any(event != CONNECTION for item in self._subscriptions.values() for event in item.events)

    @property
    def due(self) -> float:
        """When a stay becomes a sustain or a nap; of a bit that is off line nobody knows."""
        return self._amplitude.due if self._is_connected else math.inf

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    def add(self, subscription: SubscriptionRecord) -> None:
        """Tell a subscriber, in place of an older form of the same subscription."""
        self._subscriptions[subscription.id] = subscription

    def remove(self, subscription_id: int) -> None:
        """Tell a subscriber no more."""
        self._subscriptions.pop(subscription_id, None)

    def read(self, reading: Reading) -> None:
        """Take a reading, and tell what it means."""
        self._is_connected = True
        self._newest = reading
        verdict = self._amplitude.feed(reading.percent, self._ticker.clock())
        self._derived(verdict.entered, reading)
        self._each(
            _CATCH_ALL,
            lambda: amplitude_body(
                reading, name=_CATCH_ALL, delta=verdict.delta or _STAYS[verdict.level], level=verdict.level
            ),
        )
        self._ticker.plan(self)

    def tick(self, now: float) -> None:
        """Tell a sustain or nap that has become due."""
        verdict = self._amplitude.tick(now)
        if verdict is not None and self._newest is not None:
            self._derived(verdict.entered, self._newest)

    def connection(self, user_id: int | None, *, is_connected: bool) -> None:
        """Tell that the bit came or went."""
        self._is_connected = is_connected
        now_ms = time.time_ns() // 1_000_000
        self._each(CONNECTION, lambda: connection_body(self._device_id, user_id, now_ms, is_connected=is_connected))

    def _derived(self, names: tuple[str, ...], reading: Reading) -> None:
        for name in names:
            delta, level = _MEANING[name]
            self._each(name, lambda: amplitude_body(reading, name=name, delta=delta, level=level))  # noqa: B023 - at once

    def _each(self, event: str, make_body: Callable[[], bytes]) -> None:
        wanting = [number for number, item in self._subscriptions.items() if event in item.events]
        if wanting:
            body = make_body()
            for number in wanting:
                self._tell(number, event, body)
