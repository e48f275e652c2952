from typing import Any

import pytest

from littlebits_async.buffer import Buffer, Overflow, make_buffer
from littlebits_async.errors import InvalidArgumentError

ALL = list(Overflow)
DROPPING = [Overflow.DROP_OLDEST, Overflow.LATEST]


def make(capacity: int, overflow: Overflow, items: str = "") -> Buffer[str]:
    """A buffer with items like ``a1``; the letter is the key, and an exclamation mark says not to merge."""
    buffer: Buffer[str] = make_buffer(capacity, overflow)
    put(buffer, items)
    return buffer


def put(buffer: Buffer[str], items: str) -> None:
    for item in items.split():
        assert buffer.put(item[0], item, mergeable=not item.endswith("!"))


@pytest.mark.requirement("R1.order")
@pytest.mark.parametrize("overflow", ALL)
def test_items_leave_as_they_came(overflow: Overflow) -> None:
    buffer = make(5, overflow, "a1! b1! a2! c1! b2!")
    assert len(buffer) == 5
    assert buffer.pop() == "a1!"
    assert [buffer.pop(), buffer.pop()] == ["b1!", "a2!"]
    put(buffer, "a3!")
    assert buffer.drain() == ["c1!", "b2!", "a3!"]
    assert len(buffer) == buffer.dropped == 0
    put(buffer, "b3! a4!")
    assert buffer.drain() == ["b3!", "a4!"]


@pytest.mark.parametrize("overflow", ALL)
def test_nothing_comes_out_of_an_empty_buffer(overflow: Overflow) -> None:
    buffer = make(2, overflow)
    assert buffer.drain() == []
    assert buffer.discard("a") == 0
    with pytest.raises(IndexError):
        buffer.pop()
    put(buffer, "a1")
    buffer.pop()
    with pytest.raises(IndexError):
        buffer.pop()


@pytest.mark.parametrize("overflow", ALL)
def test_full_means_that_one_more_has_a_price(overflow: Overflow) -> None:
    buffer = make(3, overflow)
    assert buffer.capacity == 3
    for item, full in [("a1!", False), ("b1!", False), ("a2!", True)]:
        put(buffer, item)
        assert buffer.full is full
    buffer.pop()
    assert not buffer.full


@pytest.mark.parametrize("overflow", ALL)
def test_discard_takes_one_key_out(overflow: Overflow) -> None:
    buffer = make(6, overflow, "a1! b1! a2! c1! a3! b2!")
    assert buffer.discard("a") == 3
    assert buffer.discard("a") == 0
    assert len(buffer) == 3
    assert buffer.dropped == 0
    put(buffer, "a4!")
    assert buffer.drain() == ["b1!", "c1!", "b2!", "a4!"]


@pytest.mark.requirement("R2.block")
def test_block_refuses_when_full_and_takes_again_after() -> None:
    buffer = make(2, Overflow.BLOCK, "a1 a2")
    assert not buffer.put("b", "b1")
    assert buffer.pop() == "a1"
    assert buffer.put("b", "b1")
    assert not buffer.put("b", "b2")
    assert buffer.drain() == ["a2", "b1"]
    assert buffer.dropped == buffer.dropped_by("a") == buffer.dropped_by("b") == 0


@pytest.mark.requirement("R2.oldest")
@pytest.mark.parametrize("overflow", DROPPING)
def test_the_key_with_most_queued_loses_its_oldest(overflow: Overflow) -> None:
    buffer = make(5, overflow, "b1! a1! a2! a3! b2! c1!")
    assert (buffer.dropped, buffer.dropped_by("a"), buffer.dropped_by("b")) == (1, 1, 0)
    assert buffer.drain() == ["b1!", "a2!", "a3!", "b2!", "c1!"]


@pytest.mark.requirement("R2.oldest")
@pytest.mark.parametrize("overflow", DROPPING)
def test_the_newcomer_counts(overflow: Overflow) -> None:
    buffer = make(4, overflow, "b1! a1! b2! a2! a3!")
    assert buffer.dropped_by("a") == 1
    assert buffer.drain() == ["b1!", "b2!", "a2!", "a3!"]


@pytest.mark.requirement("R2.oldest")
@pytest.mark.parametrize("overflow", DROPPING)
def test_of_equals_it_is_the_one_that_has_had_so_many_for_the_longest(overflow: Overflow) -> None:
    # b has had two since before a; what a lost and gained again since does not make it older.
    buffer = make(4, overflow, "a1! b1! b2! a2! c1!")
    assert buffer.drain() == ["a1!", "b2!", "a2!", "c1!"]
    buffer = make(3, overflow, "a1! b1! c1! d1! e1!")
    assert buffer.drain() == ["c1!", "d1!", "e1!"]


