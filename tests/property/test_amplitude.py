"""Whatever an input does: its edges and stays are those that a reader of the whole history would find."""

import math
from itertools import pairwise

from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from littlebits_async.amplitude import EVENTS, Amplitude, Level, Thresholds

# Whole percents, as the wire has them, and few, so that thresholds are met; quarters of seconds add up exactly.
percents = st.one_of(st.integers(0, 6).map(float), st.floats(0, 6))
steps = st.integers(0, 12).map(lambda quarters: quarters / 4)
histories = st.lists(st.tuples(steps, percents), max_size=40)


@st.composite
def thresholds(draw: st.DrawFn) -> Thresholds:
    low, high = sorted((draw(st.integers(0, 6)), draw(st.integers(0, 6))))
    return Thresholds(high, low, hold=draw(steps))


@frozen
class Told:
    at: float
    name: str


def oracle(limits: Thresholds, history: list[tuple[float, float]], end: float) -> list[Told]:
    """Cut a whole history into stays first, then say what each stay tells, and when."""
    stays: list[tuple[float, bool]] = []
    for at, percent in history:
        if percent >= limits.high:
            active = True
        elif percent <= limits.low or not stays:
            active = False
        else:
            continue
        if not stays or stays[-1][1] is not active:
            stays.append((at, active))
    told: list[Told] = []
    for number, ((start, active), (stop, _)) in enumerate(pairwise([*stays, (end, False)])):
        if number:
            told.append(Told(start, "amplitude:delta:ignite" if active else "amplitude:delta:release"))
            told.append(Told(start, "amplitude:level:active" if active else "amplitude:level:idle"))
        if stop - start >= limits.hold:
            told.append(Told(start + limits.hold, "amplitude:delta:sustain" if active else "amplitude:delta:nap"))
    return told


def timed(history: list[tuple[float, float]]) -> list[tuple[float, float]]:
    now = 0.0
    return [(now := now + step, percent) for step, percent in history]


def run_scheduled(limits: Thresholds, readings: list[tuple[float, float]], end: float) -> list[Told]:
    """Ticks exactly when a stay is due, as a scheduler does that is never late."""
    detector = Amplitude(limits)
    told: list[Told] = []

    def tick(until: float) -> None:
        if (due := detector.due) <= until:
            verdict = detector.tick(due)
            assert verdict is not None
            told.extend(Told(due, name) for name in verdict.entered)
            assert detector.due == math.inf

    for now, percent in readings:
        tick(now)
        told.extend(Told(now, name) for name in detector.feed(percent, now).entered)
    tick(end)
    return told


@given(thresholds(), histories, steps)
@example(Thresholds(3, 3, hold=0), [(0, 3), (0, 2), (0, 3)], 0)
def test_with_ticks_on_time_the_oracle_agrees_to_the_moment(
    limits: Thresholds, history: list[tuple[float, float]], rest: float
) -> None:
    readings = timed(history)
    end = (readings[-1][0] if readings else 0) + rest
    assert run_scheduled(limits, readings, end) == oracle(limits, readings, end)


@given(thresholds(), histories, st.lists(st.integers(0, 200).map(lambda quarters: quarters / 4), max_size=20))
def test_ticks_change_when_something_is_told_but_never_what(
    limits: Thresholds, history: list[tuple[float, float]], ticks: list[float]
) -> None:
    readings = timed(history)
    end = 200.0
    told: list[str] = []
    detector = Amplitude(limits)
    for now, percent in readings:
        told += detector.feed(percent, now).entered
    if (last := detector.tick(end)) is not None:
        told += last.entered
    assert told == [each.name for each in oracle(limits, readings, end)]

    ticked: list[str] = []
    detector = Amplitude(limits)
    moments: list[tuple[float, float | None]] = [*readings, *((at, None) for at in ticks), (end, None)]
    for at, read in sorted(moments, key=lambda moment: moment[0]):
        verdict = detector.tick(at) if read is None else detector.feed(read, at)
        ticked += verdict.entered if verdict is not None else ()
    assert ticked == told


@given(thresholds(), histories, st.lists(steps, max_size=20))
def test_what_is_told_is_well_formed_even_if_the_clock_goes_back(
    limits: Thresholds, history: list[tuple[float, float]], times: list[float]
) -> None:
    detector = Amplitude(limits)
    told: list[str] = []
    for (_, percent), now in zip(history, times, strict=False):
        before = detector.level
        verdict = detector.feed(percent, now)
        told += verdict.entered
        assert verdict.level == detector.level
        assert (verdict.delta in ("ignite", "release")) is (before is not None and before != verdict.level)
        assert (verdict.delta in ("sustain", "nap")) is detector.held
    assert set(told) <= set(EVENTS)
    edges = [name for name in told if name.endswith(("ignite", "release"))]
    assert all(a != b for a, b in pairwise(edges))
    # A stay is told at most once, so an edge lies between any two. Its level is told right behind it, nowhere else.
    stays = [name for name in told if name.endswith(("ignite", "release", "sustain", "nap"))]
    assert all(a != b for a, b in pairwise(stays))
    followed = {"amplitude:delta:ignite": "amplitude:level:active", "amplitude:delta:release": "amplitude:level:idle"}
    for name, after in pairwise([*told, ""]):
        assert (followed.get(name) == after) is (after in followed.values())


@given(
    st.sampled_from(["active", "idle"]),
    st.lists(st.floats(68, 70, exclude_min=True, exclude_max=True), min_size=1, max_size=40),
)
def test_noise_between_the_thresholds_never_makes_an_edge(level: Level, noise: list[float]) -> None:
    detector = Amplitude(Thresholds(hold=1e9), level=level, since=0)
    for now, percent in enumerate(noise):
        assert detector.feed(percent, now).entered == ()
    assert (detector.level, detector.since) == (level, 0)


@given(thresholds(), histories, st.integers(0, 40))
def test_a_restored_detector_goes_on_as_if_nothing_had_happened(
    limits: Thresholds, history: list[tuple[float, float]], restarted: int
) -> None:
    readings = timed(history)
    steady, other = Amplitude(limits), Amplitude(limits)
    for number, (now, percent) in enumerate(readings):
        if number == restarted:
            other = Amplitude(limits, level=other.level, since=other.since, held=other.held)
        assert other.feed(percent, now) == steady.feed(percent, now)
        assert other.due == steady.due
