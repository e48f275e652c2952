"""Start and end of a cloud: nothing is left behind, whatever happens in its block."""

import asyncio
import gc
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from littlebits_async.localcloud import Bit, LocalCloud, StorageError
from littlebits_async.localcloud.server import listen

pytestmark = pytest.mark.asyncio


THREADS_BEFORE: set[int | None] = set()


@pytest.fixture(autouse=True)
def threads_before() -> None:
    THREADS_BEFORE.clear()
    THREADS_BEFORE.update(thread.ident for thread in threading.enumerate())


class Readers(asyncio.Protocol):
    """Counts streams that have brought an event, and streams that have ended."""

    live = 0
    ended = 0

    def __init__(self) -> None:
        self.is_live = False

    def data_received(self, data: bytes) -> None:
        if not self.is_live and b"data:" in data:
            self.is_live = True
            Readers.live += 1

    def connection_lost(self, exc: Exception | None) -> None:
        Readers.ended += 1


async def open_streams(cloud: LocalCloud, count: int) -> None:
    """Open many streams with as little as can be."""
    token = await cloud.create_token()
    bits = [await cloud.add_device(f"{n:012x}", waveform="sine") for n in range(20)]
    host, port = cloud.url.removeprefix("http://").split(":")
    Readers.live = Readers.ended = 0
    for n in range(count):
        transport, _ = await asyncio.get_running_loop().create_connection(Readers, host, int(port))
        request = f"GET /devices/{bits[n % 20].id}/input HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
        transport.write(request.encode())
    async with asyncio.timeout(20):
        while Readers.live < count:  # noqa: ASYNC110 - counted by protocols
            await asyncio.sleep(0.01)
    assert cloud.streams == count


async def assert_nothing_is_left() -> None:
    async with asyncio.timeout(5):
        while Readers.ended < Readers.live:  # noqa: ASYNC110 - the peers' own sockets
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    # Trio and anyio keep idle threads for the next test that needs one.
    assert not [thread for thread in threading.enumerate() if thread.ident not in THREADS_BEFORE]
    gc.collect()  # a socket that was not closed would warn, and warnings are errors


async def test_leaving_with_many_streams_open_is_quick() -> None:
    async with LocalCloud() as cloud:
        await open_streams(cloud, 300)
        begun = time.perf_counter()
    assert time.perf_counter() - begun < 1
    assert cloud.streams == 0
    await assert_nothing_is_left()


async def test_an_error_in_the_block_comes_out_as_itself() -> None:
    cloud = LocalCloud()
    with pytest.raises(LookupError, match="mine") as caught:
        async with cloud:
            await open_streams(cloud, 50)
            raise LookupError("mine")
    assert caught.value.__cause__ is None
    await assert_nothing_is_left()


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_cancellation_leaves_nothing(times: int) -> None:
    cloud = LocalCloud()
    ready = asyncio.Event()

    async def run() -> None:
        async with cloud:
            await open_streams(cloud, 50)
            ready.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await ready.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_nothing_is_left()


async def test_a_timeout_around_the_block_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), LocalCloud():
            await asyncio.Event().wait()
    await assert_nothing_is_left()


