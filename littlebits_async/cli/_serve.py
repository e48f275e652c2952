"""``littlebits serve``: a cloud of one's own."""

import sys
from contextlib import AsyncExitStack
from typing import Annotated

import anyio
from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, Port
from cyclopts.validators import Number

from ._errors import CommandError, ExitCode
from ._interrupt import interruptible
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer

__all__ = ["serve"]


async def serve(
    *,
    host: str = "127.0.0.1",
    port: Port = 0,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 1800,
    simulate: NonNegativeInt = 2,
    json: JsonLines = False,
) -> None:
    """Run a littleBits cloud on this machine, until Ctrl-C.

    Prints, a line each: `url …`, `token …` (it may read, write and administer), and `device <id> <label>` for each
    simulated bit. All is kept in memory: it ends with the command.

    For example:

    - `littlebits serve --port 8080`
    - `littlebits serve --simulate 20 --json`

    Args:
        host: The address to listen at; `0.0.0.0` and `::` are all there are, and other machines put this one's name
            for the host of the url.
        port: The port to listen at; 0 is any that is free.
        limit: Requests that the token may make in any hour.
        simulate: How many simulated cloudBits there are.
        json: Print one JSON object a line: `{"url": …}`, `{"token": …}`, `{"device": {"id": …, "label": …}}`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud import LocalCloud  # noqa: PLC0415
    from ._simulation import add_bits  # noqa: PLC0415

    allow_many_open_files()
    say = Printer(json)
    stopped = anyio.Event()

    async def work() -> None:
        async with AsyncExitStack() as stack:
            try:
                cloud = await stack.enter_async_context(LocalCloud(host=host, port=port, limit=limit))
            except (OSError, UnicodeError) as exc:  # the latter from a host that is no name
                raise CommandError(
                    f"cannot listen: {getattr(exc, 'strerror', None) or exc}", ExitCode.UNREACHABLE
                ) from exc
            token = await cloud.create_token()
            bits = await add_bits(cloud, simulate)
            say({"url": cloud.url}, f"url {cloud.url}")
            say({"token": token}, f"token {token}")
            for bit in bits:
                say({"device": {"id": bit.id, "label": bit.label}}, f"device {bit.id} {bit.label}")
            if not json and sys.stderr.isatty():
                sys.stderr.write("name url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN; Ctrl-C ends it\n")

            async def watch() -> None:
                await cloud.wait_ended()
                stopped.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch)
                await stopped.wait()
                tasks.cancel_scope.cancel()

    await interruptible(work, stopped.set)
