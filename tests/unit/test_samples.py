"""`CloudBit.samples`: a reading now and then."""

import logging
import math
from collections.abc import Iterable

import anyio
import httpx
import pytest

from littlebits_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BudgetExhaustedError,
    CloudBit,
    InputEvent,
    InvalidArgumentError,
    LittleBitsError,
    NotFoundError,
    OAuthError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceUnavailableError,
    Session,
    SessionClosedError,
    StreamStalledError,
    TransportError,
    Unlimited,
)
from littlebits_async.cloudbit._samples import Cadence, Samples
from littlebits_async.signals import window
from littlebits_async.testing import RunningCloud
from tests.support.feed import reading
from tests.support.local_cloud import SLOWEST

SHORT = 0.01
LONG = 3600


# When


def looks(every: float, times: Iterable[float]) -> list[float]:
    """Return when the next look is due, after looks at these times."""
    cadence = Cadence(every)
    due: list[float] = []
    for now in times:
        assert now >= cadence.due
        cadence.look(now)
        due.append(cadence.due)
    return due


def test_the_first_look_is_at_once() -> None:
    assert Cadence(300).due == -math.inf


def test_looks_keep_their_distance_from_the_first() -> None:
    assert looks(300, [1000, 1300.2, 1600.1, 1900.9]) == [1300, 1600, 1900, 2200]


def test_looks_that_were_missed_are_made_up_for_by_one() -> None:
    assert looks(300, [0, 1000, 1200, 86_399]) == [300, 1200, 1500, 86_400]


# What


class Reads:
    """Reads what it is told to."""

    def __init__(self, *outcomes: InputEvent | LittleBitsError) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self) -> InputEvent:
        await anyio.lowlevel.checkpoint()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, LittleBitsError):
            raise outcome
        return outcome


PASSING = [
    StreamStalledError("no event"),
    TransportError("no answer"),
    BudgetExhaustedError("spent"),
    ServiceUnavailableError("busy", status=503),
    RateLimitedError("spent", status=429),
    NotFoundError("off line", status=404),
    APIError("too slow", status=408),
    APIError("moved", status=302),
]
FINAL = [
    AuthenticationError("no", status=401),
    PermissionDeniedError("no", status=403),
    BadRequestError("no", status=400),
    OAuthError("no"),
    SessionClosedError("closed"),
    InvalidArgumentError("no id"),
]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("closed", [False, True])
def test_they_can_be_made_where_no_loop_runs(backend: str, *, closed: bool) -> None:
    session = Session("token", base_url="http://127.0.0.1:1")
    samples = CloudBit(session, "bit").samples(every=LONG)

    async def use() -> None:
        await session.aclose()
        if closed:
            await samples.aclose()
        with anyio.fail_after(5), pytest.raises(StopAsyncIteration if closed else SessionClosedError):
            await anext(samples)

    anyio.run(use, backend=backend)


@pytest.mark.anyio
@pytest.mark.parametrize("error", PASSING, ids=str)
async def test_a_look_that_fails_is_left_out_and_told(error: LittleBitsError, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "littlebits_async.cloudbit")
    samples = Samples("bit", Reads(reading(1), error, error, reading(2)), every=SHORT)
    with anyio.fail_after(5):
        assert await anext(samples) == reading(1)
        assert (samples.failed, samples.error) == (0, None)
        assert await anext(samples) == reading(2)
    assert (samples.failed, samples.error) == (2, None)
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "INFO"]
    assert "device bit" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_what_would_fail_each_time_is_raised(error: LittleBitsError) -> None:
    samples = Samples("bit", Reads(reading(1), error, reading(2)), every=SHORT)
    with anyio.fail_after(5):
        assert await anext(samples) == reading(1)
        with pytest.raises(type(error)):
            await anext(samples)
        assert samples.error is error
        assert await anext(samples) == reading(2)  # where it was mended meanwhile


@pytest.mark.anyio
async def test_a_reading_that_is_cancelled_is_begun_anew_at_once() -> None:
    begun = 0

    async def read() -> InputEvent:
        nonlocal begun
        begun += 1
        if begun == 1:
            await anyio.sleep_forever()
        return reading(1)

    samples = Samples("bit", read, every=3600)
    with anyio.move_on_after(SHORT):
        await anext(samples)
    with anyio.fail_after(5):
        assert await anext(samples) == reading(1)
    assert begun == 2


@pytest.mark.anyio
async def test_operators_may_give_waits_up() -> None:
    samples = Samples("bit", Reads(*(reading(number, at=number * 20) for number in range(5))), every=0.02)
    found: list[InputEvent] = []
    with anyio.fail_after(5):
        async for events in window(samples, every=0.005):
            found += events
            if len(found) == 4:
                break
    assert found == [reading(number, at=number * 20) for number in range(4)]


@pytest.mark.anyio
@pytest.mark.parametrize("every", [0, -1, math.inf, math.nan])
async def test_arguments_out_of_range_are_refused_at_once(every: float) -> None:
    async with Session("token", transport=httpx.MockTransport(lambda _: httpx.Response(500))) as session:
        with pytest.raises(InvalidArgumentError, match="every"):
            CloudBit(session, "bit").samples(every=every)
        with pytest.raises(InvalidArgumentError, match="timeout"):
            CloudBit(session, "bit").samples(every=1, timeout=min(every, 0))


@pytest.mark.anyio
async def test_closing_ends_it_for_whoever_waits_too() -> None:
    samples = Samples("bit", Reads(reading(1, at=1), reading(2, at=2)), every=3600)
    ended = anyio.Event()

    async def take() -> None:
        assert [event async for event in samples] == [reading(1, at=1)]
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        await samples.aclose()
        with anyio.fail_after(5):
            await ended.wait()


# From a cloud


@pytest.mark.anyio
async def test_each_reading_is_a_request_and_keeps_no_stream_open(running_cloud: RunningCloud) -> None:
    bit = await running_cloud.add_device("bit", input_interval_ms=SLOWEST)
    async with running_cloud.session(budget=Unlimited()) as session:
        samples = CloudBit(session, "bit").samples(every=SHORT)
        for percent in (10, 20, 30):
            await bit.turn(percent)
            with anyio.fail_after(5):
                assert (await anext(samples)).percent == percent
        await running_cloud.until_streams(0)


@pytest.mark.anyio
async def test_an_off_line_bit_is_waited_for(running_cloud: RunningCloud) -> None:
    bit = await running_cloud.add_device("bit", input_interval_ms=SLOWEST, is_connected=False)
    async with running_cloud.session() as session:
        samples = CloudBit(session, "bit").samples(every=SHORT, timeout=0.05)
        async with anyio.create_task_group() as tasks:

            async def connect() -> None:
                with anyio.fail_after(5):
                    while not samples.failed:  # noqa: ASYNC110 - it tells the log
                        await anyio.sleep(0.005)
                await bit.set_connected(to=True)

            tasks.start_soon(connect)
            with anyio.fail_after(5):
                assert (await anext(samples)).device_id == "bit"
        assert samples.failed >= 1
        assert samples.error is None


@pytest.mark.anyio
async def test_a_refused_token_is_raised(running_cloud: RunningCloud) -> None:
    await running_cloud.add_device("bit")
    async with Session("nobody's", base_url=running_cloud.url) as session:
        with pytest.raises(AuthenticationError), anyio.fail_after(5):
            await anext(CloudBit(session, "bit").samples(every=300))
