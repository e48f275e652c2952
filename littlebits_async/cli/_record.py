"""``littlebits record``: input events to a file."""

from collections.abc import Sequence
from pathlib import Path

import anyio
from cyclopts.types import PositiveFloat, ResolvedPath

from ..recording import Recorder
from ._interrupt import interruptible
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer

__all__ = ["record"]


async def record(
    *devices: str,
    to: ResolvedPath,
    seconds: PositiveFloat | None = None,
    json: JsonLines = False,
) -> None:
    """Write the inputs of cloudBits to a file, until Ctrl-C or SIGTERM.

    What is there already is gone on with. If this is killed, what was written is there, but for the last line, which
    may be cut; `littlebits replay` leaves that out. Opening a device's stream costs a request of the hour's 1800.

    For example:

    - `littlebits record --to run.jsonl`
    - `littlebits record 00e040000001 --to run.csv --seconds 60`

    Args:
        devices: Device ids; without any, all devices that the token may see.
        to: The file; its name ends in `.jsonl` or `.csv`, and with it the format.
        seconds: End after so long.
        json: Print `{"recording": {"path": …, "devices": […]}}`, and at the end `{"recorded": {"events": …}}`.
    """
    allow_many_open_files()
    say = Printer(json)
    scope = anyio.CancelScope()
    events = await interruptible(lambda: _record(devices, to, say, scope, seconds), scope.cancel)
    say({"recorded": {"events": events}}, f"{events} events")


async def _record(
    devices: Sequence[str], to: Path, say: Printer, scope: anyio.CancelScope, seconds: float | None
) -> int:
    # They take their time to load.
    from ..reactor import InputReactor  # noqa: PLC0415
    from ._account import open_session  # noqa: PLC0415

    session = open_session()  # before there is a file: without a login there is nothing to write
    with Recorder(to) as recorder, scope:
        async with session:
            ids = list(devices) or [device.id for device in await session.devices()]
            async with InputReactor(session, ids) as reactor:
                say({"recording": {"path": str(to), "devices": ids}}, f"recording {len(ids)} devices to {to}")
                if seconds is not None:
                    scope.deadline = anyio.current_time() + seconds
                async for event in reactor:
                    recorder.write(event)
    return recorder.events
