"""The test kit, as its users have it: in projects of their own, with either plugin, on either event loop."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from littlebits_async import (
    Backoff,
    CloudBit,
    InputReactor,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    Session,
    StreamClosedError,
    StreamError,
    StreamState,
    TransportError,
    testing,
)
from littlebits_async.testing import Faults, RunningBit, RunningCloud, run_cloud

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", testing.__doc__ or "", re.DOTALL)
CONFTEST, EXAMPLE = BLOCKS
QUICK = Backoff(base=0.005, cap=0.01)
PATIENCE = 10


# In a project of a user's


def run_pytest(project: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        (project / f"{name}.py").write_text(text, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LITTLEBITS_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, str(project)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# What pytest-asyncio would have its user say.
ASYNCIO = ("-p", "no:anyio", "-o", "asyncio_default_fixture_loop_scope=function")
ANYIO = ("-p", "no:asyncio")
ANYIO_MARK = "pytestmark = pytest.mark.anyio\n"
ON_BOTH = '\n\n@pytest.fixture(params=["asyncio", "trio"])\ndef anyio_backend(request):\n    return request.param\n'


@pytest.mark.parametrize(
    ("mark", "options", "number"),
    [
        (ANYIO_MARK + ON_BOTH, ANYIO, 6),
        ("pytestmark = pytest.mark.asyncio\n", [*ASYNCIO, "--asyncio-mode=strict"], 3),
        ("", [*ASYNCIO, "--asyncio-mode=auto"], 3),
    ],
    ids=["anyio", "strict", "auto"],
)
def test_the_example_runs_as_it_stands(tmp_path: Path, mark: str, options: Sequence[str], number: int) -> None:
    assert ANYIO_MARK in EXAMPLE
    done = run_pytest(tmp_path, *options, conftest=CONFTEST, test_it=EXAMPLE.replace(ANYIO_MARK, mark))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{number} passed" in done.stdout


PLAIN = """
import asyncio
import os

import pytest
from littlebits_async import Session
from littlebits_async.testing import RunningBit, RunningCloud


async def main():
    async with Session() as session:
        (device,) = await session.devices()
        await session.output(device.id, 40)


def test_a_program(local_cloud: RunningCloud, cloudbit: RunningBit) -> None:
    asyncio.run(main())
    local_cloud.portal.call(cloudbit.until_shown, 40)


@pytest.fixture
def local_cloud_options(request):
    return {"limit": 1 if "made" in request.node.name else 9}


def test_the_cloud_is_made_as_asked(local_cloud: RunningCloud, cloudbit: RunningBit) -> None:
    assert os.environ["LITTLEBITS_BASE_URL"] == local_cloud.url
    with pytest.raises(Exception, match="budget of requests is spent"):
        asyncio.run(main())
