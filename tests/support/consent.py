"""Somebody at a browser, in front of the cloud's consent page; and an application of their own."""

import base64
import hashlib
import re
import secrets
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from attrs import define, field, frozen

from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.oauth import new_client

__all__ = ["BACK", "App", "Back", "allow", "back", "browser", "register"]

BACK: Final = "http://127.0.0.1:4711/callback"


def browser(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, verify=False)  # noqa: S501 - plain HTTP


@frozen
class Back:
    """Where a browser was sent, and with what."""

    uri: str
    said: dict[str, str]

    @property
    def code(self) -> str:
        return self.said["code"]


def back(response: httpx.Response) -> Back:
    assert response.status_code == 303, response.text
    assert response.headers["cache-control"] == "no-store"
    uri, _, query = response.headers["location"].partition("?")
    return Back(uri, {name: value for name, [value] in parse_qs(query, strict_parsing=True).items()})


async def allow(http: httpx.AsyncClient, url: str, token: str, decision: str = "allow") -> httpx.Response:
    """Open a URL, type a token into the form that is there, and press a button."""
    page = await http.get(url)
    assert page.status_code == 200, page.text
    names = set(re.findall(r'<(?:input|button)[^>]* name="(\w+)"', page.text))
    assert names == {"token", "decision"}
    assert 'method="post"' in page.text
    assert "action=" not in page.text
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(str(page.url)))
    said = {"token": token, "decision": decision}
    return await http.post(url, data=said, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})


@define
class App:
    """An application, and what it sends."""

    http: httpx.AsyncClient
    client_id: str = "littlebits"
    secret: str | None = None
    redirect_uri: str = BACK
    verifier: str | None = field(factory=lambda: secrets.token_urlsafe(48))

    def question(self, **changes: str | None) -> dict[str, str]:
        said: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "read write",
            "state": "s t/a+te&",
        }
        if self.verifier is not None:
            hashed = hashlib.sha256(self.verifier.encode()).digest()
            said["code_challenge"] = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()
            said["code_challenge_method"] = "S256"
        return {name: value for name, value in (said | changes).items() if value is not None}

    def url(self, **changes: str | None) -> str:
        return str(httpx.URL("/oauth/authorize", params=self.question(**changes)))

    async def code(self, token: str, /, **changes: str | None) -> str:
        return back(await allow(self.http, self.url(**changes), token)).code

    async def post(self, path: str, /, **said: str | None) -> httpx.Response:
        form = {name: value for name, value in {"client_id": self.client_id, **said}.items() if value is not None}
        if self.secret is not None:
            form.setdefault("client_secret", self.secret)
        return await self.http.post(path, data=form)

    async def redeem(self, code: str, /, **changes: str | None) -> httpx.Response:
        said: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return await self.post("/oauth/token", **(said | changes))

    async def renew(self, refresh_token: str, /, **changes: str | None) -> httpx.Response:
        return await self.post("/oauth/token", grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def revoke(self, token: str, /, **changes: str | None) -> httpx.Response:
        return await self.post("/oauth/revoke", token=token, **changes)

    async def log_in(self, token: str, /, **changes: str | None) -> dict[str, Any]:
        response = await self.redeem(await self.code(token, **changes))
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    async def devices(self, access_token: str) -> int:
        return (await self.http.get("/v2/devices", headers={"Authorization": f"Bearer {access_token}"})).status_code


async def register(cloud: LocalCloud, client_id: str, *redirect_uris: str, **options: Any) -> str | None:
    """Have a cloud know an application; return its secret."""
    settings: dict[str, Any] = {"name": client_id, "scopes": ["read", "write"], "confidential": False, **options}
    client, secret = new_client(client_id, redirect_uris=redirect_uris or [BACK], **settings)
    assert await vars(cloud)["_store"].grants.add_client(client)
    return secret
