"""Who may come in, how often and how: tokens, scopes, the limit, versions, errors, headers for browsers."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import Bit, LocalCloud

pytestmark = pytest.mark.asyncio

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Authorization, Content-Type, If-None-Match",
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-expose-headers": "WWW-Authenticate, Server-Authorization",
    "access-control-max-age": "86400",
}


def anonymous(cloud: LocalCloud) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=cloud.url, trust_env=False, verify=False)  # noqa: S501 - plain HTTP; loading certificates takes longest


def assert_refused(response: httpx.Response, status: int, error: str) -> str:
    assert response.status_code == status
    body = response.json()
    assert set(body) == {"statusCode", "error", "message"}
    assert (body["statusCode"], body["error"]) == (status, error)
    assert isinstance(body["message"], str)
    assert body["message"]
    assert CORS.items() <= dict(response.headers).items()
    return str(body["message"])


class TestTokens:
    async def test_a_token_is_64_hexadecimal_digits(self, cloud: LocalCloud) -> None:
        first, second = await cloud.create_token(), await cloud.create_token()
        assert len(bytes.fromhex(first)) == 32
        assert first != second

    @pytest.mark.parametrize("form", ["Bearer {}", "BEARER {}", "bearer {}", "{}", "Bearer  {}"])
    async def test_every_spelling_of_the_header(self, cloud: LocalCloud, token: str, form: str) -> None:
        async with anonymous(cloud) as http:
            response = await http.get("/v2/devices", headers={"Authorization": form.format(token)})
        assert response.status_code == 200

    async def test_a_token_in_the_query(self, cloud: LocalCloud, token: str, bit: Bit) -> None:
        async with anonymous(cloud) as http:
            response = await http.post(f"/v2/devices/{bit.id}/output?access_token={token}")
            assert response.json() == {"success": True}
            wrong = await http.get(f"/v2/devices?access_token={token}", headers={"Authorization": "Bearer no"})
            assert wrong.status_code == 401

    @pytest.mark.parametrize("headers", [{}, {"Authorization": ""}])
    async def test_none_at_all(self, cloud: LocalCloud, headers: dict[str, str]) -> None:
        async with anonymous(cloud) as http:
            response = await http.get("/v2/devices", headers=headers)
        assert_refused(response, 401, "Unauthorized")
        assert response.headers["www-authenticate"] == (
            'Bearer realm="bitCloud", error="missing_authorization", '
            'error_description="Missing Authorization header with valid Bearer token"'
        )

    @pytest.mark.parametrize(
        "value",
        [b"Bearer no", b"Bearer", b"Basic dTpw", b"Token \xff", b"Bearer \xc3\xa9", b"a b c", b"Bearer " + b"0" * 64],
    )
    async def test_an_unknown_one(self, cloud: LocalCloud, value: bytes) -> None:
        async with anonymous(cloud) as http:
            response = await http.get("/v2/devices", headers=[(b"Authorization", value)])
        assert assert_refused(response, 401, "Unauthorized") == "Token failed authorization"
        assert response.headers["www-authenticate"] == (
            'Bearer realm="bitCloud", error="invalid_token", error_description="Invalid or expired token"'
        )

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("GET", "/devices", "read"),
            ("GET", "/devices/{}", "read"),
            ("PUT", "/devices/{}", "admin"),
            ("POST", "/devices/{}", "admin"),
            ("DELETE", "/devices/{}", "admin"),
            ("POST", "/devices/{}/output", "write"),
            ("POST", "/devices/{}/light", "write"),
            ("GET", "/devices/{}/input", "read"),
            ("GET", "/subscriptions", "read"),
            ("POST", "/subscriptions", "read"),
            ("DELETE", "/subscriptions", "read"),
        ],
    )
    async def test_each_call_asks_for_its_scope(
        self, cloud: LocalCloud, bit: Bit, method: str, path: str, scope: str
    ) -> None:
        path = path.format(bit.id)
        others = await cloud.create_token(sorted({"read", "write", "admin"} - {scope}))
        only = await cloud.create_token(scope)
        async with anonymous(cloud) as http:
            refused = await http.request(method, path, headers={"Authorization": others})
            assert scope in assert_refused(refused, 403, "Forbidden")
            async with http.stream(method, path, headers={"Authorization": only}) as response:
                assert response.status_code in {200, 201} if path != "/subscriptions" else {200, 400}

    async def test_a_token_without_scopes_may_nothing(self, cloud: LocalCloud) -> None:
        async with anonymous(cloud) as http:
            response = await http.get("/devices", headers={"Authorization": await cloud.create_token([])})
        assert response.status_code == 403

    async def test_an_unknown_scope_is_a_clear_error(self, cloud: LocalCloud) -> None:
        with pytest.raises(ValueError, match="unknown scopes: root; there are admin, read, write"):
            await cloud.create_token({"read", "root"})

    async def test_no_token_is_kept_or_logged(
        self, cloud: LocalCloud, token: str, bit: Bit, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with anonymous(cloud) as http:
            await http.get(f"/devices?access_token={token}")
            await http.get("/devices", headers={"Authorization": token})
            monkeypatch.setattr(bit, "id", object())  # fails in a handler
            response = await http.get(f"/devices?access_token={token}")
        assert_refused(response, 500, "Internal Server Error")
        said = [item for item in caplog.records if not item.name.startswith(("httpx", "httpcore"))]
        assert any("GET /devices failed" in item.getMessage() for item in said)
        for item in said:
            assert token not in logging.Formatter().format(item)
        tokens: Any = vars(cloud)["_registry"].tokens
        assert token not in f"{cloud!r} {bit!r} {vars(cloud)!r} {vars(tokens)!r}"


class TestLimit:
    async def test_past_the_limit_is_429_for_that_token_alone(self) -> None:
        async with LocalCloud(limit=3) as cloud, anonymous(cloud) as http:
            first, second = await cloud.create_token(), await cloud.create_token()
            for left in (2, 1, 0):
                response = await http.get("/devices", headers={"Authorization": first})
                assert response.status_code == 200
                assert response.headers["RateLimit-Limit"] == "3"
                assert response.headers["RateLimit-Remaining"] == str(left)
                assert 3590 <= int(response.headers["RateLimit-Reset"]) <= 3601
            for _ in range(3):
                response = await http.get("/devices", headers={"Authorization": f"Bearer {first}"})
                assert "rate_limit_exceeded" in assert_refused(response, 429, "rate_limit_exceeded")
                assert 3590 <= int(response.headers["Retry-After"]) <= 3601
                assert response.headers["RateLimit-Remaining"] == "0"
            assert (await http.get("/devices", headers={"Authorization": second})).status_code == 200
            assert (cloud.requests(first), cloud.requests(second), cloud.requests("no")) == (3, 1, 0)

    async def test_every_request_that_names_a_token_counts_and_nothing_else(
        self, cloud: LocalCloud, token: str
    ) -> None:
        bearer = {"Authorization": token}
        async with anonymous(cloud) as http:
            await http.get("/ping", headers=bearer)
            await http.options("/devices", headers=bearer)
            await http.get("/devices", headers={"Authorization": "no"})
            assert cloud.requests(token) == 0
            await http.get("/devices/none", headers=bearer)
            await http.post("/devices/none/output", content="{", headers=bearer)
            assert cloud.requests(token) == 2
            assert cloud.requests(await cloud.create_token()) == 0

    async def test_an_open_stream_counts_once(
        self, cloud: LocalCloud, token: str, http: httpx.AsyncClient, bit: Bit
    ) -> None:
        async with http.stream("GET", f"/devices/{bit.id}/input") as response:
            assert response.headers["RateLimit-Remaining"] == "1799"
        assert cloud.requests(token) == 1

    async def test_an_hour_later_there_are_more(
        self, cloud: LocalCloud, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limit = vars(cloud)["_limit"]
        for _ in range(1800):
            limit.spend("key")
        async with anonymous(cloud) as http:
            assert (await http.get("/devices", headers={"Authorization": token})).status_code == 200
        now = limit._limiter.get_window_stats(limit._item, "key").reset_time + 3600  # noqa: SLF001
        monkeypatch.setattr("time.time", lambda: now)
        assert int(limit.spend("key")["ratelimit-remaining"]) == 1799


class TestVersions:
    @pytest.mark.parametrize("path", ["/devices", "/v1/devices", "/v2/devices", "/v3/devices", "/v2.1/devices/"])
    @pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
    async def test_a_version_in_the_path_or_none(self, cloud: LocalCloud, token: str, path: str, accept: str) -> None:
        async with anonymous(cloud) as http:
            response = await http.get(path, headers={"Authorization": token, "Accept": accept})
        assert (response.status_code, response.json()) == (200, [])

    @pytest.mark.parametrize(
        ("path", "version", "status"),
        [
            ("/devices", "1", 200),
            ("/devices", "2", 200),
            ("/devices", "3.5", 200),
            ("/v2/devices", "2", 200),
            ("/v2/devices", "2.1", 200),
            ("/master/devices", "2", 200),
            ("/v3/devices", "2", 400),
            ("/v1/devices", "3", 400),
            ("/devices", "4", 404),
            ("/v4/devices", "4", 404),
            ("/v0/devices", "0", 404),
        ],
    )
    async def test_a_version_in_accept(
        self, cloud: LocalCloud, token: str, path: str, version: str, status: int
    ) -> None:
        accept = f"application/vnd.littlebits.v{version}+json"
        async with anonymous(cloud) as http:
            response = await http.get(path, headers={"Authorization": token, "Accept": accept})
        assert response.status_code == status
        if status == 400:
            message = assert_refused(response, 400, "Bad Request")
            assert message == "Version mismatch between URI and Accept Header."
        elif status == 404:
            assert_refused(response, 404, "Not Found")

    async def test_a_version_in_the_second_of_two_accepts(self, cloud: LocalCloud) -> None:
        async with anonymous(cloud) as http:
            headers = [("Accept", "text/html"), ("Accept", "application/vnd.littlebits.v1+json")]
            response = await http.get("/devices", headers=headers)
        assert response.json()["code"] == 401

    @pytest.mark.parametrize(
        "path",
        [
            f"/v{'9' * 5000}/devices",
            "/",
            "/v2",
            "/v",
            "/v2devices",
            "/v9/devices",
            "/v2/v2/devices",
            "/device",
            "/devices/a/b",
            "/devices//input",
            "/%00",
            "/devices/a/output/now",
            "//devices",
            "/DEVICES",
        ],
    )
    async def test_a_path_that_leads_nowhere(self, cloud: LocalCloud, token: str, path: str) -> None:
        async with anonymous(cloud) as http:
            url = httpx.URL(cloud.url).copy_with(raw_path=path.encode())
            response = await http.get(url, headers={"Authorization": token})
        assert_refused(response, 404, "Not Found")

    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            ("text/html", 406),
            ("image/png, text/*;q=0.5", 406),
            ("application/json;q=0", 406),
            ("text/event-stream", 406),
            ("garbage;;;=,", 406),
            ("text/html,application/xhtml+xml,*/*;q=0.8", 200),
            ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200),
            ("APPLICATION/JSON", 200),
            ("text/html;q=0, application/json;q=0.1", 200),
            ("application/*", 200),
        ],
    )
    async def test_json_is_all_there_is(self, cloud: LocalCloud, token: str, accept: str, status: int) -> None:
        async with anonymous(cloud) as http:
            response = await http.get("/devices", headers={"Authorization": token, "Accept": accept})
        assert response.status_code == status
        if status == 406:
            assert_refused(response, 406, "Not Acceptable")

    @pytest.mark.parametrize(
        ("accept", "status"),
        [
            ("text/event-stream", 200),
            ("application/vnd.littlebits.v2+json", 200),
            ("application/json", 200),
            ("text/*", 200),
            ("text/html", 406),
        ],
    )
    async def test_a_stream_may_be_asked_for_by_name(
        self, http: httpx.AsyncClient, bit: Bit, accept: str, status: int
    ) -> None:
        async with http.stream("GET", f"/devices/{bit.id}/input", headers={"Accept": accept}) as response:
            assert response.status_code == status


class TestErrors:
    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", "/ping", {"GET", "HEAD", "OPTIONS"}),
            ("DELETE", "/devices", {"GET", "HEAD", "OPTIONS"}),
            ("PATCH", "/devices/a", {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"}),
            ("GET", "/devices/a/output", {"POST", "OPTIONS"}),
            ("PUT", "/devices/a/light", {"POST", "OPTIONS"}),
            ("PUT", "/devices/a/input", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("PUT", "/subscriptions", {"GET", "HEAD", "POST", "DELETE", "OPTIONS"}),
            ("BREW", "/devices", {"GET", "HEAD", "OPTIONS"}),
        ],
    )
    async def test_a_method_that_a_path_does_not_take(
        self, cloud: LocalCloud, method: str, path: str, allowed: set[str]
    ) -> None:
        async with anonymous(cloud) as http:
            response = await http.request(method, path)
        assert_refused(response, 405, "Method Not Allowed")
        assert set(response.headers["allow"].split(", ")) == allowed

    async def test_a_body_of_64_kib_and_no_more(self, http: httpx.AsyncClient, bit: Bit) -> None:
        path, headers = f"/devices/{bit.id}/output", {"content-type": "application/json"}

        async def pieces(size: int) -> AsyncIterator[bytes]:
            for begin in range(0, size, 10_000):
                yield b" " * min(10_000, size - begin)

        for size, status in ((65_536, 200), (65_537, 413), (3_000_000, 413)):
            response = await http.post(path, content=b" " * size, headers=headers)
            assert response.status_code == status
            response = await http.post(path, content=pieces(size), headers=headers)
            assert response.status_code == status
        assert_refused(response, 413, "Request Entity Too Large")

    async def test_a_mistake_of_ours_is_500_and_logged(
        self,
        cloud: LocalCloud,
        http: httpx.AsyncClient,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(vars(cloud)["_registry"], "of_user", fail)
        assert_refused(await http.get("/devices"), 500, "Internal Server Error")
        assert [item.levelname for item in caplog.records if "GET /v2/devices failed" in item.message] == ["ERROR"]
        assert "ZeroDivisionError" in caplog.text

    async def test_a_token_that_went_astray_into_the_path_of_a_mistake_is_not_logged(
        self,
        token: str,
        http: httpx.AsyncClient,
        cloud: LocalCloud,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(vars(cloud)["_registry"], "find", fail)
        assert_refused(await http.get(f"/devices/{token}"), 500, "Internal Server Error")
        said = [item for item in caplog.records if not item.name.startswith(("httpx", "httpcore"))]
        assert any("GET /v2/devices/[token] failed" in item.getMessage() for item in said)
        assert not any(token in logging.Formatter().format(item) for item in said)

    async def test_what_is_not_http_is_turned_away(self, cloud: LocalCloud, http: httpx.AsyncClient) -> None:
        host, port = cloud.url.removeprefix("http://").split(":")
        for garbage in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"A" * 100_000 + b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            async with asyncio.timeout(5):
                answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert body == {"statusCode": 400, "error": "Bad Request", "message": "Invalid HTTP request received."}
            writer.close()
        assert (await http.get("/devices")).status_code == 200

    async def test_what_turns_bad_after_its_answer_is_cut_off(
        self, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        host, port = cloud.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"}")
            writer.write(b"no chunk\r\n")
            assert await reader.read() == b""
        writer.close()
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert not [item for item in caplog.records if item.name == "asyncio"]

    async def test_an_upgrade_is_ignored_in_silence(
        self, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        assert (await http.get("/devices", headers=headers)).status_code == 200
        assert not [item for item in caplog.records if item.name.startswith("uvicorn")]


class TestBrowsers:
    async def test_a_preflight_needs_no_token(self, cloud: LocalCloud) -> None:
        headers = {"Origin": "https://x.test", "Access-Control-Request-Method": "PUT"}
        async with anonymous(cloud) as http:
            for path in ("/v2/devices", "/devices/a/input", "/subscriptions", "/anywhere"):
                response = await http.options(path, headers=headers)
                assert (response.status_code, response.content) == (204, b"")
                assert CORS.items() <= dict(response.headers).items()

    async def test_a_preflight_allows_whatever_header_a_page_sends(self, cloud: LocalCloud) -> None:
        asked = "authorization,x-target-uri , X-Other,bad name,(\xfc),"
        async with anonymous(cloud) as http:
            headers = {b"Access-Control-Request-Headers": asked.encode("latin-1")}
            response = await http.options("/v2/devices/a/output", headers=headers)
        assert response.status_code == 204
        always = CORS["access-control-allow-headers"]
        assert response.headers["access-control-allow-headers"] == f"{always}, authorization, x-target-uri, X-Other"
        assert response.headers["vary"] == "Access-Control-Request-Headers"

    async def test_every_answer_may_be_read(self, http: httpx.AsyncClient, bit: Bit) -> None:
        for path in ("/devices", "/ping", "/devices/none", "/nowhere"):
            assert CORS.items() <= dict((await http.get(path)).headers).items()
        async with http.stream("GET", f"/devices/{bit.id}/input") as response:
            assert CORS.items() <= dict(response.headers).items()

    async def test_head_is_get_without_a_body(self, http: httpx.AsyncClient, bit: Bit) -> None:
        response = await http.head(f"/devices/{bit.id}")
        assert (response.status_code, response.content) == (200, b"")
        assert int(response.headers["content-length"]) > 0
        response = await http.head(f"/devices/{bit.id}/input")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-type"].startswith("text/event-stream")
        assert not bit.feed.readers


async def test_ping_needs_no_token(cloud: LocalCloud) -> None:
    async with anonymous(cloud) as http:
        for path in ("/ping", "/v2/ping", "/v3/ping/"):
            response = await http.get(path)
            assert (response.status_code, response.json()) == (200, {})
