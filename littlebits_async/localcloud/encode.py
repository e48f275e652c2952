"""Devices and subscriptions as they stand on the wire.

Source: spec/cloud-api-v2.txt; wire-facts 4 and 7: devices show the events of a subscription as objects, subscriptions
show them as text; in version 1 both are text.
"""

from collections.abc import Iterable

from .bits import Bit
from .dialects import Dialect
from .storage import SubscriptionRecord
from .subscriptions import Subscriptions

__all__ = ["device", "subscription"]


def device(bit: Bit, subscriptions: Subscriptions, dialect: Dialect) -> dict[str, object]:
    """Describe a device: `subscriptions` is what it follows, `subscribers` who follows it."""
    return {
        "label": bit.label,
        "id": bit.id,
        "user_id": bit.user_id,
        "is_connected": bit.is_connected,
        "input_interval_ms": bit.input_interval_ms,
        "subscriptions": _links(subscriptions.of_subscriber(bit.id), dialect),
        "subscribers": _links(subscriptions.of_publisher(bit.id), dialect),
    }


def subscription(item: SubscriptionRecord, dialect: Dialect) -> dict[str, object]:
    """Describe a subscription."""
    return {
        "publisher_id": item.publisher_id,
        "subscriber_id": item.subscriber_id,
        dialect.events_field: list(item.events),
    }


def _links(items: Iterable[SubscriptionRecord], dialect: Dialect) -> list[dict[str, object]]:
    return [_link(item, dialect) for item in items]


def _link(item: SubscriptionRecord, dialect: Dialect) -> dict[str, object]:
    link = subscription(item, dialect)
    if dialect.wraps_events_in_devices:
        link[dialect.events_field] = [{"name": name} for name in item.events]
    return link
