"""The machine, driven as its driver drives it, by whatever happens in whatever order."""

from enum import Enum, auto
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from littlebits_async.backoff import Backoff
from littlebits_async.errors import (
    APIError,
    AuthenticationError,
    BudgetExhaustedError,
    DecodeError,
    LittleBitsError,
    NotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    SessionClosedError,
    StreamClosedError,
    TransportError,
)
from littlebits_async.models import Device, InputEvent, StreamState
from littlebits_async.stream import AskBudget, AskListing, Close, Command, Open, Read, StreamMachine, Wait

HOUR = 3600.0
A_MOMENT = 1e-6  # times are floats

SECONDS = st.one_of(st.floats(0, 1), st.floats(0, 100), st.floats(0, 1e5))
SETTINGS = st.one_of(st.none(), st.floats(0.01, 1000))
FINAL = st.sampled_from([AuthenticationError("401", status=401), SessionClosedError("closed")])
REFUSALS = st.sampled_from([400, 403, 404, 405, 406, 410, 422, 451]).map(lambda status: APIError("no", status=status))
PASSING = st.one_of(
    st.sampled_from([TransportError("reset"), StreamClosedError("end"), DecodeError("a page")]),
    st.builds(APIError, st.just("moved"), status=st.sampled_from([301, 408, 425, 500, 502])),
    st.builds(RateLimitedError, st.just("429"), status=st.just(429), retry_after=st.none() | st.floats(0, 1e5)),
    st.builds(ServiceUnavailableError, st.just("503"), status=st.just(503), retry_after=st.none() | st.floats(0, 1e5)),
)


class Phase(Enum):
    """What the driver is doing."""

    ASKING = auto()
    LISTING = auto()
    OPENING = auto()
    READING = auto()
    CLOSING = auto()
    WAITING = auto()


STATES = {
    Phase.ASKING: {StreamState.WAITING_FOR_BUDGET},
    Phase.LISTING: {StreamState.BACKING_OFF, StreamState.OFFLINE, StreamState.CONNECTING},
    Phase.OPENING: {StreamState.CONNECTING},
    Phase.READING: {StreamState.LIVE, StreamState.QUIET},
    Phase.CLOSING: {StreamState.STALLED},
    Phase.WAITING: {StreamState.BACKING_OFF, StreamState.FAILED, StreamState.OFFLINE},
}


