"""Applications, and what they were allowed: the tables of OAuth2.

Each call is one transaction. So of two that present the same code, or the same refresh token, one is the first.
"""

import json
import sqlite3
from typing import Any, Final

from attrs import evolve, frozen

from ._records import ClientRecord, GrantRecord, TokenRecord
from ._rows import add_token
from ._writer import Run

__all__ = ["GrantTables", "Issue", "Outcome"]

_CLIENT: Final = "SELECT id, name, secret, redirect_uris, scopes, created_ms FROM clients"
_GRANT: Final = """
    SELECT id, client_id, allowed_by, user_id, scopes, created_ms, code, code_until_ms, redirect_uri, challenge, family,
           refresh, refresh_until_ms, spent, spent_until_ms
    FROM grants
"""
_MOST_TOKENS: Final = 16
"""Access tokens of one grant that are good at a time; the oldest makes room."""


@frozen(kw_only=True)
class Issue:
    """What an application gets, but for the secrets themselves.

    Attributes:
        now_ms: When.
        access: SHA-256 of the access token.
        access_until_ms: Until when that is good.
        family: SHA-256 of what all refresh tokens of the grant have in common.
        refresh: SHA-256 of the refresh token.
        refresh_until_ms: Until when that is good.
        spent_until_ms: Until when the refresh token that it is given for may be presented again.
    """

    now_ms: int
    access: str
    access_until_ms: int
    family: str
    refresh: str
    refresh_until_ms: int
    spent_until_ms: int


@frozen(kw_only=True)
class Outcome:
    """What came of a code or a refresh token.

    Attributes:
        token: The access token that is given for it; None where it is not good.
        ended: The digests of access tokens that it ended.
        is_out_of_scope: Whether nothing has changed, as what was asked for is nothing that was allowed.
    """

    token: TokenRecord | None = None
    ended: frozenset[str] = frozenset()
    is_out_of_scope: bool = False


class GrantTables:
    """What is kept for OAuth2.

    Args:
        run: Runs a job in a transaction.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    # Applications

    async def clients(self) -> list[ClientRecord]:
        """List the applications, by id."""
        return await self._run(lambda db: [_client(row) for row in db.execute(f"{_CLIENT} ORDER BY id")])

    async def client(self, client_id: str) -> ClientRecord | None:
        """Find an application."""

        def find(db: sqlite3.Connection) -> ClientRecord | None:
            row = db.execute(f"{_CLIENT} WHERE id = ?", (client_id,)).fetchone()
            return None if row is None else _client(row)

        return await self._run(find)

    async def add_client(self, client: ClientRecord) -> bool:
        """Keep an application; return whether its id was free."""
        row = (
            client.id,
            client.name,
            client.secret,
            json.dumps(client.redirect_uris),
            " ".join(sorted(client.scopes)),
            client.created_ms,
        )
        return await self._run(
            lambda db: (
                db.execute("INSERT INTO clients VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount > 0
            )
        )

    async def remove_client(self, client_id: str) -> bool:
        """Forget an application, and all that it was allowed; return whether it was there."""
        return await self._run(lambda db: db.execute("DELETE FROM clients WHERE id = ?", (client_id,)).rowcount > 0)

    # What they were allowed

    async def grants(self) -> list[GrantRecord]:
        """List the grants whose code was used, the oldest first."""
        return await self._run(
            lambda db: [_grant(row) for row in db.execute(f"{_GRANT} WHERE family IS NOT NULL ORDER BY id")]
        )

    async def add_grant(self, grant: GrantRecord) -> bool:
        """Keep a grant, and forget what has ended; return False where application or token are gone."""

        def add(db: sqlite3.Connection) -> bool:
            _forget_ended(db, grant.created_ms)
            there = db.execute(
                "SELECT (SELECT count(*) FROM clients WHERE id = ?), (SELECT count(*) FROM tokens WHERE digest = ?)",
                (grant.client_id, grant.allowed_by),
            ).fetchone()
            if there != (1, 1):
                return False
            db.execute(
                """
                INSERT INTO grants (client_id, allowed_by, user_id, scopes, created_ms, code, code_until_ms,
                                    redirect_uri, challenge)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                (
                    grant.client_id,
                    grant.allowed_by,
                    grant.user_id,
                    " ".join(sorted(grant.scopes)),
                    grant.created_ms,
                    grant.code,
                    grant.code_until_ms,
                    grant.redirect_uri,
                    grant.challenge,
                ),
            )
            return True

        return await self._run(add)

    async def redeem(
        self, code: str, *, client_id: str, redirect_uri: str, challenge: str | None, issue: Issue
    ) -> Outcome:
        """Give tokens for a code, the first time that it is presented; after that its grant ends.

        It ends at once where anything is wrong: whoever presents a code wrongly may have stolen it.
        """

        def use(db: sqlite3.Connection) -> Outcome:
            grant = _find(db, "code", code)
            if grant is None:
                return Outcome()
            if (
                grant.family is not None
                or (grant.client_id, grant.redirect_uri, grant.challenge) != (client_id, redirect_uri, challenge)
                or grant.code_until_ms <= issue.now_ms
            ):
                return Outcome(ended=_end(db, grant.id))
            return _issue(db, grant, grant.scopes, issue)

        return await self._run(use)

    async def renew(
        self, family: str, refresh: str, *, client_id: str, scopes: frozenset[str] | None, issue: Issue
    ) -> Outcome:
        """Give tokens for a refresh token, the first time that it is presented; after that its grant ends.

        For some time it may be presented again, until what it gave was presented itself. That gives others, in place of
        what it gave before: of two who have it, one is found out when next they ask for anything.
        """

        def use(db: sqlite3.Connection) -> Outcome:
            grant = _find(db, "family", family)
            if grant is None or grant.client_id != client_id:
                return Outcome()
            is_newest = grant.refresh == refresh
            is_again = grant.spent == refresh and (grant.spent_until_ms or 0) > issue.now_ms
            if not (is_newest or is_again) or (grant.refresh_until_ms or 0) <= issue.now_ms:
                return Outcome(ended=_end(db, grant.id))
            wanted = grant.scopes if scopes is None else scopes
            if not frozenset[str]() < wanted <= grant.scopes:
                return Outcome(is_out_of_scope=True)
            ended = _end_tokens(db, grant.id) if is_again else frozenset[str]()
            if is_newest:
                grant = evolve(grant, spent=refresh, spent_until_ms=issue.spent_until_ms)
            outcome = _issue(db, grant, wanted, issue)
            return evolve(outcome, ended=outcome.ended | ended)

        return await self._run(use)

    async def revoke(self, *, family: str, access: str, client_id: str) -> frozenset[str] | None:
        """End a grant by one of its refresh tokens, or one access token.

        Returns:
            The digests of the access tokens that ended; None where it is somebody else's.
        """

        def end(db: sqlite3.Connection) -> frozenset[str] | None:
            grant = _find(db, "family", family)
            if grant is not None:
                return _end(db, grant.id) if grant.client_id == client_id else None
            row = db.execute(
                """
                SELECT grants.client_id FROM tokens LEFT JOIN grants ON grants.id = tokens.grant_id
                WHERE tokens.digest = ?
                """,
                (access,),
            ).fetchone()
            if row is None:
                return frozenset()
            if row[0] != client_id:
                return None
            db.execute("DELETE FROM tokens WHERE digest = ?", (access,))
            return frozenset({access})

        return await self._run(end)

    async def remove_grant(self, grant_id: int) -> bool:
        """End a grant; return whether it was there."""
        return await self._run(lambda db: db.execute("DELETE FROM grants WHERE id = ?", (grant_id,)).rowcount > 0)


