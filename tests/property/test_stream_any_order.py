"""The machine told anything at any time: in turn, too late, twice, unasked, and after its end.

`test_stream.py` drives it as its driver does, and holds it to its figures. Here the world keeps to nothing, and the
machine still never has two connections, pays for each opening, and finds its way back.
"""

import math
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from random import Random
from typing import Final

import pytest
from attrs import evolve, frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from littlebits_async.backoff import Backoff
from littlebits_async.errors import (
    AuthenticationError,
    BudgetExhaustedError,
    DecodeError,
    LittleBitsError,
    NotFoundError,
    RequestTimeoutError,
    SessionClosedError,
    StreamClosedError,
    StreamError,
    StreamStalledError,
    TransportError,
)
from littlebits_async.models import Device, InputEvent, StreamState
from littlebits_async.stream import AskBudget, AskListing, Close, Command, Open, Read, StreamMachine, Wait
from littlebits_async.wire import read_error

HOUR: Final = 3600.0
QUARTER: Final = 900.0
DAY: Final = 24 * HOUR
A_MOMENT: Final = 1e-6  # times are floats

WAITING: Final = frozenset({StreamState.BACKING_OFF, StreamState.OFFLINE, StreamState.FAILED})
AILING: Final = WAITING | {StreamState.STALLED}
STATES: Final = {
    type(None): {StreamState.CONNECTING},  # not begun
    AskBudget: {StreamState.WAITING_FOR_BUDGET},
    AskListing: {StreamState.BACKING_OFF, StreamState.OFFLINE, StreamState.CONNECTING},
    Open: {StreamState.CONNECTING},
    Read: {StreamState.LIVE, StreamState.QUIET},
    Close: {StreamState.STALLED},
    Wait: WAITING | {StreamState.CLOSED},
}

# From one tick to the next: nothing, a sweep, a nap of the laptop, a holiday.
PASSING_TIMES = st.just(0.0) | st.floats(0, 1) | st.floats(0, 400) | st.floats(0, 2 * HOUR) | st.floats(0, 30 * DAY)
ASKED_WAITS = st.sampled_from([0.0, 1e-9, 7.0, HOUR, 14 * HOUR, 1e18, 1e308, math.inf, math.nan]) | st.floats(0, 100)
REFUSING = st.sampled_from([400, 402, 403, 405, 406, 409, 410, 422, 451, 499])
PASSING = st.sampled_from([301, 302, 408, 425, 429, 500, 502, 503, 504, 599])
LIMITS = st.none() | st.floats(0.01, 1000)


def answered(status: int, retry_after: float | None) -> LittleBitsError:
    path, now = "/devices/a/input", datetime(2026, 7, 1, tzinfo=UTC)
    error = read_error(method="GET", path=path, status=status, headers={}, body=b"", now=now)
    error.retry_after = retry_after
    return error


FAILURES = st.builds(answered, PASSING, st.none() | ASKED_WAITS) | st.sampled_from(
    [
        TransportError("refused", phase="connect"),
        RequestTimeoutError("no answer"),
        DecodeError("a gateway's page"),
        StreamError("the stream broke"),
        StreamClosedError("the server ended the stream"),
        StreamStalledError("nothing came"),
        LittleBitsError("anything else"),
    ]
)
REFUSALS = st.builds(answered, REFUSING, st.none() | ASKED_WAITS)
NOT_FOUND = st.builds(answered, st.just(404), st.none())
EMPTY_BUDGETS = st.builds(BudgetExhaustedError, st.just("spent"), wait=ASKED_WAITS)
FINAL = st.builds(answered, st.just(401), st.none()) | st.builds(SessionClosedError, st.just("closed"))

