"""JSON to models and back: the one place that knows the wire's quirks. No I/O, no clock.

Requests are values (`Call`, one builder for each call of the API); `Call.read` reads their answers, `read_error` what
is no success, `read_event` the data of input events; `excerpt` is what an error may show of an answer.
"""

from ._calls import (
    Call,
    Version,
    activate,
    deactivate,
    device,
    devices,
    inputs,
    light,
    output,
    ping,
    subscribe,
    subscriptions,
    unsubscribe,
    update_device,
)
from ._errors import read_error, read_retry_after
from ._events import read_event
from ._json import excerpt
from ._rate_limit import RateLimit, read_rate_limit

__all__ = [
    "Call",
    "RateLimit",
    "Version",
    "activate",
    "deactivate",
    "device",
    "devices",
    "excerpt",
    "inputs",
    "light",
    "output",
    "ping",
    "read_error",
    "read_event",
    "read_rate_limit",
    "read_retry_after",
    "subscribe",
    "subscriptions",
    "unsubscribe",
    "update_device",
]
