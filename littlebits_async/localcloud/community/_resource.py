"""What stands between a request and its call, and the envelope that every answer comes in.

They are looked at in this order: method (405), body (413), key (401), the hour's limit (429), what the body says (400),
and then its values (404, 422). A key that is shown where one may be, and is no good, is a 401 even if none is needed:
whoever shows it takes the answer for theirs. Where a key means nothing, none is looked at.

Source: spec/mobile-application-api.txt; wire-facts 11.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote

from attrs import field, frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import fields
from ..access import loggable
from ..answers import CORS, Refusal, answer, preflight
from ..guesses import source_of
from ..limiting import RequestLimit
from ..resources import log_failure, log_unkept
from ..storage import GoneError, StorageError, Store
from ..tokens import digest
from ._multipart import is_multipart, parse_multipart
from ._pictures import Picture, pictures_at
from ._said import Said

__all__ = ["Call", "Key", "Operation", "Resource"]

_HEADER: Final = "MobileAppAuth"
_VERSION: Final = 2
_LONGEST_ID: Final = 15
_GONE: Final = Refusal(HTTPStatus.NOT_FOUND, "Who or what this is about was removed just now")
_FAILURE: Final = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here. Try again later.")
_UNAVAILABLE: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "The cloud cannot keep anything at the moment. Try again later."
)


class Key(Enum):
    """Whether a call needs a member's key."""

    IGNORED = auto()
    OPTIONAL = auto()
    NEEDED = auto()


@frozen
class Call:
    """A request that may be carried out.

    Attributes:
        request: The request.
        said: What it says.
        member_id: Whom it comes from; 0 for somebody without a key.
    """

    request: Request
    said: Said
    member_id: int

    @property
    def address(self) -> str:
        """Where it comes from."""
        return source_of(self.request.client)

    @property
    def picture(self) -> Picture:
        """Where pictures are."""
        return pictures_at(self.request)

    def number(self, name: str) -> int | None:
        """Read a number from the path; None where there is another text."""
        text = self._segment(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST_ID else None

    def id_or_slug(self, name: str) -> tuple[int | None, str | None]:
        """Read an id or a slug from the path; the other is None."""
        number = self.number(name)
        found = (number, None) if number is not None else (None, self._segment(name).lower())
        self.said.note(id=found[0], slug=found[1])
        return found

    def _segment(self, name: str) -> str:
        return unquote(cast("str", self.request.path_params[name]))


@frozen
class Operation:
    """What one method does on one path.

    Attributes:
        carry_out: The work; gives what the answer's ``results`` are.
        key: Whether it needs a key.
        status: The answer's status; 204 has no ``results``, and no envelope.
    """

    carry_out: Callable[[Call], Awaitable[object]]
    key: Key = Key.IGNORED
    status: int = HTTPStatus.OK


@frozen
class Resource:
    """One path, as an ASGI application; without operations, a path that leads nowhere.

    Attributes:
        path: The path, with names in braces for what differs.
        store: Knows the keys.
        limit: How often one may be used.
        operations: What each method does.
    """

    path: str
    store: Store
    limit: RequestLimit
    operations: Mapping[str, Operation] = field(factory=dict[str, Operation])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever fails, in the envelope."""
        if self.operations:
            scope["state"]["route"] = self.path  # for the metrics
        noted: dict[str, object] = {}
        headers: dict[str, str] = {}
        try:
            response = await self._respond(Request(scope, receive), noted, headers)
        except Refusal as refusal:
            response = _refuse(scope, noted, refusal)
        except ClientDisconnect:
            return
        except GoneError:
            response = _refuse(scope, noted, _GONE)
        except StorageError as error:
            log_unkept(scope, error)
            response = _refuse(scope, noted, _UNAVAILABLE)
        except Exception as exc:  # noqa: BLE001 - logged
            log_failure(scope, exc)
            response = _refuse(scope, noted, _FAILURE)
        response.headers.update(headers)
        await response(scope, receive, send)

    async def _respond(self, request: Request, noted: dict[str, object], headers: dict[str, str]) -> Response:
        if request.method == "OPTIONS":
            return preflight(",".join(request.headers.getlist("access-control-request-headers")))
        if not self.operations:
            raise Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this path")
        operation = self.operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            head = ["HEAD"] if "GET" in self.operations else []
            headers["allow"] = ", ".join([*self.operations, *head, "OPTIONS"])
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is no method of this path")
        body = await fields.read(request)
        member_id = 0
        if operation.key is not Key.IGNORED:
            member_id = await self._authenticate(request, needed=operation.key is Key.NEEDED)
        if member_id:
            headers.update(self.limit.spend(f"member {member_id}"))
        results = await operation.carry_out(Call(request, Said(_read(request, body), noted), member_id))
        if operation.status == HTTPStatus.NO_CONTENT:
            return Response(status_code=operation.status, headers=CORS)
        return answer(_envelop(request.scope, noted, results), operation.status)

    async def _authenticate(self, request: Request, *, needed: bool) -> int:
        key = request.headers.get(_HEADER, "").strip()
        if not key and not needed:
            return 0
        member = await self.store.members.with_key(digest(key)) if key else None
        if member is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                f"A header {_HEADER} with the key of a login is needed" if not key else "This key is not valid",
                headers={"www-authenticate": f'{_HEADER} realm="community"'},
            )
        return member.id


def _read(request: Request, body: bytes) -> fields.Fields:
    if request.method in {"GET", "HEAD"}:
        return dict(request.query_params)
    content_type = request.headers.get("content-type", "")
    return parse_multipart(body, content_type) if is_multipart(content_type) else fields.parse(body, content_type)


def _refuse(scope: Scope, noted: Mapping[str, object], refusal: Refusal) -> Response:
    response = answer(_envelop(scope, noted, {}, errors=refusal.message), refusal.status)
    response.headers.update(refusal.headers)
    return response


def _envelop(
    scope: Scope, noted: Mapping[str, object], results: object, *, errors: str | None = None
) -> dict[str, object]:
    return {
        "results": results,
        "meta": {
            "version": _VERSION,
            "criteria": {
                "method": scope["method"],
                "endpoint": loggable(scope["raw_path"]),
                "params": [{"name": name, "value": value} for name, value in noted.items()] or None,
            },
            "success": errors is None,
            "errors": errors,
        },
    }
