"""What members of the community have, say and like.

Products and projects themselves are not kept here: they come with the program, and stand in these tables as numbers.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeVar

from attrs import field, frozen

from ._community_members import MemberRecord, insert_member
from ._writer import Run

__all__ = ["CommentRecord", "CommunityTables", "GoneError", "Standing"]

T = TypeVar("T")

_MOST_REPLIES: Final = 100
"""Of one comment: they are all told with it."""
_COMMENT: Final = "SELECT id, project_id, member_id, reply_to, body, created_ms FROM comments"


class GoneError(Exception):
    """Whom or what a change is about was removed meanwhile; nothing of it is kept."""


@frozen(kw_only=True)
class CommentRecord:
    """What somebody said of a project.

    Attributes:
        id: Its number, 0 before it is kept.
        project_id: Of which.
        member_id: Who.
        reply_to: The number of the comment that it replies to.
        body: What.
        created_ms: When.
    """

    id: int = 0
    project_id: int
    member_id: int
    reply_to: int | None = None
    body: str = field(repr=False)
    created_ms: int


@frozen
class Standing:
    """What the community makes of its projects.

    Attributes:
        likes: How many like each, by the project's number.
        comments: How many comments there are of each, replies too.
        liked: Those that one member likes.
    """

    likes: Mapping[int, int]
    comments: Mapping[int, int]
    liked: Collection[int] = ()


class CommunityTables:
    """What is kept of the community, but for the members themselves.

    Args:
        run: Runs a job in a transaction.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def plant(
        self,
        members: Iterable[MemberRecord],
        likes: Iterable[tuple[int, int]],
        comments: Iterable[CommentRecord],
        *,
        now_ms: int,
    ) -> int:
        """Keep what there is in the beginning, if this is the beginning; return when that was.

        Args:
            members: With their numbers.
            likes: Which project, and who.
            comments: With their numbers, each behind what it replies to.
            now_ms: The time.
        """

        def plant(db: sqlite3.Connection) -> int:
            row = db.execute("SELECT planted_ms FROM plantings").fetchone()
            if row is not None:
                return int(row[0])
            db.execute("INSERT INTO plantings VALUES (?)", (now_ms,))
            for member in members:
                insert_member(db, member)
            db.executemany("INSERT INTO likes (project_id, member_id) VALUES (?, ?)", likes)
            for comment in comments:
                _insert_comment(db, comment)
            return now_ms

        return await self._run(plant)

    async def standing(self, member_id: int | None = None) -> Standing:
        """Count likes and comments, and tell what a member likes."""

        def count(db: sqlite3.Connection) -> Standing:
            return Standing(
                dict(db.execute("SELECT project_id, count(*) FROM likes GROUP BY project_id").fetchall()),
                dict(db.execute("SELECT project_id, count(*) FROM comments GROUP BY project_id").fetchall()),
                _liked(db, member_id),
            )

        return await self._run(count)

    async def liked(self, member_id: int) -> list[int]:
        """List the projects that a member likes, the newest like first."""
        return await self._run(lambda db: _liked(db, member_id))

    async def toggle_like(self, project_id: int, member_id: int) -> tuple[int, bool]:
        """Let a member like a project, or do so no more; return how many like it now, and whether this one does."""

        def toggle(db: sqlite3.Connection) -> tuple[int, bool]:
            like = (project_id, member_id)
            likes = not db.execute("DELETE FROM likes WHERE project_id = ? AND member_id = ?", like).rowcount
            if likes:
                db.execute("INSERT INTO likes (project_id, member_id) VALUES (?, ?)", like)
            (count,) = db.execute("SELECT count(*) FROM likes WHERE project_id = ?", (project_id,)).fetchone()
            return count, likes

        return await self._change(toggle)

    # Comments

    async def comments(
        self, project_id: int, *, skip: int, most: int
    ) -> list[tuple[CommentRecord, tuple[CommentRecord, ...]]]:
        """List comments of a project with their replies, the oldest first.

        Args:
            project_id: The project.
            skip: How many comments to leave out.
            most: How many to list; replies do not count.
        """

        def find(db: sqlite3.Connection) -> list[tuple[CommentRecord, tuple[CommentRecord, ...]]]:
            comments = db.execute(
                f"{_COMMENT} WHERE project_id = ? AND reply_to IS NULL ORDER BY id LIMIT ? OFFSET ?",
                (project_id, most, skip),
            ).fetchall()
            return [
                (
                    _comment(row),
                    tuple(map(_comment, db.execute(f"{_COMMENT} WHERE reply_to = ? ORDER BY id", (row[0],)))),
                )
                for row in comments
            ]

        return await self._run(find)

    async def comment(self, comment_id: int) -> CommentRecord | None:
        """Find a comment."""

        def find(db: sqlite3.Connection) -> CommentRecord | None:
            row = db.execute(f"{_COMMENT} WHERE id = ?", (comment_id,)).fetchone()
            return None if row is None else _comment(row)

        return await self._run(find)

    async def add_comment(self, comment: CommentRecord) -> CommentRecord | None:
        """Keep a comment; return it with its number, or None where what it replies to has enough replies."""

        def add(db: sqlite3.Connection) -> CommentRecord | None:
            (replies,) = db.execute("SELECT count(*) FROM comments WHERE reply_to = ?", (comment.reply_to,)).fetchone()
            return _insert_comment(db, comment) if replies < _MOST_REPLIES else None

        return await self._change(add)

    # What members have

    async def library(self, member_id: int) -> dict[int, int]:
        """Tell what a member has: how many of each variant."""
        return await self._run(lambda db: _library(db, member_id))

    async def add_to_library(self, member_id: int, variants: Mapping[int, int]) -> dict[int, int]:
        """Let a member have more of some variants; return how many of each of those there are now."""
        return await self._change(lambda db: _change_library(db, member_id, variants, 1))

    async def change_library(
        self, member_id: int, variant_id: int, variants: Mapping[int, int], times: int
    ) -> dict[int, int] | None:
        """Let a member have more or less of what comes with a variant; none less than 0, and at 0 it is gone.

        Args:
            member_id: The member.
            variant_id: The variant.
            variants: How many of each come with one of it, itself among them.
            times: How many more, or fewer where negative.

        Returns:
            How many there are now of each that comes with it; None where the member has none of the variant.
        """

        def change(db: sqlite3.Connection) -> dict[int, int] | None:
            if variant_id not in _library(db, member_id):
                return None
            return _change_library(db, member_id, variants, times)

        return await self._change(change)

    async def remove_from_library(
        self, member_id: int, variant_id: int, variants: Mapping[int, int]
    ) -> dict[int, int] | None:
        """Take all of a variant from a member, and of what comes with it as much as that many bring.

        Returns:
            All that the member has left; None where it had none of the variant.
        """

        def remove(db: sqlite3.Connection) -> dict[int, int] | None:
            times = _library(db, member_id).get(variant_id)
            if times is None:
                return None
            _change_library(db, member_id, variants, -times)
            return _library(db, member_id)

        return await self._change(remove)

    async def _change(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._run(job)
        except sqlite3.IntegrityError as error:  # the only one there can be: what a row refers to is not there
            raise GoneError from error


def _liked(db: sqlite3.Connection, member_id: int | None) -> list[int]:
    rows = db.execute("SELECT project_id FROM likes WHERE member_id = ? ORDER BY number DESC", (member_id,))
    return [project_id for (project_id,) in rows]


def _library(db: sqlite3.Connection, member_id: int) -> dict[int, int]:
    rows = db.execute("SELECT variant_id, quantity FROM library WHERE member_id = ? ORDER BY variant_id", (member_id,))
    return dict(rows.fetchall())


def _change_library(db: sqlite3.Connection, member_id: int, variants: Mapping[int, int], times: int) -> dict[int, int]:
    before = _library(db, member_id)
    after = {variant_id: max(0, before.get(variant_id, 0) + count * times) for variant_id, count in variants.items()}
    db.executemany(
        "INSERT OR REPLACE INTO library VALUES (?, ?, ?)",
        [(member_id, variant_id, quantity) for variant_id, quantity in after.items() if quantity],
    )
    db.executemany(
        "DELETE FROM library WHERE member_id = ? AND variant_id = ?",
        [(member_id, variant_id) for variant_id, quantity in after.items() if not quantity],
    )
    return after


def _insert_comment(db: sqlite3.Connection, comment: CommentRecord) -> CommentRecord:
    row = db.execute(
        """
        INSERT INTO comments (id, project_id, member_id, reply_to, body, created_ms) VALUES (?, ?, ?, ?, ?, ?)
        RETURNING id, project_id, member_id, reply_to, body, created_ms
        """,
        (
            comment.id or None,
            comment.project_id,
            comment.member_id,
            comment.reply_to,
            comment.body,
            comment.created_ms,
        ),
    ).fetchone()
    return _comment(row)


def _comment(row: tuple[int, int, int, int | None, str, int]) -> CommentRecord:
    number, project_id, member_id, reply_to, body, created_ms = row
    return CommentRecord(
        id=number, project_id=project_id, member_id=member_id, reply_to=reply_to, body=body, created_ms=created_ms
    )
