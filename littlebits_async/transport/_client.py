"""One try of one request: the httpx client, its headers, its time limit, its errors."""

import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

import anyio
import httpx
from attrs import frozen

from .._tasks import run_in_child, run_to_end
from .._tracebacks import clear_locals
from .._version import __version__
from ..errors import (
    APIError,
    DecodeError,
    LittleBitsError,
    RequestTimeoutError,
    SessionClosedError,
    TransportError,
)
from ..models import InputEvent
from ..wire import Call, excerpt
from ._bytes import ACCEPTED_ENCODING, Body, ByteStream, body_of
from ._checks import check_base_url, check_http2, check_proxy, check_timeout, check_user_agent
from ._connections import STREAM, OwnTransport, SessionTransport, environment_proxy
from ._discretion import SECRETS, bare, conceal, conceal_body, keep_private, watch_logs
from ._feed import Feed
from ._library import forget_library, hide_library, tell_library

__all__ = ["API", "DEFAULT_BASE_URL", "Client", "Heard", "Ready"]

DEFAULT_BASE_URL: Final = "https://api-http.littlebitscloud.cc"
_MAX_ANSWER: Final = 16 * 2**20
_MAX_ERROR: Final = 64 * 2**10
_PATIENCE: Final = 2.0
"""Seconds for the body of an error, whose status is known already."""
_HANDSHAKE_FAILED: Final = ("start_tls.failed", "setup_socks5_connection.failed")

T = TypeVar("T")
Phase = Literal["pool", "connect", "send", "receive"]
Ready = Callable[[], None]
Heard = Callable[[int, Mapping[str, str]], Awaitable[None]]


@frozen(kw_only=True)
class API:
    """Which API a client speaks.

    Attributes:
        prefix: The path between the base URL and those of the calls.
        accept: Sent as ``Accept``.
        vendor_url: The base URL of the vendor's own, which is switched off.
        hint: What to do instead, for who cannot reach that one.
    """

    prefix: str
    accept: str
    vendor_url: str
    hint: str


