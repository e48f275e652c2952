import asyncio
import subprocess
import sys
from typing import Any

import anyio
import httpx
import pytest
from nicegui import Client

from littlebits_async import InvalidArgumentError, Priority, Session, TokenBucket, TransportError
from littlebits_async.cloudbit import OutputQueue
from littlebits_async.dashboard import Board, Dashboard
from littlebits_async.dashboard._commands import Commands
from littlebits_async.dashboard._news import News
from littlebits_async.errors import AuthenticationError
from littlebits_async.models import Device
from littlebits_async.testing import RunningCloud
from tests.support.local_cloud import free_port, sockets_to
from tests.support.local_cloud import port_of as cloud_port

PATIENCE = 15
A, B = "00e040000001", "00e040000002"


@pytest.mark.asyncio
async def test_one_may_follow_another_in_a_process_and_each_leaves_nothing(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(A)
    tasks = len(asyncio.all_tasks())
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session:
        for _ in range(2):
            async with Dashboard(session) as dashboard:
                async with httpx.AsyncClient(trust_env=False) as http:
                    answer = await http.get(dashboard.url)
                    await http.get(f"{dashboard.url}/_nicegui_ws/socket.io/?EIO=4&transport=polling")
                assert answer.status_code == 200
                assert running_cloud.token not in answer.text
                assert len(Client.instances) == 1
                port = int(dashboard.url.rpartition(":")[2])
            assert not Client.instances
            with pytest.raises(OSError, match=r"."):
                await anyio.connect_tcp("127.0.0.1", port)
    assert sockets_to(cloud_port(running_cloud)) == 0
    assert len(asyncio.all_tasks()) == tasks


@pytest.mark.asyncio
async def test_two_at_a_time_are_refused_and_the_first_goes_on(running_cloud: RunningCloud) -> None:
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session, Dashboard(session) as first:
        with pytest.raises(InvalidArgumentError, match="one dashboard at a time"):
            async with Dashboard(session):
                pass
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(first.url)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - refused
@pytest.mark.parametrize("password", [None, "short"])
def test_others_can_reach_it_only_with_a_password(host: str, password: str | None) -> None:
    with pytest.raises(InvalidArgumentError, match="password"):
        Dashboard(Session("token"), host=host, password=password)


@pytest.mark.asyncio
async def test_with_a_password_it_answers_to_any_name_as_a_proxy_may_have_another(running_cloud: RunningCloud) -> None:
    elsewhere = {"host": "bits.example"}
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session:
        for password, status in ((None, 421), ("correct horse", 303)):
            async with Dashboard(session, password=password) as dashboard, httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(dashboard.url, headers=elsewhere)).status_code == status


@pytest.mark.asyncio
async def test_a_cloud_that_is_not_there_and_a_port_that_is_taken_are_told_as_they_are(
    running_cloud: RunningCloud,
) -> None:
    async with Session("token", base_url=f"http://127.0.0.1:{free_port()}", trust_env=False) as session:
        with pytest.raises(TransportError):
            async with Dashboard(session):
                pass
    async with running_cloud.session() as session:
        with pytest.raises(OSError, match=r"."):
            async with Dashboard(session, port=cloud_port(running_cloud)):
                pass


