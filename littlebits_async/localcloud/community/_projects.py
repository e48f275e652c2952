"""Projects and their authors, and what members make of them: comments, likes.

Source: spec/mobile-application-api.txt, "Projects" and "Users". Left open there: how many a page has at most, and that
the oldest comment comes first, so that pages do not move when another is written. A reply is answered for as a comment
is, and has no replies itself. Comments are plain text, given back as they came: whoever shows one in a page escapes it.
"""

import time
from http import HTTPStatus
from typing import Final

from ..answers import Refusal
from ..storage import CommentRecord, MemberRecord, Store
from ._catalogue import Catalogue, Project
from ._encode import Encoder, comment
from ._resource import Call
from ._said import Said, unprocessable
from ._search import Search

__all__ = ["Projects"]

_PER_PAGE: Final = 10
_MOST_PER_PAGE: Final = 50
"""Whoever asks for more gets so many."""
_LONGEST_COMMENT: Final = 5000
_DAY_MS: Final = 24 * 3600 * 1000


class Projects:
    """Projects, and who is behind them.

    Args:
        store: Knows members, comments and likes.
        catalogue: What there is.

    Attributes:
        planted_ms: Since when that is there.
    """

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._members = store.members
        self._community = store.community
        self._catalogue = catalogue
        self.planted_ms = 0

    async def list(self, call: Call) -> object:
        """List projects, the newest first."""
        return await self._find(call, Search())

    async def search(self, call: Call) -> object:
        """List projects that something is true of."""
        return await self._find(call, Search.read(call.said, self._catalogue))

    async def project(self, call: Call) -> object:
        """Describe a project."""
        found = self._project(call)
        standing = await self._community.standing(call.member_id)
        return self._encoder(call).project(found, standing, for_member=call.member_id)

    async def _find(self, call: Call, search: Search) -> object:
        skip, most = _page(call.said)
        standing = await self._community.standing(call.member_id)
        age_days = (_now_ms() - self.planted_ms) / _DAY_MS
        found = search.find(self._catalogue, standing, age_days)[skip : skip + most]
        return self._encoder(call).projects(found, standing, for_member=call.member_id)

    # What members make of them

    async def like(self, call: Call) -> object:
        """Like a project, or do so no more."""
        project = self._project(call)
        count, likes = await self._community.toggle_like(project.id, call.member_id)
        return {"like_count": count, "liked_by_user": likes}

    async def comments(self, call: Call) -> object:
        """List the comments of a project."""
        skip, most = _page(call.said)
        project = self._project(call)
        return [
            comment(item, replies) for item, replies in await self._community.comments(project.id, skip=skip, most=most)
        ]

    async def comment(self, call: Call) -> object:
        """Comment on a project."""
        return await self._say(call, self._project(call), None)

    async def reply(self, call: Call) -> object:
        """Reply to a comment."""
        project, comment_id = self._project(call), call.number("comment_id")
        call.said.note(comment_id=comment_id)
        found = None if comment_id is None else await self._community.comment(comment_id)
        if found is None or found.project_id != project.id:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such comment")
        if found.reply_to is not None:
            raise unprocessable("a reply cannot be replied to")
        return await self._say(call, project, found.id)

    async def _say(self, call: Call, project: Project, reply_to: int | None) -> object:
        body = call.said.text("comment", longest=_LONGEST_COMMENT, note_as="body")
        made = await self._community.add_comment(
            CommentRecord(
                project_id=project.id, member_id=call.member_id, reply_to=reply_to, body=body, created_ms=_now_ms()
            )
        )
        if made is None:
            raise unprocessable("this comment has as many replies as it may have")
        return [comment(made)]

    # Users

    async def user(self, call: Call) -> object:
        """Describe a member, in a list of one."""
        member = await self._member(call)
        return [self._encoder(call).member(member, await self._community.standing())]

    async def likes(self, call: Call) -> object:
        """List what a member likes, the newest like first."""
        member = await self._member(call)
        liked = await self._community.liked(member.id)
        found = [project for project in map(self._catalogue.projects_by_id.get, liked) if project]
        standing = await self._community.standing(call.member_id)
        return self._encoder(call).projects(found, standing, for_member=call.member_id)

    # How

    def _encoder(self, call: Call) -> Encoder:
        return Encoder(self._catalogue, call.picture)

    def _project(self, call: Call) -> Project:
        found = self._catalogue.find_project(*call.id_or_slug("project"))
        call.said.note(type="project")
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such project")
        return found

    async def _member(self, call: Call) -> MemberRecord:
        number, slug = call.id_or_slug("user")
        found = await (self._members.find("id", number or 0) if slug is None else self._members.find("slug", slug))
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is no such user")
        return found


def _page(said: Said) -> tuple[int, int]:
    """Read which page is asked for: how many items to leave out, and how many there are on it."""
    said.note(page=1, per_page=_PER_PAGE)
    page = said.optional_integer("page") or 1
    per_page = min(said.optional_integer("per_page") or _PER_PAGE, _MOST_PER_PAGE)
    return (page - 1) * per_page, per_page


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
