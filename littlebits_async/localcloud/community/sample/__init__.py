"""A small community to begin with, all of it made up for this cloud."""

from .._catalogue import Catalogue
from ._content import CONTENT
from ._people import COMMENTS, LIKES, MEMBERS
from ._products import PRODUCTS
from ._projects import PROJECTS

__all__ = ["new_catalogue"]


def new_catalogue() -> Catalogue:
    """Make it."""
    return Catalogue(
        products=PRODUCTS, projects=PROJECTS, content=CONTENT, members=MEMBERS, likes=LIKES, comments=COMMENTS
    )
