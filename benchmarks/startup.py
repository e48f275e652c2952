"""What it costs to start: imports in fresh interpreters, and the command line's first words.

```
python -m benchmarks.startup
```

Each figure is the median over fresh interpreters, less that of an interpreter that does nothing. The files are in the
system's cache and compiled.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from .compare import Comparison, Contender, compare


def start(arguments: Sequence[str]) -> tuple[float, float]:
    """Return the milliseconds of CPU, and of the clock, that an interpreter took."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return (usage.ru_utime + usage.ru_stime) * 1e3, wall * 1e3


def run(arguments: Sequence[str], times: int) -> Mapping[str, float]:
    """Return what starting an interpreter with arguments costs more than with nothing to do."""
    start(arguments)
    found = [(start(arguments), start(["-c", ""])) for _ in range(times)]
    cpu, wall = (statistics.median(did[each] - nothing[each] for did, nothing in found) for each in (0, 1))
    return {"CPU": cpu, "wall": wall}


def importing(statement: str, *needs: str) -> Contender:
    """Return who runs an import statement."""
    return Contender(statement, partial(run, ["-c", statement]), needs)


if __name__ == "__main__":
    compare(
        Comparison(
            module="benchmarks.startup",
            what="Start-up: milliseconds more than an interpreter that does nothing",
            columns=["CPU", "wall"],
            contenders=[
                importing("import littlebits_async"),
                importing("import httpx"),
                importing("import aiohttp", "aiohttp"),
                importing("from littlebits_async import Session"),
                importing("from littlebits_async import InputReactor"),
                Contender("littlebits --version", partial(run, ["-m", "littlebits_async", "--version"]), ("cyclopts",)),
                Contender("littlebits --help", partial(run, ["-m", "littlebits_async", "--help"]), ("cyclopts",)),
            ],
            times=(11, 1),
            distributions=["httpx", "aiohttp", "anyio", "attrs", "cattrs", "msgspec", "cyclopts", "rich"],
        )
    )
