"""What waits for one subscriber, and when it is tried; no I/O, no clock.

Source: spec/cloud-http-api-v1-and-webhooks.md, "`subscriber_id` field details": only a 200 within 15 s is success, the
waits between failures, the end at the eighth, the count reset by a success. That the newest ``amplitude`` takes the
place of one that still waits, and that a thousand may wait, is ours: a bit has five a second, and a subscriber may be
away for a week.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from attrs import evolve

from ..storage import DeliveryRecord, NewDelivery, SubscriptionRecord

__all__ = ["COALESCED", "LADDER", "MOST_WAITING", "Outbox"]

LADDER: Final = (10, 30, 60, 600, 3600, 86_400, 604_800)
"""Seconds to wait after the first failure in a row, the second, ...; after one more the subscription is deleted."""
MOST_WAITING: Final = 1000
COALESCED: Final = "amplitude"
"""The event of which only the newest is worth waiting for; the others are edges, and each of them counts."""


class Outbox:
    """The deliveries of one subscription, the oldest first; none overtakes another.

    Args:
        subscription: Whose.
        waiting: What waited when the cloud started.

    Attributes:
        subscription: As it is kept.
    """

    def __init__(self, subscription: SubscriptionRecord, waiting: Iterable[DeliveryRecord] = ()) -> None:
        self.subscription = subscription
        self._waiting = deque(waiting)
        self._sending: DeliveryRecord | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def head(self) -> DeliveryRecord | None:
        """What is to be sent next; None for nothing."""
        return self._waiting[0] if self._waiting else None

    @property
    def retry_ms(self) -> int:
        """Before when nothing is to be sent."""
        return self.subscription.retry_ms

    def admit(self, event: str, body: bytes) -> NewDelivery:
        """Make room for a delivery; say what it replaces. It waits from when it was kept and `admitted`."""
        free = [item for item in self._waiting if item is not self._sending]
        gone = [item for item in free if event == COALESCED == item.event]
        dropped = 0
        if len(self._waiting) - len(gone) >= MOST_WAITING:
            gone.append(next(item for item in free if item not in gone))
            dropped = 1
        for item in gone:
            self._waiting.remove(item)
        return NewDelivery(self.subscription.id, event, body, tuple(item.id for item in gone), dropped)

    def admitted(self, delivery: DeliveryRecord) -> None:
        """Let a delivery wait that was kept."""
        self._waiting.append(delivery)

    def sending(self) -> DeliveryRecord:
        """Take note that the head is on its way: it can no longer be replaced or dropped."""
        self._sending = self._waiting[0]
        return self._sending

    def arrived(self) -> None:
        """The head arrived."""
        self._waiting.popleft()
        self._sending = None
        self.subscription = evolve(self.subscription, failures=0, retry_ms=0)

    def failed(self, now_ms: int) -> bool:
        """The head failed; it stays the head. Return False where that was once too often."""
        self._sending = None
        failures = self.subscription.failures + 1
        if failures > len(LADDER):
            return False
        retry_ms = now_ms + LADDER[failures - 1] * 1000
        self._waiting[0] = evolve(self._waiting[0], attempts=self._waiting[0].attempts + 1)
        self.subscription = evolve(self.subscription, failures=failures, retry_ms=retry_ms)
        return True
