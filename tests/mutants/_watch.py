"""The pytest plugin of a run in a copy: which tests saw the fault, written down as it happens.

Written down, and not left to the exit code: of a run that hangs, what it had seen and where it stood are known too.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

import littlebits_async
from tests.requirements import asks_for
from tests.support.marks import ids_of

__all__ = ["NOTES"]

NOTES: Final = "LITTLEBITS_MUTANT_NOTES"


class Watch:
    """Runs until each promise that was asked for has a red test.

    Args:
        notes: The file to write to: a line of JSON for each test that begins or fails.
        asked: The ids; without any, all tests are run.
    """

    def __init__(self, notes: Path, asked: list[str]) -> None:
        self._notes = notes
        self._asked = asked
        self._unseen = set(asked)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=_patience)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._asked and not self._named_by(item) & self._unseen:
            pytest.skip("another test has seen the fault")
        self._note(began=item.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            seen = self._named_by(item)
            self._note(red=item.nodeid, ids=sorted(seen & self._unseen))
            self._unseen -= seen
            if self._asked and not self._unseen:
                item.session.shouldfail = "each promise has a red test"
        return report

    def _named_by(self, item: pytest.Item) -> set[str]:
        return {each for each in self._asked if any(asks_for(each, mark) for mark in ids_of(item))}

    def _note(self, **what: object) -> None:
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(what) + "\n")


def _patience(item: pytest.Item) -> int:
    """Those without an event loop first, and trio last: mostly asyncio's twin has seen it by then."""
    call = getattr(item, "callspec", None)
    backend = None if call is None else call.params.get("anyio_backend")
    return {None: 0, "asyncio": 1}.get(backend, 2)


def pytest_configure(config: pytest.Config) -> None:
    imported = Path(littlebits_async.__file__)
    if not imported.is_relative_to(config.rootpath):
        raise pytest.UsageError(f"littlebits_async is {imported}, not the copy in {config.rootpath}")
    config.pluginmanager.register(Watch(Path(os.environ[NOTES]), config.option.requirement))
