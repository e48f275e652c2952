"""What every answer has in common: JSON, headers for browsers, and one shape of refusal.

Source: wire-facts 10: the envelope of errors, in which only the name of the status differs by version; the cross-origin
headers and ``cache-control`` of recorded answers. Errors have the names that Boom, hapi's own library, gives them. A
refusal always has a message: the vendor's JavaScript client passes the body on only if it does.
"""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

__all__ = ["CORS", "Refusal", "answer", "preflight"]

CORS: Final[Mapping[str, str]] = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Authorization, Content-Type, If-None-Match",
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-expose-headers": "WWW-Authenticate, Server-Authorization",
    "access-control-max-age": "86400",
}
# Not HTTPStatus's phrases: they differ between versions of Python.
_PHRASES: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "Bad Request",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "Not Found",
    HTTPStatus.METHOD_NOT_ALLOWED: "Method Not Allowed",
    HTTPStatus.NOT_ACCEPTABLE: "Not Acceptable",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Entity",
    HTTPStatus.TOO_MANY_REQUESTS: "Too Many Requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal Server Error",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service Unavailable",
}
_NAME: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_JSON: Final = {"content-type": "application/json; charset=utf-8", "cache-control": "no-cache", **CORS}


def answer(value: object, status: int = HTTPStatus.OK) -> Response:
    """Make an answer in JSON.

    Characters beyond ASCII are escaped: every JSON reader undoes that, whatever it takes the charset for.
    """
    return Response(json.dumps(value, separators=(",", ":")).encode(), status, _JSON)


def preflight(requested: str) -> Response:
    """Let a browser ask what its page wants to ask.

    Args:
        requested: ``Access-Control-Request-Headers``. All of them are allowed, as those that mean nothing here are
            ignored: pages were written that send ``X-Target-URI``.
    """
    known = "access-control-allow-headers"
    names = [CORS[known], *filter(_NAME.fullmatch, map(str.strip, requested.split(",")))]
    headers = {**CORS, known: ", ".join(names), "vary": "Access-Control-Request-Headers"}
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


class Refusal(Exception):  # noqa: N818 - what the client did is the error; this is the answer to it
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status code.
        message: What is wrong, for a person; never a secret.
        error: The short name; the status's own where nothing else is documented.
        headers: Headers that belong to this refusal.
    """

    def __init__(
        self, status: int, message: str, *, error: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = _PHRASES[status] if error is None else error
        self.headers = dict(headers or {})

    def answer(self, status_field: str) -> Response:
        """Make the answer that says so, with the status under the name that the version has for it."""
        response = answer({status_field: self.status, "error": self.error, "message": self.message}, self.status)
        response.headers.update(self.headers)
        return response
