"""The doors by which real cloudBits come in.

A re-flashed bit is a bit as any other once it is in: same API, same streams, same webhooks. Two firmwares are served,
both of the community: littleBitsman/cloudbit-software by a websocket, Hixie/localbit by UDP. What a bit with the
**stock firmware** says on its TLS socket nobody has decoded, so those are not served, and nothing here tries to.

Source: wire-facts 9, and the source code of both firmwares.
"""

from ._enrolment import OPEN_FOR, Enrolments, parse_mac, url_for
from ._gateway import is_gateway
from ._localbit import LOCALBIT_PORTS
from ._protocol import LARGEST, PING_EVERY, PONG_WITHIN, WebSocketProtocol
from ._real_bits import RealBits
from ._tally import Tally

__all__ = [
    "LARGEST",
    "LOCALBIT_PORTS",
    "OPEN_FOR",
    "PING_EVERY",
    "PONG_WITHIN",
    "Enrolments",
    "RealBits",
    "Tally",
    "WebSocketProtocol",
    "is_gateway",
    "parse_mac",
    "url_for",
]
