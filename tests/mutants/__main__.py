"""The command."""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

from tests.requirements import REQUIREMENTS, asks_for, is_known
from tests.support.marks import collect

from ._faults import FAULTS
from ._run import ROOT, Colour, Verdict, confirm, judge


def main() -> int:
    """Try the faults, print a table of what became of them, and return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="copies at a time")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help="each Nth fault, from the Kth on")
    parser.add_argument("ids", nargs="*", metavar="ID", help="promises of tests/requirements.py (default: all)")
    options = parser.parse_args()
    if unknown := [each for each in options.ids if not is_known(each, REQUIREMENTS)]:
        parser.error(f"tests/requirements.py does not know {', '.join(unknown)}")

    chosen = [known for known in REQUIREMENTS if not options.ids or any(asks_for(each, known) for each in options.ids)]
    first, every = options.part
    faults = FAULTS[first - 1 :: every]
    work = {fault: asked for fault in faults if (asked := [known for known in fault.breaks if known in chosen])}
    tests = [test for test in collect(ROOT / "tests", root=ROOT) if not test.idle]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = list(chain.from_iterable(pool.map(judge, work, work.values(), repeat(tests))))
    # Afterwards, and only the tests that failed: what others do without a fault, no verdict rests on.
    verdicts = confirm(found)
    verdicts += [
        Verdict(known, None, Colour.GREEN, remark="(no fault is known that breaks it)")
        for known in chosen
        if not any(known in fault.breaks for fault in FAULTS)
    ]

    verdicts.sort(key=lambda verdict: chosen.index(verdict.requirement))
    not_red = sum(verdict.colour is not Colour.RED for verdict in verdicts)
    lines = [
        "| id | fault | verdict |",
        "|---|---|---|",
        *(f"| {each.requirement} | {each.fault.what if each.fault else ''} | {each} |" for each in verdicts),
        f"\n{len(work)} faults, {len(verdicts)} verdicts, {not_red} not red",
    ]
    print("\n".join(lines))  # noqa: T201 - what the command is for
    return 1 if not_red else 0


def _part(text: str) -> tuple[int, int]:
    first, _, every = text.partition("/")
    if not 1 <= int(first) <= int(every):
        raise argparse.ArgumentTypeError("K/N, with K from 1 to N")
    return int(first), int(every)


if __name__ == "__main__":
    sys.exit(main())
