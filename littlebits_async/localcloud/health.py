"""How the cloud is, for whoever watches over it: ``GET /health`` and ``GET /ready``.

``/health``: 200 and ``{"status":"ok"}`` while the cloud answers at all; where nothing comes, it wants starting anew.

``/ready``: 200 and ``{"status":"ready"}`` while requests may be sent here. A 503 and ``{"status":"unavailable"}`` while
the database takes no change, as with a full disk or one that does not answer, which to start anew would not mend; and
``{"status":"stopping"}`` once the cloud ends.
"""

import logging
import math
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from .answers import answer
from .storage import StorageError, Store

__all__ = ["Health"]

logger: Final = logging.getLogger(__name__)

_GOOD_FOR: Final = 1.0
"""Seconds until the database is asked again: each time writes to the disk, and anybody may ask."""
_ANSWER_WITHIN: Final = 3.0
"""Seconds that the database has."""


class Health:
    """Tells how the cloud is.

    Args:
        store: What must be able to keep a change.
        is_stopping: Tells whether the cloud is about to end.
    """

    def __init__(self, store: Store, is_stopping: Callable[[], bool]) -> None:
        self._store = store
        self._is_stopping = is_stopping
        self._is_well = True
        self._looked_at = -math.inf
        self._looking = anyio.Lock()

    async def live(self, _: Request) -> Response:
        """Answer ``/health``."""
        return answer({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Answer ``/ready``."""
        is_well = await self._look()
        if self._is_stopping():
            return answer({"status": "stopping"}, HTTPStatus.SERVICE_UNAVAILABLE)
        if not is_well:
            return answer({"status": "unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return answer({"status": "ready"})

    async def _look(self) -> bool:
        """Have the database write, unless it did a moment ago."""
        async with self._looking:  # who asks meanwhile gets the same answer
            if time.monotonic() >= self._looked_at + _GOOD_FOR:
                self._is_well = await self._writes()
                self._looked_at = time.monotonic()
        return self._is_well

    async def _writes(self) -> bool:
        try:
            with anyio.fail_after(_ANSWER_WITHIN):
                await self._store.check()
        except StorageError as error:
            logger.error("not ready: %s", error)  # noqa: TRY400 - it says what there is to say
        except TimeoutError:
            logger.error("not ready: the database did not answer in %g s", _ANSWER_WITHIN)  # noqa: TRY400 - as above
        else:
            return True
        return False
