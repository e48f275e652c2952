"""Hooks, diagnostics, and what a session learns of the server's count; on asyncio and trio."""

import json
import logging

import anyio
import pytest

from littlebits_async import (
    InputReactor,
    LoggingHooks,
    NotFoundError,
    Overflow,
    RequestDone,
    StreamState,
    StreamStatus,
    TokenBucket,
    TransportError,
    Unlimited,
)
from tests.support.raw_server import Exchange, raw_server
from tests.unit.test_reactor import QUICK, end, events, flood, hold, script, session_for, take, until

pytestmark = pytest.mark.anyio

DEVICE = "00e04c0379bb"


class RecordingHooks:
    def __init__(self) -> None:
        self.requests: list[RequestDone] = []
        self.states: list[tuple[str, StreamState]] = []
        self.dropped: list[str] = []
        self.waits: list[tuple[str, float]] = []

    def request_done(self, request: RequestDone, /) -> None:
        self.requests.append(request)

    def stream_changed(self, status: StreamStatus, /) -> None:
        self.states.append((status.device_id, status.state))

    def event_dropped(self, device_id: str, /) -> None:
        self.dropped.append(device_id)

    def budget_waited(self, label: str, seconds: float, /) -> None:
        self.waits.append((label, seconds))


class BrokenHooks(RecordingHooks):
    def request_done(self, request: RequestDone, /) -> None:
        raise ZeroDivisionError

    def stream_changed(self, status: StreamStatus, /) -> None:
        raise ZeroDivisionError

    def event_dropped(self, device_id: str, /) -> None:
        raise ZeroDivisionError

    def budget_waited(self, label: str, seconds: float, /) -> None:
        raise ZeroDivisionError


async def answer(exchange: Exchange) -> None:
    if exchange.request.path.endswith("/input"):
        await events(*range(1, 31))(exchange)
    elif exchange.request.path.endswith("/gone"):
        await exchange.answer(404, {"statusCode": 404, "error": "Not Found", "message": "no"})
    else:
        await exchange.answer(200, [])


@pytest.mark.both_feeds
async def test_every_request_is_told_with_its_outcome() -> None:
    hooks = RecordingHooks()
    async with raw_server(answer) as server:
        async with session_for(server, hooks=hooks) as session:
            await session.devices()
            with pytest.raises(NotFoundError):
                await session.device("gone")
            await session.read(DEVICE)
    async with session_for(server, hooks=hooks) as session:
        with pytest.raises(TransportError):
            await session.ping()
    told = [(request.method, request.path, request.status, type(request.error)) for request in hooks.requests]
    assert told[:4] == [
        ("GET", "/devices", 200, type(None)),
        ("GET", "/devices/gone", 404, NotFoundError),
        ("GET", f"/devices/{DEVICE}/input", 200, type(None)),
        ("GET", "/ping", None, TransportError),
    ]
    assert len(told) == 6  # the last was tried three times
    assert all(request.seconds >= 0 for request in hooks.requests)


@pytest.mark.both_feeds
async def test_states_and_drops_are_told() -> None:
    hooks = RecordingHooks()
    async with raw_server(answer) as server, session_for(server, hooks=hooks) as session:
        async with InputReactor(session, [DEVICE], buffer=5, overflow=Overflow.DROP_OLDEST) as reactor:
            with anyio.fail_after(5):
                while reactor.stats.events < 30:
                    await anyio.wait_all_tasks_blocked()
    assert hooks.dropped == [DEVICE] * 25
    assert hooks.states == [
        (DEVICE, StreamState.WAITING_FOR_BUDGET),
        (DEVICE, StreamState.CONNECTING),
        (DEVICE, StreamState.LIVE),
        (DEVICE, StreamState.CLOSED),
    ]


async def test_a_wait_for_the_budget_is_told() -> None:
    hooks = RecordingHooks()
    budget = TokenBucket(limit=1, period=0.1, margin=0.0)
    async with raw_server(answer) as server, session_for(server, hooks=hooks, budget=budget) as session:
        await session.devices()
        await session.devices()
    ((label, seconds),) = hooks.waits
    assert label == "devices"
    assert 0 < seconds < 5


