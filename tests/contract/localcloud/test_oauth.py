"""OAuth2 of the cloud over a socket: each rule, and each error."""

import logging
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.storage import StorageError, Store
from tests.support.consent import BACK, App, allow, back, browser, register

pytestmark = pytest.mark.asyncio

GRANTS = "littlebits_async.localcloud.oauth._grants"


@pytest_asyncio.fixture
async def app(cloud: LocalCloud) -> AsyncIterator[App]:
    async with browser(cloud.url) as http:
        yield App(http)


def denied(response: httpx.Response, error: str, status: int = 400) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert response.json()["error_description"].isprintable()
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"


class TestAuthorize:
    async def test_a_code_brings_tokens_that_open_the_api(self, app: App, token: str) -> None:
        answer = back(await allow(app.http, app.url(), token))
        assert answer.uri == BACK
        assert set(answer.said) == {"code", "state"}
        assert answer.said["state"] == "s t/a+te&"
        response = await app.redeem(answer.code)
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        tokens = response.json()
        assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, "read write")
        assert re.fullmatch("[0-9a-f]{64}", tokens["access_token"])
        assert await app.devices(tokens["access_token"]) == 200
        headers = {"Authorization": tokens["access_token"]}
        assert (await app.http.delete("/v2/devices/x", headers=headers)).status_code == 403  # for admin

    async def test_the_page_runs_nothing_and_stands_in_no_frame(self, app: App) -> None:
        page = await app.http.get(app.url())
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == "'self' http:"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in page.headers
        assert "script" not in page.text
        assert (await app.http.options("/oauth/authorize")).status_code == 405

    async def test_the_page_says_who_asks_for_what_and_where_it_goes(self, cloud: LocalCloud, app: App) -> None:
        name = '<script>alert("&")</script>'
        await register(cloud, "shop", "https://shop.example/back", name=name)
        shop = App(app.http, client_id="shop", redirect_uri="https://shop.example/back")
        page = (await app.http.get(shop.url(scope="write"))).text
        assert "<script" not in page
        assert "&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;" in page
        assert "https://shop.example" in page
        assert "<b>write</b>" in page
        assert "<b>read</b>" not in page
        assert "computer that you sit at" not in page
        assert "computer that you sit at" in (await app.http.get(app.url())).text

    async def test_who_says_no_is_sent_back_and_shows_no_token(self, app: App) -> None:
        answer = back(await allow(app.http, app.url(), "", "deny"))
        assert (answer.said["error"], answer.said["state"]) == ("access_denied", "s t/a+te&")

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"response_type": None}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"code_challenge": "short"}, "invalid_request"),
            ({"scope": "root"}, "invalid_scope"),
            ({"scope": " "}, "invalid_scope"),
            ({"scope": "read root"}, "invalid_scope"),
        ],
    )
    async def test_what_is_wrong_is_told_to_the_application(
        self, app: App, token: str, changes: dict[str, Any], error: str
    ) -> None:
        for response in (
            await app.http.get(app.url(**changes)),
            await app.http.post(app.url(**changes), data={"token": token, "decision": "allow"}),
        ):
            answer = back(response)
            assert (answer.uri, answer.said["error"]) == (BACK, error)
            assert answer.said["state"] == "s t/a+te&"
            assert "code" not in answer.said

    async def test_a_parameter_that_is_there_twice_is_refused(self, app: App) -> None:
        answer = back(await app.http.get(f"{app.url()}&scope=read"))
        assert (answer.said["error"], answer.said["state"]) == ("invalid_request", "s t/a+te&")
        answer = back(await app.http.get(f"{app.url()}&state=other"))
        assert answer.said.keys() == {"error", "error_description"}
        for twice in ("client_id=littlebits", "redirect_uri=http://127.0.0.1:4711/callback"):
            assert (await app.http.get(f"{app.url()}&{twice}")).status_code == 400

    async def test_without_a_state_none_comes_back(self, app: App, token: str) -> None:
        assert back(await allow(app.http, app.url(state=None), token)).said.keys() == {"code"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"client_id": None},
            {"client_id": "nobody"},
            {"redirect_uri": None},
            {"redirect_uri": "https://evil.example/callback"},
            {"redirect_uri": "http://127.0.0.1:4711/callback/"},
            {"redirect_uri": "http://127.0.0.1:4711/callback?x=1"},
            {"redirect_uri": "http://127.0.0.1:4711@evil.example/callback"},
            {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
            {"redirect_uri": "http://localhost:4711/callback"},
            {"redirect_uri": "https://127.0.0.1:4711/callback"},
            {"redirect_uri": "http://127.0.0.1:4711/callback#x"},
            {"redirect_uri": "javascript:alert(1)"},
        ],
        ids=str,
    )
    async def test_nobody_is_sent_where_the_application_is_not_known(
        self, app: App, token: str, changes: dict[str, Any]
    ) -> None:
        for response in (
            await app.http.get(app.url(**changes)),
            await app.http.post(app.url(**changes), data={"token": token, "decision": "allow"}),
        ):
            assert response.status_code == 400
            assert "location" not in response.headers
            assert response.headers["x-frame-options"] == "DENY"
            assert "evil" not in response.text

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "127.0.0.1:65535", "[::1]", "[::1]:8400"])
    async def test_a_program_on_this_machine_listens_at_any_port(self, app: App, token: str, host: str) -> None:
        app.redirect_uri = f"http://{host}/callback"
        answer = back(await allow(app.http, app.url(), token))
        assert answer.uri == app.redirect_uri
        assert (await app.redeem(answer.code)).status_code == 200

    async def test_a_redirect_keeps_the_query_that_it_was_registered_with(
        self, cloud: LocalCloud, app: App, token: str
    ) -> None:
        await register(cloud, "shop", "https://shop.example/back?way=1")
        shop = App(app.http, client_id="shop", redirect_uri="https://shop.example/back?way=1")
        assert back(await allow(app.http, shop.url(), token)).said.keys() == {"way", "code", "state"}


