"""Input streams as wire-facts section 6 records them, byte for byte where it matters."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from littlebits_async.localcloud import Bit, LocalCloud

pytestmark = pytest.mark.asyncio

EVENT = re.compile(
    rb'data:\{"type":"input","timestamp":(\d{13}),"percent":(\d+),"absolute":(\d+),"name":"amplitude",'
    rb'"payload":\{"percent":\2,"absolute":\3\},'
    rb'"from":\{"user":\{"id":1\},"device":\{"id":"00e040000001","mac":"00e040000001"\}\}\}\n\n'
)
HOUR_MS = 3_600_000


class Stream:
    """The raw bytes of one stream, cut into frames."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._chunks = response.aiter_raw()
        self._bytes = b""

    async def chunk(self) -> bytes:
        async with asyncio.timeout(5):
            return await anext(self._chunks)

    async def frame(self) -> bytes:
        """The bytes up to and with the next empty line."""
        while b"\n\n" not in self._bytes:
            self._bytes += await self.chunk()
        frame, _, self._bytes = self._bytes.partition(b"\n\n")
        return frame + b"\n\n"

    async def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((await self.frame()).lstrip(b"\n").removeprefix(b"data:"))
        return event


@asynccontextmanager
async def opened(http: httpx.AsyncClient, device_id: str = "00e040000001") -> AsyncGenerator[Stream]:
    async with http.stream("GET", f"/devices/{device_id}/input") as response:
        assert response.status_code == 200
        yield Stream(response)


@asynccontextmanager
async def client(cloud: LocalCloud) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": await cloud.create_token()}
    async with httpx.AsyncClient(base_url=cloud.url, headers=headers, trust_env=False) as http:
        yield http


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a look at what has no event of its own
            await asyncio.sleep(0.002)


async def test_the_headers_are_those_of_the_record(http: httpx.AsyncClient, bit: Bit) -> None:
    assert bit.is_connected
    async with opened(http) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache"
        assert headers["content-encoding"] == "identity"
        assert headers["transfer-encoding"] == "chunked"
        assert "content-length" not in headers


@pytest.mark.parametrize(
    ("percent", "told", "absolute"), [(61.5, 61, 629), (69.3, 69, 709), (99.5, 100, 1018), (0, 0, 0), (100, 100, 1023)]
)
async def test_the_newest_value_comes_at_once_as_one_data_line(
    http: httpx.AsyncClient, bit: Bit, percent: float, told: int, absolute: int
) -> None:
    await bit.set_input(percent=percent)
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        match = EVENT.fullmatch(await stream.frame())
    assert match
    assert (int(match[2]), int(match[3])) == (told, absolute)


async def test_then_one_each_interval_with_rising_times(http: httpx.AsyncClient, cloud: LocalCloud) -> None:
    bit = await cloud.add_device("00e040000001", input_interval_ms=200)
    async with opened(http) as stream:
        times = [(await stream.event())["timestamp"] for _ in range(4)]
        await bit.set_input(percent=40)
        async with asyncio.timeout(5):
            while (await stream.event())["percent"] != 40:
                pass
    assert 580 <= times[-1] - times[0] <= 3000
    assert times == sorted(set(times))


async def test_a_waveform_is_streamed(http: httpx.AsyncClient, cloud: LocalCloud) -> None:
    seen: list[float] = []

    def wave(seconds: float) -> float:
        seen.append(seconds)
        return 10.0 * len(seen)

    await cloud.add_device("00e040000001", input_interval_ms=200, waveform=wave)
    async with opened(http) as stream:
        assert [(await stream.event())["percent"] for _ in range(3)] == [10, 20, 30]
    assert seen == sorted(seen)


async def test_what_is_replayed_on_opening_keeps_its_time(http: httpx.AsyncClient, bit: Bit) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        first = await stream.frame()
    await bit.set_input(percent=50)
    async with opened(http) as stream, opened(http) as other:
        assert await stream.frame() == await other.frame() == first


async def test_a_bit_off_line_is_silent_but_for_blank_lines() -> None:
    async with LocalCloud(blank_line_every=0.05) as cloud, client(cloud) as http:
        bit = await cloud.add_device("00e040000001", input_interval_ms=HOUR_MS, is_connected=False)
        async with opened(http) as stream:
            assert [await stream.chunk() for _ in range(3)] == [b"\n"] * 3
            await bit.set_connected(True)
            while not (chunk := await stream.chunk()).lstrip(b"\n"):
                pass  # blank lines that were on their way
            assert EVENT.fullmatch(chunk.lstrip(b"\n"))
            await bit.set_connected(False)
            assert [await stream.chunk() for _ in range(3)] == [b"\n"] * 3


async def test_a_long_interval_is_kept_alive_too() -> None:
    async with LocalCloud(blank_line_every=0.05) as cloud, client(cloud) as http:
        await cloud.add_device("00e040000001", input_interval_ms=HOUR_MS)
        async with opened(http) as stream:
            assert EVENT.fullmatch(await stream.chunk())
            assert [await stream.chunk() for _ in range(3)] == [b"\n"] * 3


async def test_a_stream_with_events_gets_no_blank_lines() -> None:
    async with LocalCloud(blank_line_every=1) as cloud, client(cloud) as http:
        await cloud.add_device("00e040000001", input_interval_ms=200)
        async with opened(http) as stream:
            assert all([EVENT.fullmatch(await stream.chunk()) for _ in range(8)])


