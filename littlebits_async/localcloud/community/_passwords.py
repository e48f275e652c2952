"""Passwords, of which only hashes are kept: scrypt, with a salt for each.

A hash takes 32 MiB and some tenths of a second on purpose; so it is made in a thread, for few at a time, and not for
ever more who wait.

Source: RFC 7914; OWASP's Password Storage Cheat Sheet for the costs. They stand with the hash, so that they can be
raised one day. RFC 8265, section 4.2.2: a password is the same in whichever normal form a keyboard writes it.
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio.to_thread
from attrs import frozen

from ..answers import Refusal

__all__ = ["Passwords", "hash_password"]


@frozen
class Costs:
    """What a hash costs; these names are RFC 7914's."""

    n: int = 2**15
    r: int = 8
    p: int = 3

    def hash(self, password: str, salt: bytes) -> bytes:
        """Make it."""
        memory = 128 * self.r * (self.n + self.p + 2)
        written = unicodedata.normalize("NFC", password).encode()
        return hashlib.scrypt(written, salt=salt, n=self.n, r=self.r, p=self.p, maxmem=memory, dklen=32)


COSTS: Final = Costs()
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 32


def hash_password(password: str) -> str:
    """Hash a password, for keeping; this takes its time."""
    salt = secrets.token_bytes(16)
    return _written(COSTS, salt, COSTS.hash(password, salt))


def _written(costs: Costs, *parts: bytes) -> str:
    made = [base64.b64encode(part).decode() for part in parts]
    return "$".join(["scrypt", str(costs.n), str(costs.r), str(costs.p), *made])


class Passwords:
    """Hashes passwords and compares them, beside the event loop."""

    def __init__(self) -> None:
        self._turns = anyio.CapacityLimiter(_AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Wait until it is one's turn.

        Raises:
            Refusal: 503, as too many wait.
        """
        if self._turns.statistics().tasks_waiting >= _MOST_WAITING:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many log in at the moment. Try again.",
                headers={"retry-after": "2"},
            )
        async with self._turns:
            yield

    async def hash(self, password: str) -> str:
        """Hash a password, in one's turn."""
        return await anyio.to_thread.run_sync(hash_password, password)

    async def match(self, password: str, kept: str | None) -> bool:
        """Compare a password with a hash, in one's turn; where there is none, that takes as long, and fails."""
        matches = await anyio.to_thread.run_sync(_match, password, kept or _written(COSTS, bytes(16), bytes(32)))
        return matches and kept is not None


def _match(password: str, kept: str) -> bool:
    _, n, r, p, salt, hashed = kept.split("$")
    found = Costs(int(n), int(r), int(p)).hash(password, base64.b64decode(salt))
    return hmac.compare_digest(found, base64.b64decode(hashed))
