"""Hooks: what a program is told of requests, streams, drops and waits, as they happen."""

import logging
from typing import Protocol

from attrs import frozen

from .errors import LittleBitsError
from .models import StreamStatus

__all__ = ["GuardedHooks", "Hooks", "LoggingHooks", "RequestDone"]

_log = logging.getLogger("littlebits_async.hooks")


@frozen
class RequestDone:
    """One try of one request, when it is over.

    Attributes:
        method: The HTTP method.
        path: The path below the version, without query.
        status: The HTTP status, None where no answer came.
        seconds: From handing it to the transport to its answer; of a stream, to its opening.
        error: Why it failed, where it did.
    """

    method: str
    path: str
    status: int | None
    seconds: float
    error: LittleBitsError | None = None


class Hooks(Protocol):
    """Told what happens, where it happens: a hook must return at once, and must not raise.

    One that raises is logged once for each kind of call, and goes on being called. Of streams it may be told by the
    event loop itself, outside of any task.
    """

    def request_done(self, request: RequestDone, /) -> None:
        """A request was answered, or failed."""
        ...

    def stream_changed(self, status: StreamStatus, /) -> None:
        """A device's stream is in another state, or its next try at another time."""
        ...

    def event_dropped(self, device_id: str, /) -> None:
        """An overflow policy dropped an event of a device."""
        ...

    def budget_waited(self, label: str, seconds: float, /) -> None:
        """A request waited for the budget, and was granted."""
        ...


class LoggingHooks:
    """Writes what happens to a logger, at debug level.

    Args:
        logger: Where to; None for ``littlebits_async.hooks``.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._log = logger or _log

    def request_done(self, request: RequestDone, /) -> None:
        """Log a request."""
        outcome = request.status if request.error is None else f"{request.status or 'no answer'}: {request.error}"
        self._log.debug("%s %s: %s in %.3f s", request.method, request.path, outcome, request.seconds)

    def stream_changed(self, status: StreamStatus, /) -> None:
        """Log a change of state."""
        self._log.debug("device %s: %s %s", status.device_id, status.state.value, status.reason)

    def event_dropped(self, device_id: str, /) -> None:
        """Log a drop."""
        self._log.debug("device %s: an event was dropped", device_id)

    def budget_waited(self, label: str, seconds: float, /) -> None:
        """Log a wait."""
        self._log.debug("%s waited %.3f s for the budget", label, seconds)


class GuardedHooks:
    """Hooks that do no harm by raising: an error is logged, once for each kind.

    Args:
        hooks: The hooks.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._told: set[str] = set()

    def request_done(self, request: RequestDone, /) -> None:
        """Pass it on."""
        try:
            self._hooks.request_done(request)
        except Exception:  # noqa: BLE001 - a hook is not ours
            self._failed("request_done")

    def stream_changed(self, status: StreamStatus, /) -> None:
        """Pass it on."""
        try:
            self._hooks.stream_changed(status)
        except Exception:  # noqa: BLE001 - as above
            self._failed("stream_changed")

    def event_dropped(self, device_id: str, /) -> None:
        """Pass it on."""
        try:
            self._hooks.event_dropped(device_id)
        except Exception:  # noqa: BLE001 - as above
            self._failed("event_dropped")

    def budget_waited(self, label: str, seconds: float, /) -> None:
        """Pass it on."""
        try:
            self._hooks.budget_waited(label, seconds)
        except Exception:  # noqa: BLE001 - as above
            self._failed("budget_waited")

    def _failed(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            _log.exception("the hook %s failed; told once", name)
