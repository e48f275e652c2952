"""The README's code blocks do what they say."""

import asyncio
import inspect
import os
import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from littlebits_async import Backoff, InputReactor, Overflow, RetryPolicy, Session, TokenBucket
from littlebits_async.localcloud import LocalCloud
from littlebits_async.sse import MAX_EVENT_SIZE

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
BIN = Path(sys.executable).parent


@asynccontextmanager
async def running(*command: str, **environment: str) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
    )
    try:
        async with asyncio.timeout(20):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: asyncio.subprocess.Process, number: int) -> list[str]:
    """Return the first lines that the process prints, fewer where it ends before."""
    assert process.stdout is not None
    found = [(await process.stdout.readline()).decode().rstrip() for _ in range(number)]
    return [line for line in found if line]


async def errors(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (0, r"\d\d:\d\d:\d\d 00e04000000[12] +\d+\.\d %"),
        (1, r"dimmer is at \d+ %, \d\.\d\d V"),
        (2, r"[A-Z][\w ]+ \d+"),
    ],
)
async def test_the_examples_run_as_pasted(block: int, expected: str) -> None:
    async with LocalCloud(community=True) as cloud:
        await cloud.add_device("00e040000001", label="dimmer", waveform="sine")
        await cloud.add_device("00e040000002", label="button", waveform="button")
        token = await cloud.create_token()
        environment = {"LITTLEBITS_TOKEN": token}
        environment |= dict.fromkeys(("LITTLEBITS_BASE_URL", "LITTLEBITS_COMMUNITY_URL"), cloud.url)
        async with running(sys.executable, "-c", PYTHON[block], **environment) as process:
            printed = await lines(process, 6)
            if len(printed) < 6:
                assert await process.wait() == 0, await errors(process)
    assert printed
    assert all(re.fullmatch(expected, line) for line in printed), printed


def test_every_example_is_run() -> None:
    assert len(PYTHON) == 3


@pytest.mark.asyncio
async def test_the_demo_command_runs_the_demo() -> None:
    demo = next(block for block in SHELL if "littlebits demo" in block)
    program, *arguments = demo.strip().split("&& .venv/bin/")[-1].split()
    async with running(str(BIN / program), *arguments, "--seconds", "2", "--plain") as process:
        output, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    assert all(f"00e04000000{n}" in output.decode() for n in range(1, 9))


@pytest.mark.asyncio
async def test_the_serve_command_prints_where_it_is() -> None:
    serve = next(block for block in SHELL if "littlebits serve" in block)
    program, *arguments = serve.strip().removeprefix(".venv/bin/").split()
    async with running(str(BIN / program), *arguments, "--port", "0") as process:
        words = [line.split()[0] for line in await lines(process, 6)]
    assert words == ["url", "token", "device", "device", "device", "device"]


def test_the_commands_need_nothing_but_python() -> None:
    set_up = [block for block in SHELL if "pip install" in block]
    assert len(set_up) == 2
    for block in set_up:
        assert len(block.strip().splitlines()) == 1
        assert block.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def default(function: Callable[..., object], name: str) -> object:
    return inspect.signature(function).parameters[name].default


@pytest.mark.parametrize(
    ("said", "true"),
    [
        ("10 s for each of at most three tries", (default(Session, "timeout"), RetryPolicy().attempts) == (10.0, 3)),
        ("60 s of waiting for the budget", default(Session, "max_wait") == 60.0),
        (
            "1800 requests in any 3600 s",
            (default(TokenBucket, "limit"), default(TokenBucket, "period")) == (1800, 3600),
        ),
        ("a tenth of them kept for commands", default(TokenBucket, "reserve") == 0.1),
        ("1024 events over all devices", default(InputReactor, "buffer") == 1024),
        ("after 30 s without a byte", default(InputReactor, "stall_after") == 30.0),
        ("reopened after five minutes", default(InputReactor, "quiet_after") == 300.0),
        ("doubles from 0.5 s to 60 s", Backoff() == Backoff(base=0.5, factor=2.0, cap=60.0, healthy_after=30.0)),
        ("| 64 KiB; a longer one is refused", MAX_EVENT_SIZE == 64 * 1024),
        ("streams are held back", default(InputReactor, "overflow") is Overflow.BLOCK),
    ],
)
def test_the_limits_are_the_codes_own(said: str, true: bool) -> None:  # noqa: FBT001
    assert said in re.sub(r"\s+", " ", README)
    assert true
