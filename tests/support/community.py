"""A plain client of the Mobile Application API, which looks at the envelope of each answer."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from attrs import frozen

from littlebits_async.localcloud import LocalCloud

PASSWORD = "correct horse"


@frozen
class Reply:
    """An answer, of which the envelope is as it must be."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def results(self) -> Any:
        return self.response.json()["results"]

    @property
    def meta(self) -> Any:
        return self.response.json()["meta"]

    @property
    def errors(self) -> str:
        text: str = self.meta["errors"]
        return text

    @property
    def params(self) -> dict[str, Any]:
        return {item["name"]: item["value"] for item in self.meta["criteria"]["params"] or ()}


@frozen
class Site:
    """The API of one cloud."""

    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> Reply:
        headers: dict[str, str] = {} if key is None else {"MobileAppAuth": key}
        response = await self.http.request(method, path, headers={**headers, **options.pop("headers", {})}, **options)
        if response.status_code == 204:
            assert response.content == b""
            return Reply(response)
        answer = response.json()
        assert set(answer) == {"results", "meta"}
        assert set(answer["meta"]) == {"version", "criteria", "success", "errors"}
        assert answer["meta"]["version"] == 2
        criteria = answer["meta"]["criteria"]
        assert set(criteria) == {"method", "endpoint", "params"}
        assert (criteria["method"], criteria["endpoint"]) == (
            method,
            response.request.url.raw_path.decode().split("?")[0],
        )
        assert criteria["params"] is None or all(set(item) == {"name", "value"} for item in criteria["params"])
        if response.status_code < 400:
            assert (answer["meta"]["success"], answer["meta"]["errors"]) == (True, None)
        else:
            assert answer["meta"]["success"] is False
            assert answer["meta"]["errors"]
            assert answer["results"] == {}
        return Reply(response)

    async def get(self, path: str, key: str | None = None, /, **query: Any) -> Reply:
        return await self.ask("GET", path, key, params=query or None)

    async def post(self, path: str, key: str | None = None, /, **form: Any) -> Reply:
        return await self.ask("POST", path, key, data=form)

    async def join(self, name: str) -> "Member":
        reply = await self.ask("POST", "/users/new", data=new_user(name))
        assert reply.status == 201
        return Member(reply.results["id"], name, f"{name.lower()}@example.org", reply.results["spree_api_key"])

    async def log_in(self, email: str, password: str = PASSWORD) -> Reply:
        form = {"mobile_app[email]": email, "mobile_app[password]": password}
        return await self.ask("POST", "/session/create", data=form)


@frozen
class Member:
    id: int
    name: str
    email: str
    key: str


@asynccontextmanager
async def open_site(cloud: LocalCloud) -> AsyncGenerator[Site, None]:
    # Certificates are not loaded, which takes longest: it is plain HTTP.
    async with httpx.AsyncClient(base_url=f"{cloud.url}/api/v2", trust_env=False, verify=False) as http:  # noqa: S501
        yield Site(http)


def new_user(name: str, **changed: str) -> Mapping[str, str]:
    user = {
        "email": f"{name.lower()}@example.org",
        "username": name,
        "password": PASSWORD,
        "password_confirmation": PASSWORD,
        **changed,
    }
    return {f"user[{field}]": value for field, value in user.items()}
