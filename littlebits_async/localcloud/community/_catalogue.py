"""What there is to have and to build: products, and the projects that are made of them.

It does not change while the cloud runs. When a project was published is told by its age when the database was new.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal

from attrs import field, frozen

from ..storage import CommentRecord, MemberRecord

__all__ = ["Catalogue", "ContentItem", "Product", "Project", "Step"]

BitType = Literal["power", "input", "wire", "output"]


@frozen(kw_only=True)
class Product:
    """A bit, a kit or an accessory.

    Attributes:
        id: Its number.
        name: What it is called.
        type: Which of the three.
        bit_type: What a bit does; None for all else.
        short_description: What it is, in a line.
        description: What there is to say of it.
        variants: The numbers of what can be had of it, the usual one first.
        contents: What is in a kit: how many of each variant.
        available_on: The day since when it is there, ISO 8601.
    """

    id: int
    name: str
    type: Literal["Bit", "Kit", "Accessory"]
    bit_type: BitType | None = None
    short_description: str
    description: str
    variants: tuple[int, ...]
    contents: Mapping[int, int] = field(factory=dict[int, int])
    available_on: str

    @property
    def slug(self) -> str:
        """Its name as it stands in a path."""
        return self.name.lower().replace(" ", "-")

    @property
    def picture(self) -> str:
        """The name of its picture."""
        return self.bit_type or self.type.lower()


@frozen
class Step:
    """A step of a project: what is done, and what its picture shows."""

    title: str
    description: str
    caption: str


@frozen(kw_only=True)
class Project:
    """Something to build, or to learn by.

    Attributes:
        id: Its number.
        name: What it is called.
        author: The number of the member who made it.
        description: What it is.
        days_old: How long before the database was new it was published.
        parts: How many of each variant it takes.
        steps: How it is built.
        tags: Words that it is found by.
        tools: What is needed to build it.
        materials: What it takes beside bits, and how much of that.
        credits: Whom its author thanks.
        is_lesson: Whether it is to learn by.
    """

    id: int
    name: str
    author: int
    description: str
    days_old: int
    parts: Mapping[int, int]
    steps: tuple[Step, ...]
    tags: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    materials: Mapping[str, int] = field(factory=dict[str, int])
    credits: str = ""
    is_lesson: bool = False

    @property
    def slug(self) -> str:
        """Its name as it stands in a path."""
        return self.name.lower().replace(" ", "-")

    @property
    def picture(self) -> str:
        """The name of its picture."""
        return "lesson" if self.is_lesson else "project"


@frozen
class ContentItem:
    """One of a list that is shown: its title, what it says, and the name of its picture."""

    title: str
    value: str
    picture: str


@frozen(kw_only=True)
class Catalogue:
    """All that there is, and what the community says of it in the beginning.

    Attributes:
        products: The products.
        projects: The projects, lessons too.
        content: Texts for pages by their keys: HTML, or one of a list.
        members: Who made the projects, and is there from the beginning.
        likes: Which project they like, and who.
        comments: What they say; the time is how long ago, and less than 0.
    """

    products: tuple[Product, ...]
    projects: tuple[Project, ...]
    content: Mapping[str, str | ContentItem]
    members: tuple[MemberRecord, ...]
    likes: tuple[tuple[int, int], ...]
    comments: tuple[CommentRecord, ...]

    @cached_property
    def by_variant(self) -> Mapping[int, Product]:
        """The product of each variant."""
        return {variant_id: product for product in self.products for variant_id in product.variants}

    @cached_property
    def projects_by_id(self) -> Mapping[int, Project]:
        """The projects by number."""
        return {project.id: project for project in self.projects}

    @cached_property
    def authors(self) -> Mapping[int, MemberRecord]:
        """Who made the projects, by number."""
        return {member.id: member for member in self.members}

    @cached_property
    def tools(self) -> Mapping[str, int]:
        """The numbers of tools."""
        return _numbered(tool for project in self.projects for tool in project.tools)

    @cached_property
    def materials(self) -> Mapping[str, int]:
        """The numbers of materials."""
        return _numbered(material for project in self.projects for material in project.materials)

    def coming_with(self, variant_id: int) -> Mapping[int, int]:
        """Tell what comes with one of a variant: itself, and all that is in it."""
        return {variant_id: 1, **self.by_variant[variant_id].contents}

    def find_project(self, project_id: int | None, slug: str | None) -> Project | None:
        """Find a project by its number or slug."""
        return next((item for item in self.projects if project_id == item.id or slug == item.slug), None)


def _numbered(names: Iterable[str]) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(sorted(set(names)), 1)}
