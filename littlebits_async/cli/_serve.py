"""``littlebits serve``: a cloud of one's own."""

from typing import Annotated, Final

import anyio
from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, Port, ResolvedPath
from cyclopts.validators import Number

from ..amplitude import Thresholds
from ._errors import CommandError, ExitCode
from ._interrupt import interruptible
from ._logs import LogLevel, log_structured
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer
from ._tls import tls_context
from ._values import Percent

__all__ = ["serve"]

_BAND: Final = 2.0
"""Percent between active and idle, in which neither is left."""


async def serve(
    *,
    host: str = "127.0.0.1",
    port: Port = 0,
    db: ResolvedPath | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 1800,
    simulate: NonNegativeInt = 2,
    active_from: Percent = 70,
    idle_to: Percent | None = None,
    allow_private_webhooks: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    tls_cert: ResolvedPath | None = None,
    tls_key: ResolvedPath | None = None,
    log_level: LogLevel = "warning",
    json: JsonLines = False,
) -> None:
    """Run a littleBits cloud on this machine.

    It runs until Ctrl-C or SIGTERM. Prints, a line each: `url …`, `token …` (it may read, write and administer), and
    `device <id> <label>` for each simulated bit. A database that has tokens gets no other one: `littlebits tokens
    create` makes one. All else goes to standard error. `GET /health` answers 200 while the cloud can keep what it is
    told.

    For example:

    - `littlebits serve --port 8080 --db cloud.db`
    - `littlebits serve --simulate 20 --json`

    Args:
        host: The address to listen at; `0.0.0.0` and `::` are all there are, and other machines put this one's name
            for the host of the url.
        port: The port to listen at; 0 is any that is free, another one each time.
        db: The file that keeps everything, made where there is none; without it all ends with the command.
        limit: Requests that each token may make in any hour.
        simulate: How many simulated cloudBits there are.
        active_from: Percent; an input that reaches it is active, where a webhook is told of it.
        idle_to: Percent; an input that falls to it is idle; 2 less than `active-from` where it is not named.
        allow_private_webhooks: Let webhooks go to this machine, and to private networks.
        tls_cert: A file with the certificate, and those that vouch for it, in PEM: serves https.
        tls_key: A file with the certificate's key in PEM; without it the key stands with the certificate.
        log_level: What is logged, from this level on; `info` has a line for each request, with no token in it.
        json: Print one JSON object a line: `{"url": …}`, `{"token": …}`, `{"device": {"id": …, "label": …}}`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud import LocalCloud  # noqa: PLC0415
    from ._serving import run_cloud  # noqa: PLC0415

    if idle_to is None:
        idle_to = max(0.0, active_from - _BAND)
    elif idle_to > active_from:
        raise CommandError("serve: --idle-to must not be more than --active-from", ExitCode.USAGE)
    cloud = LocalCloud(
        db,
        host=host,
        port=port,
        limit=limit,
        thresholds=Thresholds(high=active_from, low=idle_to),
        allow_private_webhooks=allow_private_webhooks,
        ssl_context=tls_context(tls_cert, tls_key),
    )
    log_structured(log_level)
    allow_many_open_files()
    with anyio.CancelScope() as scope:
        await interruptible(lambda: run_cloud(cloud, Printer(json), db=db, simulate=simulate), scope.cancel)
