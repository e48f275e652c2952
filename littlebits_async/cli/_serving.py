"""The work of ``littlebits serve``: one cloud, and at times its dashboard, from their start to their end."""

import logging
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from ..localcloud import Bit, LocalCloud, StorageError
from ._errors import CommandError, ExitCode
from ._output import Printer, complain
from ._simulation import add_bits

if TYPE_CHECKING:
    from ..dashboard import Dashboard

__all__ = ["run_cloud"]

logger: Final = logging.getLogger(__name__)

OpenDashboard = Callable[[AsyncExitStack, LocalCloud], Awaitable["Dashboard"]]
"""Starts the dashboard of a cloud, and has a stack end it."""


async def run_cloud(
    cloud: LocalCloud,
    say: Printer,
    *,
    db: Path | None,
    simulate: int,
    dashboard: OpenDashboard | None = None,
    log_json: bool = False,
) -> None:
    """Run a cloud until cancelled, and say first where it is.

    Where it has a dashboard, neither runs without the other.

    Raises:
        CommandError: It cannot listen, or its database cannot be used.
    """
    async with AsyncExitStack() as stack:
        try:
            with _telling_of_addresses():
                await stack.enter_async_context(cloud)
        except StorageError as exc:
            raise CommandError(str(exc), ExitCode.USAGE) from exc
        try:
            bits = await add_bits(cloud, simulate)
            # Before a token is made and shown: it would be kept though nothing runs.
            with _telling_of_addresses():
                board = None if dashboard is None else await dashboard(stack, cloud)
            token = None if cloud.has_tokens else await cloud.create_token()
        except StorageError as exc:
            raise CommandError(str(exc), ExitCode.REFUSED) from exc
        _introduce(cloud, bits, board, token, say)
        if token is None:
            hint = logger.warning if log_json else complain
            hint(f"the database has tokens; `littlebits tokens create --db {db}` makes another")
        elif not (say.as_json or log_json) and sys.stderr.isatty():
            sys.stderr.write(
                f"in another terminal: `littlebits login --with-token --base-url {cloud.url}` asks for the token,"
                " and `littlebits watch` works from then on; Ctrl-C ends this\n"
            )
        await _wait_first(cloud.wait_ended, *([] if board is None else [board.wait_ended]))


@contextmanager
def _telling_of_addresses() -> Generator[None, None, None]:
    try:
        yield
    except (OSError, UnicodeError) as exc:  # the latter from a host that is no name
        raise CommandError(f"cannot listen: {getattr(exc, 'strerror', None) or exc}", ExitCode.UNREACHABLE) from exc


async def _wait_first(*waits: Callable[[], Awaitable[None]]) -> None:
    """Wait for the first of some to end."""

    async def wait_for(wait: Callable[[], Awaitable[None]]) -> None:
        await wait()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for wait in waits:
            tasks.start_soon(wait_for, wait)


def _introduce(cloud: LocalCloud, bits: list[Bit], board: "Dashboard | None", token: str | None, say: Printer) -> None:
    say({"url": cloud.url}, f"url {cloud.url}")
    if token is not None:
        say({"token": token}, f"token {token}")
    for bit in bits:
        say({"device": {"id": bit.id, "label": bit.label}}, f"device {bit.id} {bit.label}")
    if board is not None:
        say({"dashboard": {"url": board.url}}, f"dashboard {board.url}")
