"""Requests to an ASGI application without a socket: whatever uvicorn could hand on, and faster than it could."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import anyio
from attrs import frozen
from starlette.types import ASGIApp, Message

PATIENCE = 10


@frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    *,
    headers: Iterable[tuple[str, bytes]] = (),
    body: Iterable[bytes] = (),
) -> Answer:
    """Send a request; an answer that does not end is left as soon as it has begun."""
    raw_path, _, query = target.encode("ascii").partition(b"?")
    pieces = list(body) or [b""]
    answered = anyio.Event()
    messages: list[Message] = []

    async def receive() -> Message:
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)
        answered.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": raw_path.decode(),  # the application reads the raw one
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.lower().encode(), value) for name, value in headers],
        "state": {},
    }
    with anyio.fail_after(PATIENCE):
        await app(scope, receive, send)
    start, *rest = messages
    return Answer(
        start["status"],
        {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message.get("body", b"") for message in rest),
    )


def segment(text: str) -> str:
    """Write a text as one step of a path, such that no client takes it for another step."""
    return quote(text, safe="").replace(".", "%2E")
