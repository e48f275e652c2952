"""What an error means at the command line: one line and an exit code."""

from enum import IntEnum
from typing import Final, cast

from cyclopts import CycloptsError

from ..errors import (
    AuthenticationError,
    InvalidArgumentError,
    LittleBitsError,
    NoStreamsLeftError,
    OAuthError,
    StreamError,
    TransportError,
)
from ._text import one_line

__all__ = ["CommandError", "ExitCode", "explain", "unwrap"]

_EXTRAS = {
    "fastapi": "dashboard",
    "limits": "server",
    "nicegui": "dashboard",
    "platformdirs": "cli",
    "prometheus_client": "server",
    "rich": "cli",
    "starlette": "server",
    "uvicorn": "server",
}


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1
    """The API said no, or what was asked for did not happen."""
    USAGE = 2
    """The command cannot be run as it stands, and nothing was sent: a wrong option, a database or certificate that is
    of no use."""
    UNREACHABLE = 3
    """Nobody answers there, or nobody could: an address to serve at is taken."""
    BUG = 70
    """Ours; the value is EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130
    """Ctrl-C, as shells have it: 128 + SIGINT."""


class CommandError(Exception):
    """A command's own failure, told as it stands.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def unwrap(error: BaseException) -> BaseException:
    """Take the first error out of a task group's; one is what a person can act on."""
    if isinstance(error, BaseExceptionGroup):
        return unwrap(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return error


def explain(error: BaseException) -> tuple[ExitCode, str]:
    """Tell what an error means.

    Returns:
        The exit code, and a line that says what happened and what to do next.
    """
    match error:
        case CommandError():
            code, hint = error.code, ""
        case CycloptsError():
            code, hint = ExitCode.USAGE, f"see {' '.join(('littlebits', *(error.command_chain or ())))} --help"
        case ModuleNotFoundError() if (extra := _EXTRAS.get((error.name or "").partition(".")[0])) is not None:
            code, hint = ExitCode.USAGE, f'pip install "littlebits-async[{extra}]"'
        case _:
            code, hint = next((code, hint) for kind, code, hint in _MEANINGS if isinstance(error, kind))
    if code is ExitCode.BUG:
        text = f"{type(error).__name__}: {error}"
    elif isinstance(error, OSError) and error.strerror:  # its own text begins with a number
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    return code, one_line(f"{text} ({hint})" if hint else text)


_MEANINGS: Final[tuple[tuple[type[BaseException], ExitCode, str], ...]] = (
    (InvalidArgumentError, ExitCode.USAGE, ""),
    (AuthenticationError, ExitCode.REFUSED, "is LITTLEBITS_TOKEN a token of this cloud? littlebits login gets another"),
    (OAuthError, ExitCode.REFUSED, "see littlebits login --help"),
    (NoStreamsLeftError, ExitCode.REFUSED, ""),  # each of its devices was refused
    (TransportError, ExitCode.UNREACHABLE, ""),
    (StreamError, ExitCode.UNREACHABLE, ""),
    (LittleBitsError, ExitCode.REFUSED, ""),
    (OSError, ExitCode.REFUSED, ""),
    (KeyboardInterrupt, ExitCode.INTERRUPTED, "Ctrl-C"),
    (BaseException, ExitCode.BUG, "a bug: please report it, with what `python -X dev -m littlebits_async …` says"),
)
"""The first that fits counts."""
