"""A demo in lines: text without control codes, or JSON."""

from types import TracebackType
from typing import Self

from attrs import asdict

from .._output import Printer
from .._text import duration, percent, volts
from ._snapshot import Row, Snapshot

__all__ = ["LinesView"]


class LinesView:
    """Prints a block of text each second, and at the end what came of it, as text or as JSON.

    Args:
        say: Where to.
    """

    interval = 1.0

    def __init__(self, say: Printer) -> None:
        self._say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        """Print a block; nothing in JSON."""
        self._say.note(f"after {snapshot.elapsed:.0f} s: {snapshot.events} events, {snapshot.rate:.1f}/s")
        for row in snapshot.rows:
            self._say.note(_row_text(row))
        for text in snapshot.told.values():
            self._say.note(text)
        self._say.note("")

    def finish(self, snapshot: Snapshot) -> None:
        """Print what each device brought, and what else happened."""
        for row in snapshot.rows:
            record = {"id": row.device_id, "label": row.label, "events": row.events, "percent": row.percent}
            self._say({"device": {**record, "shown": row.shown}}, f"{row.device_id}: {row.events} events")
        records: dict[str, object] = {
            "follow": asdict(snapshot.follow),
            "written": snapshot.written and asdict(snapshot.written),
            "budget": {"left": snapshot.left, "limit": snapshot.limit},
        }
        for name, text in snapshot.told.items():
            self._say({name: records[name]}, text)
        live = sum(1 for row in snapshot.rows if row.events)
        self._say(
            {"done": {"seconds": snapshot.elapsed, "events": snapshot.events, "faults": snapshot.faults}},
            f"{live} of {len(snapshot.rows)} devices brought {snapshot.events} events in {snapshot.elapsed:.1f} s",
        )


def _row_text(row: Row) -> str:
    return (
        f"{row.device_id}  {row.label:<10} {row.state.value:<10}"
        f" {percent(row.percent):>5} {volts(row.volts):>6} {row.rate:5.1f}/s"
        f"  seen {duration(row.seen):>5} ago  shows {percent(row.shown):>5}"
    )
