"""One thread that owns the database: what is awaited is on disk when it returns.

Jobs that come while a transaction is on its way to the disk share the next one (group commit), so that a thousand
callers wait for one sync and not for a thousand.

Source: recipes/sqlite_writer.py, and its figures in recipes/README.md.
"""

import asyncio
import contextlib
import functools
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from attrs import frozen

__all__ = ["PATIENCE", "Job", "Run", "StorageError", "Watch", "Writer", "is_busy"]

logger: Final = logging.getLogger(__name__)

_MOST_AT_ONCE: Final = 256
"""Jobs that share a transaction."""
PATIENCE: Final = 5.0
"""Seconds to wait for another program's transaction to end: `littlebits tokens`, or somebody's shell."""
_BUSY_TIMEOUT_MS: Final = 250
"""For which SQLite itself waits; in between it is looked whether there is still time."""

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class Run(Protocol):
    """Runs a job in a transaction."""

    def __call__(self, job: Job[T]) -> Awaitable[T]:
        """Run it; when this returns, what it changed is on disk."""
        ...


class StorageError(Exception):
    """The database cannot be used, or could not keep a change: a full disk, a file that is locked or no database."""


class Watch(Protocol):
    """Is told how the database fares, in the thread that owns it."""

    def wrote(self, seconds: float) -> None:
        """Note a transaction that is on disk, and changed something."""
        ...

    def failed(self, count: int) -> None:
        """Note how many jobs the database failed."""
        ...


@frozen
class _Task:
    job: Job[Any]
    done: Callable[[Any, Exception | None], None]


class Writer:
    """Runs jobs on a connection, many to a transaction, in the order in which they were given.

    Another program's transaction is waited for, five seconds at most.

    Args:
        connect: Opens the database, in autocommit mode; called in the thread, which closes it.
        leave: Is given the connection before it is closed, in the thread.
        watch: Is told how it fares.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        leave: Callable[[sqlite3.Connection], None] = lambda _: None,
        *,
        watch: Watch | None = None,
    ) -> None:
        self._connect = connect
        self._leave = leave
        self._watch = watch
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._at_work: list[_Task] = []
        self._closed = False
        self._hurried = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="LocalCloud storage")
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait, those that are at work not counted."""
        return self._tasks.qsize()

    async def opened(self) -> None:
        """Wait until the database is open, or raise what went wrong."""
        await self._opened

    async def run(self, job: Job[T]) -> T:
        """Run a job; when this returns, what it changed is on disk.

        Args:
            job: Takes the connection; it neither begins nor commits. What it raises undoes its own changes only.

        Raises:
            StorageError: The database could not keep it, or the writer is closed.

        Cancellation: does not undo the change.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(_Task(job, functools.partial(self._settle, future)))
        return await future

    def hurry(self) -> None:
        """Wait no longer for other programs: what they keep from being written fails."""
        self._hurried.set()

    async def aclose(self) -> None:
        """Finish what was given, and close the database."""
        if not self._closed:
            self._closed = True
            self._tasks.put(None)
        await self._ended
        self._thread.join()  # it has said so as the last thing it did

    def _put(self, task: _Task) -> None:
        if self._closed:
            raise StorageError("the database is closed")
        self._tasks.put(task)

    def _settle(self, future: asyncio.Future[T], value: T, error: Exception | None) -> None:
        """Tell a future of the loop's what became of it, from the thread."""

        def settle() -> None:
            if future.done():  # whoever waited was cancelled
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        self._tell(settle)

    def _tell(self, news: Callable[[], None]) -> None:
        """Have something done in the loop, from the thread."""
        try:
            self._loop.call_soon_threadsafe(news)
        except RuntimeError:
            logger.debug("the loop had ended before what it asked for was done")

    def _work(self) -> None:
        try:
            connection = self._connect()
        except Exception as error:  # noqa: BLE001 - raised to whoever waits for it
            self._settle(self._opened, None, error)
        else:
            self._settle(self._opened, None, None)
            try:
                with contextlib.closing(connection):
                    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
                    while (tasks := self._next()) is not None:
                        self._at_work = tasks
                        self._commit(connection, tasks)
                    self._leave(connection)
            except Exception:
                logger.exception("the database broke")
        finally:
            self._tell(self._end)

    def _end(self) -> None:
        """Leave nobody waiting for a thread that is gone."""
        self._closed = True
        left: list[_Task | None] = [*self._at_work]  # which were told, unless something broke
        with contextlib.suppress(queue.Empty):
            while True:
                left.append(self._tasks.get_nowait())
        for task in left:
            if task is not None:
                task.done(None, StorageError("the database is closed"))
        if not self._ended.done():
            self._ended.set_result(None)

    def _next(self) -> list[_Task] | None:
        """Wait for tasks, and take what else is there; None at the end."""
        first = self._tasks.get()
        if first is None:
            return None
        tasks = [first]
        while len(tasks) < _MOST_AT_ONCE:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                break
            if task is None:
                self._tasks.put(None)
                break
            tasks.append(task)
        return tasks

    def _commit(self, connection: sqlite3.Connection, tasks: list[_Task]) -> None:
        outcomes: list[tuple[Any, Exception | None]]
        began, changes = time.monotonic(), connection.total_changes
        try:
            self._begin(connection)
            outcomes = [_attempt(connection, task.job) for task in tasks]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - a full disk, a lock: nothing of this was kept, nobody is told it was
            with contextlib.suppress(sqlite3.Error):  # the next transaction tells
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            outcomes = [(None, _not_kept(error))] * len(tasks)
        else:
            if self._watch is not None and connection.total_changes != changes:
                self._watch.wrote(time.monotonic() - began)
        failures = sum(isinstance(failed, StorageError) for _, failed in outcomes)
        if self._watch is not None and failures:
            self._watch.failed(failures)
        for task, (value, failed) in zip(tasks, outcomes, strict=True):
            task.done(value, failed)

    def _begin(self, connection: sqlite3.Connection) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or self._hurried.is_set() or time.monotonic() >= until:
                    raise
            else:
                return


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another connection's transaction is in the way."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # with its reason above the low byte


def _attempt(connection: sqlite3.Connection, job: Job[Any]) -> tuple[Any, Exception | None]:
    """Run one job in a savepoint: its failure undoes it alone."""
    value, failure = None, None
    connection.execute("SAVEPOINT job")
    try:
        value = job(connection)
    except Exception as error:
        if not connection.in_transaction:
            raise  # SQLite rolled everything back, as it does on a full disk
        connection.execute("ROLLBACK TO job")
        failure = _not_kept(error) if isinstance(error, sqlite3.OperationalError) else error
    connection.execute("RELEASE job")
    return value, failure


def _not_kept(error: Exception) -> StorageError:
    failure = StorageError(f"the database did not keep a change: {error}")
    failure.__cause__ = error
    return failure
