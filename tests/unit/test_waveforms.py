import itertools
import math

import pytest

from littlebits_async.localcloud import WAVEFORMS, Button, Noise, Ramp, Sine, Waveform, waveform


def test_a_sine_swings_about_the_middle() -> None:
    sine = Sine(period=8)
    assert [round(sine(second)) for second in (0, 2, 4, 6, 8)] == [50, 100, 50, 0, 50]


def test_a_ramp_rises_and_falls_at_once() -> None:
    ramp = Ramp(period=10)
    assert [ramp(second) for second in (0, 5, 10, 12)] == [0, 50, 0, pytest.approx(20)]
    assert ramp(9.999) > 99


def test_a_button_is_held_at_the_beginning_of_each_period() -> None:
    button = Button(period=4, held=0.25)
    assert [button(second) for second in (0, 0.9, 1, 3.9, 4, 4.9, 5)] == [100, 100, 0, 0, 100, 100, 0]


def test_a_phase_shifts_by_periods() -> None:
    assert round(Sine(period=8, phase=0.25)(0)) == 100
    assert Ramp(period=8, phase=0.5)(0) == 50
    assert Ramp(period=8, phase=-0.25)(0) == 75
    assert Button(period=4, phase=0.5)(0) == 0
    assert Noise(period=1, phase=3)(0) == Noise(period=1)(3)


def test_noise_is_foretold_by_its_seed() -> None:
    first, again, other = Noise(seed=7), Noise(seed=7), Noise(seed=8)
    seconds = [step / 10 for step in range(100)]
    assert [first(second) for second in seconds] == [again(second) for second in seconds]
    assert [first(second) for second in seconds] != [other(second) for second in seconds]


def test_noise_is_smooth_and_fills_the_range() -> None:
    values = [Noise(period=1)(step / 100) for step in range(100_000)]
    assert max(abs(after - before) for before, after in itertools.pairwise(values)) < 2
    assert min(values) < 5
    assert max(values) > 95
    assert 45 < sum(values) / len(values) < 55


@pytest.mark.parametrize("name", ["sine", "ramp", "noise", "button"])
def test_each_is_known_by_name_and_stays_in_range(name: str) -> None:
    wave = waveform(name, phase=0.3)
    assert name in WAVEFORMS
    assert all(0 <= wave(step / 7) <= 100 for step in range(-100, 1000))
    assert wave == waveform(name, phase=0.3)
    assert "phase=0.3" in repr(wave)


def test_any_callable_is_a_waveform() -> None:
    steady: Waveform = lambda _: 42.0  # noqa: E731 - what a user would write
    assert steady(3) == 42


def test_a_bad_name_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"no waveform is called 'square'; there are sine, ramp, noise, button"):
        waveform("square")


@pytest.mark.parametrize("period", [0, -1, math.inf, math.nan])
def test_a_bad_period_is_refused(period: float) -> None:
    with pytest.raises(ValueError, match="period must be more than 0 seconds"):
        Sine(period=period)


@pytest.mark.parametrize("phase", [math.inf, math.nan])
def test_a_bad_phase_is_refused(phase: float) -> None:
    with pytest.raises(ValueError, match="phase must be a finite number"):
        waveform("noise", phase=phase)


@pytest.mark.parametrize("held", [0, 1, math.nan])
def test_a_bad_share_is_refused(held: float) -> None:
    with pytest.raises(ValueError, match="held must be a share"):
        Button(held=held)