class Driver(RuleBasedStateMachine):
    @initialize(
        stall_after=SETTINGS,
        quiet_after=SETTINGS,
        interval=st.floats(0, 60),
        base=st.floats(0.01, 10),
        more=st.floats(0, 1000),
        healthy_after=st.floats(0, 60),
        chance=st.randoms(use_true_random=False),
    )
    def start(  # noqa: PLR0917 - hypothesis passes them by name
        self,
        stall_after: float | None,
        quiet_after: float | None,
        interval: float,
        base: float,
        more: float,
        healthy_after: float,
        chance: Random,
    ) -> None:
        self.now = 0.0
        self.backoff = Backoff(base=base, cap=base + more, healthy_after=healthy_after)
        self.told: list[StreamState] = []
        self.machine = StreamMachine(
            "a",
            backoff=self.backoff,
            stall_after=stall_after,
            quiet_after=quiet_after,
            now=self.now,
            rng=chance.random,
            on_change=lambda machine: self.told.append(machine.state),
        )
        self.machine.interval = interval
        self.stall_after = stall_after
        self.grants = self.opens = self.openings = self.expected_reconnects = 0
        self.open = False
        self.pausing = self.not_found = False
        self.least = 0.0  # what the server asked for
        self.obey(self.machine.start(self.now))

    def obey(self, command: Command) -> None:
        """Do what the machine says, where its driver could."""
        match command:
            case AskBudget():
                assert not self.open
                self.phase = Phase.ASKING
            case AskListing():
                assert not self.open
                self.phase = Phase.LISTING
            case Open():
                assert not self.open
                self.opens += 1
                assert self.opens <= self.grants
                self.phase = Phase.OPENING
            case Read():
                assert self.open
                self.phase = Phase.READING
            case Close():
                assert self.open
                self.phase = Phase.CLOSING
            case Wait(until):
                assert not self.open
                self.phase = Phase.WAITING
                assert until == self.machine.retry_at
                if until is None:
                    assert self.machine.state is StreamState.FAILED
                    assert isinstance(self.machine.error_seen, AuthenticationError | SessionClosedError)
                    assert self.machine.reason

    def hang_up(self) -> None:
        self.open = self.pausing = self.not_found = False

    def fail(self, error: LittleBitsError) -> None:
        """Have an opening or a connection fail."""
        self.hang_up()
        self.obey(self.machine.error(error, self.now))
        assert self.machine.error_seen is error
        if self.machine.retry_at is None:
            return
        wait = self.machine.retry_at - self.now
        if self.machine.state is StreamState.FAILED:
            assert abs(wait - 900) < A_MOMENT
            return
        asked = getattr(error, "retry_after", None) or 0.0
        least = min(max(self.least, asked), HOUR)
        assert least - A_MOMENT <= wait <= max(least, self.backoff.cap) + A_MOMENT

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.phase is Phase.ASKING)
    @rule()
    def the_budget_grants(self) -> None:
        self.grants += 1
        self.expected_reconnects += self.openings > 0
        self.obey(self.machine.granted(self.now))
        assert self.phase is Phase.OPENING

    @precondition(lambda self: self.phase is Phase.ASKING)
    @rule(wait=st.floats(0, 1e5))
    def the_budget_refuses(self, wait: float) -> None:
        self.obey(self.machine.error(BudgetExhaustedError("spent", wait=wait), self.now))
        assert self.machine.retry_at is not None
        assert self.machine.retry_at - self.now >= min(wait, HOUR) - A_MOMENT

    @precondition(lambda self: self.phase is Phase.OPENING)
    @rule()
    def it_opens(self) -> None:
        self.open = True
        self.openings += 1
        self.heard = self.now
        self.obey(self.machine.opened(self.now))
        assert self.phase is Phase.READING

    @precondition(lambda self: self.phase in (Phase.OPENING, Phase.READING, Phase.CLOSING))
    @rule(error=PASSING)
    def it_fails(self, error: LittleBitsError) -> None:
        self.fail(error)
        assert self.machine.state is StreamState.BACKING_OFF

    @precondition(lambda self: self.phase is Phase.OPENING)
    @rule(error=REFUSALS)
    def it_is_refused(self, error: LittleBitsError) -> None:
        self.fail(error)
        assert self.machine.state is StreamState.FAILED
        assert self.machine.retry_at is not None

    @precondition(lambda self: self.phase is Phase.OPENING)
    @rule()
    def it_is_not_found(self) -> None:
        self.hang_up()
        self.obey(self.machine.error(NotFoundError("404", status=404), self.now))
        assert self.phase is Phase.LISTING
        self.not_found = True

    @precondition(lambda self: self.phase is Phase.LISTING)
    @rule(had=st.booleans(), listed=st.booleans(), is_connected=st.none() | st.booleans())
    def the_listing_comes(self, had: bool, listed: bool, is_connected: bool | None) -> None:  # noqa: FBT001
        device = Device("a", is_connected=is_connected)
        not_found, self.not_found = self.not_found, False
        self.obey(self.machine.listed(({"a": device} if listed else {}) if had else None, self.now))
        if not (had and listed):
            assert self.machine.state is (StreamState.FAILED if not_found else StreamState.WAITING_FOR_BUDGET)
        elif is_connected is False:
            assert self.machine.state is StreamState.OFFLINE
            assert self.machine.retry_at == self.now + 60
        else:
            assert self.machine.state is (StreamState.OFFLINE if not_found else StreamState.WAITING_FOR_BUDGET)

    @precondition(lambda self: self.phase is not Phase.WAITING or self.machine.state is not StreamState.FAILED)
    @rule(error=FINAL)
    def the_token_is_refused_or_the_session_closed(self, error: LittleBitsError) -> None:
        self.fail(error)
        assert self.machine.retry_at is None

    @precondition(lambda self: self.phase is Phase.READING and not self.pausing)
    @rule(timestamps=st.lists(st.integers(0, 5), max_size=4), retry=st.none() | st.integers(0, 10**8))
    def bytes_come(self, timestamps: list[int], retry: int | None) -> None:
        self.machine.received(self.now)
        self.heard = self.now
        passed = [
            self.machine.event(InputEvent(device_id="a", timestamp_ms=number, percent=0.0), self.now)
            for number in timestamps
        ]
        assert all(passed[1:])
        if any(passed):
            assert self.machine.state is StreamState.LIVE
            assert self.machine.last_event_at == self.now
        if retry is not None:
            self.machine.server_wait(retry)
            self.least = min(retry / 1000, HOUR)

    @precondition(lambda self: self.phase is Phase.READING)
    @rule()
    def the_consumer_falls_behind(self) -> None:
        self.machine.paused(self.now)
        if not self.pausing:
            self.pausing = True
            self.paused_at = self.now

    @precondition(lambda self: self.pausing and self.phase is Phase.READING)
    @rule(seconds=st.floats(0, 1e6))
    def a_pause_takes_long(self, seconds: float) -> None:
        self.now += seconds
        assert self.machine.tick(self.now) == Read()

    @precondition(lambda self: self.phase is Phase.READING)
    @rule()
    def the_consumer_catches_up(self) -> None:
        self.machine.resumed(self.now)
        if self.pausing:
            self.pausing = False
            self.heard += self.now - self.paused_at

    @precondition(lambda self: self.phase in (Phase.READING, Phase.CLOSING))
    @rule()
    def the_sweep_comes_by(self) -> None:
        phase, paused = self.phase, self.pausing
        unheard = self.now - self.heard
        self.obey(self.machine.tick(self.now))
        assert self.phase is Phase.CLOSING or phase is Phase.READING
        if phase is Phase.READING and self.phase is Phase.CLOSING:
            assert not paused
            assert "no event" in self.machine.reason or (self.stall_after is not None and unheard >= self.stall_after)

    @precondition(lambda self: self.phase is Phase.READING and not self.pausing and self.stall_after is not None)
    @rule()
    def it_falls_silent(self) -> None:
        limit = self.machine.silence_limit()
        assert limit is not None
        self.now = max(self.now, self.heard + limit + A_MOMENT)
        self.obey(self.machine.tick(self.now))
        assert self.phase is Phase.CLOSING

    @precondition(lambda self: self.phase is Phase.CLOSING)
    @rule()
    def it_is_closed(self) -> None:
        self.hang_up()
        self.obey(self.machine.closed(self.now))
        assert self.machine.state is StreamState.BACKING_OFF
        assert self.machine.retry_at is not None
        wait = self.machine.retry_at - self.now
        assert self.least - A_MOMENT <= wait <= HOUR + A_MOMENT

    @precondition(lambda self: self.phase is Phase.WAITING)
    @rule(part=st.floats(0, 1, exclude_max=True))
    def it_is_woken_too_early(self, part: float) -> None:
        until = self.machine.retry_at
        if until is not None:
            self.now += part * max(until - self.now, 0.0)
        early = until is None or self.now < until
        self.obey(self.machine.tick(self.now))
        assert (self.phase is Phase.WAITING) == early

    @precondition(lambda self: self.phase is Phase.WAITING and self.machine.retry_at is not None)
    @rule()
    def the_time_of_the_wait_comes(self) -> None:
        assert self.machine.retry_at is not None
        self.now = max(self.now, self.machine.retry_at)
        offline = self.machine.state is StreamState.OFFLINE
        self.obey(self.machine.tick(self.now))
        assert self.phase is Phase.LISTING or (self.phase is Phase.ASKING and not offline)

    @precondition(lambda self: self.phase is Phase.WAITING)
    @rule()
    def someone_adds_it_again(self) -> None:
        failed = self.machine.state is StreamState.FAILED
        self.obey(self.machine.retry(self.now))
        assert self.phase is (Phase.ASKING if failed else Phase.WAITING)

    @precondition(lambda self: self.phase in (Phase.ASKING, Phase.LISTING, Phase.WAITING))
    @rule()
    def all_goes_well(self) -> None:
        while self.phase is not Phase.ASKING:
            if self.phase is Phase.LISTING:
                self.the_listing_comes(had=True, listed=True, is_connected=True)
            elif self.machine.retry_at is None:
                self.someone_adds_it_again()
            else:
                self.the_time_of_the_wait_comes()
        self.the_budget_grants()
        self.it_opens()

    @invariant()
    def the_state_says_what_is_being_done(self) -> None:
        assert self.machine.state in STATES[self.phase]
        assert self.told[-1] is self.machine.state

    @invariant()
    def no_opening_is_unpaid(self) -> None:
        assert self.opens <= self.grants
        assert self.machine.reconnects == self.expected_reconnects

    @invariant()
    def times_make_sense(self) -> None:
        assert self.machine.since <= self.now
        assert (self.machine.retry_at is None) or self.phase in (Phase.WAITING, Phase.LISTING)
        if self.stall_after is not None:
            limit = self.machine.silence_limit()
            assert limit is not None
            assert limit >= max(self.stall_after, 3 * self.machine.interval)


TestStream = Driver.TestCase
TestStream.settings = settings(deadline=None, max_examples=200, stateful_step_count=60)
