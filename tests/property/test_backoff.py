import pytest
from hypothesis import given
from hypothesis import strategies as st

from littlebits_async.backoff import LONGEST_ASKED_WAIT, Backoff


def spread(base: float, factor: float, more: float) -> Backoff:
    return Backoff(base=base, factor=factor, cap=base + more)


BACKOFFS = st.builds(spread, st.floats(0.001, 1e6), st.floats(1, 1e6), st.floats(0, 1e9))
ATTEMPTS = st.integers(1, 10**6)
CHANCE = st.floats(0, 1)


@pytest.mark.requirement("R3.backoff", "R3.asked")
@given(BACKOFFS, ATTEMPTS, CHANCE, st.floats(0, 1e9))
def test_a_delay_lies_between_what_was_asked_and_the_ceiling(
    backoff: Backoff, attempt: int, chance: float, asked: float
) -> None:
    ceiling = backoff.ceiling(attempt)
    granted = min(asked, LONGEST_ASKED_WAIT)
    assert backoff.base <= ceiling <= backoff.cap
    assert 0 <= backoff.delay(attempt, rng=lambda: chance) <= ceiling
    assert granted <= backoff.delay(attempt, rng=lambda: chance, at_least=asked) <= max(ceiling, granted)


@given(BACKOFFS, ATTEMPTS)
def test_ceilings_never_fall(backoff: Backoff, attempt: int) -> None:
    assert backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1)


@given(BACKOFFS, st.integers(1, 20))
def test_a_ceiling_is_the_one_before_times_the_factor(backoff: Backoff, attempt: int) -> None:
    exact = min(backoff.cap, backoff.base * backoff.factor ** (attempt - 1))
    assert abs(backoff.ceiling(attempt) - exact) <= 1e-9 * exact
