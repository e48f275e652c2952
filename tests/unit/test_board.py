import math
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from littlebits_async.dashboard import Board, Card, Gap, Sample
from littlebits_async.models import Device, InputEvent, InputGap, StreamState, StreamStatus

A, B = "00e040000001", "00e040000002"
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def event(percent: float, device_id: str = A) -> InputEvent:
    return InputEvent(device_id, 1, percent)


def status(state: StreamState, device_id: str = A) -> StreamStatus:
    return StreamStatus(device_id, state, THEN)


def fed(percents: Iterable[tuple[float, float]], *, window: float = 60.0, interval_ms: int = 250) -> tuple[Board, Card]:
    """A board of one device that has got these percents at these times."""
    board = Board([Device(A, input_interval_ms=interval_ms)], window=window)
    board.note(status(StreamState.LIVE))
    for at, percent in percents:
        board.add(event(percent), at)
    return board, board.cards[A]


def test_a_card_tells_the_newest_event_and_how_many_there_were() -> None:
    _, card = fed([(1.0, 10), (2.0, 20)])
    assert card.last == event(20)
    assert (card.last_at, card.events) == (2.0, 2)
    assert [(each.at, each.percent) for each in card.samples(2.0)] == [(1.0, 10), (2.0, 20)]


def test_samples_and_gaps_older_than_the_window_are_forgotten() -> None:
    _, card = fed([(0, 1), (30, 2), (100, 3)], window=60)
    assert [each.percent for each in card.samples(100)] == [3]
    assert card.gaps(100) == [Gap(30, 100)]
    assert card.samples(161) == []
    assert card.gaps(161) == [Gap(100, None)]


def test_however_fast_events_come_samples_stay_few_and_keep_what_stands_out() -> None:
    _, card = fed(((at / 1000, 99 if at == 30_005 else 1 if at == 30_055 else 50) for at in range(60_000)), window=60)
    samples = card.samples(60)
    assert len(samples) <= 1201
    assert {99, 1} <= {each.percent for each in samples}
    assert [each.at for each in samples] == sorted(each.at for each in samples)


def test_whoever_replaces_the_slot_of_the_last_sample_it_has_ends_up_with_the_same_samples() -> None:
    board, card = fed([])
    had: list[Sample] = []
    now = 0.0
    for number in range(2000):
        now = number * 0.017
        board.add(event(number * 37 % 101), now)
        if number % 7 == 0:
            had = replaced(had, card, now)
    had = replaced(had, card, now)
    assert had == card.samples(now)


def replaced(had: list[Sample], card: Card, now: float) -> list[Sample]:
    """What a page has when it was told what is new."""
    since = card.settled(had[-1].at) if had else -math.inf
    return [each for each in had if each.at < since] + card.samples(now, since=since)


@pytest.mark.parametrize(("every", "expected"), [(0.25, 4.0), (0.001, 1000), (2.0, 0.5)])
def test_the_rate_is_that_of_late_however_fast(every: float, expected: float) -> None:
    times = [number * every for number in range(int(20 / every))]
    board, card = fed((at, 1) for at in times)
    assert card.rate(times[-1]) == pytest.approx(expected, rel=0.25)
    assert board.rate(times[-1]) == card.rate(times[-1])
    assert card.rate(times[-1] + 10) == 0


def test_a_device_that_falls_silent_is_not_current_and_its_gap_ends_with_the_next_event() -> None:
    board, card = fed([(0, 1), (1, 2)])
    assert card.is_current(5)
    assert card.gaps(5) == []
    assert card.is_silent(7)
    assert card.gaps(7) == [Gap(1, None)]
    board.add(event(3), 8)
    assert card.is_current(8)
    assert card.gaps(8) == [Gap(1, 8)]


def test_one_that_is_seldom_read_is_given_more_time() -> None:
    _, card = fed([(0, 1)], interval_ms=10_000)
    assert card.is_current(29)
    assert not card.is_current(31)


@pytest.mark.parametrize("state", [state for state in StreamState if state is not StreamState.LIVE])
def test_a_lost_stream_is_a_gap_at_once_until_the_next_event(state: StreamState) -> None:
    board, card = fed([(0, 1)])
    board.note(status(state), reconnects=1)
    assert (card.state, card.reconnects) == (state, 1)
    assert card.gaps(1) == [Gap(0, None)]
    board.note(status(StreamState.LIVE), reconnects=1)
    assert card.gaps(1) == [Gap(0, None)]
    board.add(event(2), 2)
    assert card.gaps(2) == [Gap(0, 2)]
    assert card.is_current(2)


def test_an_event_that_is_told_after_its_stream_was_lost_does_not_bring_it_back() -> None:
    board, card = fed([(0, 1)])
    board.note(status(StreamState.BACKING_OFF))
    board.add(event(2), 1)
    assert not card.is_current(1)


def test_a_told_gap_is_shown_once_even_where_the_stream_was_lost_too() -> None:
    board, card = fed([(0, 1)])
    gap = InputGap(A, THEN, THEN, "dropped")
    board.add(gap, 1)
    board.add(event(2), 1)
    board.note(status(StreamState.CONNECTING))
    board.note(status(StreamState.LIVE))
    board.add(gap, 2)
    board.add(event(3), 2)
    assert card.gaps(2) == [Gap(0, 1), Gap(1, 2)]


def test_nothing_is_current_and_nothing_is_missing_before_the_first_event() -> None:
    card = Board([Device(A)]).cards[A]
    assert card.state is StreamState.CONNECTING
    assert not card.is_current(0)
    assert not card.is_silent(100)
    assert card.gaps(100) == []


def test_levels_hold_until_the_next_sample_and_are_unknown_in_gaps_and_before_the_first() -> None:
    _, card = fed([(11, 10), (12, 30), (41, 50)], window=60, interval_ms=4000)
    assert card.levels(60, 6) == [None, 20, None, None, 50, None]
    assert card.levels(51, 6) == [None, None, 20, None, None, 50]
    _, card = fed([(1, 10), (12, 20)], window=24, interval_ms=4000)
    assert card.levels(23, 6) == [10, 10, 10, 20, 20, 20]


def test_devices_keep_what_came_of_them_when_they_are_renamed_and_leave_with_it() -> None:
    board, card = fed([(0, 1)])
    board.set_devices([Device(B), Device(A, label="lamp")])
    assert list(board.cards) == [B, A]
    assert board.cards[A] is card
    assert card.device.label == "lamp"
    board.set_device(Device(A, label="door"))
    assert card.device.label == "door"
    board.set_devices([Device(B)])
    assert board.events == 0
    board.add(event(1), 1)
    board.note(status(StreamState.LIVE))
    assert list(board.cards) == [B]


def test_a_device_whose_label_says_nothing_goes_by_its_id() -> None:
    board = Board([Device(A, label=" \t"), Device(B, label="lamp")])
    assert [card.name for card in board.cards.values()] == [A, "lamp"]


def test_a_revision_tells_of_all_changes_but_the_samples() -> None:
    board, card = fed([(0, 1)])
    before = card.revision
    board.add(event(2), 1)
    board.set_device(card.device)
    assert card.revision == before
    board.note(status(StreamState.QUIET))
    board.set_device(Device(A, label="lamp"))
    assert card.revision == before + 2
