"""The community: projects, products, users, and a library of one's own bits; the Mobile Application API.

`Community` makes typed calls, with the plumbing of `littlebits_async.Session`. What is paged comes as `Pages`. The
calls by themselves are in `littlebits_async.community.calls`: `Community.answer` sends one and gives what the answer
says of itself, too.
"""

from ._community import Community
from ._models import (
    Account,
    Answer,
    Author,
    Comment,
    ContentHtml,
    ContentItem,
    ContentList,
    Embed,
    Image,
    Like,
    Material,
    Page,
    Project,
    ProjectDetails,
    ProjectFile,
    ProjectProduct,
    ProjectSort,
    Step,
    Tool,
    User,
)
from ._pages import Pages
from ._products import KitBit, LibraryChange, LibraryItem, Product, ProductImage, Variant

__all__ = [
    "Account",
    "Answer",
    "Author",
    "Comment",
    "Community",
    "ContentHtml",
    "ContentItem",
    "ContentList",
    "Embed",
    "Image",
    "KitBit",
    "LibraryChange",
    "LibraryItem",
    "Like",
    "Material",
    "Page",
    "Pages",
    "Product",
    "ProductImage",
    "Project",
    "ProjectDetails",
    "ProjectFile",
    "ProjectProduct",
    "ProjectSort",
    "Step",
    "Tool",
    "User",
    "Variant",
]