@pytest.mark.both_feeds
async def test_a_hook_that_raises_does_no_harm_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with raw_server(answer) as server, session_for(server, hooks=BrokenHooks()) as session:
        await session.devices()
        await session.devices()
        async with InputReactor(session, [DEVICE], buffer=5, overflow=Overflow.DROP_OLDEST) as reactor:
            await take(reactor, 5)
    told = [record.getMessage() for record in caplog.records if record.name == "littlebits_async.hooks"]
    assert sum("request_done" in message for message in told) == 1
    assert sum("stream_changed" in message for message in told) == 1


@pytest.mark.both_feeds
async def test_what_happens_can_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "littlebits_async.hooks")
    async with raw_server(answer) as server, session_for(server, hooks=LoggingHooks()) as session:
        await session.devices()
        with pytest.raises(NotFoundError):
            await session.device("gone")
        async with InputReactor(session, [DEVICE], buffer=5, overflow=Overflow.LATEST) as reactor:
            await take(reactor, 1)
    told = "\n".join(record.getMessage() for record in caplog.records if record.name == "littlebits_async.hooks")
    assert "GET /devices: 200 in" in told
    assert "GET /devices/gone: 404: " in told
    assert f"device {DEVICE}: live" in told


# The server's count


@pytest.mark.requirement("B4.headers")
async def test_the_servers_count_corrects_the_budget() -> None:
    async def counting(exchange: Exchange) -> None:
        headers = {"RateLimit-Limit": "1800", "RateLimit-Remaining": "3", "RateLimit-Reset": "600"}
        await exchange.answer(200, [], headers=headers)

    bucket = TokenBucket()
    async with raw_server(counting) as server, session_for(server, budget=bucket) as session:
        await session.devices()
        assert bucket.available == 3
        assert (await bucket.report()).elsewhere == 1800 - 1 - 3
    async with raw_server(counting) as server, session_for(server, budget=Unlimited()) as session:
        await session.devices()


# Diagnostics


@pytest.mark.both_feeds
async def test_diagnostics_can_be_pasted_into_a_bug_report() -> None:
    handler = script(others=[events(1, 2, then=end), events(3)])
    async with raw_server(handler) as server, session_for(server) as session:
        async with InputReactor(session, [DEVICE], backoff=QUICK) as reactor:
            await take(reactor, 3)
            found = await reactor.diagnostics()
    text = json.dumps(found)
    assert "token" not in text.lower()
    assert DEVICE not in text
    assert "…79bb" in json.dumps(found, ensure_ascii=False)
    read = json.loads(text)
    assert read["session"]["requests"] == {"200": 2}
    assert read["session"]["open_streams"] == 1
    assert read["session"]["budget"]["spent"] == {"STREAM input": 2}
    assert set(read["session"]["versions"]) >= {"python", "httpx", "anyio", "littlebits-async"}
    assert read["stats"]["reconnects"] == 1
    (stream,) = read["streams"]
    assert (stream["state"], stream["stats"]["events"]) == ("live", 3)
    assert [change["state"] for change in read["recent"]] == [
        "waiting for budget",
        "connecting",
        "live",
        "backing off",
        "waiting for budget",
        "connecting",
        "live",
    ]


@pytest.mark.both_feeds
@pytest.mark.requirement("W9")
async def test_a_consumer_that_lags_is_named_in_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("littlebits_async.reactor._outlets.LAG_AFTER", 0.1)

    def warnings() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    async with raw_server(flood) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], buffer=10, stall_after=0.2) as reactor:
            await take(reactor, 1)
            with anyio.fail_after(20):
                while not warnings():  # noqa: ASYNC110 - logged, not told
                    await anyio.sleep(0.001)
            for _ in range(3):
                await anyio.wait_all_tasks_blocked()
            (warning,) = warnings()
            assert "the iteration over an InputReactor in task" in warning
            assert "10 events" in warning
            assert reactor.status("a").state is StreamState.LIVE  # held back is not silent


@pytest.mark.both_feeds
async def test_a_consumer_that_keeps_up_is_not_warned_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("littlebits_async.reactor._outlets.LAG_AFTER", 0.05)
    async with raw_server(script(others=[events(1, then=hold)])) as server, session_for(server) as session:
        async with InputReactor(session, ["a"], stall_after=0.1, buffer=2) as reactor:
            await take(reactor, 1)
            await until(reactor, "a", StreamState.STALLED)
    assert not [record for record in caplog.records if "lags" in record.getMessage()]
