"""OAuth2 with an authorization code and refresh tokens, as an httpx.Auth."""

import copy
import logging
import os
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final

import anyio
import httpx
from anyio.lowlevel import RunVar

from .._tracebacks import discreet, discreet_call
from ..errors import InvalidArgumentError, LittleBitsError, OAuthError, TransportError
from ._authorization import Authorization, new_authorization
from ._endpoint import TokenEndpoint
from ._flight import Commit, see_through
from ._stores import FileTokenStore, MemoryTokenStore, TokenStore
from ._token import OAuthToken

__all__ = ["OAuth2", "pay_again"]

_log = logging.getLogger("littlebits_async.auth")

_UNAUTHORIZED: Final = 401
_LIFE_LEFT: Final = 30.0
"""Seconds that a token may be good for after its `OAuthToken.expires_at`."""

pay_again: Final = ContextVar[Callable[[], Awaitable[None]] | None]("littlebits_async.pay_again", default=None)
"""Pays for a request that is sent again; set by a session, around each request, as it has a budget."""


class OAuth2(httpx.Auth):
    """Sends an access token that OAuth2 gave, and renews it when it ends or is refused.

    ``Session(OAuth2("my-app", store="token.json"))``, once somebody has logged in: with ``littlebits login``, or with

    ```
    question = auth.authorize("http://127.0.0.1:8400/callback")
    ...  # send the user's browser to question.url, and wait until it comes back there
    await auth.redeem(question, callback_url)
    ```

    However many requests are refused at a time, one of them renews the token, and the others go on with what it got;
    before it does, it looks whether another process has done so. Who renews may be cancelled: once it has begun to ask,
    the answer is awaited for two more seconds and kept, so that nobody's refresh token is lost.

    A request that the API answers with 401 is sent again, once, with the new token. Where there is none to be had, the
    API's 401 stands (`AuthenticationError`), and why is logged, once; an OAuth2 server that refused is not asked again
    until somebody logs in. What may pass, as that no answer comes or the store cannot be read, is a `TransportError`.

    Works on asyncio and trio, and in several event loops; not with httpx's blocking client.

    Cost: nothing of the hour's requests for tokens, which come from another server. A request that is sent again costs
    one more, which a session pays for.

    Args:
        client_id: The application, as the OAuth2 server knows it.
        client_secret: What proves it; None for one that can keep no secret, as on a user's machine.
        store: Where tokens are kept: a file's path, or a `TokenStore`; None for memory.
        scopes: What is asked for: some of ``read``, ``write``; others are not given to strangers' applications.
        authorize_url: Where users are asked; may have a query.
        token_url: Where tokens come from.
        revoke_url: Where they are given back, for `revoke`; None where that is nowhere.
        pkce: Whether to prove that the code was asked for here; a server that knows no PKCE ignores it.
        timeout: Seconds for one request to the OAuth2 server.
        proxy: A proxy's URL.
        trust_env: Whether ``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and their like count.
        ssl_context: TLS settings; None loads certifi's certificates.
        transport: An httpx transport of your own, for the OAuth2 server; yours to close.

    Raises:
        InvalidArgumentError: An argument cannot be used.

    Source: wire-facts, sections 1 and 2, for the vendor's URLs, scopes, and that a refresh token exists for tokens that
    expire; where it is silent, RFC 6749, RFC 7636 and RFC 9700.
    """

    @discreet
    def __init__(
        self,
        client_id: str,
        client_secret: str | None = None,
        *,
        store: TokenStore | str | os.PathLike[str] | None = None,
        scopes: Iterable[str] = ("read", "write"),
        authorize_url: str = "https://littlebits.cc/oauth/authorize",
        token_url: str = "https://littlebits.cc/oauth/token",  # noqa: S107 - no password
        revoke_url: str | None = None,
        pkce: bool = True,
        timeout: float = 10.0,
        proxy: str | None = None,
        trust_env: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if isinstance(scopes, str):
            scopes = scopes.split()
        if not client_id:
            raise InvalidArgumentError("client_id: the application's id is needed")
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout: seconds over 0, not {timeout!r}")
        self._client_id = client_id
        self._scopes = tuple(scopes)
        self._authorize_url = str(_url("authorize_url", authorize_url))
        self._revoke_url = None if revoke_url is None else _url("revoke_url", revoke_url)
        self._pkce = pkce
        if store is None:
            store = MemoryTokenStore()
        self._store = FileTokenStore(store) if isinstance(store, str | os.PathLike) else store
        self._endpoint = TokenEndpoint(
            _url("token_url", token_url),
            client_id=client_id,
            client_secret=client_secret,
            timeout=timeout,
            proxy=proxy,
            trust_env=trust_env,
            ssl_context=ssl_context,
            transport=transport,
        )
        # A lock belongs to one event loop; between loops, as between processes, the store's own holds.
        self._turn = RunVar[anyio.Lock]("littlebits_async.oauth2")
        self._token: OAuthToken | None = None
        self._flights = 0
        self._failure: LittleBitsError | None = None
        self._refused: tuple[str, OAuthError] | None = None  # a refresh token, and the answer
        self._logged: tuple[OAuthToken, str] | None = None
        self._unkept: OAuthToken | None = None

    def __repr__(self) -> str:
        return f"<OAuth2 {self._client_id}>"

    @property
    def store(self) -> TokenStore:
        """Where tokens are kept."""
        return self._store

    # Logging in

    def authorize(self, redirect_uri: str) -> Authorization:
        """Prepare the question whether this application may; send the user's browser to its ``url``.

        Cost: nothing.

        Args:
            redirect_uri: Where the server sends the browser back to, as it knows it.

        Raises:
            InvalidArgumentError: It is no URL.

        Source: RFC 6749, section 4.1.1; RFC 7636, section 4.
        """
        return new_authorization(
            self._authorize_url,
            client_id=self._client_id,
            redirect_uri=str(_url("redirect_uri", redirect_uri)),
            scopes=self._scopes,
            pkce=self._pkce,
        )

    @discreet_call
    async def redeem(self, question: Authorization, callback_url: str) -> OAuthToken:
        """Exchange what the browser came back with for tokens, and keep them.

        Cost: nothing of the hour's requests.

        Args:
            question: What `authorize` prepared.
            callback_url: The URL that the browser came back to, with its query.

        Raises:
            OAuthError: The user or the server said no, or the URL is no answer to this question.
            OSError: The tokens could not be kept.
            TransportError: No answer came.
            DecodeError: The server answered what cannot be used.

        Source: RFC 6749, sections 4.1.2 and 4.1.3; RFC 7636, section 4.5.
        """
        form = {
            "grant_type": "authorization_code",
            "code": question.code(callback_url),
            "redirect_uri": question.redirect_uri,
        }
        if question.verifier is not None:
            form["code_verifier"] = question.verifier

        async def work(commit: Commit) -> OAuthToken:
            token = await self._endpoint.ask(form, before=OAuthToken("", scopes=question.scopes), commit=commit)
            # After whoever renews the token before it, and would put that in its place.
            async with self._own_turn(), self._store.exclusive():
                await self._store.save(token)
                self._token, self._unkept, self._refused = token, None, None
            return token

        return await see_through(work)

    async def forget(self) -> None:
        """Log out here: keep no token any more, nor what a renewal that is on its way brings.

        The server is not told, as it is by `revoke`.

        Cost: nothing.

        Raises:
            OSError: The tokens could not be removed.
        """
        async with self._own_turn(), self._store.exclusive():
            await self._store.save(None)
            self._token = self._unkept = None

    @discreet_call
    async def revoke(self) -> None:
        """Log out everywhere: have the server end all that came of the login, and keep no token here.

        Where that fails the token is kept; `forget` puts it out of this machine all the same.

        Cost: nothing of the hour's requests.

        Raises:
            InvalidArgumentError: There is no ``revoke_url``.
            OAuthError: Nobody has logged in, or the server refuses, as one does that has no such endpoint.
            OSError: The token could not be removed.
            TransportError: No answer came, or the store failed.
            DecodeError: The server answered what cannot be used.

        Source: RFC 7009.
        """
        url = self._revoke_url
        if url is None:
            raise InvalidArgumentError("revoke_url: where tokens are given back is needed")

        async def work(commit: Commit) -> None:
            async with self._own_turn(), self._alone():
                token = await self._load()
                await self._endpoint.revoke(url, token.refresh_token or token.access_token, commit=commit)
                await self._store.save(None)
                self._token = self._unkept = None

        await see_through(work)

    # Tokens

    @discreet_call
    async def token(self) -> OAuthToken:
        """Return a token that has not ended, as far as can be told; renew it first where it has.

        Cost: nothing of the hour's requests.

        Raises:
            OAuthError: Nobody has logged in, or the server refuses to renew the token.
            TransportError: It could not be renewed, as no answer came, or the store failed.
        """
        token = self._token or await self._load()
        return await self._renew(token) if _has_ended(token) else token

    @discreet_call
    async def refresh(self) -> OAuthToken:
        """Renew the token, whether it has ended or not.

        Cost: nothing of the hour's requests.

        Raises:
            OAuthError: Nobody has logged in, or the server refuses.
            TransportError: No answer came, or the store failed.
        """
        return await self._renew(self._token or await self._load())

    async def _load(self) -> OAuthToken:
        try:
            token = self._unkept or await self._store.load()
        except OSError as exc:
            raise TransportError(f"the token cannot be read: {exc}") from exc  # it may pass, as EMFILE does
        if token is None:
            raise OAuthError("there is no token: log in first, with `littlebits login` or OAuth2.redeem()")
        self._token = token
        return token

    @discreet_call
    async def _renew(self, used: OAuthToken) -> OAuthToken:
        """Get another token than one that was used."""
        flights = self._flights

        async def work(commit: Commit) -> OAuthToken:
            async with self._own_turn():
                if (token := self._token) is not None and _is_newer(token, used):
                    return token
                if self._flights != flights and self._failure is not None:
                    raise copy.copy(self._failure)  # of whom we waited for
                try:
                    token = await self._refresh(used, commit)
                except LittleBitsError as exc:
                    self._flights, self._failure = self._flights + 1, copy.copy(exc)  # without its traceback
                    raise
                self._flights, self._failure = self._flights + 1, None
                return token

        return await see_through(work)

    def _own_turn(self) -> AbstractAsyncContextManager[None]:
        turn = self._turn.get(None)
        if turn is None:
            turn = anyio.Lock()
            self._turn.set(turn)
        return turn

    async def _refresh(self, used: OAuthToken, commit: Commit) -> OAuthToken:
        async with self._alone():
            kept = await self._load()
            if _is_newer(kept, used) and not _has_ended(kept):
                return kept  # another process was first
            if kept.refresh_token is None:
                raise OAuthError("the token cannot be renewed, as the server gave no refresh token: log in again")
            if self._refused is not None and self._refused[0] == kept.refresh_token:
                raise copy.copy(self._refused[1])
            form = {"grant_type": "refresh_token", "refresh_token": kept.refresh_token}
            try:
                token = await self._endpoint.ask(form, before=kept, commit=commit)
            except OAuthError as exc:
                self._refused = kept.refresh_token, copy.copy(exc)  # without its traceback
                raise
            try:
                with anyio.CancelScope(shield=True):  # there it is: whoever cancels waits for no peer
                    await self._store.save(token)
                self._unkept = None
            except OSError as exc:
                # Better than to lose it: what is kept has a refresh token that is used up.
                self._unkept = token
                _log.error("the renewed token could not be kept, and will be lost with this program: %s", str(exc))
            self._token, self._refused = token, None
            return token

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None, None]:
        """Be the only one who renews the token; an error of the store's is ours."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._store.exclusive())
            except OSError as exc:
                raise TransportError(f"the token cannot be locked: {exc}") from exc
            yield

    # httpx

    def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send a request with the token, and once more with another where the token is refused."""
        return _Flow(request, self._prepare, self._prepare_again)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse: who renews a token waits for others, which a blocking client cannot."""
        del request
        raise RuntimeError("OAuth2 needs httpx.AsyncClient, or a Session")

    async def _prepare(self, request: httpx.Request) -> OAuthToken:
        try:
            token = await self.token()
        except OAuthError as exc:
            if self._token is None:
                raise
            self._tell_why(exc, self._token)
            token = self._token  # whether it has ended, the API decides: our clock may be wrong
        except TransportError as exc:
            if self._token is None or _has_ended(self._token, since=_LIFE_LEFT):
                exc.phase = "connect"  # of the request itself, nothing was sent
                raise
            token = self._token
        request.headers["Authorization"] = f"Bearer {token.access_token}"
        return token

    async def _prepare_again(self, request: httpx.Request, used: OAuthToken) -> bool:
        try:
            token = await self._renew(used)
        except OAuthError as exc:
            self._tell_why(exc, used)
            return False
        except TransportError as exc:
            exc.phase = "receive"  # the request was sent, and refused
            raise
        request.headers["Authorization"] = f"Bearer {token.access_token}"
        if (pay := pay_again.get()) is not None:
            await pay()
        return True

    def _tell_why(self, exc: OAuthError, used: OAuthToken) -> None:
        """Tell why there is no other token, as the API's 401 does not; once, however many requests ask."""
        text = str(exc)  # its frames have the form
        if self._logged != (used, text):
            self._logged = used, text
            _log.warning("the token could not be renewed, log in again: %s", text)


