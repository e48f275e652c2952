"""Whatever is done in whatever order: no code works twice, a refresh token only in place of what it gave, and nothing
outlives its grant.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar
from unittest.mock import patch

import httpx
from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from littlebits_async.amplitude import Thresholds
from littlebits_async.localcloud.guesses import Guesses
from littlebits_async.localcloud.oauth import REFRESH_WITHIN, OAuth
from littlebits_async.localcloud.registry import Registry
from littlebits_async.localcloud.storage import Store, TokenRecord
from littlebits_async.localcloud.ticker import Ticker
from littlebits_async.localcloud.tokens import digest
from littlebits_async.localcloud.webhooks import Poster
from tests.support.consent import App, allow, back

T = TypeVar("T")

CLIENT = "littlebits"


@define(eq=False)
class Grant:
    """What the model knows of a grant."""

    app: App
    code: str
    allowed_at: float
    access: list[str] = field(factory=list[str])
    refresh: list[str] = field(factory=list[str])
    good: list[str] = field(factory=list[str])
    spent: str | None = None
    spent_at: float = 0.0
    is_alive: bool = True
    is_redeemed: bool = False

    def end(self) -> None:
        self.is_alive, self.good = False, []


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError((scope, receive, send))


class OAuthMachine(RuleBasedStateMachine):
    """A cloud's OAuth2 without a socket, that may start anew at any time."""

    grants = Bundle("grants")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = Store(None)
        self.known: list[Grant] = []
        self.http = httpx.AsyncClient()
        self.now = 0.0
        began = time.time()
        self.clock = patch("littlebits_async.localcloud.oauth._grants._now_ms", lambda: int((began + self.now) * 1000))
        self.clock.start()
        self.run(self.start())
        self.token = self.run(self.registry.tokens.create({"read", "write"}, 1))

    def run(self, work: Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self.runner.run(wait())

    async def start(self) -> None:
        await self.store.open()
        poster = Poster(allow_private=True)
        self.registry = Registry(Ticker(), self.store, poster, blank_line_every=10, thresholds=Thresholds())
        await self.registry.load()
        # A machine is wrong more often than a minute allows.
        with patch("littlebits_async.localcloud.oauth._tokens.Guesses", lambda: Guesses(most=10**9)):
            oauth = OAuth(self.registry, self.store, REFRESH_WITHIN, nothing)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(oauth), base_url="http://cloud.example")
        for grant in self.known:
            grant.app.http = self.http

    def teardown(self) -> None:
        self.clock.stop()
        self.run(self.store.aclose())
        self.runner.close()

    @rule()
    def restart(self) -> None:
        self.run(self.store.aclose())
        self.run(self.start())

    @rule(seconds=st.sampled_from([30, 300]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=grants)
    def allow(self) -> Grant:
        app = App(self.http, client_id=CLIENT)
        grant = Grant(app, back(self.run(allow(self.http, app.url(), self.token))).code, self.now)
        self.known.append(grant)
        return grant

    @rule(grant=grants, is_wrong=st.booleans())
    def redeem(self, grant: Grant, *, is_wrong: bool) -> None:
        changes = {"code_verifier": "w" * 43} if is_wrong else {}
        response = self.run(grant.app.redeem(grant.code, **changes))
        is_late = self.now >= grant.allowed_at + 60
        if grant.is_redeemed or not grant.is_alive or is_wrong or is_late:
            assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
            grant.end()
        else:
            self.take(grant, response)
        grant.is_redeemed = True

    @rule(grant=grants, which=st.integers(0, 5))
    def renew(self, grant: Grant, which: int) -> None:
        if not grant.refresh:
            return
        index = min(which, len(grant.refresh) - 1)
        token = grant.refresh[-1 - index]
        response = self.run(grant.app.renew(token))
        is_newest, is_again = not index, token == grant.spent and self.now < grant.spent_at + 600
        if not grant.is_alive or not (is_newest or is_again):
            assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
            grant.end()
            return
        if is_newest:
            grant.spent, grant.spent_at = token, self.now
        else:
            grant.good = []
        self.take(grant, response)

    @rule(grant=grants, which=st.integers(0, 5))
    def revoke(self, grant: Grant, which: int) -> None:
        if grant.refresh:
            response = self.run(grant.app.revoke(grant.refresh[which % len(grant.refresh)]))
            assert response.status_code == 200
            grant.end()

    def take(self, grant: Grant, response: httpx.Response) -> None:
        assert response.status_code == 200, response.text
        tokens = response.json()
        everything = [each for other in self.known for each in (*other.access, *other.refresh)]
        assert tokens["access_token"] not in everything
        assert tokens["refresh_token"] not in everything
        grant.access.append(tokens["access_token"])
        grant.good = [*grant.good, tokens["access_token"]][-16:]
        grant.refresh.append(tokens["refresh_token"])

    @invariant()
    def only_what_stands_is_good(self) -> None:
        for grant in self.known:
            assert [token for token in grant.access if self.registry.tokens.find(token) is not None] == grant.good

    @invariant()
    def memory_and_disk_are_one(self) -> None:
        kept: list[TokenRecord] = self.run(self.store.tokens())
        good = {digest(token) for grant in self.known for token in grant.good}
        assert {token.digest for token in kept if token.grant_id is not None} == good


OAuthMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestOnce = OAuthMachine.TestCase
