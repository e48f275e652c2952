"""The little of ASGI that a receiver needs: one body in, one status out.

Source: https://asgi.readthedocs.io/en/latest/specs/www.html, lifespan.html.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import parse_qs

import anyio

__all__ = ["Message", "Receive", "RefusalError", "Scope", "Send", "answer", "event_in", "live", "pairs_of", "read_body"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

_FORM: Final = b"application/x-www-form-urlencoded"


class RefusalError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        headers: What goes with it.
    """

    def __init__(self, status: HTTPStatus, reason: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


def pairs_of(scope: Scope) -> Pairs:
    """The headers of a request."""
    return [(bytes(name).lower(), bytes(value)) for name, value in cast("Iterable[Iterable[bytes]]", scope["headers"])]


async def read_body(scope: Scope, receive: Receive, *, most: int, within: float) -> bytes | None:
    """Read a request's body; None where its sender has left.

    Raises:
        RefusalError: It is too long, or does not come.
    """
    headers = dict(pairs_of(scope))
    said = headers.get(b"content-length", b"0")
    too_long = RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body of more than {most} bytes")
    if said.isdigit() and int(said[:10]) > most:
        raise too_long
    body = bytearray()
    with anyio.move_on_after(within):
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > most:
                raise too_long
            more = message.get("more_body", False)
        return bytes(body)
    raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, f"a body that did not come within {within:g} s")


def event_in(body: bytes, headers: Pairs) -> bytes:
    """Take the event out of a body; one proxy of 2017 put it into the field ``request`` of a form."""
    kind = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != _FORM:
        return body
    try:
        (event,) = parse_qs(body, max_num_fields=16)[b"request"]
    except (KeyError, ValueError):
        return body  # some clients say form, and send JSON
    return event


async def answer(send: Send, status: HTTPStatus, *headers: tuple[bytes, bytes]) -> None:
    """Answer with a status, and no body."""
    sent = [(b"content-length", b"0"), *headers]
    await send({"type": "http.response.start", "status": int(status), "headers": sent})
    await send({"type": "http.response.body", "body": b""})


async def live(receive: Receive, send: Send) -> None:
    """Take note of the server's start and end, which change nothing here."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