NAMED = st.builds(
    Device, st.just("a"), is_connected=st.none() | st.booleans(), input_interval_ms=st.integers(200, 10**5)
)
NOT_NAMED = st.sampled_from([(), (Device("b", is_connected=True),)])
LISTINGS: st.SearchStrategy[dict[str, Device] | None] = st.none() | (
    NAMED.map(lambda device: (device,)) | NOT_NAMED
).map(lambda devices: {device.id: device for device in devices})


@frozen
class Seen:
    """What anybody may see of a machine."""

    state: StreamState
    reason: str
    error: str
    since: float
    attempt: int
    retry_at: float | None
    last_event_at: float | None
    reconnects: int
    stalls: int
    silence: float | None


def look(machine: StreamMachine) -> Seen:
    return Seen(
        machine.state,
        machine.reason,
        repr(machine.error_seen),
        machine.since,
        machine.attempt,
        machine.retry_at,
        machine.last_event_at,
        machine.reconnects,
        machine.stalls,
        machine.silence_limit(),
    )


class World(RuleBasedStateMachine):
    @initialize(
        stall_after=LIMITS,
        quiet_after=LIMITS,
        base=st.floats(0.01, 10),
        more=st.floats(0, 1000),
        healthy_after=st.floats(0, 60),
        chance=st.randoms(use_true_random=False),
        now=st.sampled_from([0.0, 1e6]),
    )
    def begin(  # noqa: PLR0917 - hypothesis passes them by name
        self,
        stall_after: float | None,
        quiet_after: float | None,
        base: float,
        more: float,
        healthy_after: float,
        chance: Random,
        now: float,
    ) -> None:
        self.stall_after = stall_after
        self.quiet_after = quiet_after
        self.backoff = Backoff(base=base, cap=base + more, healthy_after=healthy_after)
        self.chance = chance
        self.now = now
        self.add()

    def add(self) -> None:
        self.told: list[StreamState] = []
        self.machine = StreamMachine(
            "a",
            backoff=self.backoff,
            stall_after=self.stall_after,
            quiet_after=self.quiet_after,
            now=self.now,
            rng=self.chance.random,
            on_change=lambda machine: self.told.append(machine.state),
        )
        self.seen = look(self.machine)
        self.asked: Command | None = None  # what the machine wants done, and waits for
        self.grants = self.opens = self.events = 0
        self.paused_at: float | None = None
        self.heard_at = self.now

    @property
    def connected(self) -> bool:
        return isinstance(self.asked, Read | Close)

    # What the machine says

    def obey(self, command: Command) -> None:
        match command:
            case AskBudget():
                assert not self.connected
                assert not isinstance(self.asked, AskBudget)
            case AskListing():
                assert not self.connected
            case Open():
                assert not self.connected
                assert not isinstance(self.asked, Open)
                self.opens += 1
            case Read() | Close():
                assert self.connected
            case Wait(until):
                if self.machine.state not in STATES[Wait]:
                    return  # what was asked for is still to come
                assert until == self.machine.retry_at
                assert not self.connected
        self.asked = command

    def fitting(self, command: Command) -> None:
        """Take the answer to what was asked for, or to what ended all that."""
        self.asked, before = None, self.machine.retry_at
        self.obey(command)
        until = self.machine.retry_at
        if until is not None and until != before:
            assert self.now <= until <= self.now + max(HOUR, self.backoff.cap) + A_MOMENT

    def unfitting(self, tell: Callable[[StreamMachine], Command]) -> None:
        """Tell what was not asked for: it is a tick, and nothing else."""
        twin = copy(self.machine)
        expected = twin.tick(self.now)
        command = tell(self.machine)
        assert command == expected
        assert look(self.machine) == look(twin)
        self.obey(command)

    def answer(self, asked: type[Command], tell: Callable[[StreamMachine], Command]) -> bool:
        fits = isinstance(self.asked, asked)
        if fits:
            self.fitting(tell(self.machine))
        else:
            self.unfitting(tell)
        return fits

    # What happens

    @rule()
    def start(self) -> None:
        if self.asked is None:
            self.fitting(self.machine.start(self.now))
            assert isinstance(self.asked, AskBudget)
        else:
            self.unfitting(lambda machine: machine.start(self.now))

    @rule(seconds=st.floats(0, 2 * HOUR))
    def queued(self, seconds: float) -> None:
        before = look(self.machine)
        self.machine.queued(seconds, self.now)
        asked = isinstance(self.asked, AskBudget)
        after = evolve(before, retry_at=self.now + seconds) if asked else before
        self.machine.overdue(self.now + seconds - 1)
        assert look(self.machine) == after
        self.machine.overdue(self.now + seconds)
        assert look(self.machine) == (evolve(before, retry_at=None) if asked else before)

    @rule()
    def granted(self) -> None:
        self.grants += isinstance(self.asked, AskBudget)
        if self.answer(AskBudget, lambda machine: machine.granted(self.now)):
            assert isinstance(self.asked, Open)

    @rule()
    def opened(self) -> None:
        if isinstance(self.asked, Open):
            command = self.machine.opened(self.now)
            assert command == Read()
            self.asked = command
            self.heard_at, self.events, self.paused_at = self.now, 0, None
        elif self.connected:
            self.unfitting(lambda machine: machine.opened(self.now))
        else:
            # A connection that nobody wants any more: it is closed, and all else is as it was.
            before = look(self.machine)
            assert self.machine.opened(self.now) == Close()
            assert look(self.machine) == before

    @rule()
    def closed(self) -> None:
        if self.connected:
            stalled = isinstance(self.asked, Close)
            self.fitting(self.machine.closed(self.now))
            assert self.machine.state is StreamState.BACKING_OFF
            assert stalled == isinstance(self.machine.error_seen, StreamStalledError)
        else:
            self.unfitting(lambda machine: machine.closed(self.now))

    @rule(listing=LISTINGS)
    def listed(self, listing: dict[str, Device] | None) -> None:
        self.answer(AskListing, lambda machine: machine.listed(listing, self.now))

    @rule(error=FAILURES | EMPTY_BUDGETS)
    def error(self, error: LittleBitsError) -> None:
        final = isinstance(error, AuthenticationError | SessionClosedError)
        state = self.machine.state
        if state is StreamState.CLOSED or (state is StreamState.FAILED and not final):
            self.unfitting(lambda machine: machine.error(error, self.now))
            return
        opening = isinstance(self.asked, Open)
        self.fitting(self.machine.error(error, self.now))
        if final:
            assert self.machine.state is StreamState.FAILED
            assert self.asked == Wait(None)
        elif opening and isinstance(error, NotFoundError):
            assert isinstance(self.asked, AskListing)
        else:
            assert self.machine.state in WAITING
            assert isinstance(self.machine.retry_at, float)
        if not isinstance(self.asked, AskListing):
            assert self.machine.error_seen is error

    @rule(error=REFUSALS)
    def refused(self, error: LittleBitsError) -> None:
        self.error(error)

    @rule(error=NOT_FOUND)
    def not_found(self, error: LittleBitsError) -> None:
        self.error(error)

    @rule(error=FINAL)
    def refused_for_good(self, error: LittleBitsError) -> None:
        self.error(error)

    @rule()
    def received(self) -> None:
        before = look(self.machine)
        self.machine.received(self.now)
        if self.connected:
            self.heard_at = self.now
        else:
            assert look(self.machine) == before

    @rule(timestamp=st.integers(0, 5))
    def event(self, timestamp: int) -> None:
        self.received()
        before = look(self.machine)
        passed_on = self.machine.event(InputEvent(device_id="a", timestamp_ms=timestamp, percent=0.0), self.now)
        if not self.connected:
            assert not passed_on
            assert look(self.machine) == before
            return
        self.events += 1
        assert passed_on or self.events == 1
        if passed_on:
            assert self.machine.last_event_at == self.now
            assert self.machine.state is not StreamState.QUIET

    @rule(milliseconds=st.integers(0, 10**6) | st.sampled_from([10**15, 10**400]))
    def server_wait(self, milliseconds: int) -> None:
        self.machine.server_wait(milliseconds)

    @rule()
    def paused(self) -> None:
        self.machine.paused(self.now)
        if self.paused_at is None:
            self.paused_at = self.now

    @rule()
    def resumed(self) -> None:
        self.machine.resumed(self.now)
        if self.paused_at is not None:
            self.heard_at = min(self.now, self.heard_at + self.now - self.paused_at)
            self.paused_at = None

    @rule()
    def retry(self) -> None:
        failed = self.machine.state is StreamState.FAILED
        before = look(self.machine)
        command = self.machine.retry(self.now)
        if failed:
            self.fitting(command)
            assert isinstance(self.asked, AskBudget)
        else:
            assert command == Wait(before.retry_at)
            assert look(self.machine) == before

    @rule(seconds=PASSING_TIMES)
    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.machine.tick(self.now))

    @precondition(lambda self: self.machine.state in WAITING and self.machine.retry_at is not None)
    @rule()
    def tick_at_the_last_moment_before_its_time(self) -> None:
        assert self.machine.retry_at is not None
        before = math.nextafter(self.machine.retry_at, -math.inf)
        if before >= self.now:
            self.now = before
            assert self.machine.tick(self.now) == Wait(self.machine.retry_at)

    @precondition(lambda self: self.machine.state in WAITING and self.machine.retry_at is not None)
    @rule()
    def tick_in_time(self) -> None:
        assert self.machine.retry_at is not None
        self.now = max(self.now, self.machine.retry_at)
        self.obey(self.machine.tick(self.now))
        assert isinstance(self.asked, AskBudget | AskListing)

    @precondition(lambda self: isinstance(self.asked, Read) and self.paused_at is None and self.stall_after is not None)
    @rule()
    def nothing_comes(self) -> None:
        limit = self.machine.silence_limit()
        assert limit is not None
        self.now = max(self.now, self.heard_at + limit + A_MOMENT)
        self.obey(self.machine.tick(self.now))
        assert isinstance(self.asked, Close)

    @precondition(lambda self: self.paused_at is None and self.stall_after is not None)
    @rule(times=st.integers(4, 9))
    def only_signs_of_life_come(self, times: int) -> None:
        self.reach(Read)
        for _ in range(times):
            limit = self.machine.silence_limit()
            assert limit is not None
            self.received()
            self.tick(limit * 0.3)  # a gap that makes no longer one usual
            if not isinstance(self.asked, Read):
                return  # for too long
        self.event(8)
        self.event(9)
        assert self.machine.state is StreamState.LIVE

    @rule(is_connected=st.none() | st.booleans())
    def it_is_not_found_and_yet_listed(self, is_connected: bool | None) -> None:  # noqa: FBT001
        self.reach(Open)
        self.not_found(answered(404, None))
        self.listed({"a": Device("a", is_connected=is_connected)})
        assert self.machine.state is StreamState.OFFLINE

    @rule(listing=LISTINGS, failure=FAILURES | REFUSALS | NOT_FOUND | FINAL)
    def removed_and_added_again(self, listing: dict[str, Device] | None, failure: LittleBitsError) -> None:
        self.machine.removed(self.now)
        self.asked = Wait(None)
        for _ in range(2):  # whatever it hears of after its end, it asks for nothing
            self.start()
            self.queued(1.0)
            self.granted()
            self.opened()
            self.event(1)
            self.closed()
            self.listed(listing)
            self.error(failure)
            self.retry()
            self.tick(30 * DAY)
            assert self.asked == Wait(None)
            assert self.machine.state is StreamState.CLOSED
        self.add()

    # What a world does that means well

    @rule()
    def it_finds_its_way_back(self) -> None:
        begun_at = self.now
        self.reach(Read)
        assert self.now - begun_at <= HOUR + QUARTER
        self.event(6)
        self.event(7)
        assert self.machine.state is StreamState.LIVE

    @precondition(lambda self: self.stall_after is not None and self.paused_at is None)
    @rule(times=st.integers(1, 9))
    def nothing_comes_however_often_it_is_opened(self, times: int) -> None:
        for _ in range(times):
            self.reach(Read)
            self.nothing_comes()
            self.do_what_is_asked()

    def reach(self, wanted: type[Command]) -> None:
        for _ in range(10):
            if isinstance(self.asked, wanted):
                return
            self.do_what_is_asked()
        pytest.fail("no way leads there from here")

    def do_what_is_asked(self) -> None:
        match self.asked:
            case None:
                self.start()
            case AskBudget():
                self.granted()
            case AskListing():
                self.listed({"a": Device("a", is_connected=True)})
            case Open():
                self.opened()
            case Close():
                self.closed()
            case Wait(None):
                self.retry()
            case Wait(_):
                self.tick_in_time()
            case Read():
                self.closed()
        self.compare()

    def teardown(self) -> None:
        if hasattr(self, "machine"):
            self.it_finds_its_way_back()
            self.removed_and_added_again(None, LittleBitsError("late"))

    # What holds throughout

    @invariant()
    def the_state_says_what_is_being_done(self) -> None:
        state = self.machine.state
        assert state in STATES[type(self.asked)]
        assert not self.told or self.told[-1] is state
        assert (state is StreamState.CLOSED) == (self.asked == Wait(None) and self.machine.error_seen is None)

    @invariant()
    def every_opening_is_paid(self) -> None:
        assert self.opens <= self.grants

    @invariant()
    def what_ails_has_a_reason(self) -> None:
        state = self.machine.state
        assert self.machine.reason or state not in AILING | {StreamState.QUIET}
        assert (self.machine.error_seen is not None) or state not in AILING - {StreamState.OFFLINE}
        assert (self.machine.error_seen is None) or state not in (StreamState.LIVE, StreamState.QUIET)

    @invariant()
    def it_waits_for_a_time_or_to_be_told(self) -> None:
        state, retry_at = self.machine.state, self.machine.retry_at
        final = isinstance(self.machine.error_seen, AuthenticationError | SessionClosedError)
        if state is not StreamState.WAITING_FOR_BUDGET:
            assert (retry_at is not None) == (state in WAITING and not (state is StreamState.FAILED and final))
        assert retry_at is None or math.isfinite(retry_at)

    @invariant()
    def compare(self) -> None:
        before, now = self.seen, look(self.machine)
        self.seen = now
        assert now.attempt >= 0
        assert now.reconnects >= before.reconnects
        assert now.reconnects <= self.grants
        assert now.stalls >= before.stalls
        assert before.since <= now.since <= self.now
        assert (before.last_event_at or 0.0) <= (now.last_event_at or 0.0) <= self.now
        if now.silence is not None:
            assert self.stall_after is not None
            assert self.stall_after <= now.silence < math.inf


