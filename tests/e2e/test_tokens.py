"""`littlebits tokens`, on its own and beside a cloud that runs."""

import re
import signal
from pathlib import Path

import anyio
import httpx
import pytest

from littlebits_async.localcloud import LocalCloud
from tests.support.command import command, run

pytestmark = pytest.mark.asyncio


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "cloud.db")


async def create(db: str, *options: str) -> str:
    done = await run("tokens", "create", "--db", db, *options)
    assert (done.code, done.errors) == (0, "")
    made = re.fullmatch(r"token ([0-9a-f]{64})\n", done.output)
    assert made is not None
    return made[1]


async def test_a_token_is_made_listed_and_revoked(db: str) -> None:
    token = await create(db, "--scopes", "write read", "--user", "7", "--label", "Läufer 2")
    listed = await run("tokens", "list", "--db", db)
    found = re.fullmatch(
        r"token ([0-9a-f]{8}) user 7 read,write \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ Läufer 2\n", listed.output
    )
    assert found is not None, listed
    revoked = await run("tokens", "revoke", found[1], "--db", db)
    assert (revoked.code, revoked.output) == (0, f"revoked {found[1]}\n")
    assert (await run("tokens", "list", "--db", db)).output == ""
    assert token.encode() not in b"".join(path.read_bytes() for path in Path(db).parent.iterdir())


async def test_a_running_cloud_takes_note(db: str) -> None:
    async with command("serve", "--db", db, "--simulate", "1") as serve:
        url = (await serve.until(r"url (\S+)$"))[1]
        first = (await serve.until(r"token (\S+)$"))[1]
        made = await create(db, "--scopes", "read")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def status(token: str) -> int:
                return (await client.get("/v2/devices", headers={"Authorization": token})).status_code

            async def until(token: str, wanted: int) -> None:
                with anyio.fail_after(10):
                    while await status(token) != wanted:  # noqa: ASYNC110 - it is told to nobody
                        await anyio.sleep(0.05)

            await until(made, 200)
            headers = {"Authorization": made}
            async with client.stream("GET", "/v2/devices/00e040000001/input", headers=headers) as stream:
                lines = stream.aiter_lines()
                assert (await anext(lines)).startswith("data:")
                # Whose id nobody wrote down: the token itself will do.
                revoked = await run("tokens", "revoke", made, "--db", db)
                assert (revoked.code, revoked.errors) == (0, "")
                assert made not in revoked.output
                with anyio.fail_after(10):
                    async for _ in lines:  # to the end of the stream
                        pass
            await until(made, 401)
            assert await status(first) == 200
        done = await serve.result(signal.SIGTERM)
    assert (done.code, done.errors) == (0, "")


async def test_the_secret_is_what_the_cloud_signs_with(db: str) -> None:
    async with LocalCloud(db) as cloud:
        theirs = await cloud.webhook_secret(user_id=3)
    done = await run("tokens", "secret", "--db", db, "--user", "3")
    assert (done.code, done.output, done.errors) == (0, f"secret {theirs}\n", "")
    assert theirs not in (await run("tokens", "secret", "--db", db)).output
