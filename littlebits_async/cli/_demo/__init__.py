"""``littlebits demo``: the project's main job, end to end, for people to look at."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveFloat
from cyclopts.validators import Number

from .._errors import CommandError, ExitCode
from .._interrupt import interruptible
from .._open_files import allow_many_open_files
from .._output import JsonLines, Printer

__all__ = ["demo"]

_OTHER_FILES = 40
"""Open files beside the two ends of each device's stream: calls, the event loop, what the program began with."""


async def demo(
    *,
    devices: Annotated[int, Parameter(validator=Number(gte=2, lte=400))] = 8,
    seconds: PositiveFloat | None = None,
    plain: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> None:
    """Watch simulated cloudBits stream through a cloud on this machine.

    No account is needed, and no network. Every bit's input comes through one reactor, one bit follows another by
    subscription, and every few seconds an output is written, all within the hour's 1800 requests. Fails if a device
    brought no event, if an output did not arrive, or if the one bit did not follow the other. Ctrl-C ends it.

    For example:

    - `littlebits demo`
    - `littlebits demo --devices 20 --seconds 10 --plain`

    Args:
        devices: How many simulated cloudBits there are.
        seconds: End after so long; without it, at Ctrl-C.
        plain: Print lines of plain text, as happens anyway where output is no terminal.
        json: Print only what came of it, one JSON object a line.
    """
    # The extra `server` is not needed to be told how to use this.
    from ._run import Demo  # noqa: PLC0415
    from ._views import choose_view  # noqa: PLC0415

    if (allowed := allow_many_open_files()) < (needed := 2 * devices + _OTHER_FILES):
        raise CommandError(
            f"demo: {devices} devices need {needed} open files, and {allowed} are allowed; `ulimit -n {needed}` allows"
            " more, --devices needs less",
            ExitCode.USAGE,
        )
    play = Demo(devices, seconds=seconds)
    view = choose_view(Printer(json), plain=plain)
    with view:
        snapshot = await interruptible(lambda: play.run(view), play.stop)
    view.finish(snapshot)
    if not play.stopped and (faults := snapshot.faults):
        raise CommandError(f"demo: {'; '.join(faults)}", ExitCode.REFUSED)
