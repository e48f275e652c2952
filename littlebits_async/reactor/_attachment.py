"""Another source's events, merged with those of the streams."""

import logging
from collections.abc import Callable, MutableMapping

import anyio

from ..errors import LittleBitsError, StreamError
from ..models import EventSource, InputEvent
from ._outlets import Outlets
from ._reader import Entry

__all__ = ["Attachment"]

_log = logging.getLogger("littlebits_async.reactor")


class Attachment:
    """Passes the events of a source on until it ends.

    Args:
        source: The source.
        outlets: Where events go.
        latest: Is kept up to date with the newest event of each device.
        is_streamed: Tells whether a device is streamed, so that what is pushed of it is refused.
    """

    def __init__(
        self,
        source: EventSource,
        *,
        outlets: Outlets,
        latest: MutableMapping[str, InputEvent],
        is_streamed: Callable[[str], bool],
    ) -> None:
        self.source = source
        self.events = 0
        self.refused = 0
        self.active = True
        self.error: LittleBitsError | None = None
        self._outlets = outlets
        self._latest = latest
        self._is_streamed = is_streamed

    def __str__(self) -> str:
        return type(self.source).__name__

    async def run(self) -> None:
        """Pass events on; returns when the source has ended or failed."""
        iterator = aiter(self.source)
        try:
            async for event in iterator:
                await self._pass_on(event)
        except LittleBitsError as exc:
            _log.warning("%s failed: %s", self, exc)
            self.error = exc
        except OSError as exc:  # a file that is not there: no reason for anybody else to end
            _log.warning("%s failed: %s", self, exc)
            self.error = StreamError(f"{self}: {exc}")
            self.error.__cause__ = exc
        finally:
            self.active = False
            if (close := getattr(iterator, "aclose", None)) is not None:
                with anyio.CancelScope(shield=True):
                    await close()
        self._outlets.wake()  # it may have been the last that could deliver

    async def _pass_on(self, event: InputEvent) -> None:
        device_id = event.device_id
        if self._is_streamed(device_id):
            self.refused += 1
            if self.refused == 1:
                _log.warning("%s pushed an event of device %s, which is streamed: refused", self, device_id)
            return
        self.events += 1
        self._latest[device_id] = event
        entry = Entry(event, (id(self), device_id), self.events)
        for outlet in self._outlets.offer(device_id, entry):
            await outlet.put(device_id, entry)