TestWorld = pytest.mark.requirement("R3", "R4", "R5", "R6")(World.TestCase)
TestWorld.settings = settings(deadline=None, max_examples=100, stateful_step_count=60)


# What the world found, one by one


def machine_that(*steps: str) -> StreamMachine:
    """Return a machine to which all this happened at once."""
    machine = StreamMachine("a", backoff=Backoff(), stall_after=30.0, quiet_after=None, now=0.0, rng=lambda: 1.0)
    for step in steps:
        match step:
            case "refused":
                machine.error(answered(403, None), 0.0)
            case "token refused":
                machine.error(answered(401, None), 0.0)
            case "not found":
                machine.error(answered(404, None), 0.0)
            case "lost":
                machine.error(TransportError("lost"), 0.0)
            case "silent":
                machine.tick(30.0)
            case _:
                getattr(machine, step)(0.0)
    return machine


STEPS = {
    "new": (),
    "waiting for budget": ("start",),
    "connecting": ("start", "granted"),
    "not found": ("start", "granted", "not found"),
    "live": ("start", "granted", "opened"),
    "stalled": ("start", "granted", "opened", "silent"),
    "backing off": ("start", "granted", "lost"),
    "failed": ("start", "granted", "refused"),
    "token refused": ("start", "granted", "token refused"),
    "closed": ("start", "granted", "removed"),
}


