"""Keeps deliveries and sends them: one at a time to each subscriber, many subscribers at once."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import anyio
import anyio.abc

from ..storage import DeliveryRecord, StorageError, Store, SubscriptionRecord
from ._outbox import Outbox
from ._poster import DeliveryError, Poster

__all__ = ["Courier"]

logger: Final = logging.getLogger(__name__)

_LONGEST_SLEEP: Final = 60.0
"""Seconds; the waits are by the wall clock, which may be set."""


class Courier:
    """The deliveries of all subscriptions to URLs.

    Args:
        store: Keeps them; what is offered is sent once it is kept.
        poster: Sends one.
        find_secret: Finds what the deliveries of a subscription are signed with.
        give_up: Deletes a subscription that failed once too often.
        clock_ms: The wall clock, in milliseconds.
    """

    def __init__(
        self,
        store: Store,
        poster: Poster,
        find_secret: Callable[[SubscriptionRecord], Awaitable[str]],
        give_up: Callable[[SubscriptionRecord], Awaitable[None]],
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store = store
        self._poster = poster
        self._find_secret = find_secret
        self._give_up = give_up
        self._clock_ms = clock_ms
        self._outboxes: dict[int, Outbox] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._offers: list[tuple[int, str, bytes]] = []
        self._offered = anyio.Event()
        self._group: anyio.abc.TaskGroup | None = None

    def waiting(self, subscription_id: int) -> int:
        """Count what waits for a subscriber."""
        outbox = self._outboxes.get(subscription_id)
        return 0 if outbox is None else len(outbox)

    def add(self, subscription: SubscriptionRecord, waiting: Iterable[DeliveryRecord] = ()) -> None:
        """Serve a subscription, a new one or a changed one."""
        known = self._outboxes.get(subscription.id)
        if known is not None:
            known.subscription = subscription
            self._cancel(subscription.id)  # it may be waiting for a time that holds no more
        else:
            self._outboxes[subscription.id] = Outbox(subscription, waiting)
        self._send(subscription.id)

    def remove(self, subscription_id: int) -> None:
        """Serve a subscription no more; what waits is not sent."""
        self._outboxes.pop(subscription_id, None)
        self._cancel(subscription_id)

    def offer(self, subscription_id: int, event: str, body: bytes) -> None:
        """Have something told; never waits."""
        self._offers.append((subscription_id, event, body))
        self._offered.set()

    async def run(self) -> None:
        """Keep what is offered, and send it, until cancelled."""
        self._offered = anyio.Event()  # belongs to the loop that runs
        try:
            async with anyio.create_task_group() as self._group:
                for subscription_id in self._outboxes:
                    self._send(subscription_id)
                while True:
                    if not self._offers:
                        self._offered = anyio.Event()
                        await self._offered.wait()
                    await self._keep()
        finally:
            self._group = None
            self._scopes.clear()

    async def _keep(self) -> None:
        offers, self._offers = self._offers, []
        admitted = [
            (outbox, outbox.admit(event, body))
            for subscription_id, event, body in offers
            if (outbox := self._outboxes.get(subscription_id)) is not None
        ]
        try:
            numbers = await self._store.add_deliveries(new for _, new in admitted)
        except StorageError:
            logger.exception("%d deliveries could not be kept", len(admitted))
            return
        for (outbox, new), number in zip(admitted, numbers, strict=True):
            if number is not None:
                outbox.admitted(DeliveryRecord(number, new.subscription_id, new.event, new.body))
                self._send(new.subscription_id)

    def _send(self, subscription_id: int) -> None:
        """Have somebody send what waits, unless somebody does."""
        outbox = self._outboxes.get(subscription_id)
        if self._group is None or outbox is None or outbox.head is None or subscription_id in self._scopes:
            return
        scope = self._scopes[subscription_id] = anyio.CancelScope()
        self._group.start_soon(self._send_all, outbox, scope, name=f"webhooks of subscription {subscription_id}")

    def _cancel(self, subscription_id: int) -> None:
        scope = self._scopes.pop(subscription_id, None)
        if scope is not None:
            scope.cancel()

    async def _send_all(self, outbox: Outbox, scope: anyio.CancelScope) -> None:
        with scope:
            while outbox.head is not None:
                left = (outbox.retry_ms - self._clock_ms()) / 1000
                if left > 0:
                    await anyio.sleep(min(left, _LONGEST_SLEEP))
                else:
                    await self._send_one(outbox)
        if self._scopes.get(outbox.subscription.id) is scope:
            del self._scopes[outbox.subscription.id]

    async def _send_one(self, outbox: Outbox) -> None:
        delivery = outbox.sending()
        item = outbox.subscription
        secret = await self._find_secret(item)
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
            if not outbox.failed(self._clock_ms()):
                logger.warning("subscription %d of device %s is given up", item.id, item.publisher_id)
                await self._give_up(item)
                return
            changed = outbox.subscription
            await self._settle(
                self._store.failed(delivery, failures=changed.failures, retry_ms=changed.retry_ms, failure=str(error))
            )
        else:
            outbox.arrived()
            await self._settle(self._store.delivered(delivery))

    @staticmethod
    async def _settle(kept: Awaitable[None]) -> None:
        try:
            await kept
        except StorageError:  # a full disk: what is known here holds until the cloud ends
            logger.exception("what became of a delivery could not be kept")
