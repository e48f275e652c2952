"""Which tests there are and which promises they name, as pytest itself sees them.

The module is a pytest plugin too, the one that `collect` sends along: marks of modules, classes and parameters count
like those of functions, which no reading of the source would know.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import cattrs
import pytest

from tests.requirements import MarkedTest

__all__ = ["collect", "ids_of"]

_ANSWER: Final = "LITTLEBITS_MARKS_TO"


def ids_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the promises that a test names."""
    return tuple(dict.fromkeys(known for mark in item.iter_markers("requirement") for known in mark.args))


def collect(*paths: Path, root: Path) -> list[MarkedTest]:
    """Return the tests in some files or directories that name a promise.

    Raises:
        AssertionError: pytest could not collect them all.
    """
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch, "answer.json")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"),
                *("-p", "tests.support.marks", f"--rootdir={root}", *map(str, paths)),
            ],
            cwd=root,
            env={**os.environ, _ANSWER: str(answer)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == pytest.ExitCode.OK, ran.stdout[-3000:] + ran.stderr[-3000:]
        return cattrs.structure(json.loads(answer.read_text(encoding="utf-8")), list[MarkedTest])


def pytest_collection_finish(session: pytest.Session) -> None:
    if (answer := os.environ.get(_ANSWER)) is not None:
        marked = [MarkedTest(item.nodeid, ids, _idle(item)) for item in session.items if (ids := ids_of(item))]
        Path(answer).write_text(json.dumps(cattrs.unstructure(marked)), encoding="utf-8")


def _idle(item: pytest.Item) -> str:
    # A `skipif` is about this machine, and for whoever wrote it to know.
    return next((name for name in ("skip", "xfail") if item.get_closest_marker(name) is not None), "")
