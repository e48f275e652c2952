"""The websocket of the community firmware: who comes in, and who is there.

A bit connects to the URL that stands on its card, with its MAC address in a header; both have to fit, or it is refused
before there is a websocket. Of two connections of one bit the newer counts: the older one is most likely dead.

Source: littleBitsman/cloudbit-software, README.md and src/main.rs; wire-facts 9.
"""

import logging
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..bits import Bit
from ..resources import forget_locals
from ..storage import EnrolmentRecord, StorageError
from ..ticker import Ticker
from ._connection import REPLACED, REVOKED, Connection
from ._enrolment import PATH, Admission, Admitted, parse_mac
from ._frames import Button, Figures, InputScale, Opcode
from ._tally import Tally

__all__ = ["Gateway", "is_gateway"]

logger: Final = logging.getLogger(__name__)

_PATH: Final = PATH.encode()
_LONGEST_ID: Final = 64


def is_gateway(raw_path: bytes) -> bool:
    """Tell whether a path is a bit's to connect to."""
    return raw_path.startswith(_PATH)


class Gateway:
    """All bits of the community firmware that are connected.

    Args:
        admission: Lets bits in.
        ticker: Has the time.
        tally: Counts.
    """

    def __init__(self, admission: Admission, ticker: Ticker, tally: Tally) -> None:
        self._admission = admission
        self._clock = ticker.clock
        self._tally = tally
        self._connections: dict[str, tuple[int, Connection]] = {}

    def before(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application, which gets all but websockets."""

        async def respond(scope: Scope, receive: Receive, send: Send) -> None:
            await (self if scope["type"] == "websocket" else app)(scope, receive, send)

        return respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one bit until it leaves, or turn it away."""
        headers = Headers(scope=scope)
        who = headers.get("cb-id") or headers.get("cloudbit-id") or "-"
        await receive()  # that it connects
        try:
            admitted = await self._admit(scope["raw_path"], headers.get("mac-address", ""))
        except StorageError as error:
            logger.error("a bit could not be let in: %s", error)  # noqa: TRY400 - it says what there is to say
            admitted = None
        try:
            if admitted is None:
                # Neither the secret, nor what a stranger wrote for a MAC address or an id.
                logger.info("refused a bit from %s", scope["client"])
                self._tally.refused += 1
                await send({"type": "websocket.close"})
            else:
                await self._serve(*admitted, who[:_LONGEST_ID], receive, send)
        except OSError:
            return  # it left while it was told something
        except Exception as exc:
            forget_locals(exc)  # the secret is among them
            logger.error("the connection of a bit failed", exc_info=exc)  # noqa: TRY400 - as above

    async def button(self, device_id: str) -> bool:
        """Ask a connected bit whether its button is down.

        Raises:
            LookupError: It is not connected here.
            ConnectionError: It left before it answered.
        """
        answer = await self._ask(device_id, Opcode.ASK_BUTTON)
        return isinstance(answer, Button) and answer.is_down

    async def figures(self, device_id: str) -> Mapping[str, float | None]:
        """Ask a connected bit how it fares: processor, memory, temperature.

        Raises:
            LookupError: As `button` does, and so the other.
        """
        answer = await self._ask(device_id, Opcode.ASK_FIGURES)
        return answer.by_name if isinstance(answer, Figures) else {}

    def close_revoked(self) -> None:
        """Part with the bits whose enrolment is gone."""
        for enrolment_id, connection in tuple(self._connections.values()):
            if enrolment_id not in self._admission.enrolments:
                connection.end(REVOKED)

    async def _ask(self, device_id: str, question: Opcode) -> Button | Figures:
        _, connection = self._connections[device_id]
        return await connection.ask(question)

    async def _admit(self, raw_path: bytes, mac: str) -> Admitted | None:
        secret = raw_path.removeprefix(_PATH).rstrip(b"/").decode("latin-1")
        try:
            return await self._admission.by_secret(parse_mac(mac), secret)
        except ValueError:
            return None

    async def _serve(self, bit: Bit, item: EnrolmentRecord, who: str, receive: Receive, send: Send) -> None:
        connection = Connection(
            bit,
            InputScale(item.full_scale),
            self._tally,
            arrive=lambda: bit.connect(is_connected=True),
            learn=lambda full: self._admission.learn(item, full),
            clock=self._clock,
        )
        _, older = self._connections.get(bit.id, (0, None))
        self._connections[bit.id] = item.id, connection
        self._tally.accepted += 1
        self._tally.websocket_bits = len(self._connections)
        if older is not None:
            self._tally.replaced += 1
            older.end(REPLACED)
        logger.info("bit %s connected; its own name is %r", bit.id, who)
        try:
            await connection.run(receive, send)
        finally:
            if self._connections.get(bit.id, (0, None))[1] is connection:
                del self._connections[bit.id]
                self._tally.websocket_bits = len(self._connections)
                bit.connect(is_connected=False)
                logger.info("bit %s left", bit.id)
        await connection.close(send)
