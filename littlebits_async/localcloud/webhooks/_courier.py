"""Sends deliveries once they are on disk: one at a time to each subscriber, many subscribers at once.

A delivery is told at least once. It is forgotten when its subscriber has said 200 and that is on disk; where the cloud
is killed in between, it is sent again, with the same ``webhook-id``.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel
from attrs import define, frozen

from ..storage import DeliveryRecord, StorageError, Store, SubscriptionRecord
from ._outbox import Outbox
from ._poster import DeliveryError, Poster

__all__ = ["Backlog", "Courier"]

logger: Final = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 256
"""Deliveries on their way; more wait for their turn, which does not count as the time of a subscriber."""
_LONGEST_SLEEP: Final = 60.0
"""Seconds; the waits are by the wall clock, which may be set."""
_KEEP_AGAIN_AFTER: Final = 1.0
"""Seconds, where the disk took nothing."""
_TELL_EVERY: Final = 100
"""Dropped deliveries between two lines of the log."""


@frozen
class Backlog:
    """How a subscription to a URL fares.

    Attributes:
        publisher_id: The bit.
        url: Who is told.
        waiting: How many deliveries wait.
        failures: How often in a row one failed.
        retry_ms: Unix time in milliseconds before which none is tried.
        dropped: How many were dropped, since the subscription was made, because a thousand waited.
    """

    publisher_id: str
    url: str
    waiting: int
    failures: int
    retry_ms: int
    dropped: int


@define(eq=False)
class _Route:
    """The way to one subscriber.

    Attributes:
        outbox: What waits.
        secret: What it is signed with.
        scope: Of the task that sends, where there is one.
        pause: Of its waiting.
    """

    outbox: Outbox
    secret: str
    scope: anyio.CancelScope | None = None
    pause: anyio.CancelScope | None = None


class Courier:
    """The deliveries of all subscriptions to URLs.

    Args:
        store: Keeps them.
        poster: Sends one.
        give_up: Deletes a subscription that failed once too often, and has it removed here.
        clock_ms: The wall clock, in milliseconds.
        sleep: Lets so many seconds of that clock pass.

    Attributes:
        delivered: How many tries were answered with 200 so far.
        failed: How many were not.
        dropped: How many deliveries were dropped so far, because a thousand waited.
    """

    def __init__(
        self,
        store: Store,
        poster: Poster,
        give_up: Callable[[SubscriptionRecord], Awaitable[None]],
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.delivered = self.failed = self.dropped = 0
        self._store = store
        self._poster = poster
        self._give_up = give_up
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._routes: dict[int, _Route] = {}
        self._kept = 0
        self._offered = asyncio.Event()
        self._offered_to = set[int]()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def backlogs(self) -> list[Backlog]:
        """How all subscriptions fare."""
        return [
            Backlog(
                item.publisher_id, item.subscriber_id, len(route.outbox), item.failures, item.retry_ms, item.dropped
            )
            for route in self._routes.values()
            for item in [route.outbox.subscription]
        ]

    def add(self, subscription: SubscriptionRecord, secret: str, waiting: Iterable[DeliveryRecord] = ()) -> None:
        """Serve a subscription.

        Args:
            subscription: Which.
            secret: What its deliveries are signed with.
            waiting: What waits for it on disk.
        """
        self._routes[subscription.id] = _Route(Outbox(subscription, waiting), secret)

    def standing(self, subscription_id: int) -> SubscriptionRecord:
        """Give a subscription as it stands; another object after each try."""
        return self._routes[subscription_id].outbox.subscription

    def renew(self, subscription_id: int) -> None:
        """Forget a subscription's failures, and try at once what waits."""
        route = self._routes[subscription_id]
        route.outbox.renew()
        if route.pause is not None:
            route.pause.cancel()

    def is_given_up(self, subscription_id: int) -> bool:
        """Tell whether a subscription is one that is still to be deleted."""
        route = self._routes.get(subscription_id)
        return route is not None and route.outbox.is_given_up

    def remove(self, subscription_id: int) -> None:
        """Serve a subscription no more; what waits is not sent."""
        route = self._routes.pop(subscription_id)
        if route.scope is not None:
            route.scope.cancel()

    def offer(self, subscription_id: int, event: str, body: bytes) -> None:
        """Have something told; never waits. It is noted in the step that noted what it tells of, if any."""
        outbox = self._routes[subscription_id].outbox
        delivery = DeliveryRecord(self._store.new_number(), subscription_id, event, body)
        before = outbox.subscription.dropped
        gone = outbox.admit(delivery, self._store.is_being_written)
        dropped = outbox.subscription.dropped - before
        self.dropped += dropped
        self._store.note_delivery(delivery, replaces=[item.id for item in gone], dropped=dropped)
        self._offered_to.add(subscription_id)
        self._offered.set()
        if dropped and before % _TELL_EVERY == 0:
            logger.warning(
                "subscription %d of device %s: too many deliveries wait, %d were dropped so far",
                subscription_id,
                outbox.subscription.publisher_id,
                before + 1,
            )

    async def run(self) -> None:
        """Keep what is offered, and send it, until cancelled."""
        self._offered = asyncio.Event()  # belongs to the loop that runs, as the turns do
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._offered.set()
        self._offered_to.update(self._routes)  # what was left waiting
        try:
            async with anyio.create_task_group() as self._group:
                while True:
                    await self._offered.wait()
                    self._offered = asyncio.Event()
                    await self._keep()
        finally:
            self._group = None
            for route in self._routes.values():
                route.scope = route.pause = None

    async def _keep(self) -> None:
        """Bring what was offered to disk, and have it sent."""
        offered_to, self._offered_to = self._offered_to, set[int]()
        try:
            self._kept = await self._store.flush()
        except StorageError as error:
            logger.error("webhooks wait until they can be kept: %s", error)  # noqa: TRY400 - it says all
            await anyio.sleep(_KEEP_AGAIN_AFTER)
            self._offered_to |= offered_to
            self._offered.set()
        else:
            for number in offered_to & self._routes.keys():
                self._start(self._routes[number])

    def _start(self, route: _Route) -> None:
        """Have somebody send what waits, unless somebody does."""
        if self._group is not None and route.scope is None and self._next(route) is not None:
            route.scope = anyio.CancelScope()
            name = f"webhooks of subscription {route.outbox.subscription.id}"
            self._group.start_soon(self._serve, route, route.scope, name=name)

    def _next(self, route: _Route) -> DeliveryRecord | None:
        """Give what is to be sent next, once it is on disk."""
        head = route.outbox.head
        return head if head is not None and head.id <= self._kept else None

    async def _serve(self, route: _Route, scope: anyio.CancelScope) -> None:
        outbox = route.outbox
        with scope:
            while self._next(route) is not None:
                left = (outbox.subscription.retry_ms - self._clock_ms()) / 1000
                if outbox.is_given_up or left > 0:
                    with anyio.CancelScope() as route.pause:  # which a new subscription of the pair ends
                        await (self._end(outbox) if outbox.is_given_up else self._sleep(min(left, _LONGEST_SLEEP)))
                    route.pause = None
                else:
                    async with self._turns:
                        if self._next(route) is not None:  # a newer one may have taken its place
                            await self._send(outbox, route.secret)
        route.scope = None

    async def _send(self, outbox: Outbox, secret: str) -> None:
        delivery, item = outbox.send(), outbox.subscription
        try:
            await self._poster.post(
                item.subscriber_id,
                delivery.body,
                secret=secret,
                message_id=f"msg_{item.id}_{delivery.id}",
                timestamp=self._clock_ms() // 1000,
            )
        except DeliveryError as error:
            logger.info("delivery %d of subscription %d failed: %s", delivery.id, item.id, error)
            self.failed += 1
            outbox.failed(self._clock_ms())
            if not outbox.is_given_up:
                now = outbox.subscription
                await self._settle(
                    self._store.failed(delivery, failures=now.failures, retry_ms=now.retry_ms, failure=str(error))
                )
        else:
            self.delivered += 1
            outbox.arrived()
            await self._settle(self._store.delivered(delivery))

    async def _end(self, outbox: Outbox) -> None:
        item = outbox.subscription
        logger.warning("subscription %d of device %s is given up", item.id, item.publisher_id)
        try:
            await self._give_up(item)
            await anyio.lowlevel.checkpoint()  # where this ends, as it was removed
        except StorageError as error:
            logger.error("subscription %d could not be deleted: %s", item.id, error)  # noqa: TRY400 - it says all
            await self._sleep(_LONGEST_SLEEP)

    @staticmethod
    async def _settle(kept: Awaitable[None]) -> None:
        try:
            await kept
        except StorageError as error:  # what is known here holds until the cloud ends
            logger.error("what became of a delivery could not be kept: %s", error)  # noqa: TRY400 - it says all
