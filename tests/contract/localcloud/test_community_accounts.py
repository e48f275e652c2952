"""Members of the community: how they come in, and what nobody is told."""

import gc
import logging
import sqlite3
import unicodedata
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.answers import Refusal
from littlebits_async.localcloud.community._passwords import Costs, Passwords, hash_password
from tests.spec_messages import message, message_json
from tests.support.community import PASSWORD, Member, Reply, Site, new_user, open_site

pytestmark = pytest.mark.asyncio

PETER = message_json("mobile/session-fb.request.json")


async def test_a_login_is_answered_with_a_key_that_opens_the_library(site: Site, member: Member) -> None:
    reply = await site.log_in("ADA@example.org")
    assert reply.status == 200
    assert reply.results["username"] == "Ada"
    assert reply.params == {"email": "ADA@example.org"}
    assert (await site.get("/my_library", reply.results["spree_api_key"])).status == 200
    assert reply.results["spree_api_key"] != member.key


async def test_the_login_of_the_document_is_understood(site: Site) -> None:
    user = new_user("you", email="you@example.com", password="savekittens", password_confirmation="savekittens")
    assert (await site.ask("POST", "/users/new", data=user)).status == 201
    headers = {"content-type": "application/x-www-form-urlencoded"}  # as curl --data sends it
    content = message("mobile/session-create.request.txt").strip()
    assert (await site.ask("POST", "/session/create", content=content, headers=headers)).status == 200


@pytest.mark.parametrize("body", ["form", "json", "multipart"])
async def test_a_body_is_a_form_of_either_kind_or_json(site: Site, member: Member, body: str) -> None:
    form = {"mobile_app[email]": member.email, "mobile_app[password]": PASSWORD}
    options: dict[str, dict[str, Any]] = {
        "form": {"data": form},
        "json": {"json": {"mobile_app": {"email": member.email, "password": PASSWORD}}},
        "multipart": {"files": {name: (None, value) for name, value in form.items()}},
    }
    assert (await site.ask("POST", "/session/create", **options[body])).status == 200


async def test_a_wrong_password_and_an_unknown_address_are_answered_alike(site: Site, member: Member) -> None:
    wrong, unknown = await site.log_in(member.email, "wrong"), await site.log_in("nobody@example.org", "wrong")
    assert wrong.status == unknown.status == 401
    assert wrong.errors == unknown.errors
    assert wrong.response.headers.keys() == unknown.response.headers.keys()


