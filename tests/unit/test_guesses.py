"""How often somebody may be wrong about a secret, and who somebody is."""

import pytest
from starlette.datastructures import Address

from littlebits_async.localcloud.guesses import Guesses, source_of


def test_an_address_may_be_wrong_so_often_in_any_window() -> None:
    guesses = Guesses(most=2, window=60)
    assert guesses.wait("a", 0) == 0
    guesses.note("a", 0)
    assert guesses.wait("a", 10) == 0
    guesses.note("a", 10)
    assert guesses.wait("a", 20) == 40
    assert guesses.wait("b", 20) == 0
    assert guesses.wait("a", 60) == 0
    guesses.note("a", 60)
    assert guesses.wait("a", 61) == 9


def test_it_remembers_a_bounded_number_of_addresses() -> None:
    guesses = Guesses(most=1)
    for number in range(10_001):
        guesses.note(str(number), 0)
    assert guesses.wait("0", 1) == 0
    assert guesses.wait("1", 1) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient", "testclient", True),
        ("testclient", "", False),
    ],
)
def test_a_network_of_ipv6_is_one_source(one: str, other: str, *, same: bool) -> None:
    assert (source_of(Address(one, 1)) == source_of(Address(other, 2))) is same


def test_who_has_no_address_is_one_source() -> None:
    assert source_of(None) == ""
