"""`littlebits enrol`: what it prints, and what it refuses."""

import json
import re
from pathlib import Path

import pytest

from littlebits_async.cli import main

URL = "http://192.168.1.20:8080/"
MAC = "00:E0:4C:00:00:01"


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cloud.db")


class Enrol:
    """Runs `littlebits enrol` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        code = main(["enrol", *arguments])
        output, errors = self._capsys.readouterr()
        assert (code, errors) == (0, "")
        return output

    def fails(self, code: int, said: str, *arguments: str) -> None:
        assert main(["enrol", *arguments]) == code
        output, errors = self._capsys.readouterr()
        assert output == ""
        assert said in errors


@pytest.fixture
def enrol(capsys: pytest.CaptureFixture[str]) -> Enrol:
    return Enrol(capsys)


def test_it_prints_the_url_and_where_to_write_it(enrol: Enrol, db: str) -> None:
    lines = enrol(MAC, "--url", URL, "--db", db, "--minutes", "5").splitlines()
    assert re.fullmatch(r"url ws://192\.168\.1\.20:8080/gateway/[0-9a-f]{64}", lines[0])
    assert lines[1] == "file /usr/local/lb/cloud_client/server_url"
    assert "5 minutes" in lines[2]


def test_json_is_one_object(enrol: Enrol, db: str) -> None:
    made = json.loads(enrol("--url", "https://cloud.example/bits", "--db", db, "--json"))["enrolment"]
    assert made["url"].startswith("wss://cloud.example/bits/gateway/")
    assert made["file"] == "/usr/local/lb/cloud_client/server_url"
    assert json.loads(enrol("--localbit", "--db", db, "--json")) == {"enrolment": {"file": "/root/localbit_server.cfg"}}


def test_what_is_enrolled_is_listed_without_secrets_and_revoked(enrol: Enrol, db: str) -> None:
    secret = enrol(MAC, "--url", URL, "--db", db, "--label", "kitchen").splitlines()[0].rpartition("/")[2]
    enrol("--localbit", "--db", db)
    listed = enrol("list", "--db", db)
    first, second = listed.splitlines()
    assert re.fullmatch(
        r"enrolment 1 00e04c000001 user 1 cloudbit-software open until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ kitchen", first
    )
    assert re.fullmatch(r"enrolment 2 any user 1 localbit open until \S+ cloudbit", second)
    assert secret not in listed
    records = [json.loads(line)["enrolment"] for line in enrol("list", "--db", db, "--json").splitlines()]
    assert [record["device_id"] for record in records] == ["00e04c000001", None]
    assert enrol("revoke", "1", "--db", db) == "revoked 1\n"
    enrol.fails(1, "no enrolment has this number", "revoke", "1", "--db", db)
    assert enrol("list", "--db", db).startswith("enrolment 2 ")


def test_an_enrolment_that_is_over_is_not_listed(enrol: Enrol, db: str) -> None:
    enrol("--url", URL, "--db", db, "--minutes", "0.00001")
    enrol("--localbit", "--db", db, "--minutes", "0.00001")
    while enrol("list", "--db", db):
        pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--url is needed"),
        (("nobody", "--url", URL), "no MAC address"),
        (("--url", "cloud.example"), "no URL of a cloud"),
        (("--url", "ftp://cloud.example"), "no URL of a cloud"),
        (("--url", URL, "--minutes", "0"), "--minutes"),
        (("--url", URL, "--input-range", "1023"), "--input-range"),
        (("--url", URL, "--label", "\udcff"), "not UTF-8"),
    ],
)
def test_what_lets_nobody_in_is_told(arguments: tuple[str, ...], said: str, enrol: Enrol, db: str) -> None:
    enrol.fails(2, said, *arguments, "--db", db)
    assert not Path(db).exists()
