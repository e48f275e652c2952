"""``littlebits tokens``: who may use a cloud, by its database."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from cyclopts import App, Group, Parameter
from cyclopts.types import ResolvedExistingFile, ResolvedPath
from cyclopts.validators import Number

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer

__all__ = ["tokens"]

UserId = Annotated[int, Parameter(validator=Number(gte=1, lte=2**53 - 1))]

_SHOWN: Final = 8
"""Digits of a token's digest that stand for it."""
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")

tokens: Final = App(
    "tokens",
    help="""Make and revoke access tokens in a cloud's database.

    A cloud that serves the database takes note within a second: it takes a new token, refuses a revoked one, and ends
    the streams that were opened with it.

    For example:

    - `littlebits tokens create --db cloud.db --scopes read --label dashboard`
    - `littlebits tokens list --db cloud.db`
    """,
    group_commands=Group("Commands"),
)


@tokens.command
async def create(
    *,
    db: ResolvedPath,
    scopes: str = "read write admin",
    user: UserId = 1,
    label: str = "",
    json: JsonLines = False,
) -> None:
    """Make an access token; it is shown only now.

    Args:
        db: The database; made where there is none.
        scopes: What it is for: some of `read`, `write`, `admin`.
        user: Whose it is.
        label: What you call it.
        json: Print `{"token": …}`.
    """
    # The extra `server` is not needed to be told how to use this.
    from ..localcloud.tokens import Tokens  # noqa: PLC0415
    from ._database import database  # noqa: PLC0415

    wanted = scopes.replace(",", " ").split()
    if not wanted:
        raise CommandError("tokens create: a token needs a scope at least", ExitCode.USAGE)
    try:
        label.encode()
    except UnicodeEncodeError:  # bytes of another encoding, as the command line hands them on
        raise CommandError("tokens create: the label is not UTF-8", ExitCode.USAGE) from None
    async with database(db) as store:
        try:
            token = await Tokens(store).create(wanted, user, label)
        except ValueError as exc:
            raise CommandError(f"tokens create: {exc}", ExitCode.USAGE) from exc
    Printer(json)({"token": token}, f"token {token}")


@tokens.command(name="list")
async def list_(*, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """List the access tokens, the oldest first, without the tokens themselves: nobody knows them but who has them.

    Prints of each: `token <id> user <user> <scopes> <created> <label>`.

    Args:
        db: The database.
        json: Print one JSON object a line: `{"token": {"id": …, "user_id": …, "scopes": […], "label": …,
            "created": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    say = Printer(json)
    async with database(db) as store:
        found = await store.tokens()
    for token in found:
        token_id, scopes = token.digest[:_SHOWN], sorted(token.scopes)
        created = datetime.fromtimestamp(token.created_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
        record = {"id": token_id, "user_id": token.user_id, "scopes": scopes, "label": token.label, "created": created}
        text = f"token {token_id} user {token.user_id} {','.join(scopes)} {created} {token.label}"
        say({"token": record}, text.rstrip())


@tokens.command
async def revoke(token: str, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """Revoke an access token.

    Args:
        token: Its id, as `list` shows it; a part that no other id begins with will do, and so will the token itself.
        db: The database.
        json: Print `{"revoked": {"id": …}}`.
    """
    from ..localcloud.tokens import digest  # noqa: PLC0415 - as above
    from ._database import database  # noqa: PLC0415

    if not _HEX.fullmatch(token):
        raise CommandError("tokens revoke: an id is made of the digits 0 to 9 and a to f", ExitCode.USAGE)
    async with database(db) as store:
        # Nothing of what was given is said again: it may be a token, of this cloud or of another.
        found = [item for item in await store.tokens() if item.digest.startswith(token) or item.digest == digest(token)]
        if len(found) > 1:
            raise CommandError(f"tokens revoke: {len(found)} tokens have an id that begins so", ExitCode.USAGE)
        if not found or not await store.remove_token(found[0].digest):
            raise CommandError("tokens revoke: no token has this id", ExitCode.REFUSED)
    shown = found[0].digest[:_SHOWN]
    Printer(json)({"revoked": {"id": shown}}, f"revoked {shown}")


@tokens.command
async def secret(*, db: ResolvedExistingFile, user: UserId = 1, json: JsonLines = False) -> None:
    """Show what a user's webhooks are signed with, in the format of standardwebhooks.com.

    Args:
        db: The database.
        user: Whose.
        json: Print `{"secret": …}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    async with database(db) as store:
        found = await store.secret(user, now_ms=_now_ms())
    Printer(json)({"secret": found}, f"secret {found}")


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