class Client:
    """Sends calls and opens streams, one try each, without budget or retries.

    Args:
        auth: Who is asking; sent to ``base_url`` and nowhere else, since redirects are not followed.
        is_own_auth: Whether that is of this package, and no user's code.
        base_url: The server's URL; a path prefix is kept.
        api: What it speaks there.
        timeout: Seconds for the whole of one try, or httpx's limits for its phases.
        proxy: A proxy's URL; None asks the environment where ``trust_env`` says so.
        trust_env: Whether the environment's proxy and certificate settings count.
        transport: A transport of the user's own, for calls and streams.
        ssl_context: TLS settings.
        http2: Whether calls may speak HTTP/2.
        user_agent: Sent as ``User-Agent``.

    Raises:
        InvalidArgumentError: ``base_url``, ``timeout``, ``proxy`` or ``user_agent`` cannot be used, or a package that
            ``http2`` or a SOCKS proxy needs is missing.
    """

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        is_own_auth: bool,
        base_url: str,
        api: API,
        timeout: float | httpx.Timeout,
        proxy: str | None,
        trust_env: bool,
        transport: httpx.AsyncBaseTransport | None,
        ssl_context: ssl.SSLContext | None,
        http2: bool,
        user_agent: str | None,
    ) -> None:
        http2 = check_http2(http2)
        user_agent = check_user_agent(user_agent)
        self.base_url = check_base_url(base_url)
        self._api = api
        self._prefix = str(self.base_url).rstrip("/") + api.prefix
        self._total = None if isinstance(timeout, httpx.Timeout) else check_timeout(timeout)
        self._limits = timeout if isinstance(timeout, httpx.Timeout) else httpx.Timeout(self._total)
        if transport is None:
            if proxy is None and trust_env:
                proxy = environment_proxy(self.base_url)
            transport = SessionTransport(
                secure=self.base_url.scheme == "https",
                ssl_context=ssl_context,
                trust_env=trust_env,
                proxy=check_proxy(proxy),
                http2=http2,
            )
            self.transport = type(transport).__name__
            self._first_phase: Phase = "pool"
            self._is_own = True
        else:
            self.transport = type(transport).__name__
            self._is_own = False
            transport = OwnTransport(transport)
            # A transport that does not tell how far it got may have sent everything.
            self._first_phase = "receive"
        watch_logs()
        self._http = _Http(
            auth=auth,
            headers={
                "Accept": api.accept,
                "Accept-Encoding": ACCEPTED_ENCODING,
                "User-Agent": user_agent or f"littlebits-async/{__version__}",
            },
            timeout=self._limits,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            event_hooks={"request": [keep_private], "response": [_take_location]},
        )
        self._tells_library = is_own_auth and self._is_own
        self._streams: set[Body] = set()
        self._tries: set[anyio.CancelScope] = set()
        self._try_ended = anyio.Event()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._closed

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def send(self, call: Call[T], ready: Ready, heard: Heard) -> T:
        """Send a call and read its answer.

        Args:
            call: What to send.
            ready: Is called when a connection is there, before anything is written; raises where nothing must be.
            heard: Is told status and headers of the answer, whatever they are, before its connection serves another.

        Raises:
            APIError: The API said no.
            DecodeError: The answer is not what the API promises.
            TransportError: No answer came.
            SessionClosedError: `aclose` was called.
        """
        progress = _Progress(self._first_phase, ready)

        async def work() -> T:
            with anyio.fail_after(self._total):
                request = self._build(call, progress, {"timeout": self._phase_limits()})
                response = await self._http.send(request, stream=True)
                await _tell(heard, response)
                if response.is_success:
                    return _read(call, await _read_all(response, f"{call.method} {call.path}"))
            raise await _refusal(call, response, self._total)

        return await self._try(work, call, progress)

    async def open(self, call: Call[InputEvent | None], ready: Ready, heard: Heard) -> Feed:
        """Open an input stream.

        Args:
            call: What to open.
            ready: Is called when a connection is there, before anything is written; raises where nothing must be.
            heard: Is told status and headers of the answer, whatever they are, before its connection serves another.

        Returns:
            The open stream: the server has answered 200 with an event stream. The caller closes it.

        Raises:
            APIError: The API said no.
            DecodeError: The answer is a success, but no event stream.
            TransportError: No answer came.
            SessionClosedError: `aclose` was called.
        """
        progress = _Progress(self._first_phase, ready)
        opened: list[Body] = []

        async def work() -> None:
            limits = self._phase_limits()
            request = self._build(call, progress, {STREAM: True, "timeout": limits})
            request.headers["Accept-Encoding"] = "identity"
            with anyio.fail_after(self._opening_limit()):
                response = await self._http.send(request, stream=True)
                # Silence on an open stream is judged by its reader, not by a timeout of each read: httpcore looks here
                # once more before it reads the body.
                limits["read"] = None
                await _tell(heard, response)
                if _is_event_stream(response):
                    opened.append(body_of(response))
                    self._streams.update(opened)
                    return
            if not response.is_success:
                raise await _refusal(call, response, self._opening_limit())
            raise DecodeError(
                f"{call.method} {call.path}: {response.status_code} without an event stream",
                excerpt=excerpt(conceal_body(await _read_some(response, self._opening_limit()))),
            )

        try:
            await self._try(work, call, progress)
        except BaseException:
            for stream in opened:  # cancelled, or closed, just when it had opened
                await self._close_stream(stream)
            raise
        return Feed(opened[0], call, self._close_stream)

    async def aclose(self) -> None:
        """Close every stream and connection, and end every try; later use raises SessionClosedError."""
        self._closed = True

        async def close() -> None:
            for scope in self._tries:
                scope.cancel()
            while self._tries:
                self._try_ended = anyio.Event()
                await self._try_ended.wait()
            while self._streams:
                await self._streams.pop().aclose()
            await self._http.aclose()

        await run_to_end(close)

    async def _try(self, work: Callable[[], Awaitable[T]], call: Call[Any], progress: "_Progress") -> T:
        """Run one try where no cancellation can damage the pool, and where `aclose` can end it."""
        if self._closed:
            raise SessionClosedError("the session is closed")

        async def attempt() -> T:
            handled = sys.exception()
            if self._tells_library:
                tell_library()  # in this task's own context, which ends with it
            if self._closed:  # before this task had its turn
                raise self._was_closed(call)
            with anyio.CancelScope() as scope:
                self._tries.add(scope)
                try:
                    return await work()
                except LittleBitsError as exc:
                    bare(exc, handled)
                    raise
                except (httpx.HTTPError, httpx.StreamError, ssl.SSLError, TimeoutError) as exc:
                    bare(exc, handled)
                    raise self._failure(exc, call, progress.phase) from exc
                except Exception as exc:  # of a user's Auth or transport, or a bug: where it came from is what counts
                    clear_locals(exc, handled)
                    raise
                finally:
                    self._tries.discard(scope)
                    self._try_ended.set()
            raise self._was_closed(call)

        return await run_in_child(attempt)

    async def _close_stream(self, stream: Body) -> None:
        self._streams.discard(stream)
        await stream.aclose()

    def _build(
        self, call: Call[Any], progress: "_Progress", extensions: Mapping[str, object] | None = None
    ) -> httpx.Request:
        request = self._http.build_request(
            call.method,
            self._prefix + call.path,
            params=dict(call.query) or None,
            json=call.body,
            data=call.form,
            extensions={"trace": progress.note, SECRETS: call.secrets, **(extensions or {})},
        )
        request.stream = _Body(request.content)
        return request

    def _phase_limits(self) -> dict[str, float | None]:
        if self._total is not None and self._is_own:
            return {}  # the whole is bounded, and its phases with it: each would be a timer of its own
        return self._limits.as_dict()

    def _opening_limit(self) -> float | None:
        if self._total is not None:
            return self._total
        phases = [self._limits.connect, self._limits.write, self._limits.read, self._limits.pool]
        known = [seconds for seconds in phases if seconds is not None]
        return sum(known) if len(known) == len(phases) else None

    @staticmethod
    def _was_closed(call: Call[Any]) -> SessionClosedError:
        return SessionClosedError(f"{call.method} {call.path}: the session was closed")

    def _failure(self, exc: Exception, call: Call[Any], phase: Phase) -> Exception:
        where = f"{call.method} {call.path}"
        if self._closed:
            return self._was_closed(call)
        if isinstance(exc, httpx.DecodingError):
            return DecodeError(f"{where}: the answer's content encoding is broken")
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
            phase = "connect"
        elif isinstance(exc, httpx.PoolTimeout):
            phase = "pool"
        elif not isinstance(exc, TimeoutError):
            phase = "receive" if phase in ("pool", "connect") else phase
        hint = ""
        if phase == "connect" and str(self.base_url).startswith(self._api.vendor_url):
            hint = f"; {self._api.hint}"
        if isinstance(exc, TimeoutError | httpx.TimeoutException):
            return RequestTimeoutError(f"{where}: no answer in time (phase: {phase}){hint}", phase=phase)
        detail = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
        return TransportError(f"{where}: {detail}{hint}", phase=phase)


