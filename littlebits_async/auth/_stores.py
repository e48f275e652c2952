"""Where tokens are kept: in memory, or in a file that processes share."""

import json
import os
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, cast

import anyio
import anyio.to_thread

from ..errors import OAuthError
from ._token import OAuthToken, is_sendable

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment] # mypy has one type for the name

__all__ = ["FileTokenStore", "MemoryTokenStore", "TokenStore"]

_FIRST_LOOK: Final = 0.005
_LONGEST_LOOK: Final = 0.25
"""Seconds between two looks whether somebody else has let go."""


class TokenStore(Protocol):
    """Keeps the token of one user at one cloud."""

    async def load(self) -> OAuthToken | None:
        """Return the token, None where there is none."""
        ...

    async def save(self, token: OAuthToken | None) -> None:
        """Keep a token in place of the one before; None keeps none."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Be the only one to renew the token while the block runs, among all that share what is kept."""
        ...


class MemoryTokenStore:
    """Keeps a token while the program runs; event loops in several threads may share it.

    Args:
        token: What it holds at first.
    """

    def __init__(self, token: OAuthToken | None = None) -> None:
        self._token = token
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"MemoryTokenStore({self._token!r})"

    async def load(self) -> OAuthToken | None:
        """Return the token."""
        return self._token

    async def save(self, token: OAuthToken | None) -> None:
        """Keep a token."""
        self._token = token

    @asynccontextmanager
    async def exclusive(self) -> AsyncGenerator[None, None]:
        """Be the only one."""
        await _until(lambda: self._lock.acquire(blocking=False))
        try:
            yield
        finally:
            self._lock.release()


class FileTokenStore:
    """Keeps a token in a JSON file that only its owner may read; processes may share it.

    A new token takes the old one's place in one step, on disk before it is used: a reader never sees half of one, nor
    does a crash lose it. Who renews a token locks a file beside it, ``<name>.lock``. A link stands for the file that it
    leads to. On Windows, where there is no such
    lock, two processes that renew at the same moment may each use the same refresh token, of which a server that takes
    each only once refuses the second; the file's owner is a matter of its directory there.

    Args:
        path: The file; its directory is made, for its owner alone, where there is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r})"

    async def load(self) -> OAuthToken | None:
        """Read the file.

        Raises:
            OAuthError: It holds no token.
            OSError: It cannot be read.
        """
        return await anyio.to_thread.run_sync(self._read)

    async def save(self, token: OAuthToken | None) -> None:
        """Write the file, or remove it.

        Raises:
            OSError: It cannot be written; the old one stands.
        """
        await anyio.to_thread.run_sync(self._write, token)

    @asynccontextmanager
    async def exclusive(self) -> AsyncGenerator[None, None]:
        """Be the only one, among processes too."""
        descriptor = await anyio.to_thread.run_sync(self._open_lock)
        try:
            await _until(lambda: _try_lock(descriptor))
            yield
        finally:
            os.close(descriptor)  # which lets go of the lock

    def _read(self) -> OAuthToken | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return _token_of(json.loads(data))
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            pass
        # Raised here: the error above may quote the file, and would be this one's context.
        raise OAuthError(f"{self.path} holds no token: remove it, and log in again")

    def _write(self, token: OAuthToken | None) -> None:
        path = self._target()
        if token is None:
            path.unlink(missing_ok=True)
            return
        content = {
            "access_token": token.access_token,
            "refresh_token": token.refresh_token,
            "expires_at": token.expires_at,
            "scope": " ".join(token.scopes),
        }
        _make_directory(path.parent)
        # mkstemp's files are their owner's alone.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)  # noqa: PTH105 - as os.fsync
        except BaseException:
            with suppress(OSError):
                os.unlink(name)  # noqa: PTH108 - as os.fsync
            raise
        if os.name == "posix":
            _sync_directory(path.parent)

    def _open_lock(self) -> int:
        path = self._target()
        _make_directory(path.parent)
        return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))


def _token_of(content: object) -> OAuthToken:
    fields = cast("dict[str, object]", content)
    access, refresh, expires = fields["access_token"], fields.get("refresh_token"), fields.get("expires_at")
    scope = fields.get("scope") or ""
    if not isinstance(access, str) or not is_sendable(access) or not isinstance(scope, str):
        raise ValueError
    return OAuthToken(
        access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        expires_at=float(expires) if isinstance(expires, int | float) else None,
        scopes=tuple(scope.split()),
    )


def _try_lock(descriptor: int) -> bool:
    if fcntl is None:  # pyright: ignore[reportUnnecessaryComparison] - on Windows
        return True  # type: ignore[unreachable] # on Windows
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def _until(attempt: Callable[[], bool]) -> None:
    """Try until it succeeds: whoever holds it may be another process, which tells nobody when it lets go."""
    wait = _FIRST_LOOK
    while not attempt():
        await anyio.sleep(wait)
        wait = min(2 * wait, _LONGEST_LOOK)
