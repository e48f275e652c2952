"""The work of ``littlebits serve``: one cloud, from its start to its end."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

from ..localcloud import LocalCloud, StorageError
from ._errors import CommandError, ExitCode
from ._output import Printer, complain
from ._simulation import add_bits

__all__ = ["run_cloud"]


async def run_cloud(cloud: LocalCloud, say: Printer, *, db: Path | None, simulate: int) -> None:
    """Run a cloud until cancelled, and say first where it is.

    Raises:
        CommandError: It cannot listen, or its database cannot be used.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(cloud)
        except (OSError, UnicodeError) as exc:  # the latter from a host that is no name
            raise CommandError(f"cannot listen: {getattr(exc, 'strerror', None) or exc}", ExitCode.UNREACHABLE) from exc
        except StorageError as exc:
            raise CommandError(str(exc), ExitCode.USAGE) from exc
        try:
            await _introduce(cloud, say, db, simulate)
        except StorageError as exc:
            raise CommandError(str(exc), ExitCode.REFUSED) from exc

        await cloud.wait_ended()


async def _introduce(cloud: LocalCloud, say: Printer, db: Path | None, simulate: int) -> None:
    token = None if cloud.has_tokens else await cloud.create_token()
    bits = await add_bits(cloud, simulate)
    say({"url": cloud.url}, f"url {cloud.url}")
    if token is not None:
        say({"token": token}, f"token {token}")
    for bit in bits:
        say({"device": {"id": bit.id, "label": bit.label}}, f"device {bit.id} {bit.label}")
    if token is None:
        complain(f"the database has tokens; `littlebits tokens create --db {db}` makes another")
    elif not say.as_json and sys.stderr.isatty():
        sys.stderr.write(
            f"in another terminal: `littlebits login --with-token --base-url {cloud.url}` asks for the token,"
            " and `littlebits watch` works from then on; Ctrl-C ends this\n"
        )
