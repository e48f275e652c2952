"""Files of the command's own, which only their owner may read."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from ._errors import CommandError, ExitCode

__all__ = ["check_private", "write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Put a text in a file's place in one step: a crash leaves the old one or the new, never half of one.

    Raises:
        OSError: It cannot be written; the old one stands.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # its owner's alone
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def check_private(path: Path) -> None:
    """Refuse a secret that others may read, as ssh does: they may have it already, which its owner should know.

    Raises:
        CommandError: They may.
        OSError: It cannot be looked at.
    """
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise CommandError(f"{path} may be read by others: `chmod 600 {path}` makes it yours alone", ExitCode.USAGE)
