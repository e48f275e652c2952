"""The token endpoint of an OAuth2 server, and the one that ends tokens, over httpx."""

import logging
import ssl
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Literal
from urllib.parse import quote_plus

import anyio
import anyio.to_thread
import httpx

from .._tasks import run_to_end
from .._tracebacks import clear_locals, discreet_call
from .._version import __version__
from ..errors import DecodeError, InvalidArgumentError, RequestTimeoutError, TransportError
from ._flight import Commit
from ._token import OAuthToken, check_revocation, read_token

__all__ = ["TokenEndpoint"]

_MAX_ANSWER: Final = 64 * 1024
_ASKING: Final = ContextVar("littlebits_async.asking_for_a_token", default=False)
_LOGGERS: Final = ("connection", "http11", "proxy", "socks")

_SECRET_FIELDS: Final = ("code", "code_verifier", "refresh_token", "token")

Phase = Literal["connect", "receive"]


class _NotWhileAsking(logging.Filter):
    """At DEBUG httpcore logs what h11 quotes of a broken answer, in which tokens stand, and a proxy's password."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - the interface
        return not _ASKING.get()


_FILTER: Final = _NotWhileAsking()


class TokenEndpoint:
    """Asks for tokens, over a connection of its own for each request: there are few.

    Args:
        url: The endpoint.
        client_id: Who we are.
        client_secret: What proves it, None for an application that can keep no secret.
        timeout: Seconds for the whole of one request.
        proxy: A proxy's URL.
        trust_env: Whether the environment's proxy and certificate settings count.
        ssl_context: TLS settings.
        transport: An httpx transport of the user's own.

    Raises:
        InvalidArgumentError: A proxy, this one or one of the environment's, cannot be used.
    """

    def __init__(
        self,
        url: httpx.URL,
        *,
        client_id: str,
        client_secret: str | None,
        timeout: float,
        proxy: str | None,
        trust_env: bool,
        ssl_context: ssl.SSLContext | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self._timeout = timeout
        self._proxy = proxy
        self._trust_env = trust_env
        self._ssl_context = ssl_context
        self._transport = transport
        if transport is None:
            _check_proxies(proxy, trust_env=trust_env)
        for name in _LOGGERS:
            logging.getLogger(f"httpcore.{name}").addFilter(_FILTER)

    @discreet_call
    async def ask(self, form: Mapping[str, str], *, before: OAuthToken, commit: Commit) -> OAuthToken:
        """Ask for a token.

        Args:
            form: The grant.
            before: What holds where the answer says nothing.
            commit: Is called when the request is about to be written.

        Raises:
            OAuthError: The server refused.
            TransportError: No answer came, or the server cannot answer now.
            DecodeError: The answer cannot be used.
        """
        asked_at = time.time()
        status, data = await self._post(self._url, form, commit, "the token endpoint")
        return read_token(status, data, now=asked_at, before=before, secrets=self._secrets(form))

    @discreet_call
    async def revoke(self, url: httpx.URL, token: str, *, commit: Commit) -> None:
        """Have a token ended.

        Args:
            url: The endpoint for that.
            token: The token; with a refresh token all that came of the login ends.
            commit: Is called when the request is about to be written.

        Raises:
            OAuthError: The server refused.
            TransportError: No answer came, or the server cannot answer now.
            DecodeError: The answer cannot be used.
        """
        form = {"token": token}
        status, data = await self._post(url, form, commit, "the revocation endpoint")
        check_revocation(status, data, secrets=self._secrets(form))

    def _secrets(self, form: Mapping[str, str]) -> list[str]:
        return [form.get(name, "") for name in _SECRET_FIELDS] + [self._client_secret or ""]

    async def _post(self, url: httpx.URL, form: Mapping[str, str], commit: Commit, what: str) -> tuple[int, bytes]:
        handled = sys.exception()
        phase: Phase = "connect" if self._transport is None else "receive"
        failure: Exception | None = None

        def sending() -> None:
            nonlocal phase
            phase = "receive"
            commit()

        if phase == "receive":  # a transport of the user's own does not tell how far it got
            commit()
        asking = _ASKING.set(True)
        try:
            with anyio.fail_after(self._timeout):
                return await self._exchange(url, form, sending)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as exc:
            clear_locals(exc, handled)
            failure = exc
        finally:
            _ASKING.reset(asking)
        # Raised here, where no error of httpx's is its context: its request is the form.
        if isinstance(failure, TimeoutError | httpx.TimeoutException):
            raise RequestTimeoutError(f"{what}: no answer in time (phase: {phase})", phase=phase)
        if isinstance(failure, httpx.DecodingError):
            raise DecodeError(f"{what}'s answer has a broken content encoding")
        detail = f": {failure}" if isinstance(failure, httpx.NetworkError) else ""  # others quote what came
        raise TransportError(f"{what}: {type(failure).__name__}{detail}", phase=phase)

    async def _exchange(self, url: httpx.URL, form: Mapping[str, str], sending: Commit) -> tuple[int, bytes]:
        async def note(event: str, _: Mapping[str, object]) -> None:
            if event.endswith("send_request_headers.started"):
                sending()

        auth = None
        if self._client_secret is None:
            form = {**form, "client_id": self._client_id}
        else:  # RFC 6749, section 2.3.1, which has both quoted
            auth = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._client_secret))
        http = httpx.AsyncClient(
            verify=await self._context(url),
            proxy=self._proxy,
            trust_env=self._trust_env,
            transport=None if self._transport is None else _Lent(self._transport),
            timeout=self._timeout,
            follow_redirects=False,
        )
        try:
            request = http.build_request(
                "POST",
                url,
                data=form,
                headers={"Accept": "application/json", "User-Agent": f"littlebits-async/{__version__}"},
                extensions={"trace": note},
            )
            request.headers["Accept-Encoding"] = "identity"
            response = await http.send(request, auth=auth, stream=True)
            try:
                return response.status_code, await _read(response)
            finally:
                await run_to_end(response.aclose)
        finally:
            await run_to_end(http.aclose)

    async def _context(self, url: httpx.URL) -> ssl.SSLContext:
        if self._ssl_context is None:
            if url.scheme == "https":
                trust_env = self._trust_env
                self._ssl_context = await anyio.to_thread.run_sync(
                    lambda: httpx.create_ssl_context(trust_env=trust_env)
                )
            else:
                self._ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, cheap to make
        return self._ssl_context


def _check_proxies(proxy: str | None, *, trust_env: bool) -> None:
    unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    failure = ""
    try:
        httpx.AsyncClient(verify=unused, proxy=proxy, trust_env=trust_env)
    except (ImportError, TypeError, ValueError, httpx.InvalidURL) as exc:
        failure = type(exc).__name__
    if failure:  # raised here, not above: httpx's error may show a password, and would be its context
        raise InvalidArgumentError(
            f"proxy: {failure}: an http, https or, with the package socksio, socks5 URL is needed;"
            " or say trust_env=False where the environment names it"
        )


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    too_long = False
    # To the end, which the timeout bounds: httpx's generators would stay suspended.
    async for chunk in response.aiter_bytes():
        too_long = too_long or len(body) + len(chunk) > _MAX_ANSWER
        if not too_long:
            body += chunk
    if too_long:
        raise DecodeError(f"the token endpoint answered more than {_MAX_ANSWER} bytes")
    return bytes(body)


class _Lent(httpx.AsyncBaseTransport):
    """A transport that is its owner's to close."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Leave it open."""
