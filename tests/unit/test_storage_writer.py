"""Whatever becomes of the connection, whoever waits for the writer is told, and nobody waits for ever."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from littlebits_async.localcloud.storage import StorageError
from littlebits_async.localcloud.storage._writer import Writer
from tests.support.disk import Disk

pytestmark = pytest.mark.asyncio

PATIENCE = 10


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk.install(monkeypatch)


@asynccontextmanager
async def writing(connect: Callable[[], sqlite3.Connection]) -> AsyncGenerator[Writer, None]:
    """A writer with a table of notes; nothing in the block, nor its end, may wait for ever."""
    with anyio.fail_after(PATIENCE):
        writer = Writer(connect)
        await writer.opened()
        await writer.run(lambda db: db.execute("CREATE TABLE notes (text)"))
        yield writer
        await writer.aclose()


def connect() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def note(text: str) -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute("INSERT INTO notes VALUES (?)", (text,))


def notes(db: sqlite3.Connection) -> list[str]:
    return [text for (text,) in db.execute("SELECT text FROM notes")]


async def test_what_is_not_committed_is_not_kept_and_the_next_is(disk: Disk) -> None:
    async with writing(connect) as writer:
        with disk.broken("COMMIT"):
            with pytest.raises(StorageError, match="disk I/O error"):
                await writer.run(note("lost"))
        await writer.run(note("kept"))
        assert await writer.run(notes) == ["kept"]


async def test_a_rollback_that_fails_freezes_nobody(disk: Disk) -> None:
    async with writing(connect) as writer:
        with disk.broken("COMMIT|ROLLBACK"):
            for text in ("lost", "lost too"):
                with pytest.raises(StorageError):
                    await writer.run(note(text))
        with contextlib.suppress(StorageError):  # which may find the old transaction in its way, and ends it
            await writer.run(notes)
        await writer.run(note("kept"))
        assert await writer.run(notes) == ["kept"]


async def test_whoever_waits_when_the_thread_ends_is_told(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    async with writing(connect) as writer:
        with disk.broken("COMMIT|ROLLBACK", MemoryError):  # none of SQLite's own, so nobody expects it
            with disk.held():
                at_work = asyncio.create_task(writer.run(note("at work")))
                while not disk.is_asked:  # noqa: ASYNC110 - another thread
                    await anyio.sleep(0.002)
                waiting = [asyncio.create_task(writer.run(note("waits"))) for _ in range(2)]
                await anyio.lowlevel.checkpoint()
            outcomes = await asyncio.gather(at_work, *waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StorageError] * 3
        with pytest.raises(StorageError):
            await writer.run(notes)
    assert "disk I/O error" in caplog.text


class Unclosable(sqlite3.Connection):
    """Closes, and says that it could not."""

    def close(self) -> None:
        super().close()
        raise sqlite3.OperationalError("disk I/O error")


async def test_a_connection_that_cannot_be_closed_does_not_hold_up_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "notes.db"
    async with writing(lambda: sqlite3.connect(path, isolation_level=None, factory=Unclosable)) as writer:
        await writer.run(note("kept"))
    with pytest.raises(StorageError, match="closed"):
        await writer.run(notes)
    assert "disk I/O error" in caplog.text
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert notes(other) == ["kept"]
