"""Paths beside the Cloud API: no version, no token, no limit; for whoever watches over the cloud, or reads about it."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import Refusal
from .dialects import DIALECTS
from .negotiation import VERSIONS

__all__ = ["Aside", "Page"]

Page = Callable[[Request], Awaitable[Response]]
"""Answers a GET."""

_METHODS: Final = {"GET", "HEAD"}


class Aside:
    """Answers at some paths, and leaves all else to the application behind it, preflights too.

    Args:
        pages: What is at each path.
        app: The application.
    """

    def __init__(self, pages: Mapping[str, Page], app: ASGIApp) -> None:
        self._pages = {path.encode(): (path, page) for path, page in pages.items()}
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw_path: bytes = scope.get("raw_path", b"")
        found = self._pages.get(raw_path.removesuffix(b"/"))
        if found is None or scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        path, page = found
        scope.setdefault("state", {})["route"] = path  # for the metrics
        method: str = scope["method"]
        response = await page(Request(scope)) if method in _METHODS else _refuse(method)
        await response(scope, receive, send)


def _refuse(method: str) -> Response:
    refusal = Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED, f"{method} is no method of this path", headers={"allow": "GET, HEAD, OPTIONS"}
    )
    return refusal.answer(DIALECTS[VERSIONS[-1]].status_field)
