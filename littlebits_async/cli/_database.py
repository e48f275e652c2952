"""The cloud's database, for commands that work on it; a cloud may be serving it meanwhile."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ..localcloud.storage import StorageError, Store
from ._errors import CommandError, ExitCode

__all__ = ["database"]


@asynccontextmanager
async def database(path: Path) -> AsyncGenerator[Store, None]:
    """Open a database, and close it when the block is left; errors are the command's.

    Raises:
        CommandError: It cannot be used, or could not keep a change.
    """
    store = Store(path)
    try:
        await store.open(alone=False)
    except StorageError as exc:
        raise CommandError(str(exc), ExitCode.USAGE) from exc
    try:
        yield store
    except StorageError as exc:
        raise CommandError(str(exc), ExitCode.REFUSED) from exc
    finally:
        await store.aclose()
