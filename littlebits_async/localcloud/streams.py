"""The answer that does not end: a bit's input as server-sent events.

Raw ASGI: a StreamingResponse costs twice the memory and time of this (recipes/README.md).

Source: wire-facts 6, "Answer headers" and "Framing": ``data:`` lines only, no comment, id, event or retry; the newest
value at once, then one for each interval; nothing but blank lines while the bit is off line.
"""

from collections.abc import Callable
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .answers import CORS
from .feeds import Feed, Reader

__all__ = ["InputStream"]

_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "content-encoding": "identity",
    **CORS,
}


class InputStream(Response):
    """An answer that gives a bit's readings until one side has enough.

    Args:
        feed: The bit's.
        drop: Cuts the connection that a request came by.
        owner: The digest of the token that it is opened with.
    """

    def __init__(self, feed: Feed, drop: Callable[[Scope], None], owner: str) -> None:
        # Not Response's own __init__: it would set a body, and its length.
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        self._feed = feed
        self._drop = drop
        self._owner = owner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send readings until the stream ends."""
        reader = Reader(lambda: self._drop(scope), self._owner)
        if scope["method"] == "HEAD":
            reader.end()
        else:
            self._feed.open(reader)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watch, receive, reader)
                while chunks := await reader.next():
                    await send({"type": "http.response.body", "body": chunks, "more_body": True})
                tasks.cancel_scope.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._feed.close(reader)


async def _watch(receive: Receive, reader: Reader) -> None:
    """End the stream when its reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.end()
