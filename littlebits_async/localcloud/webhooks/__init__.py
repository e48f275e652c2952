"""Webhooks: what happens to a bit is told to URLs, in order, until they have heard it."""

from ._bodies import amplitude_body, connection_body
from ._courier import Backlog, Courier
from ._outbox import LADDER, MOST_WAITING, Outbox
from ._poster import DeliveryError, Poster

__all__ = [
    "LADDER",
    "MOST_WAITING",
    "Backlog",
    "Courier",
    "DeliveryError",
    "Outbox",
    "Poster",
    "amplitude_body",
    "connection_body",
]