def _client(row: tuple[str, str, str | None, str, str, int]) -> ClientRecord:
    client_id, name, secret, redirect_uris, scopes, created_ms = row
    return ClientRecord(
        id=client_id,
        name=name,
        secret=secret,
        redirect_uris=tuple(json.loads(redirect_uris)),
        scopes=frozenset(scopes.split()),
        created_ms=created_ms,
    )


def _grant(row: tuple[Any, ...]) -> GrantRecord:
    number, client_id, allowed_by, user_id, scopes, created_ms, code, code_until_ms, redirect_uri, *rest = row
    challenge, family, refresh, refresh_until_ms, spent, spent_until_ms = rest
    return GrantRecord(
        id=number,
        client_id=client_id,
        allowed_by=allowed_by,
        user_id=user_id,
        scopes=frozenset(scopes.split()),
        created_ms=created_ms,
        code=code,
        code_until_ms=code_until_ms,
        redirect_uri=redirect_uri,
        challenge=challenge,
        family=family,
        refresh=refresh,
        refresh_until_ms=refresh_until_ms,
        spent=spent,
        spent_until_ms=spent_until_ms,
    )


def _find(db: sqlite3.Connection, column: str, value: str) -> GrantRecord | None:
    row = db.execute(f"{_GRANT} WHERE {column} = ?", (value,)).fetchone()
    return None if row is None else _grant(row)


def _end(db: sqlite3.Connection, grant_id: int) -> frozenset[str]:
    ended = _end_tokens(db, grant_id)
    db.execute("DELETE FROM grants WHERE id = ?", (grant_id,))
    return ended


def _end_tokens(db: sqlite3.Connection, grant_id: int) -> frozenset[str]:
    return _digests(db.execute("DELETE FROM tokens WHERE grant_id = ? RETURNING digest", (grant_id,)))


def _digests(found: sqlite3.Cursor) -> frozenset[str]:
    return frozenset(digest for (digest,) in found.fetchall())


def _issue(db: sqlite3.Connection, grant: GrantRecord, scopes: frozenset[str], issue: Issue) -> Outcome:
    _forget_ended(db, issue.now_ms)
    db.execute(
        """
        UPDATE grants SET family = ?, refresh = ?, refresh_until_ms = ?, spent = ?, spent_until_ms = ? WHERE id = ?
        """,
        (issue.family, issue.refresh, issue.refresh_until_ms, grant.spent, grant.spent_until_ms, grant.id),
    )
    token = TokenRecord(
        issue.access, grant.user_id, scopes, grant.client_id, issue.now_ms, issue.access_until_ms, grant.id
    )
    add_token(db, token)
    too_many = db.execute(
        """
        DELETE FROM tokens WHERE grant_id = :id AND rowid NOT IN (
            SELECT rowid FROM tokens WHERE grant_id = :id ORDER BY rowid DESC LIMIT :most
        )
        RETURNING digest
        """,
        {"id": grant.id, "most": _MOST_TOKENS},
    )
    return Outcome(token=token, ended=_digests(too_many))


def _forget_ended(db: sqlite3.Connection, now_ms: int) -> None:
    db.execute("DELETE FROM tokens WHERE expires_ms <= ?", (now_ms,))
    db.execute(
        "DELETE FROM grants WHERE refresh_until_ms <= :now OR (family IS NULL AND code_until_ms <= :now)",
        {"now": now_ms},
    )
