"""How cloudBits are watched."""

import sys

from .._output import Printer
from .._terminal import is_screen
from ._lines import LinesView
from ._run import Watcher

__all__ = ["choose_view"]


def choose_view(say: Printer, *, plain: bool) -> Watcher:
    """Take the live table where there is a screen, and lines elsewhere."""
    if plain or say.as_json or not is_screen(sys.stdout):
        return LinesView(say)
    from ._table import TableView  # noqa: PLC0415 - rich costs a while

    return TableView()
