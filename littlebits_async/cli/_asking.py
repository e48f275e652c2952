"""Questions to whoever sits at the terminal."""

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from getpass import getpass

from ._text import printable

__all__ = ["ask_secretly", "confirms"]


def confirms(question: str) -> bool:
    """Ask whether something is meant; no answer is none."""
    with _ctrl_c_ends_it():
        sys.stderr.write(f"{printable(question)} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


def ask_secretly(question: str) -> str:
    """Ask for a text that is not shown."""
    with _ctrl_c_ends_it():
        try:
            return getpass(question)
        except EOFError:
            return ""


@contextmanager
def _ctrl_c_ends_it() -> Generator[None, None, None]:
    """Have Ctrl-C raise at once: the event loop would take note of it, and look when the question is answered."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
