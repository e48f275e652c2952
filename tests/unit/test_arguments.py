"""The lengths of what goes into a URL."""

from collections.abc import Callable

import httpx
import pytest

from littlebits_async import InvalidArgumentError
from littlebits_async.wire import activate, device, inputs, output, subscribe, subscriptions, unsubscribe

WIDE = "\N{BRICK}"
"""Four bytes, which a URL holds as twelve characters."""

TOO_LONG: list[Callable[[], object]] = [
    lambda: device("a" * 1025),
    lambda: inputs("a" * 70_000),
    lambda: output(WIDE * 257),
    lambda: activate("a" * 1025),
    lambda: subscriptions(publisher_id="a" * 1025),
    lambda: subscriptions(subscriber_id="h" * 8193),
    lambda: subscriptions(subscriber_id=WIDE * 2049),
    lambda: subscribe(publisher_id="a" * 1025, subscriber_id="b"),
    lambda: unsubscribe(publisher_id="a", subscriber_id="b" * 8193),
]


@pytest.mark.parametrize("build", TOO_LONG)
def test_an_id_that_no_url_holds_is_refused_and_not_shown(build: Callable[[], object]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"_id must be of \d+ bytes at most, not \d+$"):
        build()


def test_the_longest_ids_make_a_url() -> None:
    base = "http://cloud.example/" + "p" * 4075
    httpx.URL(base + device(WIDE * 256).path)
    query = subscriptions(publisher_id=WIDE * 256, subscriber_id=WIDE * 2048).query
    httpx.URL(base, params=dict(query))


def test_a_label_may_be_long() -> None:
    assert activate("a", label="x" * 100_000).body
