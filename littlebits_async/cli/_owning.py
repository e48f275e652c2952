"""``littlebits rename``, ``activate`` and ``deactivate``: whose a cloudBit is, and what it is called."""

import os
import sys
from typing import Annotated

from attrs import asdict
from cyclopts import Parameter

from ._asking import confirms
from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer
from ._targets import find_one, title

__all__ = ["activate", "deactivate", "rename"]


async def rename(name: str, label: str, /, *, json: JsonLines = False) -> None:
    """Give a cloudBit another label.

    It costs a request of the hour's 1800, and one to find it where it is not named by its id.

    For example:

    - `littlebits rename 00e040000001 'kitchen lamp'`

    Args:
        name: Its id, its label, or the beginning of its label.
        label: What it is called from now on.
        json: Print `{"device": {"id": …, "label": …, …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - the client takes its time to load

    async with open_session() as session:
        found = await find_one(session, name)
        changed = await session.update_device(found.id, label=label)
    Printer(json)({"device": asdict(changed)}, f"{title(found)} is called {changed.label} now")


async def activate(device_id: str, /, *, label: str | None = None, json: JsonLines = False) -> None:
    """Make a cloudBit yours.

    It costs a request of the hour's 1800, and a token that may administer. Clouds as the vendor's ask for the bit's own
    secret as well, its `hash`, which the bit's set-up page tells: `LITTLEBITS_DEVICE_HASH`.

    For example:

    - `littlebits activate 00e040000001 --label dimmer`

    Args:
        device_id: Its id.
        label: What to call it.
        json: Print `{"device": {"id": …, "label": …, …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    async with open_session() as session:
        secret = os.environ.get("LITTLEBITS_DEVICE_HASH")  # on the command line others could read it
        made = await session.activate(device_id, label=label, device_hash=secret)
    Printer(json)({"device": asdict(made)}, f"{title(made)} is yours")


async def deactivate(
    name: str,
    /,
    *,
    yes: Annotated[bool, Parameter(name=("--yes", "-y"), negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> None:
    """Give a cloudBit up.

    It belongs to nobody then, and its subscriptions are gone. On a terminal you are asked whether you mean it. It costs
    a request of the hour's 1800, one to find it where it is not named by its id, and a token that may administer.

    For example:

    - `littlebits deactivate dimmer`
    - `littlebits deactivate 00e040000001 --yes`

    Args:
        name: Its id, its label, or the beginning of its label.
        yes: Do not ask.
        json: Print `{"deactivated": {"id": …, "label": …}}`.
    """
    from ._account import open_session  # noqa: PLC0415 - as above

    if not yes and not sys.stdin.isatty():
        raise CommandError("deactivate: there is nobody to ask; --yes means it", ExitCode.USAGE)
    async with open_session() as session:
        found = await find_one(session, name)
        if not yes and not confirms(f"give up {title(found)} ({found.id})?"):
            raise CommandError("deactivate: nothing was done", ExitCode.REFUSED)
        await session.deactivate(found.id)
    record = {"deactivated": {"id": found.id, "label": found.label}}
    Printer(json)(record, f"{title(found)} belongs to nobody now")