async def test_cancellation_while_it_starts_leaves_nothing() -> None:
    async def run() -> None:
        async with LocalCloud():
            await asyncio.Event().wait()

    for steps in range(8):
        task = asyncio.create_task(run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await assert_nothing_is_left()


async def test_a_peer_that_neither_reads_nor_leaves_does_not_hold_it_up() -> None:
    async with LocalCloud() as cloud:
        token, bit = await cloud.create_token(), await cloud.add_device("a")
        host, port = cloud.url.removeprefix("http://").split(":")
        with (
            socket.create_connection((host, int(port))) as streaming,
            socket.create_connection((host, int(port))) as slow,
        ):
            streaming.sendall(f"GET /devices/a/input HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
            slow.sendall(f"PUT /devices/a HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n".encode())
            slow.sendall(b"Content-Length: 100\r\n\r\n{")
            async with asyncio.timeout(20):
                while not bit.feed.readers or cloud.requests(token) < 2:  # noqa: ASYNC110 - counted by the server
                    await asyncio.sleep(0.005)
                (reader,) = bit.feed.readers
                while bit.feed.readers and len(vars(reader)["_waiting"]) < 60:
                    bit.feed.refresh(anew=True)
                    await asyncio.sleep(0)
            begun = time.perf_counter()
            await cloud.__aexit__(None, None, None)
            assert time.perf_counter() - begun < 1


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with LocalCloud() as first:
        port = int(first.url.rpartition(":")[2])
        second = LocalCloud(port=port)
        with pytest.raises(OSError, match=rf"ddress already in use.*127\.0\.0\.1.*{port}"):
            await second.__aenter__()
    async with second:
        assert second.url == f"http://127.0.0.1:{port}"


async def test_an_address_that_is_not_ours_is_an_os_error() -> None:
    with pytest.raises(OSError, match="192\\.0\\.2\\.1"):
        await LocalCloud(host="192.0.2.1").__aenter__()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
async def test_ipv6() -> None:
    async with LocalCloud(host="::1") as cloud, httpx.AsyncClient(trust_env=False) as http:
        assert cloud.url.startswith("http://[::1]:")
        assert (await http.get(f"{cloud.url}/ping")).status_code == 200


@pytest.mark.parametrize(("host", "named"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])  # noqa: S104 - as tested
async def test_all_addresses_are_named_by_one_that_can_be_called(host: str, named: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with LocalCloud(host=host) as cloud, httpx.AsyncClient(trust_env=False) as http:
        assert cloud.url.startswith(f"http://{named}:")
        assert (await http.get(f"{cloud.url}/ping")).status_code == 200


async def test_a_cloud_can_be_entered_again_and_knows_what_it_knew() -> None:
    cloud = LocalCloud()
    with pytest.raises(StorageError, match="not running"):
        await cloud.create_token()
    async with cloud:
        bit = await cloud.add_device("a")
        token = await cloud.create_token()
    for _ in range(2):
        async with cloud, httpx.AsyncClient(base_url=cloud.url, headers={"Authorization": token}) as http:
            with pytest.raises(RuntimeError, match="running already"):
                await cloud.__aenter__()
            async with http.stream("GET", "/devices/a/input") as response:
                async with asyncio.timeout(5):
                    assert b"data:" in await anext(response.aiter_raw())
                assert len(bit.feed.readers) == 1
        with pytest.raises(RuntimeError, match="not running"):
            _ = cloud.url
    assert cloud.requests(token) == 2


async def test_two_clouds_share_nothing() -> None:
    async with LocalCloud() as first, LocalCloud() as second, httpx.AsyncClient(trust_env=False) as http:
        await first.add_device("a")
        headers = {"Authorization": await first.create_token()}
        assert (await http.get(f"{second.url}/devices", headers=headers)).status_code == 401
        assert not second.devices


async def test_signals_stay_the_programs_own() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with LocalCloud():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


class Failing:
    """A mistake of ours, at its first turn."""

    due = 0.0

    def tick(self, now: float) -> None:
        raise ZeroDivisionError(now)


async def test_a_failure_of_the_cloud_comes_out_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(cloud: LocalCloud) -> None:
        vars(cloud)["_ticker"].plan(Failing())
        async with asyncio.timeout(5):
            await asyncio.wait([vars(cloud)["_task"]])

    with pytest.raises(ZeroDivisionError):
        async with LocalCloud() as cloud:
            await fail(cloud)
    with pytest.raises(LookupError):
        async with LocalCloud() as cloud:
            await fail(cloud)
            await cloud.wait_ended()
            raise LookupError
    assert "the cloud failed" in caplog.text
    await assert_nothing_is_left()


async def test_a_failure_to_start_comes_out_at_once() -> None:
    cloud = LocalCloud()
    vars(cloud)["_ticker"].plan(Failing())
    with pytest.raises(ZeroDivisionError):
        await cloud.__aenter__()
    await assert_nothing_is_left()


@pytest.mark.parametrize(
    "options", [{"limit": 0}, {"limit": -1}, {"blank_line_every": 0}, {"blank_line_every": float("nan")}]
)
async def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        LocalCloud(**options)


async def test_bad_devices_are_refused(cloud: LocalCloud, bit: Bit) -> None:
    for device_id in ("", ".", "..", bit.id):
        with pytest.raises(ValueError, match=r"cannot be the id of a device|already"):
            await cloud.add_device(device_id)
    for interval in (199, 0, -1, 10**12):
        with pytest.raises(ValueError, match="input_interval_ms must be 200 to 86400000"):
            await cloud.add_device("b", input_interval_ms=interval)
    with pytest.raises(ValueError, match="no waveform is called 'square'"):
        await cloud.add_device("b", waveform="square")
    assert list(cloud.devices) == [bit.id]


@pytest_asyncio.fixture
async def fixture_cloud() -> AsyncIterator[LocalCloud]:
    async with LocalCloud() as cloud:
        yield cloud


async def test_it_may_be_left_in_another_task_than_it_was_entered_in(fixture_cloud: LocalCloud) -> None:
    # pytest-asyncio runs both ends of a fixture in tasks of their own: leaving is what is tested.
    assert repr(fixture_cloud) == f"<LocalCloud {fixture_cloud.url}, 0 devices>"


async def test_the_listener_names_its_protocol() -> None:
    # Without it asyncio leaves Nagle on, and each answer of two writes takes 40 ms.
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
