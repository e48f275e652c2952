"""``littlebits products``: what there is to build with."""

from ..community import Product
from ._membership import open_community
from ._output import JsonLines, Printer, complain
from ._records import record_of
from ._tables import Column, print_table

__all__ = ["products"]


async def products(product_id: int | None = None, /, *, json: JsonLines = False) -> None:
    """List bits, kits and accessories.

    It costs a request. The numbers under `variants` are those that `littlebits library` takes.

    For example:

    - `littlebits products`
    - `littlebits products 4 --json`

    Args:
        product_id: One product alone, by its id.
        json: Print one JSON object a line: `{"product": {"id": …, "name": …, "variants": […], …}}`.
    """
    async with open_community() as there:
        found = await there.products() if product_id is None else [await there.product(product_id)]
    if not (found or json):
        complain("there are no products")
    print_table(Printer(json), _COLUMNS, found, lambda product: {"product": record_of(product)})


def _variants(product: Product) -> str:
    return ", ".join(str(variant.id) for variant in product.variants) or "-"


_COLUMNS = (
    Column[Product]("id", lambda product: str(product.id), justify="right"),
    Column[Product]("name", lambda product: product.name or "-", style="bold"),
    Column[Product]("type", lambda product: product.bit_type or product.type or "-"),
    Column[Product]("variants", _variants, needs=70),
    Column[Product]("slug", lambda product: product.slug or "-", needs=90),
)
