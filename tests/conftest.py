"""What all tests share."""

from collections.abc import Iterator

import pytest

from tests.requirements import REQUIREMENTS, asks_for, is_known
from tests.support.local_cloud import CloudInThread, cloud_in_thread
from tests.support.marks import ids_of


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
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Tests marked ``anyio`` hold on both event loops."""
    backend: str = request.param
    return backend


@pytest.fixture
def running_cloud() -> Iterator[CloudInThread]:
    """A cloud for tests on asyncio and trio alike."""
    with cloud_in_thread() as cloud:
        yield cloud
