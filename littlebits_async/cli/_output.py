"""What commands print: lines for people, or with ``--json`` one JSON object a line; and what they complain of."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from attrs import frozen
from cyclopts import Parameter

from ._text import printable

__all__ = ["JsonLines", "Printer", "complain"]

JsonLines = Annotated[bool, Parameter(name="--json", negative="", show_default=False)]
"""The option that everything has that prints."""


@frozen
class Printer:
    """Prints to standard output, and flushes each line: it may be a pipe whose reader waits.

    Attributes:
        as_json: Print records in place of text.
    """

    as_json: bool

    def __call__(self, record: Mapping[str, object], text: str) -> None:
        """Print one thing.

        Args:
            record: An object whose one key says what it tells of: ``{"device": {"id": …}}``.
            text: The same for people; one line.
        """
        self._write(json.dumps(record) if self.as_json else printable(text))

    def note(self, text: str) -> None:
        """Print what only people want to know; one line."""
        if not self.as_json:
            self._write(printable(text))

    @staticmethod
    def _write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line of ours to standard error; where nobody reads that any more, the work goes on."""
    with suppress(OSError):
        sys.stderr.write(f"littlebits: {printable(text)}\n")
        sys.stderr.flush()
