"""A demo as a live table."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from attrs import frozen
from rich.bar import Bar
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...models import StreamState
from .._drawing import TRACK, state_text
from .._text import duration, percent, printable, volts
from ._snapshot import Row, Snapshot

__all__ = ["TableView", "render"]

_AROUND: Final = 8
"""Lines around the rows: the title, the header, what is left out, what was told, and blank lines."""
_INPUT: Final = "cyan"
_OUTPUT: Final = "magenta"


class TableView:
    """Shows a table that changes in place, on a screen of its own, which resizing cannot tear; leaves the last one."""

    interval = 0.25

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(Text("starting …"), console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw it anew."""
        width, height = self._console.size
        hint = Text("Ctrl-C ends it", style="dim")
        self._live.update(Group(render(snapshot, width=width, height=height - 1), hint), refresh=True)

    def finish(self, snapshot: Snapshot) -> None:
        """Print it a last time, whole."""
        self._console.print(render(snapshot, width=self._console.width))


def render(snapshot: Snapshot, *, width: int, height: int | None = None) -> RenderableType:
    """Draw a snapshot.

    Args:
        snapshot: What to draw.
        width: Columns that there are.
        height: Lines that there are, None for as many as it takes.
    """
    rows = snapshot.rows
    room = len(rows) if height is None else max(1, height - _AROUND)
    rest = rows[room:]
    lines: list[RenderableType] = [_title(snapshot), "", _table(rows[:room], width=width)]
    if rest:
        live = sum(1 for row in rest if row.state is StreamState.LIVE)
        rate = sum(row.rate for row in rest)
        lines.append(Text(f"and {len(rest)} more: {live} live, {rate:.1f} events/s", style="dim"))
    return Group(*lines, "", *(Text(text) for text in snapshot.told.values()))


def _title(snapshot: Snapshot) -> Text:
    return Text.assemble(
        ("littlebits demo", "bold"),
        (f"  {len(snapshot.rows)} bits at {snapshot.url}", "dim"),
        f"  {duration(snapshot.elapsed)}  {snapshot.events} events  {snapshot.rate:.1f}/s",
        no_wrap=True,
        overflow="ellipsis",
    )


def _table(rows: tuple[Row, ...], *, width: int) -> Table:
    # Fixed widths but for the bars: a column that follows its content makes the whole table tremble.
    columns = [column for column in _COLUMNS if width >= column.needs]
    table = Table(box=None, pad_edge=False, collapse_padding=True, expand=True, header_style="dim")
    for column in columns:
        table.add_column(column.header, width=column.width, ratio=column.ratio, justify=column.justify, no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def _label(row: Row) -> Text:
    return Text(printable(row.label), style="bold")


def _shown(row: Row) -> Text:
    return Text(percent(row.shown), style=_OUTPUT if row.shown else "dim")


def _bar(value: float | None, color: str) -> Bar:
    return Bar(size=100, begin=0, end=value or 0, color=color, bgcolor=TRACK)


@frozen
class _Column:
    """A column of the table.

    Attributes:
        header: Its title.
        cell: What it says of a device.
        width: How wide it is, None for what is left.
        ratio: Its share of what is left.
        justify: Where its text stands.
        needs: Columns of the terminal below which it is left out.
    """

    header: str
    cell: Callable[[Row], RenderableType]
    width: int | None = None
    ratio: int | None = None
    justify: JustifyMethod = "left"
    needs: int = 0


_COLUMNS: Final = (
    _Column("device", lambda row: Text(printable(row.device_id)), 12),
    _Column("label", _label, 9),
    _Column("state", lambda row: state_text(row.state), 10),
    _Column("input", lambda row: _bar(row.percent, _INPUT), ratio=2),
    _Column("", lambda row: percent(row.percent), 5, justify="right"),
    _Column("volts", lambda row: volts(row.volts), 6, justify="right", needs=70),
    _Column("ev/s", lambda row: f"{row.rate:.1f}", 4, justify="right", needs=70),
    _Column("events", lambda row: str(row.events), 7, justify="right", needs=100),
    _Column("seen", lambda row: duration(row.seen), 6, justify="right"),
    _Column("out", _shown, 5, justify="right"),
    _Column("", lambda row: _bar(row.shown, _OUTPUT), ratio=1, needs=100),
)
