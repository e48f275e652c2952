"""All that the cloud keeps, and the rules about who may touch it.

Changes are coroutines, though nothing here waits yet: what was answered must one day be on disk first.

Source: spec/cloud-http-api-v1-and-webhooks.md ("Endpoints Overview", the 403 for a device of somebody else);
spec/cloud-api-v2.txt ("Errors", "Subscriptions"). The documents disagree about a deactivated device: 003 says that it
belongs to nobody, data-routes.yaml that its record is removed. Here it belongs to nobody, so that it can be activated
again, and nobody finds it: a 404. Its streams end and its subscriptions go.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from .answers import Refusal
from .bits import DEFAULT_INTERVAL_MS, DEFAULT_LABEL, MAX_INTERVAL_MS, MIN_INTERVAL_MS, Bit
from .subscriptions import Subscription, Subscriptions, is_url
from .ticker import Ticker
from .tokens import Tokens
from .waveforms import Waveform

__all__ = ["Registry", "Update"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@frozen
class Update:
    """What to change about a device; None leaves a setting as it is."""

    label: str | None = None
    input_interval_ms: int | None = None


class Registry:
    """Tokens, bits and subscriptions, in memory.

    Args:
        ticker: Gives the bits their turns.
        blank_line_every: Seconds of silence after which a stream gets a blank line.
    """

    def __init__(self, ticker: Ticker, *, blank_line_every: float) -> None:
        self.tokens = Tokens()
        self.subscriptions = Subscriptions()
        self._bits: dict[str, Bit] = {}
        self._ticker = ticker
        self._blank_line_every = blank_line_every

    @property
    def bits(self) -> Mapping[str, Bit]:
        """All bits by id, those of nobody as well."""
        return self._bits

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
        if device_id in {"", ".", ".."} or _CONTROL.search(device_id):
            raise ValueError(f"{device_id!r} cannot be the id of a device")
        if device_id in self._bits:
            raise ValueError(f"there is a device {device_id!r} already")
        if not MIN_INTERVAL_MS <= input_interval_ms <= MAX_INTERVAL_MS:
            raise ValueError(
                f"input_interval_ms must be {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}, not {input_interval_ms!r}"
            )
        bit = Bit(
            device_id,
            self._ticker,
            blank_line_every=self._blank_line_every,
            label=label,
            user_id=user_id,
            input_interval_ms=input_interval_ms,
            waveform=waveform,
            is_connected=is_connected,
        )
        self._bits[device_id] = bit
        return bit

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
            raise Refusal(HTTPStatus.NOT_FOUND, "The specified device could not be found")
        if bit.user_id != user_id:
            raise Refusal(HTTPStatus.FORBIDDEN, "You do not own this device")
        return bit

    async def update(self, bit: Bit, update: Update) -> None:
        """Change a bit's settings."""
        if update.label is not None:
            bit.label = update.label
        if update.input_interval_ms is not None:
            bit.input_interval_ms = update.input_interval_ms

    async def activate(self, device_id: str, user_id: int, update: Update) -> Bit:
        """Bind a bit to a user; one that was never heard of is off line until it connects.

        Raises:
            Refusal: 403 where it is somebody else's, 400 for an id that cannot be one.
        """
        bit = self._bits.get(device_id)
        if bit is None:
            try:
                bit = await self.add(device_id, user_id=user_id, is_connected=False)
            except ValueError as error:
                raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        elif bit.user_id is None:
            bit.user_id = user_id
            bit.feed.refresh(anew=True)  # a reading of the last owner's is not for this one
        else:
            self.find(device_id, user_id)
        await self.update(bit, update)
        return bit

    async def deactivate(self, bit: Bit) -> None:
        """Take a bit from its user."""
        for item in (*self.subscriptions.of_publisher(bit.id), *self.subscriptions.of_subscriber(bit.id)):
            self._disconnect(item.publisher_id, item.subscriber_id)
        bit.user_id = None
        await bit.close_streams()

    def subscriptions_of_user(self, user_id: int) -> list[Subscription]:
        """List the subscriptions of a user's bits, on either side."""
        return [item for item in self.subscriptions if self._concerns(item, user_id)]

    async def subscribe(self, subscription: Subscription, user_id: int) -> None:
        """Let a bit or a URL follow a bit; a bit shows the other's amplitude, whichever events it asked for.

        Raises:
            Refusal: 404, 403 for a device that is not the user's, 400 for a URL that nobody could call.
        """
        publisher = self.find(subscription.publisher_id, user_id)
        if not is_url(subscription.subscriber_id):
            follower = self.find(subscription.subscriber_id, user_id)
            publisher.add_follower(follower.id, follower.follow)
        self.subscriptions.add(subscription)

    async def unsubscribe(self, publisher_id: str, subscriber_id: str, user_id: int) -> None:
        """End a subscription.

        Raises:
            Refusal: 404 where there is none, or none of the user's.
        """
        item = self.subscriptions.find(publisher_id, subscriber_id)
        if item is None or not self._concerns(item, user_id):
            raise Refusal(HTTPStatus.NOT_FOUND, "The specified subscription could not be found")
        self._disconnect(publisher_id, subscriber_id)

    def _concerns(self, item: Subscription, user_id: int) -> bool:
        ends = (self._bits.get(item.publisher_id), self._bits.get(item.subscriber_id))
        return any(bit is not None and bit.user_id == user_id for bit in ends)

    def _disconnect(self, publisher_id: str, subscriber_id: str) -> None:
        self.subscriptions.remove(publisher_id, subscriber_id)
        self._bits[publisher_id].remove_follower(subscriber_id)
