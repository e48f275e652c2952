"""The community's API as a whole: its envelope, and what it shares with the cloud that it is part of."""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.storage import MemberRecord, MemberTables
from littlebits_async.localcloud.storage._community import CommunityTables
from tests.support.community import Member, Site, open_site
from tests.support.disk import Disk

pytestmark = pytest.mark.asyncio

PATHS = (
    "",
    "/",
    "/nothing",
    "/session",
    "/session/create/x",
    "/projects/1/x",
    "/products/1/2",
    "//projects",
    "/%ff",
    "/x?y=z",
)


async def test_a_path_that_leads_nowhere_is_told_in_the_envelope(site: Site) -> None:
    for path, method in itertools.product(PATHS, ("GET", "POST", "BREW")):
        reply = await site.ask(method, path)
        assert (reply.status, reply.errors) == (404, "There is nothing at this path")


async def test_a_wrong_method_is_told_with_the_right_ones(site: Site) -> None:
    for path, allow in (
        ("/session/create", "POST, OPTIONS"),
        ("/projects/", "GET, HEAD, OPTIONS"),
        ("/my_library", "GET, POST, PUT, DELETE, HEAD, OPTIONS"),
        ("/users/new", "POST, OPTIONS"),
        ("/users/password_reset", "GET, HEAD, OPTIONS"),
    ):
        reply = await site.ask("PATCH", path)
        assert (reply.status, reply.response.headers["allow"]) == (405, allow)


async def test_a_body_that_cannot_be_read_is_told(site: Site, member: Member) -> None:
    for content, kind in (
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"x", "text/plain"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=y"),
        (b"--y\r\nContent-Disposition: form-data; name=comment\r\n\r\nx", "multipart/form-data; boundary=y"),
        (
            b"--y\r\nContent-Disposition: form-data; name=comment\r\n\r\n\xff\r\n--y--",
            "multipart/form-data; boundary=y",
        ),
    ):
        reply = await site.ask(
            "POST", "/projects/1/comments", member.key, content=content, headers={"content-type": kind}
        )
        assert reply.status == 400, content
    long = await site.ask("POST", "/session/create", content=b"x" * (64 * 1024 + 1))
    assert long.status == 413


async def test_a_failure_is_told_in_the_envelope(
    disk: Disk, site: Site, member: Member, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with disk.broken("COMMIT"):
        reply = await site.post("/my_library", member.key, variant_id=101)
    assert reply.status == 503

    def fail(*_: object) -> None:
        raise KeyError(member.key)

    monkeypatch.setattr(CommunityTables, "standing", fail)
    reply = await site.get("/projects", member.key)
    assert reply.status == 500
    assert member.key not in str(reply.meta)
    assert [record.getMessage().partition(":")[0] for record in caplog.records if record.levelname == "ERROR"] == [
        "POST /api/v2/my_library",
        "GET /api/v2/projects failed",
    ]


async def test_a_page_of_another_site_may_ask(site: Site) -> None:
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "mobileappauth"}
    preflight = await site.http.options("/my_library", headers=asked)
    assert preflight.status_code == 204
    assert "mobileappauth" in preflight.headers["access-control-allow-headers"]
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    for path in ("/products", "/my_library", "/nothing"):
        assert (await site.get(path)).response.headers["access-control-allow-origin"] == "*"
    assert (await site.post("/session/destroy", token="x")).response.headers["access-control-allow-origin"] == "*"


async def test_head_is_answered_where_get_is(site: Site) -> None:
    response = await site.http.head("/products")
    assert (response.status_code, response.content) == (200, b"")
    assert (await site.http.head("/my_library")).status_code == 401


@pytest.mark.usefixtures("cheap_passwords")
async def test_a_member_has_as_many_requests_an_hour_as_a_token_has() -> None:
    async with LocalCloud(community=True, limit=3) as cloud, open_site(cloud) as site:
        member = await site.join("Ada")
        for left in (2, 1, 0):
            reply = await site.get("/my_library", member.key)
            assert reply.response.headers["ratelimit-remaining"] == str(left)
        key = (await site.log_in(member.email)).results["spree_api_key"]
        refused = await site.get("/projects", key)  # another key is no other hour
        assert refused.status == 429
        assert "rate_limit_exceeded" in refused.errors
        assert int(refused.response.headers["retry-after"]) > 0
        assert (await site.get("/projects")).status == 200  # who shows none is not counted
        assert (await site.get("/my_library", (await site.join("Bo")).key)).status == 200


async def test_it_is_there_only_if_asked_for() -> None:
    async with LocalCloud() as cloud, httpx.AsyncClient(base_url=cloud.url, trust_env=False) as http:
        for path in ("/api/v2/products", "/api/v2", "/community/pictures/kit.svg"):
            response = await http.get(path)
            assert (response.status_code, response.json()["statusCode"]) == (404, 404)


