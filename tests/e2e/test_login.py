"""`littlebits login`, with a user who says yes, or no, or nothing; and the commands that go on with it."""

import json
import re
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from littlebits_async import OAuthError
from littlebits_async.cli import _account
from littlebits_async.cli._loopback import loopback
from littlebits_async.testing import RunningCloud
from tests.support.command import Command, command, run
from tests.support.local_cloud import free_port
from tests.support.oauth_server import OAuthServer, oauth_server

PATIENCE = 10


@asynccontextmanager
async def logging_in(oauth: OAuthServer, home: Path, *options: str, **variables: str) -> AsyncGenerator[Command, None]:
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), **variables}
    async with command("login", "--no-browser", "--base-url", oauth.server.url, *options, **environment) as running:
        yield running


async def come_back(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as browser:
        return (await browser.get(url)).status_code


def found_in(home: Path) -> dict[str, Path]:
    return {path.name: path for path in home.rglob("*.json")}


@pytest.mark.asyncio
async def test_what_the_user_allows_is_kept_for_the_commands_that_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with oauth_server() as oauth:
        async with logging_in(oauth, tmp_path) as running:
            url = (await running.until(r"open (\S+)$"))[1]
            assert await come_back(oauth.consent(url)) == 200
            done = await running.result()
        assert (done.code, done.errors) == (0, "")
        assert done.output == f"logged in at {oauth.server.url} to read and write\n"
        files = found_in(tmp_path)
        assert sorted(files) == ["cloud.json", "login.json", "token.json"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
        assert stat.S_IMODE(files["token.json"].parent.stat().st_mode) == 0o700

        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        monkeypatch.setenv("LITTLEBITS_BASE_URL", oauth.server.url)
        monkeypatch.delenv("LITTLEBITS_TOKEN", raising=False)
        async with _account.open_session() as session:
            assert len(await session.devices()) == 1
            oauth.access.clear()
            assert len(await session.devices()) == 1  # renewed, with what the login noted
        assert [form["grant_type"] for form in oauth.grants] == ["authorization_code", "refresh_token"]
        monkeypatch.setenv("LITTLEBITS_TOKEN", "another")
        async with _account.open_session() as session:
            assert "OAuth2" not in repr(vars(session))
        monkeypatch.delenv("LITTLEBITS_TOKEN")
        monkeypatch.setenv("LITTLEBITS_BASE_URL", "http://127.0.0.1:1")
        # Another cloud is not sent this one's token.
        with pytest.raises(ValueError, match="set LITTLEBITS_TOKEN, or log in with `littlebits login`"):
            _account.open_session()


@pytest.mark.asyncio
async def test_it_prints_json(tmp_path: Path) -> None:
    async with oauth_server() as oauth:
        port = free_port()
        options = ("--json", "--scopes", "read", "--port", str(port), "--client-id", "mine")
        async with logging_in(oauth, tmp_path, *options) as running:
            url = json.loads(await running.line())["open"]["url"]
            assert "client_id=mine" in url
            assert "scope=read&" in url
            assert f"redirect_uri=http%3A%2F%2F127.0.0.1%3A{port}%2Fcallback" in url
            await come_back(oauth.consent(url))
            done = await running.result()
    assert json.loads(done.output) == {"login": {"base_url": oauth.server.url, "scopes": ["read", "write"]}}


@pytest.mark.asyncio
async def test_a_user_who_says_no_is_a_refusal(tmp_path: Path) -> None:
    async with oauth_server() as oauth:
        async with logging_in(oauth, tmp_path) as running:
            url = (await running.until(r"open (\S+)$"))[1]
            await come_back(oauth.consent(url).replace("code=", "error=access_denied&x="))
            done = await running.result()
    assert done.code == 1
    assert re.fullmatch(r"littlebits: the OAuth2 server refused: access_denied .*\n", done.errors)
    assert "token.json" not in found_in(tmp_path)


@pytest.mark.asyncio
async def test_a_login_that_comes_to_nothing_leaves_the_one_before_as_it_is(tmp_path: Path) -> None:
    async with oauth_server() as oauth:
        async with logging_in(oauth, tmp_path) as running:
            await come_back(oauth.consent((await running.until(r"open (\S+)$"))[1]))
            assert (await running.result()).code == 0
        before = {path: path.read_text(encoding="utf-8") for path in found_in(tmp_path).values()}
        async with logging_in(oauth, tmp_path, "--client-id", "another") as running:
            url = (await running.until(r"open (\S+)$"))[1]
            await come_back(oauth.consent(url).replace("code=", "error=access_denied&x="))
            assert (await running.result()).code == 1
        assert {path: path.read_text(encoding="utf-8") for path in found_in(tmp_path).values()} == before


@pytest.mark.asyncio
async def test_a_user_who_says_nothing_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with oauth_server() as oauth:
        async with logging_in(oauth, tmp_path, "--timeout", "0.1") as running:
            done = await running.result()
    assert (done.code, done.errors) == (1, "littlebits: login: nobody answered in 0.1 s\n")


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_not_reachable(tmp_path: Path) -> None:
    async with oauth_server() as oauth:
        nowhere = f"http://127.0.0.1:{free_port()}/token"
        async with logging_in(oauth, tmp_path, "--token-url", nowhere) as running:
            url = (await running.until(r"open (\S+)$"))[1]
            await come_back(oauth.consent(url))
            done = await running.result()
    assert done.code == 3
    assert "token endpoint" in done.errors


@pytest.mark.asyncio
async def test_a_secret_comes_from_the_environment_and_is_kept_nowhere(tmp_path: Path) -> None:
    secret = "clientsecretK3v9QzRmT7"
    async with oauth_server() as oauth:
        async with logging_in(oauth, tmp_path, LITTLEBITS_CLIENT_SECRET=secret) as running:
            url = (await running.until(r"open (\S+)$"))[1]
            await come_back(oauth.consent(url))
            done = await running.result()
        assert done.code == 0
        assert "authorization" in oauth.server.requests[-1].headers
    assert secret not in done.output + "".join(path.read_text(encoding="utf-8") for path in found_in(tmp_path).values())


@pytest.mark.asyncio
async def test_who_names_no_cloud_is_told_that_the_vendor_s_is_off(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = await run("login", "--no-browser", "--timeout", "0.1", **home)
    note, opened = done.output.splitlines()
    assert "switched off" in note
    assert "LITTLEBITS_BASE_URL" in note
    assert opened.startswith("open https://littlebits.cc/oauth/authorize?")
    done = await run("login", "--no-browser", "--timeout", "0.1", "--json", **home)
    assert [*json.loads(done.output)] == ["open"]


# The listener


@pytest.mark.anyio
async def test_only_an_answer_to_our_question_is_taken() -> None:
    asked: list[str] = []
    found: list[str] = []

    async with loopback(0) as listener, httpx.AsyncClient(trust_env=False) as browser:
        base = listener.url.removesuffix("/callback")

        def is_answer(url: str) -> bool:
            asked.append(url)
            return url.endswith("state=right")

        async def answer() -> None:
            found.append(await listener.answer_to(is_answer))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(answer)
                for path in ("/", "/favicon.ico", "/callback?state=wrong", "/other?state=right"):
                    assert (await browser.get(base + path)).status_code == 404
                assert (await browser.post(f"{base}/callback?state=right")).status_code == 404
                stuck = await anyio.connect_tcp("127.0.0.1", int(base.rpartition(":")[2]))  # says nothing
                await stuck.send(b"GET /")
                response = await browser.get(f"{base}/callback?code=c0de&state=right")
                assert response.status_code == 200
                assert response.headers["cache-control"] == "no-store"
                assert "c0de" not in response.text
                await stuck.aclose()
    assert found == [f"{listener.url}?code=c0de&state=right"]
    assert asked == [f"{listener.url}?state=wrong", found[0]]


@pytest.mark.anyio
async def test_a_request_that_does_not_end_is_dropped() -> None:
    async with loopback(0) as listener:
        port = int(listener.url.removesuffix("/callback").rpartition(":")[2])
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(listener.answer_to, str.isascii)
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await stream.send(b"GET /" + b"x" * 20_000)
                    assert (await stream.receive()).startswith(b"HTTP/1.1 404")
                group.cancel_scope.cancel()


def test_the_vendor_s_cloud_has_its_oauth2_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITTLEBITS_BASE_URL", raising=False)
    assert _account.account_at().oauth_url == "https://littlebits.cc/oauth"
    assert _account.account_at("http://cloud.example/api/").oauth_url == "http://cloud.example/api/oauth"
    assert _account.account_at("http://a.example:1").directory != _account.account_at("http://a.example/1").directory


@pytest.mark.asyncio
async def test_what_is_left_of_a_login_without_its_token_is_no_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    account = _account.account_at("http://cloud.example")
    auth = account.login(client_id="a", authorize_url="http://a.example", token_url="http://a.example", scopes="")
    assert account.auth() is None
    with pytest.raises(OAuthError, match="littlebits login"):
        await auth.token()


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_a_line_before_anybody_is_asked(tmp_path: Path) -> None:
    async with loopback(0) as listener, oauth_server() as oauth:
        port = listener.url.split(":")[2].partition("/")[0]
        async with logging_in(oauth, tmp_path, "--port", port) as login:
            done = await login.result()
    assert (done.code, done.output) == (3, "")
    assert done.errors == f"littlebits: cannot listen at port {port}: Address already in use\n"


@pytest.mark.asyncio
async def test_a_token_that_is_no_text_is_a_line(running_cloud: RunningCloud, tmp_path: Path) -> None:
    variables = {"XDG_CONFIG_HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8:strict"}
    async with command("login", "--with-token", "--base-url", running_cloud.url, **variables) as login:
        assert login.process.stdin is not None
        login.process.stdin.write(b"\xff\n")
        login.process.stdin.close()
        done = await login.result()
    assert (done.code, done.output) == (2, "")
    assert done.errors == "littlebits: the access token holds blanks, control or non-ASCII characters\n"
