"""Where webhooks may go: to the internet, and to nobody's loopback, link or private network.

A name is looked up here, and the very address that was checked is connected to; a name that answers differently each
time (DNS rebinding) gains nothing. So a name is not looked at before it is called. A host that needs no looking up,
an address or ``localhost``, is refused when somebody subscribes, so that the mistake is told to whom it concerns.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterable
from typing import Any, Final

import httpcore

__all__ = ["CheckedBackend", "is_private_host", "is_public"]

_UNICAST: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_CONNECT_WITHIN: Final = 4.0
"""Seconds that an address has while there are others to try."""


def is_public(address: str) -> bool:
    """Tell whether an address is one of the internet, also where an IPv6 address stands for one of IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if (inner := _inside(parsed)) is not None:
            parsed = inner
        elif parsed not in _UNICAST:  # more is called global than is routed: ::127.0.0.1, fec0::1
            return False
    return parsed.is_global and not parsed.is_multicast


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Find the IPv4 address that packets to an IPv6 address go to."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def is_private_host(host: str) -> bool:
    """Tell whether a host is known not to be of the internet without looking it up."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        # Takes 127.1, 0x7f000001 and 2130706433 for addresses, as looking them up does.
        host = socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        if ":" not in host:
            return False
    return not is_public(host)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses of the internet only.

    Args:
        inner: Does the connecting.
    """

    def __init__(self, inner: httpcore.AsyncNetworkBackend, *, allow_private: bool = False) -> None:
        self._inner = inner
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own word
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first public address of a host that answers."""
        try:
            found = await _look_up(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"no such host: {error}") from error
        addresses = [address for address in found if self._allow_private or is_public(address)]
        if not addresses:
            raise httpcore.ConnectError("the host is not on the internet, and private targets are not allowed")
        *others, last = addresses
        for address in others:
            try:
                return await self._inner.connect_tcp(address, port, _CONNECT_WITHIN, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - as httpcore calls it
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - as httpcore calls it
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - as httpcore calls it
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no URL leads here."""
        raise httpcore.ConnectError("webhooks go by TCP")

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._inner.sleep(seconds)


async def _look_up(host: str, port: int) -> list[str]:
    """Look a host's addresses up in a thread of its own, which holds up nobody.

    The loop's own threads are few: some names whose servers do not answer would keep every other webhook waiting, and
    the program from ending.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: Exception | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def work() -> None:
        addresses, failure = list[str](), None
        try:
            addresses = [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        except Exception as error:  # noqa: BLE001 - raised to whoever waits
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=work, name="LocalCloud name lookup", daemon=True).start()
    return await found
