"""The ``littlebits`` command (extra ``cli``).

Each command is a function in a module of its own, registered in `_app`; `_frame` runs one, and is the only place that
turns errors into a line and an exit code. Commands print through `_output` alone.
"""

import sys
from collections.abc import Sequence

from ._standard import open_standard_streams

__all__ = ["main"]

# Of ExitCode, which may be out of reach here.
_USAGE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code; no error leaves it.

    Args:
        arguments: The words after ``littlebits``; None takes those of the process.
    """
    open_standard_streams()
    try:
        from ._frame import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as exc:
        if exc.name not in {"cyclopts", "rich"}:
            raise
        sys.stderr.write(
            f'littlebits: {exc.name} is missing, which the command line needs: pip install "littlebits-async[cli]"\n'
        )
        return _USAGE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return run(sys.argv[1:] if arguments is None else arguments)