class _Flow(AsyncGenerator[httpx.Request, httpx.Response]):
    """What httpx does for one request; an object, not a frame that a cancellation would leave suspended.

    Args:
        request: The request.
        prepare: Puts a token into it, and tells which.
        prepare_again: Puts another into it; tells whether there is one.
    """

    def __init__(
        self,
        request: httpx.Request,
        prepare: Callable[[httpx.Request], Awaitable[OAuthToken]],
        prepare_again: Callable[[httpx.Request, OAuthToken], Awaitable[bool]],
    ) -> None:
        self._request = request
        self._prepare = prepare
        self._prepare_again = prepare_again
        self._used: OAuthToken | None = None
        self._ended = False

    async def asend(self, value: httpx.Response | None) -> httpx.Request:
        """Take a response, None at first, and give the request to send next."""
        if self._ended:
            raise StopAsyncIteration
        if value is None:
            self._used = await self._prepare(self._request)
            return self._request
        self._ended = True
        if (
            value.status_code != _UNAUTHORIZED
            or self._used is None
            or not await self._prepare_again(self._request, self._used)
        ):
            raise StopAsyncIteration
        # What it says is of no use now, and httpx would read it to its end, wherever that is.
        assert isinstance(value.stream, httpx.AsyncByteStream)  # noqa: S101 - of an AsyncClient
        await value.stream.aclose()
        value.stream = httpx.ByteStream(b"")
        return self._request

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> httpx.Request:
        """End, and raise."""
        del val, tb  # as Python 3.12 has it
        self._ended = True
        raise typ

    async def aclose(self) -> None:
        """End."""
        self._ended = True


def _has_ended(token: OAuthToken, *, since: float = 0.0) -> bool:
    return token.expires_at is not None and token.expires_at + since <= time.time()


def _is_newer(token: OAuthToken, used: OAuthToken) -> bool:
    return token.access_token != used.access_token


def _url(name: str, text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
        usable = url.scheme in ("http", "https") and bool(url.host) and not url.fragment and not url.userinfo
    except (httpx.InvalidURL, TypeError, ValueError):
        usable = False
    if not usable:
        raise InvalidArgumentError(f"{name}: an http or https URL is needed, without a fragment or a user name")
    return httpx.URL(text)
