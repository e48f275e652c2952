"""The client's OAuth2 and the cloud's: each the other's counterpart."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from littlebits_async import (
    AuthenticationError,
    InputReactor,
    InvalidArgumentError,
    OAuth2,
    OAuthError,
    Session,
    TransportError,
)
from littlebits_async.auth import MemoryTokenStore, OAuthToken
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.tokens import Tokens, digest
from littlebits_async.testing import RunningCloud, run_cloud
from tests.support.consent import BACK, allow, browser

pytestmark = pytest.mark.anyio

PATIENCE = 10


def auth_of(cloud: RunningCloud, **options: Any) -> OAuth2:
    urls: dict[str, Any] = {f"{name}_url": f"{cloud.url}/oauth/{name}" for name in ("authorize", "token", "revoke")}
    return OAuth2("littlebits", trust_env=False, **{**urls, **options})


async def log_in(cloud: RunningCloud, auth: OAuth2) -> OAuthToken:
    question = auth.authorize(BACK)
    async with browser(cloud.url) as http:
        callback = (await allow(http, question.url, cloud.token)).headers["location"]
    return await auth.redeem(question, callback)


@asynccontextmanager
async def session_of(cloud: RunningCloud, auth: OAuth2) -> AsyncGenerator[Session, None]:
    with anyio.fail_after(PATIENCE):
        async with Session(auth, base_url=cloud.url, trust_env=False) as session:
            yield session


async def test_a_session_renews_a_token_that_the_cloud_ended(running_cloud: RunningCloud) -> None:
    auth = auth_of(running_cloud)
    token = await log_in(running_cloud, auth)
    assert token.scopes == ("read", "write")
    async with session_of(running_cloud, auth) as session:
        assert await session.devices() == []
        other = auth_of(running_cloud, store=MemoryTokenStore(OAuthToken(token.access_token)))
        # As the cloud ends it, an hour later.
        await running_cloud.do(lambda cloud: end_access_tokens(cloud, token))
        assert await session.devices() == []
        assert (await auth.token()).access_token != token.access_token
    async with session_of(running_cloud, other) as session:
        with pytest.raises(AuthenticationError):  # has nothing to renew it with
            await session.devices()


async def end_access_tokens(cloud: LocalCloud, token: OAuthToken) -> None:
    tokens: Tokens = vars(cloud)["_registry"].tokens
    del vars(tokens)["_by_digest"][digest(token.access_token)]


async def test_streams_go_on_when_their_token_ends() -> None:
    with run_cloud(token_lifetime=1) as cloud:
        bit = await cloud.add_device("00e040000001")
        auth = auth_of(cloud)
        first = await log_in(cloud, auth)
        async with session_of(cloud, auth) as session, InputReactor(session, [bit.id]) as reactor:
            await anext(aiter(reactor))
            while reactor.stats.reconnects == 0:
                await bit.turn(1, 2)
                await anext(aiter(reactor))
            assert (await auth.token()).access_token != first.access_token


@pytest.mark.parametrize("rounds", [4])
async def test_sessions_that_share_a_file_renew_it_once(
    running_cloud: RunningCloud, tmp_path: Path, rounds: int
) -> None:
    auths = [auth_of(running_cloud, store=tmp_path / "token.json") for _ in range(4)]
    await log_in(running_cloud, auths[0])
    with anyio.fail_after(PATIENCE):
        for _ in range(rounds):
            async with anyio.create_task_group() as group:
                for auth in auths:
                    group.start_soon(auth.refresh)
        # Had one of them used a token that another had used, all would be refused now.
        await auths[0].refresh()
    async with session_of(running_cloud, auths[3]) as session:
        assert await session.devices() == []


async def test_of_two_that_each_have_the_same_refresh_token_both_end(running_cloud: RunningCloud) -> None:
    mine = auth_of(running_cloud)
    token = await log_in(running_cloud, mine)
    thief = auth_of(running_cloud, store=MemoryTokenStore(token))
    await thief.refresh()
    renewed = await mine.refresh()  # what the thief got ends with it
    with pytest.raises(OAuthError, match="invalid_grant"):
        await thief.refresh()
    with pytest.raises(OAuthError, match="invalid_grant"):
        await mine.refresh()
    async with session_of(running_cloud, auth_of(running_cloud, store=MemoryTokenStore(renewed))) as session:
        with pytest.raises(AuthenticationError):
            await session.devices()


async def test_a_session_goes_on_where_the_answer_to_a_renewal_was_lost(running_cloud: RunningCloud) -> None:
    auth = auth_of(running_cloud)
    token = await log_in(running_cloud, auth)
    await auth_of(running_cloud, store=MemoryTokenStore(token)).refresh()  # as far as the cloud can tell
    async with session_of(running_cloud, auth) as session:
        await auth.refresh()
        assert await session.devices() == []
        await auth.refresh()
        assert await session.devices() == []


async def test_revoking_ends_it_at_the_cloud_and_here(running_cloud: RunningCloud) -> None:
    store = MemoryTokenStore()
    auth = auth_of(running_cloud, store=store)
    token = await log_in(running_cloud, auth)
    await auth.revoke()
    assert await store.load() is None
    with pytest.raises(OAuthError, match="log in first"):
        await auth.revoke()
    again = auth_of(running_cloud, store=MemoryTokenStore(token))
    with pytest.raises(OAuthError, match="invalid_grant"):
        await again.refresh()
    await again.revoke()  # nothing is left to end, which is as well


async def test_without_a_place_to_give_it_back_nothing_is_revoked(running_cloud: RunningCloud) -> None:
    auth = auth_of(running_cloud, revoke_url=None)
    await log_in(running_cloud, auth)
    with pytest.raises(InvalidArgumentError, match="revoke_url"):
        await auth.revoke()
    assert await auth.store.load() is not None


async def test_a_cloud_that_ends_no_token_leaves_it_as_it_is(running_cloud: RunningCloud) -> None:
    auth = auth_of(running_cloud, revoke_url=f"{running_cloud.url}/nowhere")
    token = await log_in(running_cloud, auth)
    with pytest.raises(OAuthError, match="Not Found"):
        await auth.revoke()
    async with running_cloud.faults.answering(503):
        with pytest.raises(TransportError, match="the revocation endpoint answered 503"):
            await auth.revoke()
    assert await auth.store.load() == token


async def test_the_user_may_say_no(running_cloud: RunningCloud) -> None:
    auth = auth_of(running_cloud)
    question = auth.authorize(BACK)
    async with browser(running_cloud.url) as http:
        callback = (await allow(http, question.url, "", "deny")).headers["location"]
    with pytest.raises(OAuthError, match="access_denied"):
        await auth.redeem(question, callback)
