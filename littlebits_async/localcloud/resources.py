"""What stands between a request and its call: method, Accept, token, limit, scope, body, and the answer to failures.

They are looked at in this order: method (405), Accept (406), token (401), the hour's limit (429), scope (403), body
(413, 400). A wrong method is told before a missing token, so that a client under construction learns the most.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote_to_bytes

from attrs import frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import fields
from .access import loggable
from .answers import Refusal
from .dialects import Dialect
from .fields import Fields
from .limiting import RequestLimit
from .negotiation import JSON, check_acceptable
from .routes import Parameter
from .storage import StorageError, TokenRecord
from .tokens import Tokens, check_scope

__all__ = ["Call", "Operation", "Resource", "forget_locals", "log_failure", "log_unkept"]

logger: Final = logging.getLogger(__name__)

_FAILURE: Final = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "We had a problem with our server. Try again later.")
_UNAVAILABLE: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "The cloud cannot keep anything at the moment. Please try again later."
)
_NOBODY: Final = TokenRecord("", 0, frozenset())


def forget_locals(exc: BaseException) -> None:
    """Have the frames that a failure went through forget their locals: requests, and with them tokens."""
    part: BaseException | None = exc
    while part is not None:
        traceback.clear_frames(part.__traceback__)
        part = part.__context__


def log_failure(scope: Scope, exc: Exception) -> None:
    """Log what failed: the path without its query, and the frames without their locals, as all may hold a token."""
    forget_locals(exc)
    trace = exc.__traceback__ and exc.__traceback__.tb_next  # the caller's frame has the request
    logger.error("%s %s failed", scope["method"], loggable(scope["raw_path"]), exc_info=exc.with_traceback(trace))


def log_unkept(scope: Scope, error: StorageError) -> None:
    """Log that the database failed; it says what there is to say."""
    logger.error("%s %s: %s", scope["method"], loggable(scope["raw_path"]), error)


@frozen
class Call:
    """A request that may be carried out.

    Attributes:
        request: The request.
        token: Whom it comes from.
        body: What the body says; empty where it may say anything.
    """

    request: Request
    token: TokenRecord
    body: Fields

    @property
    def names_device(self) -> bool:
        """Whether there is a device in the path."""
        return "device_id" in self.request.path_params

    @property
    def device_id(self) -> str:
        """The device in the path; a path is kept percent-encoded until here, so that an id may hold a slash."""
        try:
            return unquote_to_bytes(cast("str", self.request.path_params["device_id"])).decode()
        except UnicodeDecodeError:
            raise Refusal(HTTPStatus.BAD_REQUEST, "The device id is not UTF-8") from None


@frozen
class Operation:
    """What one method does on one path.

    Attributes:
        carry_out: The work.
        scope: What the token must be for; None where no token is needed.
        has_body: Whether the body says anything; if not, it may say anything.
        produces: What comes back.
        query: What the query may say, as ``/options`` tells.
        payload: What the body may say, as ``/options`` tells.
        gives: What the answer is, by its name in `schemas`.
        status: The answer's status.
    """

    carry_out: Callable[[Call], Awaitable[Response]]
    scope: str | None
    has_body: bool = False
    produces: str = JSON
    query: tuple[Parameter, ...] = ()
    payload: tuple[Parameter, ...] = ()
    gives: str = ""
    status: int = HTTPStatus.OK


@frozen
class Resource:
    """One path, as an ASGI application.

    Attributes:
        path: The path, with names in braces for what differs.
        tokens: Who may come in.
        limit: How often.
        operations: What each method does.
        dialect: How failures are told.
    """

    path: str
    tokens: Tokens
    limit: RequestLimit
    operations: Mapping[str, Operation]
    dialect: Dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever fails, in the envelope of the version."""
        headers: dict[str, str] = {}
        scope["state"]["route"] = self.path  # for the metrics
        try:
            response = await self._respond(Request(scope, receive), headers)
        except Refusal as refusal:
            response = refusal.answer(self.dialect.status_field)
        except ClientDisconnect:
            return
        except StorageError as error:
            log_unkept(scope, error)
            response = _UNAVAILABLE.answer(self.dialect.status_field)
        except Exception as exc:  # noqa: BLE001 - logged
            log_failure(scope, exc)
            response = _FAILURE.answer(self.dialect.status_field)
        response.headers.update(headers)
        await response(scope, receive, send)

    async def _respond(self, request: Request, headers: dict[str, str]) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        operation = self.operations.get(method)
        if operation is None:
            head = ["HEAD"] if "GET" in self.operations else []
            headers["allow"] = ", ".join([*self.operations, *head, "OPTIONS"])
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is no method of this path")
        check_acceptable(",".join(request.headers.getlist("accept")), operation.produces)
        token = _NOBODY
        if operation.scope is not None:
            token = self.tokens.authenticate(request)
            request.state.user_id = token.user_id  # for the log
            headers.update(self.limit.spend(token.key))
            check_scope(token, operation.scope)
        content = await fields.read(request)
        if operation.scope is not None:
            token = self.tokens.authenticate(request)  # a body may take its time, and a token be revoked meanwhile
        body: Fields = fields.parse(content, request.headers.get("content-type", "")) if operation.has_body else {}
        return await operation.carry_out(Call(request, token, body))
