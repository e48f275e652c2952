"""InputReactor: opens and keeps many input streams, and merges them."""

import logging
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Self

import anyio
import anyio.abc
from attrs import asdict

from .._tasks import first_error, leave
from ..backoff import Backoff
from ..buffer import Overflow, make_buffer
from ..cloudbit import CloudBit
from ..errors import (
    AuthenticationError,
    DecodeError,
    InvalidArgumentError,
    LittleBitsError,
    NoStreamsLeftError,
    OAuthError,
    SessionClosedError,
)
from ..models import Device, EventSource, InputEvent, InputGap, ReactorStats, StreamState, StreamStatus
from ..session import Session
from ..stream import StreamMachine
from ..wire import inputs as input_call
from ._attachment import Attachment
from ._changes import Changes
from ._channel import Channel
from ._connecting import Connecting
from ._link import Link
from ._listing import Listing
from ._outlets import Listener, Outlet, Outlets
from ._reader import Batches, Entry, Events, EventsAndGaps, Reader
from ._status import Chronicle, Clock, paste_safe, status_of, total

__all__ = ["InputReactor"]

_log = logging.getLogger("littlebits_async.reactor")

_SWEEPS_PER_LIMIT: Final = 8
_LONGEST_SWEEP: Final = 1.0


class InputReactor:
    """Streams the inputs of many devices into one async iterator, and keeps the streams open.

    ``async with InputReactor(session, ids) as reactor: async for event in reactor: …``

    Events of one device come in the order the server sent them. ``break`` leaves the streams running and loses
    nothing; iterating again goes on. Leaving the block closes every connection.

    Cost: 1 request for each opening of a stream, at the priority of streams.

    Args:
        session: What to stream over.
        devices: Device ids, devices or cloudBits; more can be added later.
        buffer: The number of events held, over all devices.
        overflow: What happens to one more.
        backoff: How long to wait before trying a failed stream again.
        stall_after: Seconds without bytes after which a stream is reopened, at least; a stream that is used to longer
            gaps is given three times its longest. None never.
        quiet_after: Seconds without events after which a stream that is kept alive is reopened; None never.
        max_connecting: The number of streams that are being opened at a time.

    Raises:
        InvalidArgumentError: An argument cannot be used; a single string is no list of devices.

    Source: design.md, "InputReactor", R1 to R10.
    """

    def __init__(
        self,
        session: Session,
        devices: Iterable[str | Device | CloudBit] = (),
        *,
        buffer: int = 1024,
        overflow: Overflow = Overflow.BLOCK,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        stall_after: float | None = 30.0,
        quiet_after: float | None = 300.0,
        max_connecting: int = 64,
    ) -> None:
        if isinstance(devices, str):
            raise InvalidArgumentError(f"devices: a list of devices is needed, not one string; say [{devices!r}]")
        for name, seconds in (("stall_after", stall_after), ("quiet_after", quiet_after)):
            if seconds is not None and not seconds > 0:
                raise InvalidArgumentError(f"{name}: seconds over 0, or None, not {seconds!r}")
        if max_connecting < 1:
            raise InvalidArgumentError(f"max_connecting: 1 at least, not {max_connecting!r}")
        self._session = session
        self._backoff = backoff
        self._stall_after = stall_after
        self._quiet_after = quiet_after
        self._connecting_limit = max_connecting
        self._connecting: Connecting | None = None
        self._reader = Reader(Channel[Entry](make_buffer(buffer, overflow), self._check))
        self._on_drop = None if session.hooks is None else session.hooks.event_dropped
        self._reader.channel.buffer.on_drop = self._on_drop
        self._outlets = Outlets(Outlet(self._reader, "an InputReactor that nobody iterates over"))
        self._latest: dict[str, InputEvent] = {}
        self._listing = Listing(session)
        self._links: dict[str, Link] = {}
        self._attachments: list[Attachment] = []
        self._chronicle = Chronicle()
        self._past = ReactorStats()
        self._group: anyio.abc.TaskGroup | None = None
        self._streams: anyio.abc.TaskGroup | None = None
        self._closing = False
        self._finished = anyio.Event()
        self._crash: Exception | None = None
        self._verdict: Exception | None = None
        self._told = False
        self._wanted = {_device_id(device): device for device in devices}

    # Life

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise SessionClosedError("a reactor can be entered once")
        if self._closing:
            raise SessionClosedError("the reactor has ended")
        self._connecting = Connecting(self._connecting_limit)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._run, name="InputReactor")
        for device in self._wanted.values():
            self.add(device)
        self._wanted.clear()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None  # noqa: S101 - entered
        self._stop()
        await leave(self._group, exc_type, exc, tb)
        if exc is None and not self._told and (error := self._ending()) is not None:
            raise error

    async def aclose(self) -> None:
        """End every stream, and with them the iteration, once it has taken what is queued. Cost: nothing."""
        self._stop()
        if self._group is not None:
            await self._finished.wait()

    def _stop(self) -> None:
        if not self._closing:
            self._verdict = self._ending(leaving=True)
            self._closing = True
        if self._streams is not None:
            self._streams.cancel_scope.cancel()
        self._outlets.wake()

    async def _run(self) -> None:
        try:
            async with anyio.create_task_group() as streams:
                self._streams = streams
                if self._closing:
                    return
                for link in self._links.values():
                    streams.start_soon(link.run, name=f"input of {link.machine.device_id}")
                for attachment in self._attachments:
                    streams.start_soon(attachment.run, name=f"input of {attachment}")
                await self._sweep()
        except ExceptionGroup as group:
            self._crash = first_error(group)
        finally:
            self._closing = True
            self._finished.set()
            self._outlets.wake()
            self._chronicle.watchers.end()

    async def _sweep(self) -> None:
        """Watch over the silence of all streams; a timeout of each read would cost more than the read."""
        limits = [limit for limit in (self._stall_after, self._quiet_after) if limit is not None]
        interval = min([limit / _SWEEPS_PER_LIMIT for limit in limits] + [_LONGEST_SWEEP])
        while True:
            await anyio.sleep(interval)
            now = time.monotonic()
            for link in self._links.values():
                link.sweep(now)
            self._outlets.sweep(now)

    # Devices

    @property
    def devices(self) -> tuple[str, ...]:
        """The ids of the devices that are streamed, in the order in which they were added."""
        return tuple(self._links or self._wanted)

    def add(self, device: str | Device | CloudBit) -> None:
        """Stream one more device. A known one stays as it is, but for a failed one, which is tried at once.

        Cost: 1 request, when its stream is opened.

        Raises:
            InvalidArgumentError: The id cannot be sent.
            SessionClosedError: The reactor has ended.
        """
        device_id = _device_id(device)
        if self._closing:
            raise SessionClosedError("the reactor has ended")
        if any(device_id in attachment.source.devices for attachment in self._attachments):
            raise InvalidArgumentError(f"device {device_id} is pushed by a source already")
        if self._connecting is None:
            self._wanted[device_id] = device
            return
        self._told = False
        if (known := self._links.get(device_id)) is not None:
            known.nudge()
            return
        machine = StreamMachine(
            device_id,
            backoff=self._backoff,
            stall_after=self._stall_after,
            quiet_after=self._quiet_after,
            now=time.monotonic(),
            on_change=self._changed,
        )
        if isinstance(device, Device):
            machine.know_interval(device.input_interval_ms)
        link = self._links[device_id] = Link(
            machine,
            session=self._session,
            connecting=self._connecting,
            listing=self._listing,
            outlets=self._outlets,
            latest=self._latest,
            reject=self._reject,
        )
        if self._streams is not None:
            self._streams.start_soon(link.run, name=f"input of {device_id}")

    async def remove(self, device: str | Device | CloudBit) -> None:
        """Stop streaming a device, and drop its queued events; an unknown one has no effect.

        Returns when its connection is closed. Cost: nothing.
        """
        device_id = _device_id(device)
        self._wanted.pop(device_id, None)
        link = self._links.pop(device_id, None)
        if link is None:
            return
        try:
            await link.stop()
        finally:
            self._past = total([self._past, self._stats_of(link)])
            if device_id not in self._links:  # else it was added again meanwhile
                self._latest.pop(device_id, None)
                self._chronicle.forget(device_id)
                self._outlets.forget(device_id)
            self._outlets.wake()  # it may have been the last that could deliver

    def attach(self, source: EventSource) -> None:
        """Merge the events of another source, until it ends; its failure counts like that of a device.

        What it pushes of a device that is streamed is refused, since nobody could tell repeats from events.

        Cost: nothing.

        Raises:
            InvalidArgumentError: A device of the source is streamed.
            SessionClosedError: The reactor has ended.
        """
        if self._closing:
            raise SessionClosedError("the reactor has ended")
        if streamed := sorted({*self._links, *self._wanted} & set(source.devices)):
            raise InvalidArgumentError(f"device {streamed[0]} is streamed already; remove() it first")
        attachment = Attachment(
            source, outlets=self._outlets, latest=self._latest, is_streamed=self._links.__contains__
        )
        self._attachments.append(attachment)
        self._told = False
        if self._streams is not None:
            self._streams.start_soon(attachment.run, name=f"input of {attachment}")

    # Events

    def __aiter__(self) -> AsyncGenerator[InputEvent, None]:
        """Iterate over the events of all devices.

        Cost: nothing; the streams are paid for as they open.

        Raises:
            AuthenticationError: The token was refused.
            OAuthError: There is no token, and none is to be had.
            NoStreamsLeftError: No device is left that could deliver; where they share one cause, that is raised.
            anyio.BusyResourceError: Another task is iterating.
        """
        self._outlets.begin_own()
        return Events(self._reader)

    def batches(self) -> AsyncGenerator[list[InputEvent], None]:
        """Iterate over the events, as many at a time as are ready, one at least; raises as `__aiter__` does.

        Cost: nothing; the streams are paid for as they open.
        """
        self._outlets.begin_own()
        return Batches(self._reader)

    def with_gaps(self) -> AsyncGenerator[InputEvent | InputGap, None]:
        """Iterate over the events, with an `InputGap` before each that others may be missing before.

        Events may be missing after a reconnect, and where an overflow policy dropped some. None is told before a
        device's first event. Raises as `__aiter__` does.

        Cost: nothing; the streams are paid for as they open.
        """
        self._outlets.begin_own()
        return EventsAndGaps(self._reader)

    def listen(
        self,
        *,
        devices: Iterable[str | Device | CloudBit] | None = None,
        buffer: int = 256,
        overflow: Overflow = Overflow.LATEST,
    ) -> Listener:
        """Listen to events beside the reactor's own iteration: ``async with reactor.listen() as events: …``.

        Any number may listen; each has a buffer of its own, and gets what comes from when it is entered. Where there
        are listeners, the reactor's own iteration takes part from when it is begun, so that it holds nobody up
        unused. A listener whose policy is to block holds the streams up for all.

        Cost: nothing.

        Args:
            devices: Whose events; None for all.
            buffer: The number of events held.
            overflow: What happens to one more.

        Raises:
            InvalidArgumentError: An argument cannot be used.
        """
        if isinstance(devices, str):
            raise InvalidArgumentError(f"devices: a list of devices is needed, not one string; say [{devices!r}]")
        wanted = None if devices is None else frozenset(_device_id(device) for device in devices)
        return Listener(
            self._outlets,
            devices=wanted,
            buffer=buffer,
            overflow=overflow,
            on_drop=self._on_drop,
            check=self._check,
        )

    @property
    def latest(self) -> Mapping[str, InputEvent]:
        """The newest event of each device, as received: taken or not, dropped or not.

        A reactor of which nothing else is used needs ``overflow=Overflow.LATEST``: with `Overflow.BLOCK` events that
        nobody takes hold the streams back once the buffer is full.
        """
        return MappingProxyType(self._latest)

    def _check(self) -> None:
        if self._group is None:
            raise SessionClosedError("enter the reactor with `async with` first")
        error = self._ending()
        if error is not None:
            self._told = True
            raise error
        if self._closing:
            raise StopAsyncIteration

    def _ending(self, *, leaving: bool = False) -> Exception | None:
        """Return the error that ends the iteration, if there is one; when leaving, also one that is still to come."""
        if self._crash is not None:
            return self._crash
        if self._closing:
            return self._verdict
        causes = self._causes(leaving=leaving)
        for error in causes.values():
            if isinstance(error, AuthenticationError | OAuthError | SessionClosedError) or len(causes) == 1:
                return error
        if not causes:
            return None
        listed = ", ".join(list(causes)[:5]) + (", …" if len(causes) > 5 else "")  # noqa: PLR2004
        return NoStreamsLeftError(f"no device is left that could deliver: {listed}", causes=causes)

    def _causes(self, *, leaving: bool) -> Mapping[str, LittleBitsError]:
        """Return why each device and source cannot deliver, or nothing where one still could."""
        if any(attachment.active for attachment in self._attachments):
            return {}
        causes = {str(attachment): attachment.error for attachment in self._attachments if attachment.error is not None}
        for device_id, link in self._links.items():
            error = link.machine.error_seen
            if leaving and link.interruption is not None:
                error = link.interruption
            elif link.could_deliver or error is None:
                return {}
            causes[device_id] = error
        return causes

    # How the streams are

    def status(self, device_id: str) -> StreamStatus:
        """Return how a device's stream is. Cost: nothing.

        Raises:
            KeyError: The device is not streamed.
        """
        return status_of(self._links[device_id].machine)

    def statuses(self) -> Mapping[str, StreamStatus]:
        """Return how each stream is, by device id. Cost: nothing."""
        clock = Clock()
        return {device_id: status_of(link.machine, clock) for device_id, link in self._links.items()}

    def changes(self) -> AsyncGenerator[StreamStatus, None]:
        """Iterate over the streams' states as they change, beginning with the present ones.

        A device that changes faster than it is looked at is told once, with its newest state; no stream ever waits for
        who watches. Ends with the reactor. Cost: nothing.
        """
        changes = Changes((link.machine for link in self._links.values()), status_of)
        if self._finished.is_set():
            changes.end()
        return self._chronicle.watchers.add(changes)

    @property
    def stats(self) -> ReactorStats:
        """What happened so far, over all devices, those removed included."""
        pushed = ReactorStats(
            events=sum(attachment.events for attachment in self._attachments),
            dropped=sum(attachment.refused for attachment in self._attachments),
        )
        return total([self._past, pushed, *map(self._stats_of, self._links.values())])

    def device_stats(self, device_id: str) -> ReactorStats:
        """Return what happened to one device's events and stream so far. Cost: nothing.

        Raises:
            KeyError: The device is not streamed.
        """
        return self._stats_of(self._links[device_id])

    async def diagnostics(self) -> dict[str, object]:
        """Return how the reactor and its session are, as values of JSON: to be pasted into a bug report as it is.

        Device ids are shortened to their last digits; there are no tokens, labels or addresses of access points.
        Cost: nothing.
        """
        return {
            "session": await self._session.diagnostics(),
            "stats": asdict(self.stats),
            "consumers": [
                {"name": outlet.name, "queued": len(outlet.reader.channel.buffer), "closed": outlet.closed}
                for outlet in self._outlets
            ],
            "sources": [str(attachment) for attachment in self._attachments],
            "streams": [
                paste_safe(status) | {"stats": asdict(self.device_stats(device_id))}
                for device_id, status in self.statuses().items()
            ],
            "recent": self._chronicle.recent_paste_safe(),
        }

    def _stats_of(self, link: Link) -> ReactorStats:
        machine = link.machine
        return ReactorStats(
            events=link.events,
            dropped=self._reader.channel.buffer.dropped_by(machine.device_id),
            reconnects=machine.reconnects,
            stalls=machine.stalls,
            decode_errors=link.decode_errors,
        )

    def _reject(self, device_id: str, error: DecodeError) -> None:
        _log.debug("device %s: an event was skipped: %s", device_id, error)

    def _changed(self, machine: StreamMachine) -> None:
        self._chronicle.note(machine)
        if self._session.hooks is not None:
            self._session.hooks.stream_changed(status_of(machine))
        if machine.state is StreamState.FAILED:
            if isinstance(machine.error_seen, AuthenticationError | OAuthError):
                self._refuse_all(machine.error_seen)
            self._outlets.wake()

    def _refuse_all(self, error: AuthenticationError | OAuthError) -> None:
        """Stop every stream: what refused one token for one device refuses it for all."""
        for link in self._links.values():
            if not isinstance(link.machine.error_seen, AuthenticationError | OAuthError):
                link.interrupt(error)


def _device_id(device: str | Device | CloudBit) -> str:
    if isinstance(device, Device):
        device = device.id
    elif isinstance(device, CloudBit):
        device = device.device_id
    input_call(device)  # an id that no request could carry is refused here, not by a stream
    return device
