"""Session over real sockets, against a scripted server; on asyncio and trio."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest

from littlebits_async import (
    FOREVER,
    APIError,
    AuthenticationError,
    Backoff,
    BudgetExhaustedError,
    DecodeError,
    Grant,
    InvalidArgumentError,
    LittleBitsError,
    NotFoundError,
    Priority,
    RateLimitedError,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    Session,
    SessionClosedError,
    StreamClosedError,
    StreamStalledError,
    TokenBucket,
    TransportError,
)
from littlebits_async.budget import BudgetReport, Unlimited
from tests.support.raw_server import Exchange, RawServer, event_bytes, raw_server

pytestmark = pytest.mark.anyio

TOKEN = "4f3830b44e15fa0d"
QUICK = RetryPolicy(backoff=Backoff(base=0.001, cap=0.001))
DEVICE = {"id": "00e040000001", "label": "my cloudbit 1", "user_id": 1}
UNAVAILABLE = {"statusCode": 503, "error": "Service Unavailable", "message": "We're temporarily offline"}


def session_for(server: RawServer, **options: object) -> Session:
    return Session(TOKEN, base_url=server.url, **{"retry": QUICK, **options})  # type: ignore[arg-type]  # per test


def answers(*replies: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    """Answer the first request by the first reply, and so on; the last reply serves all that follow."""
    left = list(replies)

    async def handler(exchange: Exchange) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return handler


def reply(status: int, body: object = None, **options: object) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(status, body, **options)  # type: ignore[arg-type]  # per test

    return handler


async def hang_up(exchange: Exchange) -> None:
    """Close without an answer, as a server does whose keep-alive has just expired."""
    await exchange.close()


async def say_nothing(exchange: Exchange) -> None:
    await exchange.until_closed()


class RecordingBudget(Unlimited):
    """Grants at once, and writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Priority, str]] = []
        self.settled: list[str] = []
        self.holds: list[float] = []
        self.refuse_after: int | None = None

    async def acquire(
        self, *, priority: Priority = Priority.COMMAND, label: str = "", max_wait: float | None = None
    ) -> Grant:
        if self.refuse_after is not None and len(self.asked) >= self.refuse_after:
            raise BudgetExhaustedError("spent", wait=99.0)
        self.asked.append((priority, label))
        return _RecordingGrant(self.settled)

    async def penalize(self, seconds: float) -> None:
        self.holds.append(seconds)


class _RecordingGrant(Grant):
    __slots__ = ("_settled",)

    def __init__(self, settled: list[str]) -> None:
        self._settled = settled

    def sent(self) -> None:
        self._settled.append("sent")

    def cancel(self) -> None:
        self._settled.append("cancelled")


# Who is asking, and where


async def test_a_token_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITTLEBITS_TOKEN", raising=False)
    with pytest.raises(InvalidArgumentError, match="LITTLEBITS_TOKEN"):
        Session()


