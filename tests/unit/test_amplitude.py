import math
from typing import Any

import attrs
import pytest

from littlebits_async import AmplitudeEvent
from littlebits_async.amplitude import EVENTS, Amplitude, Delta, Level, Thresholds, Verdict

IGNITE = ("amplitude:delta:ignite", "amplitude:level:active")
RELEASE = ("amplitude:delta:release", "amplitude:level:idle")
SUSTAIN = ("amplitude:delta:sustain",)
NAP = ("amplitude:delta:nap",)
HUGE = 2 * 10**308  # an int beyond every float


def idle() -> Amplitude:
    detector = Amplitude()
    assert detector.feed(0, 0) == Verdict("idle", None)
    return detector


def test_the_names_are_those_that_a_client_may_subscribe_to() -> None:
    assert sorted(EVENTS) == sorted(set(AmplitudeEvent) - {AmplitudeEvent.AMPLITUDE})


def test_the_defaults_are_the_vendors_band_and_a_second() -> None:
    assert Thresholds() == Thresholds(high=70.0, low=68.0, hold=1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"high": 60},
        {"low": 71},
        {"low": -1},
        {"high": 101},
        {"high": math.nan},
        {"low": math.nan},
        {"high": math.inf},
        {"high": HUGE},
        {"hold": -0.1},
        {"hold": math.nan},
        {"hold": math.inf},
        {"hold": HUGE},
    ],
)
def test_impossible_thresholds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Thresholds(**wrong)


def test_thresholds_do_not_change_and_a_detector_takes_no_further_attributes() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Thresholds().high = 50  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue] - the point
    with pytest.raises(AttributeError):
        Amplitude().more = 1  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue] - the point


@pytest.mark.parametrize(
    ("percent", "before", "after"),
    [
        (70, "idle", "active"),
        (69.99, "idle", "idle"),
        (68.01, "active", "active"),
        (68, "active", "idle"),
        (100, "active", "active"),
        (0, "idle", "idle"),
        (69, None, "idle"),
        (70, None, "active"),
    ],
)
def test_a_threshold_is_crossed_by_reaching_it(percent: float, before: Level | None, after: Level) -> None:
    assert Thresholds().level(percent, before) == after


@pytest.mark.parametrize("threshold", [0, 50, 100])
def test_without_a_band_a_constant_reading_on_the_threshold_is_active_for_good(threshold: float) -> None:
    detector = Amplitude(Thresholds(threshold, threshold, hold=60))
    assert [detector.feed(threshold, now).level for now in range(3)] == ["active"] * 3
    assert detector.since == 0


@pytest.mark.parametrize(("percent", "level"), [(0, "idle"), (69, "idle"), (100, "active")])
def test_the_first_reading_is_silent(percent: float, level: Level) -> None:
    detector = Amplitude()
    assert (detector.level, detector.since) == (None, None)
    assert detector.feed(percent, 5) == Verdict(level, None, ())
    assert (detector.level, detector.since) == (level, 5)


@pytest.mark.parametrize(("percent", "stay"), [(0, "nap"), (100, "sustain")])
def test_after_a_silent_first_reading_its_stay_is_told_as_any(percent: float, stay: Delta) -> None:
    detector = Amplitude()
    detector.feed(percent, 5)
    assert detector.feed(percent, 5.75).entered == ()
    assert detector.feed(percent, 6).entered == (f"amplitude:delta:{stay}",)


def test_a_button_ignites_sustains_releases_and_naps() -> None:
    detector = idle()
    readings = [(0, 0.5), (100, 0.75), (100, 1.0), (100, 1.75), (100, 2), (0, 2.25), (0, 2.5), (0, 3.25), (0, 3.5)]
    assert [detector.feed(percent, now) for percent, now in readings] == [
        Verdict("idle", None),
        Verdict("active", "ignite", IGNITE),
        Verdict("active", None),
        Verdict("active", "sustain", SUSTAIN),
        Verdict("active", "sustain"),
        Verdict("idle", "release", RELEASE),
        Verdict("idle", None),
        Verdict("idle", "nap", NAP),
        Verdict("idle", "nap"),
    ]


def test_noise_in_the_band_neither_makes_an_edge_nor_breaks_a_stay() -> None:
    detector = idle()
    detector.feed(70, 1)
    assert [detector.feed(percent, 2).entered for percent in (69, 68.1, 69.9)] == [SUSTAIN, (), ()]
    assert detector.feed(68, 3).entered == RELEASE
    assert [detector.feed(percent, 4).entered for percent in (69, 68.1, 69.9)] == [NAP, (), ()]


def test_a_stay_is_told_without_a_reading_when_it_is_due_and_once() -> None:
    detector = idle()
    assert detector.due == 1
    assert detector.tick(0.999) is None
    assert detector.tick(1) == Verdict("idle", "nap", NAP)
    assert (detector.due, detector.held) == (math.inf, True)
    assert detector.tick(100) is None
    assert detector.feed(0, 200) == Verdict("idle", "nap")
    detector.feed(100, 300)
    assert (detector.due, detector.held) == (301, False)
    assert detector.tick(detector.due) == Verdict("active", "sustain", SUSTAIN)


def test_a_time_that_does_not_add_up_exactly_is_still_due_when_it_is_due() -> None:
    detector = Amplitude(Thresholds(hold=0.1))
    for now in (0.1, 0.3, 1e9 + 0.1, 1.7e12 + 0.7):
        detector.feed(100 if detector.level == "idle" else 0, now)
        assert detector.tick(math.nextafter(detector.due, -math.inf)) is None
        assert detector.tick(detector.due) is not None


