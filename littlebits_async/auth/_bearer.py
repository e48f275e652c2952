"""An access token as it is, as an httpx.Auth."""

import os
from collections.abc import Generator

import httpx

from .._tracebacks import discreet
from ..errors import InvalidArgumentError

__all__ = ["TOKEN_VARIABLE", "BearerAuth", "resolve_auth"]

TOKEN_VARIABLE = "LITTLEBITS_TOKEN"  # noqa: S105 - the name of a variable


class BearerAuth(httpx.Auth):
    """Sends an access token as ``Authorization: Bearer …``.

    Args:
        token: The access token; a leading ``Bearer`` is taken off.

    Raises:
        InvalidArgumentError: The token is no text, is empty, or holds what no header can carry.

    Source: spec/cloud-api-v2.txt, "Authentication".
    """

    # `vars()` does not show a slot, nor does whoever prints an object's attributes.
    __slots__ = ("_header",)

    @discreet
    def __init__(self, token: str) -> None:
        # Never the token itself in a message: it may be right but for one character.
        if not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance] - says who reads no types
            raise InvalidArgumentError(f"the access token must be a str, not {type(token).__name__}")
        scheme, _, rest = token.strip().partition(" ")
        bare = rest.strip() if scheme.lower() == "bearer" else token.strip()
        if not bare:
            raise InvalidArgumentError("the access token is empty")
        if not bare.isascii() or not bare.isprintable() or " " in bare:
            raise InvalidArgumentError("the access token holds blanks, control or non-ASCII characters")
        self._header = f"Bearer {bare}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = self._header
        yield request

    def __repr__(self) -> str:
        return "BearerAuth(<secret>)"


def resolve_auth(auth: str | httpx.Auth | None) -> httpx.Auth:
    """Turn what a user gave, or else ``LITTLEBITS_TOKEN``, into an httpx.Auth.

    Raises:
        InvalidArgumentError: Nothing was given and the variable is not set, or the token cannot be sent.
    """
    if isinstance(auth, httpx.Auth):
        return auth
    if auth is None:
        auth = os.environ.get(TOKEN_VARIABLE)
        if auth is None:
            raise InvalidArgumentError(f"no access token: pass one to Session, or set {TOKEN_VARIABLE}")
    return BearerAuth(auth)
