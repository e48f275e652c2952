"""A screen that nobody sees, for windows."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module

from tests.support.services import missing, program

SIZE = "800x600x24"


def need_tk() -> None:
    """Skip the test where Python has no Tk."""
    try:
        import_module("tkinter")
    except ImportError as exc:
        missing("tk", str(exc))


@contextmanager
def screen() -> Generator[str, None, None]:
    """Start an X server of our own; what the block is given is for ``DISPLAY``."""
    xvfb = program("tk", "Xvfb")
    reading, writing = os.pipe()
    with open(reading, encoding="ascii") as told:  # noqa: PTH123 - a descriptor, no path
        process = subprocess.Popen(
            [xvfb, "-displayfd", str(writing), "-screen", "0", SIZE, "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        try:
            number = told.readline().strip()  # it says so when it can be connected to; nothing if it ended
            assert number, f"Xvfb ended with {process.wait()}"
            yield f":{number}"
        finally:
            process.terminate()
            process.wait()
