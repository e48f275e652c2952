"""A cloud and its dashboard: neither runs without the other."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from littlebits_async import AuthenticationError, Session
from littlebits_async.cli._output import Printer
from littlebits_async.cli._serving import run_cloud
from littlebits_async.cli._tls import trusting
from littlebits_async.localcloud import LocalCloud

pytestmark = pytest.mark.asyncio

PATIENCE = 10


class Board:
    """What stands for a dashboard."""

    url = "http://board"

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.is_open = True

    async def wait_ended(self) -> None:
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.is_open = False


@pytest.mark.parametrize("error", [None, RuntimeError("the dashboard failed")])
async def test_a_dashboard_that_ends_ends_the_cloud(
    error: Exception | None, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, board = LocalCloud(), Board(error)

    async def open_board(stack: AsyncExitStack, _: LocalCloud) -> Any:
        stack.callback(board.close)
        return board

    with anyio.fail_after(PATIENCE):
        work = run_cloud(cloud, Printer(as_json=True), db=None, simulate=0, dashboard=open_board)
        if error is None:
            await work
        else:
            with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="the dashboard failed")):
                await work
    assert not board.is_open
    with pytest.raises(RuntimeError, match="not running"):
        _ = cloud.url
    assert '{"dashboard": {"url": "http://board"}}' in capsys.readouterr().out


async def test_a_token_that_is_lent_works_until_it_is_taken_back() -> None:
    async with LocalCloud() as cloud:
        await cloud.add_device("x")
        async with cloud.lend_token({"read"}) as token, Session(token, base_url=cloud.url) as session:
            assert not cloud.has_tokens
            await cloud.create_token()
            assert [device.id for device in await session.devices()] == ["x"]
            stack = AsyncExitStack()
            events = await stack.enter_async_context(session.inputs("x"))
            await anext(events)
            assert cloud.streams == 1
        with anyio.fail_after(PATIENCE):
            while cloud.streams:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.002)
        async with Session(token, base_url=cloud.url) as session:
            with pytest.raises(AuthenticationError):
                await session.devices()
        await stack.aclose()


async def test_a_token_that_is_lent_outlives_a_look_at_what_is_kept() -> None:
    async with LocalCloud() as cloud, cloud.lend_token() as token, Session(token, base_url=cloud.url) as session:
        await cloud._registry.tokens.reload()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - another program's change brings it about
        assert await session.devices() == []


async def test_a_scope_that_nobody_knows_is_not_lent() -> None:
    async with LocalCloud() as cloud:
        with pytest.raises(ValueError, match="unknown scopes"):
            async with cloud.lend_token({"fly"}):
                pass


async def test_the_certificate_of_a_cloud_is_trusted_and_not_those_that_vouch_for_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    chain = tmp_path / "chain.pem"
    made = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    chain.write_bytes(made + authority.cert_pem.bytes())
    assert trusting(chain).cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 0}