@pytest.mark.asyncio
async def test_a_token_that_is_refused_later_ends_it(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(A)
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session, Dashboard(session) as dashboard:
        await running_cloud.until_streams(1)
        async with running_cloud.faults.answering(401):
            await running_cloud.do(lambda cloud: cloud.devices[A].close_streams())
            with pytest.raises(AuthenticationError):
                await dashboard.wait_ended()


@pytest.mark.asyncio
async def test_an_error_that_nobody_waited_for_is_raised_at_the_end(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device(A)
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session:
        with pytest.raises(AuthenticationError):
            async with Dashboard(session) as dashboard:
                await running_cloud.until_streams(1)
                async with running_cloud.faults.answering(401):
                    await running_cloud.do(lambda cloud: cloud.devices[A].close_streams())
                    await dashboard._ended.wait()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


@pytest.mark.asyncio
async def test_cancelled_it_is_gone_as_well(running_cloud: RunningCloud) -> None:
    tasks = len(asyncio.all_tasks())
    async with asyncio.timeout(PATIENCE), running_cloud.session() as session:
        with anyio.CancelScope() as scope:
            async with Dashboard(session) as dashboard:
                async with httpx.AsyncClient(trust_env=False) as http:
                    await http.get(dashboard.url)
                scope.cancel()
                await dashboard.wait_ended()
        assert not Client.instances
        async with Dashboard(session):
            pass
    assert len(asyncio.all_tasks()) == tasks


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_on_trio_it_says_that_it_cannot(running_cloud: RunningCloud) -> None:
    async with running_cloud.session() as session:
        with pytest.raises(InvalidArgumentError, match="asyncio only"):
            async with Dashboard(session):
                pass


def test_what_there_is_to_see_needs_no_web_framework() -> None:
    code = "import sys, littlebits_async.dashboard; sys.exit(any(m in sys.modules for m in ('nicegui', 'starlette')))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_is_told_in_one_line() -> None:
    code = """
import sys
sys.modules["nicegui"] = None
import littlebits_async.dashboard as dashboard
try:
    dashboard.Dashboard
except ModuleNotFoundError as exc:
    assert 'pip install "littlebits-async[dashboard]"' in str(exc), exc
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "asked",
    [
        None,
        [],
        "output",
        {},
        {"do": "output", "id": A},
        {"do": "output", "id": A, "percent": "50"},
        {"do": "output", "id": A, "percent": True},
        {"do": "output", "id": A, "percent": 101},
        {"do": "output", "id": A, "percent": float("nan")},
        {"do": "output", "id": "elsewhere", "percent": 50},
        {"do": ["output"], "id": A},
        {"do": "__init__", "id": A},
        {"do": "light", "id": A, "color": "black", "mode": "hold"},
        {"do": "rename", "id": A, "label": " "},
        {"do": "rename", "id": A, "label": "x" * 201},
        {"do": "subscribe", "id": A, "subscriber": "file:///etc/passwd", "event": "amplitude"},
        {"do": "subscribe", "id": A, "subscriber": "elsewhere", "event": "amplitude"},
    ],
)
async def test_what_a_page_cannot_ask_for_is_refused_before_anything_is_sent(asked: Any) -> None:
    board = Board([Device(A), Device(B)])
    async with Session("token", base_url="http://127.0.0.1:9", trust_env=False) as session, OutputQueue(session) as out:
        answer = await Commands(session, out, board, News(board))(asked)
        assert answer["error"]
        assert out.pending == 0
        report = await session.budget.report()
        assert not report.spent


async def waits(budget: TokenBucket) -> int:
    return (await budget.report()).waiting.get(Priority.COMMAND, 0)


@pytest.mark.asyncio
async def test_only_so_many_commands_may_wait_at_a_time() -> None:
    board = Board([Device(A)])
    budget = TokenBucket(limit=1)
    budget.acquire_nowait()
    async with Session(
        "token", budget=budget, base_url="http://127.0.0.1:9", trust_env=False, max_wait=None
    ) as session:
        async with OutputQueue(session) as out, asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            commands = Commands(session, out, board, News(board))
            light = {"do": "light", "id": A, "color": "red", "mode": "hold"}
            waiting = [tasks.create_task(commands(light)) for _ in range(64)]
            while (await waits(budget)) < len(waiting):  # noqa: ASYNC110 - a budget tells nobody who waits
                await asyncio.sleep(0)
            assert await commands(light) == {"number": None, "error": "too much is asked for at once"}
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            assert (await commands({"do": "output", "id": A, "percent": 101}))[
                "error"
            ] != "too much is asked for at once"