class TestConsent:
    async def test_only_a_token_of_the_cloud_allows_something(self, app: App, token: str) -> None:
        for wrong in ("", "0" * 64, token[:-1], f"{token}0"):
            response = await allow(app.http, app.url(), wrong)
            assert response.status_code == 403
            assert "no token of this cloud" in response.text
            assert not wrong or wrong not in response.text
        assert back(await allow(app.http, app.url(), f" {token}\n")).code

    async def test_a_token_gives_no_more_than_it_has(self, cloud: LocalCloud, app: App) -> None:
        reads = await cloud.create_token(["read"], user_id=7)
        await cloud.add_device("theirs", user_id=7)
        await cloud.add_device("others", user_id=1)
        tokens = await app.log_in(reads, scope="read write admin")
        assert tokens["scope"] == "read"
        headers = {"Authorization": tokens["access_token"]}
        devices = (await app.http.get("/v2/devices", headers=headers)).json()
        assert [device["id"] for device in devices] == ["theirs"]
        refused = await allow(app.http, app.url(scope="write"), reads)
        assert refused.status_code == 403
        assert "may itself do nothing of that" in refused.text

    async def test_who_asks_for_nothing_gets_to_read(self, app: App, token: str) -> None:
        assert (await app.log_in(token, scope=None))["scope"] == "read"

    async def test_an_application_asks_for_no_more_than_it_was_registered_for(
        self, cloud: LocalCloud, app: App, token: str
    ) -> None:
        await register(cloud, "tool", scopes=["read"])
        app.client_id = "tool"
        assert back(await app.http.get(app.url(scope="read write"))).said["error"] == "invalid_scope"
        assert (await app.log_in(token, scope="read"))["scope"] == "read"

    async def test_a_token_that_an_application_got_allows_no_other(self, app: App, token: str) -> None:
        tokens = await app.log_in(token)
        for secret in (tokens["access_token"], tokens["refresh_token"]):
            assert (await allow(app.http, app.url(), secret)).status_code == 403

    async def test_what_was_allowed_ends_with_the_token_that_allowed_it(self, db: Path) -> None:
        async with LocalCloud(db) as cloud, browser(cloud.url) as http:
            app = App(http)
            token = await cloud.create_token()
            tokens, code = await app.log_in(token), await app.code(token)
            store, registry = vars(cloud)["_store"], vars(cloud)["_registry"]
            assert await store.remove_token(registry.tokens.find(token).digest)
            await registry.tokens.reload()
            assert await app.devices(tokens["access_token"]) == 401
            denied(await app.renew(tokens["refresh_token"]), "invalid_grant")
            denied(await app.redeem(code), "invalid_grant")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
        ],
        ids=str,
    )
    async def test_a_form_of_another_page_is_refused(self, app: App, token: str, headers: dict[str, str]) -> None:
        said = {"token": token, "decision": "allow"}
        response = await app.http.post(app.url(), data=said, headers=headers)
        assert response.status_code == 403
        assert "location" not in response.headers
        assert back(await app.http.post(app.url(), data=said)).code  # of a browser that says nothing

    async def test_a_full_disk_is_told_to_the_application(
        self, app: App, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(*_: object) -> bool:
            raise StorageError("the disk is full")

        monkeypatch.setattr("littlebits_async.localcloud.storage.GrantTables.add_grant", fail)
        assert back(await allow(app.http, app.url(), token)).said["error"] == "temporarily_unavailable"
        monkeypatch.setattr("littlebits_async.localcloud.storage.GrantTables.client", fail)
        assert (await app.http.get(app.url())).status_code == 503
        denied(await app.renew("x"), "temporarily_unavailable", 503)


class TestCodes:
    async def test_a_code_that_is_used_twice_ends_what_it_gave(self, app: App, token: str) -> None:
        code = await app.code(token)
        tokens = (await app.redeem(code)).json()
        denied(await app.redeem(code), "invalid_grant")
        assert await app.devices(tokens["access_token"]) == 401
        denied(await app.renew(tokens["refresh_token"]), "invalid_grant")

    async def test_only_one_of_many_at_once_gets_tokens_and_they_end(self, app: App, token: str) -> None:
        code, answers = await app.code(token), list[httpx.Response]()

        async def redeem() -> None:
            answers.append(await app.redeem(code))

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(redeem)
        given = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
        assert len(given) == 1
        assert await app.devices(given[0]) == 401

    @pytest.mark.parametrize(
        "changes",
        [
            {"code_verifier": None},
            {"code_verifier": "x" * 43},
            {"redirect_uri": "http://127.0.0.1:4712/callback"},
            {"client_id": "other"},
        ],
        ids=str,
    )
    async def test_a_code_that_is_presented_wrongly_is_used_up(
        self, cloud: LocalCloud, app: App, token: str, changes: dict[str, Any]
    ) -> None:
        await register(cloud, "other")
        code = await app.code(token)
        denied(await app.redeem(code, **changes), "invalid_grant")
        denied(await app.redeem(code), "invalid_grant")

    async def test_a_code_is_good_for_a_minute(self, app: App, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
        code = await app.code(token)
        monkeypatch.setattr(f"{GRANTS}._now_ms", lambda: time.time_ns() // 1_000_000 + 60_000)
        denied(await app.redeem(code), "invalid_grant")

    async def test_what_is_missing_is_told_and_uses_nothing_up(self, app: App, token: str) -> None:
        code = await app.code(token)
        for changes in ({"grant_type": None}, {"code": None}, {"redirect_uri": None}, {"redirect_uri": ""}):
            denied(await app.redeem(code, **changes), "invalid_request")
        denied(await app.redeem(code, grant_type="password"), "unsupported_grant_type")
        assert (await app.redeem(code)).status_code == 200


class TestRefresh:
    async def test_each_renewal_brings_another_pair(self, app: App, token: str) -> None:
        first = await app.log_in(token)
        second = (await app.renew(first["refresh_token"])).json()
        third = (await app.renew(second["refresh_token"])).json()
        assert len({each[name] for each in (first, second, third) for name in ("access_token", "refresh_token")}) == 6
        assert third["scope"] == "read write"
        assert [await app.devices(each["access_token"]) for each in (first, second, third)] == [200, 200, 200]

    @pytest.mark.parametrize("newer", [2, 3])
    async def test_one_that_is_used_twice_ends_the_whole_family(self, app: App, token: str, newer: int) -> None:
        other = await app.log_in(token)
        family = [await app.log_in(token)]
        for _ in range(newer):
            family.append((await app.renew(family[-1]["refresh_token"])).json())
        denied(await app.renew(family[0]["refresh_token"]), "invalid_grant")
        for each in family:
            assert await app.devices(each["access_token"]) == 401
            denied(await app.renew(each["refresh_token"]), "invalid_grant")
        assert (await app.renew(other["refresh_token"])).status_code == 200

    async def test_an_answer_may_be_lost_on_its_way(self, app: App, token: str) -> None:
        first = await app.log_in(token)
        lost = [(await app.renew(first["refresh_token"])).json() for _ in range(3)]
        found = (await app.renew(first["refresh_token"])).json()
        assert [await app.devices(each["access_token"]) for each in (first, *lost, found)] == [401, 401, 401, 401, 200]
        found = (await app.renew(found["refresh_token"])).json()
        denied(await app.renew(first["refresh_token"]), "invalid_grant")  # there was an answer
        assert await app.devices(found["access_token"]) == 401

    async def test_of_two_who_have_it_one_is_found_out(self, app: App, token: str) -> None:
        stolen = (await app.log_in(token))["refresh_token"]
        mine = (await app.renew(stolen)).json()
        theirs = (await app.renew(stolen)).json()
        assert await app.devices(mine["access_token"]) == 401  # so that it is renewed
        denied(await app.renew(mine["refresh_token"]), "invalid_grant")
        assert await app.devices(theirs["access_token"]) == 401
        denied(await app.renew(theirs["refresh_token"]), "invalid_grant")

    async def test_ten_minutes_later_no_answer_was_lost(
        self, app: App, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [time.time()]
        monkeypatch.setattr(f"{GRANTS}._now_ms", lambda: int(now[0] * 1000))
        first = await app.log_in(token)
        for _ in range(2):  # the second time is no other beginning
            assert (await app.renew(first["refresh_token"])).status_code == 200
            now[0] += 300
        denied(await app.renew(first["refresh_token"]), "invalid_grant")

    async def test_it_belongs_to_one_application(self, cloud: LocalCloud, app: App, token: str) -> None:
        await register(cloud, "other")
        tokens = await app.log_in(token)
        denied(await app.renew(tokens["refresh_token"], client_id="other"), "invalid_grant")
        assert (await app.renew(tokens["refresh_token"])).status_code == 200

    async def test_less_may_be_asked_for_but_not_more(self, app: App, token: str) -> None:
        tokens = await app.log_in(token)
        for scope in ("read admin", " "):
            denied(await app.renew(tokens["refresh_token"], scope=scope), "invalid_scope")
        less = (await app.renew(tokens["refresh_token"], scope="read")).json()
        assert less["scope"] == "read"
        assert (await app.renew(less["refresh_token"])).json()["scope"] == "read write"

    async def test_it_ends_after_thirty_days_without_use(
        self, app: App, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = [29.99, 59.9, 89.8, 120.0]
        monkeypatch.setattr(f"{GRANTS}._now_ms", lambda: int((time.time() + later[0] * 86400) * 1000))
        tokens = await app.log_in(token)
        for _ in range(2):
            del later[0]
            tokens = (await app.renew(tokens["refresh_token"])).json()
        del later[0]
        denied(await app.renew(tokens["refresh_token"]), "invalid_grant")

    async def test_an_application_has_at_most_sixteen_access_tokens(
        self, cloud: LocalCloud, app: App, token: str
    ) -> None:
        all_of_them = [await app.log_in(token)]
        for _ in range(17):
            all_of_them.append((await app.renew(all_of_them[-1]["refresh_token"])).json())
        assert len(await vars(cloud)["_store"].tokens()) == 17  # and the one that allowed it
        good = [await app.devices(each["access_token"]) == 200 for each in all_of_them]
        assert good == [False, False, *[True] * 16]


async def test_the_disk_keeps_nothing_that_has_ended(
    cloud: LocalCloud, app: App, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(db: sqlite3.Connection) -> tuple[int, int]:
        grants, tokens = db.execute("SELECT (SELECT count(*) FROM grants), (SELECT count(*) FROM tokens)").fetchone()
        return grants, tokens

    async def kept() -> tuple[int, int]:
        store: Store = vars(cloud)["_store"]
        found: tuple[int, int] = await vars(store.grants)["_run"](count)
        return found

    now = [time.time()]
    monkeypatch.setattr(f"{GRANTS}._now_ms", lambda: int(now[0] * 1000))
    await app.log_in(token)
    tokens = await app.log_in(token)
    await app.code(token)
    assert await kept() == (3, 3)
    now[0] += 3600
    assert (await app.renew(tokens["refresh_token"])).status_code == 200
    assert await kept() == (2, 2)  # not the code, and no access token but the new one
    now[0] += 30 * 86400
    await app.code(token)
    assert await kept() == (1, 1)


class TestAccessTokens:
    async def test_one_that_has_ended_opens_nothing_and_holds_nothing_open(self) -> None:
        async with LocalCloud(token_lifetime=1) as cloud, browser(cloud.url) as http:
            await cloud.add_device("b1")
            app, token = App(http), await cloud.create_token()
            tokens = await app.log_in(token)
            assert tokens["expires_in"] == 1
            headers = {"Authorization": tokens["access_token"]}
            with anyio.fail_after(10):
                async with http.stream("GET", "/v2/devices/b1/input", headers=headers) as stream:
                    assert stream.status_code == 200
                    async for _ in stream.aiter_lines():
                        pass
            assert await app.devices(tokens["access_token"]) == 401
            renewed = (await app.renew(tokens["refresh_token"])).json()
            assert await app.devices(renewed["access_token"]) == 200

    async def test_all_of_one_login_share_the_hours_requests(self) -> None:
        async with LocalCloud(limit=3) as cloud, browser(cloud.url) as http:
            app, token = App(http), await cloud.create_token()
            tokens = await app.log_in(token)
            assert [await app.devices(tokens["access_token"]) for _ in range(2)] == [200, 200]
            renewed = (await app.renew(tokens["refresh_token"])).json()
            assert [await app.devices(renewed["access_token"]) for _ in range(2)] == [200, 429]
            assert cloud.requests(renewed["access_token"]) == 3
            assert await app.devices(token) == 200

    @pytest.mark.parametrize("seconds", [0.5, 31 * 86400, float("nan")])
    async def test_a_lifetime_out_of_range_is_refused(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="token_lifetime must be 1 to 2592000 seconds"):
            LocalCloud(token_lifetime=seconds)


class TestRevocation:
    async def test_a_refresh_token_ends_all_that_came_of_the_login(
        self, cloud: LocalCloud, app: App, token: str
    ) -> None:
        await cloud.add_device("b1")
        tokens = await app.log_in(token)
        headers = {"Authorization": tokens["access_token"]}
        with anyio.fail_after(10):
            async with app.http.stream("GET", "/v2/devices/b1/input", headers=headers) as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                response = await app.revoke(tokens["refresh_token"], token_type_hint="access_token")
                assert response.status_code == 200
                assert response.headers["cache-control"] == "no-store"
                async for _ in lines:  # to its end
                    pass
        assert await app.devices(tokens["access_token"]) == 401
        denied(await app.renew(tokens["refresh_token"]), "invalid_grant")

    async def test_what_has_ended_is_refused_though_the_disk_fails_from_then_on(
        self, app: App, token: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(_: object) -> None:
            raise StorageError("the disk is gone")

        tokens = await app.log_in(token)
        monkeypatch.setattr("littlebits_async.localcloud.storage.Store.tokens", fail)
        assert (await app.revoke(tokens["refresh_token"])).status_code == 200
        assert await app.devices(tokens["access_token"]) == 401

    async def test_an_access_token_ends_alone(self, app: App, token: str) -> None:
        tokens = await app.log_in(token)
        assert (await app.revoke(tokens["access_token"])).status_code == 200
        assert await app.devices(tokens["access_token"]) == 401
        assert (await app.renew(tokens["refresh_token"])).status_code == 200

    async def test_what_is_unknown_has_ended_already(self, app: App) -> None:
        assert (await app.revoke("0" * 64)).status_code == 200
        denied(await app.post("/oauth/revoke"), "invalid_request")

    async def test_nobody_ends_what_is_somebody_elses(self, cloud: LocalCloud, app: App, token: str) -> None:
        await register(cloud, "other")
        tokens = await app.log_in(token)
        other = App(app.http, client_id="other")
        for theirs in (tokens["access_token"], tokens["refresh_token"], token):
            denied(await other.revoke(theirs), "invalid_grant")
        assert await app.devices(tokens["access_token"]) == await app.devices(token) == 200
        assert (await app.renew(tokens["refresh_token"])).status_code == 200


class TestClients:
    @pytest_asyncio.fixture
    async def shop(self, cloud: LocalCloud, app: App) -> App:
        secret = await register(cloud, "shop", confidential=True)
        return App(app.http, client_id="shop", secret=secret)

    async def test_a_secret_is_shown_in_the_form_or_by_basic(self, shop: App, token: str) -> None:
        tokens = await shop.log_in(token)
        assert shop.secret is not None
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        response = await shop.http.post("/oauth/token", data=form, auth=("shop", shop.secret))
        assert response.status_code == 200
        both = await shop.http.post(
            "/oauth/token", data={**form, "client_secret": shop.secret}, auth=("shop", shop.secret)
        )
        denied(both, "invalid_request")
        denied(
            await shop.http.post("/oauth/token", data={**form, "client_id": "x"}, auth=("shop", shop.secret)),
            "invalid_request",
        )

    async def test_who_does_not_prove_it_is_nobody_and_uses_nothing_up(self, shop: App, token: str) -> None:
        code = await shop.code(token)
        for changes in ({"client_secret": "0" * 64}, {"client_secret": ""}, {"client_id": "nobody"}, {"client_id": ""}):
            response = await shop.redeem(code, **changes)
            denied(response, "invalid_client", 401)
            assert response.headers["www-authenticate"].startswith("Basic ")
        for header in ("Bearer x", "Basic ###", "Basic c2hvcA==", "Basic /w=="):
            response = await shop.http.post("/oauth/token", data={"code": code}, headers={"Authorization": header})
            denied(response, "invalid_client", 401)
        assert (await shop.redeem(code)).status_code == 200

    async def test_a_public_one_has_no_secret_to_show(self, app: App, token: str) -> None:
        denied(await app.redeem(await app.code(token), client_secret="0" * 64), "invalid_client", 401)

    async def test_a_confidential_one_may_leave_pkce_out(self, shop: App, token: str) -> None:
        shop.verifier = None
        assert (await shop.log_in(token))["scope"] == "read write"
        # But nobody takes it out of a question, to have a code of their own redeemed.
        code = await shop.code(token)
        denied(await shop.redeem(code, code_verifier="x" * 43), "invalid_grant")

    async def test_its_redirect_holds_to_the_letter(self, shop: App) -> None:
        shop.redirect_uri = "http://127.0.0.1:4712/callback"
        assert (await shop.http.get(shop.url())).status_code == 400

    async def test_with_it_all_that_it_got_ends(self, cloud: LocalCloud, shop: App, token: str) -> None:
        tokens = await shop.log_in(token)
        store = vars(cloud)["_store"]
        assert await store.grants.remove_client("shop")
        await vars(cloud)["_registry"].tokens.reload()
        assert await shop.devices(tokens["access_token"]) == 401
        assert await store.grants.grants() == []


class TestRequests:
    @pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
    async def test_only_a_form_by_post_is_taken(self, app: App, path: str) -> None:
        for method in ("GET", "PUT", "DELETE"):
            response = await app.http.request(method, path)
            denied(response, "invalid_request", 405)
            assert response.headers["allow"] == "POST, OPTIONS"
        denied(await app.http.post(path, json={"token": "x"}), "invalid_request")
        form = {"content-type": "application/x-www-form-urlencoded"}
        for content in (b"token=a&token=b", b"token=%ff", b"&".join([b"a=1"] * 60)):
            denied(await app.http.post(path, content=content, headers=form), "invalid_request")
        denied(await app.http.post(path, content=b"a" * 70_000, headers=form), "invalid_request", 413)

    async def test_a_page_elsewhere_may_ask_for_tokens(self, app: App) -> None:
        preflight = await app.http.options("/oauth/token", headers={"Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "*"

    async def test_the_document_says_where_everything_is(self, cloud: LocalCloud, app: App) -> None:
        response = await app.http.get("/.well-known/oauth-authorization-server")
        told = response.json()
        assert told["issuer"] == cloud.url
        assert told["authorization_endpoint"] == f"{cloud.url}/oauth/authorize"
        assert told["code_challenge_methods_supported"] == ["S256"]
        for name in ("token_endpoint", "revocation_endpoint"):
            assert (await app.http.get(told[name])).status_code == 405
        assert (await app.http.head("/.well-known/oauth-authorization-server/")).status_code == 200

    @pytest.mark.parametrize(("said", "scheme"), [("https", "https"), ("javascript", "http")])
    async def test_the_document_follows_a_proxy_that_ends_tls(self, app: App, said: str, scheme: str) -> None:
        headers = {"Host": "cloud.example", "X-Forwarded-Proto": said}
        told = (await app.http.get("/.well-known/oauth-authorization-server", headers=headers)).json()
        assert told["token_endpoint"] == f"{scheme}://cloud.example/oauth/token"

    async def test_who_is_wrong_too_often_has_to_wait(self, cloud: LocalCloud, app: App, token: str) -> None:
        await register(cloud, "other")
        code = await app.code(token)
        for _ in range(20):
            denied(await app.renew("guess"), "invalid_grant")
            assert (await allow(app.http, app.url(), "guess")).status_code == 403
        response = await app.redeem(code)
        denied(response, "temporarily_unavailable", 429)
        assert 1 <= int(response.headers["retry-after"]) <= 61
        page = await allow(app.http, app.url(), token)
        assert (page.status_code, page.headers["x-frame-options"]) == (429, "DENY")
        assert "retry-after" in page.headers
        assert (await app.http.get("/v2/ping")).status_code == 200
        denied(await App(app.http, client_id="other").renew("x"), "invalid_grant")  # of the same machine

    async def test_no_secret_is_kept_or_logged(
        self, db: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with LocalCloud(db) as cloud, browser(cloud.url) as http:
            token = await cloud.create_token()
            secret = await register(cloud, "shop", confidential=True)
            app = App(http, client_id="shop", secret=secret)
            state, code = "state-of-theirs", await app.code(token, state="state-of-theirs")
            tokens = (await app.redeem(code)).json()
            renewed = (await app.renew(tokens["refresh_token"])).json()
            hidden = [token, secret, app.verifier, code, state]
            hidden += [each[name] for each in (tokens, renewed) for name in ("access_token", "refresh_token")]

            async def fail(*_: object, **__: object) -> None:
                raise RuntimeError("a bug")

            for name in ("redeem", "renew", "add_grant"):
                monkeypatch.setattr(f"littlebits_async.localcloud.storage.GrantTables.{name}", fail)
            denied(await app.redeem(code), "server_error", 500)
            denied(await app.renew(tokens["refresh_token"]), "server_error", 500)
            assert (await allow(http, app.url(state=state), token)).status_code == 500
            shown = f"{cloud!r} {vars(cloud)!r} {vars(vars(cloud)['_registry'])!r}"
        said = [item for item in caplog.records if not item.name.startswith(("httpx", "httpcore", "hpack"))]
        assert any("POST /oauth/authorize failed" in item.getMessage() for item in said)
        assert any("path=/oauth/token" in item.getMessage() for item in said)
        logged = "\n".join(logging.Formatter().format(item) for item in said)
        kept = b"".join(path.read_bytes() for path in db.parent.iterdir())
        for each in hidden:
            assert each is not None
            assert each not in logged
            assert each not in shown
            assert each.encode() not in kept


async def test_what_could_not_be_kept_is_not_used_up(app: App, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    code = await app.code(token)
    with monkeypatch.context() as patch:
        patch.setattr("littlebits_async.localcloud.storage._grants.add_token", fail)  # after all else was written
        denied(await app.redeem(code), "temporarily_unavailable", 503)
    tokens = (await app.redeem(code)).json()
    with monkeypatch.context() as patch:
        patch.setattr("littlebits_async.localcloud.storage._grants.add_token", fail)
        denied(await app.renew(tokens["refresh_token"]), "temporarily_unavailable", 503)
    assert await app.devices(tokens["access_token"]) == 200
    renewed = (await app.renew(tokens["refresh_token"])).json()
    assert await app.devices(tokens["access_token"]) == await app.devices(renewed["access_token"]) == 200


@pytest.mark.parametrize("moment", ["authorize", "token"])
async def test_what_was_given_outlives_the_cloud(db: Path, moment: str) -> None:
    async with LocalCloud(db) as cloud, browser(cloud.url) as http:
        app, token = App(http), await cloud.create_token()
        code, tokens = await app.code(token), dict[str, Any]()
        if moment == "token":
            tokens = (await app.redeem(code)).json()
    async with LocalCloud(db) as cloud, browser(cloud.url) as http:
        app.http = http
        if moment == "authorize":
            tokens = (await app.redeem(code)).json()
        assert await app.devices(tokens["access_token"]) == 200
        assert (await app.renew(tokens["refresh_token"])).status_code == 200
        denied(await app.redeem(code), "invalid_grant")  # it is known for what it was
        assert await app.devices(tokens["access_token"]) == 401
