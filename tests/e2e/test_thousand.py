"""A thousand devices on one session; memory that stays flat when nobody reads. Source: issue 3; design.md R2, B2."""

import gc
from collections import Counter

import anyio
import pytest

from littlebits_async import (
    FOREVER,
    Device,
    InputEvent,
    InputReactor,
    Overflow,
    Session,
    StreamState,
    TokenBucket,
)
from littlebits_async.cli._open_files import allow_many_open_files
from littlebits_async.testing import run_cloud
from tests.support.local_cloud import add_devices
from tests.support.raw_server import Exchange, event_bytes, raw_server
from tests.unit.test_reactor import session_for

pytestmark = pytest.mark.anyio

THOUSAND = 1000


async def write_on(session: Session, ids: list[str], written: list[str]) -> None:
    while True:
        for device_id in ids:
            with anyio.fail_after(10):
                await session.output(device_id, 42, duration_ms=FOREVER)
            written.append(device_id)
            await anyio.sleep(0.02)


async def until_all_live(reactor: InputReactor) -> None:
    live: set[str] = set()
    with anyio.fail_after(60):
        async for status in reactor.changes():
            assert status.state is not StreamState.FAILED, status
            if status.state is StreamState.LIVE:
                live.add(status.device_id)
            if len(live) == len(reactor.devices):
                return


@pytest.mark.requirement("B2")
async def test_a_thousand_devices_are_live_while_calls_are_answered() -> None:
    allow_many_open_files()  # each stream takes one at either end
    with run_cloud(limit=20_000) as cloud:
        ids = [f"00e04{number:07x}" for number in range(THOUSAND)]
        await add_devices(cloud, ids, input_interval_ms=20_000)
        budget = TokenBucket(limit=20_000)
        async with cloud.session(budget=budget) as session:
            devices = await session.devices()
            assert [device.id for device in devices] == ids
            async with InputReactor(session, devices) as reactor, anyio.create_task_group() as group:
                written: list[str] = []
                group.start_soon(write_on, session, ids[::100], written)
                await until_all_live(reactor)
                assert len(written) > 3  # while the streams were being opened
                seen: Counter[str] = Counter()
                with anyio.fail_after(60):
                    async for batch in reactor.batches():
                        seen.update(event.device_id for event in batch)
                        if len(seen) == THOUSAND:
                            break
                assert set(seen) == set(ids)
                states = Counter(status.state for status in reactor.statuses().values())
                assert states == {StreamState.LIVE: THOUSAND}
                assert reactor.stats.reconnects == reactor.stats.stalls == 0
                group.cancel_scope.cancel()
            await cloud.until_streams(0)


@pytest.mark.requirement("R2.block", "R2.oldest", "R2.latest")
@pytest.mark.parametrize("overflow", list(Overflow))
async def test_memory_stays_flat_when_nobody_reads(overflow: Overflow) -> None:
    """Counted in events alive, which is what the buffer bounds, and not in bytes, which the allocator keeps."""
    devices, buffer, chunk = 40, 100, b"".join(event_bytes(number % 101, number) for number in range(100))
    sent = 0

    async def torrent(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.open_stream()
        while True:
            await exchange.chunk(chunk)
            sent += 100

    def alive() -> int:
        return sum(type(item) is InputEvent for item in gc.get_objects())

    async with raw_server(torrent) as server, session_for(server) as session:
        ids = [Device(f"d{number}") for number in range(devices)]
        async with InputReactor(session, ids, buffer=buffer, overflow=overflow) as reactor:
            most = 0
            # Where nothing is held back, much more than the bound must have passed; where it is, all must stand still.
            with anyio.fail_after(30):
                while reactor.stats.events < 50_000:
                    before = sent
                    await anyio.wait_all_tasks_blocked() if overflow is Overflow.BLOCK else await anyio.sleep(0.01)
                    most = max(most, alive())
                    if overflow is Overflow.BLOCK and sent == before:
                        break
            held = min(buffer, devices) if overflow is Overflow.LATEST else buffer
            # Besides the buffer, what one read of 64 KiB may hold for each stream, and `latest`.
            one_read = 65_536 // len(event_bytes(0, 0)) + 1
            assert most <= held + devices * (one_read + 1)
            if overflow is Overflow.BLOCK:
                assert reactor.stats.dropped == 0
            else:
                assert reactor.stats.dropped >= reactor.stats.events - held
