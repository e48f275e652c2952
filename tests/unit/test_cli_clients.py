"""`littlebits clients`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from littlebits_async.cli import main

HTTPS = "https://app.example/callback"
BUILT_IN = "http://127.0.0.1/callback,http://[::1]/callback"


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cloud.db")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["clients", *arguments]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    return output


def test_an_application_is_added_listed_and_removed(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--redirect-uri", HTTPS, "--redirect-uri", "http://127.0.0.1/x", "--name", "My app", "--scopes", "read")
    added = said(capsys, "add", "app", *options, "--confidential", "--db", db)
    client, secret = added.splitlines()
    assert client == "client app"
    assert secret.startswith("secret ")
    listed = said(capsys, "list", "--db", db)
    assert listed.splitlines() == [
        f"client app confidential read {HTTPS},http://127.0.0.1/x My app",
        f"client littlebits public admin,read,write {BUILT_IN} The littlebits command",
    ]
    assert secret.removeprefix("secret ").encode() not in b"".join(
        path.read_bytes() for path in Path(db).parent.iterdir()
    )
    assert said(capsys, "remove", "app", "--db", db) == "removed app\n"
    assert said(capsys, "list", "--db", db).count("\n") == 1


def test_json_is_one_object_a_line(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(said(capsys, "add", "app", "--redirect-uri", HTTPS, "--json", "--db", db))
    assert made == {"client": {"id": "app", "secret": None}}
    first = json.loads(said(capsys, "list", "--json", "--db", db).splitlines()[0])
    assert first["client"] == {
        "id": "app",
        "name": "app",
        "confidential": False,
        "scopes": ["read", "write"],
        "redirect_uris": [HTTPS],
    }
    assert json.loads(said(capsys, "remove", "app", "--json", "--db", db)) == {"removed": {"id": "app"}}


def test_what_cannot_be_is_a_line(db: str, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "add", "app", "--redirect-uri", HTTPS, "--db", db)
    for code, told, arguments in [
        (1, "there is a client app already", ("add", "app", "--redirect-uri", HTTPS)),
        (1, "there is a client littlebits already", ("add", "littlebits", "--redirect-uri", HTTPS)),
        (2, "a redirect URI is https", ("add", "b", "--redirect-uri", "http://app.example")),
        (2, "an id has", ("add", "a b", "--redirect-uri", HTTPS)),
        (2, "scopes are some of", ("add", "b", "--redirect-uri", HTTPS, "--scopes", "root")),
        (2, "--redirect-uri", ("add", "b")),
        (1, "no client has this id", ("remove", "b")),
    ]:
        assert main(["clients", *arguments, "--db", db]) == code
        output, errors = capsys.readouterr()
        assert output == ""
        assert told in errors
        assert errors.count("\n") == 1
