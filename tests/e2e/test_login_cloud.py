"""`littlebits login` at a cloud of one's own, and what goes on from there to `littlebits logout`."""

import json
import re
import signal
import socket
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from littlebits_async.testing import run_cloud
from tests.support.command import Result, command, run
from tests.support.consent import allow, browser
from tests.support.local_cloud import free_port

pytestmark = pytest.mark.asyncio


async def log_in(url: str, token: str, *options: str, decision: str = "allow", **home: str) -> Result:
    async with command("login", "--no-browser", "--base-url", url, *options, **home) as running, browser(url) as http:
        question = (await running.until(r"open (\S+)$"))[1]
        response = await allow(http, question, token, decision)
        assert (await http.get(response.headers["location"])).status_code == 200
        return await running.result()


def kept_in(home: Path) -> list[dict[str, str]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in home.rglob("token.json")]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


async def test_from_login_to_logout(tmp_path: Path, home: dict[str, str]) -> None:
    db, port = str(tmp_path / "cloud.db"), str(free_port())
    serving = ("serve", "--db", db, "--port", port, "--simulate", "1")
    async with command(*serving) as serve:
        url = (await serve.until(r"url (\S+)$"))[1]
        token = (await serve.until(r"token (\S+)$"))[1]
        done = await log_in(url, token, **home)
        assert (done.code, done.output, done.errors) == (0, f"logged in at {url} to read and write\n", "")
        assert (await serve.result(signal.SIGTERM)).code == 0
    async with command(*serving, "--log-level", "info") as serve:  # another one, which knows all
        await serve.until(r"url (\S+)$")
        done = await run("devices", **home)
        assert (done.code, done.errors) == (0, "")
        done = await run("rename", "00e040000001", "lamp", **home)  # for admin
        assert done.code == 1
        made, got = (await run("tokens", "list", "--db", db, "--json")).output.splitlines()
        assert json.loads(made)["token"].keys() == {"id", "user_id", "scopes", "label", "created"}
        listed = json.loads(got)["token"]
        assert (listed["client_id"], listed["label"], listed["scopes"]) == (
            "littlebits",
            "client littlebits",
            ["read", "write"],
        )
        [secrets] = kept_in(tmp_path)
        done = await run("logout", **home)
        assert (done.code, done.output) == (0, f"logged out at {url}, where the token is revoked\n")
        assert len((await run("tokens", "list", "--db", db)).output.splitlines()) == 1
        async with browser(url) as http:
            headers = {"Authorization": secrets["access_token"]}
            assert (await http.get("/v2/devices", headers=headers)).status_code == 401
        done = await serve.result(signal.SIGTERM)
    assert done.code == 0
    assert "path=/oauth/revoke" in done.errors
    for secret in (token, secrets["access_token"], secrets["refresh_token"]):
        assert secret not in done.errors


async def test_commands_that_find_the_token_ended_renew_it_between_them(tmp_path: Path, home: dict[str, str]) -> None:
    with run_cloud(token_lifetime=1) as cloud:
        await cloud.add_device("00e040000001")
        assert (await log_in(cloud.url, cloud.token, **home)).code == 0
        access = kept_in(tmp_path)[0]["access_token"]
        await cloud.until(lambda there: vars(there)["_registry"].tokens.find(access) is None)
        done: list[Result] = []

        async def ask() -> None:
            done.append(await run("devices", **home))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
        assert [(each.code, each.errors) for each in done] == [(0, "")] * 3
        await cloud.until(lambda there: len(vars(there)["_registry"].tokens) == 1)  # they end, the login does not
        assert (await run("devices", **home)).code == 0


async def test_a_login_that_is_revoked_at_the_cloud_is_one_line(tmp_path: Path, home: dict[str, str]) -> None:
    db = tmp_path / "cloud.db"
    with run_cloud(db=db) as cloud:
        assert (await log_in(cloud.url, cloud.token, "--scopes", "read", **home)).code == 0
        access = kept_in(tmp_path)[0]["access_token"]
        listed = (await run("tokens", "list", "--db", str(db))).output
        found = re.search(r"^token (\w{8}) user 1 read \S+ client littlebits$", listed, re.MULTILINE)
        assert found is not None, listed
        # The token that the application has will do as well as the id of what it got.
        assert (await run("tokens", "revoke", access, "--db", str(db))).output == f"revoked {found[1]}\n"
        await cloud.until(lambda there: vars(there)["_registry"].tokens.find(access) is None)
        done = await run("devices", **home)
    assert done.code == 1
    assert "Traceback" not in done.errors


async def test_a_logout_without_its_cloud_forgets_all_the_same(tmp_path: Path, home: dict[str, str]) -> None:
    with run_cloud() as cloud:
        url = cloud.url
        assert (await log_in(url, cloud.token, **home)).code == 0
    done = await run("logout", "--json", **home)
    assert json.loads(done.output) == {"logout": {"base_url": url, "revoked": False}}
    assert kept_in(tmp_path) == []


async def test_who_does_not_wait_for_the_cloud_is_logged_out_all_the_same(tmp_path: Path, home: dict[str, str]) -> None:
    with run_cloud() as cloud:
        port = int(cloud.url.rpartition(":")[2])
        assert (await log_in(cloud.url, cloud.token, **home)).code == 0
    with socket.create_server(("127.0.0.1", port)) as silent:
        silent.settimeout(20)
        async with command("logout", **home) as running:
            there, _ = await anyio.to_thread.run_sync(silent.accept)
            with there:
                done = await running.result(signal.SIGINT)
    assert done.code != 0
    assert "Traceback" not in done.errors
    assert kept_in(tmp_path) == []


async def test_who_says_no_gives_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    with run_cloud() as cloud:
        done = await log_in(cloud.url, "", decision="deny", **home)
    assert (done.code, kept_in(tmp_path)) == (1, [])
    assert "access_denied" in done.errors


async def test_an_application_is_registered_while_the_cloud_runs(tmp_path: Path) -> None:
    db = str(tmp_path / "cloud.db")
    with run_cloud(db=db) as cloud:
        question = {"response_type": "code", "client_id": "tool", "redirect_uri": "https://tool.example/x"}

        async def status() -> int:
            async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as http:
                return (await http.get("/oauth/authorize", params=question)).status_code

        assert await status() == 400
        done = await run("clients", "add", "tool", "--redirect-uri", "https://tool.example/x", "--db", db)
        assert (done.code, done.output, done.errors) == (0, "client tool\n", "")
        assert await status() == 303  # what else is wrong is told to the application
        assert (await run("clients", "remove", "tool", "--db", db)).output == "removed tool\n"
        assert await status() == 400
