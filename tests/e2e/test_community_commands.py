"""`littlebits projects`, `products`, `library` and `community`, against a cloud, as people and scripts run them."""

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from littlebits_async.cli import main
from littlebits_async.community import Community, Pages, Project
from littlebits_async.localcloud.community._passwords import COSTS
from littlebits_async.testing import RunningCloud, run_cloud
from tests.support.command import Result

KEY = "LITTLEBITS_COMMUNITY_KEY"
URL = "LITTLEBITS_COMMUNITY_URL"
EMAIL, PASSWORD = "ada@example.org", "correct horse"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    """A cloud with a community, that the environment names."""
    monkeypatch.setattr("platformdirs.user_config_path", tmp_path.joinpath)
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setattr("littlebits_async.localcloud.community._passwords.COSTS", attrs.evolve(COSTS, n=2, p=1))
    with run_cloud(community=True) as cloud:
        monkeypatch.setenv(URL, cloud.url)
        yield cloud


class Littlebits:
    """Runs the command in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str, said: str = "") -> Result:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(said))
        code = main(words)
        output, errors = self._capsys.readouterr()
        return Result(code, output, errors)

    def records(self, *words: str, said: str = "") -> list[dict[str, Any]]:
        done = self(*words, "--json", said=said)
        assert (done.code, done.errors) == (0, "")
        return [json.loads(line) for line in done.output.splitlines()]

    def fails(self, code: int, error: str, *words: str, said: str = "") -> None:
        done = self(*words, said=said)
        assert (done.code, done.output) == (code, "")
        assert error in done.errors
        assert PASSWORD not in done.errors


@pytest.fixture
def littlebits(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Littlebits:
    del cloud  # is to be there
    return Littlebits(monkeypatch, capsys)


@pytest.fixture
def ada(littlebits: Littlebits) -> Littlebits:
    """The same, logged in."""
    done = littlebits("community", "join", EMAIL, "ada", said=f"{PASSWORD}\n")
    assert (done.code, done.errors) == (0, "")
    assert done.output.endswith(" as ada\n")
    return littlebits


def test_products_are_listed_and_shown(littlebits: Littlebits) -> None:
    header, *rows = littlebits("products").output.splitlines()
    assert header.split()[:2] == ["id", "name"]
    found = [each["product"] for each in littlebits.records("products")]
    assert len(found) == len(rows)
    kit = next(product for product in found if product["type"] == "Kit")
    assert littlebits.records("products", str(kit["id"]))[0]["product"]["variants"] == kit["variants"]
    assert kit["variants"][0]["kit_bits"]
    assert kit["updated_at"].endswith("+00:00")
    littlebits.fails(1, "404", "products", "999")


def test_projects_are_found_and_shown_without_a_login(littlebits: Littlebits) -> None:
    popular = [
        each["project"] for each in littlebits.records("projects", "search", "--sort", "popular", "--limit", "4")
    ]
    assert len(popular) == 4
    likes = [project["like_count"] for project in popular]
    assert likes == sorted(likes, reverse=True)
    first = popular[0]
    shown = littlebits("projects", "show", first["slug"])
    assert first["name"] in shown.output.splitlines()[0]
    assert "\nbits\n" in shown.output
    assert "\n1. " in shown.output
    assert littlebits.records("projects", "show", str(first["id"]))[0]["project"]["steps"]
    assert len(littlebits("projects", "list", "--limit", "3").output.splitlines()) == 1 + 3
    lessons = littlebits.records("projects", "search", "--lessons")
    assert lessons
    listed = {each["project"]["id"] for each in littlebits.records("projects", "search", "--limit", "50")}
    assert listed
    assert listed.isdisjoint(each["project"]["id"] for each in lessons)
    done = littlebits("projects", "search", "no-such-word")
    assert (done.code, done.output, done.errors) == (0, "", "littlebits: there are none\n")


def test_what_a_library_holds_finds_projects_for_it(ada: Littlebits, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ada("library", "list").errors.startswith("littlebits: your library is empty")
    ada.fails(1, "your library is empty", "projects", "search", "--mine")
    kit = next(each["product"] for each in ada.records("products") if each["product"]["type"] == "Kit")
    variant = kit["variants"][0]
    added = {
        each["item"]["variant_id"]: each["item"]["quantity"]
        for each in ada.records("library", "add", str(variant["id"]))
    }
    assert added == {bit["variant_id"]: bit["quantity"] for bit in variant["kit_bits"]} | {variant["id"]: 1}
    asked: dict[int, int] = {}

    def search(there: Community, *words: Any, **more: Any) -> Pages[Project]:
        asked.update(zip(more["variants"], more["qty"], strict=True))
        return look_for(there, *words, **more)

    look_for = Community.search
    monkeypatch.setattr(Community, "search", search)
    assert ada.records("projects", "search", "--mine")
    assert asked == {bit["variant_id"]: bit["quantity"] for bit in variant["kit_bits"]}, "a kit is no bit"
    bit = variant["kit_bits"][0]["variant_id"]
    more = ada.records("library", "update", str(bit), "add", "2")
    assert [each["item"]["quantity"] for each in more] == [added[bit] + 2]
    left = {each["item"]["variant_id"] for each in ada.records("library", "remove", str(bit))}
    assert left == set(added) - {bit}
    rows = ada("library", "list").output.splitlines()
    assert len(rows) == 1 + len(left)


def test_a_project_is_commented_and_liked(ada: Littlebits) -> None:
    project = ada.records("projects", "list", "--limit", "1")[0]["project"]["slug"]
    said = ada.records("projects", "comment", project, "It works")[0]["comment"]
    ada.records("projects", "comment", project, "Mine, too", "--reply-to", str(said["id"]))
    lines = ada("projects", "comments", project).output.splitlines()
    assert lines[0].startswith(f"{said['id']} ")
    assert lines[0].endswith(": It works")
    assert lines[1].startswith("  ")
    assert lines[1].endswith(": Mine, too")
    assert ada.records("projects", "like", project) == [{"like": {"like_count": 1, "liked_by_user": True}}]
    assert ada("projects", "like", project).output == "you do not like it; 0 like it\n"


@pytest.mark.requirement("C4.elsewhere")
def test_a_login_is_kept_for_its_owner_alone_and_only_for_its_community(
    ada: Littlebits, cloud: RunningCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "littlebits" / "community.json"
    assert json.loads(kept.read_text())["base_url"] == cloud.url
    assert PASSWORD not in kept.read_text()
    monkeypatch.delenv(URL)  # it is where the login was
    assert ada("library", "list").code == 0
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        kept.chmod(0o644)
        ada.fails(2, "may be read by others", "library", "list")
        kept.chmod(0o600)
    for there, too in ((f"{cloud.url}/", cloud.url), (cloud.url, f"{cloud.url}/")):  # which is one address
        assert ada("community", "login", EMAIL, "--base-url", there, said=f"{PASSWORD}\n").code == 0
        monkeypatch.setenv(URL, too)
        assert ada("library", "list").code == 0
    with run_cloud(community=True) as other:
        monkeypatch.setenv(URL, other.url)
        ada.fails(1, "this takes a key: `littlebits community login`", "library", "list")


def test_a_logout_ends_the_key(ada: Littlebits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "littlebits" / "community.json"
    key = json.loads(kept.read_text())["api_key"]
    assert ada("community", "logout").code == 0
    assert not kept.exists()
    monkeypatch.setenv(KEY, key)
    ada.fails(1, f"is {KEY} a key of this community?", "library", "list")
    monkeypatch.delenv(KEY)
    ada.fails(1, "nobody has logged in", "community", "logout")
    assert ada("community", "login", EMAIL, said=f"{PASSWORD}\n").code == 0
    assert ada("library", "list").code == 0
    monkeypatch.setenv(KEY, key)
    assert f"{KEY} is set, and still used" in ada("community", "logout").output


@pytest.mark.parametrize(
    ("code", "error", "words", "said"),
    [
        (1, "401", ("community", "login", EMAIL), "wrong horse\n"),
        (2, "no password was given", ("community", "login", EMAIL), ""),
        (1, "422", ("community", "join", "ada", "ada"), f"{PASSWORD}\n"),
        (1, "404", ("projects", "show", "no-such-project"), ""),
        (2, "name none yourself", ("projects", "search", "--mine", "--variants", "1"), ""),
        (2, "qty", ("projects", "search", "--variants", "101", "102", "--qty", "1"), ""),
        (2, "Must be >= 1", ("library", "update", "101", "add", "0"), ""),
    ],
)
def test_what_cannot_be_done_is_told(
    littlebits: Littlebits, code: int, error: str, words: tuple[str, ...], said: str
) -> None:
    littlebits.fails(code, error, *words, said=said)


def test_a_cloud_without_a_community_is_told_from_none(
    littlebits: Littlebits, running_cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, running_cloud.url)
    littlebits.fails(1, "404", "products")
    monkeypatch.setenv(URL, "http://127.0.0.1:9")
    littlebits.fails(3, "is a cloud running at http://127.0.0.1:9, with --community?", "products")
