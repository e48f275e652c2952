"""The Cloud API as an ASGI application: preflights, the version, the paths.

Each version has the same paths and a dialect of its own. A request whose version is in doubt is refused in the newest.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

from starlette.datastructures import Headers
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import Refusal, preflight
from .api import Api
from .dialects import DIALECTS, Dialect
from .limiting import RequestLimit
from .negotiation import VERSIONS, negotiate
from .registry import Registry
from .resources import Resource

__all__ = ["App"]

_NOT_FOUND: Final = Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this path")


class App:
    """The application.

    Attributes:
        apis: What there is in each version.

    Args:
        registry: All that there is.
        limit: The requests that each token may make.
        drop: Cuts the connection that a request came by.
    """

    def __init__(self, registry: Registry, limit: RequestLimit, drop: Callable[[Scope], None]) -> None:
        self.apis = {version: Api(registry, drop, DIALECTS[version]) for version in VERSIONS}

        def router(dialect: Dialect) -> Router:
            operations = self.apis[dialect.version].operations
            return Router(
                [
                    Route(path, Resource(path, registry.tokens, limit, methods, dialect))
                    for path, methods in operations.items()
                ],
                redirect_slashes=False,
                default=_NOT_FOUND.answer(dialect.status_field),
            )

        self._routers = {version: router(DIALECTS[version]) for version in VERSIONS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._respond(scope)(scope, receive, send)

    def _respond(self, scope: Scope) -> ASGIApp:
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS":
            return preflight(",".join(headers.getlist("access-control-request-headers")))
        try:
            target = negotiate(cast("bytes", scope["raw_path"]).decode(), ",".join(headers.getlist("accept")))
        except Refusal as refusal:
            return refusal.answer(DIALECTS[VERSIONS[-1]].status_field)
        scope.setdefault("state", {})["version"] = target.version  # for the log
        # Still percent-encoded, so that an encoded slash does not part an id in two.
        scope["path"] = target.path
        return self._routers[target.version]
