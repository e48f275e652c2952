"""A littleBits Cloud of one's own: the Cloud API over HTTP or HTTPS, with simulated bits, in memory or in a database.

It shares no code with the client but the meaning of an amplitude and the signature of a webhook, so that one mistake
cannot cancel itself out between the two. It speaks versions 1, 2 and 3, each in its own forms.
"""

from ..amplitude import Thresholds
from .bits import Bit, Light
from .cloud import LocalCloud
from .storage import StorageError
from .waveforms import WAVEFORMS, Button, Noise, Ramp, Sine, Waveform, waveform
from .webhooks import Backlog

__all__ = [
    "WAVEFORMS",
    "Backlog",
    "Bit",
    "Button",
    "Light",
    "LocalCloud",
    "Noise",
    "Ramp",
    "Sine",
    "StorageError",
    "Thresholds",
    "Waveform",
    "waveform",
]
