"""The cloud's subscriptions to a receiver, for as long as a block runs."""

import logging
from collections.abc import Iterable, MutableMapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final
from urllib.parse import quote, urlsplit

import anyio

from .._tasks import run_to_end
from .._tracebacks import discreet
from ..cloudbit import CloudBit
from ..errors import InvalidArgumentError, LittleBitsError, NotFoundError
from ..models import AmplitudeEvent, Device
from ..session import Session
from ..wire import subscribe as subscribe_call

__all__ = ["Subscribing"]

_log = logging.getLogger("littlebits_async.webhooks")

LEAVE_WITHIN: Final = 10.0
"""Seconds for ending all subscriptions."""

Events = AmplitudeEvent | str | Iterable[AmplitudeEvent | str] | None


class Subscribing(AbstractAsyncContextManager[None]):
    """Subscribes on entering, and unsubscribes on leaving; may be entered again then.

    Args:
        session: What to subscribe over.
        devices: Whose events.
        url: Where the cloud reaches the receiver.
        key: What is put behind it.
        events: What is told.
        pushing: How many blocks have subscribed to each device; is kept up to date.
    """

    @discreet
    def __init__(
        self,
        session: Session,
        devices: Iterable[str | Device | CloudBit],
        *,
        url: str,
        key: str | None,
        events: Events,
        pushing: MutableMapping[str, int],
    ) -> None:
        if isinstance(devices, str):
            raise InvalidArgumentError(f"devices: a list of devices is needed, not one string; say [{devices!r}]")
        self._session = session
        self._devices = tuple(dict.fromkeys(_device_id(device) for device in devices))
        self._url = url if key is None else _with_key(url, key)
        self._events: Events = events if events is None or isinstance(events, str) else tuple(events)
        for device_id in self._devices:  # what no request could carry is refused before the first
            subscribe_call(publisher_id=device_id, subscriber_id=self._url, events=self._events)
        self._pushing = pushing
        self._begun: list[str] = []

    async def __aenter__(self) -> None:
        if self._begun:
            raise InvalidArgumentError("these devices are subscribed to already")
        try:
            for device_id in self._devices:
                # Noted before: when it fails, or is cancelled, it may have been done all the same.
                self._begun.append(device_id)
                self._pushing[device_id] = self._pushing.get(device_id, 0) + 1
                await self._session.subscribe(publisher_id=device_id, subscriber_id=self._url, events=self._events)
        except BaseException:
            await run_to_end(self._leave)
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await run_to_end(self._leave)

    async def _leave(self) -> None:
        left = set(self._begun)

        async def end(device_id: str) -> None:
            try:
                await self._session.unsubscribe(publisher_id=device_id, subscriber_id=self._url)
            except NotFoundError:
                pass  # it had come to nothing, or has ended
            except LittleBitsError as exc:
                _log.warning("device %s: the webhook's subscription could not be ended: %s", device_id, exc)
            left.discard(device_id)

        with anyio.move_on_after(LEAVE_WITHIN):
            async with anyio.create_task_group() as group:
                for device_id in self._begun:
                    group.start_soon(end, device_id)
        if left:
            _log.warning(
                "the webhook's subscriptions of %d devices could not be ended in %g s", len(left), LEAVE_WITHIN
            )
        while self._begun:
            device_id = self._begun.pop()
            self._pushing[device_id] -= 1
            if not self._pushing[device_id]:
                del self._pushing[device_id]


def _with_key(url: str, key: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(key, safe='')}").geturl()


def _device_id(device: str | Device | CloudBit) -> str:
    if isinstance(device, Device):
        return device.id
    return device.device_id if isinstance(device, CloudBit) else device
