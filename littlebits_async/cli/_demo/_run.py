"""The demo itself: a cloud, a session, a reactor, and what they are made to do."""

import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle
from typing import Final, Protocol

import anyio
from attrs import define, evolve, field

from ...budget import TokenBucket
from ...dashboard import Board, Card
from ...localcloud import LocalCloud
from ...models import FOREVER, AmplitudeEvent, Device, Subscription
from ...reactor import InputReactor
from ...session import Session
from .._simulation import add_bits
from ._snapshot import Follow, Row, Snapshot, Written

__all__ = ["Demo", "Watcher"]

_LIMIT: Final = 1800
_LAG: Final = 16
"""Events that may be on their way to us while the follower is told already, on a machine that is busy."""
_WRITE_EVERY: Final = 3.0
"""Seconds between two outputs: 1200 in an hour, so that this can go on for ever."""
_OUTPUTS: Final = (25, 50, 75, 100, 0)


class Watcher(Protocol):
    """Who looks on."""

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """Show how things are."""
        ...


class Demo:
    """Streams simulated bits through a cloud of its own, lets one follow another, and writes outputs.

    Args:
        devices: How many bits.
        seconds: How long, from when the streams are started; None until stopped.

    Attributes:
        stopped: Whether `stop` was called.
    """

    def __init__(self, devices: int, *, seconds: float | None) -> None:
        self.stopped = False
        self._devices = devices
        self._seconds = seconds
        self._scope = anyio.CancelScope()

    def stop(self) -> None:
        """End it now; what it came to is still told."""
        self.stopped = True
        self._scope.cancel()

    async def run(self, watcher: Watcher) -> Snapshot:
        """Run to the end, and tell what it came to."""
        budget = TokenBucket(_LIMIT)
        async with LocalCloud(limit=_LIMIT) as cloud:
            await add_bits(cloud, self._devices)
            token = await cloud.create_token()
            # A proxy in the environment has no business between two ends of one process.
            async with Session(token, base_url=cloud.url, budget=budget, trust_env=False) as session:
                devices = await session.devices()
                publisher, follower, *_ = devices
                subscription = await session.subscribe(
                    publisher_id=publisher.id, subscriber_id=follower.id, events=AmplitudeEvent.AMPLITUDE
                )
                async with InputReactor(session, devices) as reactor:
                    stage = _Stage(cloud, session, budget, reactor, devices, subscription)
                    with self._scope:
                        if self._seconds is not None:
                            self._scope.deadline = anyio.current_time() + self._seconds
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(stage.read)
                            tasks.start_soon(stage.write)
                            tasks.start_soon(stage.tell, watcher)
                    return stage.snapshot()


@define
class _Stage:
    """A demo that is going on."""

    cloud: LocalCloud
    session: Session
    budget: TokenBucket
    reactor: InputReactor
    devices: Sequence[Device]
    subscription: Subscription
    began: float = field(factory=time.monotonic)
    board: Board = field(init=False)
    shown_lately: deque[float] = field(factory=lambda: deque(maxlen=_LAG))  # by the follower
    followed: bool = False
    written: Written | None = None
    written_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.board = Board(self.devices)

    async def read(self) -> None:
        """Take every event there is."""
        publisher_id = self.subscription.publisher_id
        async for event in self.reactor:
            self.board.add(event, time.monotonic())
            if event.device_id == publisher_id:
                self.shown_lately.append(self._shown(self.subscription.subscriber_id))
                # A bit that nobody told anything shows 0, so that proves nothing.
                self.followed |= event.percent > 0 and event.percent in self.shown_lately

    async def write(self) -> None:
        """Write an output every few seconds; not to the follower, whose output is its publisher's business."""
        publisher, _follower, *others = self.devices
        targets = [device.id for device in (*others, publisher)]
        for device_id, percent in zip(cycle(targets), cycle(_OUTPUTS), strict=False):
            await self.session.output(device_id, percent, duration_ms=FOREVER)
            self.written = Written(device_id, percent, shown=self._shown(device_id), ago=0.0)
            self.written_at = time.monotonic()
            await anyio.sleep(_WRITE_EVERY)

    async def tell(self, watcher: Watcher) -> None:
        """Let somebody look on."""
        while True:
            await anyio.sleep(watcher.interval)
            watcher.show(self.snapshot())

    def snapshot(self) -> Snapshot:
        """See how things are."""
        now = time.monotonic()
        publisher_id, subscriber_id = self.subscription.publisher_id, self.subscription.subscriber_id
        return Snapshot(
            url=self.cloud.url,
            elapsed=round(now - self.began, 3),
            rows=tuple(self._row(card, now) for card in self.board.cards.values()),
            follow=Follow(publisher_id, subscriber_id, self._shown(subscriber_id), self.followed),
            written=None if self.written is None else evolve(self.written, ago=round(now - self.written_at, 3)),
            left=self.budget.available,
            limit=_LIMIT,
        )

    def _row(self, card: Card, now: float) -> Row:
        return Row(
            device_id=card.device.id,
            label=card.device.label,
            state=self.reactor.status(card.device.id).state,
            events=card.events,
            rate=card.rate(now),
            percent=None if card.last is None else card.last.percent,
            volts=None if card.last is None else card.last.volts,
            seen=None if card.last_at is None else now - card.last_at,
            shown=self._shown(card.device.id),
        )

    def _shown(self, device_id: str) -> float:
        return self.cloud.devices[device_id].shown
