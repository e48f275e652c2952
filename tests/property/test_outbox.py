"""Whatever happens to an outbox: nothing overtakes, what is on its way stays, and no edge is lost but by the bound."""

from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from littlebits_async.localcloud.storage import DeliveryRecord, SubscriptionRecord
from littlebits_async.localcloud.webhooks import LADDER, Outbox

HOOK = SubscriptionRecord(id=7, publisher_id="b1", subscriber_id="http://x.test/", events=())
ROOM = 5


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bound = patch("littlebits_async.localcloud.webhooks._outbox.MOST_WAITING", ROOM)
        self.bound.start()
        self.outbox = Outbox(HOOK)
        self.newest = 0
        self.on_its_way: DeliveryRecord | None = None
        self.arrived: list[int] = []
        self.edges: set[int] = set()
        self.dropped: set[int] = set()
        self.newest_amplitude = 0
        self.failures = 0
        self.now_ms = 0

    def teardown(self) -> None:
        self.bound.stop()
        while self.outbox.head is not None:
            self.arrived.append(self.outbox.send().id)
            self.outbox.arrived()
        assert self.arrived == sorted(set(self.arrived))
        assert self.edges - set(self.arrived) == self.dropped & self.edges
        assert not self.newest_amplitude or self.newest_amplitude in {*self.arrived, *self.dropped}

    @rule(event=st.sampled_from(["amplitude", "amplitude:delta:ignite", "connection"]))
    def offer(self, event: str) -> None:
        self.newest += 1
        before = self.outbox.subscription.dropped
        gone = self.outbox.admit(DeliveryRecord(self.newest, HOOK.id, event, b""))
        assert self.on_its_way not in gone
        if self.outbox.subscription.dropped > before:
            assert self.outbox.subscription.dropped == before + 1
            (item,) = gone
            self.dropped.add(item.id)
        else:
            assert {item.event for item in gone} <= {"amplitude"}
            assert not gone or event == "amplitude"
        if event == "amplitude":
            self.newest_amplitude = self.newest
        else:
            self.edges.add(self.newest)

    @precondition(lambda self: self.on_its_way is None and self.outbox.head is not None)
    @rule()
    def send(self) -> None:
        self.on_its_way = self.outbox.send()

    @precondition(lambda self: self.on_its_way is not None)
    @rule()
    def arrive(self) -> None:
        assert self.on_its_way is not None
        self.arrived.append(self.on_its_way.id)
        self.on_its_way = None
        self.outbox.arrived()
        self.failures = 0

    @precondition(lambda self: self.on_its_way is not None)
    @rule(later_ms=st.integers(0, 10**6))
    def fail(self, later_ms: int) -> None:
        self.now_ms += later_ms
        self.outbox.failed(self.now_ms)
        self.on_its_way = None
        self.failures += 1
        if self.failures <= len(LADDER):
            assert self.outbox.subscription.retry_ms == self.now_ms + LADDER[self.failures - 1] * 1000

    @rule()
    def renew(self) -> None:
        self.outbox.renew()
        self.failures = 0

    @invariant()
    def holds(self) -> None:
        assert len(self.outbox) <= ROOM
        assert self.on_its_way is None or self.outbox.head == self.on_its_way
        assert self.outbox.is_given_up == (self.failures > len(LADDER))


TestOutbox = OutboxMachine.TestCase
