"""``littlebits watch``: many cloudBits, live."""

from functools import partial
from typing import Annotated

import anyio
from cyclopts import Parameter
from cyclopts.types import PositiveFloat

from .._interrupt import interruptible
from .._open_files import allow_many_open_files
from .._output import JsonLines, Printer

__all__ = ["watch"]


async def watch(
    *names: str,
    seconds: PositiveFloat | None = None,
    plain: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> None:
    """Watch the inputs of cloudBits, live.

    On a terminal it is a table with the last minute of each; elsewhere a line for each event, and for each change of a
    stream's state. What is lost is opened again. It goes on until Ctrl-C or SIGTERM. It costs a request of the hour's
    1800 to find the cloudBits, and one for each opening of a stream.

    For example:

    - `littlebits watch`
    - `littlebits watch 'kitchen*' button --seconds 60 --json`

    Args:
        names: Ids, labels, beginnings of labels, patterns of labels, or `all`; without any, all.
        seconds: End after so long.
        plain: Print lines of plain text, as happens anyway where output is no terminal.
        json: Print one JSON object a line: `{"event": {"device_id": …, "timestamp_ms": …, "percent": …, …}}`,
            `{"status": {"device_id": …, "state": …, "reason": …, …}}`,
            `{"gap": {"device_id": …, "since": …, "until": …, "reason": …}}`.
    """
    from ._run import run  # noqa: PLC0415 - the client takes its time to load
    from ._views import choose_view  # noqa: PLC0415 - as above

    allow_many_open_files()
    scope = anyio.CancelScope()
    view = choose_view(Printer(json), plain=plain)
    await interruptible(partial(run, names, view, scope, seconds), scope.cancel)
