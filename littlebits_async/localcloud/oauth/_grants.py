"""`Grants`: codes, access tokens and refresh tokens, from their beginning to their end.

A grant is what somebody allowed an application: one code, one refresh token at a time, and some access tokens. Code and
refresh token work once. To present either again, or a code in any wrong way, ends the grant and all that it gave: there
are two who have it, and one of them stole it. Only digests are kept.

But the answer to a renewal may be lost on its way, and nobody is at the browser of a program that runs for years. So
the refresh token that was used last may be presented again, for some minutes: that gives another pair, and ends all
access tokens of before. Had there been an answer after all, whoever got that is refused with the next request, and with
the next renewal ends the grant.

A refresh token has two parts: the first is the same for all of a grant, so that an old one is known for what it was
however long ago that is; the second is new each time.

Source: RFC 6749, sections 4.1.2, 4.1.3, 6 and 10.4 to 10.6; RFC 7009, section 2.1; RFC 9700, sections 2.1.1 and 4.14.
"""

import base64
import hashlib
import secrets
import time
from typing import Final

from attrs import frozen

from ..endings import to_the_end
from ..registry import Registry
from ..storage import ClientRecord, GrantRecord, Issue, Outcome, Store, TokenRecord
from ..tokens import digest
from ._forms import Denial

__all__ = ["REFRESH_WITHIN", "Answer", "Grants", "digest_family"]

CODE_WITHIN: Final = 60.0
"""Seconds that a code is good."""
REFRESH_WITHIN: Final = 30 * 24 * 3600.0
"""Seconds that a refresh token is good; each renewal gives another one."""
REPEAT_WITHIN: Final = 600.0
"""Seconds that the refresh token that was used last may be presented again: longer than a router takes to restart."""
_FAMILY: Final = 32
"""Digits of a refresh token that are the same for all of a grant."""


@frozen
class Answer:
    """What an application gets.

    Attributes:
        access_token: Not in the repr, nor is the other.
        refresh_token: See there.
        expires_in: Seconds that the access token is good.
        scopes: What it is for.
    """

    access_token: str
    refresh_token: str
    expires_in: int
    scopes: frozenset[str]

    def __repr__(self) -> str:
        return "Answer(<secrets>)"


class Grants:
    """What applications were allowed.

    Args:
        registry: Has the tokens, and the streams that end with them.
        store: Keeps all of it.
        token_lifetime: Seconds that an access token is good.
    """

    def __init__(self, registry: Registry, store: Store, token_lifetime: float) -> None:
        self._registry = registry
        self._store = store
        self._token_lifetime = token_lifetime

    async def allow(
        self,
        client: ClientRecord,
        token: TokenRecord,
        *,
        scopes: frozenset[str],
        redirect_uri: str,
        challenge: str | None,
    ) -> str | None:
        """Allow an application something; give the code for it, None where it or the token is gone.

        Args:
            client: The application.
            token: Of whoever allows it.
            scopes: What is allowed.
            redirect_uri: Where the code is sent.
            challenge: What the code's user has to prove; None without PKCE.
        """
        code, now_ms = secrets.token_hex(32), _now_ms()
        grant = GrantRecord(
            client_id=client.id,
            allowed_by=token.digest,
            user_id=token.user_id,
            scopes=scopes,
            created_ms=now_ms,
            code=digest(code),
            code_until_ms=now_ms + _ms(CODE_WITHIN),
            redirect_uri=redirect_uri,
            challenge=challenge,
        )
        return code if await self._store.grants.add_grant(grant) else None

    @to_the_end
    async def redeem(self, client: ClientRecord, code: str, *, redirect_uri: str, verifier: str | None) -> Answer:
        """Give tokens for a code.

        Raises:
            Denial: It is not good, and its grant has ended.
        """
        access, refresh = secrets.token_hex(32), _new_refresh()
        outcome = await self._store.grants.redeem(
            digest(code),
            client_id=client.id,
            redirect_uri=redirect_uri,
            challenge=None if verifier is None else _challenge(verifier),
            issue=self._issue(access, refresh),
        )
        return await self._settle(outcome, access, refresh)

    @to_the_end
    async def renew(self, client: ClientRecord, refresh_token: str, scopes: frozenset[str] | None) -> Answer:
        """Give tokens for a refresh token.

        Args:
            client: The application.
            refresh_token: The refresh token.
            scopes: What the access token is for, some of what was allowed; None for all.

        Raises:
            Denial: It is not good, and its grant has ended; or what is asked for is not what was allowed.
        """
        access, refresh = secrets.token_hex(32), _new_refresh(refresh_token[:_FAMILY])
        outcome = await self._store.grants.renew(
            digest_family(refresh_token),
            digest(refresh_token),
            client_id=client.id,
            scopes=scopes,
            issue=self._issue(access, refresh),
        )
        return await self._settle(outcome, access, refresh)

    @to_the_end
    async def revoke(self, client: ClientRecord, token: str) -> None:
        """End an access token, or with a refresh token its grant; what is unknown has ended already.

        Raises:
            Denial: It is not the application's.
        """
        ended = await self._store.grants.revoke(family=digest_family(token), access=digest(token), client_id=client.id)
        if ended is None:
            raise Denial("invalid_grant", "This token was given to somebody else")
        await self._end(ended)

    async def _settle(self, outcome: Outcome, access: str, refresh: str) -> Answer:
        await self._end(outcome.ended)
        if outcome.is_out_of_scope:
            raise Denial("invalid_scope", "That is not what was allowed")
        if outcome.token is None:
            raise Denial("invalid_grant", "It was used, has ended, or was never given for this")
        self._registry.tokens.add(outcome.token)
        return Answer(access, refresh, int(self._token_lifetime), outcome.token.scopes)

    async def _end(self, digests: frozenset[str]) -> None:
        self._registry.tokens.remove(digests)
        await self._registry.close_streams_of(digests)

    def _issue(self, access: str, refresh: str) -> Issue:
        now_ms = _now_ms()
        return Issue(
            now_ms=now_ms,
            access=digest(access),
            access_until_ms=now_ms + _ms(self._token_lifetime),
            family=digest_family(refresh),
            refresh=digest(refresh),
            refresh_until_ms=now_ms + _ms(REFRESH_WITHIN),
            spent_until_ms=now_ms + _ms(REPEAT_WITHIN),
        )


def digest_family(refresh_token: str) -> str:
    """Hash what a refresh token has in common with all others of its grant."""
    return digest(refresh_token[:_FAMILY])


def _new_refresh(family: str | None = None) -> str:
    return (family or secrets.token_hex(_FAMILY // 2)) + secrets.token_hex(32)


def _challenge(verifier: str) -> str:
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
