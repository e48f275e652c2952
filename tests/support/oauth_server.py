"""An OAuth2 server and the API that its tokens open, on a real socket: each refresh token may be used once."""

import base64
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import anyio
from attrs import define, field

from littlebits_async.auth import OAuth2, OAuthToken, TokenStore
from tests.support.raw_server import Exchange, RawServer, raw_server

Reply = Callable[[Exchange], Awaitable[None]]

DEVICES = [{"id": "00e040000001", "label": "my cloudbit 1", "user_id": 1}]
UNAUTHORIZED = {"statusCode": 401, "error": "Unauthorized", "message": "Token failed authorization"}


@define
class OAuthServer:
    """What it knows, and what it was asked.

    Attributes:
        server: Where it listens.
        access: The access tokens that are good.
        refresh: The refresh tokens that are good.
        codes: The codes that are good, with the request that brought each about.
        lifetime: Seconds that a token is said to live.
        before_token: Answers a request for tokens in place of what follows, or does nothing.
        grants: The forms of all requests for tokens.
        refused: How many API requests had no good token.
    """

    server: RawServer
    access: set[str] = field(factory=set[str])
    refresh: set[str] = field(factory=set[str])
    codes: dict[str, dict[str, str]] = field(factory=dict[str, dict[str, str]])
    lifetime: int | None = None
    before_token: Reply | None = None
    grants: list[dict[str, str]] = field(factory=list[dict[str, str]])
    refused: int = 0
    _number: int = 0

    @property
    def token_url(self) -> str:
        return f"{self.server.url}/oauth/token"

    @property
    def authorize_url(self) -> str:
        return f"{self.server.url}/oauth/authorize"

    def auth(self, store: TokenStore | str | None = None, **options: object) -> OAuth2:
        urls = {"token_url": self.token_url, "authorize_url": self.authorize_url}
        return OAuth2("app", store=store, trust_env=False, **{**urls, **options})  # type: ignore[arg-type] # per test

    def new_token(self) -> OAuthToken:
        """Make a pair of good tokens."""
        self._number += 1
        token = OAuthToken(f"access-{self._number:026}", refresh_token=f"refresh-{self._number:026}")
        self.access.add(token.access_token)
        self.refresh.add(token.refresh_token or "")
        return token

    def stale_token(self) -> OAuthToken:
        """Make a token that the API refuses, and that can be renewed."""
        token = self.new_token()
        self.access.discard(token.access_token)
        return token

    def consent(self, url: str) -> str:
        """Do as a user who says yes in the browser; return where the browser is sent."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        code = f"code-{len(self.codes):026}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    async def handle(self, exchange: Exchange) -> None:
        if exchange.request.path == "/oauth/token":
            await self._grant(exchange)
        elif exchange.request.headers.get("authorization", "").removeprefix("Bearer ") in self.access:
            await exchange.answer(200, DEVICES)
        else:
            self.refused += 1
            await exchange.answer(401, UNAUTHORIZED)

    async def _grant(self, exchange: Exchange) -> None:
        form = {name: values[0] for name, values in parse_qs(exchange.request.body.decode()).items()}
        self.grants.append(form)
        if self.before_token is not None:
            await self.before_token(exchange)
            return
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] in self.refresh
            self.refresh.discard(form["refresh_token"])
        else:
            good = self._is_good_code(form)
        if not good:
            await exchange.answer(400, {"error": "invalid_grant", "error_description": "used, or never given"})
            return
        token = self.new_token()
        answer: dict[str, object] = {
            "access_token": token.access_token,
            "token_type": "bearer",
            "refresh_token": token.refresh_token,
            "scope": "read write",
        }
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        await exchange.answer(200, answer)

    def _is_good_code(self, form: dict[str, str]) -> bool:
        asked = self.codes.pop(form["code"], None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return False
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        return asked.get("code_challenge") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@asynccontextmanager
async def oauth_server() -> AsyncGenerator[OAuthServer, None]:
    """Serve until the block is left."""

    async def handle(exchange: Exchange) -> None:
        await found.handle(exchange)

    async with raw_server(handle) as server:
        found = OAuthServer(server)
        yield found


class Held:
    """A request for tokens that waits until it is let go, and is answered then."""

    def __init__(self, oauth: OAuthServer) -> None:
        self._oauth = oauth
        self.asked = anyio.Event()
        self.released = anyio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        await self.released.wait()
        self._oauth.before_token = None
        self._oauth.grants.pop()  # is noted again
        await self._oauth.handle(exchange)
