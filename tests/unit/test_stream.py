import math
from collections.abc import Callable, Iterator

import pytest

from littlebits_async.backoff import Backoff
from littlebits_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    BudgetExhaustedError,
    DecodeError,
    LittleBitsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    ServiceUnavailableError,
    SessionClosedError,
    StreamClosedError,
    StreamError,
    StreamStalledError,
    TransportError,
)
from littlebits_async.models import Device, InputEvent, StreamState
from littlebits_async.stream import AskBudget, AskListing, Close, Open, Read, StreamMachine, Wait

DEVICE = "00e040000001"
HOUR = 3600.0
LOST = TransportError("connection reset")
REFUSED_TOKEN = AuthenticationError("401 Unauthorized", status=401)
FORBIDDEN = PermissionDeniedError("403 Forbidden", status=403)


def make(
    *,
    rng: Callable[[], float] = lambda: 1.0,
    backoff: Backoff | None = None,
    stall_after: float | None = 30.0,
    quiet_after: float | None = 300.0,
    on_change: Callable[[StreamMachine], None] = lambda _machine: None,
) -> StreamMachine:
    """Return a machine with the settings that design.md promises, and jitter at its greatest."""
    return StreamMachine(
        DEVICE,
        backoff=backoff or Backoff(),
        stall_after=stall_after,
        quiet_after=quiet_after,
        now=0.0,
        rng=rng,
        on_change=on_change,
    )


def state_of(machine: StreamMachine) -> StreamState:
    """Return the state, which type checkers take to stay as it was last compared."""
    return machine.state


def error_of(machine: StreamMachine) -> LittleBitsError | None:
    return machine.error_seen


def draws(*numbers: float) -> Callable[[], float]:
    iterator: Iterator[float] = iter(numbers)
    return lambda: next(iterator)


def reading(timestamp_ms: int, device_id: str = DEVICE) -> InputEvent:
    return InputEvent(device_id=device_id, timestamp_ms=timestamp_ms, percent=50.0)


def feed(machine: StreamMachine, now: float, timestamp_ms: int | None = None) -> bool:
    """Have bytes come that make one event, by default a new one."""
    machine.received(now)
    return machine.event(reading(round(now * 1000) if timestamp_ms is None else timestamp_ms), now)


def request(machine: StreamMachine, now: float) -> None:
    """Go through the budget, up to the opening of a connection."""
    command = machine.start(now) if machine.state is StreamState.CONNECTING else machine.tick(now)
    if command == AskListing():
        command = machine.listed(None, now)
    assert command == AskBudget()
    assert machine.granted(now) == Open()


def connect(machine: StreamMachine, now: float) -> None:
    request(machine, now)
    assert machine.opened(now) == Read()


def connected(now: float = 0.0, **settings: float | None) -> StreamMachine:
    machine = make(**settings)  # type: ignore[arg-type]
    connect(machine, now)
    return machine


def delay_of(machine: StreamMachine, now: float, error: LittleBitsError = LOST) -> float:
    """Have the connection, or the opening of one, fail; return for how long the machine backs off."""
    command = machine.error(error, now)
    assert state_of(machine) is StreamState.BACKING_OFF
    assert isinstance(command, Wait)
    assert command.until is not None
    assert command.until == machine.retry_at
    return command.until - now


def due(machine: StreamMachine) -> float:
    assert machine.retry_at is not None
    return machine.retry_at


def fail_again(machine: StreamMachine) -> float:
    """Try again when it is due, fail to connect, and return for how long the machine backs off."""
    now = due(machine)
    request(machine, now)
    return delay_of(machine, now)


def fall_silent(machine: StreamMachine, now: float) -> float:
    """Have nothing come for an open connection until it is closed; return for how long the machine backs off."""
    assert machine.tick(now) == Close()
    assert state_of(machine) is StreamState.STALLED
    command = machine.closed(now)
    assert state_of(machine) is StreamState.BACKING_OFF
    assert isinstance(command, Wait)
    assert command.until is not None
    return command.until - now


# --- From the beginning


def test_it_asks_the_budget_then_opens_then_reads() -> None:
    machine = make()
    assert state_of(machine) is StreamState.CONNECTING
    assert machine.start(1.0) == AskBudget()
    assert state_of(machine) is StreamState.WAITING_FOR_BUDGET
    assert machine.granted(2.0) == Open()
    assert state_of(machine) is StreamState.CONNECTING
    assert machine.opened(3.0) == Read()
    assert state_of(machine) is StreamState.LIVE


def test_it_is_live_from_the_opening_on_without_an_event() -> None:
    machine = connected(5.0)
    assert state_of(machine) is StreamState.LIVE
    assert machine.since == 5.0
    assert machine.last_event_at is None


def test_what_happened_is_told_until_the_stream_is_live_again() -> None:
    machine = connected()
    delay_of(machine, 10.0)
    for step in (machine.tick, machine.granted):
        assert error_of(machine) is LOST
        assert machine.reason == "connection reset"
        step(10.5)
    assert error_of(machine) is LOST
    machine.opened(10.6)
    assert error_of(machine) is None
    assert machine.reason == ""


def test_a_device_that_is_removed_is_closed_and_waits_for_nothing() -> None:
    machine = connected()
    machine.removed(7.0)
    assert state_of(machine) is StreamState.CLOSED
    assert machine.since == 7.0
    assert error_of(machine) is None
    assert machine.tick(1e6) == Wait(None)


def test_since_moves_only_with_the_state() -> None:
    machine = connected(1.0)
    feed(machine, 2.0)
    machine.tick(3.0)
    assert machine.since == 1.0
    delay_of(machine, 4.0)
    machine.tick(4.1)
    assert machine.since == 4.0
    # What refuses the token interrupts whatever a stream does.
    machine.error(FORBIDDEN, 5.0)
    assert (machine.state, machine.since) == (StreamState.FAILED, 5.0)
    machine.error(REFUSED_TOKEN, 6.0)
    assert (machine.state, machine.since) == (StreamState.FAILED, 5.0)
    assert machine.error_seen is REFUSED_TOKEN


