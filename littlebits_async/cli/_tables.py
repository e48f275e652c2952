"""Tables: for people on a terminal, as aligned text elsewhere, or as one JSON object a line."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Literal, TypeVar

from attrs import frozen

from ._output import Printer
from ._terminal import is_screen
from ._text import printable

__all__ = ["Column", "print_table"]

T = TypeVar("T")

_BETWEEN: Final = "  "


@frozen
class Column(Generic[T]):
    """A column.

    Attributes:
        header: Its title.
        cell: What it says of a row; a number is drawn as a bar of so many percent, or left out where nothing is drawn.
        justify: Where its text stands.
        needs: Columns of a terminal below which it is left out.
        style: How it looks, as rich has it; of a bar its colour.
    """

    header: str
    cell: Callable[[T], str | float]
    justify: Literal["left", "right"] = "left"
    needs: int = 0
    style: str = ""


def print_table(
    say: Printer, columns: Sequence[Column[T]], rows: Sequence[T], record: Callable[[T], Mapping[str, object]]
) -> None:
    """Print a table, or nothing where there are no rows.

    Args:
        say: Prints.
        columns: The columns.
        rows: What they tell of.
        record: A row as JSON.
    """
    if say.as_json:
        for row in rows:
            say(record(row), "")
    elif rows and is_screen(sys.stdout):
        from ._drawing import draw_table  # noqa: PLC0415 - rich costs a while

        draw_table(columns, rows)
    elif rows:
        _print_text(say, columns, rows)


def _print_text(say: Printer, columns: Sequence[Column[T]], rows: Sequence[T]) -> None:
    cells = [[column.cell(row) for column in columns] for row in rows]
    texts = [place for place, cell in enumerate(cells[0]) if isinstance(cell, str)]
    lines = [[columns[place].header for place in texts], *([str(row[place]) for place in texts] for row in cells)]
    lines = [[printable(text) for text in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rights = [columns[place].justify == "right" for place in texts]
    for line in lines:
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, rights, strict=True)
        )
        say.note(_BETWEEN.join(padded).rstrip())