async def test_a_shorter_interval_counts_at_once(http: httpx.AsyncClient, bit: Bit) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        first = await stream.event()
        await http.put(f"/devices/{bit.id}", json={"input_interval_ms": 200})
        assert (await stream.event())["timestamp"] - first["timestamp"] >= 190


async def test_coming_back_on_line_sends_a_new_reading(http: httpx.AsyncClient, bit: Bit) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        first = await stream.event()
        await bit.set_connected(False)
        await bit.set_input(percent=80)
        await bit.set_connected(True)
        event = await stream.event()
        assert event["percent"] == 80
        assert event["timestamp"] > first["timestamp"]


async def test_an_error_is_json_and_no_stream(http: httpx.AsyncClient, cloud: LocalCloud) -> None:
    response = await http.get("/devices/none/input")
    assert (response.status_code, response.json()["statusCode"]) == (404, 404)
    assert response.headers["content-type"].startswith("application/json")
    assert cloud.streams == 0


async def test_a_reader_that_leaves_is_forgotten(http: httpx.AsyncClient, cloud: LocalCloud, bit: Bit) -> None:
    async with opened(http), opened(http):
        assert cloud.streams == len(bit.feed.readers) == 2
    await until(lambda: cloud.streams == 0)


async def test_the_server_can_end_all_streams(http: httpx.AsyncClient, cloud: LocalCloud, bit: Bit) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream, opened(http) as other:
        assert EVENT.fullmatch(await stream.frame())
        assert await cloud.close_streams() == 2
        with pytest.raises(StopAsyncIteration):
            await stream.chunk()
        assert EVENT.fullmatch(await other.frame())
        with pytest.raises(StopAsyncIteration):
            await other.chunk()
    assert cloud.streams == 0
    async with opened(http) as stream:
        assert await stream.event()


async def test_the_server_can_cut_all_streams(http: httpx.AsyncClient, cloud: LocalCloud, bit: Bit) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        await stream.event()
        assert await bit.close_streams(abort=True) == 1
        with pytest.raises(httpx.TransportError):
            await stream.chunk()
    await until(lambda: cloud.streams == 0)


async def test_deactivation_ends_the_streams_and_forgets_the_reading(
    http: httpx.AsyncClient, cloud: LocalCloud, bit: Bit
) -> None:
    bit.input_interval_ms = HOUR_MS
    async with opened(http) as stream:
        first = await stream.event()
        await http.delete(f"/devices/{bit.id}")
        with pytest.raises(StopAsyncIteration):
            await stream.chunk()
    http.headers["Authorization"] = await cloud.create_token(user_id=2)
    await http.post(f"/devices/{bit.id}")
    async with opened(http) as stream:
        event = await stream.event()
    assert event["timestamp"] > first["timestamp"]
    assert event["from"]["user"]["id"] == 2


async def test_a_reader_that_does_not_read_is_dropped_and_slows_nobody(
    http: httpx.AsyncClient, cloud: LocalCloud, token: str, bit: Bit
) -> None:
    host, port = cloud.url.removeprefix("http://").split(":")
    idle = socket.socket()
    idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    idle.setblocking(False)  # noqa: FBT003 - its only parameter
    loop = asyncio.get_running_loop()
    async with opened(http) as stream:
        await stream.event()
        with idle:
            await loop.sock_connect(idle, (host, int(port)))
            request = f"GET /devices/{bit.id}/input HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
            await loop.sock_sendall(idle, request.encode())
            await until(lambda: len(bit.feed.readers) == 2)
            sent = 0
            async with asyncio.timeout(20):
                while len(bit.feed.readers) == 2:  # as many readings as it takes, each of them read by the other
                    bit.feed.refresh(anew=True)
                    await stream.event()
                    sent += 1
            assert sent > 64
            assert len(bit.feed.readers) == 1
            assert await stream.event()


async def test_a_waveform_that_fails_stands_still(
    http: httpx.AsyncClient, cloud: LocalCloud, caplog: pytest.LogCaptureFixture
) -> None:
    values = iter([25.0])
    await cloud.add_device("00e040000001", input_interval_ms=200, waveform=lambda _: next(values))
    async with opened(http) as stream:
        assert [(await stream.event())["percent"] for _ in range(3)] == [25, 25, 25]
    assert len([item for item in caplog.records if "waveform of bit 00e040000001 failed" in item.message]) == 1


@pytest.mark.parametrize(("value", "percent"), [(250.0, 100), (-5.0, 0), (float("inf"), 100), (float("nan"), 0)])
async def test_a_waveform_out_of_range_is_held_within(
    http: httpx.AsyncClient, cloud: LocalCloud, value: float, percent: int
) -> None:
    await cloud.add_device("00e040000001", waveform=lambda _: value)
    async with opened(http) as stream:
        assert (await stream.event())["percent"] == percent


async def test_a_waveform_can_be_changed(http: httpx.AsyncClient, bit: Bit) -> None:
    await bit.set_waveform(lambda seconds: 40 if seconds < 60 else 0)
    async with opened(http) as stream:
        assert (await stream.event())["percent"] == 40


@pytest.mark.parametrize("percent", [-0.1, 100.1, float("nan"), float("inf")])
async def test_an_input_out_of_range_is_refused(bit: Bit, percent: float) -> None:
    with pytest.raises(ValueError, match="percent must be 0 to 100"):
        await bit.set_input(percent=percent)
