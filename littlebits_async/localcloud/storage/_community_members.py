"""Who has an account of the community, and the keys by which they are known.

Addresses are given in lower case and one normal form, so that each is there once however it is written.
"""

import itertools
import sqlite3
from typing import Any, Final, Literal

from attrs import evolve, field, frozen

from ._rows import write_nothing_new
from ._writer import Run

__all__ = ["MemberRecord", "MemberTables"]

_MEMBER: Final = """
    SELECT id, username, slug, email, facebook_id, password, location, bio, created_ms, reset_asked_ms FROM members
"""
_MOST_KEYS: Final = 16
"""Keys of one member that are good at a time; the oldest makes room."""

Known = Literal["id", "slug", "email", "facebook_id"]
"""What is one member's alone."""


@frozen(kw_only=True)
class MemberRecord:
    """An account.

    Attributes:
        id: Its number, 0 before it is kept.
        username: As its owner writes it.
        slug: The same as it stands in a path, in lower case.
        email: In lower case; None where it has none. Neither this nor the rest of what only its owner should know is in
            the repr.
        facebook_id: Whose it is at Facebook; None for one with a password.
        password: The password's hash; None where nobody can log in with one.
        location: Where its owner lives.
        bio: What there is to say of them.
        created_ms: Since when it is there.
        reset_asked_ms: Since when a new password is asked for; None where none is.
    """

    id: int = 0
    username: str
    slug: str
    email: str | None = field(default=None, repr=False)
    facebook_id: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    location: str | None = None
    bio: str | None = None
    created_ms: int
    reset_asked_ms: int | None = None


class MemberTables:
    """What is kept of members.

    Args:
        run: Runs a job in a transaction.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def all(self) -> list[tuple[MemberRecord, int]]:
        """List all members by number, each with how many keys it has."""

        def find(db: sqlite3.Connection) -> list[tuple[MemberRecord, int]]:
            keys = dict(db.execute("SELECT member_id, count(*) FROM member_keys GROUP BY member_id").fetchall())
            rows = db.execute(f"{_MEMBER} ORDER BY id").fetchall()
            return [(_member(row), keys.get(row[0], 0)) for row in rows]

        return await self._run(find)

    async def find(self, known: Known, value: str | int) -> MemberRecord | None:
        """Find the member of whom one thing is known."""
        return await self._run(lambda db: _find(db, known, value))

    async def add(self, member: MemberRecord) -> MemberRecord | frozenset[str]:
        """Keep a new member; return it with its number, or which of email and slug another one has."""

        def add(db: sqlite3.Connection) -> MemberRecord | frozenset[str]:
            said: dict[Known, str | None] = {"email": member.email, "slug": member.slug}
            taken = frozenset(known for known, value in said.items() if _find(db, known, value) is not None)
            return taken or insert_member(db, member)

        return await self._run(add)

    async def add_from_facebook(self, member: MemberRecord) -> MemberRecord | None:
        """Find the member with the same account at Facebook, or keep this one; None where another has its email.

        Where somebody has its name, it gets a number behind it.
        """

        def find_or_add(db: sqlite3.Connection) -> MemberRecord | None:
            known = _find(db, "facebook_id", member.facebook_id)
            if known is not None:
                return known
            if _find(db, "email", member.email) is not None:
                return None
            ends = itertools.chain([""], map("-{}".format, itertools.count(2)))
            end = next(end for end in ends if _find(db, "slug", member.slug + end) is None)
            return insert_member(db, evolve(member, username=member.username + end, slug=member.slug + end))

        return await self._run(find_or_add)

    async def remove(self, member_id: int) -> bool:
        """Forget a member, and all that is kept of it; return whether it was there."""
        return await self._run(lambda db: db.execute("DELETE FROM members WHERE id = ?", (member_id,)).rowcount > 0)

    async def set_password(self, member_id: int, password: str) -> bool:
        """Give a member another password: whoever has a key or asked for this is done; return whether it is there."""

        def change(db: sqlite3.Connection) -> bool:
            db.execute("DELETE FROM member_keys WHERE member_id = ?", (member_id,))
            changed = db.execute(
                "UPDATE members SET password = ?, reset_asked_ms = NULL WHERE id = ?", (password, member_id)
            )
            return changed.rowcount > 0

        return await self._run(change)

    async def ask_reset(self, email: str, now_ms: int) -> bool:
        """Keep that a new password is asked for; return whether that is news."""

        def ask(db: sqlite3.Connection) -> bool:
            write_nothing_new(db)  # so that the disk takes as long where there is none
            asked = db.execute(
                "UPDATE members SET reset_asked_ms = ? WHERE email = ? AND reset_asked_ms IS NULL", (now_ms, email)
            )
            return asked.rowcount > 0

        return await self._run(ask)

    # Keys

    async def add_key(self, member: MemberRecord, digest: str) -> bool:
        """Keep a key of a member's, if the member is there and has the same password still; return whether that is so.

        Else a login could outlive the password that it came with, which was changed while it was compared.
        """

        def add(db: sqlite3.Connection) -> bool:
            added = db.execute(
                "INSERT INTO member_keys (member_id, digest) SELECT id, ? FROM members WHERE id = ? AND password IS ?",
                (digest, member.id, member.password),
            )
            db.execute(
                """
                DELETE FROM member_keys WHERE member_id = ?1 AND number NOT IN (
                    SELECT number FROM member_keys WHERE member_id = ?1 ORDER BY number DESC LIMIT ?2
                )
                """,
                (member.id, _MOST_KEYS),
            )
            return added.rowcount > 0

        return await self._run(add)

    async def with_key(self, digest: str) -> MemberRecord | None:
        """Find whose a key is."""

        def find(db: sqlite3.Connection) -> MemberRecord | None:
            row = db.execute("SELECT member_id FROM member_keys WHERE digest = ?", (digest,)).fetchone()
            return None if row is None else _find(db, "id", row[0])

        return await self._run(find)

    async def remove_key(self, digest: str) -> bool:
        """Forget a key; return whether it was there."""
        return await self._run(
            lambda db: db.execute("DELETE FROM member_keys WHERE digest = ?", (digest,)).rowcount > 0
        )

    async def remove_keys(self, member_id: int) -> int:
        """Forget all keys of a member; return how many there were."""
        return await self._run(
            lambda db: db.execute("DELETE FROM member_keys WHERE member_id = ?", (member_id,)).rowcount
        )


def insert_member(db: sqlite3.Connection, member: MemberRecord) -> MemberRecord:
    """Keep a new member, under its own number where it has one."""
    row = db.execute(
        """
        INSERT INTO members (id, username, slug, email, facebook_id, password, location, bio, created_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
        """,
        (
            member.id or None,
            member.username,
            member.slug,
            member.email,
            member.facebook_id,
            member.password,
            member.location,
            member.bio,
            member.created_ms,
        ),
    ).fetchone()
    return evolve(member, id=row[0])


def _find(db: sqlite3.Connection, known: Known, value: str | int | None) -> MemberRecord | None:
    row = db.execute(f"{_MEMBER} WHERE {known} = ?", (value,)).fetchone()
    return None if row is None else _member(row)


def _member(row: tuple[Any, ...]) -> MemberRecord:
    number, username, slug, email, facebook_id, password, location, bio, created_ms, reset_asked_ms = row
    return MemberRecord(
        id=number,
        username=username,
        slug=slug,
        email=email,
        facebook_id=facebook_id,
        password=password,
        location=location,
        bio=bio,
        created_ms=created_ms,
        reset_asked_ms=reset_asked_ms,
    )
