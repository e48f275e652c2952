"""Which output is written next; times passed in."""

import math

import pytest

from littlebits_async import FOREVER
from littlebits_async.cloudbit._outputs import Output, Outputs


def held(device_id: str, percent: float) -> Output:
    return Output(device_id, percent, FOREVER)


def pulse(device_id: str, percent: float, seconds: float = 1.0, pause: float = 0.0) -> Output:
    return Output(device_id, percent, round(seconds * 1000), pause=pause)


def outputs(*some: Output) -> Outputs:
    waiting = Outputs()
    for output in some:
        waiting.put(output)
    return waiting


def test_nothing_is_due_where_nothing_waits() -> None:
    waiting = Outputs()
    assert waiting.due_at(5.0) is None
    assert waiting.take(5.0) is None


def test_the_last_value_to_be_held_wins() -> None:
    waiting = outputs(held("a", 1), held("b", 2), held("a", 3))
    assert len(waiting) == 2
    assert [waiting.take(0.0), waiting.take(0.0)] == [held("a", 3), held("b", 2)]


def test_a_pulse_is_never_replaced_and_keeps_its_place() -> None:
    some = [held("a", 1), pulse("a", 2), held("a", 3), pulse("a", 4), pulse("a", 5)]
    assert list(outputs(*some, held("a", 6), held("a", 7))) == [*some, held("a", 7)]


def test_devices_take_turns() -> None:
    waiting = outputs(pulse("a", 1, 0), pulse("a", 2, 0), pulse("b", 3, 0))
    order: list[float] = []
    while (output := waiting.take(0.0)) is not None:
        order.append(output.percent)
        waiting.done(output, 0.0)
    assert order == [1, 3, 2]


def test_a_device_is_passed_over_while_its_request_is_on_its_way() -> None:
    waiting = outputs(pulse("a", 1), pulse("a", 2), pulse("b", 3))
    assert waiting.take(0.0) == pulse("a", 1)
    assert waiting.take(0.0) == pulse("b", 3)
    assert waiting.take(0.0) is None
    assert waiting.due_at(0.0) == math.inf


def test_a_pulse_waits_until_the_one_before_it_is_over() -> None:
    waiting = outputs(pulse("a", 1, seconds=0.5, pause=1.5), held("a", 2))
    first = waiting.take(10.0)
    assert first is not None
    waiting.done(first, 10.25)
    assert waiting.due_at(11.0) == 12.25
    assert waiting.take(12.24) is None
    assert waiting.take(12.25) == held("a", 2)


def test_a_held_value_may_be_replaced_at_once() -> None:
    waiting = outputs(held("a", 1))
    first = waiting.take(0.0)
    assert first is not None
    waiting.done(first, 1.0)
    waiting.put(held("a", 2))
    assert waiting.due_at(1.0) == 1.0


@pytest.mark.parametrize("again_in", [5.0, None])
def test_a_failed_output_goes_back_to_its_place_or_is_given_up(again_in: float | None) -> None:
    waiting = outputs(pulse("a", 1), pulse("a", 2))
    first = waiting.take(10.0)
    assert first is not None
    waiting.failed(first, 11.0, again_in=again_in)
    again = again_in is not None
    assert [(output.percent, output.tries) for output in waiting] == ([(1, 1), (2, 0)] if again else [(2, 0)])
    assert len(waiting) == len(list(waiting))
    assert waiting.due_at(11.0) == (16.0 if again else 11.0)


def test_a_device_that_failed_is_passed_over_until_it_is_due_and_holds_up_no_other() -> None:
    waiting = outputs(pulse("a", 1), pulse("b", 2))
    first = waiting.take(0.0)
    assert first is not None
    waiting.failed(first, 0.0, again_in=5.0)
    assert waiting.due_at(0.0) == 0.0
    assert waiting.take(0.0) == pulse("b", 2)
    assert waiting.due_at(0.0) == 5.0
    assert waiting.take(4.9) is None
    again = waiting.take(5.0)
    assert again is not None
    assert (again.device_id, again.tries) == ("a", 1)


def test_a_failed_value_is_not_put_back_where_a_newer_one_waits_which_then_waits_as_long() -> None:
    waiting = outputs(held("a", 1))
    first = waiting.take(0.0)
    assert first is not None
    waiting.put(held("a", 2))
    waiting.failed(first, 1.0, again_in=5.0)
    assert list(waiting) == [held("a", 2)]
    assert len(waiting) == 1
    assert waiting.due_at(1.0) == 6.0


def test_a_newer_value_replaces_one_that_waits_to_be_tried_again_and_waits_as_long() -> None:
    waiting = outputs(held("a", 1))
    first = waiting.take(0.0)
    assert first is not None
    waiting.failed(first, 1.0, again_in=5.0)
    waiting.put(held("a", 2))
    assert list(waiting) == [held("a", 2)]
    assert waiting.due_at(1.0) == 6.0


def test_what_is_on_its_way_counts_until_it_is_done() -> None:
    waiting = outputs(pulse("a", 1), pulse("b", 2))
    first = waiting.take(0.0)
    assert first is not None
    assert len(waiting) == 2
    assert sorted(output.percent for output in waiting) == [1, 2]
    waiting.done(first, 0.0)
    assert len(waiting) == 1


def test_clearing_tells_what_was_dropped_on_its_way_or_not() -> None:
    some = (held("a", 1), pulse("b", 2), pulse("a", 3))
    waiting = outputs(*some)
    assert waiting.take(0.0) == held("a", 1)
    assert sorted(waiting.clear(), key=lambda output: output.percent) == list(some)
    assert len(waiting) == 0
    assert list(waiting) == []
    assert waiting.due_at(0.0) is None
