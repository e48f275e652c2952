"""Localbits, by UDP: they tell how they are in each packet, and are told what to show in each that they get.

Nothing is acknowledged, so a bit is told at each change, and once a second in any case: what got lost is mended by
then. It answers each packet, so one that says nothing for a while is gone. Nobody is answered who is not enrolled, so
nothing can be made to flood anybody.

Off unless asked for: a packet's sender can be forged, and that is all that a localbit is known by.

Source: Hixie/localbit, localbit.c and README.md; wire-facts 9.
"""

import asyncio
import logging
import math
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio
from anyio.abc import TaskStatus

from ..bits import Bit
from ..storage import EnrolmentRecord, StorageError
from ..ticker import Ticker
from . import _packets as packets
from ._enrolment import Admission
from ._packets import BadPacketError, Report
from ._tally import Tally

__all__ = ["LOCALBIT_PORTS", "Localbit"]

logger: Final = logging.getLogger(__name__)

LOCALBIT_PORTS: Final = (2020, 2021)
"""Where bits send to, and where they listen; both stand in their code."""
_TELL_EVERY: Final = 1.0
"""Seconds between two packets to a bit to which nothing changes."""
_APART: Final = 0.02
"""Seconds between two packets at least; a bit reads one each 10 ms at most."""
_GONE_AFTER: Final = 8.0
"""Seconds of silence; a bit that gets nothing says something each 2.01 s."""
_MOST_WAITING: Final = 64
"""Bits that may wait to be let in."""
_MAPPED: Final = "::ffff:"
"""Before an address of IPv4 where the socket is one of IPv6."""


class Localbit:
    """All localbits that are heard.

    Args:
        admission: Lets bits in.
        ticker: Gives them turns.
        tally: Counts.
        host: The address to listen at.
        ports: Where to listen, 0 for any that is free, and where the bits do.
    """

    def __init__(self, admission: Admission, ticker: Ticker, tally: Tally, host: str, ports: tuple[int, int]) -> None:
        self.port = 0
        self._admission = admission
        self._ticker = ticker
        self._tally = tally
        self._host = host
        self._ports = ports
        self._heard: dict[tuple[str, str], _Link] = {}
        self._waiting: dict[tuple[str, str], Report] = {}
        self._waits = asyncio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled.

        Raises:
            OSError: The address cannot be had.
        """
        self._waits = asyncio.Event()  # belongs to the loop that runs
        family, mapped = (socket.AF_INET6, _MAPPED) if ":" in self._host else (socket.AF_INET, "")
        loop = asyncio.get_running_loop()
        transport, endpoint = await loop.create_datagram_endpoint(
            lambda: _Endpoint(self._receive), local_addr=(self._host, self._ports[0]), family=family
        )
        self.port = transport.get_extra_info("sockname")[1]

        def send(address: str, packet: bytes) -> None:
            if not endpoint.is_full:
                transport.sendto(packet, (address if ":" in address else mapped + address, self._ports[1]))

        try:
            task_status.started()
            await self._let_in(send)
        finally:
            transport.abort()
            for link in tuple(self._heard.values()):
                link.leave()

    def close_revoked(self) -> None:
        """Part with the bits whose enrolment is gone, or that are at another address now."""
        for link in tuple(self._heard.values()):
            if link.enrolment_id not in self._admission.enrolments:
                link.leave()

    def _receive(self, packet: bytes, address: str) -> None:
        try:
            report = packets.read(packet)
        except BadPacketError:
            self._tally.wrong_size_packets += 1
            return
        key = report.mac, address.removeprefix(_MAPPED)
        if (link := self._heard.get(key)) is not None:
            self._tally.packets += 1
            link.hear(report)
        elif self._admission.enrolments.of_address(*key) is None or len(self._waiting) >= _MOST_WAITING:
            self._drop(report.mac)
        else:
            self._waiting[key] = report
            self._waits.set()

    def _drop(self, mac: str) -> None:
        """Count a packet that is not taken."""
        if self._admission.enrolments.is_pinned(mac):
            self._tally.misplaced_packets += 1
        else:
            self._tally.unknown_packets += 1

    async def _let_in(self, send: Callable[[str, bytes], None]) -> None:
        while True:
            self._waits.clear()
            for key in tuple(self._waiting):
                try:
                    admitted = await self._admission.by_address(*key)
                except StorageError as error:
                    logger.error("a bit could not be let in: %s", error)  # noqa: TRY400 - it says what there is to say
                    admitted = None
                report = self._waiting.pop(key)
                if admitted is None:
                    self._drop(report.mac)
                else:
                    self._tally.packets += 1
                    self._begin(send, key, report, *admitted)
            await self._waits.wait()

    def _begin(
        self,
        send: Callable[[str, bytes], None],
        key: tuple[str, str],
        report: Report,
        bit: Bit,
        item: EnrolmentRecord,
    ) -> None:
        for other in [link for (mac, _), link in self._heard.items() if mac == bit.id]:
            other.leave()  # it has moved

        def leave() -> None:
            del self._heard[key]
            self._tally.localbits = len(self._heard)
            logger.info("localbit %s left", bit.id)

        link = self._heard[key] = _Link(bit, item.id, self._ticker, partial(send, key[1]), leave)
        self._tally.localbits = len(self._heard)
        logger.info("localbit %s is there, at %s", bit.id, key[1])
        link.hear(report)


class _Endpoint(asyncio.DatagramProtocol):
    """Hands on what comes."""

    def __init__(self, receive: Callable[[bytes, str], None]) -> None:
        self.is_full = False
        self._receive = receive

    def pause_writing(self) -> None:
        self.is_full = True  # of packets that are made up for later

    def resume_writing(self) -> None:
        self.is_full = False

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._receive(data, addr[0])

    def error_received(self, exc: Exception) -> None:
        """Go on: a bit that is switched off has its router say that nobody is there."""


class _Link:
    """A localbit that is heard."""

    def __init__(
        self,
        bit: Bit,
        enrolment_id: int,
        ticker: Ticker,
        send: Callable[[bytes], None],
        on_leaving: Callable[[], None],
    ) -> None:
        self.enrolment_id = enrolment_id
        self.due = math.inf
        self._bit = bit
        self._ticker = ticker
        self._send = send
        self._on_leaving = on_leaving
        self._heard_at = self._sent_at = -math.inf
        bit.watch(self, self._change)

    def hear(self, report: Report) -> None:
        """Take what the bit said."""
        self._bit.turn(report.percent)
        is_first = self._heard_at == -math.inf
        self._heard_at = self._ticker.clock()
        self._bit.connect(is_connected=True)
        if is_first:
            self._change()

    def leave(self) -> None:
        """Let the bit be off line."""
        self.due = math.inf
        self._bit.unwatch(self)
        self._bit.connect(is_connected=False)
        self._on_leaving()

    def tick(self, now: float) -> None:
        """Tell the bit what to show, or give it up."""
        if now >= self._heard_at + _GONE_AFTER:
            self.leave()
            return
        self._sent_at = now
        settles = self._bit.settles  # before it is told what to show: else that could be over in between
        self._send(packets.command(self._bit.id, self._bit.shown, self._bit.light))
        self.due = max(now + _APART, min(now + _TELL_EVERY, settles))

    def _change(self) -> None:
        due = max(self._ticker.clock(), self._sent_at + _APART)
        if due < self.due:
            self.due = due
            self._ticker.plan(self)
