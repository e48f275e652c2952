"""What handlers of 2014 to 2018 read."""

import json

from littlebits_async.localcloud.readings import Reading
from littlebits_async.localcloud.webhooks import amplitude_body, connection_body


def test_an_amplitude_has_what_every_generation_of_handlers_reads() -> None:
    reading = Reading("bit ☀", 7, 1_700_000_000_123, 512)
    body = amplitude_body(reading, name="amplitude:level:active", delta="ignite", level="active")
    assert json.loads(body) == {
        "type": "amplitude",
        "name": "amplitude:level:active",
        "device_id": "bit ☀",
        "bit_id": "bit ☀",
        "user_id": 7,
        "timestamp": 1_700_000_000_123,
        "payload": {"absolute": 512, "percent": 50, "delta": "ignite", "level": "active"},
    }
    assert body.isascii()


def test_a_connection_tells_whether_it_came_or_went() -> None:
    came, went = (json.loads(connection_body("b1", None, 5, is_connected=now)) for now in (True, False))
    assert came == {
        "type": "connection",
        "name": "connection",
        "device_id": "b1",
        "bit_id": "b1",
        "user_id": None,
        "timestamp": 5,
        "payload": {"is_connected": True, "state": 2},
    }
    assert went["payload"] == {"is_connected": False, "state": 0}