class _Progress:
    """How far a request got, by httpcore's trace."""

    __slots__ = ("_disconnect", "_ready", "phase")

    def __init__(self, phase: Phase, ready: Ready) -> None:
        self.phase: Phase = phase
        self._ready = ready
        self._disconnect: Callable[[], Awaitable[None]] | None = None

    async def note(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("connect_tcp.complete"):
            self._disconnect = info["return_value"].aclose
        elif event.endswith(_HANDSHAKE_FAILED) and self._disconnect is not None:
            await run_to_end(self._disconnect)  # httpcore loses the socket where its handshake is cancelled
        if event.endswith("send_request_headers.started"):
            self._ready()
            self.phase = "send"
        elif event.endswith("receive_response_headers.started"):
            self.phase = "receive"
        elif self.phase == "pool":
            self.phase = "connect"


async def _tell(heard: Heard, response: httpx.Response) -> None:
    library = hide_library()  # a budget may be the user's
    try:
        await heard(response.status_code, _lower(response.headers))
    except BaseException:  # a budget of the user's own failed, or was cancelled
        await run_to_end(response.aclose)
        raise
    finally:
        forget_library(library)


def _read(call: Call[T], data: bytes) -> T:
    try:
        return call.read(data)
    except LittleBitsError:  # which may quote the answer
        if (shown := conceal_body(data)) == data:
            raise
    call.read(shown)  # raises the same, unless what was taken out is one of the API's own words
    raise DecodeError(f"{call.method} {call.path} answered what can be neither used nor shown")


async def _read_all(response: httpx.Response, where: str) -> bytes:
    body = bytearray()
    stream = ByteStream(response)
    try:
        while chunk := await stream.receive():
            body += chunk
            if len(body) > _MAX_ANSWER:
                raise DecodeError(
                    f"{where}: an answer of more than {_MAX_ANSWER} bytes", excerpt=excerpt(bytes(body[:1000]))
                )
        return bytes(body)
    finally:
        await stream.aclose_in_child()


async def _read_some(response: httpx.Response, patience: float | None) -> bytes:
    """Read what is to be had, in time, of a body that only explains: whatever is wrong with it, the status stands."""
    body = bytearray()
    stream = ByteStream(response)
    try:
        with anyio.move_on_after(min(_PATIENCE if patience is None else patience, _PATIENCE)):
            while len(body) < _MAX_ERROR and (chunk := await stream.receive()):
                body += chunk
    except (httpx.HTTPError, httpx.StreamError):
        pass
    finally:
        await stream.aclose_in_child()
    return bytes(body[:_MAX_ERROR])


async def _refusal(call: Call[Any], response: httpx.Response, patience: float | None) -> APIError:
    location = {name: value for name, value in response.extensions.items() if name == "location"}
    return call.read_error(
        status=response.status_code,
        headers={name: conceal(value) for name, value in (_lower(response.headers) | location).items()},
        body=conceal_body(await _read_some(response, patience)),
        now=datetime.now(UTC),
    )


async def _take_location(response: httpx.Response) -> None:
    """Take a redirect's address out of httpx's hands: an httpx event hook.

    httpx builds the next request from it also where none is followed, and raises where that is no address.
    """
    if response.has_redirect_location:
        response.extensions["location"] = response.headers.pop("location")


class _Http(httpx.AsyncClient):
    """Keeps no cookie: this API knows none, and what a server sets would be sent with each request that follows."""

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        raise AttributeError(f"no cookies are kept, as these: {cookies}")


class _NoCookies(httpx.Cookies):
    # httpx makes three objects of each answer to look for them.
    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


class _Body(httpx.AsyncByteStream):
    """A request's body. httpx's own is read by an async generator, which a cancelled write leaves suspended."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Pieces([self._data] if self._data else [])


class _Pieces(AsyncIterator[bytes]):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_event_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.status_code == 200 and kind == "text/event-stream"  # noqa: PLR2004
