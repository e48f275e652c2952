"""Real cloudBits of the community firmware, scripted, over a real websocket; a client on the other side."""

import asyncio
import itertools
import json
import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import httpx
import pytest
import pytest_asyncio
from starlette.types import Message
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from littlebits_async import InputEvent, LightColor, LightMode, Session
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.gateway import Enrolments, WebSocketProtocol
from littlebits_async.localcloud.storage import Store
from tests.support.local_cloud import free_port
from tests.support.raw_server import Exchange, raw_server
from tests.support.real_bits import CB_ID, DEVICE, MAC, PATIENCE, firmware

pytestmark = pytest.mark.asyncio

OTHER_MAC, OTHER = "00:E0:4C:00:00:02", "00e04c000002"


@pytest_asyncio.fixture
async def session(cloud: LocalCloud, token: str) -> AsyncIterator[Session]:
    async with Session(token, base_url=cloud.url) as session:
        yield session


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - the cloud tells nobody
            await anyio.sleep(0.005)


def is_there(cloud: LocalCloud, device_id: str = DEVICE) -> bool:
    return device_id in cloud.devices and cloud.devices[device_id].is_connected


async def refused(url: str, mac: str = MAC) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with firmware(url, mac=mac):
            pass
    return caught.value.response.status_code


async def closed(url: str, *frames: str | bytes, mac: str = MAC) -> tuple[int, str]:
    """Connect, send, and tell how the cloud closes."""
    async with connect(url, additional_headers={"MAC-Address": mac}, compression=None) as websocket:
        with pytest.raises(ConnectionClosed) as caught, anyio.fail_after(PATIENCE):
            for frame in frames:
                await websocket.send(frame)
            while True:
                await websocket.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize("id_header", ["CB-Id", "CloudBit-Id"])
async def test_input_reaches_a_session_and_output_and_light_the_bit(
    cloud: LocalCloud, session: Session, id_header: str
) -> None:
    url = await cloud.real_bits.enrol(MAC, label="kitchen")
    async with firmware(url, id_header=id_header) as bit:
        await bit.turn(255)
        await until(lambda: is_there(cloud))
        [device] = await session.devices()
        assert (device.id, device.label, device.is_connected) == (DEVICE, "kitchen", True)
        async with session.inputs(DEVICE) as events:
            assert (await anext(events)).percent == 100
            await bit.turn(128)
            with anyio.fail_after(PATIENCE):
                while (await anext(events)).absolute != round(128 / 255 * 1023):
                    pass
        await session.output(DEVICE, 61, duration_ms=-1)
        await bit.until(lambda bit: bit.outputs[-1:] == [39976])
        await session.light(DEVICE, color=LightColor.CYAN, mode=LightMode.BLINK)
        await bit.until(lambda bit: bit.lights == ["teal blink"])
        assert bit.outputs[0] == 0  # it is told at once what it shows
    await until(lambda: not is_there(cloud))


async def test_a_pulse_and_a_light_for_a_while_end_by_themselves(cloud: LocalCloud, session: Session) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await until(lambda: is_there(cloud))
        await session.output(DEVICE, 100, duration_ms=150)
        await session.light(DEVICE, color=LightColor.RED, duration_ms=150)
        await bit.until(lambda bit: bit.outputs[-2:] == [65535, 0])
        await bit.until(lambda bit: bit.lights == ["red hold", "green hold"])


async def test_real_and_simulated_bits_live_side_by_side(cloud: LocalCloud, session: Session) -> None:
    simulated = await cloud.add_device("simulated")
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await bit.turn(255)
        await until(lambda: is_there(cloud))
        await session.subscribe(publisher_id=DEVICE, subscriber_id="simulated", events="amplitude")
        await session.subscribe(publisher_id="simulated", subscriber_id=DEVICE, events="amplitude")
        with anyio.fail_after(PATIENCE):
            await simulated.wait_shown(lambda percent: percent == 100)
        await simulated.set_input(percent=50)
        await bit.until(lambda bit: bit.outputs[-1] == 32768)