async def test_the_work_is_the_same_for_an_unknown_address(
    site: Site, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = list[Costs]()

    def note(self: Costs, *_: object) -> bytes:
        costs.append(self)
        return bytes(32)

    monkeypatch.setattr(Costs, "hash", note)
    await site.log_in(member.email, "wrong")
    await site.log_in("nobody@example.org", "wrong")
    await site.log_in("nobody@example.org", "")
    assert len(costs) == 3
    assert len(set(costs)) == 1


async def test_nobody_logs_in_as_one_of_the_sample(site: Site) -> None:
    for email in ("None", "", "nora_b"):
        assert (await site.log_in(email, "")).status in {401, 422}


async def test_who_guesses_has_to_wait(site: Site, member: Member) -> None:
    for _ in range(20):
        assert (await site.log_in(member.email, "wrong")).status == 401
    refused = await site.log_in(member.email)
    assert refused.status == 429
    assert 1 <= int(refused.response.headers["retry-after"]) <= 60
    assert (await site.get("/my_library", member.key)).status == 200  # whoever is in is not disturbed


async def test_guesses_that_wait_for_their_turn_are_counted_too(site: Site, member: Member) -> None:
    replies = list[Reply]()

    async def guess() -> None:
        replies.append(await site.log_in(member.email, "wrong"))

    async with anyio.create_task_group() as tasks:
        for _ in range(30):
            tasks.start_soon(guess)
    statuses = [reply.status for reply in replies]
    assert statuses.count(401) <= 21  # two at a time are at work


async def test_no_more_than_some_wait_for_a_login(site: Site, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords._MOST_WAITING", 0)
    refused = await site.log_in(member.email)
    assert refused.status == 503
    assert refused.response.headers["retry-after"] == "2"


async def test_no_refusal_outlives_its_request(site: Site, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords._MOST_WAITING", 0)
    for _ in range(3):
        assert (await site.get("/nothing", member.key)).status == 404
        assert (await site.log_in(member.email)).status == 503
    gc.collect()
    assert not [kept for kept in gc.get_objects() if isinstance(kept, Refusal) and kept.__traceback__ is not None]


async def test_an_address_may_not_join_or_ask_for_passwords_for_ever(site: Site, member: Member) -> None:
    for _ in range(29):
        taken = await site.ask("POST", "/users/new", data=new_user("Bo", email=member.email))
        assert (taken.status, taken.errors) == (422, "email has already been taken")
        assert (await site.get("/users/password_reset", email="nobody@example.org")).status == 200
    assert (await site.ask("POST", "/users/new", data=new_user("Bo"))).status == 201
    for refused in (
        await site.ask("POST", "/users/new", data=new_user("Cy")),
        await site.get("/users/password_reset", email="nobody@example.org"),
    ):
        assert refused.status == 429
        assert 60 < int(refused.response.headers["retry-after"]) <= 601
    assert (await site.log_in(member.email)).status == 200


async def test_an_address_and_a_password_are_the_same_in_any_normal_form(site: Site) -> None:
    email, password = "zoë@example.org", "crème brûlée"
    user = new_user("Zoe", email=email, password=password, password_confirmation=password)
    assert (await site.ask("POST", "/users/new", data=user)).status == 201
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, email), unicodedata.normalize(form, password)
        assert (await site.log_in(*written)).status == 200
        taken = await site.ask("POST", "/users/new", data=new_user("Other", email=written[0].upper()))
        assert taken.errors == "email has already been taken"


@pytest.mark.usefixtures("cheap_passwords")
async def test_no_login_outlives_the_password_that_it_came_with(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalCloud(db, community=True) as cloud, open_site(cloud) as site:
        member = await site.join("Ada")
        match = Passwords.match

        async def match_late(self: Passwords, password: str, kept: str | None) -> bool:
            matches = await match(self, password, kept)
            with closing(sqlite3.connect(db)) as connection, connection:  # as `littlebits members password` does
                connection.execute("UPDATE members SET password = ? WHERE id = ?", (hash_password("new"), member.id))
            return matches

        monkeypatch.setattr(Passwords, "match", match_late)
        assert (await site.log_in(member.email)).status == 401


async def test_of_those_who_join_at_once_with_one_address_or_name_one_does(site: Site) -> None:
    statuses = list[int]()

    async def join(user: Mapping[str, str]) -> None:
        statuses.append((await site.ask("POST", "/users/new", data=user)).status)

    for users in (
        [new_user(f"Ada{number}", email="ada@example.org") for number in range(6)],
        [new_user("Bo", email=f"bo{number}@example.org") for number in range(6)],
    ):
        statuses.clear()
        async with anyio.create_task_group() as tasks:
            for user in users:
                tasks.start_soon(join, user)
        assert sorted(statuses) == [201, *[422] * 5]


async def test_to_verify_logins_is_for_a_cloud_with_a_community() -> None:
    async def verify(_: Mapping[str, object]) -> bool:
        return True

    with pytest.raises(ValueError, match="verify_facebook"):
        LocalCloud(verify_facebook=verify)


INVALID = "username is invalid (2 to 40 of A-Z, a-z, 0-9, '.', '_' and '-', and a letter among them)"
WRONG = (
    ({"email": ""}, "email can't be blank"),
    ({"email": "ada.example.org"}, "email is invalid"),
    ({"email": "ADA@EXAMPLE.org"}, "email has already been taken"),
    ({"username": ""}, "username can't be blank"),
    ({"username": "aDA"}, "username has already been taken"),
    ({"username": "123"}, INVALID),
    ({"username": "new"}, INVALID),
    ({"username": "a/b"}, INVALID),
    ({"username": "Зоя"}, INVALID),
    ({"password": "short", "password_confirmation": "short"}, "password is too short (minimum is 8 characters)"),
    ({"password": "x" * 1001}, "password is too long (maximum is 1000 characters)"),
    ({"password_confirmation": "correct house"}, "password_confirmation doesn't match password"),
    (
        {"email": "", "username": "", "password": ""},
        "email can't be blank; username can't be blank; password is too short (minimum is 8 characters)",
    ),
    (
        {"email": "ada@example.org", "username": "ada"},
        "email has already been taken; username has already been taken",
    ),
)


@pytest.mark.usefixtures("member")
async def test_what_is_wrong_about_a_new_member_is_said_by_field(site: Site) -> None:
    for changed, errors in WRONG:
        reply = await site.ask("POST", "/users/new", data=new_user("Bo", **changed))
        assert (reply.status, reply.errors) == (422, errors)
        assert not {"password", "password_confirmation"} & reply.params.keys()


async def test_a_logout_ends_that_key_alone(site: Site, member: Member) -> None:
    other = (await site.log_in(member.email)).results["spree_api_key"]
    assert (await site.post("/session/destroy", token=member.key)).status == 204
    assert (await site.get("/my_library", member.key)).status == 401
    assert (await site.get("/my_library", other)).status == 200


async def test_a_logout_is_always_answered_with_204(site: Site) -> None:
    for body in (b"token=savekittens", b"token=", b"", b'{"token": 5}', rb'{"token": "\ud800"}'):
        assert (await site.ask("POST", "/session/destroy", content=body)).status == 204


async def test_of_many_logins_the_oldest_ends(site: Site, member: Member) -> None:
    keys = [(await site.log_in(member.email)).results["spree_api_key"] for _ in range(16)]
    assert (await site.get("/my_library", member.key)).status == 401
    for key in keys:
        assert (await site.get("/my_library", key)).status == 200


async def test_facebook_is_refused_where_nobody_can_check_it(site: Site) -> None:
    reply = await site.ask("POST", "/session/fb", json=PETER)
    assert reply.status == 403
    assert "password" in reply.errors


@pytest.mark.usefixtures("cheap_passwords")
async def test_a_login_with_facebook_is_as_good_as_its_proof() -> None:
    shown = list[Mapping[str, object]]()

    async def verify(access_token: Mapping[str, object]) -> bool:
        shown.append(access_token)
        return access_token.get("accessToken") == "signed"

    async with LocalCloud(community=True, verify_facebook=verify) as cloud, open_site(cloud) as site:
        false = await site.ask("POST", "/session/fb", json=PETER)
        assert false.status == 401
        assert shown == [{"userID": "2"}]
        true = {**PETER, "access_token": {"userID": "2", "accessToken": "signed"}}
        first, second = [await site.ask("POST", "/session/fb", json=true) for _ in range(2)]
        assert first.status == second.status == 200
        assert first.results["id"] == second.results["id"]
        assert first.results["username"] == "PeterPan"
        assert "signed" not in str(first.meta)
        assert (await site.get("/my_library", second.results["spree_api_key"])).status == 200
        # Another one of that name, and one who claims the address of a member.
        namesake = {**true, "email": "pan@example.org", "access_token": {"userID": 3, "accessToken": "signed"}}
        assert (await site.ask("POST", "/session/fb", json=namesake)).results["username"] == "PeterPan-2"
        await site.join("Ada")
        thief = {**true, "email": "ada@example.org", "access_token": {"userID": "4", "accessToken": "signed"}}
        refused = await site.ask("POST", "/session/fb", json=thief)
        assert (refused.status, refused.errors) == (422, "email has already been taken")
        for wrong in ({}, {"userID": ""}, "2", None, {"userID": "me"}):
            assert (await site.ask("POST", "/session/fb", json={**true, "access_token": wrong})).status == 422
        nameless = {
            **true,
            "first_name": "Ж",
            "email": "zh@x.org",
            "access_token": {"userID": "5", "accessToken": "signed"},
        }
        assert (await site.ask("POST", "/session/fb", json={**nameless, "last_name": "7"})).results[
            "username"
        ] == "maker"


async def test_to_forget_a_password_is_answered_alike_for_all(
    site: Site, member: Member, caplog: pytest.LogCaptureFixture
) -> None:
    known, unknown = [
        await site.get("/users/password_reset", email=email) for email in (member.email, "no@example.org")
    ]
    assert known.status == unknown.status == 200
    assert known.results == unknown.results == {}
    again = await site.get("/users/password_reset", email=member.email.upper())
    assert again.status == 200
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["a member asks for a new password; `littlebits members list` tells who"]
    for email in ("", "ada"):
        assert (await site.get("/users/password_reset", email=email)).status == 422
    assert (await site.get("/users/password_reset")).status == 422


@pytest.mark.usefixtures("cheap_passwords")
async def test_no_secret_is_logged_echoed_or_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # the test's own client
        caplog.set_level(logging.WARNING, logger=name)
    db = tmp_path / "cloud.db"
    async with LocalCloud(db, community=True) as cloud, open_site(cloud) as site:
        member = await site.join("Ada")
        replies = [
            await site.log_in(member.email),
            await site.log_in(member.email, "wrong password"),
            await site.get("/users/password_reset", email=member.email),
            await site.get("/my_library", member.key),
            await site.post("/my_library", member.key, variant_id="x"),
            await site.ask("POST", "/session/create", content=b'{"mobile_app": {"password": "wrong password"'),
            await site.ask("POST", "/users/new", data=new_user("Bo", password_confirmation="wrong password")),
        ]
        await site.post("/session/destroy", token=replies[0].results["spree_api_key"])
        assert (await site.http.get(f"/users/{member.key}")).status_code == 404  # a key that went astray
    for secret in (PASSWORD, "wrong password", member.key, replies[0].results["spree_api_key"]):
        assert secret not in caplog.text
        for reply in replies[1:]:
            assert secret not in reply.response.text
        assert secret not in str(replies[0].meta)
    assert "@example.org" not in caplog.text
    assert "email=" not in caplog.text
    with closing(sqlite3.connect(db)) as connection:
        kept = "\n".join(connection.iterdump())
    assert "Ada" in kept
    assert PASSWORD not in kept
    assert member.key not in kept


async def test_what_a_hash_really_costs() -> None:
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("scrypt$32768$8$3$")
    assert hashed != hash_password(PASSWORD)
    passwords = Passwords()
    assert await passwords.match(PASSWORD, hashed)
    assert not await passwords.match(PASSWORD.upper(), hashed)
    assert not await passwords.match(PASSWORD, None)
