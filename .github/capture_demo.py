"""Draw demo.svg, the README's picture of `littlebits demo`: what the command itself leaves in a terminal.

python .github/capture_demo.py    # Linux or macOS
"""

# ruff: noqa: INP001 - a script

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 100, 30
SECONDS = 8
PICTURE = Path(__file__).with_name("demo.svg")


def run(*command: str) -> str:
    """Run a command in a terminal, and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:  # noqa: S603 - ours
        os.close(theirs)
        written = io.BytesIO()
        try:
            while chunk := os.read(ours, 65536):
                written.write(chunk)
        except OSError:
            pass  # how Linux says that the other side is closed
        finally:
            os.close(ours)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return written.getvalue().decode().replace("\r\n", "\n")


def draw(left: str) -> str:
    """Draw what was left in the terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(left.strip()))
    svg = console.export_svg(title="littlebits demo", unique_id="demo")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # nobody is to be asked for fonts


if __name__ == "__main__":
    seen = run(sys.executable, "-m", "littlebits_async", "demo", "--seconds", str(SECONDS))
    PICTURE.write_text(draw(seen.rpartition("\x1b[?1049l")[2]), encoding="utf-8")  # behind the screen of its own
