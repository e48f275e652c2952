"""JSON to models and back: the one place that knows the wire's quirks. No I/O, no clock.

Requests are values (`Call`, one builder for each call of the API); `Call.read` reads their answers, `read_error` what
is no success, `read_event` the data of input events; `excerpt` is what an error may show of an answer.

The checks of arguments, the JSON edge and what answers have in common serve the community's API too.
"""

from . import _arguments as check
from ._answers import acknowledgement, only, refuse
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
from ._converter import many
from ._errors import read_error, read_retry_after
from ._events import read_event
from ._json import UnusableError, decode, excerpt, integer, items, members, number, text
from ._rate_limit import RateLimit, read_rate_limit

__all__ = [
    "Call",
    "RateLimit",
    "UnusableError",
    "Version",
    "acknowledgement",
    "activate",
    "check",
    "deactivate",
    "decode",
    "device",
    "devices",
    "excerpt",
    "inputs",
    "integer",
    "items",
    "light",
    "many",
    "members",
    "number",
    "only",
    "output",
    "ping",
    "read_error",
    "read_event",
    "read_rate_limit",
    "read_retry_after",
    "refuse",
    "subscribe",
    "subscriptions",
    "text",
    "unsubscribe",
    "update_device",
]
