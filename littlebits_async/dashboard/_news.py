"""What pages are told: everything when they open, and then what has changed; no I/O, no clock."""

from collections.abc import Mapping
from typing import Final

import msgspec

from ..budget import BudgetReport
from ..errors import LittleBitsError, TransportError
from ..models import StreamState, StreamStatus
from ._board import Board, Card

__all__ = ["News", "in_words"]

_NOTHING: Final = object()
_LIVE, _WAITS, _LOST, _OFF = "live", "waits", "lost", "off"
_TONES: Final[Mapping[StreamState, str]] = {
    StreamState.CONNECTING: _WAITS,
    StreamState.LIVE: _LIVE,
    StreamState.QUIET: _LOST,
    StreamState.STALLED: _LOST,
    StreamState.BACKING_OFF: _LOST,
    StreamState.WAITING_FOR_BUDGET: _WAITS,
    StreamState.OFFLINE: _OFF,
    StreamState.FAILED: _LOST,
    StreamState.CLOSED: _OFF,
}


def in_words(error: LittleBitsError) -> str:
    """Say what went wrong as a page tells it; it has no use for what the HTTP library says of a transport."""
    return "the cloud cannot be reached" if isinstance(error, TransportError) else str(error)


class News:
    """Tells what of a board has changed since it was last asked, once for all pages.

    A page that opens takes `whole`, and each `changes` from then on.

    Args:
        board: The board. Its times are what pages are told, so they had better have few digits.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._top: dict[str, object] = {}
        self._faces: dict[str, dict[str, object]] = {}
        self._seen: dict[str, tuple[int, int, bool]] = {}
        self._told_until: dict[str, float] = {}
        self._budget: dict[str, object] = {}
        self._outputs: dict[str, float] = {}
        self._unwritten: Mapping[str, str] = {}
        self._lights: dict[str, str] = {}

    def note_budget(self, report: BudgetReport) -> None:
        """The budget stands like this."""
        self._budget = {
            "limit": report.limit,
            "available": report.available,
            "hold": round(report.hold),
            "waiting": sum(report.waiting.values()),
        }

    def note_output(self, device_id: str, percent: float) -> None:
        """A device was told to show so much."""
        self._outputs[device_id] = percent
        self._seen.pop(device_id, None)

    def note_unwritten(self, problems: Mapping[str, str]) -> None:
        """What the devices were told to show last did not get there, and why; all others did."""
        self._unwritten = problems

    def note_light(self, device_id: str, light: str) -> None:
        """A device's light was told to show this."""
        self._lights[device_id] = light
        self._seen.pop(device_id, None)

    def whole(self, now: float) -> bytes:
        """Return everything that was told so far, as JSON."""
        cards: list[dict[str, object]] = []
        for device_id, face in self._faces.items():
            card = self._board.cards.get(device_id)
            told_until = self._told_until.get(device_id)
            if card is not None:
                samples = [] if told_until is None else self._samples(card, now, until=told_until)
                cards.append(face | {"id": device_id, "from": 0, "samples": samples})
        return msgspec.json.encode(self._top | {"now": now, "window": self._board.window, "cards": cards})

    def changes(self, now: float, *, every_card: bool = False) -> bytes:
        """Return what has changed since the last time, as JSON.

        Args:
            now: The time.
            every_card: Look at cards too of which nothing came, and at rates.
        """
        cards = [change for card in self._board.cards.values() if (change := self._change(card, now, every_card))]
        for gone in self._faces.keys() - self._board.cards.keys():
            for of_devices in (self._faces, self._seen, self._told_until, self._outputs, self._lights):
                of_devices.pop(gone, None)
        top = self._top
        self._top = {
            "order": list(self._board.cards),
            "budget": self._budget,
            "rate": round(self._board.rate(now)) if every_card else top.get("rate", 0),
        }
        told: dict[str, object] = {"now": now, "cards": cards}
        return msgspec.json.encode(told | _difference(top, self._top))

    def _change(self, card: Card, now: float, every_card: bool) -> dict[str, object] | None:  # noqa: FBT001 - private
        device_id = card.device.id
        seen = (card.events, card.revision, card.is_current(now))
        before = self._seen.get(device_id)
        if seen == before and not every_card:
            return None
        self._seen[device_id] = seen
        shown = self._faces.get(device_id, {})
        rate = round(card.rate(now), 1) if every_card else shown.get("rate", 0.0)
        face = self._face(card, now) | {"rate": rate}
        change = _difference(shown, face)
        self._faces[device_id] = face
        if before is None or before[0] != card.events:
            told_until = self._told_until.get(device_id)
            since = 0.0 if told_until is None else card.settled(told_until)
            change["from"] = since
            change["samples"] = self._samples(card, now, since=since)
            if card.last_at is not None:
                self._told_until[device_id] = card.last_at
        return {"id": device_id} | change if change else None

    def _face(self, card: Card, now: float) -> dict[str, object]:
        """Return what a page shows of a device beside its samples and its rate."""
        device, last = card.device, card.last
        state, tone, detail = _standing(card, now)
        return {
            "label": card.name,
            "state": state,
            "tone": tone,
            "detail": detail,
            "percent": None if last is None else round(last.percent, 2),
            "volts": None if last is None else round(last.volts, 3),
            "reconnects": card.reconnects,
            "gaps": [[gap.since, gap.until] for gap in card.gaps(now)],
            "output": self._outputs.get(device.id),
            "unwritten": self._unwritten.get(device.id),
            "light": self._lights.get(device.id),
        }

    def _samples(self, card: Card, now: float, *, since: float = 0.0, until: float | None = None) -> list[float]:
        """Return times and percents by turns: half of the size of pairs."""
        flat: list[float] = []
        for sample in card.samples(now, since=since):
            if until is None or sample.at <= until:
                flat += (sample.at, round(sample.percent, 2))
        return flat


def _difference(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in after.items() if before.get(key, _NOTHING) != value}


def _standing(card: Card, now: float) -> tuple[str, str, str]:
    """Return the word for how a device is, how bad that is, and why."""
    if card.state is not StreamState.LIVE:
        return card.state.value, _TONES[card.state], "" if card.status is None else _reason(card.status)
    if card.last is None:
        return "waiting", _WAITS, "no reading has come yet"
    if card.is_silent(now):
        return "silent", _LOST, f"no reading for {card.patience:.0f} s; the bit may be off line"
    return "live", _LIVE, ""


def _reason(status: StreamStatus) -> str:
    return in_words(status.error) if isinstance(status.error, TransportError) else status.reason
