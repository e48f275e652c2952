"""What ``stream.py`` prints: a table for each scenario, what failed, and the targets."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from attrs import define, field, frozen

from . import harness

__all__ = ["Results", "report"]

_NOT_INSTALLED: Final = "not installed"


@frozen
class Row:
    """A client on a loop in a scenario."""

    scenario: str
    peer: str
    loop: str


@define(eq=False)
class Results:
    """All that was measured.

    Attributes:
        machine: Where, with what.
    """

    machine: Mapping[str, Any]
    _found: dict[Row, dict[int, dict[str, Any]]] = field(factory=dict[Row, dict[int, dict[str, Any]]])

    def add(self, scenario: str, peer: str, loop: str, repetition: int, found: dict[str, Any]) -> None:
        """Add a measurement."""
        self._found.setdefault(Row(scenario, peer, loop), {})[repetition] = found

    @property
    def rows(self) -> Sequence[Row]:
        """What was measured, in the order in which it was."""
        return tuple(self._found)

    def failure(self, row: Row) -> str | None:
        """Why a client has no figures here: the first of its failures."""
        if row not in self._found:
            return "not measured"
        return next((found["failed"] for found in self._found[row].values() if "failed" in found), None)

    def failures(self) -> dict[Row, str]:
        """What failed, and why; what is not installed has not failed."""
        failed = {row: self.failure(row) for row in self.rows}
        return {row: why for row, why in failed.items() if why is not None and why != _NOT_INSTALLED}

    def median(self, row: Row, figure: str) -> float | None:
        """Return the median of a figure over the repetitions."""
        values = self._by_repetition(row, figure).values()
        return statistics.median(values) if values else None

    def ratio(self, row: Row, of: Row, figure: str) -> float | None:
        """Return the median of the ratios of a figure within each repetition."""
        return harness.median_ratio(self._by_repetition(row, figure), self._by_repetition(of, figure))

    def _by_repetition(self, row: Row, figure: str) -> dict[int, float]:
        if self.failure(row) is not None:
            return {}
        return {repetition: found[figure] for repetition, found in self._found[row].items() if figure in found}

    @property
    def preempted_per_s(self) -> float:
        """How often others took the clients' core away, in a second of its use: the median over all measurements."""
        rates = [found.get("preempted_per_s", 0.0) for each in self._found.values() for found in each.values()]
        return statistics.median(rates) if rates else 0.0

    def dump(self) -> dict[str, Any]:
        """Return all of it for a file."""
        measurements = [
            {"scenario": row.scenario, "peer": row.peer, "loop": row.loop, "repetition": repetition} | found
            for row, repetitions in self._found.items()
            for repetition, found in repetitions.items()
        ]
        return {"machine": self.machine, "targets": [*targets(self)], "measurements": measurements}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> Self:
        """Read it from a file."""
        results = cls(dumped["machine"])
        for each in dumped["measurements"]:
            found = dict(each)
            scenario, peer, loop, repetition = (found.pop(name) for name in ("scenario", "peer", "loop", "repetition"))
            results.add(scenario, peer, loop, repetition, found)
        return results


# Targets


@frozen
class Target:
    """What ours is to reach.

    Attributes:
        what: What it is about.
        figure: The figure.
        scenario: Where.
        of: The client, or with ``@`` the scenario, to whose figure it is a ratio; None for the figure itself.
        most: What it must not be over.
        stretch: What it would better not be over.
        peer: Which of ours.
    """

    what: str
    figure: str
    scenario: str
    of: str | None
    most: float
    stretch: float | None = None
    peer: str = "ours"


def _step(streams: int) -> list[Target]:
    scenario = f"step-{streams}"
    return [
        Target("CPU per event", "cpu_us", scenario, "httpx-sse", 0.12),
        Target("CPU per event", "cpu_us", scenario, "raw", 1.3, 1.1),
        Target("CPU per event, plain feed", "cpu_us", scenario, "httpx-sse", 1.0, 0.8, "ours-plain"),
    ]


_TARGETS: Final = (
    *_step(100),
    *_step(1000),
    *_step(3000),
    Target("CPU per event", "cpu_us", "flood-100", "httpx-sse", 0.30, 0.22),
    Target("CPU per event", "cpu_us", "burst-100", "httpx-sse", 0.60, 0.45),
    Target("CPU per event", "cpu_us", "paced-1000", "httpx-sse", 0.33, 0.28),
    Target("p99 from write to consumer", "p99_ms", "paced-1000", "httpx-sse", 0.45),
    Target("p99 from write to consumer", "p99_ms", "paced-1000", "raw", float("inf"), 1.1),
    Target("KiB per stream", "kib", "step-1000", None, 20, 12),
    Target("KiB per stream", "kib", "step-1000-tls", None, 70),
    Target("opening, CPU", "open_cpu_ms", "step-1000", "httpx-sse", 0.35, 0.2),
    Target("opening, time", "open_ms", "step-1000", "httpx-sse", 0.35, 0.2),
    Target("opening, CPU", "open_cpu_ms", "step-3000", "httpx-sse", 0.26, 0.13),
    Target("opening, time", "open_ms", "step-3000", "httpx-sse", 0.26, 0.13),
    Target("opening, CPU", "open_cpu_ms", "step-3000", "@step-1000", 3.5),
    Target("opening, time", "open_ms", "step-3000", "@step-1000", 3.5),
    Target("closing, CPU", "close_cpu_ms", "step-3000", "httpx-sse", 0.1),
    Target("closing, time", "close_ms", "step-3000", "httpx-sse", 0.1),
)


