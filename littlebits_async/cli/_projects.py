"""``littlebits projects``: what others have built."""

from collections.abc import AsyncIterable, Sequence
from typing import Annotated, Final, Literal, TypeVar

from cyclopts import App, Group, Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from ..community import Comment, Community, Project, ProjectDetails
from ._errors import CommandError, ExitCode
from ._membership import open_community
from ._output import JsonLines, Printer, complain
from ._records import record_of
from ._tables import Column, print_table
from ._text import one_line

__all__ = ["projects"]

T = TypeVar("T")

_MOST_PER_PAGE: Final = 50
_Limit = Annotated[PositiveInt, Parameter(name="--limit")]

projects: Final = App(
    "projects",
    help="""Find projects, look at them, say what you think of them.

    A project is named by its number, or by its slug. Reading needs no login; liking and commenting do: `littlebits
    community login`.

    For example:

    - `littlebits projects search lamp --sort popular`
    - `littlebits projects search --mine`
    - `littlebits projects show bubble-machine`
    """,
    group_commands=Group("Commands"),
)


@projects.command(name="list")
async def list_(*, limit: _Limit = 10, json: JsonLines = False) -> None:
    """List published projects.

    It costs a request for each 50.

    Args:
        limit: How many at most.
        json: Print one JSON object a line: `{"project": {"id": …, "name": …, "slug": …, "like_count": …, …}}`.
    """
    async with open_community() as there:
        found = await _take(there.projects(per_page=min(limit, _MOST_PER_PAGE)), limit)
    _print(found, Printer(json))


@projects.command
async def search(
    q: str | None = None,
    /,
    *,
    sort: Literal["recent", "popular"] | None = None,
    days_ago: NonNegativeInt | None = None,
    tags: str | None = None,
    lessons: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    kit: str | None = None,
    variants: Annotated[Sequence[int], Parameter(consume_multiple=True, negative="", show_default=False)] = (),
    qty: Annotated[Sequence[int], Parameter(consume_multiple=True, negative="", show_default=False)] = (),
    mine: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    user: int | None = None,
    limit: _Limit = 10,
    json: JsonLines = False,
) -> None:
    """Look for projects.

    It costs a request for each 50, and one for your library with `--mine`.

    Args:
        q: A word in them.
        sort: Which come first.
        days_ago: Published in the last so many days.
        tags: A tag.
        lessons: Lessons, not projects.
        kit: The slug of a kit that they can be built with.
        variants: Numbers of variants: with these bits and no others.
        qty: How many there are of each of `variants`, in the same order.
        mine: With the bits of your library and no others.
        user: Made by this user, by number.
        limit: How many at most.
        json: As `littlebits projects list` does.
    """
    if mine and (variants or qty):
        raise CommandError("projects search: --mine names the variants; name none yourself", ExitCode.USAGE)
    async with open_community() as there:
        if mine:
            variants, qty = await _bits_of(there)
        pages = there.search(
            q,
            sort=sort,
            days_ago=days_ago,
            tags=tags,
            type="lesson" if lessons else None,
            kit=kit,
            variants=variants or None,
            qty=qty or None,
            user=user,
            per_page=min(limit, _MOST_PER_PAGE),
        )
        found = await _take(pages, limit)
    _print(found, Printer(json))


@projects.command
async def show(project: str, /, *, json: JsonLines = False) -> None:
    """Show one project, and how it is built.

    It costs a request.

    Args:
        project: Its number or slug.
        json: Print `{"project": {…, "products": […], "steps": […], …}}`.
    """
    say = Printer(json)
    async with open_community() as there:
        found = await there.project(project)
    if json:
        say({"project": record_of(found)}, "")
        return
    for line in _lines(found):
        say.note(line)