async def test_a_bit_that_comes_again_is_told_what_it_should_show(cloud: LocalCloud, session: Session) -> None:
    url = await cloud.real_bits.enrol()
    async with firmware(url):
        await until(lambda: is_there(cloud))
        await session.output(DEVICE, 100, duration_ms=-1)
        await session.light(DEVICE, color=LightColor.BLUE, mode=LightMode.HOLD)
    await until(lambda: not is_there(cloud))
    async with firmware(url) as bit:
        await bit.until(lambda bit: bit.outputs == [65535] and bit.lights == ["blue hold"])


async def test_a_bit_that_leaves_is_off_line_and_its_streams_fall_silent(cloud: LocalCloud, session: Session) -> None:
    url = await cloud.real_bits.enrol()
    async with firmware(url):
        await until(lambda: is_there(cloud))
    async with session.inputs(DEVICE, stall_after=PATIENCE) as events:
        async with firmware(url) as bit:
            await bit.turn(255)
            assert (await anext(events)).percent == 100
        await until(lambda: not is_there(cloud))
        assert (await session.device(DEVICE)).is_connected is False
        coming = asyncio.ensure_future(other_than(100, events))
        await anyio.sleep(0.6)  # two intervals, in which nothing may come
        assert not coming.done()
        async with firmware(url) as bit:
            await bit.turn(51)
            with anyio.fail_after(PATIENCE):
                assert await coming == 20  # and never 0 in between, as if somebody had turned it


async def other_than(percent: float, events: AsyncIterator[InputEvent]) -> float:
    while (event := await anext(events)).percent == percent:
        pass
    return event.percent


async def test_a_bit_that_says_nothing_of_its_input_has_none(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol()
    async with firmware(url) as bit:
        await bit.turn(255)
        await until(lambda: is_there(cloud))
    await until(lambda: not is_there(cloud))
    async with firmware(url):
        await until(lambda: is_there(cloud))
        assert cloud.devices[DEVICE].percent == 0


async def test_a_flapping_bit_is_told_of_each_time_and_ends_up_as_it_is(tmp_path: Path) -> None:
    told: list[bool] = []
    async with LocalCloud(tmp_path / "cloud.db") as cloud:
        url = await cloud.real_bits.enrol()
        for number in range(10):
            async with firmware(url) as bit:
                await bit.turn(number + 10)
                await until(lambda: is_there(cloud))
                told.append((await listed(cloud))["is_connected"] is True)
            await until(lambda: not is_there(cloud))
            told.append((await listed(cloud))["is_connected"] is False)
        assert all(told)
        counts = cloud.real_bits.counts()
        assert (counts["accepted"], counts["websocket_bits"], counts["replaced"]) == (10, 0, 0)


async def listed(cloud: LocalCloud) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=cloud.url, trust_env=False) as client:
        answer = await client.get(f"/v2/devices/{DEVICE}", headers={"Authorization": await cloud.create_token()})
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


async def test_of_two_connections_of_a_bit_the_newer_counts(cloud: LocalCloud, session: Session) -> None:
    url = await cloud.real_bits.enrol()
    async with firmware(url) as older:
        await until(lambda: is_there(cloud))
        async with firmware(url) as newer:
            with anyio.fail_after(PATIENCE):
                await older.websocket.wait_closed()
            assert older.websocket.close_code == 4000
            assert is_there(cloud)
            await session.output(DEVICE, 100, duration_ms=-1)
            await newer.until(lambda bit: bit.outputs[-1:] == [65535])
            assert cloud.real_bits.counts()["replaced"] == 1
    await until(lambda: not is_there(cloud))


async def test_button_and_figures_are_answered_when_asked_for(cloud: LocalCloud) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await until(lambda: is_there(cloud))
        with anyio.fail_after(PATIENCE):
            assert await cloud.real_bits.button(DEVICE) is False
            bit.button = True
            asked = (cloud.real_bits.button(DEVICE), cloud.real_bits.button(DEVICE))
            assert list(await asyncio.gather(*asked)) == [True, True]
            figures = await cloud.real_bits.figures(DEVICE)
        assert (figures["cpu_temp_kelvin"], figures["memory_usage"]) == (None, 2015232)
    with pytest.raises(LookupError):
        await cloud.real_bits.button("nobody")


