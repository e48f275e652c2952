"""Who the command line is at a cloud: ``LITTLEBITS_TOKEN``, or else whoever has logged in."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Final, cast

from attrs import frozen

from ..auth import TOKEN_VARIABLE, OAuth2
from ..errors import InvalidArgumentError
from ..session import Session
from ..transport import DEFAULT_BASE_URL

__all__ = ["Account", "account_at", "open_session"]

_BASE_URL: Final = "LITTLEBITS_BASE_URL"
_CLIENT_SECRET: Final = "LITTLEBITS_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_VENDOR_OAUTH: Final = "https://littlebits.cc/oauth"


@frozen
class Account:
    """What a login at one cloud leaves behind: a token, in a file of its own, and what it is renewed with.

    Attributes:
        base_url: The cloud.
        directory: Where it is kept; each cloud has its own, so that none is sent another's token.
    """

    base_url: str
    directory: Path

    @property
    def token_path(self) -> Path:
        """The file with the token."""
        return self.directory / "token.json"

    @property
    def _settings_path(self) -> Path:
        return self.directory / "login.json"

    @property
    def is_vendor_s(self) -> bool:
        """Whether it is the vendor's cloud, as it is where none is named."""
        return self.base_url == DEFAULT_BASE_URL

    @property
    def oauth_url(self) -> str:
        """Below which the cloud's OAuth2 endpoints are: the vendor's stood at a host of their own."""
        return _VENDOR_OAUTH if self.is_vendor_s else f"{self.base_url.rstrip('/')}/oauth"

    def login(self, *, client_id: str, authorize_url: str, token_url: str, scopes: str) -> OAuth2:
        """Return what somebody can log in with; when they have, `note` it.

        Raises:
            InvalidArgumentError: An argument cannot be used.
        """
        return self._auth(client_id, token_url, authorize_url, scopes)

    def note(self, *, client_id: str, token_url: str) -> None:
        """Note what the token is renewed with; not before there is one, to spoil nothing that an earlier login left."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {"base_url": self.base_url, "client_id": client_id, "token_url": token_url}
        self._settings_path.write_text(json.dumps(settings), encoding="utf-8")

    def auth(self) -> OAuth2 | None:
        """Return what a login left, None where nobody has logged in."""
        try:
            settings = cast("dict[str, str]", json.loads(self._settings_path.read_text(encoding="utf-8")))
            return self._auth(settings["client_id"], settings["token_url"]) if self.token_path.exists() else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _auth(self, client_id: str, token_url: str, authorize_url: str | None = None, scopes: str = "") -> OAuth2:
        return OAuth2(
            client_id,
            os.environ.get(_CLIENT_SECRET),
            store=self.token_path,
            scopes=scopes.replace(",", " ").split(),
            authorize_url=authorize_url or token_url,
            token_url=token_url,
        )


def account_at(base_url: str | None = None) -> Account:
    """Return the account at a cloud: at that of ``LITTLEBITS_BASE_URL``, or the vendor's, where none is named."""
    import platformdirs  # noqa: PLC0415 - loaded where it is needed

    url = (base_url or os.environ.get(_BASE_URL) or DEFAULT_BASE_URL).rstrip("/")
    name = re.sub(r"[^a-z0-9.-]+", "_", url.lower())[:64]
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # two clouds' names may look the same
    return Account(url, platformdirs.user_config_path("littlebits") / f"{name}-{digest}")


def open_session() -> Session:
    """Return a session of whoever this command is run by.

    Raises:
        InvalidArgumentError: There is no token, and nobody has logged in.
    """
    if os.environ.get(TOKEN_VARIABLE):
        return Session()
    auth = account_at().auth()
    if auth is None:
        raise InvalidArgumentError(f"no access token: set {TOKEN_VARIABLE}, or log in with `littlebits login`")
    return Session(auth)
