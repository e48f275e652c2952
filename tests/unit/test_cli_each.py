"""The same for each of several cloudBits."""

import anyio
import anyio.lowlevel
import pytest

from littlebits_async import AuthenticationError, Device, LittleBitsError, NotFoundError, Session, TransportError
from littlebits_async.cli._each import for_each
from littlebits_async.cli._errors import CommandError, ExitCode
from littlebits_async.cli._output import Printer

pytestmark = pytest.mark.anyio

DEVICES = [Device(str(number), f"bit {number}") for number in range(20)]


async def run(
    errors: dict[str, LittleBitsError], devices: list[Device] = DEVICES, *, most: list[int] | None = None
) -> list[str]:
    """Call something that fails for some devices, and return for whom it was told."""
    told: list[str] = []
    calls = 0

    async def call(device: Device) -> str:
        nonlocal calls
        calls += 1
        if most is not None:
            most.append(calls)
        await anyio.lowlevel.checkpoint()
        calls -= 1
        if device.id in errors:
            raise errors[device.id]
        return device.id

    async def find() -> list[Device]:
        return devices

    with anyio.fail_after(5):
        async with Session("token") as session:
            await for_each(
                session, find, call, lambda _, result: told.append(result), what="test", say=Printer(as_json=False)
            )
    return told


async def test_it_is_called_for_each_and_a_few_at_a_time() -> None:
    most: list[int] = []
    assert sorted(await run({}, most=most), key=int) == [device.id for device in DEVICES]
    assert max(most) == 8


async def test_what_fails_for_one_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="test: 2 of 20 cloudBits failed") as caught:
        await run({"3": NotFoundError("gone", status=404), "19": TransportError("lost", phase="receive")})
    assert caught.value.code is ExitCode.UNREACHABLE
    assert capsys.readouterr().err.splitlines() == ["littlebits: bit 3: gone", "littlebits: bit 19: lost"]


async def test_a_label_that_steers_the_terminal_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError):
        await run({"3": NotFoundError("gone", status=404)}, [DEVICES[1], Device("3", "\x1b[2J\nlamp")])
    assert capsys.readouterr().err == "littlebits: \ufffd[2J\ufffdlamp: gone\n"


@pytest.mark.parametrize(
    "error", [AuthenticationError("no", status=401), TransportError("away", phase="connect")], ids=["refused", "away"]
)
async def test_what_would_fail_for_all_ends_it(error: LittleBitsError, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)) as caught:
        await run({"12": error})
    assert caught.value is error
    assert capsys.readouterr().err.startswith("littlebits: test: ended after ")


async def test_the_error_of_a_single_one_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFoundError("gone", status=404)
    with pytest.raises(NotFoundError) as caught:
        await run({"3": error}, [DEVICES[3]])
    assert caught.value is error
    assert capsys.readouterr().err == ""
