"""``GET /health``: whether the cloud can keep what it is told, for whoever watches over it.

No part of the Cloud API: it has no version, asks for no token, and counts against no limit. 200 and
``{"status":"ok"}``, or 503 and ``{"status":"unavailable"}`` while the database takes no change: a full disk, a disk
that does not answer. Headers are those of every other answer.
"""

import logging
import math
import time
from http import HTTPStatus
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import Refusal, answer
from .dialects import DIALECTS
from .negotiation import VERSIONS
from .storage import StorageError, Store

__all__ = ["Health"]

logger: Final = logging.getLogger(__name__)

_PATHS: Final = {b"/health", b"/health/"}
_METHODS: Final = {"GET", "HEAD"}
_GOOD_FOR: Final = 1.0
"""Seconds until the database is asked again: each time writes to the disk, and anybody may ask."""
_ANSWER_WITHIN: Final = 3.0
"""Seconds that the database has."""


class Health:
    """Answers ``/health``, and leaves all else to the application behind it.

    Args:
        store: What must be able to keep a change.
        app: The application.
    """

    def __init__(self, store: Store, app: ASGIApp) -> None:
        self._store = store
        self._app = app
        self._is_well = True
        self._looked_at = -math.inf
        self._looking = anyio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_ours = scope["raw_path"] in _PATHS and scope["method"] != "OPTIONS"
        app = await self._respond(scope["method"]) if is_ours else self._app
        await app(scope, receive, send)

    async def _respond(self, method: str) -> Response:
        if method not in _METHODS:
            refusal = Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{method} is no method of this path",
                headers={"allow": "GET, HEAD, OPTIONS"},
            )
            return refusal.answer(DIALECTS[VERSIONS[-1]].status_field)
        async with self._looking:  # who asks meanwhile gets the same answer
            if time.monotonic() >= self._looked_at + _GOOD_FOR:
                self._is_well = await self._look()
                self._looked_at = time.monotonic()
        if self._is_well:
            return answer({"status": "ok"})
        return answer({"status": "unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _look(self) -> bool:
        try:
            with anyio.fail_after(_ANSWER_WITHIN):
                await self._store.check()
        except StorageError as error:
            logger.error("not healthy: %s", error)  # noqa: TRY400 - it says what there is to say
        except TimeoutError:
            logger.error("not healthy: the database did not answer in %g s", _ANSWER_WITHIN)  # noqa: TRY400 - as above
        else:
            return True
        return False
