"""``littlebits library``: the bits that you have."""

from typing import Annotated, Final, Literal

from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from ..community import LibraryItem
from ._membership import open_community
from ._output import JsonLines, Printer, complain
from ._records import record_of
from ._tables import Column, print_table

__all__ = ["library"]

library: Final = App(
    "library",
    help="""Keep a list of the bits that you have.

    A bit is named by the number of its variant, as `littlebits products` lists them; a kit stands for all that is in
    it. It takes a login: `littlebits community login`.

    For example:

    - `littlebits library list`
    - `littlebits library add 216`
    - `littlebits library update 216 subtract 2`
    - `littlebits library remove 216`
    """,
    group_commands=Group("Commands"),
)


@library.command(name="list")
async def list_(*, json: JsonLines = False) -> None:
    """List what is in your library.

    It costs a request.

    Args:
        json: Print one JSON object a line: `{"item": {"variant_id": …, "quantity": …, "title": …, …}}`.
    """
    async with open_community() as there:
        found = await there.library()
    if not (found or json):
        complain("your library is empty; `littlebits library add` puts something in")
    _print(found, Printer(json))


@library.command
async def add(variant: int, /, *, json: JsonLines = False) -> None:
    """Add one of a variant, and print what was added.

    It costs a request.

    Args:
        variant: The variant's number.
        json: As `littlebits library list` does.
    """
    async with open_community() as there:
        _print(await there.add_to_library(variant), Printer(json))


@library.command
async def update(
    variant: int,
    operator: Literal["add", "subtract"],
    delta: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    /,
    *,
    json: JsonLines = False,
) -> None:
    """Add or subtract some of a variant that is there, and print what was changed.

    It costs a request.

    Args:
        variant: The variant's number.
        operator: Whether to add or to subtract.
        delta: How many.
        json: As `littlebits library list` does.
    """
    async with open_community() as there:
        _print(await there.update_library(variant, operator, delta), Printer(json))


@library.command
async def remove(variant: int, /, *, json: JsonLines = False) -> None:
    """Remove a variant, and print what is left.

    It costs a request.

    Args:
        variant: The variant's number.
        json: As `littlebits library list` does.
    """
    async with open_community() as there:
        _print(await there.remove_from_library(variant), Printer(json))


def _print(items: list[LibraryItem], say: Printer) -> None:
    print_table(say, _COLUMNS, items, lambda item: {"item": record_of(item)})


_COLUMNS = (
    Column[LibraryItem]("variant", lambda item: str(item.variant_id), justify="right"),
    Column[LibraryItem]("title", lambda item: item.title or "-", style="bold"),
    Column[LibraryItem]("quantity", lambda item: str(item.quantity or 0), justify="right"),
    Column[LibraryItem]("type", lambda item: item.bit_type or item.type or "-", needs=70),
)