def test_each_change_is_told_when_it_is_complete() -> None:
    told: list[tuple[StreamState, float, float | None]] = []
    machine = make(on_change=lambda changed: told.append((changed.state, changed.since, changed.retry_at)))
    connect(machine, 1.0)
    for now in (11.0, 21.0, 31.0):
        machine.received(now)
        machine.tick(now)
    feed(machine, 33.0)
    feed(machine, 34.0)
    machine.tick(1000.0)
    machine.closed(1001.0)
    machine.tick(1001.5)
    machine.granted(1002.0)
    machine.error(FORBIDDEN, 1003.0)
    machine.removed(1004.0)
    assert told == [
        (StreamState.WAITING_FOR_BUDGET, 1.0, None),
        (StreamState.CONNECTING, 1.0, None),
        (StreamState.LIVE, 1.0, None),
        (StreamState.QUIET, 31.0, None),
        (StreamState.LIVE, 33.0, None),
        (StreamState.STALLED, 1000.0, None),
        (StreamState.BACKING_OFF, 1001.0, 1001.5),
        (StreamState.WAITING_FOR_BUDGET, 1001.5, None),
        (StreamState.CONNECTING, 1002.0, None),
        (StreamState.FAILED, 1003.0, 1903.0),
        (StreamState.CLOSED, 1004.0, None),
    ]


@pytest.mark.requirement("R3.healthy")
def test_attempts_are_tries_since_the_stream_proved_healthy() -> None:
    machine = make()
    request(machine, 0.0)
    assert machine.attempt == 1
    delay_of(machine, 0.0)
    request(machine, 0.5)
    assert machine.attempt == 2
    machine.opened(1.0)
    feed(machine, 2.0)
    assert machine.attempt == 2
    feed(machine, 32.0)
    assert machine.attempt == 0


def test_reconnects_are_the_tries_after_the_first_opening() -> None:
    machine = make()
    request(machine, 0.0)
    delay_of(machine, 0.0)
    for _ in range(3):
        fail_again(machine)
    assert machine.reconnects == 0
    connect(machine, due(machine))
    assert machine.reconnects == 0
    delay_of(machine, 100.0)
    fail_again(machine)
    assert machine.reconnects == 1
    connect(machine, due(machine))
    assert machine.reconnects == 2


# --- R3: it reconnects by itself


@pytest.mark.requirement("R3.again", "W8")
@pytest.mark.parametrize(
    "error",
    [
        LOST,
        RequestTimeoutError("no answer"),
        StreamClosedError("the server ended the stream"),
        StreamError("corrupt chunk"),
        DecodeError("a gateway's page", excerpt="<html>"),
        BudgetExhaustedError("not in time"),
        ServerError("500", status=500),
        ServerError("502", status=502),
        ServiceUnavailableError("503", status=503),
        ServerError("504", status=504),
        ServerError("599", status=599),
        *(APIError(str(status), status=status) for status in (300, 301, 302, 304, 307, 308, 408, 425)),
        RateLimitedError("429", status=429),
    ],
    ids=repr,
)
def test_a_passing_failure_is_tried_again(error: LittleBitsError) -> None:
    machine = connected()
    assert machine.error(error, 8.0) == Wait(8.5)
    assert state_of(machine) is StreamState.BACKING_OFF
    assert machine.error_seen is error
    assert machine.tick(8.5) == AskBudget()

    machine = make()
    request(machine, 0.0)
    assert machine.error(error, 8.0) == Wait(8.5)
    assert machine.tick(8.5) == AskBudget()


