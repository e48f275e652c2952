from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import Bit, LocalCloud
from littlebits_async.localcloud.community._passwords import COSTS
from tests.support.community import Member, Site, open_site
from tests.support.disk import Disk


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk.install(monkeypatch)


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "cloud.db"


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    async with LocalCloud() as cloud:
        yield cloud


@pytest_asyncio.fixture
async def token(cloud: LocalCloud) -> str:
    return await cloud.create_token()


def client(cloud: LocalCloud, token: str, version: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{cloud.url}/v{version}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        verify=False,  # noqa: S501 - plain HTTP; loading certificates takes longest
    )


@pytest_asyncio.fixture
async def http(cloud: LocalCloud, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(cloud, token, 2) as http:
        yield http


@pytest_asyncio.fixture
async def http1(cloud: LocalCloud, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(cloud, token, 1) as http:
        yield http


@pytest_asyncio.fixture
async def bit(cloud: LocalCloud) -> Bit:
    return await cloud.add_device("00e040000001", label="my cloudbit 1", input_interval_ms=750)


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time."""
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords.COSTS", attrs.evolve(COSTS, n=2, p=1))


@pytest_asyncio.fixture
async def community(cheap_passwords: None) -> AsyncIterator[LocalCloud]:  # noqa: ARG001 - what it makes of the module
    async with LocalCloud(community=True) as cloud:
        yield cloud


@pytest_asyncio.fixture
async def site(community: LocalCloud) -> AsyncIterator[Site]:
    async with open_site(community) as site:
        yield site


@pytest_asyncio.fixture
async def member(site: Site) -> Member:
    return await site.join("Ada")
