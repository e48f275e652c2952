"""``littlebits community``: who you are among those who share projects."""

import os
import sys
from typing import Final

from cyclopts import App, Group

from ..community import Community
from ..errors import AuthenticationError, LittleBitsError
from ._asking import ask_secretly
from ._errors import CommandError, ExitCode
from ._membership import KEY_VARIABLE, membership, open_community
from ._output import JsonLines, Printer

__all__ = ["community"]

community: Final = App(
    "community",
    help="""Join the community, log in and out.

    It is where projects are shared: `littlebits projects`, `products` and `library` are of it. A cloud of your own has
    one with `littlebits serve --community`. Reading needs no login.

    For example:

    - `littlebits community join ada@example.org ada --base-url http://127.0.0.1:8080`
    - `littlebits community login ada@example.org --base-url http://127.0.0.1:8080`
    - `littlebits community logout`
    """,
    group_commands=Group("Commands"),
)


@community.command
async def join(email: str, username: str, /, *, base_url: str | None = None, json: JsonLines = False) -> None:
    """Make yourself a user of the community, and log in.

    You are asked for a password, or it is read from standard input.

    Args:
        email: Your address.
        username: The name that others see.
        base_url: Where, else `LITTLEBITS_COMMUNITY_URL`, else where you logged in last.
        json: Print `{"login": {"id": …, "username": …}}`.
    """
    password = _ask_for_password()
    async with open_community(base_url) as there:
        await there.create_user(email=email, username=username, password=password)
    await _log_in(email, password, base_url, Printer(json))


@community.command
async def login(email: str, /, *, base_url: str | None = None, json: JsonLines = False) -> None:
    """Log in, for all commands of the community.

    You are asked for the password, or it is read from standard input; it is not kept. The key that it gets you is, in a
    file that only you may read. `LITTLEBITS_COMMUNITY_KEY` goes first.

    Args:
        email: Your address.
        base_url: Where, else `LITTLEBITS_COMMUNITY_URL`, else where you logged in last.
        json: Print `{"login": {"id": …, "username": …}}`.
    """
    await _log_in(email, _ask_for_password(), base_url, Printer(json))


@community.command
async def logout(*, json: JsonLines = False) -> None:
    """Have the key be good for nothing any more, and forget it.

    It is removed from this machine in any case.

    Args:
        json: Print `{"logout": {"base_url": …}}`.
    """
    kept, say = membership(), Printer(json)
    url, key = kept.read()
    kept.forget()
    if url is None:
        raise CommandError("community logout: nobody has logged in", ExitCode.REFUSED)
    try:
        async with Community(key, base_url=url) as there:
            await there.logout()
    except LittleBitsError as exc:
        raise CommandError(f"the key is forgotten here, and stays valid at {url}: {exc}", ExitCode.REFUSED) from exc
    say({"logout": {"base_url": url}}, f"logged out at {url}")
    if os.environ.get(KEY_VARIABLE):
        say.note(f"{KEY_VARIABLE} is set, and still used")


async def _log_in(email: str, password: str, base_url: str | None, say: Printer) -> None:
    async with open_community(base_url) as there:
        try:
            account = await there.login(email, password)
        except AuthenticationError as exc:
            raise CommandError(f"community login: {exc}", ExitCode.REFUSED) from exc
    membership().keep(there.base_url, account.api_key)
    record = {"login": {"id": account.id, "username": account.username}}
    say(record, f"logged in at {there.base_url} as {account.username}")


def _ask_for_password() -> str:
    # On the command line other users of this machine could read it.
    password = ask_secretly("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise CommandError("community: no password was given", ExitCode.USAGE)
    return password
