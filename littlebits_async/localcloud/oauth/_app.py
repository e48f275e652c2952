"""The application that answers at the paths of OAuth2, and leaves all else to the one behind it.

Source: RFC 8414 for the document at ``/.well-known/oauth-authorization-server``; RFC 6749, sections 5.1 and 5.2, for
what no answer may be without. Pages elsewhere may ask for tokens, as those of public clients do, but not to authorize
(RFC 9700, section 2.6).
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..answers import CORS, Refusal, preflight
from ..registry import Registry
from ..resources import log_failure, log_unkept
from ..storage import StorageError, Store
from ..tokens import SCOPES
from ._authorize import Authorize
from ._forms import Denial
from ._grants import Grants
from ._pages import message_page
from ._tokens import TokenEndpoint

__all__ = ["OAuth"]

_FAILURE: Final = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here.")
_UNAVAILABLE: Final = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The cloud cannot keep anything at the moment.")

_Handler = Callable[[Request], Awaitable[Response]]


@frozen
class _Endpoint:
    """What is at one path.

    Attributes:
        path: The path.
        methods: What each method does.
        is_page: Whether it is for somebody's eyes, and for no other page.
    """

    path: str
    methods: Mapping[str, _Handler]
    is_page: bool = False


class OAuth:
    """Answers at ``/oauth/authorize``, ``/oauth/token``, ``/oauth/revoke``, and tells where these are.

    Args:
        registry: Has the tokens.
        store: Keeps what was allowed.
        token_lifetime: Seconds that an access token is good.
        app: The application behind it.
    """

    def __init__(self, registry: Registry, store: Store, token_lifetime: float, app: ASGIApp) -> None:
        grants = Grants(registry, store, token_lifetime)
        authorize = Authorize(registry.tokens, store, grants)
        tokens = TokenEndpoint(store, grants)
        self._app = app
        endpoints = (
            _Endpoint("/oauth/authorize", {"GET": authorize.ask, "POST": authorize.decide}, is_page=True),
            _Endpoint("/oauth/token", {"POST": tokens.grant}),
            _Endpoint("/oauth/revoke", {"POST": tokens.revoke}),
            _Endpoint("/.well-known/oauth-authorization-server", {"GET": _metadata}),
        )
        self._endpoints = {endpoint.path.encode(): endpoint for endpoint in endpoints}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw_path: bytes = scope.get("raw_path", b"")
        endpoint = self._endpoints.get(raw_path.removesuffix(b"/"))
        if endpoint is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})["route"] = endpoint.path  # for the metrics
        try:
            response = await _respond(endpoint, Request(scope, receive))
        except Denial as denial:
            said = {"error": denial.error, "error_description": denial.description}
            response = JSONResponse(said, denial.status, denial.headers)
        except Refusal as refusal:
            response = _refuse(endpoint, refusal)
        except ClientDisconnect:
            return
        except StorageError as error:
            log_unkept(scope, error)
            response = _refuse(endpoint, _UNAVAILABLE, "temporarily_unavailable")
        except Exception as exc:  # noqa: BLE001 - logged
            log_failure(scope, exc)
            response = _refuse(endpoint, _FAILURE, "server_error")
        response.headers.update({"cache-control": "no-store", "pragma": "no-cache"})
        if not endpoint.is_page:
            response.headers.update(CORS)
        await response(scope, receive, send)


async def _respond(endpoint: _Endpoint, request: Request) -> Response:
    if request.method == "OPTIONS" and not endpoint.is_page:
        return preflight(",".join(request.headers.getlist("access-control-request-headers")))
    handler = endpoint.methods.get("GET" if request.method == "HEAD" else request.method)
    if handler is None:
        head = ["HEAD"] if "GET" in endpoint.methods else []
        options = [] if endpoint.is_page else ["OPTIONS"]
        allow = ", ".join([*endpoint.methods, *head, *options])
        message = f"{request.method} is no method of this path"
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, message, headers={"allow": allow})
    return await handler(request)


def _refuse(endpoint: _Endpoint, refusal: Refusal, error: str = "invalid_request") -> Response:
    if endpoint.is_page:
        response = message_page(refusal.error, refusal.message, refusal.status)
    else:
        response = JSONResponse({"error": error, "error_description": refusal.message}, refusal.status)
    response.headers.update(refusal.headers)
    return response


async def _metadata(request: Request) -> Response:
    """Tell where everything is, as seen by whoever asks: the cloud may be known by many names."""
    scheme, _, rest = str(request.base_url).rstrip("/").partition("://")
    # What a proxy that ends TLS says is believed here: whoever says it gets the answer, and nobody else.
    said = request.headers.get("x-forwarded-proto", "")
    url = f"{said if said in {'http', 'https'} else scheme}://{rest}"
    return JSONResponse(
        {
            "issuer": url,
            "authorization_endpoint": f"{url}/oauth/authorize",
            "token_endpoint": f"{url}/oauth/token",
            "revocation_endpoint": f"{url}/oauth/revoke",
            "scopes_supported": sorted(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }
    )
