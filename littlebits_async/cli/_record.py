"""``littlebits record``: input events to a file."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from cyclopts.types import PositiveFloat, ResolvedPath

from ..errors import AuthenticationError, OAuthError
from ..models import StreamState
from ..recording import Recorder
from ._interrupt import interruptible
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer
from ._targets import find
from ._text import counted

if TYPE_CHECKING:
    from ..reactor import InputReactor

__all__ = ["record"]


async def record(
    *names: str,
    to: ResolvedPath,
    seconds: PositiveFloat | None = None,
    json: JsonLines = False,
) -> None:
    """Write the inputs of cloudBits to a file.

    It goes on until Ctrl-C or SIGTERM. What is there already is gone on with. If this is killed, what was written is
    there, but for the last line, which may be cut; `littlebits replay` leaves that out. Opening a device's stream costs
    a request of the hour's 1800, and so does finding them where they are not named by ids.

    For example:

    - `littlebits record --to run.jsonl`
    - `littlebits record 'kitchen*' --to run.csv --seconds 60`

    Args:
        names: Ids, labels, beginnings of labels, patterns of labels, or `all`; without any, all.
        to: The file; its name ends in `.jsonl` or `.csv`, and with it the format.
        seconds: End after so long.
        json: Print `{"recording": {"path": …, "devices": […]}}`, and at the end `{"recorded": {"events": …}}`.
    """
    allow_many_open_files()
    say = Printer(json)
    scope = anyio.CancelScope()
    events = await interruptible(lambda: _record(names, to, say, scope, seconds), scope.cancel)
    say({"recorded": {"events": events}}, counted(events, "event"))


async def _record(names: Sequence[str], to: Path, say: Printer, scope: anyio.CancelScope, seconds: float | None) -> int:
    # They take their time to load.
    from ..reactor import InputReactor  # noqa: PLC0415
    from ._account import open_session  # noqa: PLC0415

    opening = open_session()  # before there is a file: without a login there is nothing to write
    with _recorder(to) as recorder, scope:
        async with opening as session:
            devices = await find(session, names)
            async with InputReactor(session, devices) as reactor:
                record = {"path": str(to), "devices": [device.id for device in devices]}
                say({"recording": record}, f"recording {counted(len(devices), 'cloudBit')} to {to}")
                if seconds is not None:
                    scope.deadline = anyio.current_time() + seconds
                with _told_once(reactor):
                    async for event in reactor:
                        recorder.write(event)
    return recorder.events


@contextmanager
def _recorder(to: Path) -> Generator[Recorder, None, None]:
    """Record to a file, which is not left behind where it is new and nothing came."""
    is_new = not to.exists()
    recorder = Recorder(to)
    try:
        with recorder:
            yield recorder
    except Exception:
        if is_new and not recorder.events:
            to.unlink(missing_ok=True)
        raise


@contextmanager
def _told_once(reactor: "InputReactor") -> Generator[None, None, None]:
    """Have the reactor not warn of what ends the recording: the command's last line tells of it."""

    def goes_on(_: logging.LogRecord) -> bool:
        errors = [status.error for status in reactor.statuses().values() if status.state is StreamState.FAILED]
        is_last = len(errors) == len(reactor.devices) == 1
        return not is_last and not any(isinstance(error, AuthenticationError | OAuthError) for error in errors)

    log = logging.getLogger("littlebits_async.reactor")
    log.addFilter(goes_on)
    try:
        yield
    finally:
        log.removeFilter(goes_on)
