"""Where OAuth2 tokens are kept."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from littlebits_async import OAuthError
from littlebits_async.auth import FileTokenStore, MemoryTokenStore, OAuthToken, TokenStore

pytestmark = pytest.mark.anyio

TOKEN = OAuthToken("access", refresh_token="refresh", expires_at=1.5, scopes=("read", "write"))
PATIENCE = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "for it" / "token.json"


@pytest.mark.parametrize("token", [TOKEN, OAuthToken("access")])
async def test_a_file_gives_back_what_it_was_given(path: Path, token: OAuthToken) -> None:
    store = FileTokenStore(path)
    assert await store.load() is None
    await store.save(OAuthToken("older"))
    await store.save(token)
    assert await FileTokenStore(str(path)).load() == token
    await store.save(None)
    await store.save(None)
    assert await store.load() is None


async def test_a_file_is_its_owner_s_alone_whatever_was_there(path: Path) -> None:
    store = FileTokenStore(path)
    before = os.umask(0)
    try:
        await store.save(TOKEN)
        async with store.exclusive():
            pass
    finally:
        os.umask(before)
    path.chmod(0o644)  # noqa: ASYNC240 - nobody waits
    await store.save(TOKEN)
    assert {stat.S_IMODE(item.stat().st_mode) for item in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_write_that_fails_leaves_the_old_token_and_no_file_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileTokenStore(path)
    await store.save(TOKEN)

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        await store.save(OAuthToken("newer"))
    assert await store.load() == TOKEN
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"access_token": 5}',
        '{"access_token": "a b"}',
        '{"access_token": "a", "scope": ["read"]}',
        pytest.param('{"access_token": "a", "expires_at": 1' + "0" * 400 + "}", id="no time"),
        pytest.param("[" * 9999, id="deep"),
    ],
)
async def test_a_file_that_holds_no_token_says_so_and_is_not_quoted(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")  # noqa: ASYNC240 - as above
    with pytest.raises(OAuthError, match="holds no token") as caught:
        await FileTokenStore(path).load()
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_a_link_stays_a_link_and_shares_the_lock_of_its_file(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    store = FileTokenStore(link)
    await store.save(TOKEN)
    assert link.is_symlink()
    assert await FileTokenStore(path).load() == await store.load() == TOKEN
    async with store.exclusive():
        with anyio.move_on_after(0.02) as scope:
            async with FileTokenStore(path).exclusive():
                raise AssertionError("not alone")
        assert scope.cancelled_caught
    await store.save(None)
    assert not path.exists()  # noqa: ASYNC240 - as above


async def test_a_reader_never_sees_half_a_token(path: Path) -> None:
    store = FileTokenStore(path)
    await store.save(TOKEN)
    done = anyio.Event()

    async def write() -> None:
        for number in range(50):
            await store.save(OAuthToken("access" * (number + 1)))
        done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        while not done.is_set():
            found = await FileTokenStore(path).load()
            assert found is not None
            assert found.access_token.startswith("access")


@pytest.mark.parametrize("kind", ["memory", "one file", "two files"])
async def test_one_at_a_time_is_the_only_one(path: Path, kind: str) -> None:
    memory = MemoryTokenStore()
    file = FileTokenStore(path)
    stores: dict[str, list[TokenStore]] = {
        "memory": [memory, memory],
        "one file": [file, file],
        "two files": [file, FileTokenStore(path)],
    }
    inside = 0
    most = 0

    async def enter(store: TokenStore) -> None:
        nonlocal inside, most
        async with store.exclusive():
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0.005)
            inside -= 1

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for store in stores[kind] * 3:
                group.start_soon(enter, store)
    assert most == 1


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_who_waits_may_be_cancelled_and_who_leaves_lets_go(path: Path, kind: str) -> None:
    store: TokenStore = MemoryTokenStore() if kind == "memory" else FileTokenStore(path)
    with anyio.fail_after(PATIENCE):
        async with store.exclusive():
            with anyio.move_on_after(0.02) as scope:
                async with store.exclusive():
                    raise AssertionError("not alone")
            assert scope.cancelled_caught
        with pytest.raises(ZeroDivisionError):
            async with store.exclusive():
                raise ZeroDivisionError
        async with store.exclusive():
            pass


ADD_ONE = """
import sys, anyio
from littlebits_async.auth import FileTokenStore, OAuthToken
async def main():
    store = FileTokenStore(sys.argv[1])
    for _ in range(10):
        async with store.exclusive():
            token = await store.load()
            number = 0 if token is None else int(token.access_token)
            await anyio.sleep(0.002)
            await store.save(OAuthToken(str(number + 1)))
anyio.run(main)
"""


def test_processes_take_turns(path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", ADD_ONE, str(path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert json.loads(path.read_bytes())["access_token"] == "30"


def test_a_repr_holds_no_token() -> None:
    assert "access" not in repr(MemoryTokenStore(TOKEN)) + repr(TOKEN).replace("access_token", "")
    assert "refresh" not in repr(MemoryTokenStore(TOKEN))
