"""Access tokens: who a request comes from, and what it may do.

Only digests of tokens are kept, so that neither a repr nor a stolen database gives one away.

Source: wire-facts 2: every spelling of the header that real clients sent, ``?access_token=``, 64 hexadecimal digits,
and the texts of ``WWW-Authenticate``; spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview" for the scopes.
"""

import secrets
import time
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from starlette.requests import Request

from .answers import Refusal
from .endings import to_the_end
from .storage import Store, TokenRecord

__all__ = ["SCOPES", "Tokens", "check_scope", "digest"]

SCOPES: Final = frozenset({"read", "write", "admin"})


class Tokens:
    """All access tokens there are.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_digest: dict[str, TokenRecord] = {}
        self._lent: dict[str, TokenRecord] = {}

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._by_digest) - len(self._lent)

    async def reload(self) -> frozenset[str]:
        """Read them again, as another program may have changed them; return the digests of those that are gone."""
        before = self._by_digest.keys()
        self._by_digest = {token.digest: token for token in await self._store.tokens()} | self._lent
        return frozenset(before - self._by_digest.keys())

    @to_the_end
    async def create(self, scopes: Iterable[str], user_id: int, label: str = "") -> str:
        """Make a token of 64 hexadecimal digits.

        Raises:
            ValueError: A scope is unknown.
        """
        wanted = _known(scopes)
        secret = secrets.token_hex(32)
        token = TokenRecord(digest(secret), user_id, wanted, label, _now_ms())
        await self._store.add_token(token)
        self._by_digest[token.digest] = token
        return secret

    def lend(self, scopes: Iterable[str], user_id: int) -> str:
        """Make a token that is not kept: it ends with the program, however that ends, unless it is taken back before.

        Raises:
            ValueError: A scope is unknown.
        """
        secret = secrets.token_hex(32)
        token = TokenRecord(digest(secret), user_id, _known(scopes))
        self._lent[token.digest] = self._by_digest[token.digest] = token
        return secret

    def take_back(self, secret: str) -> str:
        """End a token that was lent; return its digest."""
        taken = self._lent.pop(digest(secret))
        del self._by_digest[taken.digest]
        return taken.digest

    def add(self, token: TokenRecord) -> None:
        """Take note of a token that is kept already."""
        self._by_digest[token.digest] = token

    def remove(self, digests: Iterable[str]) -> None:
        """Take note of tokens that are kept no more."""
        for each in digests:
            self._by_digest.pop(each, None)

    def find(self, secret: str) -> TokenRecord | None:
        """Find a token that is good."""
        token = self._by_digest.get(digest(secret))
        return None if token is None or _has_ended(token, _now_ms()) else token

    def expire(self) -> frozenset[str]:
        """Forget those that have ended by now; return their digests."""
        now_ms = _now_ms()
        ended = frozenset(token.digest for token in self._by_digest.values() if _has_ended(token, now_ms))
        self.remove(ended)
        return ended

    def authenticate(self, request: Request) -> TokenRecord:
        """Find the token that a request bears.

        Raises:
            Refusal: 401.
        """
        secret = _credentials(request)
        if not secret:
            description = "Missing Authorization header with valid Bearer token"
            raise _unauthorized("missing_authorization", description, message=description)
        token = self.find(secret)
        if token is None:
            raise _unauthorized("invalid_token", "Invalid or expired token", message="Token failed authorization")
        return token


def check_scope(token: TokenRecord, scope: str) -> None:
    """Refuse what a token may not be used for; one scope does not include another.

    Raises:
        Refusal: 403.
    """
    if scope not in token.scopes:
        raise Refusal(HTTPStatus.FORBIDDEN, f"Insufficient scope, expected: {scope}")


def digest(secret: str) -> str:
    """Hash a token, for keeping and for looking up."""
    return sha256(secret.encode()).hexdigest()


def _known(scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
    if unknown := wanted - SCOPES:
        raise ValueError(f"unknown scopes: {', '.join(sorted(unknown))}; there are {', '.join(sorted(SCOPES))}")
    return wanted


def _credentials(request: Request) -> str | None:
    """Read the token from ``Bearer x``, ``BEARER x``, ``x`` or ``?access_token=x``; the header wins."""
    header = request.headers.get("authorization", "").strip()
    if not header:
        return request.query_params.get("access_token")
    scheme, _, secret = header.partition(" ")
    # Any other scheme stays in front, so that it fails as the unknown token that it is.
    return secret.strip() if secret and scheme.lower() == "bearer" else header


def _unauthorized(error: str, description: str, *, message: str) -> Refusal:
    challenge = f'Bearer realm="bitCloud", error="{error}", error_description="{description}"'
    return Refusal(HTTPStatus.UNAUTHORIZED, message, headers={"www-authenticate": challenge})


def _has_ended(token: TokenRecord, now_ms: int) -> bool:
    return token.expires_ms is not None and token.expires_ms <= now_ms


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
