"""How often somebody may be wrong about a secret; no I/O, no clock."""

from collections import OrderedDict, deque
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.datastructures import Address

__all__ = ["Guesses", "source_of"]

_MOST_SOURCES: Final = 10_000
_NETWORK: Final = 64
"""Bits of an IPv6 address; whoever has one has all that begin so (RFC 4291, section 2.5.4)."""


def source_of(client: Address | None) -> str:
    """Tell who somebody is, as far as their address can: of IPv6 the network that it is in."""
    host = "" if client is None else client.host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    return str(address.ipv4_mapped or IPv6Network((address, _NETWORK), strict=False))


class Guesses:
    """A moving window of wrong guesses for each source of them: mostly an address.

    The secrets that the cloud makes have 128 bits and more, so this is not what keeps them: it bounds the work, and the
    noise. Passwords, which people make, it does keep.

    Args:
        most: Wrong guesses in any window.
        window: Seconds.
    """

    def __init__(self, most: int = 20, window: float = 60.0) -> None:
        self._most = most
        self._window = window
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, source: str, now: float) -> float:
        """Tell in how many seconds a source may guess again; 0 for now."""
        times = self._wrong.get(source)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._window - now)

    def note(self, source: str, now: float) -> None:
        """Count a wrong one."""
        times = self._wrong.setdefault(source, deque(maxlen=self._most))
        times.append(now)
        self._wrong.move_to_end(source)
        if len(self._wrong) > _MOST_SOURCES:
            self._wrong.popitem(last=False)