def targets(results: Results) -> Iterator[dict[str, Any]]:
    """Compare what was measured with the targets, on each loop."""
    for target in _TARGETS:
        for loop in dict.fromkeys(row.loop for row in results.rows):
            row = Row(target.scenario, target.peer, loop)
            if row not in results.rows:
                continue
            if target.of is None:
                found = results.median(row, target.figure)
            elif target.of.startswith("@"):
                found = results.ratio(row, Row(target.of[1:], target.peer, loop), target.figure)
            else:
                found = results.ratio(row, Row(target.scenario, target.of, loop), target.figure)
            yield {
                "what": target.what,
                "scenario": target.scenario,
                "loop": loop,
                "of": (target.of or "").removeprefix("@") or None,
                "found": found,
                "target": None if target.most == float("inf") else target.most,
                "stretch": target.stretch,
            }


# Tables

_CPU: Final = (("CPU µs/event", "cpu_us", None), ("x httpx-sse", "cpu_us", "httpx-sse"), ("x raw", "cpu_us", "raw"))
_STREAMS: Final = (
    ("KiB/stream", "kib", None),
    ("open CPU ms", "open_cpu_ms", None),
    ("x httpx-sse", "open_cpu_ms", "httpx-sse"),
    ("open ms", "open_ms", None),
    ("x httpx-sse", "open_ms", "httpx-sse"),
    ("close CPU ms", "close_cpu_ms", None),
    ("x httpx-sse", "close_cpu_ms", "httpx-sse"),
    ("close ms", "close_ms", None),
)
_LATENCY: Final = (
    ("p50 ms", "p50_ms", None),
    ("p99 ms", "p99_ms", None),
    ("x httpx-sse", "p99_ms", "httpx-sse"),
    ("x raw", "p99_ms", "raw"),
)
_COLUMNS: Final = {
    "step": (*_CPU, *_STREAMS),
    "flood": (*_CPU, ("µs/event", "wall_us", None)),
    "burst": (*_CPU, ("µs/event", "wall_us", None)),
    "paced": (*_CPU, *_LATENCY),
}


def report(results: Results) -> str:
    """Return all tables, as Markdown."""
    parts = [
        f"{_describe(results.machine)} The clients' core was taken away {results.preempted_per_s:.0f} times a second."
    ]
    for scenario in dict.fromkeys(row.scenario for row in results.rows):
        parts += [f"### {scenario}", _table(results, scenario)]
    if failures := results.failures():
        parts += ["### Failed", "\n".join(f"- {_name(row)} in {row.scenario}: {why}" for row, why in failures.items())]
    compared = [
        [
            f"{each['what']}, {each['scenario']}",
            each["loop"],
            "" if each["of"] is None else f"x {each['of']}",
            each["found"],
            each["target"],
            harness.verdict(each["found"], each["target"]),
            each["stretch"],
            harness.verdict(each["found"], each["stretch"]),
        ]
        for each in targets(results)
    ]
    if compared:
        header = ("target", "loop", "unit", "found", "at most", "", "stretch", "")
        parts += ["### Targets", harness.table(header, compared)]
    return "\n\n".join(parts)


def _table(results: Results, scenario: str) -> str:
    columns = _COLUMNS[scenario.partition("-")[0]]
    rows: list[list[object]] = []
    for row in [row for row in results.rows if row.scenario == scenario]:
        if (failure := results.failure(row)) is not None:
            shown = failure if failure == _NOT_INSTALLED else "FAILED"
            rows.append([_name(row), shown, *[""] * (len(columns) - 1)])
            continue
        rows.append(
            [
                _name(row),
                *(
                    results.median(row, figure)
                    if of is None
                    else results.ratio(row, Row(scenario, of, row.loop), figure)
                    for _, figure, of in columns
                ),
            ]
        )
    return harness.table(["client", *(name for name, _, _ in columns)], rows)


def _name(row: Row) -> str:
    return row.peer if row.loop == "asyncio" else f"{row.peer}, {row.loop}"


def _describe(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version or _NOT_INSTALLED}" for name, version in machine["versions"].items())
    pinned = "" if machine["pinned"] else "; NOT pinned to two cores, so that client and server compete"
    return (
        f"{machine['measured_at']}: {machine['machine']} ({machine['processor']}), {machine['system']}, "
        f"{machine['python']}; load before: {machine['load_before'][0]}{pinned}. {versions}."
    )
