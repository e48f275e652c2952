"""The addresses behind a host's name: asked for once, however many streams are opened at a time."""

import asyncio
import functools
import ipaddress
import socket
import time
from itertools import chain, zip_longest
from typing import Final

import anyio
from msgspec import Struct

__all__ = ["Names"]

_FRESH: Final = 5.0
"""Seconds for which addresses are used again; what a thousand streams take to open, and no more."""


class _Found(Struct, frozen=True):
    at: float
    addresses: list[str]
    error: tuple[object, ...] | None  # of a socket.gaierror


class Names:
    """Asks for addresses, for one event loop of asyncio."""

    def __init__(self) -> None:
        self._asking: dict[tuple[str, int], anyio.Lock] = {}
        self._found: dict[tuple[str, int], _Found] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return a host's addresses, IPv6 and IPv4 in turns; one address is its own.

        Who asks while somebody else does gets the same answer, be it an error.

        Raises:
            OSError: There are none.
        """
        if _is_address(host):
            return [host]
        asked = time.monotonic()
        if (found := self._known(host, port, asked)) is None:
            async with self._asking.setdefault((host, port), anyio.Lock(fast_acquire=True)):
                if (found := self._known(host, port, asked)) is None:
                    found = self._found[host, port] = await _ask(host, port)
        if found.error is not None:
            raise socket.gaierror(*found.error)
        return found.addresses

    def _known(self, host: str, port: int, asked: float) -> _Found | None:
        found = self._found.get((host, port))
        if found is None or found.at + (0 if found.error else _FRESH) < asked:
            return None
        return found


async def _ask(host: str, port: int) -> _Found:
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        return _Found(time.monotonic(), [], exc.args)
    families: dict[int, list[str]] = {}
    for family, _, _, _, address in infos:
        families.setdefault(family, []).append(str(address[0]))
    in_turns = chain.from_iterable(zip_longest(*families.values()))
    return _Found(time.monotonic(), [address for address in in_turns if address is not None], None)


@functools.lru_cache(maxsize=16)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
