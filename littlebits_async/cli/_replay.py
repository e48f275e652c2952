"""``littlebits replay``: recorded input events, again."""

from typing import Annotated

import anyio
from cyclopts import Parameter
from cyclopts.types import ResolvedExistingFile
from cyclopts.validators import Number

from ..recording import Replay
from ._events import print_event
from ._interrupt import interruptible
from ._output import JsonLines, Printer

__all__ = ["replay"]


async def replay(
    recording: ResolvedExistingFile,
    /,
    *,
    speed: Annotated[float, Parameter(validator=Number(gt=0))] = 1.0,
    json: JsonLines = False,
) -> None:
    """Print the events of a recording, with the spacing that they had.

    For example:

    - `littlebits replay run.jsonl --speed 10`
    - `littlebits replay run.csv --speed inf --json`

    Args:
        recording: The file that `littlebits record` wrote.
        speed: How many times as fast; `inf` is at once.
        json: Print one JSON object a line: `{"event": {"device_id": …, "timestamp_ms": …, "percent": …, …}}`.
    """
    say = Printer(json)
    scope = anyio.CancelScope()

    async def tell() -> None:
        with scope:
            async for event in Replay(recording, speed=speed):
                print_event(say, event)

    await interruptible(tell, scope.cancel)
