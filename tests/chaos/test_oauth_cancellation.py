"""Whoever renews a token may be cancelled anywhere: the refresh token is not lost, and the next one is not held up."""

import anyio
import anyio.lowlevel
import pytest

from littlebits_async.auth import FileTokenStore, MemoryTokenStore, OAuth2, TokenStore
from tests.chaos.checkpoints import ANYIO, ASYNCIO, Flavour, sweep, tasks_living
from tests.support.oauth_server import oauth_server

PATIENCE = 10


async def renew_and_be_cancelled(flavour: Flavour, store: TokenStore) -> None:
    async with oauth_server() as oauth:
        await store.save(oauth.stale_token())
        auth: OAuth2 = oauth.auth(store)

        async def operation() -> None:
            await auth.refresh()

        async def unharmed() -> None:
            kept = await store.load()
            assert kept is not None
            assert kept.refresh_token in oauth.refresh, "its refresh token is used up"
            async with store.exclusive():
                pass
            await oauth.server.until_connections(0)

        await operation()
        await oauth.server.until_connections(0)
        await anyio.wait_all_tasks_blocked()
        before = tasks_living()
        result = await sweep(operation, flavour, afterwards=operation, check=unharmed)
        assert result.checkpoints > 5
        assert result.cancelled > 5
        with anyio.fail_after(PATIENCE):
            while tasks_living() > before:  # the server's own
                await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
@pytest.mark.parametrize("flavour", ANYIO)
async def test_a_refresh_cancelled_anywhere_loses_no_token(flavour: str) -> None:
    await renew_and_be_cancelled(ANYIO[flavour], MemoryTokenStore())


@pytest.mark.asyncio
@pytest.mark.parametrize("flavour", ASYNCIO)
async def test_a_refresh_cancelled_natively_anywhere_loses_no_token(flavour: str) -> None:
    await renew_and_be_cancelled(ASYNCIO[flavour], MemoryTokenStore())


@pytest.mark.anyio
async def test_nor_does_one_that_is_kept_in_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = FileTokenStore(tmp_path_factory.mktemp("tokens") / "token.json")
    await renew_and_be_cancelled(next(iter(ANYIO.values())), store)
