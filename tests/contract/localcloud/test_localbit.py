"""Real cloudBits with localbit, scripted, by UDP; a client on the other side."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio
import pytest
import pytest_asyncio

from littlebits_async import LightColor, Session
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.gateway import LOCALBIT_PORTS
from tests.support.real_bits import DEVICE, PATIENCE, ScriptedLocalbit, firmware

pytestmark = pytest.mark.asyncio

ELSEWHERE = "127.0.0.2"


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - the cloud tells nobody
            await anyio.sleep(0.005)


@pytest.fixture
def bit() -> Iterator[ScriptedLocalbit]:
    bit = ScriptedLocalbit(0)
    yield bit
    bit.close()


@pytest_asyncio.fixture
async def cloud(bit: ScriptedLocalbit) -> AsyncIterator[LocalCloud]:
    async with LocalCloud(localbit_ports=(0, bit.port)) as cloud:
        bit.reach(cloud.real_bits.localbit_port or 0)
        yield cloud


def count(cloud: LocalCloud, name: str) -> int:
    return cloud.real_bits.counts()[name]


def is_there(cloud: LocalCloud) -> bool:
    return DEVICE in cloud.devices and cloud.devices[DEVICE].is_connected


async def test_input_reaches_a_session_and_output_and_light_the_bit(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    await cloud.real_bits.enrol_localbit("00:E0:4C:00:00:01", label="porch")
    bit.tell(65535)
    await until(lambda: is_there(cloud))
    async with Session(await cloud.create_token(), base_url=cloud.url) as session:
        [device] = await session.devices()
        assert (device.id, device.label, device.is_connected) == (DEVICE, "porch", True)
        async with session.inputs(DEVICE) as events:
            assert (await anext(events)).percent == 100
            bit.tell(32768, button=True)
            with anyio.fail_after(PATIENCE):
                while (await anext(events)).absolute != 512:
                    pass
        await session.output(DEVICE, 61, duration_ms=-1)
        await bit.told(lambda packet: packet[7:] == b"\x80\x9c\x28")
        await session.light(DEVICE, color=LightColor.GREEN)
        await bit.told(lambda packet: packet[6:] == b"\x84\x80\x9c\x28")


async def test_a_pulse_ends_by_itself(
    cloud: LocalCloud, bit: ScriptedLocalbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.gateway._localbit._TELL_EVERY", 60)
    await cloud.real_bits.enrol_localbit()
    bit.tell(1)
    await until(lambda: is_there(cloud))
    cloud.devices[DEVICE].show(100, 60)
    await bit.told(lambda packet: packet[8:] == b"\xff\xff")
    await bit.told(lambda packet: packet[8:] == b"\x00\x00")


async def test_a_lost_packet_is_made_up_for(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    await cloud.real_bits.enrol_localbit()
    bit.tell(1)
    first, second = await bit.told(), await bit.told()
    assert first == second == bit.mac + b"\x80\x80\x00\x00"


async def test_silence_means_that_the_bit_is_gone(
    cloud: LocalCloud, bit: ScriptedLocalbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.gateway._localbit._GONE_AFTER", 0.2)
    monkeypatch.setattr("littlebits_async.localcloud.gateway._localbit._TELL_EVERY", 0.05)
    await cloud.real_bits.enrol_localbit()
    bit.tell(1)
    await until(lambda: is_there(cloud))
    await until(lambda: not is_there(cloud))
    assert count(cloud, "localbits") == 0
    bit.tell(2)
    await until(lambda: is_there(cloud))


async def test_the_address_is_pinned(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    await cloud.real_bits.enrol_localbit()
    bit.tell(65535)
    await until(lambda: is_there(cloud))
    forger = ScriptedLocalbit(cloud.real_bits.localbit_port or 0, address=ELSEWHERE)
    forger.tell(0)
    await until(lambda: count(cloud, "misplaced_packets") == 1)
    assert cloud.devices[DEVICE].percent == 100
    await cloud.real_bits.enrol_localbit(DEVICE)  # it has moved
    forger.tell(32768)
    await until(lambda: cloud.devices[DEVICE].percent < 51)
    bit.tell(65535)
    await until(lambda: count(cloud, "misplaced_packets") == 2)
    assert is_there(cloud)
    forger.close()


async def test_the_pin_outlives_the_cloud(tmp_path: Path, bit: ScriptedLocalbit) -> None:
    db = tmp_path / "cloud.db"
    for number in (1, 2):
        async with LocalCloud(db, localbit_ports=(0, bit.port)) as cloud:
            if number == 1:
                await cloud.real_bits.enrol_localbit()
            assert not is_there(cloud)
            bit.reach(cloud.real_bits.localbit_port or 0)
            forger = ScriptedLocalbit(cloud.real_bits.localbit_port or 0, address=ELSEWHERE)
            if number == 2:
                forger.tell(1)
                await until(lambda cloud=cloud: count(cloud, "misplaced_packets") == 1)  # type: ignore[misc] # as bound
            bit.tell(1)
            await until(lambda cloud=cloud: is_there(cloud))  # type: ignore[misc] # as bound
            forger.close()


async def test_wrong_sizes_and_strangers_are_counted_and_dropped(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    bit.tell(1)
    await until(lambda: count(cloud, "unknown_packets") == 1)
    for packet in (b"", bit.mac, bit.mac + bytes(3), bit.mac + bytes(5), bytes(1400)):
        bit.send(packet)
    await until(lambda: count(cloud, "wrong_size_packets") == 5)
    await cloud.real_bits.enrol_localbit("00:E0:4C:00:00:02")
    bit.tell(1)
    await until(lambda: count(cloud, "unknown_packets") == 2)
    await cloud.real_bits.enrol_localbit(DEVICE, open_for=0)
    bit.tell(1)
    await until(lambda: count(cloud, "unknown_packets") == 3)
    assert list(cloud.devices) == []
    assert count(cloud, "packets") == 0


async def test_a_bit_of_somebody_else_is_counted_and_stays_theirs(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    await cloud.add_device(DEVICE, user_id=2, is_connected=False)
    await cloud.real_bits.enrol_localbit(user_id=1)
    bit.tell(1)
    await until(lambda: count(cloud, "unknown_packets") == 1)
    assert cloud.devices[DEVICE].user_id == 2
    assert not is_there(cloud)


async def test_the_secret_of_a_websocket_is_no_leave_for_a_localbit(cloud: LocalCloud, bit: ScriptedLocalbit) -> None:
    await cloud.real_bits.enrol()
    bit.tell(1)
    await until(lambda: count(cloud, "unknown_packets") == 1)


async def test_a_cloud_listens_for_none_unless_asked_to() -> None:
    assert LOCALBIT_PORTS == (2020, 2021)
    async with LocalCloud() as cloud:
        assert cloud.real_bits.localbit_port is None


async def test_a_bit_that_got_the_other_firmware_is_heard_by_udp_no_more(
    cloud: LocalCloud, bit: ScriptedLocalbit
) -> None:
    await cloud.real_bits.enrol_localbit(DEVICE)
    bit.tell(1)
    await until(lambda: count(cloud, "localbits") == 1)
    async with firmware(await cloud.real_bits.enrol(DEVICE)) as other:
        await other.turn(255)
        await until(lambda: count(cloud, "localbits") == 0 and is_there(cloud))
        bit.tell(1)
        await until(lambda: count(cloud, "unknown_packets") == 1)
        assert cloud.devices[DEVICE].percent == 100
        await cloud.real_bits.enrol_localbit(DEVICE)  # and back
        bit.tell(65535)
        with anyio.fail_after(PATIENCE):
            await other.websocket.wait_closed()
        await until(lambda: count(cloud, "websocket_bits") == 0)
        bit.tell(65535)
        await until(lambda: is_there(cloud))


async def test_a_pin_is_the_same_for_a_socket_of_both_kinds_of_addresses(tmp_path: Path, bit: ScriptedLocalbit) -> None:
    db = tmp_path / "cloud.db"
    for host in ("::", "127.0.0.1"):
        async with LocalCloud(db, host=host, localbit_ports=(0, bit.port)) as cloud:
            if host == "::":
                await cloud.real_bits.enrol_localbit()
            bit.reach(cloud.real_bits.localbit_port or 0)
            bit.tell(1)
            await until(lambda cloud=cloud: is_there(cloud))  # type: ignore[misc] # as bound
            await bit.told()
