import math
import random
from typing import Any

import attrs
import pytest

from littlebits_async.backoff import LONGEST_ASKED_WAIT, Backoff, RetryPolicy
from littlebits_async.errors import InvalidArgumentError


@pytest.mark.requirement("R3.backoff")
def test_the_defaults_are_the_promised_ones() -> None:
    assert Backoff() == Backoff(base=0.5, factor=2.0, cap=60.0, healthy_after=30.0)
    assert RetryPolicy() == RetryPolicy(attempts=3, backoff=Backoff())
    assert LONGEST_ASKED_WAIT == 3600


@pytest.mark.requirement("R3.backoff")
def test_the_ceiling_doubles_from_half_a_second_to_a_minute() -> None:
    assert [Backoff().ceiling(n) for n in range(1, 10)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("attempt", [1_024, 1_025, 10**6, 10**400])
@pytest.mark.parametrize("factor", [2, 2.0, 1.5])
def test_no_number_of_tries_overflows(attempt: int, factor: float) -> None:
    assert Backoff(factor=factor).ceiling(attempt) == 60
    assert Backoff(factor=factor).delay(attempt, rng=lambda: 1.0) == 60


def test_a_factor_of_one_never_grows() -> None:
    assert Backoff(factor=1).ceiling(10**6) == 0.5


@pytest.mark.requirement("R3.backoff")
@pytest.mark.parametrize(("drawn", "delay"), [(0.0, 0.0), (0.25, 1.0), (1.0, 4.0)])
def test_jitter_is_full(drawn: float, delay: float) -> None:
    assert Backoff().delay(4, rng=lambda: drawn) == delay


@pytest.mark.requirement("R3.asked")
@pytest.mark.parametrize(
    ("asked", "delay"), [(0.0, 2.0), (1.9, 2.0), (2.1, 2.1), (3600, 3600), (3601, 3600), (math.inf, 3600), (-1.0, 2.0)]
)
def test_the_server_has_its_way_up_to_an_hour(asked: float, delay: float) -> None:
    assert Backoff().delay(3, rng=lambda: 1.0, at_least=asked) == delay


def test_chance_is_drawn_where_no_rng_is_given() -> None:
    random.seed(5)
    expected = random.random() * 60  # noqa: S311 - no secret
    random.seed(5)
    assert Backoff().delay(100) == expected


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_count_from_one(attempt: int) -> None:
    with pytest.raises(InvalidArgumentError, match="attempt"):
        Backoff().ceiling(attempt)
    with pytest.raises(InvalidArgumentError, match="attempt"):
        Backoff().delay(attempt, rng=lambda: 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": 0},
        {"base": -0.5},
        {"base": math.nan},
        {"base": 10**400, "cap": 10**401},
        {"factor": 0.99},
        {"factor": math.inf},
        {"factor": "2"},
        {"cap": 0.4},
        {"cap": math.inf},
        {"cap": None},
        {"healthy_after": -1},
        {"healthy_after": math.nan},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        Backoff(**wrong)


def test_the_ends_of_the_ranges_are_taken() -> None:
    backoff = Backoff(base=1, factor=1, cap=1, healthy_after=0)
    assert backoff.ceiling(7) == 1


@pytest.mark.parametrize("attempts", [0, -1, 2.5, "3", None])
def test_a_policy_tries_at_least_once(attempts: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="attempts"):
        RetryPolicy(attempts=attempts)
    assert RetryPolicy(attempts=1).attempts == 1


@pytest.mark.parametrize(("settings", "name"), [(Backoff(), "base"), (RetryPolicy(), "attempts")])
def test_settings_are_frozen(settings: object, name: str) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(settings, name, 1)