async def test_the_environment_names_token_and_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(reply(200, [])) as server:
        monkeypatch.setenv("LITTLEBITS_TOKEN", TOKEN)
        monkeypatch.setenv("LITTLEBITS_BASE_URL", server.url + "/prefix")
        async with Session() as session:
            assert await session.devices() == []
    (request,) = server.requests
    assert request.target == "/prefix/v2/devices"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept"] == "application/vnd.littlebits.v2+json"
    assert request.headers["user-agent"].startswith("littlebits-async/")


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_the_version_is_named_in_path_and_accept(version: int) -> None:
    async with raw_server(reply(200, [])) as server, session_for(server, api_version=version) as session:
        await session.devices()
    assert server.requests[0].target == f"/v{version}/devices"
    assert server.requests[0].headers["accept"] == f"application/vnd.littlebits.v{version}+json"


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "ftp://example.org"},
        {"base_url": "example.org"},
        {"base_url": "http://"},
        {"base_url": "http://user:secret@example.org"},
        {"base_url": "http://example.org/?access_token=secret"},
        {"api_version": 4},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": True},
        {"max_wait": -1.0},
        {"proxy": "not a proxy"},
    ],
    ids=str,
)
async def test_what_no_session_can_use_is_refused_at_construction(options: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Session(TOKEN, **{"base_url": "http://localhost", **options})  # type: ignore[arg-type]  # wrong on purpose
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", "Bearer ", "two words", "line\nbreak", "naïve"])
async def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Session(token)
    assert token.strip() in ("", "Bearer") or token not in str(caught.value)


async def test_a_token_may_come_with_its_scheme() -> None:
    async with raw_server(reply(200, [])) as server, Session(f"Bearer {TOKEN}", base_url=server.url) as session:
        await session.devices()
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_the_token_shows_in_no_repr() -> None:
    async with Session(TOKEN) as session:
        assert TOKEN not in repr(session)
        assert TOKEN not in repr(vars(session))


async def test_an_error_at_the_vendors_host_says_that_its_cloud_is_off() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route", request=request)

    async with Session(TOKEN, transport=httpx.MockTransport(unreachable), retry=QUICK) as session:
        with pytest.raises(TransportError) as caught:
            await session.devices()
    assert "littlebits serve" in str(caught.value)
    assert "LITTLEBITS_BASE_URL" in str(caught.value)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


# What the API says


async def test_a_refusal_tells_what_where_and_why() -> None:
    body = {"statusCode": 404, "error": "Not Found", "message": "No such device"}
    async with raw_server(reply(404, body)) as server, session_for(server) as session:
        with pytest.raises(NotFoundError) as caught:
            await session.device("00e040000001")
    error = caught.value
    assert (error.status, error.error, error.message) == (404, "Not Found", "No such device")
    assert (error.method, error.path) == ("GET", "/devices/00e040000001")


async def test_redirects_are_not_followed() -> None:
    other = raw_server(reply(200, []))
    async with other as elsewhere:
        moved = reply(302, None, headers={"Location": elsewhere.url + "/v2/devices"})
        async with raw_server(moved) as server, session_for(server) as session:
            with pytest.raises(APIError) as caught:
                await session.devices()
    assert caught.value.status == 302
    assert elsewhere.requests == []


async def test_an_answer_that_is_no_json_is_a_decode_error() -> None:
    page = reply(200, b"<html>hello</html>", kind="text/html")
    async with raw_server(page) as server, session_for(server) as session:
        with pytest.raises(DecodeError) as caught:
            await session.devices()
    assert "hello" in caught.value.excerpt


async def test_a_broken_content_encoding_is_a_decode_error() -> None:
    broken = reply(200, b"not gzip", headers={"Content-Encoding": "gzip"})
    async with raw_server(broken) as server, session_for(server) as session:
        with pytest.raises(DecodeError):
            await session.devices()


async def test_a_compressed_answer_is_read() -> None:
    packed = reply(200, gzip.compress(json.dumps([DEVICE]).encode()), headers={"Content-Encoding": "gzip"})
    async with raw_server(packed) as server, session_for(server) as session:
        assert [device.id for device in await session.devices()] == ["00e040000001"]
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_an_answer_that_blows_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.transport._bytes._MAX_INFLATED", 1000)
    # A good answer but for its size: without the bound it would be read.
    bomb = reply(200, gzip.compress(json.dumps([DEVICE] * 100).encode()), headers={"Content-Encoding": "gzip"})
    async with raw_server(bomb) as server, session_for(server) as session:
        with pytest.raises(DecodeError, match="content encoding"):
            await session.devices()


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("littlebits_async.transport._client._MAX_ANSWER", 100_000)

    async def endless(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.chunk(b"[" * 10_000)

    async with raw_server(endless) as server, session_for(server) as session:
        with pytest.raises(DecodeError, match="100000 bytes"):
            await session.devices()
        await server.until_connections(0)


@pytest.mark.both_feeds
async def test_an_argument_that_no_request_can_carry_costs_nothing() -> None:
    async with raw_server(reply(200, {})) as server:
        budget = RecordingBudget()
        async with session_for(server, budget=budget) as session:
            for attempt in (
                lambda: session.output("00e040000001", 101),
                lambda: session.output("00e040000001", 50, duration_ms=32001),
                lambda: session.device(".."),
                lambda: session.update_device("00e040000001"),
                lambda: session.read("", timeout=1),
            ):
                with pytest.raises(InvalidArgumentError):
                    await attempt()
    assert budget.asked == []
    assert server.requests == []


# Tries


async def test_a_read_is_tried_three_times_in_all() -> None:
    budget = RecordingBudget()
    handler = answers(reply(503, UNAVAILABLE), reply(502, None), reply(200, [DEVICE]))
    async with raw_server(handler) as server, session_for(server, budget=budget) as session:
        (device,) = await session.devices()
    assert device.id == "00e040000001"
    assert budget.asked == [(Priority.COMMAND, "devices")] * 3
    assert budget.settled == ["sent"] * 3


async def test_the_last_failure_is_raised() -> None:
    async with raw_server(reply(503, UNAVAILABLE)) as server, session_for(server) as session:
        with pytest.raises(ServiceUnavailableError):
            await session.devices()
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 500, 501])
async def test_what_another_try_cannot_mend_is_not_tried_again(status: int) -> None:
    async with raw_server(reply(status)) as server, session_for(server) as session:
        with pytest.raises(APIError):
            await session.devices()
    assert len(server.requests) == 1


