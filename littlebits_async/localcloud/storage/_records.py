"""What stands in the tables, as values."""

from attrs import frozen

from ...amplitude import Level

__all__ = ["DeliveryRecord", "DeviceRecord", "Snapshot", "SubscriptionRecord", "TokenRecord"]


@frozen
class TokenRecord:
    """An access token, but for the token itself.

    Attributes:
        digest: SHA-256 of the token, hexadecimal.
        user_id: Whose it is.
        scopes: What it is for.
        label: What its owner calls it.
        created_ms: Since when it is there.
    """

    digest: str
    user_id: int
    scopes: frozenset[str]
    label: str = ""
    created_ms: int = 0


@frozen(kw_only=True)
class DeviceRecord:
    """A bit, and what it was told to show.

    Attributes:
        id: Its id.
        label: Its owner's name for it.
        user_id: Its owner, None where it has none.
        input_interval_ms: Milliseconds between two readings.
        percent: What it was told to show.
        percent_until_ms: Until when; None without end.
        color: What its light was told to show.
        mode: How.
        light_until_ms: Until when; None without end.
        level: Where its input stood for its webhooks, None where none was told of it.
        held: Whether that was told as a sustain or nap.
    """

    id: str
    label: str
    user_id: int | None
    input_interval_ms: int
    percent: float = 0.0
    percent_until_ms: int | None = None
    color: str | None = None
    mode: str | None = None
    light_until_ms: int | None = None
    level: Level | None = None
    held: bool = False


@frozen(kw_only=True)
class SubscriptionRecord:
    """Who follows whom.

    Attributes:
        id: Its number, 0 before it is kept.
        publisher_id: The device whose input is told.
        subscriber_id: The device or URL that is told.
        events: What is told.
        failures: How often in a row a delivery failed.
        retry_ms: Before when none is tried.
        dropped: How many deliveries were dropped for want of room.
    """

    id: int = 0
    publisher_id: str
    subscriber_id: str
    events: tuple[str, ...]
    failures: int = 0
    retry_ms: int = 0
    dropped: int = 0


@frozen
class DeliveryRecord:
    """A delivery that waits.

    Attributes:
        id: Its number; they grow.
        subscription_id: Whose.
        event: What is told.
        body: The bytes of the POST.
        attempts: How often it was tried.
    """

    id: int
    subscription_id: int
    event: str
    body: bytes
    attempts: int = 0


@frozen
class Snapshot:
    """All that was kept when the cloud starts.

    Attributes:
        devices: In the order in which they were added.
        subscriptions: In the order in which they were made.
        deliveries: In order, those that wait.
    """

    devices: tuple[DeviceRecord, ...]
    subscriptions: tuple[SubscriptionRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
