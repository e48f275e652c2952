"""What `littlebits serve` can do beside the API: numbers, a log for machines, a dashboard."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from littlebits_async.localcloud import LocalCloud
from tests.support.certificate import make_certificate
from tests.support.command import Command, command, run
from tests.support.local_cloud import free_port

pytestmark = pytest.mark.asyncio

URL = r"url (\S+)$"
TOKEN = r"token (\S+)$"
DASHBOARD = r"dashboard (\S+)$"
NOWHERE = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


async def found(serve: Command, *patterns: str) -> list[str]:
    return [(await serve.until(pattern))[1] for pattern in patterns]


async def status(url: str, path: str = "", **options: str) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False, headers=options) as client:  # noqa: S501 - not what is tested
        return (await client.get(url + path)).status_code


async def test_the_community_is_there_where_it_is_asked_for_and_no_address_is_logged() -> None:
    async with command("serve", "--community", "--log-level", "info") as serve:
        [url] = await found(serve, URL)
        assert await status(url, "/api/v2/users/password_reset?email=ada@example.org") == 200
        done = await serve.result(signal.SIGTERM)
    assert done.code == 0
    assert "path=/api/v2/users/password_reset" in done.errors
    assert "ada" not in done.errors


async def test_the_log_is_an_object_a_line_and_holds_no_secret() -> None:
    async with command("serve", "--log-json", "--log-level", "info", "--host", "0.0.0.0") as serve:  # noqa: S104 - for its warning
        url, token = await found(serve, URL, TOKEN)
        assert await status(url, "/v2/devices", Authorization=token) == 200
        assert await status(url, f"/v1/nothing?access_token={token}") == 404
        done = await serve.result(signal.SIGTERM)
    records = [json.loads(line) for line in done.errors.splitlines()]
    assert token not in done.errors
    assert all(record["time"].endswith("Z") for record in records)
    assert [record["level"] for record in records] == ["info", "warning", "info", "info", "info"]
    assert [records[0]["message"], records[-1]["message"]] == [f"serving at {url}", "stopped"]
    requests = [{name: record[name] for name in ("method", "path", "status", "user_id")} for record in records[2:4]]
    assert requests == [
        {"method": "GET", "path": "/v2/devices", "status": 200, "user_id": 1},
        {"method": "GET", "path": "/v1/nothing", "status": 404, "user_id": None},
    ]


async def test_what_ends_it_is_an_object_too(tmp_path: Path) -> None:
    db = tmp_path / "cloud.db"
    async with LocalCloud(db) as cloud:
        await cloud.create_token()
        done = await run("serve", "--log-json", "--log-level", "error", "--db", str(db))
    assert (done.code, done.output) == (2, "")
    [record] = [json.loads(line) for line in done.errors.splitlines()]
    assert (record["level"], record["message"]) == ("critical", f"{db}: another cloud serves this database")
    async with command("serve", "--log-json", "--db", str(db)) as serve:
        [url] = await found(serve, URL)
        assert await status(url, "/metrics") == 404  # it was not asked for
        done = await serve.result(signal.SIGTERM)
    assert "makes another" in json.loads(done.errors)["message"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
async def test_what_nobody_foresaw_is_an_object_too() -> None:
    words = (sys.executable, "-m", "littlebits_async", "serve", "--log-json")
    with Path("/dev/full").open("w") as full:  # noqa: ASYNC230 - a device
        done = await anyio.run_process(words, stdout=full, stderr=subprocess.PIPE, check=False)
    first = json.loads(done.stderr.splitlines()[0])
    assert (first["level"], first["message"]) == ("critical", "No space left on device")


async def test_a_dashboard_runs_and_ends_with_its_cloud(tmp_path: Path) -> None:
    db, port = tmp_path / "cloud.db", free_port()
    options = ("--dashboard", "--dashboard-port", str(port), "--metrics", "--db", str(db), "--simulate", "2")
    async with command("serve", *options, LITTLEBITS_TOKEN="of another cloud", **NOWHERE) as serve:
        url, token, page = await found(serve, URL, TOKEN, DASHBOARD)
        assert urlsplit(page).netloc == f"127.0.0.1:{port}"
        async with httpx.AsyncClient(trust_env=False) as client:
            assert "cloudBits" in (await client.get(page)).text
            while "\nlittlebits_cloud_streams 2.0\n" not in (await client.get(f"{url}/metrics")).text:
                pass  # the dashboard opens them
        assert await status(url, "/devices", Authorization=token) == 200
        done = await serve.result(signal.SIGTERM)
    assert (done.code, done.errors) == (0, "")
    with closing(sqlite3.connect(db)) as kept:
        assert kept.execute("SELECT count(*) FROM tokens").fetchone() == (1,)  # the dashboard's own was not kept


async def test_a_dashboard_of_https_is_served_by_https_and_trusts_its_cloud(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    async with command("serve", "--dashboard", "--tls-cert", str(certificate.both), **NOWHERE) as serve:
        url, page = await found(serve, URL, DASHBOARD)
        assert {urlsplit(url).scheme, urlsplit(page).scheme} == {"https"}
        assert await status(page) == 200
        done = await serve.result(signal.SIGINT)
    assert (done.code, done.errors) == (0, "")


async def test_beyond_this_machine_a_dashboard_has_a_password() -> None:
    everywhere = ("serve", "--dashboard", "--host", "0.0.0.0")  # noqa: S104 - as tested
    done = await run(*everywhere, "--log-level", "error")
    assert (done.code, done.output) == (2, "")
    assert "password" in done.errors
    assert done.errors.count("\n") == 1
    async with command(*everywhere, LITTLEBITS_DASHBOARD_PASSWORD="correct horse") as serve:
        [page] = await found(serve, DASHBOARD)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(page.replace("0.0.0.0", "127.0.0.1"))).headers["location"] == "/login"  # noqa: S104 - printed so
        assert (await serve.result(signal.SIGTERM)).code == 0


async def test_where_the_dashboard_cannot_start_there_is_no_cloud_and_no_token(tmp_path: Path) -> None:
    db = tmp_path / "cloud.db"
    async with LocalCloud() as other:
        taken = str(urlsplit(other.url).port)
        done = await run("serve", "--dashboard", "--dashboard-port", taken, "--db", str(db))
    assert (done.code, done.output) == (3, "")
    assert done.errors.startswith("littlebits: cannot listen: Address already in use")
    with closing(sqlite3.connect(db)) as kept:
        assert kept.execute("SELECT count(*) FROM tokens").fetchone() == (0,)


async def test_an_option_of_the_dashboard_needs_the_dashboard() -> None:
    done = await run("serve", "--dashboard-port", "8000")
    assert (done.code, done.output) == (2, "")
    assert "--dashboard" in done.errors