def test_nothing_is_due_before_the_first_reading() -> None:
    detector = Amplitude()
    assert detector.due == math.inf
    assert detector.tick(1e9) is None


def test_a_stay_that_no_tick_told_is_told_before_the_edge_that_ends_it() -> None:
    late, ticked = idle(), idle()
    for detector in (late, ticked):
        detector.feed(100, 0.5)
    sustained = ticked.tick(1.5)
    assert sustained is not None
    assert late.feed(0, 60) == Verdict("idle", "release", (*SUSTAIN, *RELEASE))
    assert (*sustained.entered, *ticked.feed(0, 60).entered) == (*SUSTAIN, *RELEASE)


def test_an_edge_before_the_hold_is_over_leaves_no_stay_to_tell() -> None:
    detector = idle()
    detector.feed(100, 0.5)
    assert detector.feed(0, 1.25).entered == RELEASE
    assert detector.tick(2) is None
    assert detector.due == 2.25


def test_without_a_hold_a_stay_is_told_at_once_but_not_with_its_edge() -> None:
    detector = Amplitude(Thresholds(hold=0))
    assert detector.feed(0, 0) == Verdict("idle", None)
    assert detector.feed(100, 0) == Verdict("active", "ignite", (*NAP, *IGNITE))
    assert detector.due == 0
    assert detector.feed(100, 0) == Verdict("active", "sustain", SUSTAIN)


@pytest.mark.parametrize(
    ("level", "percent", "verdict"),
    [
        ("active", 0, Verdict("idle", "release", RELEASE)),
        ("active", 69, Verdict("active", None)),
        ("active", 100, Verdict("active", None)),
        ("idle", 0, Verdict("idle", None)),
        ("idle", 69, Verdict("idle", None)),
        ("idle", 100, Verdict("active", "ignite", IGNITE)),
    ],
)
@pytest.mark.parametrize("since", [None, 9.5])
def test_a_restored_detector_tells_of_the_edge_that_nobody_saw(
    level: Level, since: float | None, percent: float, verdict: Verdict
) -> None:
    assert Amplitude(level=level, since=since).feed(percent, 10) == verdict


def test_a_restored_stay_counts_from_its_entry_or_else_from_the_first_reading() -> None:
    known, unknown = Amplitude(level="active", since=9.5), Amplitude(level="active")
    assert (known.due, unknown.due) == (10.5, math.inf)
    assert unknown.tick(1) is None
    for detector in (known, unknown):
        detector.feed(100, 10)
    assert (known.due, unknown.due) == (10.5, 11)


def test_a_restored_stay_that_was_told_is_not_told_again() -> None:
    detector = Amplitude(level="active", since=0, held=True)
    assert detector.due == math.inf
    assert detector.feed(100, 10) == Verdict("active", "sustain")
    assert detector.feed(0, 11).entered == RELEASE
    assert detector.feed(0, 12).entered == NAP


def test_what_a_detector_knows_restores_it() -> None:
    detector = idle()
    detector.feed(100, 1)
    for now in (1.5, 2):
        again = Amplitude(level=detector.level, since=detector.since, held=detector.held)
        assert again.feed(100, now) == detector.feed(100, now)
        assert (again.due, again.held) == (detector.due, detector.held)


def test_a_clock_that_goes_back_stands_still() -> None:
    detector = idle()
    detector.feed(100, 10)
    assert detector.feed(0, 3).entered == RELEASE
    assert (detector.since, detector.due) == (10, 11)
    assert detector.tick(10.5) is None
    assert detector.feed(100, 10.25).entered == IGNITE
    assert detector.since == 10.5


def test_a_restored_clock_does_not_go_back_either() -> None:
    detector = Amplitude(level="idle", since=100)
    detector.feed(100, 5)
    assert detector.since == 100


@pytest.mark.parametrize(
    "percent",
    [-0.001, 100.001, math.nan, math.inf, -math.inf, pytest.param(HUGE, id="huge"), pytest.param(-HUGE, id="-huge")],
)
def test_a_reading_out_of_range_is_refused_and_changes_nothing(percent: float) -> None:
    detector = idle()
    with pytest.raises(ValueError, match="percent must be 0 to 100"):
        detector.feed(percent, 50)
    assert detector.feed(100, 0.5) == Verdict("active", "ignite", IGNITE)
    assert detector.since == 0.5


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, pytest.param(HUGE, id="huge")])
def test_a_time_that_is_none_is_refused_and_changes_nothing(now: float) -> None:
    detector = idle()
    with pytest.raises(ValueError, match="now must be a finite number of seconds"):
        detector.feed(100, now)
    with pytest.raises(ValueError, match="now must be a finite number of seconds"):
        detector.tick(now)
    with pytest.raises(ValueError, match="since must be a finite number of seconds"):
        Amplitude(level="idle", since=now)
    assert detector.feed(100, 0.5) == Verdict("active", "ignite", IGNITE)


@pytest.mark.parametrize(
    "wrong", [{"level": "on"}, {"level": ""}, {"since": 1.0}, {"held": True}, {"level": None, "since": 0}]
)
def test_a_state_that_none_can_be_in_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="level"):
        Amplitude(**wrong)
