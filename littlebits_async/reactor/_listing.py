"""One listing of all devices, for all streams that ask."""

import logging
import time
from collections.abc import Mapping

import anyio

from ..budget import Priority
from ..errors import LittleBitsError
from ..models import Device
from ..session import Session
from ..stream import LISTING_EVERY
from ..wire import devices as devices_call

__all__ = ["Listing"]

_log = logging.getLogger("littlebits_async.reactor")


class Listing:
    """Which devices there are and which are on line, as the cloud said at most a minute ago.

    Cost: 1 request a minute at most, at the priority of streams.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asking = anyio.Lock()
        self._asked_at = -LISTING_EVERY
        self._devices: Mapping[str, Device] | None = None

    async def get(self) -> Mapping[str, Device] | None:
        """Return the devices by id, or None where the listing was not to be had."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= LISTING_EVERY:
                try:
                    grant = await self._session.grant(priority=Priority.STREAM, label="listing")
                    self._asked_at = time.monotonic()
                    devices = await self._session.send(devices_call(), grant)
                    self._devices = {device.id: device for device in devices}
                except LittleBitsError as exc:
                    _log.debug("the listing was not to be had: %s", exc)
                    self._devices = None
            return self._devices
