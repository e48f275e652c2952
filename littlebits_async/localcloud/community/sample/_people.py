"""Who was there first, and what they said. Nobody can log in as one of them: they have no password."""

from typing import Final

from ...storage import CommentRecord, MemberRecord

__all__ = ["COMMENTS", "LIKES", "MEMBERS"]

_DAY_MS: Final = 24 * 3600 * 1000
WORKSHOP, NORA, TEO, LIBRARY = range(1, 5)


def _member(number: int, username: str, location: str, bio: str, days_old: int) -> MemberRecord:
    return MemberRecord(
        id=number,
        username=username,
        slug=username.lower(),
        location=location,
        bio=bio,
        created_ms=-days_old * _DAY_MS,
    )


def _comment(number: int, project: int, who: int, body: str, days_old: int, *, to: int | None = None) -> CommentRecord:
    return CommentRecord(
        id=number, project_id=project, member_id=who, reply_to=to, body=body, created_ms=-days_old * _DAY_MS
    )


MEMBERS: Final = (
    _member(WORKSHOP, "Workshop", "this machine", "The bench where the first projects were made.", 400),
    _member(NORA, "Nora_B", "the top floor", "I wire up my flat, one room a month.", 300),
    _member(TEO, "teo", "", "Ten years old, with help from his aunt.", 120),
    _member(LIBRARY, "TownLibrary", "Market Square", "Open bench on Thursdays. Bring batteries.", 90),
)
LIKES: Final = (
    (1, NORA),
    (1, TEO),
    (1, LIBRARY),
    (2, WORKSHOP),
    (2, TEO),
    (4, WORKSHOP),
    (5, NORA),
    (6, TEO),
    (6, LIBRARY),
    (9, NORA),
    (13, TEO),
)
COMMENTS: Final = (
    _comment(1, 1, NORA, "Works through a wall as well, if it is a thin one.", 60),
    _comment(2, 1, WORKSHOP, "Good to know. Ours is brick.", 59, to=1),
    _comment(3, 1, TEO, "I painted mine green!", 20),
    _comment(4, 2, TEO, "How long does the bulb last?", 35),
    _comment(5, 2, NORA, "A year so far, every evening.", 34, to=4),
    _comment(6, 6, LIBRARY, "We built seven of these in one evening.", 12),
)
