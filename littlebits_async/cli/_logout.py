"""``littlebits logout``: forgets what a login left."""

import os

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer

__all__ = ["logout"]


def logout(*, base_url: str | None = None, json: JsonLines = False) -> None:
    """Forget a login.

    The token is removed from this machine. It stays valid, as clouds have no way to give one back: whoever runs the
    cloud can revoke it, as `littlebits tokens revoke` does.

    For example:

    - `littlebits logout`
    - `littlebits logout --base-url https://cloud.example`

    Args:
        base_url: The cloud, else `LITTLEBITS_BASE_URL`, else that of the last login.
        json: Print `{"logout": {"base_url": …}}`.
    """
    from ..auth import TOKEN_VARIABLE  # noqa: PLC0415 - the client takes its time to load
    from ._account import account_at  # noqa: PLC0415 - as above

    account = account_at(base_url)
    if not account.forget():
        raise CommandError(f"logout: nobody has logged in at {account.base_url}", ExitCode.REFUSED)
    say = Printer(json)
    say({"logout": {"base_url": account.base_url}}, f"logged out at {account.base_url}")
    say.note("the token stays valid until the cloud revokes it")
    if os.environ.get(TOKEN_VARIABLE):
        say.note(f"{TOKEN_VARIABLE} is set, and still used")