async def test_a_pulse_is_not_repeated_when_it_may_have_been_sent() -> None:
    for failure, expected in ((reply(503, UNAVAILABLE), ServerError), (hang_up, TransportError)):
        async with raw_server(failure) as server, session_for(server) as session:
            with pytest.raises(expected):
                await session.output("00e040000001", 50, duration_ms=500)
        assert len(server.requests) == 1


async def test_a_held_output_is_repeated() -> None:
    handler = answers(hang_up, reply(503, UNAVAILABLE), reply(200, {"success": True}))
    async with raw_server(handler) as server, session_for(server) as session:
        await session.output("00e040000001", 50, duration_ms=FOREVER)
    assert [json.loads(request.body) for request in server.requests] == [{"percent": 50, "duration_ms": -1}] * 3


async def test_a_pulse_that_surely_was_not_sent_is_tried_again_and_refunded() -> None:
    seen: list[str] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        if len(seen) < 3:
            raise httpx.ConnectTimeout("too slow", request=request)
        return httpx.Response(200, json={"success": True})

    budget = RecordingBudget()
    async with Session(TOKEN, transport=httpx.MockTransport(flaky), budget=budget, retry=QUICK) as session:
        await session.output("00e040000001", 50)
    assert len(seen) == 3
    assert budget.settled == ["cancelled", "cancelled", "sent"]


@pytest.mark.requirement("R5.paid")
async def test_no_server_at_all_is_a_transport_error_and_costs_nothing() -> None:
    async with raw_server(reply(200)) as server:
        pass
    bucket = TokenBucket(limit=10)
    async with session_for(server, budget=bucket) as session:
        with pytest.raises(TransportError) as caught:
            await session.devices()
    assert caught.value.surely_unsent
    assert bucket.available == 10


async def test_no_answer_in_time_is_a_timeout_and_not_tried_again() -> None:
    async with raw_server(say_nothing) as server, session_for(server, timeout=0.1) as session:
        with pytest.raises(RequestTimeoutError) as caught:
            await session.devices()
        await server.until_connections(0)
    assert len(server.requests) == 1
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.phase == "receive"


