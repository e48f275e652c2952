"""The password of a dashboard."""

import os
from pathlib import Path
from typing import Final

from ._errors import CommandError, ExitCode

__all__ = ["read_password"]

_PASSWORD: Final = "LITTLEBITS_DASHBOARD_PASSWORD"  # noqa: S105 - the name of a variable


def read_password(file: Path | None) -> str | None:
    """Read a password from the first line of a file, or else from its variable; None where there is none.

    Raises:
        CommandError: There is none in the file.
    """
    if file is None:
        return os.environ.get(_PASSWORD) or None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as exc:
        problem = getattr(exc, "strerror", None) or "it is not UTF-8"
        raise CommandError(f"cannot read {file}: {problem}", ExitCode.USAGE) from exc
    if not lines or not lines[0]:
        raise CommandError(f"{file}: its first line is to be the password, and is empty", ExitCode.USAGE)
    return lines[0]
