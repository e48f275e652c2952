"""Who the command line is, and at which cloud: the environment, or else whoever has logged in."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, cast

from attrs import frozen

from ..auth import TOKEN_VARIABLE, FileTokenStore, OAuth2, OAuthToken
from ..errors import InvalidArgumentError, TransportError
from ..session import Session
from ..transport import DEFAULT_BASE_URL
from ._errors import CommandError, ExitCode
from ._files import check_private, write_whole

__all__ = ["Account", "account_at", "open_session"]

_BASE_URL: Final = "LITTLEBITS_BASE_URL"
_CLIENT_SECRET: Final = "LITTLEBITS_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_VENDOR_OAUTH: Final = "https://littlebits.cc/oauth"
_MAX_WAIT: Final = 60.0


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
    def _cloud_path(self) -> Path:
        return self.directory.parent / "cloud.json"

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
        """Note what the token is renewed with; not before there is one, to spoil nothing that an earlier login left.

        From now on this is the cloud of commands that name none.
        """
        settings = {"base_url": self.base_url, "client_id": client_id, "token_url": token_url}
        if token_url == f"{self.oauth_url}/token" and not self.is_vendor_s:  # of another server nobody knows where
            settings["revoke_url"] = f"{self.oauth_url}/revoke"
        write_whole(self._settings_path, json.dumps(settings))
        self._choose()

    async def keep(self, token: str) -> None:
        """Keep a token that nothing renews, in place of what an earlier login left; else as `note`."""
        await FileTokenStore(self.token_path).save(OAuthToken(token))
        self._settings_path.unlink(missing_ok=True)
        self._choose()

    def auth(self) -> OAuth2 | str | None:
        """Return what a login left, None where nobody has logged in.

        Raises:
            CommandError: Others may read the token.
        """
        try:
            check_private(self.token_path)
            settings = self._read(self._settings_path)
            if settings is not None:
                return self._auth(settings["client_id"], settings["token_url"])
            kept = self._read(self.token_path)
            return None if kept is None else kept["access_token"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def revocable(self) -> OAuth2 | None:
        """Return what a login left, for the cloud to end it; None where it has no way to."""
        try:
            settings = self._read(self._settings_path) or {}
            return self._auth(settings["client_id"], settings["token_url"], revoke_url=settings["revoke_url"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self) -> bool:
        """Forget what a login left, and tell whether there was anything."""
        there = self.directory.exists()
        if there:
            shutil.rmtree(self.directory)
        if _chosen(self._cloud_path) == self.base_url:
            self._cloud_path.unlink(missing_ok=True)
        return there

    def _choose(self) -> None:
        write_whole(self._cloud_path, json.dumps({"base_url": self.base_url}))

    @staticmethod
    def _read(path: Path) -> dict[str, str] | None:
        try:
            return cast("dict[str, str]", json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _auth(
        self,
        client_id: str,
        token_url: str,
        authorize_url: str | None = None,
        scopes: str = "",
        revoke_url: str | None = None,
    ) -> OAuth2:
        return OAuth2(
            client_id,
            os.environ.get(_CLIENT_SECRET),
            store=self.token_path,
            scopes=scopes.replace(",", " ").split(),
            authorize_url=authorize_url or token_url,
            token_url=token_url,
            revoke_url=revoke_url,
        )


def account_at(base_url: str | None = None) -> Account:
    """Return the account at a cloud.

    Args:
        base_url: The cloud; None is that of ``LITTLEBITS_BASE_URL``, or where the last login was, or the vendor's.
    """
    import platformdirs  # noqa: PLC0415 - loaded where it is needed

    home = platformdirs.user_config_path("littlebits")
    url = base_url or os.environ.get(_BASE_URL) or _chosen(home / "cloud.json") or DEFAULT_BASE_URL
    url = url.rstrip("/")
    name = re.sub(r"[^a-z0-9.-]+", "_", url.lower())[:64]
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # two clouds' names may look the same
    return Account(url, home / f"{name}-{digest}")


def open_session(*, patient: bool = False) -> AbstractAsyncContextManager[Session]:
    """Open a session of whoever this command is run by.

    Args:
        patient: Wait for the budget for as long as that takes; else for a minute at most.

    Raises:
        CommandError: Others may read the token; in the block: the cloud cannot be reached.
        InvalidArgumentError: There is no token, and nobody has logged in.
    """
    account = account_at()
    auth = os.environ.get(TOKEN_VARIABLE) or account.auth()
    if auth is None:
        hint = "; the vendor's cloud is switched off, `littlebits serve` runs your own" if account.is_vendor_s else ""
        raise InvalidArgumentError(
            f"no access token for {account.base_url}: set {TOKEN_VARIABLE}, or log in with `littlebits login`{hint}"
        )
    return _telling_where(Session(auth, base_url=account.base_url, max_wait=None if patient else _MAX_WAIT), account)


@asynccontextmanager
async def _telling_where(session: Session, account: Account) -> AsyncGenerator[Session, None]:
    try:
        async with session:
            yield session
    except TransportError as exc:
        if account.is_vendor_s:  # which the session has something to say of
            raise
        raise CommandError(f"{exc} (is a cloud running at {account.base_url}?)", ExitCode.UNREACHABLE) from exc


def _chosen(path: Path) -> str | None:
    """Return the cloud of the last login."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["base_url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