@pytest.mark.parametrize("overflow", DROPPING)
def test_the_newest_is_never_the_one_dropped(overflow: Overflow) -> None:
    buffer = make(1, overflow)
    for item in ("a1!", "b1!", "b2!", "a2!"):
        put(buffer, item)
        assert len(buffer) == 1
    assert buffer.drain() == ["a2!"]
    assert (buffer.dropped, buffer.dropped_by("a"), buffer.dropped_by("b")) == (3, 1, 2)


@pytest.mark.requirement("R2.oldest")
@pytest.mark.parametrize("overflow", DROPPING)
def test_the_longest_is_known_after_pops_and_discards(overflow: Overflow) -> None:
    buffer = make(6, overflow, "a1! a2! a3! b1! b2! c1!")
    assert [buffer.pop(), buffer.pop()] == ["a1!", "a2!"]
    put(buffer, "c2! d1! e1!")
    assert buffer.dropped_by("b") == 1
    assert buffer.discard("c") == 2
    put(buffer, "d2! e2! a4!")
    assert buffer.drain() == ["a3!", "b2!", "e1!", "d2!", "e2!", "a4!"]
    assert buffer.dropped_by("d") == 1


@pytest.mark.parametrize("overflow", DROPPING)
def test_the_longest_is_known_after_a_drain(overflow: Overflow) -> None:
    buffer = make(3, overflow, "a1! a2! a3!")
    buffer.drain()
    put(buffer, "b1! c1! a4! d1!")
    assert buffer.drain() == ["c1!", "a4!", "d1!"]


@pytest.mark.parametrize("overflow", DROPPING)
def test_a_discarded_key_starts_anew(overflow: Overflow) -> None:
    buffer = make(1, overflow, "a1! a2! a3!")
    assert buffer.dropped_by("a") == 2
    assert buffer.discard("a") == 1
    assert (buffer.dropped, buffer.dropped_by("a")) == (2, 0)


def test_drop_oldest_never_merges() -> None:
    assert make(3, Overflow.DROP_OLDEST, "a1 a2 a3").drain() == ["a1", "a2", "a3"]


@pytest.mark.requirement("R2.latest")
def test_latest_keeps_the_newest_in_the_place_of_the_one_before() -> None:
    buffer = make(9, Overflow.LATEST, "a1 b1 a2 c1 a3 b2")
    assert (len(buffer), buffer.dropped, buffer.dropped_by("a"), buffer.dropped_by("b")) == (3, 3, 2, 1)
    assert buffer.drain() == ["a3", "b2", "c1"]
    put(buffer, "c2 a4")
    assert buffer.pop() == "c2"
    put(buffer, "c3 a5")
    assert buffer.drain() == ["a5", "c3"]


@pytest.mark.requirement("R2.edges")
def test_latest_merges_nothing_that_is_not_mergeable_and_overtakes_nothing() -> None:
    buffer = make(9, Overflow.LATEST, "a1 b1 a2! a3 a4 a5! a6!")
    assert buffer.dropped_by("a") == 2  # a1 and a3: a4 is newer, and must not pass a2!
    assert buffer.drain() == ["b1", "a2!", "a4", "a5!", "a6!"]


@pytest.mark.requirement("R2.latest")
def test_latest_loses_from_the_longest_when_full() -> None:
    buffer = make(3, Overflow.LATEST, "b1! b2! a1 a2 c1")
    assert (buffer.dropped_by("a"), buffer.dropped_by("b")) == (1, 1)
    assert buffer.drain() == ["b2!", "a2", "c1"]


def test_latest_merges_with_nothing_that_was_dropped_or_discarded() -> None:
    buffer = make(2, Overflow.LATEST, "a1 a2! a3! a4")
    assert buffer.dropped_by("a") == 2
    assert buffer.drain() == ["a3!", "a4"]
    put(buffer, "b1")
    assert buffer.discard("b") == 1
    put(buffer, "b2")
    assert buffer.dropped_by("b") == 0
    assert buffer.drain() == ["b2"]


@pytest.mark.parametrize("overflow", ALL)
def test_nothing_is_kept_of_what_is_gone(overflow: Overflow) -> None:
    buffer = make(10, overflow)
    for number in range(1_000):
        buffer.put(f"key {number}", "x", mergeable=number % 2 == 0)
    for number in range(1_000):
        buffer.discard(f"key {number}")
    parts = [getattr(buffer, name) for kind in type(buffer).__mro__ for name in getattr(kind, "__slots__", ())]
    assert not any(len(part) for part in parts if hasattr(part, "__len__"))


@pytest.mark.parametrize("overflow", ALL)
@pytest.mark.parametrize("capacity", [0, -1, 1.5, "9", None])
def test_a_capacity_is_a_positive_integer(capacity: Any, overflow: Overflow) -> None:
    with pytest.raises(InvalidArgumentError, match="capacity"):
        make(capacity, overflow)


def test_an_overflow_is_one_of_three() -> None:
    wrong: Any = "drop"
    with pytest.raises(InvalidArgumentError, match="block, drop-oldest, latest"):
        make(1, wrong)
    by_value: Any = "latest"
    assert make(2, by_value, "a1 a2").drain() == ["a2"]
