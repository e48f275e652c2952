"""The key of a user of the community, and who may see a staging host, as an httpx.Auth."""

import base64
from collections.abc import Generator

import httpx

from .._tracebacks import discreet
from ..errors import InvalidArgumentError
from ._token import is_sendable

__all__ = ["MobileAppAuth"]


class MobileAppAuth(httpx.Auth):
    """Sends a user's key as ``MobileAppAuth: …``, and a name and a password as HTTP Basic where a host asks for them.

    Args:
        key: The key; None to send none, until one is kept.
        basic: User name and password of the host, None where it asks for none.

    Raises:
        InvalidArgumentError: The key, the name or the password is no text, or one that no header can carry.

    Source: spec/mobile-application-api.txt, "Authentication" and "Testing on Staging Servers".
    """

    # `vars()` does not show a slot, nor does whoever prints an object's attributes.
    __slots__ = ("_basic", "_key")

    @discreet
    def __init__(self, key: str | None = None, *, basic: tuple[str, str] | None = None) -> None:
        self._key = None if key is None else _checked(key)
        self._basic = None if basic is None else _basic(basic)

    @property
    def key(self) -> str | None:
        """The key that is sent, None where none is."""
        return self._key

    @discreet
    def keep(self, key: str) -> None:
        """Send another key from now on."""
        self._key = _checked(key)

    def forget(self, key: str) -> None:
        """Send no key any more, unless it is another one by now."""
        if self._key == key:
            self._key = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the headers."""
        if self._key is not None:
            request.headers["MobileAppAuth"] = self._key
        if self._basic is not None:
            request.headers["Authorization"] = self._basic
        yield request

    def __repr__(self) -> str:
        return "MobileAppAuth(<secret>)"


def _checked(key: object) -> str:
    # Never the key itself in a message: it may be right but for one character.
    if not isinstance(key, str):
        raise InvalidArgumentError(f"the key must be a str, not {type(key).__name__}")
    if not is_sendable(bare := key.strip()):
        raise InvalidArgumentError("the key is empty, or holds blanks, control or non-ASCII characters")
    return bare


def _basic(pair: object) -> str:
    match pair:
        case (str(user), str(password)):
            pass
        case _:
            raise InvalidArgumentError("basic_auth: a user name and a password are needed, both of type str")
    if ":" in user:
        raise InvalidArgumentError("basic_auth: a user name cannot hold a colon")
    try:
        said = f"{user}:{password}".encode()
    except UnicodeEncodeError:
        said = None
    if said is None:  # raised here, not above: that error shows the password, and would be its context
        raise InvalidArgumentError("basic_auth: it holds a lone surrogate, which no header can carry")
    return f"Basic {base64.b64encode(said).decode()}"
