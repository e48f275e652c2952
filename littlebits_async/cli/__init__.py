"""The ``littlebits`` command (extra ``cli``).

Each command is a function in a module of its own, registered in `_app`; `_frame` runs one, and is the only place that
turns errors into a line and an exit code. Commands print through `_output` alone.
"""

import sys
from collections.abc import Sequence

__all__ = ["main"]

_USAGE = 2  # ExitCode.USAGE, which may be out of reach here


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code; no error leaves it.

    Args:
        arguments: The words after ``littlebits``; None takes those of the process.
    """
    try:
        from ._frame import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as exc:
        if exc.name not in {"cyclopts", "rich"}:
            raise
        sys.stderr.write(
            f'littlebits: {exc.name} is missing, which the command line needs: pip install "littlebits-async[cli]"\n'
        )
        return _USAGE
    return run(sys.argv[1:] if arguments is None else arguments)
