"""What waits for a subscriber: in order, bounded, the newest amplitude only; and the ladder of the documents."""

import inspect

import pytest

from littlebits_async.localcloud.storage import DeliveryRecord, SubscriptionRecord
from littlebits_async.localcloud.webhooks import LADDER, MOST_WAITING, Outbox, Poster

HOOK = SubscriptionRecord(id=7, publisher_id="b1", subscriber_id="http://x.test/", events=("amplitude",))
EDGE = "amplitude:delta:ignite"


def delivery(number: int, event: str = EDGE) -> DeliveryRecord:
    return DeliveryRecord(number, HOOK.id, event, b"%d" % number)


def drain(outbox: Outbox) -> list[int]:
    sent: list[int] = []
    while outbox.head is not None:
        sent.append(outbox.send().id)
        outbox.arrived()
    return sent


def test_a_subscriber_has_fifteen_seconds() -> None:
    assert inspect.signature(Poster).parameters["answer_within"].default == 15


def test_the_ladder_is_that_of_the_documents() -> None:
    minute, hour, day = 60, 3600, 86_400
    assert (10, 30, minute, 10 * minute, hour, day, 7 * day) == LADDER
    outbox = Outbox(HOOK, [delivery(1)])
    now_ms = 1_000_000
    for failures, wait in enumerate(LADDER, start=1):
        outbox.send()
        outbox.failed(now_ms)
        assert (outbox.subscription.failures, outbox.subscription.retry_ms) == (failures, now_ms + wait * 1000)
        assert not outbox.is_given_up
        assert outbox.head == delivery(1)
        now_ms = outbox.subscription.retry_ms
    outbox.send()
    outbox.failed(now_ms)
    assert outbox.is_given_up


@pytest.mark.parametrize("failures", range(1, 8))
def test_a_success_on_any_step_begins_anew(failures: int) -> None:
    outbox = Outbox(HOOK, [delivery(1), delivery(2)])
    for _ in range(failures):
        outbox.send()
        outbox.failed(0)
    outbox.send()
    outbox.arrived()
    assert (outbox.subscription.failures, outbox.subscription.retry_ms) == (0, 0)
    outbox.send()
    outbox.failed(5000)
    assert (outbox.subscription.failures, outbox.subscription.retry_ms) == (1, 15_000)


@pytest.mark.parametrize("is_renewed", [False, True])
def test_one_that_is_subscribed_anew_is_not_given_up(*, is_renewed: bool) -> None:
    outbox = Outbox(HOOK, [delivery(1)])
    for _ in range(8):
        outbox.send()
        outbox.failed(0)
    if is_renewed:
        outbox.renew()
    assert outbox.is_given_up != is_renewed
    assert drain(outbox) == [1]


def test_it_goes_on_from_what_was_kept() -> None:
    kept = SubscriptionRecord(
        id=7, publisher_id="b1", subscriber_id="http://x.test/", events=(), failures=6, retry_ms=99, dropped=3
    )
    outbox = Outbox(kept, [delivery(4), delivery(9)])
    outbox.send()
    outbox.failed(0)
    assert (outbox.subscription.failures, outbox.subscription.retry_ms) == (7, LADDER[-1] * 1000)
    assert outbox.subscription.dropped == 3
    assert drain(outbox) == [4, 9]


def test_of_amplitudes_the_newest_waits_behind_what_came_before_it() -> None:
    outbox = Outbox(HOOK)
    assert outbox.admit(delivery(1, "amplitude")) == []
    assert outbox.admit(delivery(2)) == []
    assert outbox.admit(delivery(3, "amplitude")) == [delivery(1, "amplitude")]
    assert outbox.admit(delivery(4, "amplitude")) == [delivery(3, "amplitude")]
    assert outbox.subscription.dropped == 0
    assert drain(outbox) == [2, 4]


def test_an_amplitude_on_its_way_is_left_alone_until_it_fails() -> None:
    outbox = Outbox(HOOK, [delivery(1, "amplitude")])
    outbox.send()
    assert outbox.admit(delivery(2, "amplitude")) == []
    assert outbox.admit(delivery(3, "amplitude")) == [delivery(2, "amplitude")]
    outbox.failed(0)
    assert outbox.admit(delivery(4, "amplitude")) == [delivery(1, "amplitude"), delivery(3, "amplitude")]
    assert drain(outbox) == [4]


@pytest.mark.parametrize("is_sending", [False, True])
def test_a_thousand_wait_at_most_and_the_oldest_is_dropped_and_counted(*, is_sending: bool) -> None:
    assert MOST_WAITING == 1000
    outbox = Outbox(HOOK, [delivery(number) for number in range(MOST_WAITING)])
    if is_sending:
        outbox.send()
    oldest = delivery(1 if is_sending else 0)
    assert outbox.admit(delivery(1000)) == [oldest]
    assert len(outbox) == MOST_WAITING
    assert outbox.subscription.dropped == 1
    outbox.admit(delivery(1001, "amplitude"))
    assert outbox.subscription.dropped == 2
    outbox.admit(delivery(1002, "amplitude"))  # takes a place, and needs none
    assert (len(outbox), outbox.subscription.dropped) == (MOST_WAITING, 2)
