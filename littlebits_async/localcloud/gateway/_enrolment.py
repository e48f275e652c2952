"""Who may come in: a bit with the secret that it was enrolled with, or a localbit at the address that it came from.

A MAC address is no secret, so a bit has one in the URL that stands on its card. To enrol is to make such a secret, for
one bit or for the first that comes with it; the bit has some minutes to come, and is the only one to use it from then
on. A localbit can say no secret: the first packet in these minutes pins the address that all others have to come from,
which keeps strangers out, but nobody who can forge the sender of a packet.

Secrets are kept as digests, and compared in constant time. How long an enrolment is open is kept with it: a restart
changes nothing.
"""

import asyncio
import contextlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from attrs import evolve

from ..bits import Bit
from ..endings import to_the_end
from ..registry import Registry, Update
from ..storage import EnrolmentRecord, StorageError, Store
from ..tokens import digest
from ._frames import FULL_SCALES, parse_mac

__all__ = ["OPEN_FOR", "PATH", "Admission", "Admitted", "Enrolments", "check_full_scale", "parse_mac", "url_for"]

OPEN_FOR: Final = 15 * 60.0
"""Seconds that a bit has to come, where nothing else is said."""
PATH: Final = "/gateway/"
"""Below which the websockets of bits are; the secret comes next."""


class Enrolments:
    """All enrolments there are.

    Args:
        store: Keeps them.
        now_ms: The time, Unix milliseconds.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._store = store
        self._now_ms = now_ms
        self._by_id: dict[int, EnrolmentRecord] = {}
        self._by_device: dict[str | None, dict[int, EnrolmentRecord]] = {}

    def __iter__(self) -> Iterator[EnrolmentRecord]:
        return (item for item in self._by_id.values() if self._is_good(item))

    def __contains__(self, enrolment_id: object) -> bool:
        return enrolment_id in self._by_id

    async def reload(self) -> None:
        """Read them again, as another program may have changed them."""
        items = await self._store.enrolments()
        self._by_id, self._by_device = {}, {}
        for item in items:
            self._put(item)

    async def open(
        self,
        device_id: str | None,
        *,
        with_secret: bool,
        user_id: int,
        label: str,
        full_scale: int | None = None,
        open_for: float = OPEN_FOR,
    ) -> str:
        """Let a bit come.

        Args:
            device_id: Its MAC address as `parse_mac` gives it; None lets the first come.
            with_secret: Whether it can say one; a localbit cannot.
            user_id: Whose it becomes.
            label: What its owner calls it, if it is new.
            full_scale: The most that its input says, 255 or 65535; None where that shows in time.
            open_for: Seconds that it has.

        Returns:
            The secret, 64 hexadecimal digits, which is shown only here; nothing for a localbit.
        """
        secret = secrets.token_hex(32) if with_secret else ""
        item = EnrolmentRecord(
            id=0,
            digest=digest(secret) if secret else None,
            address=None,
            device_id=device_id,
            user_id=user_id,
            label=label,
            full_scale=full_scale,
            open_until_ms=self._now_ms() + round(open_for * 1000),
        )
        self._put(await self._store.add_enrolment(item, now_ms=self._now_ms()))
        for lapsed in [item for item in self._by_id.values() if not self._is_good(item)]:
            self._drop(lapsed)
        return secret

    def of_secret(self, mac: str, secret: str) -> EnrolmentRecord | None:
        """Find what a bit with this secret may come in by."""
        said = digest(secret)
        for item in self._of(mac):
            if item.digest is not None and hmac.compare_digest(item.digest, said):
                return item
        return None

    def of_address(self, mac: str, address: str) -> EnrolmentRecord | None:
        """Find what a localbit at this address may come in by: its own enrolment, or one that is open.

        One that is open goes before the pinned address of another place: that is how a bit moves.
        """
        items = [item for item in self._of(mac) if item.digest is None]
        pinned = (item for item in items if item.address == address)
        opened = (item for item in items if item.open_until_ms is not None)
        return next(pinned, None) or next(opened, None)

    def is_pinned(self, mac: str) -> bool:
        """Tell whether a localbit has an address."""
        return any(item.address is not None for item in self._of(mac))

    async def bind(self, item: EnrolmentRecord, mac: str, address: str | None = None) -> EnrolmentRecord | None:
        """Let a bit have an open enrolment for good, in place of those it had; None where it is not open any more."""
        if not await self._store.bind_enrolment(item.id, mac, address):
            return None
        for older in [older for older in self._of(mac) if older.open_until_ms is None]:
            self._drop(older)
        bound = evolve(item, device_id=mac, address=address, open_until_ms=None)
        self._put(bound)
        return bound

    async def learn(self, item: EnrolmentRecord, full_scale: int) -> None:
        """Keep what a bit's input goes up to."""
        await self._store.learn_full_scale(item.id, full_scale)
        if item.id in self._by_id:
            self._put(evolve(self._by_id[item.id], full_scale=full_scale))

    def _of(self, mac: str) -> Iterator[EnrolmentRecord]:
        """Give what a bit may come in by: few, however many bits there are."""
        found = chain(self._by_device.get(mac, {}).values(), self._by_device.get(None, {}).values())
        return (item for item in found if self._is_good(item))

    def _is_good(self, item: EnrolmentRecord) -> bool:
        return item.open_until_ms is None or self._now_ms() < item.open_until_ms

    def _put(self, item: EnrolmentRecord) -> None:
        if item.id in self._by_id:
            self._drop(self._by_id[item.id])
        self._by_id[item.id] = item
        self._by_device.setdefault(item.device_id, {})[item.id] = item

    def _drop(self, item: EnrolmentRecord) -> None:
        del self._by_id[item.id]
        del self._by_device[item.device_id][item.id]


