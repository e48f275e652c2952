"""What a subscriber is sent.

Handlers of 2014 to 2018 switch on ``type``, find the device under ``bit_id`` or ``device_id``, and read ``percent``,
``level`` and ``delta`` of the ``payload``; so all of these are there. ``name`` is ours: it says which of the events
that were asked for this is.

Where the documents are silent: an ``amplitude`` between two edges has ``delta`` ``sustain`` while the level is active
and ``nap`` while it is idle, for the documents know four words and no null.

Source: wire-facts 7, "Webhook bodies"; spec/cloud-http-api-v1-and-webhooks.md, "Notes" and "`amplitude`"; wire-facts 8
for the ``state`` of a connection, 0 off line and 2 on line.
"""

import json
from collections.abc import Mapping

from ..readings import Reading

__all__ = ["amplitude_body", "connection_body"]


def amplitude_body(reading: Reading, *, name: str, delta: str, level: str) -> bytes:
    """Write what a subscriber is told of an input.

    Args:
        reading: The input.
        name: The event.
        delta: ``ignite``, ``release``, ``sustain`` or ``nap``.
        level: ``active`` or ``idle``.
    """
    payload = {"absolute": reading.absolute, "percent": reading.percent, "delta": delta, "level": level}
    return _body(
        {"type": "amplitude", "name": name},
        device_id=reading.device_id,
        user_id=reading.user_id,
        timestamp_ms=reading.timestamp_ms,
        payload=payload,
    )


def connection_body(device_id: str, user_id: int | None, timestamp_ms: int, *, is_connected: bool) -> bytes:
    """Write what a subscriber is told when a bit comes or goes."""
    payload = {"is_connected": is_connected, "state": 2 if is_connected else 0}
    kind = {"type": "connection", "name": "connection"}
    return _body(kind, device_id=device_id, user_id=user_id, timestamp_ms=timestamp_ms, payload=payload)


def _body(
    kind: Mapping[str, str], *, device_id: str, user_id: int | None, timestamp_ms: int, payload: Mapping[str, object]
) -> bytes:
    body = {
        **kind,
        "device_id": device_id,
        "bit_id": device_id,
        "user_id": user_id,
        "timestamp": timestamp_ms,
        "payload": payload,
    }
    return json.dumps(body, separators=(",", ":")).encode()
