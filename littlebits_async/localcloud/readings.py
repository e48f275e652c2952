"""One reading of a bit's input, and how it looks on a stream.

Source: wire-facts 6 and spec/blog-python-and-the-cloud-api.txt: the fields in the blog's order, ``from.user`` from the
records of 2014-15.
"""

import json
from typing import Final, Self

from attrs import frozen

__all__ = ["FULL_SCALE", "Reading"]

FULL_SCALE: Final = 1023
"""The most that the bit's 10-bit converter gives."""


@frozen
class Reading:
    """What a bit's input was at one time.

    Attributes:
        device_id: The bit.
        user_id: Its owner.
        timestamp_ms: Unix time in milliseconds; never twice the same for one bit.
        absolute: 0 to 1023.
    """

    device_id: str
    user_id: int | None
    timestamp_ms: int
    absolute: int

    @classmethod
    def of(cls, percent: float, *, device_id: str, user_id: int | None, timestamp_ms: int) -> Self:
        """Convert an input in percent as the bit's converter does."""
        return cls(device_id, user_id, timestamp_ms, round(percent / 100 * FULL_SCALE))

    @property
    def percent(self) -> int:
        """The input in percent of full scale, rounded as in every record."""
        return round(self.absolute / FULL_SCALE * 100)

    def event(self) -> bytes:
        """Write the event of a stream: one line ``data:`` without a blank after the colon, and nothing else."""
        amplitude = {"percent": self.percent, "absolute": self.absolute}
        event = {
            "type": "input",
            "timestamp": self.timestamp_ms,
            **amplitude,
            "name": "amplitude",
            "payload": amplitude,
            "from": {"user": {"id": self.user_id}, "device": {"id": self.device_id, "mac": self.device_id}},
        }
        return b"data:%b\n\n" % json.dumps(event, separators=(",", ":")).encode()
