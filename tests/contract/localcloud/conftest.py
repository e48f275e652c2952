from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from littlebits_async.localcloud import Bit, LocalCloud


@pytest_asyncio.fixture
async def cloud() -> AsyncIterator[LocalCloud]:
    async with LocalCloud() as cloud:
        yield cloud


@pytest_asyncio.fixture
async def token(cloud: LocalCloud) -> str:
    return await cloud.create_token()


@pytest_asyncio.fixture
async def http(cloud: LocalCloud, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=f"{cloud.url}/v2",
        headers=headers,
        trust_env=False,
        verify=False,  # noqa: S501 - plain HTTP; loading certificates takes longest
    ) as http:
        yield http


@pytest_asyncio.fixture
async def bit(cloud: LocalCloud) -> Bit:
    return await cloud.add_device("00e040000001", label="my cloudbit 1", input_interval_ms=750)
