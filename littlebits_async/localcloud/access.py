"""One log record for each request, when its answer has ended; for an input stream that is when the stream has.

Level INFO, so that it is there for those who ask for it. What could be a secret is never in it: no query, no header,
no body. Uvicorn's own access log writes the query, in which a token may stand.
"""

import logging
import re
import time
from typing import Final

from attrs import frozen
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["AccessLog", "Answered", "loggable"]

logger: Final = logging.getLogger(__name__)

_LONGEST: Final = 256
"""Characters of what a client may make as long as it likes."""
_TOKEN: Final = re.compile(rb"[0-9a-fA-F]{64}")


@frozen(kw_only=True)
class Answered:
    """A request, and how it ended; as text, ``key=value`` with a ``-`` for what is not known.

    Attributes:
        method: Its method.
        path: Its path as it came, percent-encoded.
        version: The version of the API that it meant.
        status: What it was answered with; None where the client had gone before.
        ms: Milliseconds until the answer had ended.
        user_id: Whose token it bore.
    """

    method: str
    path: str | None
    version: int | None
    status: int | None
    ms: float
    user_id: int | None

    def __str__(self) -> str:
        known = {
            "method": self.method,
            "path": self.path,
            "version": self.version,
            "status": self.status,
            "ms": f"{self.ms:.1f}",
            "user": self.user_id,
        }
        return " ".join(f"{name}={'-' if value is None else value}" for name, value in known.items())


class AccessLog:
    """Logs what an application answers. The record's message is an `Answered`, for a formatter that wants its parts.

    Version and user are what the application leaves in the request's ``state`` as ``version`` and ``user_id``.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have one request answered."""
        if not logger.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        raw_path: bytes = scope["raw_path"]
        state: dict[str, int] = scope.setdefault("state", {})
        status: int | None = None

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            logger.info(
                Answered(
                    method=scope["method"][:_LONGEST],
                    path=loggable(raw_path),
                    version=state.get("version"),
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    user_id=state.get("user_id"),
                )
            )


def loggable(raw_path: bytes) -> str | None:
    """Write a path as text: not one that is a whole URL, which may hold a password, nor a token that went astray."""
    if not raw_path.startswith(b"/"):
        return None
    return _TOKEN.sub(b"[token]", raw_path).decode("ascii")[:_LONGEST]
