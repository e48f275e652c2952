"""What stands in the tables, as values."""

from attrs import frozen

from ...amplitude import Level

__all__ = [
    "ClientRecord",
    "DeliveryRecord",
    "DeviceRecord",
    "EnrolmentRecord",
    "GrantRecord",
    "Snapshot",
    "SubscriptionRecord",
    "TokenRecord",
]


@frozen
class TokenRecord:
    """An access token, but for the token itself.

    Attributes:
        digest: SHA-256 of the token, hexadecimal.
        user_id: Whose it is.
        scopes: What it is for.
        label: What its owner calls it.
        created_ms: Since when it is there.
        expires_ms: Until when it is good; None without end.
        grant_id: The grant by which an application got it; None for one that somebody made.
    """

    digest: str
    user_id: int
    scopes: frozenset[str]
    label: str = ""
    created_ms: int = 0
    expires_ms: int | None = None
    grant_id: int | None = None

    @property
    def key(self) -> str:
        """Under what its requests are counted: all tokens of a grant together, as an application may have many."""
        return self.digest if self.grant_id is None else f"grant {self.grant_id}"


@frozen(kw_only=True)
class ClientRecord:
    """An application that may ask for tokens by OAuth2.

    Attributes:
        id: Its id.
        name: What it is called where somebody is asked to allow it.
        secret: SHA-256 of its secret, hexadecimal; None for a public one, which can keep none.
        redirect_uris: Where a browser may be sent back to.
        scopes: What it may ask for.
        created_ms: Since when it is there.
    """

    id: str
    name: str
    secret: str | None
    redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    created_ms: int = 0


@frozen(kw_only=True)
class GrantRecord:
    """What somebody allowed an application.

    Attributes:
        id: Its number, 0 before it is kept.
        client_id: The application.
        allowed_by: The digest of the token that whoever allowed it showed; with that the grant ends.
        user_id: Whose bits it is about.
        scopes: What is allowed.
        created_ms: Since when it is there.
        code: SHA-256 of its code, hexadecimal.
        code_until_ms: Until when the code is good.
        redirect_uri: Where the code was sent.
        challenge: What the code's user has to prove; None without PKCE.
        family: SHA-256 of what all its refresh tokens have in common; None until the code was used.
        refresh: SHA-256 of the refresh token that is good.
        refresh_until_ms: Until when it is.
        spent: SHA-256 of the one that it was given for; None where that was the code.
        spent_until_ms: Until when that may be presented again, as the answer may have been lost.
    """

    id: int = 0
    client_id: str
    allowed_by: str
    user_id: int
    scopes: frozenset[str]
    created_ms: int
    code: str
    code_until_ms: int
    redirect_uri: str
    challenge: str | None
    family: str | None = None
    refresh: str | None = None
    refresh_until_ms: int | None = None
    spent: str | None = None
    spent_until_ms: int | None = None


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


@frozen
class EnrolmentRecord:
    """A real bit that may come in, or the leave for one to come.

    Attributes:
        id: Its number, 0 before it is kept.
        digest: SHA-256 of the secret in the URL, hexadecimal; None for a localbit, which has no secret.
        address: Where a localbit is; None before it came, and for all others.
        device_id: Which bit; None where that is the first that comes.
        user_id: Whose the bit becomes.
        label: What its owner calls it.
        full_scale: The most that its input says; None where that shows in time.
        open_until_ms: Until when a bit may come; None once one has.
    """

    id: int
    digest: str | None
    address: str | None
    device_id: str | None
    user_id: int
    label: str
    full_scale: int | None
    open_until_ms: int | None


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
