"""`Database`: the file, or the memory, that a connection is opened to."""

import contextlib
import os
import sqlite3
from typing import Final

from ._schema import migrate
from ._writer import PATIENCE, StorageError, is_busy

__all__ = ["Database"]

_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # what was answered survives a loss of power
    "PRAGMA foreign_keys = ON",
)


class Database:
    """Where everything is kept; one cloud at a time may serve it.

    Args:
        path: The file; None for memory, which is given back as it was when it is opened again.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else os.fspath(path)
        self._kept = b""
        self._lock: sqlite3.Connection | None = None

    def connect(self, *, alone: bool) -> sqlite3.Connection:
        """Open it, and make it or bring it up to date where needed.

        Args:
            alone: Whether this is the one cloud that may serve it; a program that only changes a token is not.

        Raises:
            StorageError: It is no database of ours, or another cloud serves it.
            sqlite3.Error: SQLite cannot open it.
            OSError: The file cannot be made.
        """
        if self.path is None:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            if self._kept:
                connection.deserialize(self._kept)
        else:
            if alone:
                self._lock = _lock(f"{self.path}-serving")
            with contextlib.suppress(FileExistsError):  # then its permissions are somebody's choice
                # Nobody else's to read, for the secrets of webhooks stand in it; SQLite's other files do as this one.
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
            connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            migrate(connection, alone=alone)
        except BaseException:
            connection.close()
            raise
        return connection

    def keep(self, connection: sqlite3.Connection) -> None:
        """Take over what is in memory, before its connection is closed."""
        if self.path is None:
            self._kept = connection.serialize()

    def unlock(self) -> None:
        """Let another cloud serve it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _lock(path: str) -> sqlite3.Connection:
    """Hold a lock that ends with this process, however it ends, on every system that SQLite knows."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if not is_busy(error):
            raise
        raise StorageError("another cloud serves this database") from None
    return connection
