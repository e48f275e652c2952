"""Products, projects and members as they stand on the wire.

Source: the examples of spec/mobile-application-api.txt, to the letter; but a single product and its variants say what
is in a kit, as the list of products does.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from attrs import frozen

from ..storage import CommentRecord, MemberRecord, Standing
from ._catalogue import Catalogue, Product, Project
from ._pictures import PICTURE_TYPE, Picture

__all__ = ["Encoder", "comment"]

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
"""Not the calendar's: that speaks the language of the machine."""

Object = dict[str, object]


@frozen
class Encoder:
    """Writes what is there for one request.

    Attributes:
        catalogue: Products and projects.
        picture: Where pictures are.
    """

    catalogue: Catalogue
    picture: Picture

    # Products

    def listed_product(self, product: Product) -> Object:
        """Write a product as one of a list."""
        return {
            "id": product.id,
            "name": product.name,
            "type": product.type,
            "bit_type": product.bit_type,
            "bit_variant_ids": self._bits_in(product),
            "description": product.description,
            "slug": product.slug,
            "available_on": _day(product),
            "updated_at": _day(product),
            "short_description": product.short_description,
            "inactive": False,
            "variants": [self.variant(product, variant_id) for variant_id in product.variants],
        }

    def product(self, product: Product) -> Object:
        """Write a product that was asked for by itself; nothing costs anything here."""
        return {**self.listed_product(product), "cost": 0}

    def variant(self, product: Product, variant_id: int) -> Object:
        """Write a variant of a product."""
        return {
            "id": variant_id,
            "type": product.type,
            "bit_type": product.bit_type,
            "is_master": variant_id == product.variants[0],
            "images": [{"url": self.picture(product.picture), "position": 1, "type": PICTURE_TYPE}],
            "kit_bits": [
                {
                    "variant_id": inner,
                    "product_id": self.catalogue.by_variant[inner].id,
                    "quantity": quantity,
                    "updated_at": _day(product),
                }
                for inner, quantity in product.contents.items()
            ],
        }

    def library(self, quantities: Mapping[int, int]) -> list[Object]:
        """Write what a member has, or some of it; not what an older catalogue had."""
        known = self.catalogue.by_variant
        return [self._item(variant_id, quantity) for variant_id, quantity in quantities.items() if variant_id in known]

    def _item(self, variant_id: int, quantity: int) -> Object:
        product = self.catalogue.by_variant[variant_id]
        return {
            "variant_id": variant_id,
            "product_id": product.id,
            "quantity": quantity,
            "title": product.name,
            "description": product.description,
            "type": product.type,
            "bit_type": product.bit_type,
            "images": [self.picture(product.picture)],
        }

    def _bits_in(self, product: Product) -> list[int]:
        return [inner for inner in product.contents if self.catalogue.by_variant[inner].type == "Bit"]

    # Projects

    def projects(self, projects: Iterable[Project], standing: Standing, *, for_member: int) -> list[Object]:
        """Write projects as a list."""
        return [
            {
                **_first(project),
                "slug": project.slug,
                "icon": self.picture(project.picture),
                "description": project.description,
                **_standing(project, standing, for_member),
                "user": self._author(project),
            }
            for project in projects
        ]

    def project(self, project: Project, standing: Standing, *, for_member: int) -> Object:
        """Write all of a project."""
        picture = self.picture(project.picture)
        return {
            **_first(project),
            "description": project.description,
            **_standing(project, standing, for_member),
            "user": self._author(project),
            "credits": project.credits,
            "images": [{"id": project.id, "url": picture}],
            "embeds": [],
            "files": [],
            "tools": [{"id": self.catalogue.tools[name], "name": name} for name in project.tools],
            "products": [self._part(variant_id, quantity) for variant_id, quantity in project.parts.items()],
            "materials": [
                {"id": self.catalogue.materials[name], "name": name, "quantity": quantity}
                for name, quantity in project.materials.items()
            ],
            "steps": [
                {
                    "id": project.id * 100 + number,
                    "number": number,
                    "title": step.title,
                    "description": step.description,
                    "images": [{"id": project.id * 100 + number, "url": picture, "caption": step.caption}],
                }
                for number, step in enumerate(project.steps, 1)
            ],
        }

    def _part(self, variant_id: int, quantity: int) -> Object:
        product = self.catalogue.by_variant[variant_id]
        return {
            "product_id": product.id,
            "variant_id": variant_id,
            "image": self.picture(product.picture),
            "name": product.name,
            "quantity": quantity,
        }

    def _author(self, project: Project) -> Object:
        author = self.catalogue.authors[project.author]
        return {
            "id": author.id,
            "image": self.picture("member"),
            "slug": author.slug,
            "username": author.username,
        }

    # Members

    def member(self, member: MemberRecord, standing: Standing) -> Object:
        """Write a member, with what it has published; whose key asks means nothing there."""
        own = [project for project in self.catalogue.projects if project.author == member.id]
        listed = self.projects(own, standing, for_member=0)
        since = datetime.fromtimestamp(member.created_ms / 1000, UTC)
        return {
            "id": member.id,
            "username": member.username,
            "twitter": None,
            "location": member.location,
            "bio": member.bio,
            "image": self.picture("member"),
            "member_since": f"Member since {_MONTHS[since.month - 1]} {since.year}",
            "projects": [{name: value for name, value in each.items() if name != "liked_by_user"} for each in listed],
        }


def comment(item: CommentRecord, replies: Iterable[CommentRecord] = ()) -> Object:
    """Write a comment."""
    return {
        "id": item.id,
        "owner_id": item.member_id,
        "body": item.body,
        "created_at": _iso(item.created_ms),
        "replies": [comment(reply) for reply in replies],
    }


def _first(project: Project) -> Object:
    return {"id": project.id, "name": project.name}


def _standing(project: Project, standing: Standing, for_member: int) -> Object:
    return {
        "comment_count": standing.comments.get(project.id, 0),
        "like_count": standing.likes.get(project.id, 0),
        "liked_by_user": project.id in standing.liked if for_member else None,
    }


def _day(product: Product) -> str:
    return f"{product.available_on}T00:00:00.000Z"


def _iso(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
