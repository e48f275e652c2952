"""Whatever the network does, a caller sees a value or one error of ours, and all goes on; on asyncio and trio."""

import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress

import anyio
import pytest
from attrs import frozen

from littlebits_async import (
    InputReactor,
    LittleBitsError,
    RequestTimeoutError,
    RetryPolicy,
    StreamError,
    StreamStalledError,
    StreamState,
    TransportError,
)
from tests.chaos.lies import HANGS, TRUTH, Stage, head
from tests.chaos.lies_witness import QUICK, Witness, devices, failure_of, session_to, take, until_closed
from tests.chaos.proxy import NO_FAULTS, Faults, chaos_proxy
from tests.support.local_cloud import PATIENCE, free_port
from tests.support.raw_server import SSE_HEAD, event_bytes, raw_server

pytestmark = [pytest.mark.anyio, pytest.mark.both_feeds]

Ask = Callable[[], Awaitable[object]]

ONCE = RetryPolicy(attempts=1)
ANSWER = len(head("Content-Type: application/json", "Content-Length: 16", status="200 Status")) + 16
"""Bytes of the answer to a call; fewer than the head of a stream's."""
EVENT = event_bytes(1, 1001)
EVENT_END = len(SSE_HEAD) + len(b"%x\r\n" % len(EVENT)) + len(EVENT)
"""Bytes of a stream up to the end of its first event."""


@frozen
class Fault:
    """What a network may do to a request, and what is seen of it: None where the answer comes all the same."""

    name: str
    faults: Faults
    call: type[LittleBitsError] | None
    stream: type[LittleBitsError] | None

    def __str__(self) -> str:
        return self.name


FAULTS = [
    Fault("latency and jitter", Faults(latency=0.01, jitter=0.01), None, None),
    Fault("single bytes", Faults(piece=1), None, None),
    Fault("all is stalled", Faults(stalled=True), RequestTimeoutError, RequestTimeoutError),
    Fault("stalls before the headers", Faults(stall_after=0), RequestTimeoutError, RequestTimeoutError),
    Fault("stalls in the headers", Faults(stall_after=20), RequestTimeoutError, RequestTimeoutError),
    Fault("stalls in the body", Faults(stall_after=ANSWER - 5), RequestTimeoutError, RequestTimeoutError),
    Fault("stalls behind the stream's headers", Faults(stall_after=len(SSE_HEAD)), None, StreamStalledError),
    Fault("stalls in a chunk's header", Faults(stall_after=len(SSE_HEAD) + 1), None, StreamStalledError),
    Fault("stalls in an event", Faults(stall_after=EVENT_END - 1), None, StreamStalledError),
    Fault("half open", Faults(half_open=True), RequestTimeoutError, RequestTimeoutError),
    Fault("refuses", Faults(refused=True), TransportError, TransportError),
    Fault("resets before the headers", Faults(reset_after=0), TransportError, TransportError),
    Fault("resets in the headers", Faults(reset_after=20), TransportError, TransportError),
    Fault("resets behind the stream's headers", Faults(reset_after=len(SSE_HEAD)), None, StreamError),
    Fault("resets in a chunk's header", Faults(reset_after=len(SSE_HEAD) + 1), None, StreamError),
    Fault("resets in an event", Faults(reset_after=EVENT_END - 1), None, StreamError),
    Fault("ends before the headers", Faults(end_after=0), TransportError, TransportError),
    Fault("ends in the headers", Faults(end_after=20), TransportError, TransportError),
    Fault("ends behind the stream's headers", Faults(end_after=len(SSE_HEAD)), None, StreamError),
    Fault("ends in a chunk's header", Faults(end_after=len(SSE_HEAD) + 1), None, StreamError),
    Fault("ends in an event", Faults(end_after=EVENT_END - 1), None, StreamError),
]


@pytest.mark.requirement("R7")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_calls_and_streams_over_a_bad_network(fault: Fault) -> None:
    opening = HANGS if fault.stream is RequestTimeoutError else PATIENCE
    silence = HANGS if fault.stream is StreamStalledError else PATIENCE
    async with raw_server(Stage()) as server, chaos_proxy(server.url) as proxy:
        async with session_to(proxy.url, timeout=opening, retry=ONCE) as session:

            async def call() -> object:
                return await devices(session)

            async def read() -> object:
                return (await session.read("a", timeout=silence)).percent

            async def first() -> object:
                async with session.inputs("a", stall_after=silence) as events:
                    return (await anext(events)).percent

            async def check(ask: Ask, error: type[LittleBitsError] | None, truth: object) -> None:
                if error is None:
                    assert await ask() == truth
                else:
                    assert type(await failure_of(ask())) is error

            with anyio.fail_after(PATIENCE):
                for faults, *errors in ((fault.faults, fault.call, fault.stream), (NO_FAULTS, None, None)):
                    proxy.faults = faults
                    async with anyio.create_task_group() as group:
                        group.start_soon(check, call, errors[0], TRUTH)
                        group.start_soon(check, read, errors[1], 1)
                        group.start_soon(check, first, errors[1], 1)
        await until_closed(proxy.url)