"""


def test_it_serves_tests_that_are_no_coroutines_and_a_conftest_that_imports_its_types(tmp_path: Path) -> None:
    conftest = f"from littlebits_async.testing import RunningCloud\n{CONFTEST}"
    done = run_pytest(tmp_path, *ANYIO, conftest=conftest, test_it=PLAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_it_is_loaded_on_request_only(tmp_path: Path) -> None:
    asks = "import sys\ndef test_it():\n    assert 'littlebits_async' not in sys.modules\n"
    assert run_pytest(tmp_path, *ANYIO, test_it=asks).returncode == 0
    asks = "def test_it(local_cloud): ...\n"
    assert "fixture 'local_cloud' not found" in run_pytest(tmp_path, *ANYIO, test_it=asks).stdout


@pytest.mark.parametrize("missing", ["pytest", "starlette", "uvicorn", "limits"])
def test_what_is_missing_is_named_with_what_brings_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import littlebits_async.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: {missing} is missing, which littlebits_async.testing needs:"
        ' pip install "littlebits-async[testing]"'
    )


# The fixtures, and the switch


@pytest.mark.anyio
async def test_a_bit_is_turned_and_seen(session: Session, cloudbit: RunningBit) -> None:
    async with session:
        bit = CloudBit(session, cloudbit.id)
        await cloudbit.set_input(61)
        async with bit.inputs() as events:
            assert (await anext(events)).absolute == 624
            await cloudbit.turn(0, 100)
            seen: list[int | None] = []
            with anyio.fail_after(PATIENCE):
                while seen[-2:] != [0, 1023]:
                    seen.append((await anext(events)).absolute)
        await bit.hold(12.5)
        await cloudbit.until_shown(12.5)
        await bit.light(color="red")
        assert await cloudbit.see(lambda bit: bit.light is not None and bit.light.color) == "red"


@pytest.mark.anyio
async def test_each_test_has_a_cloud_of_its_own_that_the_environment_names(local_cloud: RunningCloud) -> None:
    assert os.environ["LITTLEBITS_BASE_URL"] == local_cloud.url
    async with Session() as session:
        assert await session.devices() == []
    assert local_cloud.token not in repr(local_cloud)


@pytest.mark.anyio
async def test_a_cloud_that_is_away_refuses_and_comes_back_as_it_was(
    local_cloud: RunningCloud, cloudbit: RunningBit, faults: Faults
) -> None:
    url = local_cloud.url
    session = local_cloud.session(retry=RetryPolicy(attempts=1))
    async with session, InputReactor(session, [cloudbit.id], backoff=QUICK) as reactor:
        with anyio.fail_after(PATIENCE):
            await anext(aiter(reactor))
            async with faults.away():
                with pytest.raises(TransportError):
                    await session.devices()
                async for status in reactor.changes():
                    if status.state is StreamState.BACKING_OFF:
                        break
            assert local_cloud.url == url
            assert [device.id for device in await session.devices()] == [cloudbit.id]
            await local_cloud.until_streams(1)
            await cloudbit.turn(77)
            async for event in reactor:
                if event.absolute == 788:
                    break


@pytest.mark.anyio
@pytest.mark.parametrize("abort", [True, False])
async def test_streams_are_cut(
    local_cloud: RunningCloud, session: Session, cloudbit: RunningBit, faults: Faults, *, abort: bool
) -> None:
    async with session:
        with anyio.fail_after(PATIENCE), pytest.raises(StreamError if abort else StreamClosedError):
            async with session.inputs(cloudbit.id) as events:
                await anext(events)
                assert await faults.cut(abort=abort) == 1
                async for _ in events:
                    pass
        await local_cloud.until_streams(0)
        assert await faults.cut() == 0


@pytest.mark.anyio
async def test_answers_are_errors_for_a_while(local_cloud: RunningCloud, faults: Faults) -> None:
    async with local_cloud.session(retry=RetryPolicy(attempts=1)) as session:
        async with faults.answering(503, retry_after=7):
            for _ in range(2):
                with pytest.raises(ServiceUnavailableError) as caught:
                    await session.devices()
                assert caught.value.retry_after == 7
        assert await session.devices() == []
        async with faults.answering(500, times=1):
            with pytest.raises(ServerError):
                await session.devices()
            assert await session.devices() == []
    with pytest.raises(ValueError, match="299"):
        faults.answering(299)


@pytest.mark.anyio
async def test_streams_that_are_open_go_on_while_answers_are_errors(
    session: Session, cloudbit: RunningBit, faults: Faults
) -> None:
    async with session, session.inputs(cloudbit.id) as events:
        await anext(events)
        async with faults.answering(503):
            await cloudbit.turn(50)
            with anyio.fail_after(PATIENCE):
                while (await anext(events)).absolute != 512:
                    pass


@pytest.mark.anyio
async def test_silence_holds_answers_and_streams_and_then_lets_them_go(
    local_cloud: RunningCloud, cloudbit: RunningBit, faults: Faults
) -> None:
    async with local_cloud.session(retry=RetryPolicy(attempts=1), timeout=0.2) as session:
        async with session.inputs(cloudbit.id, stall_after=None) as events:
            await anext(events)
            async with faults.silent():
                with pytest.raises(RequestTimeoutError):
                    await session.devices()
                await cloudbit.turn(50)
                with anyio.move_on_after(0.05) as scope:
                    while (await anext(events)).absolute != 512:
                        pass
                assert scope.cancelled_caught
            with anyio.fail_after(PATIENCE):
                while (await anext(events)).absolute != 512:
                    pass
            assert len(await session.devices()) == 1


@pytest.mark.anyio
async def test_a_bit_that_is_off_line_brings_nothing_and_loses_outputs(
    session: Session, cloudbit: RunningBit, faults: Faults
) -> None:
    async with session:
        async with faults.offline(cloudbit):
            assert [device.is_connected for device in await session.devices()] == [False]
            await cloudbit.turn(50)  # which does not put it on line
            assert [device.is_connected for device in await session.devices()] == [False]
        assert [device.is_connected for device in await session.devices()] == [True]
        assert (await session.read(cloudbit.id)).absolute == 512


FAULTS: Mapping[str, Callable[[Faults, RunningBit], AbstractAsyncContextManager[None]]] = {
    "away": lambda faults, _: faults.away(),
    "silent": lambda faults, _: faults.silent(),
    "answering": lambda faults, _: faults.answering(503),
    "offline": lambda faults, bit: faults.offline(bit),
}


@pytest.mark.anyio
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_ends_with_its_block_however_that_ends(
    local_cloud: RunningCloud,
    cloudbit: RunningBit,
    faults: Faults,
    fault: Callable[[Faults, RunningBit], AbstractAsyncContextManager[None]],
) -> None:
    async def is_as_before() -> bool:
        async with local_cloud.session(retry=RetryPolicy(attempts=1)) as session:
            with anyio.fail_after(PATIENCE):
                return [device.is_connected for device in await session.devices()] == [True]

    with anyio.CancelScope() as scope:
        async with fault(faults, cloudbit):
            scope.cancel()
            await anyio.sleep_forever()
    assert await is_as_before()
    with pytest.raises(ZeroDivisionError):
        async with fault(faults, cloudbit):
            _ = 1 / 0
    assert await is_as_before()


@pytest.mark.anyio
async def test_a_wait_in_vain_ends(monkeypatch: pytest.MonkeyPatch, local_cloud: RunningCloud) -> None:
    monkeypatch.setattr(testing, "_PATIENCE", 0.01)
    with pytest.raises(TimeoutError):
        await local_cloud.until_streams(1)
    bit = await local_cloud.add_device("b1", label="lamp")
    with pytest.raises(TimeoutError):
        await bit.until_shown(1)


@pytest.mark.anyio
async def test_there_may_be_several_clouds(local_cloud: RunningCloud) -> None:
    with run_cloud(limit=1) as other:
        async with other.session() as there, local_cloud.session() as here:
            await other.add_device("b1")
            assert [device.id for device in await there.devices()] == ["b1"]
            assert await here.devices() == []
            token = await other.create_token({"read"})
            assert await other.see(lambda cloud: (cloud.requests(other.token), cloud.requests(token))) == (1, 0)
