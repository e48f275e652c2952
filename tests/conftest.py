"""What all tests share."""

import gc
from collections.abc import Iterator

import pytest

from littlebits_async.testing import RunningCloud, run_cloud
from tests.requirements import REQUIREMENTS, asks_for, is_known
from tests.support.marks import ids_of

pytest_plugins = ["littlebits_async.testing"]

PLAIN = "asyncio-plain"


def pytest_collection_finish() -> None:
    """Have no search for garbage go through all tests there are, which live to the end: many tests search for it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let all be found again: hypothesis, which may be loaded as late as for the summary, asks who holds what."""
    gc.unfreeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requirement",
        action="append",
        default=[],
        metavar="ID",
        help="run only the tests of a promise (R4: of all its clauses; R4.stall: of that one); may be given again",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked: list[str] = config.option.requirement
    if unknown := [each for each in asked if not is_known(each, REQUIREMENTS)]:
        raise pytest.UsageError(f"--requirement: tests/requirements.py does not know {', '.join(unknown)}")
    if asked:
        wanted, others = list[pytest.Item](), list[pytest.Item]()
        for item in items:
            is_meant = any(asks_for(each, mark) for each in asked for mark in ids_of(item))
            (wanted if is_meant else others).append(item)
        config.hook.pytest_deselected(items=others)
        items[:] = wanted


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tests marked ``anyio`` hold on both event loops; those marked ``both_feeds``, on asyncio without push too."""
    backend: str = request.param
    if backend == PLAIN:
        monkeypatch.setattr("littlebits_async.transport._connections.can_push", lambda: False)
        return "asyncio"
    return backend


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    test = metafunc.definition
    if test.get_closest_marker("both_feeds") is None or "anyio_backend" not in metafunc.fixturenames:
        return
    if not any("anyio_backend" in mark.args[0] for mark in test.iter_markers("parametrize")):
        test.add_marker(pytest.mark.parametrize("anyio_backend", ["asyncio", PLAIN, "trio"], indirect=True))


@pytest.fixture
def running_cloud() -> Iterator[RunningCloud]:
    """A cloud for tests on asyncio and trio alike."""
    with run_cloud() as cloud:
        yield cloud
