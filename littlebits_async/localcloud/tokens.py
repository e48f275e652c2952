"""Access tokens: who a request comes from, and what it may do.

Only digests of tokens are kept, so that neither a repr nor, later, a stolen database gives one away.

Source: wire-facts 2: every spelling of the header that real clients sent, ``?access_token=``, 64 hexadecimal digits,
and the texts of ``WWW-Authenticate``; spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview" for the scopes.
"""

import secrets
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from attrs import frozen
from starlette.requests import Request

from .answers import Refusal

__all__ = ["SCOPES", "Token", "Tokens", "digest"]

SCOPES: Final = frozenset({"read", "write", "admin"})


@frozen
class Token:
    """What is known of an access token; the token itself is not.

    Attributes:
        digest: SHA-256 of the token, hexadecimal.
        user_id: Whose it is.
        scopes: What it may be used for; one scope does not include another.
    """

    digest: str
    user_id: int
    scopes: frozenset[str]

    def check_scope(self, scope: str) -> None:
        """Refuse what this token may not be used for.

        Raises:
            Refusal: 403.
        """
        if scope not in self.scopes:
            raise Refusal(HTTPStatus.FORBIDDEN, f"Insufficient scope, expected: {scope}")


class Tokens:
    """All access tokens there are."""

    def __init__(self) -> None:
        self._by_digest: dict[str, Token] = {}

    async def create(self, scopes: Iterable[str], user_id: int) -> str:
        """Make a token of 64 hexadecimal digits.

        Raises:
            ValueError: A scope is unknown.
        """
        wanted = frozenset(scopes.split() if isinstance(scopes, str) else scopes)
        if unknown := wanted - SCOPES:
            raise ValueError(f"unknown scopes: {', '.join(sorted(unknown))}; there are {', '.join(sorted(SCOPES))}")
        secret = secrets.token_hex(32)
        token = Token(digest(secret), user_id, wanted)
        self._by_digest[token.digest] = token
        return secret

    def authenticate(self, request: Request) -> Token:
        """Find the token that a request bears.

        Raises:
            Refusal: 401.
        """
        secret = _credentials(request)
        if not secret:
            description = "Missing Authorization header with valid Bearer token"
            raise _unauthorized("missing_authorization", description, message=description)
        token = self._by_digest.get(digest(secret))
        if token is None:
            raise _unauthorized("invalid_token", "Invalid or expired token", message="Token failed authorization")
        return token


def digest(secret: str) -> str:
    """Hash a token, for keeping and for looking up."""
    return sha256(secret.encode()).hexdigest()


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
