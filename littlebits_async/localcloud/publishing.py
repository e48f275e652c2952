"""What a bit's webhooks are told: its input's edges and levels, and its coming and going.

Where an input stands is kept with the inputs, so that after a restart an edge that happened meanwhile is told, and a
sustain or nap is not told twice. A bit that was off line is like one whose cloud was stopped: for how long its level
has stood nobody knows, so that counts anew from its next reading.

Source: spec/cloud-http-api-v1-and-webhooks.md, "Each channel is POSTed to individually" and "`publisher_events` field
details"; the thresholds are those of `Thresholds`, after wire-facts 7.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from ..amplitude import Amplitude, Delta, Level
from .readings import Reading
from .storage import SubscriptionRecord
from .subscriptions import CONNECTION
from .ticker import Ticker
from .webhooks import amplitude_body, connection_body

__all__ = ["Note", "Publisher", "Tell"]

Tell = Callable[[int, str, bytes], None]
"""Takes the number of a subscription, an event and a body, and has it delivered."""


class Note(Protocol):
    """Keeps where the input of a device stands, and whether that was told as a sustain or nap."""

    def __call__(self, device_id: str, level: Level | None, *, held: bool) -> None:
        """Keep it."""
        ...


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
        amplitude: Where the input stands.
        tell: Has a delivery made.
        note: Keeps where the input stands.
    """

    def __init__(self, device_id: str, ticker: Ticker, amplitude: Amplitude, tell: Tell, note: Note) -> None:
        self._device_id = device_id
        self._ticker = ticker
        self._amplitude = amplitude
        self._tell = tell
        self._note = note
        self._noted = (amplitude.level, amplitude.held)
        self._newest: Reading | None = None
        self._subscriptions: dict[int, SubscriptionRecord] = {}

    @property
    def listens(self) -> bool:
        """Whether it needs the bit's readings."""
        return any(event != CONNECTION for item in self._subscriptions.values() for event in item.events)

    @property
    def due(self) -> float:
        """When a stay becomes a sustain or a nap."""
        return self._amplitude.due

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    def add(self, subscription: SubscriptionRecord) -> None:
        """Tell a subscriber, in place of an older form of the same subscription."""
        listened = self.listens
        self._subscriptions[subscription.id] = subscription
        self._forget_unheard(listened=listened)

    def remove(self, subscription_id: int) -> None:
        """Tell a subscriber no more."""
        listened = self.listens
        self._subscriptions.pop(subscription_id, None)
        self._forget_unheard(listened=listened)

    def read(self, reading: Reading) -> None:
        """Take a reading, and tell what it means."""
        now = self._ticker.clock()
        self.tick(now)  # a stay that was due ends with the reading before
        self._newest = reading
        due = self.due
        verdict = self._amplitude.feed(reading.percent, now)
        self._derived(verdict.entered, reading)
        delta = verdict.delta or _STAYS[verdict.level]
        self._each(_CATCH_ALL, lambda: amplitude_body(reading, name=_CATCH_ALL, delta=delta, level=verdict.level))
        self._keep()
        if self.due != due:
            self._ticker.plan(self)

    def tick(self, now: float) -> None:
        """Tell a sustain or nap that has become due."""
        verdict = self._amplitude.tick(now)
        if verdict is not None and self._newest is not None:
            self._derived(verdict.entered, self._newest)
            self._keep()

    def connection(self, user_id: int | None, *, is_connected: bool) -> None:
        """Tell that the bit came or went."""
        if not is_connected:
            known = self._amplitude
            self._amplitude = Amplitude(known.thresholds, level=known.level, held=known.held)
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

    def _forget_unheard(self, *, listened: bool) -> None:
        """Begin as with a first reading when readings are wanted again: what happened until then nobody saw."""
        if listened and not self.listens:
            self._amplitude = Amplitude(self._amplitude.thresholds)
            self._keep()

    def _keep(self) -> None:
        noted = (self._amplitude.level, self._amplitude.held)
        if noted != self._noted:
            self._noted = noted
            self._note(self._device_id, noted[0], held=noted[1])
