"""All that the cloud keeps, and the rules about who may touch it.

A change is on disk before it takes place here, and with that before it is answered. Changes wait for their turn, and
then are made in full, whoever is cancelled. What a bit shows because it follows another one is not kept: it is told
again with the next reading.

Source: spec/cloud-http-api-v1-and-webhooks.md ("Endpoints Overview", the 403 for a device of somebody else);
spec/cloud-api-v2.txt ("Errors", "Subscriptions"). The documents disagree about a deactivated device: 003 says that it
belongs to nobody, data-routes.yaml that its record is removed. Here it belongs to nobody, so that it can be activated
again, and nobody finds it: a 404. Its streams end; its subscriptions and inputs go, and all that its owner told it, so
that the next one learns nothing of the last.

An id is any text that can stand in a path, since real ones are not all Wi-Fi addresses: only an empty one, dots alone
and control characters are refused. A label is any text.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import evolve, frozen

from ..amplitude import Amplitude, Thresholds
from .answers import Refusal
from .bits import DEFAULT_INTERVAL_MS, DEFAULT_LABEL, FOREVER, MAX_INTERVAL_MS, MIN_INTERVAL_MS, Bit, Light
from .endings import to_the_end
from .publishing import Publisher
from .readings import Reading
from .storage import DeliveryRecord, DeviceRecord, Store, SubscriptionRecord
from .subscriptions import Subscriptions, is_url
from .ticker import Ticker
from .tokens import Tokens
from .waveforms import Waveform
from .webhooks import Courier, Poster

__all__ = ["Registry", "Update"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@frozen
class Update:
    """What to change about a device; None leaves a setting as it is."""

    label: str | None = None
    input_interval_ms: int | None = None


class Registry:
    """Tokens, bits and subscriptions.

    Args:
        ticker: Gives the bits their turns.
        store: Keeps all of it.
        poster: Sends webhooks.
        blank_line_every: Seconds of silence after which a stream gets a blank line.
        thresholds: What counts as active and idle where a webhook is told of it.

    Attributes:
        courier: Delivers the webhooks.
    """

    def __init__(
        self, ticker: Ticker, store: Store, poster: Poster, *, blank_line_every: float, thresholds: Thresholds
    ) -> None:
        self.tokens = Tokens(store)
        self.subscriptions = Subscriptions()
        self.courier = Courier(store, poster, self._give_up)
        self._bits: dict[str, Bit] = {}
        self._publishers: dict[str, Publisher] = {}
        self._secrets: dict[int, str] = {}
        self._ticker = ticker
        self._store = store
        self._poster = poster
        self._blank_line_every = blank_line_every
        self._thresholds = thresholds
        self._changing = asyncio.Lock()
        self._loaded = False

    @property
    def bits(self) -> Mapping[str, Bit]:
        """All bits by id, those of nobody as well."""
        return self._bits

    async def load(self) -> None:
        """Take over what was kept, the first time; the bits are off line until they connect."""
        self._changing = asyncio.Lock()  # belongs to the loop that runs, which may be another than the last time
        await self.tokens.reload()
        if self._loaded:
            return
        kept = await self._store.load()
        now_ms = _now_ms()
        for device in kept.devices:
            bit = self._make(device, is_connected=False)
            bit.restore(device, now_ms)
        waiting: dict[int, list[DeliveryRecord]] = {}
        for delivery in kept.deliveries:
            waiting.setdefault(delivery.subscription_id, []).append(delivery)
        stood = {
            device.id: Amplitude(self._thresholds, level=device.level, held=device.held) for device in kept.devices
        }
        for item in kept.subscriptions:
            if is_url(item.subscriber_id):
                self.courier.add(item, await self._secret_of(item), waiting.get(item.id, ()))
            self._connect(item, stood[item.publisher_id])
        self._loaded = True

    async def add(
        self,
        device_id: str,
        *,
        label: str = DEFAULT_LABEL,
        user_id: int | None,
        input_interval_ms: int = DEFAULT_INTERVAL_MS,
        waveform: Waveform | None = None,
        is_connected: bool = True,
    ) -> Bit:
        """Add a bit.

        Raises:
            ValueError: The id is taken, cannot stand in a path or has control characters; the interval is out of range.
        """
        async with self._changing:
            if device_id in self._bits:
                raise ValueError(f"there is a device {device_id!r} already")
            device = DeviceRecord(id=device_id, label=label, user_id=user_id, input_interval_ms=input_interval_ms)
            return await self._add(device, waveform=waveform, is_connected=is_connected)

    def of_user(self, user_id: int) -> list[Bit]:
        """List a user's bits."""
        return [bit for bit in self._bits.values() if bit.user_id == user_id]

    def find(self, device_id: str, user_id: int) -> Bit:
        """Find a user's bit.

        Raises:
            Refusal: 404 where there is none, 403 where it is somebody else's.
        """
        bit = self._bits.get(device_id)
        if bit is None or bit.user_id is None:
            raise _not_found()
        if bit.user_id != user_id:
            raise Refusal(HTTPStatus.FORBIDDEN, "You do not own this device")
        return bit

    async def update(self, device_id: str, user_id: int, update: Update) -> Bit:
        """Change the settings of a user's bit.

        Raises:
            Refusal: As `find` does; it may have changed hands while other changes were made.
        """
        async with self._changing:
            return await self._change(self.find(device_id, user_id), user_id, update)

    async def activate(self, device_id: str, user_id: int, update: Update) -> Bit:
        """Bind a bit to a user; one that was never heard of is off line until it connects.

        Raises:
            Refusal: 403 where it is somebody else's, 400 for an id that cannot be one.
        """
        async with self._changing:
            bit = self._bits.get(device_id)
            if bit is None:
                device = _changed(_unowned(device_id), user_id, update)
                try:
                    return await self._add(device, is_connected=False)
                except ValueError as error:
                    raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
            if bit.user_id is not None:
                self.find(device_id, user_id)
            return await self._change(bit, user_id, update)

    async def deactivate(self, device_id: str, user_id: int) -> None:
        """Take a bit, its subscriptions and all that it was told from its user.

        Raises:
            Refusal: As `update` does.
        """
        async with self._changing:
            await self._release(self.find(device_id, user_id))

    @to_the_end
    async def output(self, device_id: str, user_id: int, percent: float, duration_ms: int) -> None:
        """Tell a user's bit what to show; lost when it is off line.

        Raises:
            Refusal: As `update` does.
        """
        bit = self.find(device_id, user_id)
        if bit.is_connected:
            # Without the lock, so that a thousand of them share a transaction; the disk knows whose the bit is.
            if not await self._store.save_output(bit.id, user_id, percent, _until_ms(duration_ms)):
                raise _not_found()
            bit.show(percent, duration_ms)

    async def light(self, device_id: str, user_id: int, light: Light, duration_ms: int) -> None:
        """Tell the light of a user's bit what to show, and leave what is None as it is; lost when the bit is off line.

        Raises:
            Refusal: As `update` does.
        """
        async with self._changing:  # two may each name a half
            bit = self.find(device_id, user_id)
            if bit.is_connected:
                before = bit.light or Light()
                await self._shine(bit, Light(light.color or before.color, light.mode or before.mode), duration_ms)

    def subscriptions_of_user(self, user_id: int) -> list[SubscriptionRecord]:
        """List the subscriptions of a user's bits, on either side."""
        return [item for item in self.subscriptions if self._concerns(item, user_id)]

    async def subscribe(
        self, publisher_id: str, subscriber_id: str, events: tuple[str, ...], user_id: int
    ) -> SubscriptionRecord:
        """Let a bit or a URL follow a bit; a bit shows the other's amplitude, whichever events it asked for.

        Raises:
            Refusal: 404, 403 for a device that is not the user's, 400 for a URL that nobody could call, or that the
                cloud may not call.
        """
        async with self._changing:
            self.find(publisher_id, user_id)
            called = is_url(subscriber_id)
            if not called:
                self.find(subscriber_id, user_id)
            elif not self._poster.may_call(subscriber_id):
                raise Refusal(
                    HTTPStatus.BAD_REQUEST, '"subscriber_id" must not lead to this machine or a private network'
                )
            wanted = SubscriptionRecord(publisher_id=publisher_id, subscriber_id=subscriber_id, events=events)
            return await self._subscribe(wanted, called=called)

    async def secret(self, user_id: int) -> str:
        """Return what a user's webhooks are signed with."""
        if user_id not in self._secrets:
            self._secrets[user_id] = await self._store.secret(user_id, now_ms=_now_ms())
        return self._secrets[user_id]

    async def unsubscribe(self, publisher_id: str, subscriber_id: str, user_id: int) -> None:
        """End a subscription.

        Raises:
            Refusal: 404 where there is none, or none of the user's.
        """
        async with self._changing:
            item = self.subscriptions.find(publisher_id, subscriber_id)
            if item is None or not self._concerns(item, user_id):
                raise Refusal(HTTPStatus.NOT_FOUND, "The specified subscription could not be found")
            await self._remove([item])

    async def close_streams_of(self, digests: frozenset[str]) -> None:
        """End the streams that were opened with tokens that are gone."""
        if not digests:
            return
        for bit in self._bits.values():
            for reader in tuple(bit.feed.readers):
                if reader.owner in digests:
                    reader.end()

    def _make(self, device: DeviceRecord, *, waveform: Waveform | None = None, is_connected: bool) -> Bit:
        bit = self._bits[device.id] = Bit(
            device.id,
            self._ticker,
            blank_line_every=self._blank_line_every,
            label=device.label,
            user_id=device.user_id,
            input_interval_ms=device.input_interval_ms,
            waveform=waveform,
            is_connected=is_connected,
            on_reading=self._note,
            on_connection=self._tell_connection,
        )
        return bit

    def _note(self, reading: Reading) -> None:
        if reading.user_id is not None:  # else the next owner would find it
            self._store.note_input(reading.device_id, reading.timestamp_ms, reading.absolute)

    def _tell_connection(self, bit: Bit) -> None:
        if (publisher := self._publishers.get(bit.id)) is not None:
            publisher.connection(bit.user_id, is_connected=bit.is_connected)

    @to_the_end
    async def _add(self, device: DeviceRecord, *, waveform: Waveform | None = None, is_connected: bool) -> Bit:
        if device.id in {"", ".", ".."} or _CONTROL.search(device.id):
            raise ValueError(f"{device.id!r} cannot be the id of a device")
        if not MIN_INTERVAL_MS <= device.input_interval_ms <= MAX_INTERVAL_MS:
            raise ValueError(
                f"input_interval_ms must be {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}, not {device.input_interval_ms!r}"
            )
        await self._store.save_device(device, now_ms=_now_ms())
        return self._make(device, waveform=waveform, is_connected=is_connected)

    @to_the_end
    async def _change(self, bit: Bit, user_id: int, update: Update) -> Bit:
        before = DeviceRecord(id=bit.id, label=bit.label, user_id=bit.user_id, input_interval_ms=bit.input_interval_ms)
        device = _changed(before, user_id, update)
        await self._store.save_device(device, now_ms=_now_ms())
        is_anew = bit.user_id is None
        bit.label, bit.user_id = device.label, user_id
        if device.input_interval_ms != bit.input_interval_ms:
            bit.input_interval_ms = device.input_interval_ms
        if is_anew:
            bit.feed.refresh(anew=True)  # a reading from before is not for this owner
        return bit

    @to_the_end
    async def _release(self, bit: Bit) -> None:
        items = [*self.subscriptions.of_publisher(bit.id), *self.subscriptions.of_subscriber(bit.id)]
        unowned = _unowned(bit.id)
        await self._store.release_device(unowned, [item.id for item in items])
        self._disconnect(items)
        await bit.close_streams()
        bit.release(unowned)

    @to_the_end
    async def _shine(self, bit: Bit, light: Light, duration_ms: int) -> None:
        await self._store.save_light(bit.id, light.color, light.mode, _until_ms(duration_ms))
        bit.shine(light, duration_ms)

    @to_the_end
    async def _subscribe(self, wanted: SubscriptionRecord, *, called: bool) -> SubscriptionRecord:
        kept = await (self._subscribe_url(wanted) if called else self._store.save_subscription(wanted))
        self._connect(kept, Amplitude(self._thresholds))
        return kept

    async def _subscribe_url(self, wanted: SubscriptionRecord) -> SubscriptionRecord:
        secret = await self._secret_of(wanted)
        known = self.subscriptions.find(wanted.publisher_id, wanted.subscriber_id)
        if known is None:
            kept = await self._store.save_subscription(wanted)
            self.courier.add(kept, secret)
            return kept
        while True:
            before = self.courier.standing(known.id)
            kept = await self._store.save_subscription(wanted)
            if self.courier.standing(known.id) is before:
                break  # else a try ended meanwhile, and its failure stands on disk again
        self.courier.renew(known.id)
        return kept

    def _concerns(self, item: SubscriptionRecord, user_id: int) -> bool:
        ends = (self._bits.get(item.publisher_id), self._bits.get(item.subscriber_id))
        return any(bit is not None and bit.user_id == user_id for bit in ends)

    def _connect(self, item: SubscriptionRecord, amplitude: Amplitude) -> None:
        self.subscriptions.add(item)
        bit = self._bits[item.publisher_id]
        if not is_url(item.subscriber_id):
            bit.add_follower(item.subscriber_id, self._bits[item.subscriber_id].follow)
            return
        publisher = self._publishers.get(bit.id)
        if publisher is None:
            publisher = self._publishers[bit.id] = Publisher(
                bit.id, self._ticker, amplitude, self.courier.offer, self._store.note_level
            )
        publisher.add(item)
        self._let_listen(bit, publisher)

    @to_the_end
    async def _remove(self, items: list[SubscriptionRecord]) -> None:
        await self._store.remove_subscriptions(item.id for item in items)
        self._disconnect(items)

    def _disconnect(self, items: list[SubscriptionRecord]) -> None:
        for item in items:
            self.subscriptions.remove(item.publisher_id, item.subscriber_id)
            bit = self._bits[item.publisher_id]
            publisher = self._publishers.get(bit.id)
            if not is_url(item.subscriber_id):
                bit.remove_follower(item.subscriber_id)
            elif publisher is not None:
                publisher.remove(item.id)
                self._let_listen(bit, publisher)
                self.courier.remove(item.id)

    def _let_listen(self, bit: Bit, publisher: Publisher) -> None:
        if publisher.listens:
            bit.add_follower(publisher, publisher.read)
        else:
            bit.remove_follower(publisher)
        if not publisher:
            del self._publishers[bit.id]

    async def _secret_of(self, item: SubscriptionRecord) -> str:
        # A bit that is taken from its user loses its subscriptions, so there is one.
        return await self.secret(self._bits[item.publisher_id].user_id or 0)

    async def _give_up(self, item: SubscriptionRecord) -> None:
        async with self._changing:
            if self.courier.is_given_up(item.id):  # else it was made anew, or deleted, before this had its turn
                await self._remove([item])


def _unowned(device_id: str) -> DeviceRecord:
    return DeviceRecord(id=device_id, label=DEFAULT_LABEL, user_id=None, input_interval_ms=DEFAULT_INTERVAL_MS)


def _changed(device: DeviceRecord, user_id: int, update: Update) -> DeviceRecord:
    return evolve(
        device,
        user_id=user_id,
        label=device.label if update.label is None else update.label,
        input_interval_ms=update.input_interval_ms or device.input_interval_ms,
    )


def _not_found() -> Refusal:
    return Refusal(HTTPStatus.NOT_FOUND, "The specified device could not be found")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _until_ms(duration_ms: int) -> int | None:
    return None if duration_ms == FOREVER else _now_ms() + duration_ms
