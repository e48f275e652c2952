"""`littlebits members`: what it prints, and what it refuses."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import attrs
import pytest

from littlebits_async.cli import main
from littlebits_async.localcloud.community._passwords import COSTS, Passwords
from littlebits_async.localcloud.storage import CommentRecord, MemberRecord, Store
from littlebits_async.localcloud.storage._schema import MIGRATIONS

T = TypeVar("T")


def in_store(db: Path, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        store = Store(db)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords.COSTS", attrs.evolve(COSTS, n=2, p=1))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """With a member who has two keys and forgot the password, and one of Facebook's."""
    db = tmp_path / "cloud.db"

    async def fill(store: Store) -> None:
        ada = MemberRecord(
            username="Ada", slug="ada", email="ada@example.org", password="-", created_ms=1_700_000_000_000
        )
        peter = MemberRecord(username="PeterPan", slug="peterpan", facebook_id="2", created_ms=1_700_000_001_000)
        added = await store.members.add(ada)
        assert isinstance(added, MemberRecord)
        assert isinstance(await store.members.add(peter), MemberRecord)
        for digest in ("a", "b"):
            assert await store.members.add_key(added, digest)
        assert await store.members.ask_reset("ada@example.org", 1_700_000_002_000)
        assert not await store.members.ask_reset("ada@example.org", 1_700_000_003_000)

    in_store(db, fill)
    return db


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    assert main(["members", *map(str, arguments)]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output.splitlines()


def test_members_are_listed_with_what_they_ask_for(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    assert run(capsys, "list", "--db", db) == [
        "member 1 Ada ada@example.org 2 since 2023-11-14T22:13:20Z asks for a password since 2023-11-14T22:13:22Z",
        "member 2 PeterPan - 0 since 2023-11-14T22:13:21Z",
    ]
    first, second = [json.loads(line)["member"] for line in run(capsys, "list", "--db", db, "--json")]
    assert first == {
        "id": 1,
        "username": "Ada",
        "email": "ada@example.org",
        "logins": 2,
        "created": "2023-11-14T22:13:20Z",
        "reset_asked": "2023-11-14T22:13:22Z",
    }
    assert (second["email"], second["reset_asked"]) == (None, None)


def test_a_password_is_made_up_and_ends_all_logins(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    [line] = run(capsys, "password", "ADA", "--db", db)
    made = re.fullmatch(r"password ([\w-]{16})", line)
    assert made is not None
    [listed, _] = run(capsys, "list", "--db", db)
    assert listed == "member 1 Ada ada@example.org 0 since 2023-11-14T22:13:20Z"

    async def kept(store: Store) -> bool:
        member = await store.members.find("slug", "ada")
        return member is not None and await Passwords().match(made[1], member.password)

    assert in_store(db, kept)


def test_a_password_may_come_from_a_file(capsys: pytest.CaptureFixture[str], db: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    assert run(capsys, "password", "peterpan", "--db", db, "--password-file", file) == ["changed PeterPan"]

    async def kept(store: Store) -> str | None:
        member = await store.members.find("id", 2)
        return None if member is None else member.password

    assert "correct horse" not in (in_store(db, kept) or "correct horse")


def test_logins_are_ended(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    assert run(capsys, "logout", "ada", "--db", db) == ["ended Ada 2"]
    assert json.loads(run(capsys, "logout", "ada", "--db", db, "--json")[0]) == {
        "ended": {"username": "Ada", "logins": 0}
    }


def test_a_member_is_removed_with_all_that_is_kept_of_it(capsys: pytest.CaptureFixture[str], db: Path) -> None:
    async def fill(store: Store) -> None:
        for member_id in (1, 2):
            await store.community.add_to_library(member_id, {101: 1})
            await store.community.toggle_like(3, member_id)
        said = CommentRecord(project_id=3, member_id=1, body="first!", created_ms=0)
        made = await store.community.add_comment(said)
        assert made is not None
        await store.community.add_comment(attrs.evolve(said, member_id=2, reply_to=made.id))
        await store.community.add_comment(attrs.evolve(said, member_id=2, body="second"))

    in_store(db, fill)
    assert run(capsys, "remove", "ADA", "--db", db) == ["removed Ada"]
    assert [line.split()[2] for line in run(capsys, "list", "--db", db)] == ["PeterPan"]
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("SELECT count(*) FROM member_keys").fetchone() == (0,)
        for table in ("library", "likes", "comments"):
            assert connection.execute(f"SELECT member_id FROM {table}").fetchall() == [(2,)]  # noqa: S608 - not asked for
    assert json.loads(run(capsys, "remove", "peterpan", "--db", db, "--json")[0]) == {
        "removed": {"username": "PeterPan"}
    }


@pytest.mark.parametrize("command", ["password", "logout", "remove"])
def test_a_name_that_nobody_has_is_refused(capsys: pytest.CaptureFixture[str], db: Path, command: str) -> None:
    assert main(["members", command, "nobody", "--db", str(db)]) == 1
    assert capsys.readouterr() == ("", "littlebits: members: no member has this name\n")


def test_a_database_from_before_the_community_has_no_members(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    db = tmp_path / "older.db"
    with closing(sqlite3.connect(db)) as older:
        for script in MIGRATIONS[:3]:
            older.executescript(script)
        older.execute("INSERT INTO users VALUES (7, 'whsec_x', 0)")
        older.execute("PRAGMA application_id = 0x6C426974")
        older.execute("PRAGMA user_version = 3")
        older.commit()
    assert main(["members", "list", "--db", str(db)]) == 2
    assert "`littlebits serve` brings it up to date" in capsys.readouterr().err

    async def look(store: Store) -> str:
        assert await store.members.all() == []
        return await store.secret(7, now_ms=0)

    assert in_store(db, look) == "whsec_x"
