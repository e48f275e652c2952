"""A disk below SQLite that waits or fails when a test says so."""

import re
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

PATIENCE = 10


async def until(wanted: Callable[[], bool]) -> None:
    """Wait for what a thread brings about, which tells nobody."""
    with anyio.fail_after(PATIENCE):
        while not wanted():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.002)


class Disk:
    """What the connections are on that are made after `install`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_held = False
        self._free = 0
        self._waiting = 0
        self._broken: re.Pattern[str] | None = None
        self._error: type[Exception] = sqlite3.OperationalError

    @classmethod
    def install(cls, patch: pytest.MonkeyPatch) -> "Disk":
        """Put one below all connections that are made from now on."""
        disk = cls()

        def connect(*args: Any, **options: Any) -> sqlite3.Connection:
            return _Connection(disk, *args, **options)

        patch.setattr(sqlite3, "connect", connect)
        return disk

    @property
    def is_asked(self) -> bool:
        """Whether a transaction waits to be written that was not let through."""
        with self._changed:
            return self._waiting > self._free

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Let no transaction be written in the block, but for those that `write` lets through."""
        self._is_held, self._free = True, 0
        try:
            yield
        finally:
            with self._changed:
                self._is_held = False
                self._changed.notify_all()

    def write(self) -> None:
        """Let one transaction be written, the one that waits or else the next."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    @contextmanager
    def broken(self, statements: str, error: type[Exception] = sqlite3.OperationalError) -> Generator[None, None, None]:
        """Let every statement fail in the block that begins as a pattern says."""
        self._broken, self._error = re.compile(rf"\s*({statements})"), error
        try:
            yield
        finally:
            self._broken = None

    def meet(self, statement: str) -> None:
        """Wait or fail, as a connection that is about to execute a statement."""
        if statement == "COMMIT":
            with self._changed:
                self._waiting += 1
                self._changed.wait_for(lambda: not self._is_held or self._free, PATIENCE)
                self._waiting -= 1
                self._free = max(self._free - 1, 0)
        if self._broken is not None and self._broken.match(statement):
            error = self._error("disk I/O error")
            if isinstance(error, sqlite3.Error):
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR  # as SQLite's own has it
            raise error


class _Connection(sqlite3.Connection):
    def __init__(self, disk: Disk, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._disk = disk

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self._disk.meet(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        self._disk.meet(sql)
        return super().executemany(sql, parameters)
