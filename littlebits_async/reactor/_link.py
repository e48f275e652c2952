"""One device's stream, carried out: what its state machine asks for, done over a session."""

import math
import time
from collections.abc import Callable, Iterator, MutableMapping
from typing import NoReturn

import anyio
import anyio.lowlevel

from ..budget import Grant, Priority
from ..errors import DecodeError, LittleBitsError, StreamError
from ..models import InputEvent, StreamState
from ..session import Session
from ..stream import AskBudget, AskListing, Close, Command, Open, Read, StreamMachine, Wait
from ..transport import Feed, FeedItem
from ._connecting import Connecting
from ._listing import Listing
from ._outlets import Outlet, Outlets
from ._reader import Entry

__all__ = ["Link"]


class Link:
    """Drives the stream of one device until it is stopped.

    Args:
        machine: Decides what to do.
        session: Does it.
        connecting: Bounds how many links open a connection at a time.
        listing: Tells which devices are on line.
        outlets: Where events go.
        latest: Is kept up to date with the newest event of each device.
        reject: Is told of an event that could not be used.
    """

    def __init__(
        self,
        machine: StreamMachine,
        *,
        session: Session,
        connecting: Connecting,
        listing: Listing,
        outlets: Outlets,
        latest: MutableMapping[str, InputEvent],
        reject: Callable[[str, DecodeError], None],
    ) -> None:
        self.machine = machine
        self.events = 0
        self.decode_errors = 0
        self._session = session
        self._connecting = connecting
        self._listing = listing
        self._outlets = outlets
        self._latest = latest
        self._reject = reject
        self._grant: Grant | None = None
        self.nudged = False
        self._nudge: anyio.Event | None = None  # an Event is 0.8 KiB: there is one while somebody waits
        self._activity: anyio.CancelScope | None = None
        self._interruption: LittleBitsError | None = None
        self._lifetime = anyio.CancelScope()
        self._running = False
        self._reading = False
        self._delivering = False
        self._items: Iterator[FeedItem] = iter(())
        self._crowded: tuple[list[Outlet], Entry] | None = None
        self._ended: anyio.Event | None = None

    async def run(self) -> None:
        """Drive the stream until `stop`, or cancellation; its connection is closed then."""
        machine = self.machine
        self._running = True
        try:
            with self._lifetime:
                command = machine.start(time.monotonic())
                while True:
                    if self._interruption is not None:  # it may also have come between two steps
                        command = self._interrupted(self._interruption)
                    with anyio.CancelScope() as self._activity:
                        while self._interruption is None:
                            command = await self._carry_out(command)
                        continue
                    if self._interruption is None:
                        command = machine.closed(time.monotonic())
        finally:
            machine.removed(time.monotonic())
            self._running = False
            if self._ended is not None:
                self._ended.set()

    async def stop(self) -> None:
        """End the stream, and wait until its connection is closed."""
        self._lifetime.cancel()
        if self._running:
            self._ended = self._ended or anyio.Event()
            await self._ended.wait()

    @property
    def interruption(self) -> LittleBitsError | None:
        """The error that ends it as soon as it has passed on what it has read."""
        return self._interruption

    @property
    def could_deliver(self) -> bool:
        """Whether an event may come without anybody's doing."""
        return self.nudged or self.machine.state is not StreamState.FAILED

    def nudge(self) -> None:
        """Have a failed stream tried at once."""
        if self.machine.state is StreamState.FAILED:
            self.nudged = True
            if self._nudge is not None:
                self._nudge.set()

    def interrupt(self, error: LittleBitsError) -> None:
        """End what the link is doing, as if it had failed with ``error``."""
        self._interruption = error
        if not self._delivering:  # what was read comes before the error
            self._break_off()

    def sweep(self, now: float) -> None:
        """Look whether the stream has fallen silent, or waits longer than was foreseen."""
        if self._reading and isinstance(self.machine.tick(now), Close):
            self._break_off()
        else:
            self.machine.overdue(now)  # a 429, or calls, came in between

    def _break_off(self) -> None:
        """End what the link is doing, if it has begun."""
        if self._activity is not None:
            self._activity.cancel()

    def _interrupted(self, error: LittleBitsError) -> Command:
        self._interruption = None
        if self._grant is not None:
            self._grant.cancel()  # granted, and not used any more
            self._grant = None
        return self.machine.error(error, time.monotonic())

    async def _carry_out(self, command: Command) -> Command:
        match command:
            case AskBudget():
                self._foresee(time.monotonic())
                try:
                    self._grant = await self._session.grant(priority=Priority.STREAM, label="input")
                except LittleBitsError as exc:
                    return self.machine.error(exc, time.monotonic())
                return self.machine.granted(time.monotonic())
            case AskListing():
                return self.machine.listed(await self._listing.get(), time.monotonic())
            case Open():
                return await self._open()
            case Wait(until):
                return await self._wait(until)
            case Read() | Close():
                raise AssertionError(f"{command} belongs to an open connection")

    def _foresee(self, now: float) -> None:
        """Find out for how long the budget will let it wait, if it will."""
        expected = self._session.expected_wait(priority=Priority.STREAM)
        if expected is not None and 0 < expected < math.inf:
            self.machine.queued(expected, now)

    async def _wait(self, until: float | None) -> Command:
        self._nudge = anyio.Event()
        if not self.nudged:
            with anyio.move_on_after(math.inf if until is None else until - time.monotonic()):
                await self._nudge.wait()
        self._nudge = None
        if self.nudged:
            self.nudged = False
            return self.machine.retry(time.monotonic())
        return self.machine.tick(time.monotonic())

    async def _open(self) -> Command:
        machine = self.machine
        grant, self._grant = self._grant, None
        assert grant is not None  # noqa: S101 - the machine opens only what was granted
        try:
            await self._connecting.acquire()
        except BaseException:
            grant.cancel()  # surely not sent
            raise
        try:
            feed = await self._session.open_input(machine.device_id, grant)
        except LittleBitsError as exc:
            return machine.error(exc, time.monotonic())
        finally:
            self._connecting.release()
        try:
            command = machine.opened(time.monotonic())
            assert isinstance(command, Read)  # noqa: S101 - only this link removes it, and not meanwhile
            self._reading = True
            await self._read(feed)
        except StreamError as exc:
            return machine.error(exc, time.monotonic())
        finally:
            self._reading = False
            await feed.aclose()

    async def _read(self, feed: Feed) -> NoReturn:
        """Read until the stream breaks."""
        try:
            while True:
                await feed.pump(self._take)
                while self._crowded is not None:
                    await self._push_back(*self._crowded)
                    self._pass_on(time.monotonic())
                self._delivering = False
                if self._interruption is not None:
                    self._break_off()
                    await anyio.lowlevel.checkpoint()
        finally:
            if self._crowded is not None:  # the stream was found silent just when this came
                self.machine.not_passed_on()
            self._crowded = None
            self._delivering = False

    def _take(self, items: list[FeedItem]) -> bool:
        """Pass on what one read brought, up to what there is no room for; return whether to read on."""
        now = time.monotonic()
        self.machine.received(now)
        self._delivering = True
        self._items = iter(items)
        self._pass_on(now)
        if self._crowded is None and self._interruption is None:
            self._delivering = False
            return True
        return False

    def _pass_on(self, now: float) -> None:
        """Pass on what is left of one read, up to what there is no room for."""
        machine = self.machine
        self._crowded = None
        for item in self._items:
            if isinstance(item, InputEvent):
                if machine.event(item, now):
                    self.events += 1
                    self._latest[machine.device_id] = item
                    entry = Entry(item, machine.device_id, self.events, machine.gap_reason)
                    if crowded := self._outlets.offer(machine.device_id, entry):
                        machine.paused(now)
                        self._crowded = crowded, entry
                        return
            elif isinstance(item, DecodeError):
                self.decode_errors += 1
                self._reject(machine.device_id, item)
            else:
                machine.server_wait(item.milliseconds)

    async def _push_back(self, crowded: list[Outlet], entry: Entry) -> None:
        """Pass an event on where there is room at last; nothing is read meanwhile, so that the socket fills."""
        for outlet in crowded:
            await outlet.put(self.machine.device_id, entry)
        self.machine.resumed(time.monotonic())
