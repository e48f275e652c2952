"""Who has to wait before a password of theirs is looked at; no I/O, no clock."""

from collections import OrderedDict
from typing import Final

from ..guesses import Guesses

__all__ = ["Guessing"]

_OF_AN_ADDRESS: Final = 20
_AT_AN_ACCOUNT: Final = 40
"""More, so that from one address nobody keeps others out of theirs."""
_MOST_KNOWN: Final = 10_000


class Guessing:
    """Wrong passwords by the address of the network that they come from, and by the account that they are meant for.

    Many addresses may guess at one account, so that it too has to wait; but not for an address from which it was opened
    before. Else whoever goes on guessing would keep its owner out for as long.
    """

    def __init__(self) -> None:
        self._addresses = Guesses(_OF_AN_ADDRESS)
        self._accounts = Guesses(_AT_AN_ACCOUNT)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, address: str, account: str, now: float) -> float:
        """Tell in how many seconds an address may try again at an account; 0 for now."""
        wait = self._addresses.wait(address, now)
        return wait if (address, account) in self._known else max(wait, self._accounts.wait(account, now))

    def note_wrong(self, address: str, account: str, now: float) -> None:
        """Count a wrong one."""
        self._addresses.note(address, now)
        if (address, account) not in self._known:
            self._accounts.note(account, now)

    def note_right(self, address: str, account: str) -> None:
        """Know an address, from which an account was opened."""
        self._known[address, account] = None
        self._known.move_to_end((address, account))
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
