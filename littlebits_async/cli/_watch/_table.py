"""Watching as a live table."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from attrs import frozen
from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...dashboard import Board, Card
from ...models import InputEvent, InputGap, StreamState, StreamStatus
from .._drawing import state_text
from .._targets import title
from .._text import duration, percent, printable, volts
from ._run import Scene
from ._state import state_of

__all__ = ["TableView", "render", "sparkline"]

_AROUND: Final = 4
"""Lines around the rows: the title, the header, the budget, and the hint."""
_LABELS_SHARE: Final = 5
"""Labels take at most so small a part of the width."""
_MOST_TROUBLES: Final = 3
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_UNKNOWN: Final = "·"


class TableView:
    """Shows a table that changes in place, on a screen of its own, which resizing cannot tear; leaves the last one."""

    interval = 0.25

    def __init__(self) -> None:
        self._console = Console()
        self._live = Live(Text("connecting …"), console=self._console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._live.stop()

    def tell(self, board: Board, item: InputEvent | InputGap | StreamStatus) -> None:
        """Wait for the next look, which shows it."""

    def show(self, scene: Scene) -> None:
        """Draw it anew."""
        width, height = self._console.size
        hint = Text("Ctrl-C ends it", style="dim")
        self._live.update(Group(render(scene, width=width, height=height - 1), hint), refresh=True)

    def finish(self, scene: Scene) -> None:
        """Print it a last time, whole."""
        self._console.print(render(scene, width=self._console.width))


def render(scene: Scene, *, width: int, height: int | None = None) -> RenderableType:
    """Draw a scene.

    Args:
        scene: What to draw.
        width: Columns that there are.
        height: Lines that there are, None for as many as it takes.
    """
    cards = list(scene.board.cards.values())
    unwell = [card for card in cards if state_of(card) is not StreamState.LIVE]
    troubles = [_trouble(card) for card in unwell if card.status is not None and card.status.reason][:_MOST_TROUBLES]
    room = len(cards) if height is None else max(1, height - _AROUND - len(troubles))
    rest: list[Card] = []
    if len(cards) > room:
        # The order stays as it is while it can: who jumps about cannot be read.
        cards = unwell + [card for card in cards if state_of(card) is StreamState.LIVE]
        room = max(1, room - 1)
        cards, rest = cards[:room], cards[room:]
    lines: list[RenderableType] = [_heading(scene, width), _table(cards, scene, width=width)]
    if rest:
        live = sum(1 for card in rest if state_of(card) is StreamState.LIVE)
        rate = sum(card.rate(scene.now) for card in rest)
        lines.append(Text(f"and {len(rest)} more: {live} live, {rate:.1f} events/s", style="dim"))
    return Group(*lines, *troubles, _budget(scene))


def sparkline(card: Card, now: float, columns: int) -> Text:
    """Draw the window of a device, the lowest line for 0 and the highest for 100 percent."""
    line = Text(style="cyan", no_wrap=True)
    for level in card.levels(now, columns):
        if level is None:
            line.append(_UNKNOWN, style="dim")
        else:
            line.append(_LEVELS[min(int(level / 100 * len(_LEVELS)), len(_LEVELS) - 1)])
    return line


def _heading(scene: Scene, width: int) -> Text:
    board = scene.board
    live = sum(1 for card in board.cards.values() if state_of(card) is StreamState.LIVE)
    heading = Text.assemble(
        ("littlebits watch", "bold"),
        f"  {live} of {len(board.cards)} live  {board.rate(scene.now):.1f} events/s",
        no_wrap=True,
        overflow="ellipsis",
    )
    heading.truncate(width, overflow="ellipsis")
    return heading


def _budget(scene: Scene) -> Text:
    report = scene.budget
    if report.available is None:
        return Text("")
    told = Text(f"{report.available} of {report.limit} requests are left this hour", no_wrap=True, overflow="ellipsis")
    if report.hold:
        told.append(f"; none for {duration(report.hold)}: the cloud said 429", style="yellow")
    elif not report.available and report.next_return is not None:
        told.append(f"; the next in {duration(report.next_return)}", style="yellow")
    return told


def _trouble(card: Card) -> Text:
    assert card.status is not None  # noqa: S101 - asked for before
    wait = ""
    if card.status.retry_at is not None:
        wait = f"again in {duration(max(0.0, (card.status.retry_at - datetime.now(UTC)).total_seconds()))}: "
    text = f"{title(card.device)}: {wait}{card.status.reason}"
    return Text(printable(text), style="yellow", no_wrap=True, overflow="ellipsis")


def _table(cards: list[Card], scene: Scene, *, width: int) -> Table:
    # Fixed widths but for the line: a column that follows its content makes the whole table tremble.
    labels = max((cell_len(title(card.device)) for card in scene.board.cards.values()), default=0)
    label = _Column("label", max(len("label"), min(labels, width // _LABELS_SHARE)), _label)
    columns = [label, *(column for column in _COLUMNS if column.needs <= width < column.below)]
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    rest = width - sum(column.width + 1 for column in columns if column.width)
    for column in columns:
        table.add_column(column.header, width=column.width or rest, justify=column.justify, no_wrap=True)
    for card in cards:
        table.add_row(*(column.cell(card, scene.now, column.width or rest) for column in columns))
    return table


def _label(card: Card, _now: float, _width: int) -> RenderableType:
    return Text(printable(title(card.device)), style="bold", overflow="ellipsis")


def _value(card: Card, now: float, text: str) -> Text:
    return Text(text, style="" if card.is_current(now) else "dim")


def _percent(card: Card, now: float, _width: int) -> RenderableType:
    return _value(card, now, percent(None if card.last is None else card.last.percent))


def _volts(card: Card, now: float, _width: int) -> RenderableType:
    return _value(card, now, volts(None if card.last is None else card.last.volts))


def _rate(card: Card, now: float, _width: int) -> RenderableType:
    return f"{card.rate(now):.1f}"


def _reconnects(card: Card, _now: float, _width: int) -> RenderableType:
    return Text(str(card.reconnects), style="yellow" if card.reconnects else "dim")


@frozen
class _Column:
    """A column of the table.

    Attributes:
        header: Its title.
        width: How wide it is, None for what is left.
        cell: What it says of a device, at a time, in so many columns.
        justify: Where its text stands.
        needs: Columns of the terminal below which it is left out.
        below: Columns from which on it is.
    """

    header: str
    width: int | None
    cell: Callable[[Card, float, int], RenderableType]
    justify: JustifyMethod = "left"
    needs: int = 0
    below: float = math.inf


_COLUMNS: Final = (
    _Column("id", 12, lambda card, _now, _width: Text(printable(card.device.id), style="dim"), needs=90),
    _Column("state", 11, lambda card, _now, _width: state_text(state_of(card))),
    _Column("last minute", None, sparkline),
    _Column("", 5, _percent, justify="right"),
    _Column("volts", 6, _volts, justify="right", needs=50),
    _Column("ev/s", 5, _rate, justify="right"),
    _Column("re", 3, _reconnects, justify="right", needs=50, below=100),
    _Column("reconnects", 10, _reconnects, justify="right", needs=100),
)
