"""The link waits for as long as its machine says, by the arrivals at a server that is asked again."""

import time
from collections import defaultdict
from itertools import pairwise

import anyio
import pytest

from littlebits_async import Backoff, InputReactor
from tests.chaos.storm_watch import Witness
from tests.support.raw_server import Exchange, raw_server
from tests.unit.test_reactor import Handler, device_of, session_for

pytestmark = pytest.mark.anyio


async def refuse(exchange: Exchange) -> None:
    await exchange.answer(503, {"message": "later"})


async def end_at_once(exchange: Exchange) -> None:
    await exchange.open_stream()
    await exchange.end_stream()


@pytest.mark.requirement("R3.backoff", "W8")
@pytest.mark.parametrize("answer", [refuse, end_at_once])
async def test_no_stream_is_opened_again_before_its_time(answer: Handler) -> None:
    devices, tries = [f"00e04{index:07x}" for index in range(10)], 4
    arrivals = defaultdict[str, list[float]](list)
    witness = Witness()

    async def note(exchange: Exchange) -> None:
        arrivals[device_of(exchange)].append(time.monotonic())
        await answer(exchange)

    async with raw_server(note) as server, session_for(server, hooks=witness) as session:
        async with InputReactor(session, devices, backoff=Backoff(base=0.1, cap=0.4)):
            with anyio.fail_after(20):
                await witness.until_waits(tries, len(devices))
    for device_id in devices:
        # From one arrival to the next takes longer than the wait, which begins only when the first has failed.
        waited = [after - before for before, after in pairwise(arrivals[device_id])]
        assert len(waited) >= tries - 1
        short = [(told, took) for told, took in zip(witness.told[device_id], waited, strict=False) if took < told]
        assert not short
