"""Runs one command: its errors become a line on standard error and an exit code, here and nowhere else."""

import os
import sys
import traceback
from collections.abc import Sequence

from ._app import app
from ._errors import ExitCode, explain, unwrap
from ._logs import log_plainly
from ._output import complain

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name, and return its exit code."""
    # A label may hold what the terminal's encoding cannot, and a file what it does not.
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, "backslashreplace")):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors=errors)
    log_plainly()
    try:
        return int(app(arguments) or ExitCode.DONE)
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # rich prints the help, and makes an exit of it
            return ExitCode.DONE
        raise
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the one place
        return _fail(unwrap(exc))


def _fail(error: BaseException) -> ExitCode:
    if isinstance(error, BrokenPipeError):
        # Who read our output has enough, as `head` does. What is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    code, line = explain(error)
    if code is ExitCode.INTERRUPTED:
        return code  # who pressed Ctrl-C knows
    if code is ExitCode.BUG and sys.flags.dev_mode:
        traceback.print_exception(error)
    complain(line)
    return code