async def test_the_cloud_api_is_as_ever_beside_it(community: LocalCloud, site: Site, member: Member) -> None:
    token = await community.create_token()
    async with httpx.AsyncClient(base_url=community.url, trust_env=False) as http:
        assert (await http.get("/v2/devices", headers={"Authorization": token})).json() == []
        assert (await http.get("/v2/devices", headers={"Authorization": member.key})).status_code == 401
        for path in ("/v2/products", "/products", "/api/v3/products", "/api/v22"):
            assert "statusCode" in (await http.get(path)).json()
        assert (await http.get("/health")).status_code == 200
    assert (await site.get("/my_library", token)).status == 401


@pytest.mark.usefixtures("cheap_passwords")
async def test_the_numbers_know_its_routes() -> None:
    pytest.importorskip("prometheus_client")
    async with LocalCloud(community=True, metrics=True) as cloud, open_site(cloud) as site:
        for path in ("/projects/knock-lamp", "/users/nora_b", "/nothing"):
            await site.get(path)
        numbers = (await site.http.get(f"{cloud.url}/metrics")).text
    assert 'route="/api/v2/projects/{project}",status="200"' in numbers
    assert 'route="/api/v2/users/{user}",status="200"' in numbers
    assert "knock" not in numbers
    assert "nothing" not in numbers


@pytest.mark.usefixtures("cheap_passwords")
@pytest.mark.parametrize("in_memory", [True, False])
async def test_all_is_there_after_a_restart(db: Path, *, in_memory: bool) -> None:
    def new_cloud() -> LocalCloud:
        return LocalCloud(None if in_memory else db, community=True)

    cloud = new_cloud()
    async with cloud, open_site(cloud) as site:
        member = await site.join("Ada")
        gone = (await site.log_in(member.email)).results["spree_api_key"]
        await site.post("/session/destroy", token=gone)
        await site.post("/my_library", member.key, variant_id=121)
        await site.ask("POST", "/projects/7/like", member.key)
        await site.post("/projects/7/comments", member.key, comment="first!")
        before, url = [(await site.ask("GET", path, member.key)).results for path in KEPT], cloud.url
    cloud = cloud if in_memory else new_cloud()
    async with cloud, open_site(cloud) as site:
        after = [(await site.ask("GET", path, member.key)).results for path in KEPT]
        assert _elsewhere(after, cloud.url) == _elsewhere(before, url)
        assert (await site.get("/my_library", gone)).status == 401
        assert (await site.log_in(member.email)).status == 200


def _elsewhere(results: list[Any], url: str) -> str:
    return str(results).replace(url, "")


KEPT = ("/my_library", "/projects/7", "/projects/7/comments", "/projects?per_page=50", "/users/ada/likes", "/users/ada")


@pytest.mark.usefixtures("cheap_passwords")
async def test_a_database_that_knew_no_community_gets_one(db: Path) -> None:
    async with LocalCloud(db):
        pass
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("SELECT count(*) FROM members").fetchone() == (0,)
    async with LocalCloud(db, community=True) as cloud, open_site(cloud) as site:
        assert (await site.get("/users/1")).results[0]["username"] == "Workshop"


@pytest.mark.usefixtures("cheap_passwords")
async def test_what_an_older_catalogue_had_is_left_out(db: Path) -> None:
    async with LocalCloud(db, community=True) as cloud, open_site(cloud) as site:
        member = await site.join("Ada")
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("INSERT INTO library VALUES (?, 999, 1)", (member.id,))
        connection.execute("INSERT INTO likes (project_id, member_id) VALUES (999, ?)", (member.id,))
    async with LocalCloud(db, community=True) as cloud, open_site(cloud) as site:
        assert (await site.get("/my_library", member.key)).results == []
        assert (await site.get("/users/ada/likes")).results == []
        assert (await site.post("/my_library", member.key, variant_id=101)).status == 200


@pytest.mark.parametrize(
    ("path", "form"),
    [("/projects/1/like", {}), ("/projects/1/comments", {"comment": "Hello"}), ("/my_library", {"variant_id": "101"})],
)
async def test_who_is_removed_while_the_request_is_looked_at_leaves_nothing_behind(
    site: Site, member: Member, path: str, form: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await site.get("/projects/1")).results

    async def remove_behind(tables: MemberTables, digest: str) -> MemberRecord | None:
        found = await with_key(tables, digest)
        assert found is not None
        assert await tables.remove(found.id)
        return found

    with_key = MemberTables.with_key
    monkeypatch.setattr(MemberTables, "with_key", remove_behind)
    reply = await site.post(path, member.key, **form)
    assert (reply.status, reply.errors) == (404, "Who or what this is about was removed just now")
    assert (await site.get("/projects/1")).results == before