Admitted: TypeAlias = tuple[Bit, EnrolmentRecord]


class Admission:
    """Lets bits in, each as the device that it is from then on.

    Args:
        registry: Has the devices.
        enrolments: Say who may come.
        on_bound: Called when a bit has got an enrolment, in place of those it had.
    """

    def __init__(self, registry: Registry, enrolments: Enrolments, on_bound: Callable[[], None]) -> None:
        self.enrolments = enrolments
        self._registry = registry
        self._on_bound = on_bound
        self._admitting = asyncio.Lock()

    async def load(self) -> None:
        """Take over what was kept."""
        self._admitting = asyncio.Lock()  # belongs to the loop that runs, which may be another than the last time
        await self.enrolments.reload()

    async def by_secret(self, mac: str, secret: str) -> Admitted | None:
        """Let in who knows a secret, or nobody.

        Raises:
            StorageError: A new bit could not be kept.
        """
        item = self.enrolments.of_secret(mac, secret)
        return await self._admit(item, mac, None) if item is not None else None

    async def by_address(self, mac: str, address: str) -> Admitted | None:
        """Let in a localbit that is where it has always been, or is new; or nobody.

        Raises:
            StorageError: A new bit could not be kept.
        """
        item = self.enrolments.of_address(mac, address)
        return await self._admit(item, mac, address) if item is not None else None

    async def _admit(self, item: EnrolmentRecord, mac: str, address: str | None) -> Admitted | None:
        bit = self._registry.bits.get(mac)
        if bit is not None and item.open_until_ms is None:
            return bit, item
        async with self._admitting:
            return await self._enrol(item, mac, address)

    @to_the_end
    async def _enrol(self, item: EnrolmentRecord, mac: str, address: str | None) -> Admitted | None:
        bit = self._registry.bits.get(mac)
        if item.open_until_ms is not None:
            if bit is not None and bit.user_id not in {None, item.user_id}:
                return None  # somebody else's: that is not ours to give
            bound = await self.enrolments.bind(item, mac, address)
            if bound is None:
                return None
            item = bound
            self._on_bound()
        if bit is None:  # also where the program ended just after the enrolment was bound
            bit = await self._registry.add(mac, label=item.label, user_id=item.user_id, is_connected=False)
        elif bit.user_id is None:
            await self._registry.activate(mac, item.user_id, Update(item.label))
        return bit, item

    async def learn(self, item: EnrolmentRecord, full_scale: int) -> None:
        """Keep what a bit's input goes up to; where that fails it shows again."""
        with contextlib.suppress(StorageError):
            await self.enrolments.learn(item, full_scale)


def check_full_scale(full_scale: int | None) -> int | None:
    """Refuse what no firmware's input goes up to.

    Raises:
        ValueError: It is neither 255 nor 65535.
    """
    if full_scale not in {None, *FULL_SCALES}:
        raise ValueError(f"full_scale must be 255 or 65535, not {full_scale!r}")
    return full_scale


def url_for(base_url: str, secret: str) -> str:
    """Write the URL that a bit is to connect to.

    Args:
        base_url: The cloud's, as the bit is to find it: http, https, ws or wss, and whatever comes before our paths.
        secret: The bit's.

    Raises:
        ValueError: It is no such URL.
    """
    parts = urlsplit(base_url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{base_url!r} is no URL of a cloud, such as http://192.168.1.20:8080")
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}{PATH}{secret}", "", ""))
