import pytest

from littlebits_async.session._hold import RateLimitHold  # pyright: ignore[reportPrivateUsage]


@pytest.mark.requirement("B4.doubling")
def test_a_429_that_says_nothing_holds_for_a_minute() -> None:
    assert RateLimitHold().limited(sent_at=9.0, now=10.0, retry_after=None) == 60.0


@pytest.mark.requirement("B4.doubling")
def test_holds_double_up_to_an_hour() -> None:
    hold = RateLimitHold()
    now = 0.0
    holds: list[float] = []
    for _ in range(9):
        holds.append(hold.limited(sent_at=now, now=now + 1.0, retry_after=None))
        now += 1.0 + holds[-1]  # the next request is sent when the hold is over
    assert holds == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0, 3600.0]


@pytest.mark.requirement("B4.doubling")
@pytest.mark.parametrize(("asked", "seconds"), [(0.0, 0.0), (7.5, 7.5), (3600.0, 3600.0), (3601.0, 3600.0)])
def test_the_server_has_its_way_up_to_an_hour(asked: float, seconds: float) -> None:
    assert RateLimitHold().limited(sent_at=0.0, now=1.0, retry_after=asked) == seconds


@pytest.mark.requirement("B4.doubling")
def test_what_the_server_says_does_not_double_the_next_hold() -> None:
    hold = RateLimitHold()
    assert hold.limited(sent_at=0.0, now=1.0, retry_after=5.0) == 5.0
    assert hold.limited(sent_at=6.0, now=7.0, retry_after=None) == 60.0
    assert hold.limited(sent_at=67.0, now=68.0, retry_after=5.0) == 5.0
    assert hold.limited(sent_at=73.0, now=74.0, retry_after=None) == 120.0


@pytest.mark.requirement("B4.doubling")
def test_requests_sent_before_a_hold_began_neither_hold_nor_double() -> None:
    hold = RateLimitHold()
    assert hold.limited(sent_at=0.0, now=1.0, retry_after=None) == 60.0
    assert [hold.limited(sent_at=0.5, now=1.0 + n, retry_after=None) for n in range(1000)] == [0.0] * 1000
    assert hold.limited(sent_at=61.0, now=62.0, retry_after=None) == 120.0


def test_requests_sent_before_a_hold_that_the_server_asked_for_do_not_hold_either() -> None:
    hold = RateLimitHold()
    assert hold.limited(sent_at=0.0, now=1.0, retry_after=30.0) == 30.0
    assert hold.limited(sent_at=0.5, now=2.0, retry_after=None) == 0.0


@pytest.mark.requirement("B4.doubling")
def test_an_answer_to_a_request_sent_after_the_hold_ends_the_doubling() -> None:
    hold = RateLimitHold()
    hold.limited(sent_at=0.0, now=1.0, retry_after=None)
    hold.limited(sent_at=61.0, now=62.0, retry_after=None)
    hold.served(sent_at=182.0)
    assert hold.limited(sent_at=200.0, now=201.0, retry_after=None) == 60.0


def test_an_answer_to_a_request_sent_before_the_hold_changes_nothing() -> None:
    hold = RateLimitHold()
    hold.limited(sent_at=0.0, now=1.0, retry_after=None)
    hold.served(sent_at=0.5)
    assert hold.limited(sent_at=61.0, now=62.0, retry_after=None) == 120.0


def test_an_answer_before_any_hold_changes_nothing() -> None:
    hold = RateLimitHold()
    hold.served(sent_at=5.0)
    assert hold.limited(sent_at=6.0, now=7.0, retry_after=None) == 60.0