@pytest.mark.requirement("R3", "R4", "R7", "R10", "W8")
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_reactor_with_one_bad_path(fault: Fault) -> None:
    stage, witness = Stage(), Witness()
    stall_after = HANGS if fault.stream is StreamStalledError else None
    async with raw_server(stage) as server, chaos_proxy(server.url) as proxy:
        opening = HANGS if fault.stream is RequestTimeoutError else PATIENCE
        async with session_to(proxy.url, timeout=opening, hooks=witness) as session:
            async with InputReactor(session, ["good"], backoff=QUICK, stall_after=stall_after) as reactor:
                await witness.until("good", StreamState.LIVE)
                (good,) = proxy.passages
                proxy.faults = fault.faults
                good.faults = NO_FAULTS
                reactor.add("bad")
                if fault.stream is None:
                    await take(reactor, ("bad", 1))
                else:
                    status = await witness.until("bad", StreamState.BACKING_OFF)
                    assert type(status.error) is fault.stream
                proxy.faults = NO_FAULTS
                stage.more.set()
                await take(reactor, ("good", 2), ("bad", 2))
                assert await devices(session) == TRUTH
        await until_closed(proxy.url)


@pytest.mark.requirement("R7")
@pytest.mark.parametrize("end", ["reset_after", "end_after"])
async def test_wherever_an_answer_is_cut_it_is_one_error(end: str) -> None:
    async with raw_server(Stage()) as server, chaos_proxy(server.url) as proxy:
        async with session_to(proxy.url, retry=ONCE) as session:
            with anyio.fail_after(2 * PATIENCE):
                for passed in range(ANSWER):
                    proxy.faults = Faults(**{end: passed})  # type: ignore[arg-type]  # one of the two
                    assert type(await failure_of(session.devices())) is TransportError, passed
                proxy.faults = Faults(**{end: ANSWER})  # type: ignore[arg-type]  # as above
                assert await devices(session) == TRUTH
        await until_closed(proxy.url)


@pytest.mark.requirement("R7")
@pytest.mark.parametrize("end", ["reset_after", "end_after"])
async def test_wherever_a_stream_is_cut_it_is_one_error(end: str) -> None:
    async with raw_server(Stage()) as server, chaos_proxy(server.url) as proxy:
        async with session_to(proxy.url, retry=ONCE) as session:
            with anyio.fail_after(2 * PATIENCE):
                for passed in range(EVENT_END):
                    proxy.faults = Faults(**{end: passed})  # type: ignore[arg-type]  # one of the two
                    expected = TransportError if passed < len(SSE_HEAD) else StreamError
                    assert type(await failure_of(session.read("a"))) is expected, passed
                proxy.faults = NO_FAULTS
                assert (await session.read("a")).percent == 1
        await until_closed(proxy.url)


@pytest.mark.requirement("R4.stall", "R7", "W1")
async def test_a_stream_whose_server_is_gone_without_a_word() -> None:
    stage, witness = Stage(), Witness()
    async with raw_server(stage) as server, chaos_proxy(server.url) as proxy:
        async with session_to(proxy.url, hooks=witness) as session:
            async with InputReactor(session, ["a"], backoff=QUICK, stall_after=HANGS) as reactor:
                await take(reactor, ("a", 1))
                (passage,) = proxy.passages
                passage.faults = Faults(half_open=True)
                assert type((await witness.until("a", StreamState.STALLED)).error) is StreamStalledError
                stage.more.set()
                await take(reactor, ("a", 2))
            async with session.inputs("a", stall_after=HANGS) as events:
                await anext(events)
                await anext(events)
                for passage in proxy.passages:
                    passage.faults = Faults(half_open=True)
                with anyio.fail_after(PATIENCE), pytest.raises(StreamStalledError):
                    await anext(events)
        await until_closed(proxy.url)


# Where no proxy can stand in front of


@contextmanager
def deaf_server() -> Generator[str, None, None]:
    """A server that never accepts, and whose backlog is full: connections to it neither come nor fail."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.settimeout(0)
            with suppress(BlockingIOError):
                client.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.requirement("R3", "R7")
@pytest.mark.parametrize("deaf", [True, False], ids=["nobody accepts", "nobody listens"])
async def test_a_server_that_cannot_be_reached(*, deaf: bool) -> None:
    seen = RequestTimeoutError if deaf else TransportError
    with deaf_server() as deaf_url:
        url = deaf_url if deaf else f"http://127.0.0.1:{free_port()}"
        witness = Witness()
        async with session_to(url, timeout=HANGS, retry=ONCE, hooks=witness) as session:
            for ask in (session.devices(), session.read("a")):
                error = await failure_of(ask)
                assert type(error) is seen
                assert isinstance(error, TransportError)
                assert error.surely_unsent
            async with InputReactor(session, ["a"], backoff=QUICK):
                assert type((await witness.until("a", StreamState.BACKING_OFF)).error) is seen
        assert (await session.budget.report()).spent == {}  # it was all refunded
