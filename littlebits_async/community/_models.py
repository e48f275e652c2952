"""What the community's API talks about: people, projects, content; frozen values.

What the server leaves out, or writes as null, is None, "" for names and prose, and an empty tuple for lists; an id is
always there. Times are aware UTC datetimes; pictures are URLs; prose may hold HTML.

Source: spec/mobile-application-api.txt, its examples.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from attrs import field, frozen

__all__ = [
    "Account",
    "Answer",
    "Author",
    "Comment",
    "ContentHtml",
    "ContentItem",
    "ContentList",
    "Embed",
    "Image",
    "Like",
    "Material",
    "Page",
    "Project",
    "ProjectDetails",
    "ProjectFile",
    "ProjectProduct",
    "ProjectSort",
    "Step",
    "Tool",
    "User",
]

T_co = TypeVar("T_co", covariant=True)


class ProjectSort(StrEnum):
    """Which projects come first."""

    RECENT = "recent"
    POPULAR = "popular"


@frozen
class Answer(Generic[T_co]):
    """A whole answer.

    Attributes:
        results: What was asked for.
        meta: What the server says of how it read the request, as it stands; nobody has checked it, and in the
            document's examples it is often wrong. Not in the repr: it repeats what was sent.
    """

    results: T_co
    meta: Mapping[str, object] = field(repr=False)


@frozen
class Page(Generic[T_co]):
    """One page of a list.

    Attributes:
        items: What is on it.
        number: Which one, counted from 1.
        meta: As in `Answer`.
        sent: How many items the server sent: more than there are here where some could not be used.
    """

    items: tuple[T_co, ...]
    number: int
    meta: Mapping[str, object] = field(repr=False)
    sent: int


@frozen
class Author:
    """Who made a project.

    Attributes:
        id: The user.
        username: The name that is shown.
        slug: The name in addresses.
        image: A picture.
    """

    id: int
    username: str = ""
    slug: str = ""
    image: str | None = None


@frozen
class Project:
    """A project, as lists show it.

    Attributes:
        id: The project.
        name: Its name.
        slug: Its name in addresses.
        icon: A picture.
        description: What it is.
        comment_count: How many comments it has.
        like_count: How many like it.
        liked_by_user: Whether the key's owner does; None without a key.
        user: Who made it.
    """

    id: int
    name: str = ""
    slug: str = ""
    icon: str | None = None
    description: str = ""
    comment_count: int | None = None
    like_count: int | None = None
    liked_by_user: bool | None = None
    user: Author | None = None


@frozen
class Image:
    """A picture of a project or of one of its steps.

    Attributes:
        url: Where it is.
        id: The picture.
        caption: What is to be seen.
    """

    url: str
    id: int | None = None
    caption: str | None = None


@frozen
class Embed:
    """Something of another site in a project, mostly a film.

    Attributes:
        code: The HTML that shows it.
        id: The embed.
        service: The other site.
    """

    code: str
    id: int | None = None
    service: str | None = None


@frozen
class ProjectFile:
    """A file of a project. No example shows one: these are the fields of its neighbours.

    Attributes:
        id: The file.
        name: Its name.
        url: Where it is.
    """

    id: int | None = None
    name: str | None = None
    url: str | None = None


@frozen
class Tool:
    """A tool that a project takes.

    Attributes:
        name: The tool.
        id: Its number.
    """

    name: str
    id: int | None = None


@frozen
class Material:
    """A material that a project takes.

    Attributes:
        name: The material.
        id: Its number.
        quantity: How much of it.
    """

    name: str
    id: int | None = None
    quantity: int | None = None


@frozen
class ProjectProduct:
    """A bit or a kit that a project takes.

    Attributes:
        product_id: The product.
        variant_id: Which of its variants.
        name: Its name.
        image: A picture.
        quantity: How many of it.
    """

    product_id: int
    variant_id: int | None = None
    name: str = ""
    image: str | None = None
    quantity: int | None = None


@frozen
class Step:
    """A step of building a project.

    Attributes:
        id: The step.
        number: Which one, counted from 1.
        title: Its title.
        description: What to do.
        images: Pictures.
    """

    id: int | None = None
    number: int | None = None
    title: str = ""
    description: str = ""
    images: tuple[Image, ...] = ()


@frozen
class ProjectDetails(Project):
    """A project with all that belongs to it.

    Attributes:
        credits: Whom the maker thanks.
        images: Pictures.
        embeds: Films and the like.
        files: Files to download.
        tools: The tools that it takes.
        products: The bits that it takes.
        materials: What else it takes.
        steps: How it is built.
    """

    credits: str | None = None
    images: tuple[Image, ...] = ()
    embeds: tuple[Embed, ...] = ()
    files: tuple[ProjectFile, ...] = ()
    tools: tuple[Tool, ...] = ()
    products: tuple[ProjectProduct, ...] = ()
    materials: tuple[Material, ...] = ()
    steps: tuple[Step, ...] = ()


@frozen
class Comment:
    """A comment on a project.

    Attributes:
        id: The comment.
        owner_id: The user who wrote it.
        body: The text.
        created_at: When.
        replies: What was answered.
    """

    id: int
    owner_id: int | None = None
    body: str = ""
    created_at: datetime | None = None
    replies: "tuple[Comment, ...]" = ()


@frozen
class Like:
    """How a project is liked.

    Attributes:
        like_count: How many like it.
        liked_by_user: Whether the key's owner does, now.
    """

    like_count: int | None = None
    liked_by_user: bool | None = None


@frozen
class User:
    """Somebody of the community.

    Attributes:
        id: The user.
        username: The name that is shown.
        twitter: The name there.
        location: Where, in their own words.
        bio: Who, in their own words.
        image: A picture.
        member_since: Since when, in the server's words: ``Member since June 2015``.
        projects: What they have made.
    """

    id: int
    username: str = ""
    twitter: str | None = None
    location: str | None = None
    bio: str | None = None
    image: str | None = None
    member_since: str | None = None
    projects: tuple[Project, ...] = ()


@frozen
class Account(User):
    """The user who has logged in.

    Attributes:
        api_key: What `Community` sends from now on, and may be given the next time; not in the repr.
    """

    api_key: str = field(kw_only=True, repr=False)


@frozen
class ContentItem:
    """One item of a list for display.

    Attributes:
        name: Its name in the list.
        title: Its title.
        value: Its text.
        image: A picture.
    """

    name: str = ""
    title: str = ""
    value: str = ""
    image: str | None = None


@frozen
class ContentList:
    """Content that is a list.

    Attributes:
        items: What is in it.
    """

    items: tuple[ContentItem, ...] = ()


@frozen
class ContentHtml:
    """Content that is a piece of a page.

    Attributes:
        html: The piece.
    """

    html: str