async def test_whoever_asks_and_waits_no_more_leaves_the_answer_to_the_others(cloud: LocalCloud) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await until(lambda: is_there(cloud))
        bit.may_answer = asyncio.Event()
        leaving = asyncio.ensure_future(cloud.real_bits.button(DEVICE))
        waiting = asyncio.ensure_future(cloud.real_bits.button(DEVICE))
        with anyio.fail_after(PATIENCE):
            await bit.was_asked.wait()
            leaving.cancel()
            await asyncio.wait([leaving])
            bit.may_answer.set()
            assert await waiting is False


async def test_whoever_asks_a_bit_that_leaves_is_told(cloud: LocalCloud) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await until(lambda: is_there(cloud))
        bit.may_answer = asyncio.Event()
        waiting = asyncio.ensure_future(cloud.real_bits.button(DEVICE))
        with anyio.fail_after(PATIENCE):
            await bit.was_asked.wait()
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectionError, match=DEVICE):
        await waiting


async def test_a_range_that_showed_is_known_the_next_time(tmp_path: Path) -> None:
    db = tmp_path / "cloud.db"
    async with LocalCloud(db) as cloud:
        url = await cloud.real_bits.enrol()
        async with firmware(url) as bit:
            await bit.turn(65535)
            await until(lambda: is_there(cloud))
            await bit.turn(255)
            await until(lambda: cloud.devices[DEVICE].percent < 1)
    async with LocalCloud(db, port=int(url.split(":")[2].partition("/")[0])) as cloud:
        async with firmware(url) as bit:
            await bit.turn(255)
            await until(lambda: is_there(cloud))
            assert cloud.devices[DEVICE].percent == pytest.approx(255 / 655.35)


# Who may not come in


