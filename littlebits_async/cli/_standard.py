"""The standard streams, which a shell may close: ``>&-``."""

import os
import sys

__all__ = ["open_standard_streams"]


def open_standard_streams() -> None:
    """Have what was closed lead to nowhere, as ``>/dev/null`` does; Python leaves None in its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Never closed: it lasts as long as the process.
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
