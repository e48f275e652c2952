"""Who may see a dashboard: passwords, sessions, guesses, hosts and origins; no I/O, no clock."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from ..errors import InvalidArgumentError

__all__ = ["SESSION_LASTS", "Access", "Guesses", "is_loopback", "same_origin"]

SESSION_LASTS: Final = 7 * 24 * 3600
"""Seconds for which a browser stays logged in."""
_LEAST_LENGTH: Final = 8
_FREE: Final = 3
"""Wrong guesses from one address that nobody has to wait after: people mistype."""
_FREE_FOR_ALL: Final = 50
"""The same for all addresses together."""
_LONGEST_WAIT: Final = 60.0
_LONGEST_WAIT_FOR_ALL: Final = 5.0
"""Short: else who guesses could keep out who knows."""
_FORGET_AFTER: Final = 900.0
_ADDRESSES: Final = 1000
_SESSIONS: Final = 1000
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name is not looked up, and only one counts."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def host_name(host: str) -> str:
    """Return the name in a Host header, without its port; empty for what is no such header."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of an origin was served by this very host, as its requests name it."""
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and rest.lower() == host.lower()


class Guesses:
    """Makes whoever guesses wait: from the fourth wrong one on, twice as long each time, a minute at most.

    An address is that of a whole network where everybody has one (IPv6). All addresses together are held to a limit as
    well, for who has many; there the wait is some seconds at most.
    """

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._wrong_by_all = 0
        self._last_by_all = 0.0

    def wait(self, address: str, now: float) -> float:
        """Return for how many seconds an address may not guess, 0.0 where it may."""
        count, last = self._wrong.get(_network(address), (0, 0.0))
        return max(
            _wait(count - _FREE, last, now, _LONGEST_WAIT),
            _wait(self._wrong_by_all - _FREE_FOR_ALL, self._last_by_all, now, _LONGEST_WAIT_FOR_ALL),
            0.0,
        )

    def note_wrong(self, address: str, now: float) -> None:
        """An address guessed wrong."""
        network = _network(address)
        count, last = self._wrong.pop(network, (0, now))
        self._wrong[network] = (1 if now - last > _FORGET_AFTER else count + 1, now)
        if len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)
        self._wrong_by_all = 1 if now - self._last_by_all > _FORGET_AFTER else self._wrong_by_all + 1
        self._last_by_all = now

    def note_right(self, address: str) -> None:
        """An address knew it."""
        self._wrong.pop(_network(address), None)
        self._wrong_by_all = max(self._wrong_by_all - 1, 0)


def _wait(too_many: int, last: float, now: float, longest: float) -> float:
    return last + min(2.0 ** min(too_many, 16), longest) - now if too_many > 0 else 0.0


def _network(address: str) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return ip.exploded[:19] if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None else str(ip)


class Access:
    """Decides who may see the dashboard.

    Args:
        password: What has to be known; None for nothing, where only this machine can ask.
        names: The host names by which the dashboard may be asked for; None for any.

    Raises:
        InvalidArgumentError: The password is too short.
    """

    def __init__(self, password: str | None, *, names: Iterable[str] | None) -> None:
        if password is not None and len(password) < _LEAST_LENGTH:
            raise InvalidArgumentError(f"password: {_LEAST_LENGTH} characters at least")
        self._key = secrets.token_bytes(32)
        self._password = None if password is None else self._digest(password)
        self._sessions = OrderedDict[str, float]()  # until when each lasts, the oldest first
        self._names = None if names is None else frozenset(name.lower() for name in names) | _LOOPBACK_NAMES
        self.guesses = Guesses()

    @property
    def needs_password(self) -> bool:
        """Whether there is a password."""
        return self._password is not None

    def allows_host(self, host: str) -> bool:
        """Whether a request names a host that is ours.

        Another one is a page elsewhere whose name was made to point here (DNS rebinding). Where a password is needed,
        such a page has no session.
        """
        return self._names is None or host_name(host).lower() in self._names

    def is_password(self, guess: str) -> bool:
        """Whether this is the password, in a time that tells nothing of it."""
        return self._password is not None and hmac.compare_digest(self._digest(guess), self._password)

    def new_session(self, now: float) -> str:
        """Return what a browser is to show from now on."""
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + SESSION_LASTS
        if len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def is_session(self, value: str, now: float) -> bool:
        """Whether a browser shows what it was given, in time, and has not logged out since."""
        return now < self._sessions.get(value, now)

    def end_session(self, value: str) -> None:
        """A browser logged out: whoever has a copy of what it showed is out as well."""
        self._sessions.pop(value, None)

    def _digest(self, password: str) -> bytes:
        return hmac.new(self._key, password.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def cookie_in(header: str, name: str) -> str:
    """Return a cookie of a request's Cookie header, empty where it is not there."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
