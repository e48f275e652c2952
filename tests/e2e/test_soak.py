"""The soak's verdict, on runs made up, and its storm's plan; `.ci/run` runs a short one. Source: issue 4."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from attrs import evolve

from benchmarks.soak import BROUGHT_BY_FAULTS, Notes
from benchmarks.storm import plan
from benchmarks.verdict import Run, Sample, Tally, judge, reconcile
from littlebits_async import TransportError

DEVICES = 200
CLOSED = Sample(rss=40, handles=11, tasks=1, objects=40_000)
CALM = Sample(rss=55, handles=212, tasks=205, objects=85_000)
RUNNING = Sample(rss=60, handles=214, tasks=212, objects=88_000)
NUMBER = 180
ADDS_UP = Tally(paid=900, counted=900, silences=2, stalls=1, answered={"the calm": 6, "the storm": 40})


def run_of(change: Callable[[int, Sample], Sample]) -> list[Sample]:
    return [change(number, RUNNING) for number in range(NUMBER)]


def verdict(samples: Sequence[Sample], *, calm: Sample = CALM, end: Sample = CLOSED) -> list[str]:
    return judge(Run([CLOSED, end], [CALM, calm], list(samples)), devices=DEVICES)


def flat(_: int, sample: Sample) -> Sample:
    return sample


def sawtooth(number: int, sample: Sample) -> Sample:
    tooth = number % 12
    return evolve(sample, rss=60 + 3 * tooth, handles=214 - 15 * tooth, tasks=212 + 8 * tooth)


def warming_up(number: int, sample: Sample) -> Sample:
    return evolve(sample, rss=min(90, 45 + number), objects=min(100_000, 60_000 + 1000 * number))


def rare_peak(number: int, sample: Sample) -> Sample:
    return evolve(sample, rss=140, objects=200_000) if number > 150 and number % 10 == 0 else sample


def breathing(number: int, sample: Sample) -> Sample:
    return evolve(sample, handles=14, tasks=289) if number % 7 == 0 else sample


@pytest.mark.parametrize("change", [flat, sawtooth, warming_up, rare_peak, breathing])
def test_a_run_that_does_not_grow_passes(change: Callable[[int, Sample], Sample]) -> None:
    assert verdict(run_of(change)) == []


@pytest.mark.parametrize(
    ("name", "each"),
    [("rss", 0.15), ("handles", 0.25), ("tasks", 0.25), ("objects", 200)],
)
@pytest.mark.parametrize("storms", [1, 12])
def test_a_run_that_grows_fails(name: str, each: float, storms: int) -> None:
    def leaking(number: int, sample: Sample) -> Sample:
        return evolve(sample, **{name: getattr(sample, name) + each * (number - number % storms)})

    (reason,) = verdict(run_of(leaking))
    assert reason.startswith(f"{name} in the storm grew")


@pytest.mark.parametrize("name", ["handles", "tasks"])
@pytest.mark.parametrize("change", [-1, 1])
def test_one_handle_or_task_too_many_or_too_few_afterwards_fails(name: str, change: int) -> None:
    (reason,) = verdict(run_of(flat), calm=evolve(CALM, **{name: getattr(CALM, name) + change}))
    assert reason.startswith(f"{name} in the calm")
    (reason,) = verdict(run_of(flat), end=evolve(CLOSED, **{name: getattr(CLOSED, name) + change}))
    assert reason.startswith(f"{name} in the end")


@pytest.mark.parametrize(("name", "change"), [("rss", 20), ("objects", 2500)])
def test_a_calm_that_costs_more_than_the_one_before_fails(name: str, change: float) -> None:
    (reason,) = verdict(run_of(flat), calm=evolve(CALM, **{name: getattr(CALM, name) + change}))
    assert reason.startswith(f"{name} in the calm grew")


@pytest.mark.parametrize(("name", "found"), [("handles", 500), ("tasks", 900)])
def test_more_at_any_time_than_so_many_devices_explain_fails(name: str, found: int) -> None:
    def once(number: int, sample: Sample) -> Sample:
        return evolve(sample, **{name: found}) if number == 100 else sample

    (reason,) = verdict(run_of(once))
    assert reason.startswith(f"{name} were {found}")


def test_a_run_too_short_to_judge_fails() -> None:
    assert verdict(run_of(flat)[:7]) == ["7 samples are too few to judge growth"]


@pytest.mark.parametrize(
    "tally",
    [ADDS_UP, evolve(ADDS_UP, counted=899), evolve(ADDS_UP, silences=0, stalls=0)],
    ids=["all", "a request did not arrive", "nothing to notice"],
)
def test_a_tally_that_adds_up_passes(tally: Tally) -> None:
    assert reconcile(tally) == []


@pytest.mark.parametrize(
    ("tally", "reason"),
    [
        (evolve(ADDS_UP, counted=901), "the cloud counted 901 requests, and the budget granted 900"),
        (evolve(ADDS_UP, stalls=0), "no stall was noticed in 2 long silences"),
        (evolve(ADDS_UP, answered={"the calm": 0, "the storm": 40}), "no call was answered in the calm"),
        (evolve(ADDS_UP, answered={"the calm": 6, "the storm": 0}), "no call was answered in the storm"),
    ],
    ids=["a request nobody paid", "no stall noticed", "no call answered in the calm", "none in the storm"],
)
def test_a_tally_that_does_not_add_up_fails(tally: Tally, reason: str) -> None:
    assert reconcile(tally) == [reason]


async def fail(error: Exception) -> None:
    raise error


@pytest.mark.anyio
async def test_only_the_errors_that_the_storm_brings_are_forgiven_and_in_the_calm_none() -> None:
    notes = Notes()
    lost = TransportError("the connection was lost")
    await notes.call(fail(lost), *BROUGHT_BY_FAULTS)
    assert (notes.answered, notes.failed.total(), notes.broken.total()) == (0, 1, 0)
    await notes.call(fail(ValueError("of another kind")), *BROUGHT_BY_FAULTS)
    assert notes.broken.total() == 1
    await notes.call(fail(lost))
    assert (notes.answered, notes.failed.total(), notes.broken.total()) == (0, 1, 2)


def test_the_same_seed_brings_the_same_storm() -> None:
    assert plan(7, 600) == plan(7, 600) != plan(8, 600)


@pytest.mark.parametrize("seconds", [20, 1800])
@pytest.mark.parametrize("seed", range(20))
def test_a_storm_keeps_to_its_time_and_one_fault_is_over_when_the_next_begins(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    assert len(faults) >= 4
    assert all(fault.at + fault.seconds <= seconds for fault in faults)
    assert all(
        earlier.at + (0 if earlier.kind == "off line" else earlier.seconds) < later.at
        for earlier, later in pairwise(faults)
    )


@pytest.mark.parametrize("seconds", [36, 42, 120, 1800])
@pytest.mark.parametrize("seed", range(20))
def test_a_storm_brings_every_fault_and_a_short_one_too(seed: int, seconds: float) -> None:
    assert {fault.kind for fault in plan(seed, seconds)} == {
        *("latency", "slices", "stall", "half open", "reset early", "end early", "refuse", "cut"),
        *("abort streams", "end streams", "restart", "answer 429", "answer 502", "answer 503", "off line"),
    }


def test_a_fault_is_a_silence_where_it_keeps_streams_from_bringing_anything() -> None:
    silent = {fault.kind: fault for fault in plan(0, 1800) if fault.silent}
    assert set(silent) == {"stall", "half open"}
    for fault in silent.values():
        assert fault.silent == fault.seconds >= 4
        assert not evolve(fault, share=0.0).silent  # the one connection may be no stream's
