"""Which real bits may come in, as it stands in its table: jobs that the store runs."""

import sqlite3

from ._records import EnrolmentRecord
from ._rows import ensure_user

__all__ = ["add_enrolment", "bind_enrolment", "enrolments", "learn_full_scale", "remove_enrolment"]


def enrolments(db: sqlite3.Connection) -> list[EnrolmentRecord]:
    """Read all enrolments, the oldest first."""
    rows = db.execute(
        """
        SELECT id, digest, address, device_id, user_id, label, full_scale, open_until_ms FROM enrolments ORDER BY id
        """
    )
    return [EnrolmentRecord(*row) for row in rows]


def add_enrolment(db: sqlite3.Connection, item: EnrolmentRecord, now_ms: int) -> EnrolmentRecord:
    """Keep an enrolment that a bit has yet to use; give it with its number."""
    ensure_user(db, item.user_id, now_ms)
    db.execute("DELETE FROM enrolments WHERE open_until_ms <= ?", (now_ms,))  # those that no bit came for
    return EnrolmentRecord(
        *db.execute(
            """
            INSERT INTO enrolments (digest, address, device_id, user_id, label, full_scale, open_until_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            RETURNING id, digest, address, device_id, user_id, label, full_scale, open_until_ms
            """,
            (
                item.digest,
                item.address,
                item.device_id,
                item.user_id,
                item.label,
                item.full_scale,
                item.open_until_ms,
            ),
        ).fetchone()
    )


def bind_enrolment(db: sqlite3.Connection, enrolment_id: int, device_id: str, address: str | None) -> bool:
    """Let a bit have an enrolment for good, in place of those it had; return whether there still is one to have."""
    taken = db.execute(
        """
        UPDATE enrolments SET device_id = ?, address = ?, open_until_ms = NULL
        WHERE id = ? AND open_until_ms IS NOT NULL
        """,
        (device_id, address, enrolment_id),
    ).rowcount
    if taken:
        db.execute(
            "DELETE FROM enrolments WHERE device_id = ? AND id <> ? AND open_until_ms IS NULL",
            (device_id, enrolment_id),
        )
    return taken > 0


def learn_full_scale(db: sqlite3.Connection, enrolment_id: int, full_scale: int) -> None:
    """Keep what a bit's input goes up to."""
    db.execute("UPDATE enrolments SET full_scale = ? WHERE id = ?", (full_scale, enrolment_id))


def remove_enrolment(db: sqlite3.Connection, enrolment_id: int) -> bool:
    """Forget an enrolment; return whether it was there."""
    return db.execute("DELETE FROM enrolments WHERE id = ?", (enrolment_id,)).rowcount > 0
