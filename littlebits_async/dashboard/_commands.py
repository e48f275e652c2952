"""What a page may ask for: values of JSON in, values of JSON out."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast
from urllib.parse import urlsplit

from ..cloudbit import OutputQueue
from ..errors import InvalidArgumentError, LittleBitsError
from ..models import FOREVER, Subscription
from ..session import Session
from ._board import Board
from ._news import News, in_words

__all__ = ["Commands"]

_LONGEST_LABEL: Final = 200
_AT_A_TIME: Final = 64
"""Commands of all pages that may wait for the budget or the cloud: nobody clicks so fast."""
_NOT_UNDERSTOOD: Final = "the dashboard does not understand this"


class Commands:
    """Does what a page asks for, and tells it what came of it.

    A page is told hosts of callback URLs, and names them by a digest: the rest of such a URL is often a key.

    Args:
        session: What to do it over.
        outputs: What to write outputs through.
        board: The devices that there are.
        news: What all pages are told.
    """

    def __init__(self, session: Session, outputs: OutputQueue, board: Board, news: News) -> None:
        self._session = session
        self._outputs = outputs
        self._board = board
        self._news = news
        self._running = 0
        self._does: Mapping[str, Callable[[str, Mapping[str, object]], Awaitable[object]]] = {
            "output": self._output,
            "light": self._light,
            "rename": self._rename,
            "subscriptions": self._subscriptions,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    async def __call__(self, asked: object) -> dict[str, object]:
        """Do what was asked for.

        Args:
            asked: An object with ``number``, ``do``, ``id`` and what the command needs.

        Returns:
            An object with that number and ``ok``, or ``error``, a text for people.
        """
        if not isinstance(asked, dict):
            return {"number": None, "error": _NOT_UNDERSTOOD}
        request = cast("dict[str, object]", asked)
        return {"number": request.get("number")} | await self._answer(request)

    async def _answer(self, request: Mapping[str, object]) -> dict[str, object]:
        try:
            do, device_id = self._does[_text(request, "do")], _text(request, "id")
            if device_id not in self._board.cards:
                return {"error": "this device is not there any more"}
            if self._running >= _AT_A_TIME:
                return {"error": "too much is asked for at once"}
            self._running += 1
            try:
                return {"ok": await do(device_id, request)}
            finally:
                self._running -= 1
        except LittleBitsError as exc:
            return {"error": in_words(exc)}
        except (KeyError, TypeError, ValueError):  # a page of ours does not ask for this
            return {"error": _NOT_UNDERSTOOD}

    async def _output(self, device_id: str, request: Mapping[str, object]) -> None:
        percent = _number(request, "percent")
        self._outputs.set(device_id, percent)
        self._news.note_output(device_id, percent)

    async def _light(self, device_id: str, request: Mapping[str, object]) -> None:
        color, mode = _text(request, "color"), _text(request, "mode")
        await self._session.light(device_id, color=color, mode=mode, duration_ms=FOREVER)
        self._news.note_light(device_id, f"{color} {mode}")

    async def _rename(self, device_id: str, request: Mapping[str, object]) -> None:
        label = _text(request, "label").strip()
        if not 0 < len(label) <= _LONGEST_LABEL:
            raise InvalidArgumentError(f"a name has 1 to {_LONGEST_LABEL} characters")
        self._board.set_device(await self._session.update_device(device_id, label=label))

    async def _subscriptions(self, device_id: str, _: Mapping[str, object]) -> list[dict[str, object]]:
        return [self._shown(each) for each in await self._session.subscriptions(publisher_id=device_id)]

    async def _subscribe(self, device_id: str, request: Mapping[str, object]) -> list[dict[str, object]]:
        subscriber_id = _text(request, "subscriber").strip()
        if subscriber_id not in self._board.cards and urlsplit(subscriber_id).scheme not in {"http", "https"}:
            raise InvalidArgumentError("a device, or a URL that begins with http:// or https://, is told")
        await self._session.subscribe(
            publisher_id=device_id, subscriber_id=subscriber_id, events=_text(request, "event")
        )
        return await self._subscriptions(device_id, request)

    async def _unsubscribe(self, device_id: str, request: Mapping[str, object]) -> list[dict[str, object]]:
        key = _text(request, "key")
        for each in await self._session.subscriptions(publisher_id=device_id):
            if _key(each) == key:
                await self._session.unsubscribe(publisher_id=device_id, subscriber_id=each.subscriber_id)
        return await self._subscriptions(device_id, request)

    def _shown(self, subscription: Subscription) -> dict[str, object]:
        card = self._board.cards.get(subscription.subscriber_id)
        who = subscription.subscriber_id if card is None else card.name
        if "://" in who and card is None:
            url = urlsplit(who)
            who = f"{url.scheme}://{url.hostname or ''}/…"
        return {"key": _key(subscription), "who": who, "events": list(subscription.events)}


def _key(subscription: Subscription) -> str:
    return hashlib.sha256(subscription.subscriber_id.encode()).hexdigest()[:16]


def _text(request: Mapping[str, object], name: str) -> str:
    value = request[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(request: Mapping[str, object], name: str) -> float:
    value = request[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(name)
    return value
