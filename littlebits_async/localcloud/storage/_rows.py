"""What several jobs of the store do inside a transaction: rows to values, above all."""

import json
import sqlite3

from ...signatures import new_secret
from ._records import DeliveryRecord, DeviceRecord, Snapshot, SubscriptionRecord, TokenRecord

__all__ = [
    "add_token",
    "ensure_user",
    "load",
    "newest_delivery",
    "newest_inputs",
    "subscription",
    "tokens",
    "write_nothing_new",
]


def write_nothing_new(db: sqlite3.Connection) -> None:
    """Write, and leave everything as it is."""
    # SQLite writes the page that this stands on even where the number is the same.
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version}")


def ensure_user(db: sqlite3.Connection, user_id: int, now_ms: int) -> None:
    """Keep a user, where new."""
    db.execute("INSERT INTO users VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (user_id, new_secret(), now_ms))


def newest_inputs(db: sqlite3.Connection) -> dict[str, int]:
    """Give the number of each device's newest input."""
    return dict(db.execute("SELECT device_id, max(number) FROM inputs GROUP BY device_id").fetchall())


def newest_delivery(db: sqlite3.Connection) -> int:
    """Give the number of the newest delivery there ever was."""
    # SQLite's own note of it, which knows of those that are gone as well.
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'").fetchone()
    return 0 if row is None else int(row[0])


def tokens(db: sqlite3.Connection) -> list[TokenRecord]:
    """Read all tokens, the oldest first."""
    rows = db.execute(
        """
        SELECT digest, user_id, scopes, label, created_ms, expires_ms, grant_id FROM tokens ORDER BY created_ms, digest
        """
    )
    return [
        TokenRecord(digest, user_id, frozenset(scopes.split()), label, created_ms, expires_ms, grant_id)
        for digest, user_id, scopes, label, created_ms, expires_ms, grant_id in rows
    ]


def add_token(db: sqlite3.Connection, token: TokenRecord) -> None:
    """Keep a token."""
    db.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            token.digest,
            token.user_id,
            " ".join(sorted(token.scopes)),
            token.label,
            token.created_ms,
            token.expires_ms,
            token.grant_id,
        ),
    )


def subscription(row: tuple[int, str, str, str, int, int, int]) -> SubscriptionRecord:
    """Read one subscription."""
    number, publisher_id, subscriber_id, events, failures, retry_ms, dropped = row
    return SubscriptionRecord(
        id=number,
        publisher_id=publisher_id,
        subscriber_id=subscriber_id,
        events=tuple(json.loads(events)),
        failures=failures,
        retry_ms=retry_ms,
        dropped=dropped,
    )


def load(db: sqlite3.Connection) -> Snapshot:
    """Read all that the cloud starts with, but for the tokens."""
    devices = db.execute(
        """
        SELECT id, label, user_id, input_interval_ms, percent, percent_until_ms, color, mode, light_until_ms, level,
               held
        FROM devices ORDER BY number
        """
    )
    subscriptions = db.execute(
        """
        SELECT id, publisher_id, subscriber_id, events, failures, retry_ms, dropped
        FROM subscriptions ORDER BY id
        """
    )
    deliveries = db.execute("SELECT id, subscription_id, event, body, attempts FROM deliveries ORDER BY id")
    return Snapshot(
        devices=tuple(
            DeviceRecord(
                id=device_id,
                label=label,
                user_id=user_id,
                input_interval_ms=interval,
                percent=percent,
                percent_until_ms=percent_until_ms,
                color=color,
                mode=mode,
                light_until_ms=light_until_ms,
                level=level,
                held=bool(held),
            )
            for (
                device_id,
                label,
                user_id,
                interval,
                percent,
                percent_until_ms,
                color,
                mode,
                light_until_ms,
                level,
                held,
            ) in devices
        ),
        subscriptions=tuple(subscription(row) for row in subscriptions),
        deliveries=tuple(DeliveryRecord(*row) for row in deliveries),
    )