async def test_a_slow_body_counts_against_the_time_of_the_try() -> None:
    async def trickle(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await exchange.send(b" ")
            await anyio.sleep(0.02)

    async with raw_server(trickle) as server, session_for(server, timeout=0.2) as session:
        with pytest.raises(RequestTimeoutError):
            await session.devices()


@pytest.mark.requirement("B4.hold", "B4.doubling", "W4")
async def test_a_429_holds_the_budget_and_is_tried_again() -> None:
    budget = RecordingBudget()
    limited = reply(429, {"statusCode": 429, "error": "rate_limit_exceeded"}, headers={"Retry-After": "1"})
    async with raw_server(answers(limited, reply(200, []))) as server, session_for(server, budget=budget) as session:
        assert await session.devices() == []
    assert budget.holds == [1.0]


@pytest.mark.requirement("B4.doubling", "W4")
async def test_without_retry_after_the_hold_doubles_from_a_minute() -> None:
    budget = RecordingBudget()
    async with raw_server(reply(429)) as server, session_for(server, budget=budget) as session:
        with pytest.raises(RateLimitedError):
            await session.devices()
    assert budget.holds == [60.0, 120.0, 240.0]


@pytest.mark.requirement("B4.doubling", "W4")
async def test_an_answer_in_between_ends_the_doubling() -> None:
    budget = RecordingBudget()
    options = {"budget": budget, "retry": RetryPolicy(attempts=1)}
    handler = answers(reply(429), reply(429), reply(200, []), reply(429))
    async with raw_server(handler) as server, session_for(server, **options) as session:
        for expected in (RateLimitedError, RateLimitedError, None, RateLimitedError):
            if expected is None:
                assert await session.devices() == []
            else:
                with pytest.raises(expected):
                    await session.devices()
    assert budget.holds == [60.0, 120.0, 60.0]


@pytest.mark.requirement("W4")
async def test_a_429_is_raised_as_such_when_the_hold_is_longer_than_allowed() -> None:
    for budget in (TokenBucket(), Unlimited()):
        limited = reply(429, None, headers={"Retry-After": "3000"})
        async with raw_server(limited) as server, session_for(server, budget=budget) as session:
            with pytest.raises(RateLimitedError) as caught:
                await session.devices()
        assert caught.value.retry_after == 3000
        assert len(server.requests) == 1


@pytest.mark.requirement("W4")
async def test_a_429_is_raised_as_such_when_the_budget_has_no_room_for_another_try() -> None:
    budget = RecordingBudget()
    budget.refuse_after = 1
    async with raw_server(reply(429)) as server, session_for(server, budget=budget) as session:
        with pytest.raises(RateLimitedError):
            await session.devices()
    assert len(server.requests) == 1


@pytest.mark.requirement("W5")
async def test_an_exhausted_budget_sends_nothing() -> None:
    async with raw_server(reply(200, [])) as server:
        async with session_for(server, budget=TokenBucket(limit=1), max_wait=0.0) as session:
            await session.devices()
            with anyio.fail_after(5), pytest.raises(BudgetExhaustedError) as caught:
                await session.devices()
    assert caught.value.wait > 3000
    assert len(server.requests) == 1


@pytest.mark.requirement("B6.report")
async def test_a_session_reports_its_budget() -> None:
    async with raw_server(reply(200, [])) as server, session_for(server) as session:
        await session.devices()
        report = await session.budget.report()
    assert isinstance(report, BudgetReport)
    assert report.spent[Priority.COMMAND, "devices"] == 1


# Life


@pytest.mark.both_feeds
async def test_a_closed_session_says_so() -> None:
    async with raw_server(reply(200, [])) as server:
        session = session_for(server)
        await session.devices()
        await session.aclose()
        await session.aclose()
        with pytest.raises(SessionClosedError):
            await session.devices()
        with pytest.raises(SessionClosedError):
            async with session.inputs("00e040000001"):
                pass
        await server.until_connections(0)
    assert "closed" in repr(session)


@pytest.mark.requirement("R7.error")
async def test_an_error_in_the_body_comes_out_as_itself() -> None:
    async with raw_server(reply(200, [])) as server:
        with pytest.raises(ZeroDivisionError):
            async with session_for(server) as session:
                await session.devices()
                raise ZeroDivisionError
        await server.until_connections(0)


@pytest.mark.both_feeds
async def test_calls_reuse_a_connection() -> None:
    async with raw_server(reply(200, [])) as server, session_for(server) as session:
        for _ in range(5):
            await session.devices()
        assert server.most_connections == 1


# Streams


def streaming(
    *chunks: bytes, then: Callable[[Exchange], Awaitable[None]] = say_nothing
) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        for chunk in chunks:
            await exchange.chunk(chunk)
        await then(exchange)

    return handler


async def end(exchange: Exchange) -> None:
    await exchange.end_stream()


@pytest.mark.both_feeds
async def test_inputs_yields_events_until_the_server_ends_the_stream() -> None:
    handler = streaming(event_bytes(61, 1), b"\n", event_bytes(62, 2), then=end)
    budget = RecordingBudget()
    seen: list[float] = []
    async with raw_server(handler) as server, session_for(server, budget=budget) as session:
        async with session.inputs("00e040000001") as events:
            with pytest.raises(StreamClosedError):
                async for event in events:
                    assert event.device_id == "00e040000001"
                    seen.append(event.percent)
    assert seen == [61, 62]
    assert budget.asked == [(Priority.STREAM, "input")]
    assert server.requests[0].path == "/v2/devices/00e040000001/input"
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.both_feeds
@pytest.mark.requirement("R8.goes-on", "R8.counted")
async def test_a_bad_event_is_skipped_and_counted() -> None:
    bad = [b"data:{broken\n\n", b'data:{"type":"input","percent":1}\n\n', b"data:" + b"x" * 70_000 + b"\n\n"]
    handler = streaming(*bad, b'data:{"type":"connection_change","state":2}\n\n', event_bytes(5, 1))
    async with raw_server(handler) as server, session_for(server) as session:
        async with session.inputs("00e040000001") as events:
            assert (await anext(events)).percent == 5
            assert events.skipped == 3


@pytest.mark.both_feeds
@pytest.mark.requirement("R7.closed")
async def test_leaving_a_stream_closes_its_connection_at_once() -> None:
    handler = streaming(*(event_bytes(n, n) for n in range(50)))
    async with raw_server(handler) as server, session_for(server) as session:
        async with session.inputs("00e040000001") as events:
            async for _ in events:
                break
        await server.until_connections(0)


@pytest.mark.both_feeds
async def test_silence_is_a_stall() -> None:
    async with raw_server(streaming(event_bytes(1, 1))) as server, session_for(server) as session:
        async with session.inputs("00e040000001", stall_after=0.05) as events:
            await anext(events)
            with pytest.raises(StreamStalledError, match="off line"):
                await anext(events)
            with pytest.raises(StopAsyncIteration):
                await anext(events)
        await server.until_connections(0)


@pytest.mark.both_feeds
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(404, {"statusCode": 404, "error": "Not Found", "message": "x"}), NotFoundError),
        (reply(401), AuthenticationError),
        (reply(200, b"<html></html>", kind="text/html"), DecodeError),
        (reply(200, b"", kind=""), DecodeError),
        (reply(204), DecodeError),
        (reply(302, None, headers={"Location": "/"}), APIError),
    ],
)
async def test_what_is_no_event_stream_is_an_error_on_entering(
    answer: Callable[[Exchange], Awaitable[None]], expected: type[LittleBitsError]
) -> None:
    async with raw_server(answer) as server, session_for(server) as session:
        with pytest.raises(expected):
            async with session.inputs("00e040000001"):
                pytest.fail("entered")
        await server.until_connections(0)


