"""Runs one command: its errors become a line on standard error and an exit code, here and nowhere else."""

import os
import sys
import traceback
from collections.abc import Sequence

from ._app import app
from ._errors import ExitCode, explain, unwrap
from ._logs import log_plainly

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name, and return its exit code."""
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # a label may hold what the terminal's encoding cannot
    log_plainly()
    try:
        return int(app(arguments) or ExitCode.DONE)
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
    sys.stderr.write(f"littlebits: {line}\n")
    return code
