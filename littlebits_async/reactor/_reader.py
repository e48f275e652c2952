"""What a consumer sees of a channel: events, batches, events and gaps."""

from collections.abc import Coroutine, Hashable
from typing import Any

from msgspec import Struct

from .._iteration import Iteration
from ..models import InputEvent, InputGap
from ._channel import Channel

__all__ = ["Batches", "Entry", "Events", "EventsAndGaps", "Reader"]


# A Struct, as in sse: one is built for each event.
class Entry(Struct, frozen=True, gc=False):
    """An event on its way to a consumer.

    Attributes:
        event: The event.
        source: What it is one of a sequence of: the device whose stream brought it.
        number: Its number in that sequence; a number that is left out was dropped.
        gap_reason: Why events may be missing before it, where its stream says so.
    """

    event: InputEvent
    source: Hashable
    number: int
    gap_reason: str | None = None


class Reader:
    """Takes from a channel, for one iteration after another, and knows what was taken last.

    Args:
        channel: What to take from.
    """

    def __init__(self, channel: Channel[Entry]) -> None:
        self.channel = channel
        self._last: dict[Hashable, Entry] = {}
        self._after_gap: InputEvent | None = None

    def forget(self, device_id: str) -> None:
        """Drop what a device has queued; what it sends from now on continues nothing."""
        self.channel.discard(device_id)
        self._last.pop(device_id, None)
        if self._after_gap is not None and self._after_gap.device_id == device_id:
            self._after_gap = None

    async def event(self) -> InputEvent:
        """Take the next event."""
        if self._after_gap is not None:
            event, self._after_gap = self._after_gap, None
            return event
        channel = self.channel
        entry = channel.get_nowait() if channel.ready else await channel.get()
        self._last[entry.source] = entry
        return entry.event

    async def batch(self) -> list[InputEvent]:
        """Take all events that are ready, one at least."""
        if self._after_gap is not None and not self.channel.buffer:
            return [event for event in [self._held_back()] if event is not None]
        entries = await self.channel.get_all()
        for entry in entries:
            self._last[entry.source] = entry
        held_back = self._held_back()
        return ([] if held_back is None else [held_back]) + [entry.event for entry in entries]

    async def item(self) -> InputEvent | InputGap:
        """Take the next event, or the gap before it; the event is next then."""
        if (event := self._held_back()) is not None:
            return event
        entry = await self.channel.get()
        event = entry.event
        last = self._last.get(entry.source)
        self._last[entry.source] = entry
        if last is None:
            return event
        reason = entry.gap_reason
        if reason is None and entry.number != last.number + 1:
            reason = f"{entry.number - last.number - 1} events dropped by a full buffer"
        if reason is None:
            return event
        self._after_gap = event
        return InputGap(event.device_id, since=last.event.timestamp, until=event.timestamp, reason=reason)

    def _held_back(self) -> InputEvent | None:
        event, self._after_gap = self._after_gap, None
        return event


class Events(Iteration[InputEvent]):
    """The events of a channel."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def _next(self) -> Coroutine[Any, Any, InputEvent]:
        return self._reader.event()


class Batches(Iteration[list[InputEvent]]):
    """The events of a channel, as many at a time as are ready."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def _next(self) -> list[InputEvent]:
        return await self._reader.batch()


class EventsAndGaps(Iteration[InputEvent | InputGap]):
    """The events of a channel, and the gaps between them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def _next(self) -> InputEvent | InputGap:
        return await self._reader.item()