@projects.command
async def comments(project: str, /, *, limit: _Limit = 20, json: JsonLines = False) -> None:
    """List what is said of a project.

    It costs a request for each 50.

    Args:
        project: Its number or slug.
        limit: How many at most; replies are not counted.
        json: Print one JSON object a line: `{"comment": {"id": …, "body": …, "replies": […], …}}`.
    """
    say = Printer(json)
    async with open_community() as there:
        found = await _take(there.comments(project, per_page=min(limit, _MOST_PER_PAGE)), limit)
    if not (found or json):
        complain("nobody has said anything of it")
    for comment in found:
        say({"comment": record_of(comment)}, _line(comment))
        for reply in comment.replies:
            say.note(f"  {_line(reply)}")


@projects.command
async def comment(project: str, text: str, /, *, reply_to: int | None = None, json: JsonLines = False) -> None:
    """Say something of a project.

    It costs a request, and needs a login.

    Args:
        project: Its number or slug.
        text: What.
        reply_to: The number of a comment that it answers.
        json: As `littlebits projects comments` does.
    """
    async with open_community() as there:
        made = await (there.comment(project, text) if reply_to is None else there.reply(project, reply_to, text))
    Printer(json)({"comment": record_of(made)}, _line(made))


@projects.command
async def like(project: str, /, *, json: JsonLines = False) -> None:
    """Like a project, or if you do, like it no more.

    It costs a request, and needs a login.

    Args:
        project: Its number or slug.
        json: Print `{"like": {"like_count": …, "liked_by_user": …}}`.
    """
    async with open_community() as there:
        now = await there.like(project)
    text = f"you {'like' if now.liked_by_user else 'do not like'} it; {_likes(now.like_count)}"
    Printer(json)({"like": record_of(now)}, text)


async def _bits_of(there: Community) -> tuple[list[int], list[int]]:
    items = [item for item in await there.library() if item.quantity and item.type != "Kit"]
    if not items:
        raise CommandError(
            "projects search: your library is empty; `littlebits library add` fills it", ExitCode.REFUSED
        )
    return [item.variant_id for item in items], [item.quantity or 0 for item in items]


async def _take(items: AsyncIterable[T], limit: int) -> list[T]:
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == limit:
            break
    return taken


def _print(found: list[Project], say: Printer) -> None:
    if not (found or say.as_json):
        complain("there are none")
    print_table(say, _COLUMNS, found, lambda project: {"project": record_of(project)})


def _lines(project: ProjectDetails) -> list[str]:
    maker = "" if project.user is None else f", by {project.user.username}"
    bits = [f"  {bit.quantity or 1} x {bit.name} (variant {bit.variant_id})" for bit in project.products]
    more = [
        f"  {name}" for name in (*(item.name for item in project.materials), *(tool.name for tool in project.tools))
    ]
    steps = [
        line
        for place, step in enumerate(project.steps, 1)
        for line in (f"{step.number or place}. {step.title}", f"   {one_line(step.description)}")
    ]
    return [
        f"{project.name} ({project.slug or project.id}){maker}; {_likes(project.like_count)}",
        one_line(project.description),
        *(["bits", *bits] if bits else []),
        *(["and", *more] if more else []),
        *steps,
    ]


def _line(comment: Comment) -> str:
    when = "" if comment.created_at is None else f"{comment.created_at:%Y-%m-%d} "
    return f"{comment.id} {when}user {comment.owner_id}: {one_line(comment.body)}"


def _likes(number: int | None) -> str:
    return {None: "nobody knows how many like it", 1: "1 likes it"}.get(number, f"{number} like it")


def _maker(project: Project) -> str:
    return "-" if project.user is None else project.user.username or "-"


_COLUMNS = (
    Column[Project]("id", lambda project: str(project.id), justify="right"),
    Column[Project]("name", lambda project: project.name or "-", style="bold"),
    Column[Project]("likes", lambda project: str(project.like_count or 0), justify="right"),
    Column[Project]("by", _maker, needs=70),
    Column[Project]("slug", lambda project: project.slug or "-", needs=90),
)
