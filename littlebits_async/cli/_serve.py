"""``littlebits serve``: a cloud of one's own."""

import logging
from functools import partial
from typing import Annotated, Final

import anyio
from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, Port, ResolvedPath
from cyclopts.validators import Number

from ..amplitude import Thresholds
from ._errors import CommandError, ExitCode, explain, unwrap
from ._interrupt import interruptible
from ._logs import LogLevel, log_structured
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer
from ._passwords import read_password
from ._tls import tls_context, trusting
from ._values import Percent

__all__ = ["serve"]

logger: Final = logging.getLogger(__name__)

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
    localbit: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    metrics: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    community: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dashboard: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dashboard_port: Port | None = None,
    dashboard_password_file: ResolvedPath | None = None,
    log_level: LogLevel = "warning",
    log_json: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> int | None:
    """Run a littleBits cloud on this machine.

    It runs until Ctrl-C or SIGTERM. Prints, a line each: `url …`, `token …` (it may read, write and administer), and
    `device <id> <label>` for each simulated bit. A database that has tokens gets no other one: `littlebits tokens
    create` makes one. All else goes to standard error. `GET /health` answers 200 while the cloud answers at all,
    `GET /ready` while it can keep what it is told, and `GET /openapi.json` with what it speaks.

    For example:

    - `littlebits serve --port 8080 --db cloud.db`
    - `littlebits serve --dashboard`
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
        localbit: Listen for cloudBits with the firmware localbit too, by UDP at port 2020; `littlebits enrol` lets them
            in. They are known by the address that they come from alone, so only in a network that you trust.
        metrics: Tell at `GET /metrics` how the cloud fares, for Prometheus; whoever can reach it may ask.
        community: Answer the Mobile Application API too, under `/api/v2`: projects, products, libraries and users, with
            a small sample to begin with. Whoever reaches it may join; `littlebits members` is for its operator.
        dashboard: Serve the dashboard too, with the same certificate, and print `dashboard …`, its url. At another host
            than this machine it needs a password, from the variable LITTLEBITS_DASHBOARD_PASSWORD or from a file.
        dashboard_port: The port of the dashboard; any that is free unless it is named.
        dashboard_password_file: A file whose first line is the dashboard's password.
        log_level: What is logged, from this level on; `info` has a line for each request, with no token in it.
        log_json: Log one JSON object a line.
        json: Print one JSON object a line: `{"url": …}`, `{"token": …}`, `{"device": {"id": …, "label": …}}`,
            `{"dashboard": {"url": …}}`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud import LocalCloud  # noqa: PLC0415
    from ..localcloud.gateway import LOCALBIT_PORTS  # noqa: PLC0415
    from ._serving import run_cloud  # noqa: PLC0415

    if idle_to is None:
        idle_to = max(0.0, active_from - _BAND)
    elif idle_to > active_from:
        raise CommandError("serve: --idle-to must not be more than --active-from", ExitCode.USAGE)
    if not dashboard and not (dashboard_port is None and dashboard_password_file is None):
        raise CommandError("serve: a port or password of the dashboard needs --dashboard", ExitCode.USAGE)
    ssl_context = tls_context(tls_cert, tls_key)
    open_board = None
    if dashboard:
        from ._serving_dashboard import open_dashboard  # noqa: PLC0415 - takes its time to load

        open_board = partial(
            open_dashboard,
            limit=limit,
            trusted=None if tls_cert is None else trusting(tls_cert),
            host=host,
            port=dashboard_port or 0,
            password=read_password(dashboard_password_file),
            ssl_context=ssl_context,
        )
    cloud = LocalCloud(
        db,
        host=host,
        port=port,
        limit=limit,
        thresholds=Thresholds(high=active_from, low=idle_to),
        allow_private_webhooks=allow_private_webhooks,
        ssl_context=ssl_context,
        localbit_ports=LOCALBIT_PORTS if localbit else None,
        metrics=metrics,
        community=community,
    )
    log_structured(log_level, as_json=log_json)
    allow_many_open_files()
    work = partial(run_cloud, cloud, Printer(json), db=db, simulate=simulate, dashboard=open_board, log_json=log_json)
    try:
        with anyio.CancelScope() as scope:
            await interruptible(work, scope.cancel)
    except Exception as exc:
        error = unwrap(exc)
        if not log_json or isinstance(error, BrokenPipeError):  # whoever read the output has enough
            raise
        code, line = explain(error)
        logger.critical("%s", line, exc_info=error if code is ExitCode.BUG else None)
        return code
    return None