@pytest.mark.both_feeds
async def test_a_stream_that_does_not_open_in_time_is_a_timeout() -> None:
    async with raw_server(say_nothing) as server, session_for(server, timeout=0.1) as session:
        with pytest.raises(RequestTimeoutError):
            async with session.inputs("00e040000001"):
                pytest.fail("entered")
        await server.until_connections(0)


@pytest.mark.both_feeds
async def test_two_consumers_of_one_stream_are_one_too_many() -> None:
    async with raw_server(streaming()) as server, session_for(server) as session:
        async with session.inputs("00e040000001") as events, anyio.create_task_group() as group:

            async def first() -> None:
                with pytest.raises(StreamClosedError):
                    await anext(events)

            group.start_soon(first)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError):
                await anext(events)
            await events.aclose()


@pytest.mark.both_feeds
@pytest.mark.requirement("R7.closed")
async def test_closing_the_session_ends_its_streams() -> None:
    async with raw_server(streaming()) as server, session_for(server) as session:
        async with session.inputs("00e040000001") as events, anyio.create_task_group() as group:

            async def consume() -> None:
                with pytest.raises(StreamClosedError):
                    await anext(events)

            group.start_soon(consume)
            await anyio.wait_all_tasks_blocked()
            await session.aclose()
        await server.until_connections(0)


async def test_a_stream_must_be_entered_first() -> None:
    async with Session(TOKEN) as session:
        with pytest.raises(StreamClosedError, match="async with"):
            await anext(session.inputs("00e040000001"))


@pytest.mark.both_feeds
async def test_read_takes_the_first_event_and_closes() -> None:
    budget = RecordingBudget()
    handler = streaming(b"\n", event_bytes(42, 7), event_bytes(43, 8))
    async with raw_server(handler) as server, session_for(server, budget=budget) as session:
        event = await session.read("00e040000001")
        await server.until_connections(0)
    assert (event.percent, event.timestamp_ms) == (42, 7)
    assert budget.asked == [(Priority.COMMAND, "read")]


@pytest.mark.both_feeds
async def test_read_of_a_silent_bit_says_that_it_may_be_off_line() -> None:
    async with raw_server(streaming(b"\n")) as server, session_for(server) as session:
        with pytest.raises(StreamStalledError, match="off line"):
            await session.read("00e040000001", timeout=0.1)
        await server.until_connections(0)
    assert len(server.requests) == 1


@pytest.mark.both_feeds
@pytest.mark.requirement("R7.cancelled")
async def test_a_cancelled_stream_leaves_no_connection() -> None:
    async with raw_server(streaming(event_bytes(1, 1))) as server, session_for(server) as session:
        with anyio.move_on_after(5) as scope:
            async with session.inputs("00e040000001") as events:
                async for _ in events:
                    scope.cancel()
        assert scope.cancelled_caught
        await server.until_connections(0)
        assert (await session.read("00e040000002")).percent == 1  # and the session goes on


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_native_cancellation_leaves_no_connection_and_a_session_that_serves() -> None:
    async def slow(exchange: Exchange) -> None:
        await anyio.sleep(0.005)
        await exchange.answer(200, [])

    async with raw_server(slow) as server, session_for(server) as session:
        outcomes: list[object] = []
        for delay in range(20):
            task = asyncio.ensure_future(session.devices())
            await asyncio.sleep(delay / 2000)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            outcomes += await asyncio.gather(task, return_exceptions=True)
        assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert await session.devices() == []
        assert server.open_connections == 1
