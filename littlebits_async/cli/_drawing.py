"""What rich draws, for more than one command."""

from collections.abc import Sequence
from typing import Final, TypeVar

from rich.bar import Bar
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..models import StreamState
from ._tables import Column
from ._text import printable

__all__ = ["TRACK", "draw_table", "state_text"]

T = TypeVar("T")

TRACK: Final = "grey23"
"""The colour of a bar's empty part."""
_STATES: Final = {
    StreamState.LIVE: "green",
    StreamState.OFFLINE: "dim",
    StreamState.CLOSED: "dim",
    StreamState.FAILED: "bold red",
}


def state_text(state: StreamState) -> Text:
    """Draw where a stream stands."""
    return Text(state.value, style=_STATES.get(state, "yellow"), overflow="ellipsis")


def draw_table(columns: Sequence[Column[T]], rows: Sequence[T]) -> None:
    """Print a table on the terminal, as wide as it is."""
    console = Console()
    shown = [column for column in columns if console.width >= column.needs]
    cells = [[column.cell(row) for column in shown] for row in rows]
    bars = [isinstance(cell, float) for cell in cells[0]]
    table = Table(box=None, pad_edge=False, expand=any(bars), header_style="dim")
    for column, is_bar in zip(shown, bars, strict=True):
        table.add_column(
            column.header, justify=column.justify, ratio=1 if is_bar else None, no_wrap=True, overflow="ellipsis"
        )
    for row in cells:
        table.add_row(*(_draw(column, cell) for column, cell in zip(shown, row, strict=True)))
    console.print(table)


def _draw(column: Column[T], cell: str | float) -> RenderableType:
    if isinstance(cell, str):
        return Text(printable(cell), style=column.style)
    return Bar(size=100, begin=0, end=cell, color=column.style or "default", bgcolor=TRACK)
