"""Whether somebody looks on."""

import os
from typing import TextIO

__all__ = ["is_screen"]


def is_screen(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal that can move its cursor: boxes and bars are for these."""
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