@pytest.mark.requirement("R3.backoff", "W8")
def test_waits_double_from_half_a_second_to_a_minute() -> None:
    machine = make()
    request(machine, 0.0)
    waits = [delay_of(machine, 0.0)] + [fail_again(machine) for _ in range(9)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


@pytest.mark.requirement("R3.backoff")
def test_jitter_is_full() -> None:
    machine = make(rng=draws(0.5, 0.25, 0.0, 0.75, 1.0))
    request(machine, 0.0)
    waits = [delay_of(machine, 0.0)] + [fail_again(machine) for _ in range(4)]
    assert waits == [0.25, 0.25, 0.0, 3.0, 8.0]


@pytest.mark.requirement("R3.backoff")
def test_the_users_backoff_is_used() -> None:
    machine = make(backoff=Backoff(base=1.0, factor=4.0, cap=20.0))
    request(machine, 0.0)
    assert [delay_of(machine, 0.0)] + [fail_again(machine) for _ in range(3)] == [1.0, 4.0, 16.0, 20.0]


@pytest.mark.requirement("R3.backoff")
def test_nothing_is_tried_before_its_time() -> None:
    machine = make()
    request(machine, 100.0)
    delay_of(machine, 100.0)
    assert machine.tick(100.25) == Wait(100.5)
    assert machine.tick(100.49) == Wait(100.5)
    assert state_of(machine) is StreamState.BACKING_OFF
    assert machine.tick(100.5) == AskBudget()


@pytest.mark.requirement("R3.healthy")
def test_an_opening_alone_does_not_shorten_the_waits() -> None:
    machine = connected()
    waits = [delay_of(machine, 0.0)]
    for _ in range(3):
        connect(machine, now := due(machine))
        waits.append(delay_of(machine, now + 29.0))
    assert waits == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.requirement("R3.healthy")
def test_one_event_does_not_shorten_the_waits() -> None:
    machine = connected()
    waits: list[float] = []
    for _ in range(4):
        now = machine.since
        feed(machine, now + 29.0)  # however long it was open
        waits.append(delay_of(machine, now + 58.0))
        connect(machine, due(machine))
    assert waits == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.requirement("R3.healthy", "W8")
@pytest.mark.parametrize(("proof", "wait"), [(29.75, 2.0), (30.0, 0.5), (400.0, 0.5)])
def test_waits_start_again_after_30_s_from_first_to_last_event(proof: float, wait: float) -> None:
    machine = make()
    request(machine, 0.0)
    delay_of(machine, 0.0)
    fail_again(machine)
    connect(machine, 10.0)
    feed(machine, 20.0)
    feed(machine, 20.0 + proof)
    assert delay_of(machine, 20.0 + proof + 5.0) == wait


@pytest.mark.requirement("R3.healthy")
def test_the_proof_must_be_given_on_one_connection() -> None:
    machine = make()
    connect(machine, 0.0)
    feed(machine, 0.0)
    feed(machine, 20.0)
    assert delay_of(machine, 20.0) == 0.5
    connect(machine, 20.5)
    feed(machine, 21.0)
    feed(machine, 41.0)
    assert delay_of(machine, 41.0) == 1.0


@pytest.mark.requirement("R3.healthy")
def test_healthy_after_is_the_users() -> None:
    machine = make(backoff=Backoff(healthy_after=5.0))
    request(machine, 0.0)
    delay_of(machine, 0.0)
    connect(machine, 1.0)
    feed(machine, 2.0)
    feed(machine, 6.75)
    assert machine.attempt == 2
    feed(machine, 7.0)
    assert machine.attempt == 0


@pytest.mark.requirement("R3.healthy")
def test_waits_double_again_after_a_healthy_stream_has_failed() -> None:
    machine = connected()
    feed(machine, 0.0)
    feed(machine, 30.0)
    waits = [delay_of(machine, 31.0)] + [fail_again(machine) for _ in range(3)]
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_waits_double_after_a_healthy_stream_has_fallen_silent_and_cannot_be_reopened() -> None:
    machine = connected()
    feed(machine, 0.0)
    feed(machine, 10.0)
    feed(machine, 20.0)
    feed(machine, 30.0)
    assert machine.attempt == 0
    assert fall_silent(machine, 60.0) == 0.5
    assert [fail_again(machine) for _ in range(3)] == [1.0, 2.0, 4.0]


@pytest.mark.requirement("R3.asked")
def test_the_servers_retry_is_the_least_wait() -> None:
    machine = make(rng=lambda: 0.0)
    connect(machine, 0.0)
    machine.server_wait(5000)
    assert delay_of(machine, 1.0) == 5.0
    assert fail_again(machine) == 5.0  # as it is for every later connection
    connect(machine, now := due(machine))
    machine.server_wait(250)
    assert delay_of(machine, now) == 0.25


@pytest.mark.requirement("R3.asked")
def test_the_servers_retry_does_not_shorten_the_jitter() -> None:
    machine = connected()
    machine.server_wait(250)
    assert delay_of(machine, 1.0) == 0.5


@pytest.mark.requirement("R3.asked")
@pytest.mark.parametrize("milliseconds", [3_600_000, 3_600_001, 10**15])
def test_the_servers_retry_is_followed_for_an_hour_at_most(milliseconds: int) -> None:
    machine = connected()
    machine.server_wait(milliseconds)
    assert delay_of(machine, 1.0) == HOUR


@pytest.mark.requirement("R3.asked")
@pytest.mark.parametrize(("asked", "wait"), [(0.0, 0.5), (0.25, 0.5), (7.0, 7.0), (HOUR, HOUR), (1e9, HOUR)])
@pytest.mark.parametrize("status", [301, 408, 425, 429, 503])
def test_retry_after_is_the_least_wait_up_to_an_hour(status: int, asked: float, wait: float) -> None:
    machine = make()
    request(machine, 0.0)
    assert delay_of(machine, 0.0, APIError("later", status=status, retry_after=asked)) == wait


@pytest.mark.requirement("R3.asked")
def test_retry_after_holds_for_one_wait() -> None:
    machine = make()
    request(machine, 0.0)
    assert delay_of(machine, 0.0, ServiceUnavailableError("later", status=503, retry_after=90.0)) == 90.0
    assert fail_again(machine) == 1.0


@pytest.mark.requirement("R3.asked")
@pytest.mark.parametrize(("retry_ms", "retry_after", "wait"), [(9000, 4.0, 9.0), (4000, 9.0, 9.0)])
def test_the_longer_of_two_least_waits_holds(retry_ms: int, retry_after: float, wait: float) -> None:
    machine = connected()
    machine.server_wait(retry_ms)
    assert delay_of(machine, 1.0, ServiceUnavailableError("later", status=503, retry_after=retry_after)) == wait


def test_a_spent_budget_is_asked_again_when_it_has_something() -> None:
    machine = make()
    machine.start(0.0)
    assert delay_of(machine, 0.0, BudgetExhaustedError("spent", wait=40.0)) == 40.0


# --- R4: silence is noticed


@pytest.mark.requirement("R4.stall", "W1")
def test_silence_is_a_stall_that_is_closed_and_reopened() -> None:
    machine = connected(100.0)
    feed(machine, 101.0)
    assert machine.tick(130.75) == Read()
    assert state_of(machine) is StreamState.LIVE
    assert machine.tick(131.0) == Close()
    assert state_of(machine) is StreamState.STALLED
    assert machine.stalls == 1
    assert isinstance(machine.error_seen, StreamStalledError)
    assert DEVICE in str(machine.error_seen)
    assert "off line" in str(machine.error_seen)
    assert machine.tick(132.0) == Close()  # until it is closed
    assert machine.stalls == 1
    assert machine.closed(133.0) == Wait(133.5)
    assert isinstance(machine.error_seen, StreamStalledError)
    assert machine.tick(133.5) == AskBudget()


@pytest.mark.requirement("R4.stall")
def test_silence_counts_from_the_opening() -> None:
    machine = make()
    request(machine, 0.0)
    machine.opened(50.0)
    assert machine.tick(79.75) == Read()
    assert machine.tick(80.0) == Close()


@pytest.mark.requirement("R4.stall")
def test_bytes_of_any_kind_end_silence() -> None:
    machine = connected(quiet_after=None)
    for now in range(10, 1000, 10):
        machine.received(float(now))
        assert machine.tick(now + 9.0) == Read()
    assert machine.stalls == 0


@pytest.mark.requirement("R4.usual", "W1")
@pytest.mark.parametrize(
    ("stall_after", "gap", "interval", "limit"),
    [
        (30.0, 0.5, 0.2, 30.0),
        (30.0, 10.0, 0.0, 30.0),
        (30.0, 20.0, 0.0, 60.0),
        (30.0, 0.5, 45.0, 135.0),
        (30.0, 20.0, 45.0, 135.0),
        (30.0, 20.0, 15.0, 60.0),
        (2.0, 0.5, 0.2, 2.0),
        (100.0, 20.0, 15.0, 100.0),
    ],
)
def test_the_limit_is_the_longest_of_the_setting_and_what_the_stream_is_used_to(
    stall_after: float, gap: float, interval: float, limit: float
) -> None:
    machine = connected(stall_after=stall_after)
    machine.interval = interval
    feed(machine, gap)
    feed(machine, gap + 0.125)  # a shorter one does not lower it
    assert machine.silence_limit() == limit
    heard = gap + 0.125
    assert machine.tick(heard + limit - 0.25) == Read()
    assert machine.tick(heard + limit) == Close()


@pytest.mark.requirement("R4.usual")
def test_the_longest_gap_outlives_its_connection() -> None:
    machine = connected()
    feed(machine, 25.0)
    delay_of(machine, 26.0)
    connect(machine, 30.0)
    feed(machine, 31.0)
    assert machine.silence_limit() == 75.0


@pytest.mark.requirement("R4.usual")
def test_the_time_between_two_connections_is_no_gap() -> None:
    machine = connected()
    feed(machine, 1.0)
    delay_of(machine, 2.0)
    connect(machine, 2000.0)
    feed(machine, 2001.0)
    assert machine.silence_limit() == 30.0


@pytest.mark.requirement("R4.quiet", "W2")
def test_bytes_without_events_are_quiet_and_an_event_ends_it() -> None:
    machine = connected()
    feed(machine, 0.0)
    for now in (10.0, 20.0, 29.75):
        machine.received(now)
        assert machine.tick(now) == Read()
        assert state_of(machine) is StreamState.LIVE
    machine.received(30.0)
    assert machine.tick(30.0) == Read()
    assert state_of(machine) is StreamState.QUIET
    assert machine.since == 30.0
    machine.received(40.0)
    machine.tick(40.0)
    assert state_of(machine) is StreamState.QUIET
    assert machine.since == 30.0
    feed(machine, 41.0)
    assert state_of(machine) is StreamState.LIVE
    assert machine.since == 41.0
    assert machine.reason == ""


def kept_alive(machine: StreamMachine, begin: int, end: int) -> None:
    """Have a blank line come each 10 s; the last one 10 s before the end."""
    for now in range(begin, end, 10):
        machine.received(float(now))
        assert machine.tick(float(now)) == Read()


@pytest.mark.requirement("R4.quiet", "W2")
def test_a_quiet_stream_is_reopened_after_quiet_after() -> None:
    machine = connected()
    feed(machine, 0.0)
    kept_alive(machine, 10, 300)
    machine.received(299.75)
    assert machine.tick(299.75) == Read()
    assert state_of(machine) is StreamState.QUIET
    assert machine.tick(300.0) == Close()
    assert state_of(machine) is StreamState.STALLED
    assert machine.stalls == 1
    assert isinstance(machine.error_seen, StreamStalledError)
    assert "no event" in machine.reason
    assert machine.closed(300.0) == Wait(300.5)


@pytest.mark.requirement("R4.quiet")
def test_quiet_after_counts_from_the_last_event() -> None:
    machine = connected()
    kept_alive(machine, 10, 200)
    feed(machine, 200.0)
    kept_alive(machine, 210, 500)
    assert machine.tick(500.0) == Close()


@pytest.mark.requirement("R4.quiet")
def test_a_short_quiet_after_is_not_stretched_by_stall_after() -> None:
    machine = connected(quiet_after=12.0)
    feed(machine, 0.0)
    machine.received(10.0)
    machine.received(11.75)
    assert machine.tick(11.75) == Read()
    assert machine.tick(12.0) == Close()


@pytest.mark.requirement("R4.quiet")
def test_a_quiet_stream_can_fall_silent() -> None:
    machine = connected()
    kept_alive(machine, 10, 50)
    assert state_of(machine) is StreamState.QUIET
    assert machine.tick(69.75) == Read()
    assert machine.tick(70.0) == Close()
    assert "nothing came" in machine.reason


@pytest.mark.requirement("R4.stall")
def test_silence_and_quiet_begin_anew_with_a_connection() -> None:
    machine = connected()
    feed(machine, 0.0)
    kept_alive(machine, 10, 290)
    delay_of(machine, 290.0)
    connect(machine, 291.0)
    assert machine.tick(320.75) == Read()
    assert state_of(machine) is StreamState.LIVE


@pytest.mark.requirement("R4.usual")
def test_a_stream_used_to_rare_events_is_live_between_them() -> None:
    machine = connected()
    feed(machine, 0.0)
    kept_alive(machine, 10, 50)
    assert state_of(machine) is StreamState.QUIET
    feed(machine, 50.0)
    kept_alive(machine, 60, 200)  # three times 50 s
    assert state_of(machine) is StreamState.LIVE
    machine.tick(200.0)
    assert state_of(machine) is StreamState.QUIET


@pytest.mark.requirement("R4.usual")
def test_a_stream_used_to_rare_events_is_not_reopened_between_them() -> None:
    machine = connected()
    machine.interval = 120.0
    feed(machine, 0.0)
    kept_alive(machine, 10, 360)
    assert state_of(machine) is StreamState.LIVE
    assert machine.tick(360.0) == Close()


@pytest.mark.requirement("R4.pause")
def test_the_clock_of_silence_stops_while_paused() -> None:
    machine = connected()
    feed(machine, 10.0)
    machine.paused(20.0)
    assert machine.tick(10_000.0) == Read()
    assert state_of(machine) is StreamState.LIVE
    machine.resumed(10_000.0)
    assert machine.tick(10_019.75) == Read()
    assert machine.tick(10_020.0) == Close()


@pytest.mark.requirement("R4.pause")
def test_the_clock_of_quiet_stops_while_paused() -> None:
    machine = connected()
    feed(machine, 0.0)
    machine.received(10.0)
    machine.received(20.0)
    machine.paused(20.0)
    machine.resumed(1000.0)
    machine.received(1009.0)
    machine.tick(1009.75)
    assert state_of(machine) is StreamState.LIVE
    machine.tick(1010.0)
    assert state_of(machine) is StreamState.QUIET
    kept_alive(machine, 1010, 1280)
    assert machine.tick(1280.0) == Close()


@pytest.mark.requirement("R4.pause")
def test_several_pauses_add_up() -> None:
    machine = connected()
    for begin, end in ((10.0, 1000.0), (1005.0, 2000.0), (2005.0, 3000.0)):
        machine.paused(begin)
        machine.paused(begin + 100.0)  # as it was already
        machine.resumed(end)
        machine.resumed(end + 1.0)  # as it was already
    # Not paused for 20 of 3000 s.
    assert machine.tick(3009.75) == Read()
    assert machine.tick(3010.0) == Close()


@pytest.mark.requirement("R4.pause")
def test_a_pause_is_no_gap() -> None:
    machine = connected()
    feed(machine, 1.0)
    machine.paused(2.0)
    machine.resumed(1002.0)
    feed(machine, 1003.0)
    assert machine.silence_limit() == 30.0


@pytest.mark.requirement("R4.pause")
def test_an_event_read_before_a_pause_and_passed_on_after_it_does_not_count_the_pause() -> None:
    machine = connected()
    machine.received(10.0)
    assert machine.event(reading(1), 10.0)
    machine.paused(10.0)
    machine.resumed(1000.0)
    assert machine.event(reading(2), 10.0)  # of the same read
    machine.received(1010.0)
    assert machine.tick(1010.0) == Read()
    assert state_of(machine) is StreamState.LIVE


@pytest.mark.requirement("R4.pause")
def test_a_pause_ends_with_its_connection() -> None:
    machine = connected()
    machine.paused(10.0)
    delay_of(machine, 20.0)
    connect(machine, 30.0)
    assert machine.tick(60.0) == Close()


def test_a_pause_that_began_when_the_connection_was_given_up_ends_with_it() -> None:
    machine = connected()
    assert machine.tick(30.0) == Close()
    machine.paused(30.0)  # with what had been read before it could be closed
    machine.closed(30.0)
    connect(machine, 31.0)
    assert machine.tick(61.0) == Close()


@pytest.mark.requirement("R4.stall")
def test_stall_after_none_counts_no_silence() -> None:
    machine = connected(stall_after=None)
    machine.interval = 1.0
    assert machine.silence_limit() is None
    feed(machine, 1.0)
    assert machine.tick(1e9) == Read()
    assert state_of(machine) is StreamState.LIVE
    assert machine.stalls == 0


@pytest.mark.requirement("R4.quiet")
def test_stall_after_none_still_reopens_what_is_kept_alive_without_events() -> None:
    machine = connected(stall_after=None)
    feed(machine, 0.0)
    kept_alive(machine, 10, 300)
    assert machine.tick(300.0) == Close()
    assert "no event" in machine.reason


@pytest.mark.requirement("R4.quiet")
def test_quiet_after_none_never_reopens_what_is_kept_alive() -> None:
    machine = connected(quiet_after=None)
    feed(machine, 0.0)
    kept_alive(machine, 10, 100_000)
    assert state_of(machine) is StreamState.QUIET
    assert machine.stalls == 0


def test_without_either_limit_nothing_is_ever_reopened() -> None:
    machine = connected(stall_after=None, quiet_after=None)
    kept_alive(machine, 10, 100_000)
    assert machine.tick(1e9) == Read()
    assert state_of(machine) is StreamState.LIVE


# --- R5: silence is not paid for again and again


SLOW = [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, HOUR, HOUR, HOUR]


def silences(machine: StreamMachine, times: int) -> list[float]:
    """Have an open connection fall silent, and each that follows; return the waits."""
    waits: list[float] = []
    for _ in range(times):
        waits.append(fall_silent(machine, machine.since + 30.0))
        connect(machine, due(machine))
    return waits


@pytest.mark.requirement("R5.prompt", "R5.slow", "W1")
def test_silence_is_reopened_promptly_once_then_slowly() -> None:
    assert silences(connected(), 10) == [0.5, *SLOW]


@pytest.mark.requirement("R5.prompt")
def test_the_prompt_reopening_is_prompt_after_any_number_of_tries_and_jittered() -> None:
    machine = make(rng=draws(*[1.0] * 8, 0.5))
    request(machine, 0.0)
    delay_of(machine, 0.0)
    for _ in range(7):
        fail_again(machine)
    connect(machine, 1000.0)
    assert fall_silent(machine, 1030.0) == 0.25


@pytest.mark.requirement("R5.slow")
def test_a_quiet_stream_goes_on_the_same_schedule() -> None:
    machine = connected()
    waits: list[float] = []
    for _ in range(4):
        begin = math.ceil(machine.since)
        kept_alive(machine, begin + 10, begin + 300)
        waits.append(fall_silent(machine, begin + 300.0))
        connect(machine, due(machine))
    assert waits == [0.5, 60.0, 120.0, 240.0]


@pytest.mark.requirement("R5.over")
def test_one_event_ends_the_slow_schedule() -> None:
    machine = connected()
    assert silences(machine, 4) == [0.5, 60.0, 120.0, 240.0]
    feed(machine, now := machine.since + 1.0)
    assert fall_silent(machine, now + 30.0) == 0.5
    now = due(machine)
    assert machine.tick(now) == AskBudget()  # prompt again: without the listing
    machine.granted(now)
    machine.opened(now)
    assert silences(machine, 2) == [60.0, 120.0]


@pytest.mark.requirement("R5.over")
def test_the_repeated_cached_event_does_not_end_the_slow_schedule() -> None:
    machine = connected()
    feed(machine, 0.0, timestamp_ms=77)
    waits: list[float] = []
    now = 0.0
    for _ in range(5):
        waits.append(fall_silent(machine, now + 30.0))
        connect(machine, now := due(machine))
        assert not feed(machine, now, timestamp_ms=77)
    assert waits == [0.5, 60.0, 120.0, 240.0, 480.0]


@pytest.mark.requirement("R5.over")
def test_a_failed_try_does_not_end_the_slow_schedule() -> None:
    machine = connected()
    assert silences(machine, 2) == [0.5, 60.0]
    delay_of(machine, machine.since)
    fail_again(machine)
    connect(machine, due(machine))
    assert fall_silent(machine, machine.since + 30.0) == 120.0


@pytest.mark.requirement("R3.asked")
def test_the_servers_retry_is_the_least_wait_after_silence_too() -> None:
    machine = connected()
    machine.server_wait(200_000)
    assert silences(machine, 5) == [200.0, 200.0, 200.0, 240.0, 480.0]
    machine.server_wait(10**9)
    assert silences(machine, 1) == [HOUR]


def listing(*, is_connected: bool | None = None, interval: int | None = None) -> dict[str, Device]:
    return {DEVICE: Device(DEVICE, is_connected=is_connected, input_interval_ms=interval)}


def twice_silent() -> StreamMachine:
    """Return a machine that waits on the slow schedule, due at 120."""
    machine = connected()
    fall_silent(machine, 30.0)
    connect(machine, due(machine))
    assert fall_silent(machine, 60.5) == 60.0
    return machine


@pytest.mark.requirement("R5.listing", "W3")
def test_the_listing_is_asked_before_silence_is_paid_for_again() -> None:
    machine = connected()
    fall_silent(machine, 30.0)
    assert machine.tick(30.5) == AskBudget()  # the prompt reopening asks nobody
    machine.granted(30.5)
    machine.opened(30.5)
    fall_silent(machine, 60.5)
    assert machine.tick(120.0) == Wait(120.5)
    assert machine.tick(120.5) == AskListing()


@pytest.mark.requirement("R5.listing")
def test_a_try_that_fails_amid_the_slow_schedule_is_repeated_without_the_listing() -> None:
    machine = twice_silent()
    request(machine, 120.5)
    delay_of(machine, 120.5)
    assert machine.tick(due(machine)) == AskBudget()


@pytest.mark.requirement("R5.listing")
@pytest.mark.parametrize("devices", [None, {}, listing(), listing(is_connected=True)], ids=str)
def test_what_is_not_listed_as_off_line_is_opened(devices: dict[str, Device] | None) -> None:
    machine = twice_silent()
    assert machine.tick(120.5) == AskListing()
    assert machine.listed(devices, 121.0) == AskBudget()
    assert state_of(machine) is StreamState.WAITING_FOR_BUDGET


@pytest.mark.requirement("R5.listing", "W3")
def test_what_is_listed_as_not_connected_is_off_line_until_a_listing_says_otherwise() -> None:
    machine = twice_silent()
    machine.tick(120.5)
    for now in (121.0, 181.0, 241.0):
        assert machine.listed(listing(is_connected=False), now) == Wait(now + 60.0)
        assert state_of(machine) is StreamState.OFFLINE
        assert machine.since == 121.0
        assert machine.tick(now + 59.75) == Wait(now + 60.0)
        assert machine.tick(now + 60.0) == AskListing()
    assert machine.listed(listing(is_connected=True), 301.0) == AskBudget()
    machine.granted(301.0)
    machine.opened(301.0)
    assert feed(machine, 302.0)
    assert state_of(machine) is StreamState.LIVE


@pytest.mark.requirement("R5.listing")
def test_a_bit_that_came_back_and_is_silent_again_goes_on_the_slow_schedule_from_its_start() -> None:
    machine = connected()
    silences(machine, 6)
    fall_silent(machine, machine.since + 30.0)
    machine.tick(due(machine))
    machine.listed(listing(is_connected=False), 10_000.0)
    machine.tick(10_060.0)
    machine.listed(listing(is_connected=True), 10_060.0)
    machine.granted(10_060.0)
    machine.opened(10_060.0)
    assert fall_silent(machine, 10_090.0) == 60.0


@pytest.mark.requirement("R4.usual")
def test_the_listing_tells_the_interval() -> None:
    machine = twice_silent()
    machine.tick(120.5)
    machine.listed(listing(interval=20_000), 121.0)
    assert machine.silence_limit() == 60.0


def test_an_interval_that_is_absurd_does_not_switch_the_watch_off() -> None:
    machine = make()
    machine.know_interval(2**63)
    day = 24 * 60 * 60
    assert machine.silence_limit() == 3 * day


def test_the_repeat_of_an_event_that_was_lost_on_its_way_is_passed_on_behind_a_gap() -> None:
    machine = make()
    request(machine, 0.0)
    machine.opened(0.0)
    assert machine.event(reading(1), 1.0)
    machine.not_passed_on()
    machine.error(StreamError("broken"), 2.0)
    machine.tick(100.0)
    machine.granted(100.0)
    machine.opened(100.0)
    assert machine.event(reading(1), 100.0)
    assert machine.gap_reason == "broken"


NOT_FOUND = NotFoundError("404 Not Found", status=404)


def not_found(now: float) -> StreamMachine:
    machine = make()
    request(machine, now)
    assert machine.error(NOT_FOUND, now) == AskListing()
    return machine


@pytest.mark.requirement("R6.listed")
@pytest.mark.parametrize("devices", [None, {}], ids=str)
def test_a_404_of_a_device_that_is_not_listed_is_a_refusal(devices: dict[str, Device] | None) -> None:
    machine = not_found(100.0)
    assert machine.listed(devices, 101.0) == Wait(1001.0)
    assert state_of(machine) is StreamState.FAILED
    assert error_of(machine) is NOT_FOUND
    assert machine.tick(1001.0) == AskBudget()


@pytest.mark.requirement("R6.listed", "W3")
def test_a_404_of_a_device_that_is_listed_is_off_line() -> None:
    machine = not_found(0.0)
    assert machine.listed(listing(is_connected=False), 1.0) == Wait(61.0)
    assert state_of(machine) is StreamState.OFFLINE
    assert error_of(machine) is NOT_FOUND


@pytest.mark.requirement("R5.slow")
def test_a_404_of_a_device_that_is_listed_and_not_known_to_be_off_line_is_paid_for_ever_more_seldom() -> None:
    machine = not_found(0.0)
    now, waits = 0.0, list[float]()
    for _ in range(4):
        command = machine.listed(listing(), now)
        assert state_of(machine) is StreamState.OFFLINE
        assert isinstance(command, Wait)
        waits.append((command.until or 0.0) - now)
        now = due(machine)
        assert machine.tick(now) == AskListing()
        assert machine.listed(listing(), now) == AskBudget()
        machine.granted(now)
        assert machine.error(NOT_FOUND, now) == AskListing()
    assert waits == [60.0, 120.0, 240.0, 480.0]


@pytest.mark.requirement("R6.token")
def test_a_refused_token_while_the_listing_is_asked_ends_it() -> None:
    machine = not_found(0.0)
    assert machine.error(REFUSED_TOKEN, 1.0) == Wait(None)
    assert machine.retry(2.0) == AskBudget()
    machine.granted(2.0)
    machine.opened(2.0)
    fall_silent(machine, 32.0)
    connect(machine, due(machine))
    fall_silent(machine, 70.0)
    machine.tick(due(machine))
    assert machine.listed({}, 200.0) == AskBudget()  # the old 404 is forgotten


# --- R9: gaps are told


@pytest.mark.requirement("R9.reconnect")
def test_events_may_be_missing_after_a_reconnect_and_the_reason_is_told() -> None:
    machine = make()
    connect(machine, 0.0)
    reasons: list[str | None] = []
    for now in (1.0, 2.0):
        feed(machine, now)
        reasons.append(machine.gap_reason)
    machine.error(StreamClosedError("the server ended the stream"), 3.0)
    connect(machine, 4.0)
    for now in (5.0, 6.0):
        feed(machine, now)
        reasons.append(machine.gap_reason)
    assert reasons == [None, None, "the server ended the stream", None]  # nothing came before the first of all


@pytest.mark.requirement("R9.reconnect")
def test_the_newest_value_told_again_shows_that_nothing_is_missing() -> None:
    machine = make()
    connect(machine, 0.0)
    feed(machine, 1.0, timestamp_ms=7)
    machine.error(LOST, 3.0)
    connect(machine, 4.0)
    assert not feed(machine, 5.0, timestamp_ms=7)
    assert feed(machine, 6.0, timestamp_ms=8)
    assert machine.gap_reason is None


# --- R6: errors are not lost


@pytest.mark.requirement("R6.token")
@pytest.mark.parametrize("error", [REFUSED_TOKEN, SessionClosedError("closed")], ids=repr)
def test_what_no_waiting_mends_fails_without_a_time(error: LittleBitsError) -> None:
    machine = make()
    request(machine, 0.0)
    assert machine.error(error, 1.0) == Wait(None)
    assert state_of(machine) is StreamState.FAILED
    assert machine.retry_at is None
    assert machine.error_seen is error
    assert machine.reason == str(error)
    assert machine.tick(1e9) == Wait(None)
    assert state_of(machine) is StreamState.FAILED


@pytest.mark.requirement("R6.refused", "W7")
@pytest.mark.parametrize(
    "status", [400, 402, 403, 404, 405, 406, 407, 409, 410, 418, 422, 424, 426, 428, 431, 451, 499]
)
def test_a_refusal_fails_one_device_for_a_quarter_of_an_hour(status: int) -> None:
    error = APIError("no", status=status)
    machine = make()
    request(machine, 0.0)
    assert machine.error(error, 100.0) == Wait(1000.0)
    assert state_of(machine) is StreamState.FAILED
    assert machine.error_seen is error
    assert machine.retry_at == 1000.0
    assert machine.tick(999.75) == Wait(1000.0)
    assert machine.tick(1000.0) == AskBudget()


@pytest.mark.requirement("R6.refused")
def test_a_refusal_is_tried_each_quarter_of_an_hour() -> None:
    machine = make()
    request(machine, 0.0)
    for now in (0.0, 900.0, 1800.0, 2700.0):
        assert machine.error(FORBIDDEN, now) == Wait(now + 900.0)
        request(machine, now + 900.0)


@pytest.mark.requirement("R6.add", "W7")
@pytest.mark.parametrize("error", [REFUSED_TOKEN, FORBIDDEN, BadRequestError("400", status=400)], ids=repr)
def test_a_failed_device_is_tried_at_once_on_demand(error: LittleBitsError) -> None:
    machine = make()
    request(machine, 0.0)
    delay_of(machine, 0.0)
    fail_again(machine)
    request(machine, 10.0)
    machine.error(error, 10.0)
    assert machine.retry(11.0) == AskBudget()
    assert state_of(machine) is StreamState.WAITING_FOR_BUDGET
    assert machine.granted(11.0) == Open()
    assert delay_of(machine, 11.0) == 0.5  # counted from the demand


@pytest.mark.requirement("R6.add")
def test_a_demand_does_not_shorten_a_backoff() -> None:
    machine = make()
    request(machine, 0.0)
    delay_of(machine, 0.0)
    assert machine.retry(0.25) == Wait(0.5)
    assert state_of(machine) is StreamState.BACKING_OFF


@pytest.mark.requirement("R6.token", "W6")
@pytest.mark.parametrize(
    "steps", [("start",), ("start", "granted"), ("start", "granted", "opened"), ("start", "granted", "error")], ids=str
)
def test_a_token_refused_elsewhere_fails_a_stream_in_any_state(steps: tuple[str, ...]) -> None:
    machine = make()
    for step in steps:
        if step == "error":
            machine.error(LOST, 1.0)
        else:
            getattr(machine, step)(1.0)
    assert machine.error(REFUSED_TOKEN, 2.0) == Wait(None)
    assert state_of(machine) is StreamState.FAILED
    assert machine.retry_at is None


# --- R1: the repeat of the last event right after a reconnect is dropped


@pytest.mark.requirement("R1.repeat", "W8")
def test_the_repeat_of_the_last_event_right_after_a_reconnect_is_dropped() -> None:
    machine = connected()
    assert feed(machine, 1.0, timestamp_ms=500)
    assert feed(machine, 2.0, timestamp_ms=600)
    delay_of(machine, 3.0)
    connect(machine, 4.0)
    assert not feed(machine, 4.0, timestamp_ms=600)
    assert machine.last_event_at == 2.0
    assert feed(machine, 5.0, timestamp_ms=700)
    assert machine.last_event_at == 5.0


@pytest.mark.requirement("R1.repeat")
def test_a_repeat_is_dropped_after_any_number_of_reconnects() -> None:
    machine = connected()
    assert feed(machine, 1.0, timestamp_ms=500)
    for now in (10.0, 20.0, 30.0):
        delay_of(machine, now)
        connect(machine, now + 9.0)
        assert not feed(machine, now + 9.0, timestamp_ms=500)


@pytest.mark.requirement("R1.repeat")
def test_only_the_first_event_of_a_connection_can_be_a_repeat() -> None:
    machine = connected()
    assert feed(machine, 1.0, timestamp_ms=500)
    assert feed(machine, 2.0, timestamp_ms=500)
    delay_of(machine, 3.0)
    connect(machine, 4.0)
    assert not feed(machine, 4.0, timestamp_ms=500)
    assert feed(machine, 4.0, timestamp_ms=500)
    delay_of(machine, 5.0)
    connect(machine, 9.0)
    assert feed(machine, 9.0, timestamp_ms=501)
    assert feed(machine, 9.0, timestamp_ms=501)


@pytest.mark.requirement("R1.repeat")
def test_an_older_event_after_a_reconnect_is_no_repeat() -> None:
    machine = connected()
    feed(machine, 1.0, timestamp_ms=500)
    feed(machine, 2.0, timestamp_ms=600)
    delay_of(machine, 3.0)
    connect(machine, 4.0)
    assert feed(machine, 4.0, timestamp_ms=500)


@pytest.mark.requirement("R1.repeat")
def test_an_event_of_another_device_with_the_same_time_is_no_repeat() -> None:
    machine = connected()
    feed(machine, 1.0, timestamp_ms=500)
    delay_of(machine, 3.0)
    connect(machine, 4.0)
    machine.received(4.0)
    assert machine.event(reading(500, device_id="00e040000002"), 4.0)


@pytest.mark.requirement("R1.repeat")
def test_the_first_event_of_all_is_passed_on_even_with_the_time_0() -> None:
    assert feed(connected(), 1.0, timestamp_ms=0)


def test_a_repeat_does_not_make_a_quiet_stream_live() -> None:
    machine = connected()
    feed(machine, 0.0, timestamp_ms=500)
    delay_of(machine, 1.0)
    connect(machine, 2.0)
    kept_alive(machine, 10, 50)
    assert state_of(machine) is StreamState.QUIET
    assert not feed(machine, 50.0, timestamp_ms=500)
    assert state_of(machine) is StreamState.QUIET


# --- Chance


@pytest.mark.requirement("R3.backoff")
def test_two_streams_that_fail_together_come_back_apart() -> None:
    waits: set[float] = set()
    for _ in range(20):
        machine = StreamMachine(DEVICE, backoff=Backoff(), stall_after=30.0, quiet_after=None, now=0.0)
        request(machine, 0.0)
        waits.add(delay_of(machine, 0.0))
    assert all(0.0 <= wait <= 0.5 for wait in waits)
    assert len(waits) > 1
