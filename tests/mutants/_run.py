"""One fault, one copy of the tree, one run of the tests that must see it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve, field, frozen

from tests.requirements import MarkedTest, asks_for

from ._faults import Fault
from ._watch import NOTES

__all__ = ["ROOT", "Colour", "Verdict", "confirm", "judge"]

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60.0
"""Seconds that a run may take; what takes longer hangs."""

_NEEDED: Final = ("littlebits_async", "tests", "pyproject.toml", "README.md")
# hypothesis has a plugin too: to load it costs as much as to start pytest.
_PLUGINS: Final = ("no:cacheprovider", "anyio.pytest_plugin", "pytest_asyncio.plugin", "tests.mutants._watch")


class Colour(StrEnum):
    """What became of a fault."""

    RED = "RED"
    """A test of the promise failed, which passes without the fault."""
    GREEN = "GREEN"
    """Its tests passed all the same."""
    STALE = "STALE"
    """It could not be applied: the client says something else now."""
    BROKEN = "BROKEN"
    """Nothing is proved: no test could be run, or the one that failed fails without the fault too."""


@frozen
class Verdict:
    """Whether the tests of a promise see a fault.

    Attributes:
        requirement: The promise.
        fault: The fault; None where there is none.
        colour: Whether they do.
        witness: The test that does.
        remark: What else there is to say.
    """

    requirement: str
    fault: Fault | None
    colour: Colour
    witness: str = ""
    remark: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.colour, self.witness and f"by {self.witness}", self.remark]))


def judge(fault: Fault, asked: Iterable[str], tests: Iterable[MarkedTest]) -> list[Verdict]:
    """Try a fault.

    Args:
        fault: The fault.
        asked: The promises to look at, of those that it breaks.
        tests: All tests that name a promise.
    """
    unseen, verdicts = list(asked), list[Verdict]()
    with _copy() as copy:
        try:
            fault.apply(copy)
        except ValueError as exc:
            return [Verdict(each, fault, Colour.STALE, remark=str(exc)) for each in unseen]
        for files in _stages(unseen, tests):
            ran = _run(copy, [f"--requirement={each}" for each in unseen], files)
            if ran.failure:
                return verdicts + [Verdict(each, fault, Colour.BROKEN, remark=ran.failure) for each in unseen]
            verdicts += [Verdict(each, fault, Colour.RED, witness) for each, witness in ran.seen.items()]
            unseen = [each for each in unseen if each not in ran.seen]
            if ran.hung_in and (stuck := [each for each in unseen if _names(ran.hung_in, each, tests)]):
                verdicts += [Verdict(each, fault, Colour.RED, ran.hung_in, "(hang)") for each in stuck]
                unseen = [each for each in unseen if each not in stuck]
            if not unseen:
                break
    return verdicts + [Verdict(each, fault, Colour.GREEN) for each in unseen]


def confirm(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Look whether the tests that failed pass without a fault: of one that does not, nothing is proved."""
    verdicts = list(verdicts)
    witnesses = sorted({verdict.witness for verdict in verdicts if verdict.witness})
    if not witnesses:
        return verdicts
    with _copy() as copy:
        ran = _run(copy, [], witnesses, patience=10 * PATIENCE)
    if ran.failure or ran.hung_in:
        remark = f"(without a fault: {ran.failure or f'{ran.hung_in} hangs'})"
        return [evolve(each, colour=Colour.BROKEN, remark=remark) if each.witness else each for each in verdicts]
    return [
        evolve(each, colour=Colour.BROKEN, remark="(which fails without a fault)") if each.witness in ran.red else each
        for each in verdicts
    ]


@frozen
class _Ran:
    seen: dict[str, str] = field(factory=dict[str, str])
    """By promise, the test that failed."""
    red: frozenset[str] = frozenset()
    hung_in: str = ""
    failure: str = ""


def _run(copy: Path, options: list[str], tests: Iterable[str], *, patience: float = PATIENCE) -> _Ran:
    notes = copy / "notes"
    notes.touch()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-q", "--tb=no", f"--rootdir={copy}"),
            *(f"-p{plugin}" for plugin in _PLUGINS),
            *options,
            *tests,
        ],
        cwd=copy,
        env=os.environ
        | {
            NOTES: str(notes),
            "PYTHONPATH": str(copy),  # comes before an editable install of the original
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "CI": "1",  # hypothesis without deadlines, and with the same examples each time
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    hung = False
    try:
        said, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        hung = True
        os.killpg(process.pid, signal.SIGKILL)  # and the programs that tests have started
        said, _ = process.communicate()
    lines = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    notes.unlink()
    failed = [line for line in lines if "red" in line]
    expected = pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.OK
    if not hung and not (lines and process.returncode == expected):
        return _Ran(failure=f"pytest: {said.strip()[-300:]!r}")
    return _Ran(
        seen={each: line["red"] for line in failed for each in line["ids"]},
        red=frozenset(line["red"] for line in failed),
        hung_in=next((line["began"] for line in reversed(lines) if "began" in line), "?") if hung else "",
    )


def _stages(asked: Iterable[str], tests: Iterable[MarkedTest]) -> list[list[str]]:
    """The files whose tests name a promise: the quick ones, and where those see nothing the others."""
    asked = list(asked)
    files = {test.name.partition("::")[0] for test in tests if any(_is_meant(test, each) for each in asked)}
    quick = {file for file in files if file.startswith("tests/unit/")}
    return [sorted(stage) for stage in (quick, files - quick) if stage]


def _names(name: str, asked: str, tests: Iterable[MarkedTest]) -> bool:
    return any(test.name == name and _is_meant(test, asked) for test in tests)


def _is_meant(test: MarkedTest, asked: str) -> bool:
    return any(asks_for(asked, mark) for mark in test.ids)


@contextmanager
def _copy() -> Generator[Path, None, None]:
    """A copy of the tree; with what Python has compiled, which is still true of all but the file with the fault."""
    with tempfile.TemporaryDirectory(prefix="littlebits-mutant-") as directory:
        copy = Path(directory).resolve()
        for name in _NEEDED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name)
            else:
                shutil.copy2(ROOT / name, copy / name)
        yield copy
