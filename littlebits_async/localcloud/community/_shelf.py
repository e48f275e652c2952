"""What there is to read, to have, and what members have of it: content, products, libraries.

A library holds how many of each variant somebody has. What is done with a kit is done with all that is in it, as often
as it is in it, in one step. Nothing gets less than 0, and what is at 0 is gone.

Source: spec/mobile-application-api.txt, "Content", "My Library" and "Product and Variants". Left open there, and so
here: what is added again is there once more; an answer to an update tells how many there are of each that it touched, 0
for what is gone; what somebody does not have is a 404.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from ..answers import Refusal
from ..storage import Store
from ._catalogue import Catalogue, ContentItem, Product
from ._encode import Encoder
from ._resource import Call

__all__ = ["Shelf"]

_OPERATORS: Final = ("add", "subtract")
_MOST: Final = 1000
"""How many may be added at a time."""


class Shelf:
    """Content, products and libraries.

    Args:
        store: Keeps the libraries.
        catalogue: What there is.
    """

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._community = store.community
        self._catalogue = catalogue

    async def content(self, call: Call) -> object:
        """Give a text for a page, or a list of them.

        Raises:
            Refusal: 404.
        """
        key = call.said.text("key")
        found = self._catalogue.content.get(key)
        if isinstance(found, str):
            return {"display": "html", "content": found}
        listed = {
            name: item
            for name, item in self._catalogue.content.items()
            if isinstance(item, ContentItem) and key in {name, name.rpartition(".")[0]}
        }
        if not listed:
            raise _not_found("content")
        return {
            "display": "list",
            "content": [
                {
                    "name": name.rpartition(".")[2],
                    "values": {"title": item.title, "value": item.value, "image": call.picture(item.picture)},
                }
                for name, item in listed.items()
            ],
        }

    # Products

    async def products(self, call: Call) -> object:
        """List all products."""
        encoder = self._encoder(call)
        return [encoder.listed_product(product) for product in self._catalogue.products]

    async def product(self, call: Call) -> object:
        """Describe a product.

        Raises:
            Refusal: 404.
        """
        return self._encoder(call).product(self._product(call))

    async def variant(self, call: Call) -> object:
        """Describe a variant of a product.

        Raises:
            Refusal: 404.
        """
        variant_id = call.number("variant_id")
        call.said.note(variant_id=variant_id)
        product = self._product(call)
        if variant_id not in product.variants:
            raise _not_found("variant")
        return self._encoder(call).variant(product, variant_id)

    # What a member has

    async def library(self, call: Call) -> object:
        """List what a member has."""
        return self._encoder(call).library(await self._community.library(call.member_id))

    async def add(self, call: Call) -> object:
        """Let a member have one more.

        Raises:
            Refusal: 404 for an unknown variant, 422.
        """
        _, variants = self._variants(call)
        return self._encoder(call).library(await self._community.add_to_library(call.member_id, variants))

    async def update(self, call: Call) -> object:
        """Let a member have some more, or some less.

        Raises:
            Refusal: 404 for what the member does not have, 422.
        """
        variant_id, variants = self._variants(call)
        delta = call.said.integer("delta", most=_MOST)
        times = delta if call.said.choice("operator", _OPERATORS) == "add" else -delta
        return self._own(call, await self._community.change_library(call.member_id, variant_id, variants, times))

    async def remove(self, call: Call) -> object:
        """Take something from a member, and tell what is left.

        Raises:
            Refusal: 404 for what the member does not have, 422.
        """
        variant_id, variants = self._variants(call)
        return self._own(call, await self._community.remove_from_library(call.member_id, variant_id, variants))

    # How

    def _encoder(self, call: Call) -> Encoder:
        return Encoder(self._catalogue, call.picture)

    def _product(self, call: Call) -> Product:
        product_id = call.number("product_id")
        call.said.note(product_id=product_id)
        found = next((product for product in self._catalogue.products if product.id == product_id), None)
        if found is None:
            raise _not_found("product")
        return found

    def _variants(self, call: Call) -> tuple[int, Mapping[int, int]]:
        variant_id = call.said.integer("variant_id")
        if variant_id not in self._catalogue.by_variant:
            raise _not_found("variant")
        return variant_id, self._catalogue.coming_with(variant_id)

    def _own(self, call: Call, quantities: Mapping[int, int] | None) -> object:
        if quantities is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "This variant is not in the library")
        return self._encoder(call).library(quantities)


def _not_found(what: str) -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, f"There is no such {what}")