async def test_an_unknown_bit_is_refused(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol(MAC)
    assert await refused(url, OTHER_MAC) == HTTPStatus.FORBIDDEN
    assert await refused(url, "nobody") == HTTPStatus.FORBIDDEN
    assert await refused(f"{cloud.url.replace('http', 'ws')}/gateway/") == HTTPStatus.FORBIDDEN
    assert list(cloud.devices) == []
    assert cloud.real_bits.counts()["refused"] == 3


async def test_a_wrong_secret_and_that_of_another_bit_are_refused(cloud: LocalCloud) -> None:
    url, other = await cloud.real_bits.enrol(MAC), await cloud.real_bits.enrol(OTHER_MAC)
    async with firmware(url), firmware(other, mac=OTHER_MAC):
        await until(lambda: is_there(cloud) and is_there(cloud, OTHER))
    flipped = url[:-1] + ("0" if url[-1] != "0" else "1")
    for wrong in (flipped, url[:-1], url + "0", other):
        assert await refused(wrong) == HTTPStatus.FORBIDDEN
    assert await refused(url, OTHER_MAC) == HTTPStatus.FORBIDDEN


async def test_the_first_that_comes_is_the_only_one(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol()
    async with firmware(url):
        pass
    assert await refused(url, OTHER_MAC) == HTTPStatus.FORBIDDEN
    async with firmware(url):
        pass


async def test_enrolment_that_is_over_lets_nobody_in(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol(MAC, open_for=0)
    assert await refused(url) == HTTPStatus.FORBIDDEN


async def test_an_enrolment_that_is_open_stays_so_over_a_restart(tmp_path: Path) -> None:
    db, port = tmp_path / "cloud.db", free_port()
    async with LocalCloud(db, port=port) as cloud:
        opened = await cloud.real_bits.enrol(MAC)
        over = await cloud.real_bits.enrol(OTHER_MAC, open_for=0)
    async with LocalCloud(db, port=port) as cloud:
        assert await refused(over, OTHER_MAC) == HTTPStatus.FORBIDDEN
        async with firmware(opened):
            await until(lambda: is_there(cloud))


async def test_a_bit_of_somebody_else_cannot_be_enrolled_away(cloud: LocalCloud) -> None:
    await cloud.add_device(DEVICE, user_id=2)
    assert await refused(await cloud.real_bits.enrol(MAC, user_id=1)) == HTTPStatus.FORBIDDEN
    assert cloud.devices[DEVICE].user_id == 2


async def test_a_new_secret_takes_the_place_of_the_old_one(cloud: LocalCloud) -> None:
    old = await cloud.real_bits.enrol(MAC)
    async with firmware(old):
        pass
    new = await cloud.real_bits.enrol(MAC)
    async with firmware(old):  # until the bit has come with the new one
        pass
    async with firmware(new):
        pass
    assert await refused(old) == HTTPStatus.FORBIDDEN


async def test_a_bit_that_says_it_is_another_is_parted_with(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol(MAC)
    identity = f'{{"cb_id":"{CB_ID}","mac_address":"{OTHER_MAC}","opcode":3}}'
    assert await closed(url, identity) == (1008, "another bit than it said")


async def test_garbage_is_borne_for_a_while(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol(MAC)
    async with firmware(url) as bit:
        await bit.websocket.send("garbage")
        await bit.websocket.send(b"\xff")
        await bit.turn(255)
        await until(lambda: is_there(cloud) and cloud.devices[DEVICE].percent == 100)
    assert await closed(url, *["garbage"] * 11) == (1008, "not the firmware's protocol")
    counts = cloud.real_bits.counts()
    assert (counts["garbage_frames"], counts["cut_off"]) == (13, 1)


async def test_haste_and_size_end_a_connection(cloud: LocalCloud) -> None:
    url = await cloud.real_bits.enrol(MAC)
    assert await closed(url, *['{"data":{"value":7},"opcode":1}'] * 2000) == (1008, "too many frames")
    code, _ = await closed(url, "x" * 4097)
    assert code == 1009
    await until(lambda: not is_there(cloud))


async def test_a_message_in_pieces_is_one_and_text_that_is_none_ends_a_connection(cloud: LocalCloud) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await bit.websocket.send(['{"data":{"va', 'lue":2', '55},"opcode":1}'])
        await until(lambda: is_there(cloud) and cloud.devices[DEVICE].percent == 100)
        await bit.websocket.send(b"\xff", text=True)
        with anyio.fail_after(PATIENCE):
            await bit.websocket.wait_closed()
        assert bit.websocket.close_code == 1007


@pytest.mark.parametrize(
    "more", ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n", "X: y\r\n" * 200 + "\r\n"]
)
async def test_a_handshake_that_is_none_is_refused(cloud: LocalCloud, more: str) -> None:
    url = urlsplit(await cloud.real_bits.enrol(MAC))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(
        f"GET {url.path} HTTP/1.1\r\nHost: x\r\nMAC-Address: {MAC}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{more}".encode()
    )
    with anyio.fail_after(PATIENCE):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")  # and the end of it
    writer.close()
    await writer.wait_closed()


async def test_a_dead_peer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.server.PING_EVERY", 0.1)
    monkeypatch.setattr("littlebits_async.localcloud.server.PONG_WITHIN", 0.1)
    async with LocalCloud() as cloud:
        url = await cloud.real_bits.enrol(MAC)
        async with firmware(url) as bit:
            await until(lambda: is_there(cloud))
            await anyio.sleep(0.5)  # five pings are answered
            assert is_there(cloud)
            bit.websocket.transport.pause_reading()
            await until(lambda: not is_there(cloud))
            bit.websocket.transport.abort()


async def test_a_quick_hand_is_told_to_the_bit_as_its_last_value(cloud: LocalCloud) -> None:
    async with firmware(await cloud.real_bits.enrol()) as bit:
        await until(lambda: is_there(cloud))
        await bit.until(lambda bit: bit.outputs == [0])
        for percent in range(1, 101):
            cloud.devices[DEVICE].show(percent, -1)
        await bit.until(lambda bit: bit.outputs[-1] == 65535)
        assert len(bit.outputs) <= 3


def narrow_socket(url: str) -> socket.socket:
    """Connect by a socket that takes little before it is read."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect((urlsplit(url).hostname, urlsplit(url).port))
    narrow.setblocking(False)  # noqa: FBT003 - the socket's own
    return narrow


async def stuff(cloud: LocalCloud, narrow: socket.socket) -> None:
    """Tell a bit that does not read so much that nothing more reaches it."""
    numbers, taken = itertools.count(), [0]
    with anyio.fail_after(PATIENCE):
        while len(taken) < 6 or len(set(taken[-5:])) > 1:
            for number in itertools.islice(numbers, 2000):
                cloud.devices[DEVICE].show(number % 100, -1)
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(0.02)
            taken.append(len(narrow.recv(2**20, socket.MSG_PEEK)))


async def test_a_bit_that_does_not_read_is_told_little_and_then_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.gateway._connection._APART", 0)
    async with LocalCloud() as cloud:
        url = await cloud.real_bits.enrol()
        narrow = narrow_socket(url)
        async with firmware(url, sock=narrow) as bit:
            await until(lambda: is_there(cloud))
            bit.websocket.transport.pause_reading()
            await stuff(cloud, narrow)
            cloud.devices[DEVICE].show(100, -1)
            bit.websocket.transport.resume_reading()
            await bit.until(lambda bit: bit.outputs[-1:] == [65535])
            assert len(bit.outputs) < 1000  # what the kernel keeps


async def test_a_bit_that_does_not_read_is_cut_off_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.gateway._connection._APART", 0)
    lose, lost = WebSocketProtocol.connection_lost, list[WebSocketProtocol]()

    def note_loss(self: WebSocketProtocol, exc: Exception | None) -> None:
        lost.append(self)
        lose(self, exc)

    monkeypatch.setattr(WebSocketProtocol, "connection_lost", note_loss)
    async with LocalCloud() as cloud:
        url = await cloud.real_bits.enrol()
        narrow = narrow_socket(url)
        async with firmware(url, sock=narrow) as older:
            await until(lambda: is_there(cloud))
            older.websocket.transport.pause_reading()
            await stuff(cloud, narrow)
            async with firmware(url):
                await until(lambda: len(lost) == 1)
                assert is_there(cloud)
            older.websocket.transport.abort()


async def test_a_bit_that_does_not_read_and_answers_no_ping_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.server.PING_EVERY", 1)
    monkeypatch.setattr("littlebits_async.localcloud.server.PONG_WITHIN", 0.5)
    monkeypatch.setattr("littlebits_async.localcloud.gateway._connection._APART", 0)
    async with LocalCloud() as cloud:
        url = await cloud.real_bits.enrol()
        narrow = narrow_socket(url)
        async with firmware(url, sock=narrow) as bit:
            await until(lambda: is_there(cloud))
            bit.websocket.transport.pause_reading()
            with anyio.fail_after(PATIENCE):
                for number in itertools.count():  # until what is told to it waits here
                    cloud.devices[DEVICE].show(number % 100, -1)
                    await anyio.lowlevel.checkpoint()
                    if not is_there(cloud):
                        break
            bit.websocket.transport.abort()


async def test_an_older_connection_that_takes_its_time_to_end_does_no_harm(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("littlebits_async.localcloud.gateway._connection._CLOSE_WITHIN", 60)
    path = urlsplit(await cloud.real_bits.enrol(MAC)).path.encode()
    taken = asyncio.Event()

    def bit(**taking: asyncio.Event) -> tuple[asyncio.Queue[Message], Awaitable[None]]:
        incoming = asyncio.Queue[Message]()
        incoming.put_nowait({"type": "websocket.connect"})

        async def send(message: Message) -> None:
            if message["type"] == "websocket.close" and taking:
                await taken.wait()

        async def app(*_: object) -> None:
            raise AssertionError("a websocket is not for the application")

        scope = {"type": "websocket", "raw_path": path, "client": None, "headers": [(b"mac-address", MAC.encode())]}
        return incoming, cloud.real_bits.before(app)(scope, incoming.get, send)

    _, running = bit(taking=taken)
    older = asyncio.ensure_future(running)
    await until(lambda: is_there(cloud))
    incoming, running = bit()
    newer = asyncio.ensure_future(running)
    await until(lambda: cloud.real_bits.counts()["replaced"] == 1)
    incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
    await newer
    assert not is_there(cloud)
    assert not older.done()
    taken.set()
    await older
    assert not caplog.records


@pytest.mark.parametrize("attack", ["pings", "pieces"])
async def test_what_has_no_end_is_cut_off(cloud: LocalCloud, attack: str) -> None:
    url = await cloud.real_bits.enrol(MAC)
    async with connect(url, additional_headers={"MAC-Address": MAC}, compression=None) as websocket:
        await until(lambda: is_there(cloud))
        if attack == "pings":  # whose answers are not read
            websocket.transport.pause_reading()
            piece = b"\x89\xfd" + bytes(4) + bytes(125)
        else:
            websocket.transport.write(b"\x01\x80" + bytes(4))
            piece = b"\x00\x80" + bytes(4)
        with anyio.fail_after(PATIENCE):
            while is_there(cloud):
                websocket.transport.write(piece * 100)
                await anyio.sleep(0.001)
        websocket.transport.abort()


async def test_the_connection_channel_tells_of_coming_and_leaving() -> None:
    async def thank(exchange: Exchange) -> None:
        await exchange.answer(200)

    async with LocalCloud(allow_private_webhooks=True) as cloud, raw_server(thank) as server:
        url = await cloud.real_bits.enrol()
        async with firmware(url):
            await until(lambda: is_there(cloud))
        await until(lambda: not is_there(cloud))
        async with Session(await cloud.create_token(), base_url=cloud.url) as session:
            await session.subscribe(publisher_id=DEVICE, subscriber_id=f"{server.url}/x", events="connection")
        for _ in range(2):
            async with firmware(url) as bit:
                await bit.turn(7)
                await until(lambda: is_there(cloud))
            await until(lambda: not is_there(cloud))
        await until(lambda: len(server.requests) == 4)
    assert [json.loads(request.body)["payload"]["state"] for request in server.requests] == [2, 0, 2, 0]


async def test_the_end_of_the_cloud_lets_its_bits_go(tmp_path: Path) -> None:
    async with LocalCloud(tmp_path / "cloud.db") as cloud:
        url = await cloud.real_bits.enrol()
        async with connect(url, additional_headers={"MAC-Address": MAC}, compression=None) as websocket:
            await until(lambda: is_there(cloud))
            with anyio.fail_after(PATIENCE):
                await cloud.__aexit__(None, None, None)
                await websocket.wait_closed()
            assert websocket.close_code == 1012
    assert not cloud.devices[DEVICE].is_connected


async def test_what_another_program_enrols_and_revokes_is_noted(tmp_path: Path) -> None:
    db = tmp_path / "cloud.db"
    async with LocalCloud(db) as cloud:
        store = Store(db)
        await store.open(alone=False)
        try:
            secret = await Enrolments(store).open(DEVICE, with_secret=True, user_id=1, label="x")
            url = f"{cloud.url.replace('http', 'ws')}/gateway/{secret}"
            with anyio.fail_after(PATIENCE):
                while True:
                    try:
                        async with firmware(url) as bit:
                            await until(lambda: is_there(cloud))
                            [item] = await store.enrolments()
                            assert await store.remove_enrolment(item.id)
                            await bit.websocket.wait_closed()
                            assert bit.websocket.close_code == 1008
                        break
                    except InvalidStatus:
                        await anyio.sleep(0.05)
            assert await refused(url) == HTTPStatus.FORBIDDEN
        finally:
            await store.aclose()


def kept_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_a_secret_is_kept_as_a_digest_and_never_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "websockets.client")  # the bit's own
    for name in ("", "uvicorn.error", "websockets.server"):
        caplog.set_level(1, name)
    db = tmp_path / "cloud.db"
    async with LocalCloud(db) as cloud:
        url = await cloud.real_bits.enrol(MAC)
        secret = url.rpartition("/")[2]
        async with firmware(url) as bit:
            await bit.turn(7)
            await until(lambda: is_there(cloud))
            await bit.websocket.send("garbage")
        assert await refused(url, OTHER_MAC) == HTTPStatus.FORBIDDEN
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url.replace("ws", "http", 1))
        assert answer.status_code == HTTPStatus.NOT_FOUND
        assert secret not in repr(cloud) + repr(cloud.real_bits)
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert ours
    assert all(secret not in record.getMessage() for record in ours)
    assert secret.encode() not in kept_in(tmp_path)
    rows = sqlite3.connect(db)
    [(digest,)] = rows.execute("SELECT digest FROM enrolments").fetchall()
    rows.close()
    assert len(digest) == 64


async def test_only_the_gateway_s_paths_are_websockets(cloud: LocalCloud, token: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(
            f"{cloud.url.replace('http', 'ws')}/v2/devices", additional_headers={"Authorization": token}
        ):
            pass
    assert caught.value.response.status_code == HTTPStatus.OK  # as if no upgrade was asked for
