"""What the benchmarks share: pinned processes, CPU time of a phase, interleaved repetitions, ratios, tables, JSON.

The client under test runs alone on one core, in a fresh process for each measurement; its server is another process, on
another core. Repetitions are interleaved: each goes once through all that is compared, starting with another one, so
that whatever else the machine does meets all of them alike. What counts is the CPU time of the client's process, and
of that the median, over the repetitions, of the ratio of two measurements in the same repetition.

```
harness.allow_open_files()
for repetition, name in harness.interleaved(["ours", "theirs"], 5):
    found = harness.measure("benchmarks.calls", "--child", name)          # a fresh process, pinned
    results.append({"repetition": repetition, "name": name} | found)
```

In the child:

```
with harness.Server("benchmarks.calls", "--server") as server:            # pinned to the other core
    address = server.hear()                                               # what it printed with `say`
    with harness.Phase() as phase:
        ...
harness.say({"cpu_us": phase.cpu / calls * 1e6})
```
"""

import asyncio
import gc
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

__all__ = [
    "CLIENT_CORE",
    "SERVER_CORE",
    "MeasurementError",
    "Phase",
    "Server",
    "allow_open_files",
    "installed",
    "interleaved",
    "machine",
    "measure",
    "median_ratio",
    "resident_kib",
    "run",
    "say",
    "table",
    "verdict",
    "write_json",
]

ROOT: Final = Path(__file__).resolve().parent.parent
_CORES: Final = "LITTLEBITS_BENCHMARK_CORES"
PATIENCE: Final = 300.0
"""Seconds that one measurement may take."""

T = TypeVar("T")


def _cores() -> tuple[int | None, int | None]:
    if (said := os.environ.get(_CORES)) is not None:  # a pinned child sees but its own core
        first, last = json.loads(said)
        return first, last
    if not hasattr(os, "sched_getaffinity"):  # macOS and Windows do not pin
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


CLIENT_CORE, SERVER_CORE = _cores()
"""The cores of the client and of its server; None where the platform cannot pin, the same where there is but one."""


class MeasurementError(Exception):
    """A measurement that cannot count: the child failed, or what it measured did not do its work."""


# Processes


def _start(core: int | None, module: str, *arguments: str, stdin: int | None = None) -> subprocess.Popen[bytes]:
    environment = os.environ | {_CORES: json.dumps([CLIENT_CORE, SERVER_CORE])}
    process = subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdin=stdin, stdout=subprocess.PIPE
    )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    return process


def measure(module: str, *arguments: str, patience: float = PATIENCE) -> dict[str, Any]:
    """Run ``python -m module arguments`` alone on the client's core, and return the last object that it said.

    Args:
        module: A benchmark of ours.
        arguments: Its command line.
        patience: Seconds that it may take.

    Raises:
        MeasurementError: It failed, took too long or said nothing.
    """
    with _start(CLIENT_CORE, module, *arguments) as process:
        try:
            output, _ = process.communicate(timeout=patience)
        except BaseException as exc:
            process.kill()
            if isinstance(exc, subprocess.TimeoutExpired):
                raise MeasurementError(f"took more than {patience:g} s") from None
            raise
    lines = output.splitlines()
    if process.returncode or not lines:
        raise MeasurementError(f"exit code {process.returncode}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


class Server:
    """A process of ours on the server's core, spoken to in lines of JSON; it ends with the block.

    What it answers is waited for: ask while nothing is measured. `poke` costs one system call.

    Args:
        module: The benchmark whose server it is.
        arguments: Its command line.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = _start(SERVER_CORE, module, *arguments, stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with self._process as process:  # waits, and closes the pipes
            process.kill()

    def hear(self) -> Any:  # noqa: ANN401 - whatever the benchmark's own server says
        """Wait for the next thing that the server says."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError("the server is gone")
        return json.loads(line)

    def tell(self, what: object) -> None:
        """Send the server a line, without waiting for what it says to it."""
        self._write(json.dumps(what).encode() + b"\n")

    def ask(self, what: object) -> Any:  # noqa: ANN401 - as above
        """Send the server a line, and wait for its answer."""
        self.tell(what)
        return self.hear()

    def poke(self) -> None:
        """Send the server an empty line."""
        self._write(b"\n")

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        os.write(self._process.stdin.fileno(), data)


def say(what: object) -> None:
    """Say an object to whoever started this process."""
    print(json.dumps(what), flush=True)


def allow_open_files() -> int:
    """Raise the limit of open files as far as it goes; children inherit it.

    Returns:
        How many files may be open now.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def run(main: Callable[[], Coroutine[Any, Any, None]], *, loop: str = "asyncio") -> None:
    """Run a coroutine on asyncio's own loop, or on uvloop's."""
    if loop == "uvloop":
        uvloop = import_module("uvloop")  # an option
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    else:
        asyncio.run(main())


# Figures


class Phase:
    """What the block cost.

    Attributes:
        cpu: Seconds of this process, user and system, all threads.
        wall: Seconds of the clock.
        preempted: How often another process took the core away; many a second mean that the machine was not quiet.
    """

    cpu = 0.0
    wall = 0.0
    preempted = 0

    def __enter__(self) -> Self:
        self._preempted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.cpu = time.process_time() - self._cpu
        self.wall = time.perf_counter() - self._wall
        self.preempted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - self._preempted


def resident_kib() -> float:
    """Return this process's resident memory in KiB, garbage collected. Linux only."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def interleaved(things: Sequence[T], repetitions: int) -> Iterator[tuple[int, T]]:
    """Go through all things once in each repetition, starting with another one each time."""
    for repetition in range(repetitions):
        start = repetition % len(things)
        for thing in [*things[start:], *things[:start]]:
            yield repetition, thing


def median_ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Return the median of the ratios within the same repetition; None where no repetition has both.

    Args:
        ours: Figures by repetition.
        theirs: The figures that they are to be compared with.
    """
    ratios = [ours[each] / theirs[each] for each in ours.keys() & theirs.keys() if theirs[each] > 0]
    return statistics.median(ratios) if ratios else None


def installed(*packages: str) -> bool:
    """Return whether packages, by the names that are imported, are installed."""
    return all(find_spec(package) is not None for package in packages)


def machine(distributions: Iterable[str] = ()) -> dict[str, Any]:
    """Return what figures depend on: the kind of machine and the versions. No names of hosts or users."""
    versions: dict[str, str | None] = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, loopback",
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "pinned": CLIENT_CORE is not None and CLIENT_CORE != SERVER_CORE,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


# Output


def verdict(value: float | None, target: float | None) -> str:
    """Say whether a figure meets its target, to be no more than which."""
    if target is None:
        return ""
    if value is None:
        return "not measured"
    return "met" if value <= target else "missed"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as Markdown, its first column to the left and all others to the right."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(header), *lines]) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
        for line in [list(header), rule, *lines]
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits tell enough
    return str(value)


def write_json(path: str | Path, what: object) -> None:
    """Write an object to a file, for machines."""
    Path(path).write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
