"""``littlebits dashboard``: a web page of many devices."""

import os
import sys
import webbrowser
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio
import anyio.to_thread
from cyclopts import Parameter
from cyclopts.types import Port, ResolvedPath
from cyclopts.validators import Number

from ._errors import CommandError, ExitCode
from ._interrupt import interruptible
from ._open_files import allow_many_open_files
from ._output import JsonLines, Printer
from ._passwords import read_password
from ._tls import tls_context

if TYPE_CHECKING:
    from ..session import Session

__all__ = ["dashboard"]


async def dashboard(
    *,
    host: str = "127.0.0.1",
    port: Port = 0,
    password_file: ResolvedPath | None = None,
    tls_cert: ResolvedPath | None = None,
    tls_key: ResolvedPath | None = None,
    browser: Annotated[bool | None, Parameter(name="--open", negative="--no-open")] = None,
    demo: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    devices: Annotated[int, Parameter(validator=Number(gte=1, lte=400))] = 8,
    json: JsonLines = False,
) -> None:
    """Watch and steer your cloudBits on a web page.

    It runs until Ctrl-C or SIGTERM, and prints `url …`. Only this machine can reach it, unless `host` says otherwise;
    then it needs a password, of 8 characters at least, from the variable LITTLEBITS_DASHBOARD_PASSWORD or from a file.
    Without TLS that password can be read by whoever can read the network. Behind a proxy, which has another name, it
    needs a password too.

    For example:

    - `littlebits dashboard --demo`
    - `littlebits dashboard --port 8765`
    - `littlebits dashboard --host 0.0.0.0 --port 8765 --password-file password.txt`

    Args:
        host: The address to listen at; `0.0.0.0` and `::` are all there are.
        port: The port to listen at; 0 is any that is free, another one each time.
        password_file: A file whose first line is the password.
        tls_cert: A file with the certificate, and those that vouch for it, in PEM: serves https.
        tls_key: A file with the certificate's key in PEM; without it the key stands with the certificate.
        browser: Open the page in a browser; where neither is said, if this is a terminal on a screen.
        demo: Show simulated cloudBits of a cloud on this machine: no account, no network.
        devices: How many simulated cloudBits there are, with `--demo`.
        json: Print `{"url": …}`.
    """
    password = read_password(password_file)
    ssl_context = tls_context(tls_cert, tls_key)
    # The extra `dashboard` is not needed to be told how to use this, and takes its time to load.
    from ..dashboard._dashboard import Dashboard  # noqa: PLC0415

    make = partial(Dashboard, host=host, port=port, password=password, ssl_context=ssl_context)
    allow_many_open_files()
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            async with AsyncExitStack() as stack:
                session = await _open_session(stack, simulated=devices if demo else None)
                try:
                    shown = await stack.enter_async_context(make(session))
                except (OSError, UnicodeError) as exc:  # the latter from a host that is no name
                    problem = getattr(exc, "strerror", None) or exc
                    raise CommandError(f"cannot listen: {problem}", ExitCode.UNREACHABLE) from exc
                Printer(json)({"url": shown.url}, f"url {shown.url}")
                if _has_screen() if browser is None else browser:
                    await anyio.to_thread.run_sync(partial(webbrowser.open, shown.url), abandon_on_cancel=True)
                await shown.wait_ended()

    await interruptible(run, scope.cancel)


async def _open_session(stack: AsyncExitStack, *, simulated: int | None) -> "Session":
    from ._account import open_session  # noqa: PLC0415

    if simulated is None:
        return await stack.enter_async_context(open_session())
    from ..localcloud import LocalCloud  # noqa: PLC0415
    from ..session import Session  # noqa: PLC0415
    from ._simulation import add_bits  # noqa: PLC0415

    cloud = await stack.enter_async_context(LocalCloud())
    await add_bits(cloud, simulated)
    token = await cloud.create_token()
    # A proxy in the environment has no business between two ends of one process.
    return await stack.enter_async_context(Session(token, base_url=cloud.url, trust_env=False))


def _has_screen() -> bool:
    """Tell whether a browser would show itself to whoever typed the command."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in {"darwin", "win32"} or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
