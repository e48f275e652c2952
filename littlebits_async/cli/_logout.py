"""``littlebits logout``: forgets what a login left, and has the cloud end it where it can."""

import os
from typing import TYPE_CHECKING

from ..errors import LittleBitsError
from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer

if TYPE_CHECKING:
    from ._account import Account

__all__ = ["logout"]


async def logout(*, base_url: str | None = None, json: JsonLines = False) -> None:
    """Forget a login.

    The token is removed from this machine, in any case. What came of a login in the browser is revoked at the cloud as
    well, if that has a way to, as `littlebits serve` has. A token that you gave yourself, with `--with-token`, stays
    valid: whoever runs the cloud can revoke it, as `littlebits tokens revoke` does.

    For example:

    - `littlebits logout`
    - `littlebits logout --base-url https://cloud.example`

    Args:
        base_url: The cloud, else `LITTLEBITS_BASE_URL`, else that of the last login.
        json: Print `{"logout": {"base_url": …, "revoked": …}}`.
    """
    from ..auth import TOKEN_VARIABLE  # noqa: PLC0415 - the client takes its time to load
    from ._account import account_at  # noqa: PLC0415 - as above

    account = account_at(base_url)
    try:
        failure = await _revoke(account)
    finally:  # also for who does not want to wait for a cloud that is down
        there = account.forget()
    if not there:
        raise CommandError(f"logout: nobody has logged in at {account.base_url}", ExitCode.REFUSED)
    say, is_revoked = Printer(json), failure is None
    record = {"logout": {"base_url": account.base_url, "revoked": is_revoked}}
    say(record, f"logged out at {account.base_url}{', where the token is revoked' if is_revoked else ''}")
    if failure is not None:
        say.note(f"the token stays valid until the cloud revokes it{failure and f' ({failure})'}")
    if os.environ.get(TOKEN_VARIABLE):
        say.note(f"{TOKEN_VARIABLE} is set, and still used")


async def _revoke(account: "Account") -> str | None:
    """Have the cloud end what a login left; return why it did not, empty where it has no way to."""
    if (auth := account.revocable()) is None:
        return ""
    try:
        await auth.revoke()
    except (LittleBitsError, OSError) as exc:
        return str(exc)
    return None
