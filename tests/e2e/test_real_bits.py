"""Real bits of both firmwares, scripted, at `littlebits serve` in a process of its own."""

import random
import re
import signal
from pathlib import Path

import anyio
import pytest
from websockets.exceptions import InvalidStatus

from littlebits_async import LightColor, Session
from littlebits_async.localcloud.gateway import LOCALBIT_PORTS
from tests.support.command import command, run
from tests.support.real_bits import DEVICE, MAC, ScriptedLocalbit, firmware

pytestmark = pytest.mark.asyncio

PORCH_MAC, PORCH = "00:E0:4C:00:00:02", "00e04c000002"


def loopback() -> str:
    """Make up an address of this machine: the ports of localbits are always the same."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"  # noqa: S311 - no secret


async def until_let_in(url: str) -> None:
    """Connect again and again while it is refused, as the firmware does."""
    while True:
        try:
            async with firmware(url):
                return
        except InvalidStatus:
            await anyio.sleep(0.1)


async def patiently(bit: ScriptedLocalbit, value: int, *, scope: anyio.CancelScope) -> None:
    """Say how the input is again and again, as a localbit does."""
    with scope:
        while True:
            bit.tell(value)
            await anyio.sleep(0.1)


async def test_input_reaches_a_session_and_output_and_light_the_bits(tmp_path: Path) -> None:
    db, host = str(tmp_path / "cloud.db"), loopback()
    async with command("serve", "--db", db, "--host", host, "--localbit", "--simulate", "0") as serve:
        url = (await serve.until(r"url (\S+)$"))[1]
        token = (await serve.until(r"token (\S+)$"))[1]
        made = await run("enrol", MAC, "--url", url, "--db", db, "--label", "kitchen")
        found = re.match(r"url (ws://\S+)\n", made.output)
        assert found is not None, made
        assert (await run("enrol", PORCH_MAC, "--localbit", "--db", db, "--label", "porch")).code == 0

        async with Session(token, base_url=url) as session, anyio.create_task_group() as tasks:
            await until_let_in(found[1])
            async with firmware(found[1]) as bit:
                await bit.turn(255)
                async with session.inputs(DEVICE) as events:
                    assert (await anext(events)).percent == 100
                await session.output(DEVICE, 61, duration_ms=-1)
                await session.light(DEVICE, color=LightColor.RED)
                await bit.until(lambda bit: bit.outputs[-1:] == [39976] and bit.lights == ["red hold"])

            talking = anyio.CancelScope()
            porch = ScriptedLocalbit(
                LOCALBIT_PORTS[0], host=host, mac=PORCH, address=loopback(), listens_at=LOCALBIT_PORTS[1]
            )
            tasks.start_soon(lambda: patiently(porch, 65535, scope=talking))
            await porch.told()
            async with session.inputs(PORCH) as events:
                assert (await anext(events)).percent == 100
            await session.output(PORCH, 61, duration_ms=-1)
            await session.light(PORCH, color=LightColor.RED)
            await porch.told(lambda packet: packet[6:] == b"\x82\x80\x9c\x28")
            talking.cancel()
            labels = {device.label: device.is_connected for device in await session.devices()}
            assert labels == {"kitchen": False, "porch": True}
            porch.close()
        done = await serve.result(signal.SIGTERM)
    assert (done.code, done.errors) == (0, "")
