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


@pytest.mark.parametrize("again", [True, False])
def test_a_failed_output_goes_back_to_its_place_or_is_given_up(again: bool) -> None:  # noqa: FBT001
    waiting = outputs(pulse("a", 1), pulse("a", 2))
    first = waiting.take(0.0)
    assert first is not None
    waiting.failed(first, again=again)
    assert [(output.percent, output.tries) for output in waiting] == ([(1, 1), (2, 0)] if again else [(2, 0)])
    assert len(waiting) == len(list(waiting))
    assert waiting.due_at(0.0) == 0.0


def test_a_failed_value_is_not_put_back_where_a_newer_one_waits() -> None:
    waiting = outputs(held("a", 1))
    first = waiting.take(0.0)
    assert first is not None
    waiting.put(held("a", 2))
    waiting.failed(first, again=True)
    assert list(waiting) == [held("a", 2)]


def test_clearing_tells_what_was_dropped() -> None:
    some = (held("a", 1), pulse("b", 2))
    waiting = outputs(*some)
    assert waiting.clear() == some
    assert len(waiting) == 0
