"""Watching in lines: one for each event, as text without control codes or as JSON."""

import math
from types import TracebackType
from typing import Self

from attrs import asdict

from ...dashboard import Board
from ...models import InputEvent, InputGap, StreamState, StreamStatus
from .._events import print_event
from .._output import Printer
from ._run import Scene
from ._state import state_of

__all__ = ["LinesView"]


class LinesView:
    """Prints a line for each event, and for each change of a stream's state.

    Args:
        say: Where to.
    """

    interval = math.inf

    def __init__(self, say: Printer) -> None:
        self._say = say
        self._states: dict[str, StreamState] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        pass

    def tell(self, board: Board, item: InputEvent | InputGap | StreamStatus) -> None:
        """Print it."""
        card = board.cards.get(item.device_id)
        label = "" if card is None else card.device.label
        if isinstance(item, InputEvent):
            print_event(self._say, item, label=label)
        elif isinstance(item, InputGap):
            record = {
                "device_id": item.device_id,
                "since": item.since.isoformat(),
                "until": item.until.isoformat(),
                "reason": item.reason,
            }
            seconds = (item.until - item.since).total_seconds()
            text = f"{item.until:%H:%M:%S} {item.device_id} {label} gap of {seconds:.1f} s: {item.reason}"
            self._say({"gap": record}, text)
        elif self._say.as_json or self._states.get(item.device_id) is not item.state:
            self._states[item.device_id] = item.state
            state = item.state if card is None else state_of(card)
            text = f"{item.since:%H:%M:%S} {item.device_id} {label} {state.value}"
            self._say({"status": _record(item)}, f"{text}: {item.reason}" if item.reason else text)

    def show(self, scene: Scene) -> None:
        """Print nothing: everything was told."""

    def finish(self, scene: Scene) -> None:
        """Print nothing: everything was told."""


def _record(status: StreamStatus) -> dict[str, object]:
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in asdict(status).items()
        if name != "error"
    }
