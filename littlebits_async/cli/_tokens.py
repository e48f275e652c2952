"""``littlebits tokens``: who may use a cloud, by its database."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from attrs import frozen
from cyclopts import App, Group, Parameter
from cyclopts.types import ResolvedExistingFile, ResolvedPath
from cyclopts.validators import Number

from ._errors import CommandError, ExitCode
from ._output import JsonLines, Printer

if TYPE_CHECKING:
    from ..localcloud.storage import GrantRecord, Store

__all__ = ["tokens"]

UserId = Annotated[int, Parameter(validator=Number(gte=1, lte=2**53 - 1))]

_SHOWN: Final = 8
"""Digits of a token's digest that stand for it."""
_HEX: Final = re.compile(r"[0-9a-f]{1,96}")
"""An id, or a token: those that applications renew theirs with have 96 digits."""

tokens: Final = App(
    "tokens",
    help="""Make and revoke access tokens in a cloud's database.

    A cloud that serves the database takes note within a second: it takes a new token, refuses a revoked one, and ends
    the streams that were opened with it. What an application was allowed, as by `littlebits login`, stands here as one
    token, however often that was renewed; it ends with the token by which somebody allowed it, or when it is revoked
    itself.

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

    Prints of each: `token <id> user <user> <scopes> <created> <label>`; the label of one that an application got is
    `client <name>`.

    Args:
        db: The database.
        json: Print one JSON object a line: `{"token": {"id": …, "user_id": …, "scopes": […], "label": …,
            "created": …}}`, and of one that an application got `client_id` and `expires` as well.
    """
    from ._database import database  # noqa: PLC0415 - as above

    say = Printer(json)
    async with database(db) as store:
        found = await _listed(store)
    for item in found:
        token_id, scopes, created = item.digest[:_SHOWN], sorted(item.scopes), _iso(item.created_ms)
        record = {"id": token_id, "user_id": item.user_id, "scopes": scopes, "label": item.label, "created": created}
        if item.grant is not None:
            expires_ms = item.grant.refresh_until_ms or 0
            record |= {"client_id": item.grant.client_id, "expires": _iso(expires_ms)}
        text = f"token {token_id} user {item.user_id} {','.join(scopes)} {created} {item.label}"
        say({"token": record}, text.rstrip())


@tokens.command
async def revoke(token: str, /, *, db: ResolvedExistingFile, json: JsonLines = False) -> None:
    """Revoke an access token.

    Args:
        token: Its id, as `list` shows it; a part that no other id begins with will do, and so will the token itself.
        db: The database.
        json: Print `{"revoked": {"id": …}}`.
    """
    from ._database import database  # noqa: PLC0415 - as above

    if not _HEX.fullmatch(token):
        raise CommandError("tokens revoke: an id is made of the digits 0 to 9 and a to f", ExitCode.USAGE)
    async with database(db) as store:
        # Nothing of what was given is said again: it may be a token, of this cloud or of another.
        found = [item for item in await _listed(store) if item.digest.startswith(token) or item.is_got_with(token)]
        if len(found) > 1:
            raise CommandError(f"tokens revoke: {len(found)} tokens have an id that begins so", ExitCode.USAGE)
        if not found or not await found[0].remove_from(store):
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


@frozen(kw_only=True)
class _Listed:
    """A token that somebody made, or what an application got."""

    digest: str
    user_id: int
    scopes: frozenset[str]
    label: str
    created_ms: int
    grant: "GrantRecord | None" = None
    access: frozenset[str] = frozenset()

    def is_got_with(self, secret: str) -> bool:
        """Whether this is the token itself, or one that the application has."""
        from ..localcloud.oauth import digest_family  # noqa: PLC0415 - as above
        from ..localcloud.tokens import digest  # noqa: PLC0415 - as above

        return digest(secret) in self.access or (self.grant is not None and digest_family(secret) == self.digest)

    async def remove_from(self, store: "Store") -> bool:
        """Revoke it."""
        if self.grant is not None:
            return await store.grants.remove_grant(self.grant.id)
        return await store.remove_token(self.digest)


async def _listed(store: "Store") -> list[_Listed]:
    tokens, grants = await store.tokens(), await store.grants.grants()
    listed = [
        _Listed(
            digest=token.digest,
            user_id=token.user_id,
            scopes=token.scopes,
            label=token.label,
            created_ms=token.created_ms,
            access=frozenset({token.digest}),
        )
        for token in tokens
        if token.grant_id is None
    ]
    listed += [
        _Listed(
            digest=grant.family or "",
            user_id=grant.user_id,
            scopes=grant.scopes,
            label=f"client {grant.client_id}",
            created_ms=grant.created_ms,
            grant=grant,
            access=frozenset(token.digest for token in tokens if token.grant_id == grant.id),
        )
        for grant in grants
    ]
    return sorted(listed, key=lambda item: item.created_ms)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")
