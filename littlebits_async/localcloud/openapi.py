"""``GET /openapi.json``: what the cloud speaks, as an OpenAPI 3.1 document.

Made of what the routes themselves declare, so that a route is in it because it is there.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from . import schemas
from .answers import CORS
from .api import OPTIONS, Api
from .negotiation import JSON, VERSIONS
from .resources import Operation
from .schemas import ERRORS, Schema

__all__ = ["Document"]

_TITLE: Final = "littleBits Cloud API"
_ABOUT: Final = """\
Watch the inputs of cloudBits, and set their outputs.

Each path is there in versions 1, 2 and 3. A request names its version in the path (`/v2/devices`) or in `Accept` \
(`application/vnd.littlebits.v2+json`), and gets the newest if it names none. Older forms, still served, are marked as \
deprecated. `HEAD` is answered wherever `GET` is, and a trailing slash changes nothing.

A token is had from the operator, or by OAuth2, of which `/.well-known/oauth-authorization-server` tells where. It may \
also stand in `Authorization` alone, or in the query as `access_token`. What it may do is its scopes, \
named with each operation. `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` tell how many requests its \
hour still has.

Bodies are JSON or forms. A number may be text. Fields that are not known are ignored, and so is a body where none is \
described."""

_FORM: Final = "application/x-www-form-urlencoded"
_BESIDE: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "/health": ("Tell that the cloud answers at all.", JSON, ("200",)),
    "/ready": ("Tell whether requests may be sent here.", JSON, ("200", "503")),
    "/metrics": ("Tell in numbers how the cloud fares, for Prometheus.", "text/plain", ("200",)),
    "/openapi.json": ("Give this document.", JSON, ("200",)),
}
"""What there is beside the API: what it is, what it gives, and its statuses."""

_HERE: Final = "https://here.invalid"
"""Stands for where the cloud is until somebody asks: these URLs, and no others, are to be whole."""
_SCHEMES: Final[Mapping[str, Schema]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "oauth2": {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": f"{_HERE}/oauth/authorize",
                "tokenUrl": f"{_HERE}/oauth/token",
                "refreshUrl": f"{_HERE}/oauth/token",
                "scopes": {
                    "read": "See devices, inputs and subscriptions; subscribe.",
                    "write": "Set outputs and lights.",
                    "admin": "Activate, change and deactivate devices.",
                },
            }
        },
    },
}


class Document:
    """The document.

    Args:
        apis: What there is in each version.
        beside: Which paths there are beside the API.
    """

    def __init__(self, apis: Mapping[int, Api], beside: tuple[str, ...]) -> None:
        self._apis = apis
        self._beside = beside

    async def page(self, request: Request) -> Response:
        """Answer ``/openapi.json``, with URLs as seen by whoever asks: the cloud may be known by many names."""
        here = json.dumps(str(request.base_url).rstrip("/"))[1:-1]
        headers = {"content-type": "application/json", "cache-control": "no-cache", **CORS}
        return Response(self._written.replace(_HERE, here), headers=headers)

    @cached_property
    def _written(self) -> str:
        return json.dumps(self._describe(), separators=(",", ":"))

    def _describe(self) -> dict[str, object]:
        newest = self._apis[VERSIONS[-1]]
        parts: dict[str, dict[str, Schema]] = {"schemas": {}, "responses": {}}
        paths: dict[str, Schema] = {path: {"get": _aside(path)} for path in self._beside}
        for prefix, api in {"": newest, **{f"/v{version}": api for version, api in self._apis.items()}}.items():
            parts["schemas"] |= schemas.components(api.dialect)
            parts["responses"] |= schemas.responses(api.dialect, newest.dialect)
            for path, methods in api.operations.items():
                paths[f"{prefix}{path}"] = {
                    method.lower(): _operation(prefix, path, method, operation, api)
                    for method, operation in methods.items()
                }
        return {
            "openapi": "3.1.0",
            "info": {"title": _TITLE, "version": str(VERSIONS[-1]), "description": _ABOUT},
            "paths": paths,
            "components": {**parts, "securitySchemes": _SCHEMES},
        }


def _aside(path: str) -> Schema:
    about, kind, statuses = _BESIDE[path]
    schema = {"type": "object"} if kind == JSON else {"type": "string"}
    answers = {
        status: {"description": HTTPStatus(int(status)).phrase, "content": {kind: {"schema": schema}}}
        for status in statuses
    }
    return {"summary": about, "security": [], "responses": answers}


def _operation(prefix: str, path: str, method: str, operation: Operation, api: Api) -> Schema:
    names_device = "{device_id}" in path
    described: dict[str, object] = {
        "summary": (operation.carry_out.__doc__ or "").partition("\n")[0],
        "security": [] if operation.scope is None else [{scheme: [operation.scope]} for scheme in _SCHEMES],
        "responses": _responses(operation, api, names_device=names_device),
    }
    if path == OPTIONS or method in api.documented.get(path, ()):
        described["operationId"] = f"{prefix.lstrip('/')}_{operation.carry_out.__name__}".lstrip("_")
    else:
        described["deprecated"] = True
    parameters = [_parameter(item.name, "query") for item in operation.query]
    if names_device:
        parameters.append({**_parameter("device_id", "path"), "required": True, "schema": schemas.DEVICE_ID})
    if parameters:
        described["parameters"] = parameters
    if operation.has_body:
        payload = tuple(item for item in operation.payload if not (names_device and item.name == "publisher_id"))
        content = {kind: {"schema": schemas.body(payload, is_form=kind == _FORM)} for kind in (JSON, _FORM)}
        described["requestBody"] = {"content": content, "required": any(item.required for item in payload)}
    return described


def _responses(operation: Operation, api: Api, *, names_device: bool) -> Schema:
    statuses = set(ERRORS)
    if operation.scope is None:
        statuses -= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
    if not (names_device or operation.has_body):
        statuses.discard(HTTPStatus.NOT_FOUND)
    content = {operation.produces: {"schema": schemas.reference(operation.gives, api.dialect)}}
    refusals = {str(int(status)): schemas.refusal(status, api.dialect) for status in sorted(statuses)}
    return {str(int(operation.status)): {"description": "Done.", "content": content}, **refusals}


def _parameter(name: str, place: str) -> dict[str, object]:
    return {"name": name, "in": place, "schema": {"type": "string", "minLength": 1}}
