"""What all tests share."""

from collections.abc import Iterator

import pytest

from tests.support.local_cloud import CloudInThread, cloud_in_thread


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
