"""What was measured and counted in a long run, and the verdict on it: whether it grew. Linux only, by ``/proc``."""

import asyncio
import gc
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import field, frozen

QUARTERS: Final = 4
FEWEST: Final = 8
"""Samples without which there is no verdict on growth."""
GROWTH: Final[Mapping[str, tuple[float, float]]] = {
    "rss": (0.10, 4.0),
    "handles": (0.05, 8),
    "tasks": (0.05, 8),
    "objects": (0.10, 5000),
}
"""How much more there may be later, during the storm: a share of what there was, and so many besides."""
IN_THE_CALM: Final[Mapping[str, tuple[float, float]]] = {"rss": (0.20, 8.0), "objects": (0.01, 1500)}
"""The same for the calm after it. Memory was never asked for as much before; objects are counted to the last."""
BESIDES: Final = 96
"""Open files that are no device's: of calls, of short streams, of sessions that come and go."""


@frozen
class Sample:
    """How much there was at a moment.

    Attributes:
        rss: Resident memory in MiB.
        handles: Open files and sockets.
        tasks: Tasks of the event loop.
        objects: Objects that the garbage collector watches.
    """

    rss: float
    handles: int
    tasks: int
    objects: int

    @classmethod
    def take(cls, loop: str) -> "Sample":
        """Look now; what is garbage is collected first, so that it does not count."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(
            rss=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            handles=len(os.listdir("/dev/fd")),  # noqa: PTH208 - numbers, no paths
            tasks=_tasks(loop),
            objects=len(gc.get_objects()),
        )

    def __str__(self) -> str:
        return f"rss {self.rss:.1f} MiB, handles {self.handles}, tasks {self.tasks}, objects {self.objects}"


@frozen
class Run:
    """What was measured in the course of a run.

    Attributes:
        ends: Before the session was opened, and after it was closed.
        calm: Before the storm and after it, when every device was streamed and nothing else went on.
        storm: At even intervals during it.
    """

    ends: list[Sample] = field(factory=list[Sample])
    calm: list[Sample] = field(factory=list[Sample])
    storm: list[Sample] = field(factory=list[Sample])

    def quarter(self, number: int, name: str) -> float:
        """Return the median of a quarter of the storm, the first of which is number 0."""
        begin, end = (len(self.storm) * edge // QUARTERS for edge in (number, number + 1))
        return statistics.median(float(getattr(sample, name)) for sample in self.storm[begin:end])


@frozen
class Tally:
    """What was counted in the course of a run.

    Attributes:
        paid: Requests that the budget granted and did not take back.
        counted: Requests that the cloud counted.
        silences: Faults of the storm after which a stall should have been noticed.
        stalls: Stalls that the reactor noticed.
        answered: Calls that succeeded, by when.
    """

    paid: int
    counted: int
    silences: int
    stalls: int
    answered: Mapping[str, int]

    def __str__(self) -> str:
        answered = ", ".join(f"{number} in {when}" for when, number in self.answered.items())
        return (
            f"{self.paid} requests granted, {self.counted} counted by the cloud; {self.silences} long silences, "
            f"{self.stalls} stalls noticed; calls answered: {answered}"
        )


def reconcile(tally: Tally) -> list[str]:
    """Return what does not add up; fewer requests than were granted may arrive, but none that was not."""
    against = [f"no call was answered in {when}" for when, number in tally.answered.items() if not number]
    if tally.counted > tally.paid:
        against.append(f"the cloud counted {tally.counted} requests, and the budget granted {tally.paid}")
    if tally.silences and not tally.stalls:
        against.append(f"no stall was noticed in {tally.silences} long silences")
    return against


def judge(run: Run, *, devices: int) -> list[str]:
    """Return what speaks against a run of so many devices; nothing where nothing grew."""
    samples, (before, after) = run.storm, run.calm
    against = [
        f"{name} in {where} were {getattr(early, name)} and then {getattr(late, name)}"
        for where, (early, late) in (("the calm", run.calm), ("the end", run.ends))
        for name in ("handles", "tasks")
        if getattr(early, name) != getattr(late, name)
    ]
    for name, tolerance in IN_THE_CALM.items():
        against += _growth("the calm", name, getattr(before, name), getattr(after, name), tolerance)
    if len(samples) < FEWEST:
        return [*against, f"{len(samples)} samples are too few to judge growth"]
    for name, tolerance in GROWTH.items():
        against += _growth("the storm", name, run.quarter(1, name), run.quarter(3, name), tolerance)
    most = {
        "handles": run.ends[0].handles + devices + BESIDES,
        "tasks": run.ends[0].tasks + 2 * devices + BESIDES,  # a stream is a task, and its opening is another
    }
    for name, bound in most.items():
        if (found := max(getattr(sample, name) for sample in samples)) > bound:
            against.append(f"{name} were {found} at a time, and {devices} devices explain {bound}")
    return against


def _growth(where: str, name: str, early: float, late: float, tolerance: tuple[float, float]) -> list[str]:
    share, besides = tolerance
    if late <= early * (1 + share) + besides:
        return []
    return [f"{name} in {where} grew from {early:.1f} to {late:.1f}, by more than {share:.0%} and {besides:g}"]


def _tasks(loop: str) -> int:
    if loop == "trio":
        import trio  # noqa: PLC0415 - only where it is asked for

        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())
