"""What waits for one subscriber, and when it is tried; no I/O, no clock.

Source: spec/cloud-http-api-v1-and-webhooks.md, "`subscriber_id` field details": only a 200 within 15 s is success, the
waits between failures, the end at the eighth, the count reset by a success. That the newest ``amplitude`` takes the
place of one that still waits, and that a thousand may wait, is ours: a bit has five a second, and a subscriber may be
away for a week.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from attrs import evolve

from ..storage import DeliveryRecord, SubscriptionRecord

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
        subscription: With its failures, when the next try is due, and how many deliveries were dropped.
    """

    def __init__(self, subscription: SubscriptionRecord, waiting: Iterable[DeliveryRecord] = ()) -> None:
        self.subscription = subscription
        self._waiting = deque(waiting)
        self._is_sending = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def head(self) -> DeliveryRecord | None:
        """What is to be sent next, or is on its way; None for nothing."""
        return self._waiting[0] if self._waiting else None

    @property
    def is_given_up(self) -> bool:
        """Whether it failed once too often."""
        return self.subscription.failures > len(LADDER)

    def admit(
        self, delivery: DeliveryRecord, is_being_written: Callable[[int], bool] = lambda _: False
    ) -> list[DeliveryRecord]:
        """Let a delivery wait, the last of all.

        Returns:
            Those that wait no more: older ones of the same kind that it takes the place of, or else the oldest, where
            there is no more room; that one counts as dropped.
        """
        free = list(self._waiting)[self._is_sending :]
        gone = [
            item
            for item in free
            # Else nothing would ever be sent where the disk is slower than the input.
            if item.event == delivery.event == COALESCED and not is_being_written(item.id)
        ]
        if not gone and len(self._waiting) >= MOST_WAITING:
            gone = free[:1]
            self.subscription = evolve(self.subscription, dropped=self.subscription.dropped + 1)
        for item in gone:
            self._waiting.remove(item)
        self._waiting.append(delivery)
        return gone

    def send(self) -> DeliveryRecord:
        """Take note that the head is on its way, and give it: it can no longer be replaced or dropped."""
        self._is_sending = True
        return self._waiting[0]

    def arrived(self) -> None:
        """Take note that the head arrived."""
        self._waiting.popleft()
        self._is_sending = False
        self.renew()

    def failed(self, now_ms: int) -> None:
        """Take note that the head failed; it stays the head, and waits its time, unless all `is_given_up`."""
        self._is_sending = False
        failures = self.subscription.failures + 1
        wait = LADDER[failures - 1] if failures <= len(LADDER) else 0
        self.subscription = evolve(self.subscription, failures=failures, retry_ms=now_ms + wait * 1000)

    def renew(self) -> None:
        """Forget the failures, as when it is subscribed anew."""
        self.subscription = evolve(self.subscription, failures=0, retry_ms=0)
