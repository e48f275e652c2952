"""Devices and subscriptions as they stand on the wire.

Source: spec/cloud-api-v2.txt; wire-facts 4 and 7: devices show the events of a subscription as objects, subscriptions
show them as text.
"""

from collections.abc import Iterable

from .bits import Bit
from .subscriptions import Subscription, Subscriptions

__all__ = ["device", "subscription"]


def device(bit: Bit, subscriptions: Subscriptions) -> dict[str, object]:
    """Describe a device: `subscriptions` is what it follows, `subscribers` who follows it."""
    return {
        "label": bit.label,
        "id": bit.id,
        "user_id": bit.user_id,
        "is_connected": bit.is_connected,
        "input_interval_ms": bit.input_interval_ms,
        "subscriptions": _links(subscriptions.of_subscriber(bit.id)),
        "subscribers": _links(subscriptions.of_publisher(bit.id)),
    }


def subscription(item: Subscription) -> dict[str, object]:
    """Describe a subscription."""
    return {
        "publisher_id": item.publisher_id,
        "subscriber_id": item.subscriber_id,
        "publisher_events": list(item.events),
    }


def _links(items: Iterable[Subscription]) -> list[dict[str, object]]:
    return [{**subscription(item), "publisher_events": [{"name": name} for name in item.events]} for item in items]
