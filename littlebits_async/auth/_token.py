"""What an OAuth2 server gives: tokens, or a refusal; no I/O.

Source: RFC 6749, sections 5.1 and 5.2; RFC 7009, section 2.2. The vendor's tokens are 64 hexadecimal digits, do not
expire, and have scopes in one string (wire-facts, section 2).
"""

import json
import math
from collections.abc import Collection, Mapping
from typing import Final, cast

from attrs import field, frozen

from ..errors import DecodeError, OAuthError, TransportError
from ..wire import excerpt

__all__ = ["OAuthToken", "check_revocation", "is_sendable", "read_token", "refusal"]

_PASSING: Final = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR: Final = 500
_OK: Final = 200
_SHORTEST_SECRET: Final = 8
_EARLY: Final = 30.0


def is_sendable(token: str) -> bool:
    """Whether a header can carry a token."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


@frozen
class OAuthToken:
    """An access token, and what there is to know of it.

    Attributes:
        access_token: What each request says; not in the repr.
        refresh_token: What it is renewed with, None where the server gave none; not in the repr.
        expires_at: Unix time in seconds from which it is to be renewed: when it ends, less a tenth of its life, at most
            30 s, since a request takes its time and clocks differ. None where the server did not say: the vendor's
            tokens did not end.
        scopes: What it is for: some of ``read``, ``write``, ``admin``.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()


def read_token(status: int, data: bytes, *, now: float, before: OAuthToken, secrets: Collection[str]) -> OAuthToken:
    """Read what the token endpoint answered.

    Args:
        status: The HTTP status.
        data: The body.
        now: Unix time in seconds.
        before: What holds where the answer says nothing: of the scopes, and of the refresh token.
        secrets: What was sent, and must not be quoted.

    Raises:
        OAuthError: The server refused.
        TransportError: It could not answer now.
        DecodeError: The answer is neither tokens nor a refusal.
    """
    answer = _members(data)
    if status >= _FIRST_SERVER_ERROR or status in _PASSING:
        raise TransportError(f"the token endpoint answered {status}")
    if isinstance(answer.get("error"), str):
        raise refusal(answer, secrets)
    token, refresh = answer.get("access_token"), answer.get("refresh_token")
    kind, scope = answer.get("token_type", "bearer"), answer.get("scope")
    if status != _OK or not isinstance(token, str) or not is_sendable(token):
        # Nothing of the body is shown: it may be half an answer, with a token in it.
        raise DecodeError(f"the token endpoint answered {status}, with neither an access token nor an error")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise DecodeError("the token endpoint gave a token that is no bearer token")
    lifetime = _seconds(answer.get("expires_in"))
    return OAuthToken(
        token,
        refresh_token=refresh if isinstance(refresh, str) and refresh else before.refresh_token,
        expires_at=None if lifetime is None else now + lifetime - min(lifetime / 10, _EARLY),
        scopes=tuple(scope.split()) if isinstance(scope, str) else before.scopes,
    )


def check_revocation(status: int, data: bytes, *, secrets: Collection[str]) -> None:
    """Read what the revocation endpoint answered.

    Args:
        status: The HTTP status.
        data: The body, which says something only of a refusal.
        secrets: What was sent, and must not be quoted.

    Raises:
        OAuthError: The server refused.
        TransportError: It could not answer now.
        DecodeError: The answer is none of such an endpoint.
    """
    if status >= _FIRST_SERVER_ERROR or status in _PASSING:
        raise TransportError(f"the revocation endpoint answered {status}")
    if status != _OK:
        answer = _members(data)
        if isinstance(answer.get("error"), str):
            raise refusal(answer, secrets)
        raise DecodeError(f"the revocation endpoint answered {status}, without an error")


def refusal(answer: Mapping[str, object], secrets: Collection[str] = ()) -> OAuthError:
    """Make the error of a refusal, out of its ``error`` and ``error_description``."""
    error, description = (_told(answer.get(name), secrets) for name in ("error", "error_description"))
    return OAuthError(
        f"the OAuth2 server refused: {error}" + (f" ({description})" if description else ""),
        error=error,
        description=description or None,
    )


def _told(said: object, secrets: Collection[str]) -> str:
    text = said if isinstance(said, str) else ""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return excerpt(text)


def _members(data: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _seconds(said: object) -> float | None:
    """A lifetime, which some servers write as text."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        seconds = float(said)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