def in_states(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("machine", [machine_that(*STEPS[name]) for name in names], ids=names)


@pytest.mark.requirement("R5")
@in_states(*(name for name in STEPS if name != "waiting for budget"))
def test_a_grant_that_was_not_asked_for_opens_nothing(machine: StreamMachine) -> None:
    before = look(machine)
    assert machine.granted(0.0) != Open()
    assert look(machine) == before


@in_states(*(name for name in STEPS if name != "new"))
def test_what_has_begun_does_not_begin_again(machine: StreamMachine) -> None:
    before = look(machine)
    assert machine.start(0.0) != AskBudget()
    assert look(machine) == before


@in_states("new", "waiting for budget", "not found", "backing off", "failed", "token refused", "closed")
def test_a_connection_that_nobody_wants_any_more_is_closed(machine: StreamMachine) -> None:
    before = look(machine)
    assert machine.opened(0.0) == Close()
    machine.received(1e6)
    assert not machine.event(InputEvent(device_id="a", timestamp_ms=1, percent=0.0), 1e6)
    assert look(machine) == before


@in_states(*(name for name in STEPS if name != "not found"))
def test_a_listing_that_was_not_asked_for_changes_nothing(machine: StreamMachine) -> None:
    before = look(machine)
    machine.listed({"a": Device("a", is_connected=False)}, 0.0)
    assert look(machine) == before


@pytest.mark.requirement("R7")
def test_nothing_outlives_the_removal() -> None:
    machine = machine_that("start", "granted", "opened", "removed")
    assert machine.error(TransportError("lost"), 1.0) == Wait(None)
    assert machine.error(answered(401, None), 1.0) == Wait(None)
    assert machine.closed(1.0) == Wait(None)
    assert machine.retry(1.0) == Wait(None)
    assert machine.state is StreamState.CLOSED


@pytest.mark.requirement("R6")
def test_what_fails_later_does_not_make_up_for_a_refused_token() -> None:
    machine = machine_that("start", "granted", "token refused")
    assert machine.error(TransportError("lost"), 1.0) == Wait(None)
    assert isinstance(machine.error_seen, AuthenticationError)
    assert machine.tick(1e9) == Wait(None)
    assert machine.retry(1e9) == AskBudget()


@pytest.mark.requirement("R3")
def test_a_connection_that_was_closed_unasked_has_failed() -> None:
    machine = machine_that("start", "granted", "opened")
    assert machine.closed(1.0) == Wait(1.5)
    assert machine.reason
    assert isinstance(machine.error_seen, StreamClosedError)
    assert machine.stalls == 0


@pytest.mark.requirement("R4")
def test_a_stream_that_breaks_while_it_is_closed_for_its_silence_has_failed_once() -> None:
    machine = machine_that("start", "granted", "opened", "silent")
    assert machine.error(StreamError("broke"), 30.0) == Wait(30.5)
    assert machine.closed(30.1) == Wait(30.5)
    assert str(machine.error_seen) == "broke"


@pytest.mark.requirement("R4")
def test_what_comes_during_a_pause_does_not_stop_the_clock_of_silence_for_longer() -> None:
    machine = machine_that("start", "granted", "opened")
    machine.paused(0.0)
    machine.received(20.0)
    machine.resumed(20.0)
    limit = machine.silence_limit()
    assert limit is not None
    assert machine.tick(20.0 + limit) == Close()
