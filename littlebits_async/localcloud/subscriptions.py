"""Who follows whom: subscriptions, found from either side.

Source: spec/cloud-api-v2.txt, "Subscriptions" (the seven events, the default); wire-facts 7: a subscription is known by
its pair of publisher and subscriber. What a second POST of the pair does is unknown: here it replaces the first.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from .answers import Refusal
from .storage import SubscriptionRecord

__all__ = ["CONNECTION", "DEFAULT_EVENTS", "EVENTS", "Subscriptions", "is_url"]

CONNECTION: Final = "connection"
"""The channel of 003's notes, beside the seven events: told when a bit comes or goes."""

EVENTS: Final = (
    "amplitude",
    "amplitude:delta:sustain",
    "amplitude:delta:ignite",
    "amplitude:delta:release",
    "amplitude:delta:nap",
    "amplitude:level:active",
    "amplitude:level:idle",
    CONNECTION,
)
DEFAULT_EVENTS: Final = ("amplitude:delta:ignite",)


class Subscriptions:
    """All subscriptions there are, in the order in which they were made."""

    def __init__(self) -> None:
        self._by_publisher: dict[str, dict[str, SubscriptionRecord]] = {}
        self._by_subscriber: dict[str, dict[str, SubscriptionRecord]] = {}

    def __iter__(self) -> Iterator[SubscriptionRecord]:
        for subscriptions in self._by_publisher.values():
            yield from subscriptions.values()

    def add(self, subscription: SubscriptionRecord) -> None:
        """Keep a subscription, in place of an older one of the same pair."""
        publisher_id, subscriber_id = subscription.publisher_id, subscription.subscriber_id
        self._by_publisher.setdefault(publisher_id, {})[subscriber_id] = subscription
        self._by_subscriber.setdefault(subscriber_id, {})[publisher_id] = subscription

    def find(self, publisher_id: str, subscriber_id: str) -> SubscriptionRecord | None:
        """Find the subscription of a pair."""
        return self._by_publisher.get(publisher_id, {}).get(subscriber_id)

    def remove(self, publisher_id: str, subscriber_id: str) -> None:
        """Forget the subscription of a pair, if there is one."""
        for index, key, other in (
            (self._by_publisher, publisher_id, subscriber_id),
            (self._by_subscriber, subscriber_id, publisher_id),
        ):
            if key in index:
                index[key].pop(other, None)
                if not index[key]:
                    del index[key]

    def of_publisher(self, device_id: str) -> list[SubscriptionRecord]:
        """List who follows a device."""
        return list(self._by_publisher.get(device_id, {}).values())

    def of_subscriber(self, subscriber_id: str) -> list[SubscriptionRecord]:
        """List what a device or URL follows."""
        return list(self._by_subscriber.get(subscriber_id, {}).values())


def is_url(subscriber_id: str) -> bool:
    """Tell a URL from the id of a device.

    Raises:
        Refusal: 400 for a URL that nobody could call.
    """
    if "://" not in subscriber_id:
        return False
    try:
        url = urlsplit(subscriber_id)
        callable_ = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
        # Which urlsplit takes out, or takes for part of a host. A blank in the query is to be quoted by whoever calls.
        callable_ = (
            callable_ and subscriber_id.isprintable() and " " not in url.netloc and not subscriber_id.endswith(" ")
        )
    except ValueError:
        callable_ = False
    if not callable_:
        raise Refusal(HTTPStatus.BAD_REQUEST, '"subscriber_id" must be a device id, or a URL of http or https')
    return True
