"""The harness itself: what it says it does to a connection is what happens to it."""

import anyio
import pytest

from littlebits_async import Session, StreamClosedError, StreamError, TransportError
from littlebits_async.testing import RunningCloud
from tests.chaos.proxy import Faults, chaos_proxy
from tests.support.local_cloud import SLOWEST

pytestmark = pytest.mark.anyio


async def test_without_faults_everything_passes(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device("b1")
    token = await running_cloud.create_token()
    async with chaos_proxy(running_cloud.url) as proxy:
        async with Session(token, base_url=proxy.url) as session:
            assert [device.id for device in await session.devices()] == ["b1"]
            assert (await session.read("b1")).device_id == "b1"
            assert proxy.accepted == 2
        await proxy.until(lambda proxy: not proxy.passages)


async def test_single_bytes_and_delays_change_nothing_that_is_read(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device("b1", label="ü" * 20)
    token = await running_cloud.create_token()
    faults = Faults(piece=1, latency=0.001, jitter=0.001)
    async with chaos_proxy(running_cloud.url, faults=faults) as proxy, Session(token, base_url=proxy.url) as session:
        assert (await session.device("b1")).label == "ü" * 20
        assert (await session.read("b1")).device_id == "b1"


async def test_a_refused_connection_was_surely_not_answered(running_cloud: RunningCloud) -> None:
    token = await running_cloud.create_token()
    async with chaos_proxy(running_cloud.url, faults=Faults(refused=True)) as proxy:
        async with Session(token, base_url=proxy.url) as session:
            with pytest.raises(TransportError):
                await session.devices()
        assert proxy.accepted == 3  # as RetryPolicy() says


@pytest.mark.parametrize("reset", [True, False])
async def test_a_stream_breaks_after_so_many_bytes(running_cloud: RunningCloud, *, reset: bool) -> None:
    bit = await running_cloud.add_device("b1", input_interval_ms=SLOWEST)
    token = await running_cloud.create_token()
    async with chaos_proxy(running_cloud.url) as proxy, Session(token, base_url=proxy.url) as session:
        async with session.inputs("b1") as events:
            await anext(events)
            (passage,) = proxy.passages
            limit = passage.passed + 10
            passage.faults = Faults(reset_after=limit) if reset else Faults(end_after=limit)
            await bit.turn(50)
            with pytest.raises(StreamError):
                await anext(events)


async def test_what_is_cut_breaks_at_once(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device("b1", input_interval_ms=SLOWEST)
    token = await running_cloud.create_token()
    async with chaos_proxy(running_cloud.url) as proxy, Session(token, base_url=proxy.url) as session:
        async with session.inputs("b1") as events:
            await anext(events)
            assert await proxy.cut() == 1
            with pytest.raises(StreamError) as caught:
                await anext(events)
            assert not isinstance(caught.value, StreamClosedError)  # a reset is no good-bye


async def test_stalled_and_half_open_say_nothing_to_the_client(running_cloud: RunningCloud) -> None:
    bit = await running_cloud.add_device("b1", input_interval_ms=SLOWEST)
    token = await running_cloud.create_token()
    async with chaos_proxy(running_cloud.url) as proxy, Session(token, base_url=proxy.url) as session:
        async with session.inputs("b1", stall_after=None) as events:
            await anext(events)
            proxy.faults = Faults(stalled=True)
            await bit.turn(50)
            with anyio.move_on_after(0.1) as waited:
                await anext(events)
            assert waited.cancelled_caught
            proxy.faults = Faults()
            assert (await anext(events)).percent == 50  # it was only held up

            proxy.faults = Faults(half_open=True)
            await running_cloud.until_streams(0)  # the server knows, the client does not
            with anyio.move_on_after(0.1) as waited:
                await anext(events)
            assert waited.cancelled_caught
