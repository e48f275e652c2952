"""`littlebits tokens`: what it prints, and what it refuses."""

import json
import sqlite3
from pathlib import Path

import pytest

from littlebits_async.cli import main


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cloud.db")


class Tokens:
    """Runs `littlebits tokens` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        assert main(["tokens", *arguments]) == 0
        output, errors = self._capsys.readouterr()
        assert errors == ""
        return output

    def fails(self, code: int, said: str, *arguments: str) -> None:
        assert main(["tokens", *arguments]) == code
        output, errors = self._capsys.readouterr()
        assert output == ""
        assert errors.startswith("littlebits: ")
        assert said in errors
        assert errors.count("\n") == 1


@pytest.fixture
def tokens(capsys: pytest.CaptureFixture[str]) -> Tokens:
    return Tokens(capsys)


def set_digests(db: str, *digests: str) -> None:
    connection = sqlite3.connect(db)
    rows = connection.execute("SELECT digest FROM tokens").fetchall()
    changes = [(new, old) for new, (old,) in zip(digests, rows, strict=True)]
    connection.executemany("UPDATE tokens SET digest = ? WHERE digest = ?", changes)
    connection.commit()
    connection.close()


def test_json_is_one_object_a_line(tokens: Tokens, db: str) -> None:
    made = json.loads(tokens("create", "--db", db, "--json"))
    tokens("create", "--db", db, "--scopes", "read", "--label", "phone")
    lines = tokens("list", "--db", db, "--json").splitlines()
    records = [json.loads(line)["token"] for line in lines]
    assert [set(record) for record in records] == [{"id", "user_id", "scopes", "label", "created"}] * 2
    assert sorted(record["label"] for record in records) == ["", "phone"]
    assert sorted(record["scopes"] for record in records) == [["admin", "read", "write"], ["read"]]
    assert made["token"] not in "".join(lines)
    revoked = json.loads(tokens("revoke", records[1]["id"], "--db", db, "--json"))
    assert revoked == {"revoked": {"id": records[1]["id"]}}
    assert json.loads(tokens("secret", "--db", db, "--json"))["secret"].startswith("whsec_")


def test_a_database_is_nobody_elses_to_read(tokens: Tokens, db: str) -> None:
    tokens("create", "--db", db)
    assert Path(db).stat().st_mode & 0o077 == 0


def test_a_secret_belongs_to_one_user(tokens: Tokens, db: str) -> None:
    tokens("create", "--db", db)
    secrets = [tokens("secret", "--db", db, *options) for options in ((), ("--user", "1"), ("--user", "2"))]
    assert secrets[0] == secrets[1] != secrets[2]


def test_an_id_that_means_none_or_many_revokes_nothing(tokens: Tokens, db: str) -> None:
    for _ in range(2):
        tokens("create", "--db", db)
    set_digests(db, "ab1" + "0" * 61, "ab2" + "0" * 61)
    tokens.fails(2, "2 tokens have an id that begins so", "revoke", "ab", "--db", db)
    tokens.fails(1, "no token has this id", "revoke", "cd", "--db", db)
    tokens.fails(2, "an id is made of", "revoke", "%", "--db", db)
    tokens.fails(2, "an id is made of", "revoke", "", "--db", db)
    assert tokens("list", "--db", db).count("\n") == 2
    assert tokens("revoke", "ab2", "--db", db) == "revoked ab200000\n"
    assert tokens("list", "--db", db).startswith("token ab100000 ")


def test_a_token_given_for_an_id_is_not_said_again(db: str, capsys: pytest.CaptureFixture[str], tokens: Tokens) -> None:
    tokens("create", "--db", db)
    stranger = "0123456789abcdef" * 4
    assert main(["tokens", "revoke", stranger, "--db", db]) == 1
    assert stranger not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", [("list",), ("revoke", "ab"), ("secret",)], ids=lambda name: name[0])
def test_a_database_that_does_not_exist_is_not_made(name: tuple[str, ...], db: str, tokens: Tokens) -> None:
    tokens.fails(2, "does not exist", *name, "--db", db)
    assert list(Path(db).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--scopes", "read what"), "unknown scopes: what"),
        (("--scopes", " "), "a scope at least"),
        (("--user", "0"), "--user"),
        (("--user", str(2**63)), "--user"),
        (("--label", "\udcff"), "not UTF-8"),
    ],
)
def test_what_makes_no_token_is_told_in_a_line(options: tuple[str, ...], said: str, db: str, tokens: Tokens) -> None:
    tokens.fails(2, said, "create", "--db", db, *options)


def test_a_file_of_another_kind_stays_as_it_is(tmp_path: Path, tokens: Tokens) -> None:
    path = tmp_path / "notes"
    path.write_bytes(b"not a database" * 100)
    for name in (("create",), ("list",), ("revoke", "ab"), ("secret",)):
        tokens.fails(2, f"{path}: file is not a database", *name, "--db", str(path))
    assert path.read_bytes() == b"not a database" * 100
    tokens.fails(2, "No such file or directory", "create", "--db", str(tmp_path / "nosuch" / "db"))
    tokens.fails(2, "unable to open database file", "create", "--db", str(tmp_path))


def test_without_a_database_nothing_is_done(tokens: Tokens) -> None:
    tokens.fails(2, "--db", "create")
