"""What the small benchmarks share: contenders in processes of their own, one table, one verdict.

A benchmark gives its contenders; `compare` starts each of them in turn, repetition by repetition, as a fresh process on
the client's core, and prints the medians of their figures and of the ratios of ours to theirs.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from . import harness

__all__ = ["Comparison", "Contender", "compare"]


@frozen
class Contender:
    """One way to do it.

    Attributes:
        name: What it is called in the table.
        run: Does it so many times, and returns its figures by column.
        needs: The packages that it needs, by the names that are imported.
    """

    name: str
    run: Callable[[int], Mapping[str, float]]
    needs: tuple[str, ...] = ()


@frozen(kw_only=True)
class Comparison:
    """What is compared.

    Attributes:
        module: The benchmark, as ``python -m`` knows it.
        what: What one figure is, and its unit.
        columns: The figures that each contender gives.
        contenders: The first is ours; the second is what the target speaks of.
        target: The most that ours may be, as a multiple of the second, by column.
        times: How often a contender does it in one process, and with ``--quick``.
        distributions: Whose versions the figures depend on.
    """

    module: str
    what: str
    columns: Sequence[str]
    contenders: Sequence[Contender]
    target: Mapping[str, float] = field(factory=dict[str, float])
    times: tuple[int, int]
    distributions: Sequence[str] = ()


def compare(comparison: Comparison) -> None:
    """Run a comparison as its command line says."""
    parser = argparse.ArgumentParser(f"python -m {comparison.module}", description=comparison.what)
    parser.add_argument("--repetitions", type=int, default=5, help="how often each contender runs (5)")
    parser.add_argument("--quick", action="store_true", help="one short repetition, to see that it works")
    parser.add_argument("--json", metavar="FILE", help="write all figures to a file too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    times = comparison.times[1 if options.quick else 0]
    if options.child is not None:
        (contender,) = [each for each in comparison.contenders if each.name == options.child]
        harness.say(dict(contender.run(times)))
        return
    found = _measure(comparison, 1 if options.quick else options.repetitions, quick=options.quick)
    print(_table(comparison, found))
    for line in _verdicts(comparison, found):
        print(line)
    if options.json is not None:
        machine = harness.machine(comparison.distributions)
        harness.write_json(options.json, {"what": comparison.what, "machine": machine, "results": found})


def _measure(comparison: Comparison, repetitions: int, *, quick: bool) -> list[dict[str, Any]]:
    present = [each for each in comparison.contenders if harness.installed(*each.needs)]
    more = ["--quick"] if quick else []
    return [
        {"repetition": repetition, "name": contender.name}
        | harness.measure(comparison.module, "--child", contender.name, *more)
        for repetition, contender in harness.interleaved(present, repetitions)
    ]


def _figures(found: Sequence[Mapping[str, Any]], name: str, column: str) -> dict[int, float]:
    return {each["repetition"]: each[column] for each in found if each["name"] == name and column in each}


def _table(comparison: Comparison, found: Sequence[Mapping[str, Any]]) -> str:
    ours = comparison.contenders[0].name
    rows: list[list[object]] = []
    for contender in comparison.contenders:
        row: list[object] = [contender.name]
        for column in comparison.columns:
            theirs = _figures(found, contender.name, column)
            if not harness.installed(*contender.needs):
                row += ["not installed", None]
            else:
                row.append(statistics.median(theirs.values()) if theirs else None)
                row.append(harness.median_ratio(_figures(found, ours, column), theirs))
        rows.append(row)
    header = [cell for column in comparison.columns for cell in (column, f"{ours} / it")]
    return f"{comparison.what}\n\n" + harness.table(["", *header], rows)


def _verdicts(comparison: Comparison, found: Sequence[Mapping[str, Any]]) -> list[str]:
    ours, theirs = (each.name for each in comparison.contenders[:2])
    lines: list[str] = []
    for column, target in comparison.target.items():
        ratio = harness.median_ratio(_figures(found, ours, column), _figures(found, theirs, column))
        told = "" if ratio is None else f", {ratio:.2f}"
        lines.append(f"{column}: no more than {target} x {theirs}: {harness.verdict(ratio, target)}{told}")
    return lines
