from collections import Counter
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from littlebits_async.buffer import Buffer, Overflow, make_buffer

KEYS = st.sampled_from("abcd")


class Item(NamedTuple):
    key: str
    number: int
    mergeable: bool


class Machine(RuleBasedStateMachine):
    """The buffer beside a plain list that is searched for everything."""

    @initialize(capacity=st.integers(1, 8), overflow=st.sampled_from(Overflow))
    def start(self, capacity: int, overflow: Overflow) -> None:
        self.buffer: Buffer[Item] = make_buffer(capacity, overflow)
        self.capacity = capacity
        self.overflow = overflow
        self.queue: list[Item] = []
        self.dropped = Counter[str]()
        self.total = 0
        self.numbers = 0  # of items put
        self.changes = 0  # of the length of any key's queue
        self.changed: dict[str, int] = {}  # when each key's queue last changed its length

    def changes_length(self, key: str) -> None:
        self.changes += 1
        self.changed[key] = self.changes

    def drop(self, item: Item) -> None:
        self.queue.remove(item)
        self.changes_length(item.key)
        self.count(item.key)

    def count(self, key: str) -> None:
        self.dropped[key] += 1
        self.total += 1

    def of(self, key: str) -> list[Item]:
        return [item for item in self.queue if item.key == key]

    @rule(key=KEYS, mergeable=st.booleans())
    def put(self, key: str, mergeable: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name
        self.numbers += 1
        item = Item(key, self.numbers, mergeable)
        refused = self.overflow is Overflow.BLOCK and len(self.queue) == self.capacity
        assert self.buffer.put(key, item, mergeable=mergeable) is not refused
        if refused:
            return
        old = next((queued for queued in self.of(key) if queued.mergeable), None)
        if self.overflow is Overflow.LATEST and mergeable and old is not None:
            if self.of(key)[-1] == old:
                self.queue[self.queue.index(old)] = item
                self.count(key)
                return
            self.drop(old)
        self.queue.append(item)
        self.changes_length(key)
        if len(self.queue) > self.capacity:
            lengths = Counter(queued.key for queued in self.queue)
            longest = max(lengths, key=lambda k: (lengths[k], -self.changed[k]))
            self.drop(self.of(longest)[0])

    @precondition(lambda self: self.queue)
    @rule()
    def pop(self) -> None:
        item = self.queue.pop(0)
        self.changes_length(item.key)
        assert self.buffer.pop() == item

    @rule()
    def drain(self) -> None:
        assert self.buffer.drain() == self.queue
        self.queue.clear()

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        assert self.buffer.discard(key) == len(self.of(key))
        self.queue = [item for item in self.queue if item.key != key]
        del self.dropped[key]

    @invariant()
    def agrees(self) -> None:
        assert len(self.buffer) == len(self.queue) <= self.capacity
        assert self.buffer.full is (len(self.queue) == self.capacity)
        assert self.buffer.dropped == self.total
        assert all(self.buffer.dropped_by(key) == self.dropped[key] for key in "abcd")

    @invariant()
    def keeps_the_order_of_each_key(self) -> None:
        for key in "abcd":
            numbers = [item.number for item in self.of(key)]
            assert numbers == sorted(numbers)

    def teardown(self) -> None:
        if hasattr(self, "buffer"):
            self.drain()


TestBuffer = Machine.TestCase
TestBuffer.settings = settings(deadline=None, max_examples=150, stateful_step_count=60)
