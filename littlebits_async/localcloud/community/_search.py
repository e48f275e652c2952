"""Which projects a search finds, and in what order.

The documents say of a parameter a line at most, so some of it is decided here. All words of ``q`` must be in a
project's name, description or tags; of several ``tags`` a project has each. ``kit`` and ``variants`` find what can be
built: a project takes nothing else, and of nothing more than there is; without ``qty`` there is enough of each. What is
not known, be it a tag, a kit or a user, is found nowhere, and no error.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from attrs import frozen

from ..storage import Standing
from ._catalogue import Catalogue, Project
from ._said import Said, unprocessable

__all__ = ["Search"]

_SORTS: Final = ("recent", "popular")
_TYPES: Final = ("project", "lesson")
_NOTHING: Final[Mapping[int, int]] = {}


@frozen(kw_only=True)
class Search:
    """What is looked for; by default all projects, the newest first.

    Attributes:
        words: What is in it.
        tags: What it is marked with.
        lessons: Whether it is a lesson.
        within_days: How many days ago it was published at most.
        makings: Each a set of variants of which it can be built, and how many of each there are.
        author: Who made it.
        by_likes: Whether what most like comes first.
    """

    words: Collection[str] = ()
    tags: Collection[str] = ()
    lessons: bool = False
    within_days: float = math.inf
    makings: Collection[Mapping[int, float]] = ()
    author: int | None = None
    by_likes: bool = False

    @classmethod
    def read(cls, said: Said, catalogue: Catalogue) -> "Search":
        """Read what a request looks for.

        Raises:
            Refusal: 422.
        """
        words, tags = said.optional_text("q"), said.optional_text("tags")
        sort = said.choice("sort", _SORTS, default="recent")
        days_ago, user = said.optional_integer("days_ago", least=0), said.optional_integer("user")
        kind = said.choice("type", _TYPES, default="project")
        makings = [*_kit(said, catalogue), *_variants(said)]
        return cls(
            words=words.lower().split(),
            tags=[tag.strip().lower() for tag in tags.split(",") if tag.strip()],
            lessons=kind == "lesson",
            within_days=math.inf if days_ago is None else days_ago,
            makings=makings,
            author=user,
            by_likes=sort == "popular",
        )

    def find(self, catalogue: Catalogue, standing: Standing, age_days: float) -> list[Project]:
        """Find projects.

        Args:
            catalogue: All that there are.
            standing: What they are like.
            age_days: How old the catalogue itself is.
        """
        found = [project for project in catalogue.projects if self._meets(project, age_days)]
        found.sort(key=lambda project: (project.days_old, project.id))
        if self.by_likes:
            found.sort(key=lambda project: -standing.likes.get(project.id, 0))
        return found

    def _meets(self, project: Project, age_days: float) -> bool:
        text = " ".join([project.name, project.description, *project.tags]).lower()
        return (
            project.is_lesson is self.lessons
            and all(word in text for word in self.words)
            and set(self.tags) <= set(project.tags)
            and project.days_old + age_days <= self.within_days
            and all(_suffices(making, project) for making in self.makings)
            and self.author in {None, project.author}
        )


def _suffices(making: Mapping[int, float], project: Project) -> bool:
    return all(making.get(variant_id, 0) >= quantity for variant_id, quantity in project.parts.items())


def _kit(said: Said, catalogue: Catalogue) -> Sequence[Mapping[int, float]]:
    slug = said.optional_text("kit").lower()
    if not slug:
        return []
    contents = next((product.contents for product in catalogue.products if product.slug == slug), _NOTHING)
    return [contents]


def _variants(said: Said) -> Sequence[Mapping[int, float]]:
    variants, quantities = said.integers("variants"), said.integers("qty")
    if variants is None and quantities is None:
        return []
    if variants is not None and quantities is None:
        return [dict.fromkeys(variants, math.inf)]
    if variants is None or quantities is None or len(quantities) != len(variants):
        raise unprocessable("qty must be as many numbers as variants")
    return [dict(zip(variants, quantities, strict=True))]
