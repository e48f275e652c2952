"""What is to be seen of many devices; no I/O, no clock: times are seconds that never go back, passed in.

Whoever reads a reactor tells a `Board` of events, gaps and states; whoever shows it asks. A `Card` is one device. It
holds the last minute, and no more than some hundreds of samples of it, however fast they come.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from ..models import Device, InputEvent, InputGap, StreamState, StreamStatus

__all__ = ["Board", "Card", "Gap", "Sample"]

_SLOTS: Final = 600
"""Parts of the window; of what comes within one, the lowest and the highest sample are kept."""
_RATE_OVER: Final = 5.0
"""Seconds that events a second are counted over."""
_PATIENCE: Final = 5.0
"""Seconds without an event until a device counts as silent, at least."""
_MISSED: Final = 3
"""Readings that a device may leave out before it counts as silent."""


@frozen
class Sample:
    """One reading.

    Attributes:
        at: When it came.
        percent: The input.
    """

    at: float
    percent: float


@frozen
class Gap:
    """A time of which nothing is known.

    Attributes:
        since: When the last event before it came.
        until: When the first one after it came, None while it lasts.
    """

    since: float
    until: float | None


class Card:
    """What is to be seen of one device.

    Args:
        device: The device.
        window: Seconds that samples are kept for.

    Attributes:
        device: The device, as last told.
        events: How many events came.
        last: The newest event, None before the first.
        last_at: When that came.
        status: How its stream is, None until somebody says so.
        reconnects: How often its stream was opened anew.
        revision: Another number after each change of anything but the samples.
    """

    def __init__(self, device: Device, *, window: float) -> None:
        self.device = device
        self.events = 0
        self.last: InputEvent | None = None
        self.last_at: float | None = None
        self.status: StreamStatus | None = None
        self.reconnects = 0
        self.revision = 0
        self._window = window
        self._slot = window / _SLOTS
        self._samples: deque[Sample] = deque()
        self._gaps: deque[Gap] = deque(maxlen=_SLOTS)
        self._is_lost = False  # until the next event
        self._counts: deque[tuple[int, int]] = deque()  # slots, and the events of each

    @property
    def name(self) -> str:
        """What people call it: its label, or its id where that says nothing."""
        return self.device.label.strip() or self.device.id

    @property
    def state(self) -> StreamState:
        """Where its stream stands."""
        return StreamState.CONNECTING if self.status is None else self.status.state

    @property
    def patience(self) -> float:
        """Seconds without an event after which the device counts as silent."""
        return max(_PATIENCE, _MISSED * (self.device.input_interval_ms or 0) / 1000)

    def is_silent(self, now: float) -> bool:
        """Whether it should have been heard of since the last event; not before the first."""
        return self.last_at is not None and now - self.last_at > self.patience

    def is_current(self, now: float) -> bool:
        """Whether the newest event is how the device is now, as far as anybody can tell."""
        is_open = self.status is None or self.status.state is StreamState.LIVE
        return self.last is not None and is_open and not self._is_lost and not self.is_silent(now)

    def rate(self, now: float) -> float:
        """Return the events a second, of late."""
        first = self._slot_of(now - _RATE_OVER)
        return sum(count for slot, count in self._counts if slot > first) / _RATE_OVER

    def samples(self, now: float, *, since: float = -math.inf) -> list[Sample]:
        """Return the samples of the window, the oldest first.

        Args:
            now: The time.
            since: Leave out what came before.
        """
        self._forget(now)
        found: list[Sample] = []
        for sample in reversed(self._samples):
            if sample.at < since:
                break
            found.append(sample)
        return found[::-1]

    def settled(self, at: float) -> float:
        """Return up to when the samples stay as they are, for whoever has them up to a time.

        A newer sample may take the place of those from then on: ``samples(now, since=card.settled(at))`` is what they
        are to be replaced by.
        """
        return self._slot_of(at) * self._slot

    def gaps(self, now: float) -> list[Gap]:
        """Return the gaps of the window, the oldest first; the last may be going on."""
        self._forget(now)
        gaps = list(self._gaps)
        if self.last_at is not None and not self.is_current(now):
            gaps.append(Gap(self.last_at, None))
        return gaps

    def levels(self, now: float, columns: int) -> list[float | None]:
        """Return the window in so many parts of equal length, for a sparkline: the mean of each, None where unknown.

        Args:
            now: The time.
            columns: How many parts.
        """
        sums, counts = [0.0] * columns, [0] * columns
        begin, width = now - self._window, self._window / columns
        for sample in self.samples(now):
            column = min(max(int((sample.at - begin) / width), 0), columns - 1)
            sums[column] += sample.percent
            counts[column] += 1
        levels: list[float | None] = []
        held: float | None = None  # the input stays as it is until the next reading
        gaps = self.gaps(now)
        for column, (total, count) in enumerate(zip(sums, counts, strict=True)):
            start = begin + column * width
            if count:
                held = total / count
            elif any(gap.since < start + width and (gap.until is None or start < gap.until) for gap in gaps):
                held = None
            levels.append(held)
        return levels

    def add(self, event: InputEvent, now: float) -> None:
        """An event came."""
        if self._is_lost or self.is_silent(now):
            self._close_gap(now)
        self.events += 1
        self.last, self.last_at = event, now
        self._is_lost = False
        this = self._slot_of(now)
        _, count = self._counts.pop() if self._counts and self._counts[-1][0] == this else (this, 0)
        self._counts.append((this, count + 1))
        slot = [Sample(now, event.percent)]
        while self._samples and self._slot_of(self._samples[-1].at) == this:
            slot.append(self._samples.pop())
        if len(slot) > 2:  # noqa: PLR2004 - the lowest and the highest
            low, high = (choose(slot, key=lambda sample: sample.percent) for choose in (min, max))
            slot = [sample for sample in slot if sample is low or sample is high]
        self._samples.extend(reversed(slot))
        self._forget(now)

    def add_gap(self) -> None:
        """Events may be missing before the next one."""
        self._is_lost = True

    def note(self, status: StreamStatus, *, reconnects: int = 0) -> None:
        """Its stream is in another state."""
        self.status, self.reconnects = status, reconnects
        self.revision += 1
        self._is_lost |= status.state is not StreamState.LIVE

    def describe(self, device: Device) -> None:
        """The device may have changed: its label, say."""
        if device != self.device:
            self.device = device
            self.revision += 1

    def _close_gap(self, now: float) -> None:
        if self.last_at is not None:
            self._gaps.append(Gap(self.last_at, now))

    def _slot_of(self, at: float) -> int:
        return int(at // self._slot)

    def _forget(self, now: float) -> None:
        begin = now - self._window
        while self._counts and self._counts[0][0] <= self._slot_of(now - _RATE_OVER):
            self._counts.popleft()
        while self._samples and self._samples[0].at < begin:
            self._samples.popleft()
        while self._gaps and self._gaps[0].until is not None and self._gaps[0].until < begin:
            self._gaps.popleft()


class Board:
    """What is to be seen of many devices, in the order in which they were told.

    Args:
        devices: The devices.
        window: Seconds that samples are kept for.
    """

    def __init__(self, devices: Iterable[Device] = (), *, window: float = 60.0) -> None:
        self._cards: dict[str, Card] = {}
        self._window = window
        self.set_devices(devices)

    @property
    def window(self) -> float:
        """Seconds that samples are kept for."""
        return self._window

    @property
    def cards(self) -> Mapping[str, Card]:
        """A card for each device, by its id."""
        return MappingProxyType(self._cards)

    @property
    def events(self) -> int:
        """How many events came, over all devices that are there."""
        return sum(card.events for card in self._cards.values())

    def rate(self, now: float) -> float:
        """Return the events a second of late, over all devices."""
        return sum(card.rate(now) for card in self._cards.values())

    def set_devices(self, devices: Iterable[Device]) -> None:
        """These are the devices now: the known ones keep what came of them, the others are forgotten."""
        before, self._cards = self._cards, {}
        for device in devices:
            card = self._cards[device.id] = before.get(device.id) or Card(device, window=self._window)
            card.describe(device)

    def set_device(self, device: Device) -> None:
        """A device has changed, or is new."""
        self.set_devices(
            ({each.device.id: each.device for each in self._cards.values()} | {device.id: device}).values()
        )

    def add(self, item: InputEvent | InputGap, now: float) -> None:
        """Something came of a device; of an unknown one, it is left out.

        Args:
            item: An event, or that some may be missing before the next.
            now: The time.
        """
        card = self._cards.get(item.device_id)
        if card is None:
            return
        if isinstance(item, InputGap):
            card.add_gap()
        else:
            card.add(item, now)

    def note(self, status: StreamStatus, *, reconnects: int = 0) -> None:
        """A device's stream is in another state; an unknown device is left out.

        Args:
            status: How it is.
            reconnects: How often it was opened anew, so far.
        """
        card = self._cards.get(status.device_id)
        if card is not None:
            card.note(status, reconnects=reconnects)
