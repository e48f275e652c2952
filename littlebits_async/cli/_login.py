"""``littlebits login``: a token, by asking the user in the browser."""

import sys
import webbrowser
from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio
import anyio.to_thread
from cyclopts import Parameter
from cyclopts.types import Port, PositiveFloat

from ..errors import AuthenticationError
from ._asking import ask_secretly
from ._errors import CommandError, ExitCode
from ._loopback import loopback
from ._output import JsonLines, Printer

if TYPE_CHECKING:
    from ._account import Account

__all__ = ["login"]


async def login(
    *,
    base_url: str | None = None,
    client_id: str = "littlebits",
    scopes: str = "read write",
    authorize_url: str | None = None,
    token_url: str | None = None,
    port: Port = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    timeout: PositiveFloat = 300.0,  # noqa: ASYNC109 - the option's name
    with_token: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: JsonLines = False,
) -> None:
    """Log in at a cloud, for all other commands.

    They use its token unless `LITTLEBITS_TOKEN` is set, and go to this cloud unless `LITTLEBITS_BASE_URL` names
    another. With `--with-token` it is a token that you have, as `littlebits serve` prints one: you are asked for it, or
    it is read from standard input. Else the cloud is asked with OAuth2: its page opens in a browser, and its address is
    printed, `open …`; what you allow there comes back to this machine alone. The token is kept in a file that only you
    may read, one for each cloud; one of OAuth2 is renewed when it ends. `LITTLEBITS_CLIENT_SECRET` is the application's
    secret, where it has one; it is not kept.

    For example:

    - `littlebits login --with-token --base-url http://127.0.0.1:8080`
    - `littlebits login --base-url https://cloud.example`
    - `littlebits login --no-browser --port 8400`

    Args:
        base_url: The cloud, else `LITTLEBITS_BASE_URL`, else that of the last login; without any the vendor's, which is
            switched off.
        client_id: The application, as the cloud's OAuth2 server knows it.
        scopes: What to ask for: some of `read`, `write`, `admin`.
        authorize_url: Where to ask; without it `/oauth/authorize` at the cloud.
        token_url: Where tokens come from; without it `/oauth/token` at the cloud.
        port: The port of this machine that the browser comes back to; 0 is any that is free. Name one where the server
            knows the application by its whole address, `http://127.0.0.1:<port>/callback`.
        browser: Open a browser; else only print the address.
        timeout: How many seconds to wait for you.
        with_token: Take a token that you have; it costs a request, to see that the cloud takes it.
        json: Print `{"open": {"url": …}}`, and at the end `{"login": {"base_url": …, "scopes": […]}}`.
    """
    from ._account import account_at  # noqa: PLC0415 - the client takes its time to load

    say = Printer(json)
    account = account_at(base_url)
    if with_token:
        await _check_and_keep(account, _ask_for_token())
        say({"login": {"base_url": account.base_url, "scopes": []}}, f"logged in at {account.base_url}")
        return
    token_url = token_url or f"{account.oauth_url}/token"
    auth = account.login(
        client_id=client_id,
        authorize_url=authorize_url or f"{account.oauth_url}/authorize",
        token_url=token_url,
        scopes=scopes,
    )
    if account.is_vendor_s:
        say.note(
            "the vendor's cloud is switched off: run your own with `littlebits serve`,"
            " and name it with --base-url, or in LITTLEBITS_BASE_URL"
        )
    try:
        async with loopback(port) as listener:
            question = auth.authorize(listener.url)
            say({"open": {"url": question.url}}, f"open {question.url}")
            if browser:
                await anyio.to_thread.run_sync(partial(webbrowser.open, question.url), abandon_on_cancel=True)
            with anyio.fail_after(timeout):
                callback = await listener.answer_to(question.is_answered_by)
    except TimeoutError:
        raise CommandError(f"login: nobody answered in {timeout:g} s", ExitCode.REFUSED) from None
    token = await auth.redeem(question, callback)
    account.note(client_id=client_id, token_url=token_url)
    record = {"login": {"base_url": account.base_url, "scopes": list(token.scopes)}}
    say(record, f"logged in at {account.base_url} to {' and '.join(token.scopes) or 'whatever it allows'}")


def _ask_for_token() -> str:
    # On the command line other users of this machine could read it.
    token = ask_secretly("access token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not token.strip():
        raise CommandError("login: no token was given", ExitCode.USAGE)
    return token.strip()


async def _check_and_keep(account: "Account", token: str) -> None:
    from ..session import Session  # noqa: PLC0415 - as above

    try:
        async with Session(token, base_url=account.base_url) as session:
            await session.devices()
    except AuthenticationError as exc:
        raise CommandError(f"login: {account.base_url} does not know this token", ExitCode.REFUSED) from exc
    await account.keep(token)
