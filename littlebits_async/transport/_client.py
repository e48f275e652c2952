"""One try of one request: the httpx client, its headers, its time limit, its errors."""

import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeVar

import anyio
import httpx

from .._tasks import run_in_child, run_to_end
from .._version import __version__
from ..errors import (
    APIError,
    DecodeError,
    InvalidArgumentError,
    RequestTimeoutError,
    SessionClosedError,
    TransportError,
)
from ..models import InputEvent
from ..wire import Call, excerpt, read_error
from ._bytes import ACCEPTED_ENCODING, ByteStream
from ._connections import STREAM, SessionTransport, environment_proxy
from ._feed import Feed

__all__ = ["DEFAULT_BASE_URL", "Client", "Heard"]

DEFAULT_BASE_URL: Final = "https://api-http.littlebitscloud.cc"
_MAX_ANSWER: Final = 16 * 2**20
_MAX_ERROR: Final = 64 * 2**10

T = TypeVar("T")
Phase = Literal["pool", "connect", "send", "receive"]
Heard = Callable[[int, Mapping[str, str]], None]


class Client:
    """Sends calls and opens streams, one try each, without budget or retries.

    Args:
        auth: Who is asking; sent to ``base_url`` and nowhere else, since redirects are not followed.
        base_url: The cloud's URL; a path prefix is kept.
        api_version: Named in the path and in ``Accept`` of each request.
        timeout: Seconds for the whole of one try, or httpx's limits for its phases.
        proxy: A proxy's URL; None asks the environment where ``trust_env`` says so.
        trust_env: Whether the environment's proxy and certificate settings count.
        transport: A transport of the user's own, for calls and streams.
        ssl_context: TLS settings.
        http2: Whether calls may speak HTTP/2.
        user_agent: Sent as ``User-Agent``.

    Raises:
        InvalidArgumentError: ``base_url``, ``timeout`` or ``proxy`` cannot be used, or ``http2`` lacks its extra.
    """

    def __init__(
        self,
        *,
        auth: httpx.Auth,
        base_url: str,
        api_version: int,
        timeout: float | httpx.Timeout,
        proxy: str | None,
        trust_env: bool,
        transport: httpx.AsyncBaseTransport | None,
        ssl_context: ssl.SSLContext | None,
        http2: bool,
        user_agent: str | None,
    ) -> None:
        if http2 and find_spec("h2") is None:
            raise InvalidArgumentError("http2: the package h2 is missing; install littlebits-async[http2]")
        self.base_url = _check_base_url(base_url)
        self._prefix = f"{str(self.base_url).rstrip('/')}/v{api_version}"
        self._limits = timeout if isinstance(timeout, httpx.Timeout) else httpx.Timeout(_check_timeout(timeout))
        self._total = None if isinstance(timeout, httpx.Timeout) else float(timeout)
        if transport is None:
            if proxy is None and trust_env:
                proxy = environment_proxy(self.base_url)
            transport = SessionTransport(
                secure=self.base_url.scheme == "https",
                ssl_context=ssl_context,
                trust_env=trust_env,
                proxy=_check_proxy(proxy),
                http2=http2,
            )
            self._first_phase: Phase = "pool"
        else:
            # A transport that does not tell how far it got may have sent everything.
            self._first_phase = "receive"
        self.transport = type(transport).__name__
        self._http = httpx.AsyncClient(
            auth=auth,
            headers={
                "Accept": f"application/vnd.littlebits.v{api_version}+json",
                "Accept-Encoding": ACCEPTED_ENCODING,
                "User-Agent": user_agent or f"littlebits-async/{__version__}",
            },
            timeout=self._limits,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        self._streams: set[ByteStream] = set()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._closed

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def send(self, call: Call[T], heard: Heard) -> T:
        """Send a call and read its answer.

        Args:
            call: What to send.
            heard: Is told status and headers of the answer, whatever they are.

        Raises:
            APIError: The API said no.
            DecodeError: The answer is not what the API promises.
            TransportError: No answer came.
            SessionClosedError: `aclose` was called.
        """
        request, progress = self._build(call)

        async def attempt() -> T:
            try:
                with anyio.fail_after(self._total):
                    response = await self._http.send(request, stream=True)
                    heard(response.status_code, _lower(response.headers))
                    body = await _read_all(response, _MAX_ANSWER if response.is_success else _MAX_ERROR)
            except (httpx.HTTPError, httpx.StreamError, TimeoutError) as exc:
                raise self._failure(exc, call, progress.phase) from exc
            if not response.is_success:
                raise _refusal(call, response, body)
            return call.read(body)

        return await run_in_child(attempt)

    async def open(self, call: Call[InputEvent | None], heard: Heard) -> Feed:
        """Open an input stream.

        Args:
            call: What to open.
            heard: Is told status and headers of the answer, whatever they are.

        Returns:
            The open stream: the server has answered 200 with an event stream. The caller closes it.

        Raises:
            APIError: The API said no.
            DecodeError: The answer is a success, but no event stream.
            TransportError: No answer came.
            SessionClosedError: `aclose` was called.
        """
        request, progress = self._build(call, extensions={STREAM: True, "timeout": self._stream_limits()})
        request.headers["Accept-Encoding"] = "identity"
        opened: list[ByteStream] = []

        async def attempt() -> None:
            try:
                with anyio.fail_after(self._opening_limit()):
                    response = await self._http.send(request, stream=True)
                    heard(response.status_code, _lower(response.headers))
                    if not _is_event_stream(response):
                        body = await _read_all(response, _MAX_ERROR)
                        if not response.is_success:
                            raise _refusal(call, response, body)
                        raise DecodeError(
                            f"{call.method} {call.path}: {response.status_code} without an event stream",
                            excerpt=excerpt(body),
                        )
            except (httpx.HTTPError, httpx.StreamError, TimeoutError) as exc:
                raise self._failure(exc, call, progress.phase) from exc
            opened.append(ByteStream(response))

        try:
            await run_in_child(attempt)
        except BaseException:
            for stream in opened:  # cancelled just when it had opened
                await stream.aclose()
            raise
        self._streams.update(opened)
        return Feed(opened[0], call, self._close_stream)

    async def aclose(self) -> None:
        """Close every stream and connection; later use raises SessionClosedError."""
        self._closed = True

        async def close() -> None:
            while self._streams:
                await self._streams.pop().aclose()
            await self._http.aclose()

        await run_to_end(close)

    async def _close_stream(self, stream: ByteStream) -> None:
        self._streams.discard(stream)
        await stream.aclose()

    def _build(
        self, call: Call[Any], extensions: Mapping[str, object] | None = None
    ) -> tuple[httpx.Request, "_Progress"]:
        if self._closed:
            raise SessionClosedError("the session is closed")
        progress = _Progress(self._first_phase)
        request = self._http.build_request(
            call.method,
            self._prefix + call.path,
            params=dict(call.query) or None,
            json=call.body,
            extensions={"trace": progress.note, **(extensions or {})},
        )
        return request, progress

    def _stream_limits(self) -> dict[str, float | None]:
        # Silence on an open stream is judged by its reader, not by a timeout of each read.
        return {**self._limits.as_dict(), "read": None}

    def _opening_limit(self) -> float | None:
        if self._total is not None:
            return self._total
        phases = [self._limits.connect, self._limits.write, self._limits.read, self._limits.pool]
        known = [seconds for seconds in phases if seconds is not None]
        return sum(known) if len(known) == len(phases) else None

    def _failure(self, exc: Exception, call: Call[Any], phase: Phase) -> Exception:
        where = f"{call.method} {call.path}"
        if self._closed:
            return SessionClosedError(f"{where}: the session was closed")
        if isinstance(exc, httpx.DecodingError):
            return DecodeError(f"{where}: the answer's content encoding is broken")
        if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
            phase = "connect"
        elif isinstance(exc, httpx.PoolTimeout):
            phase = "pool"
        elif not isinstance(exc, TimeoutError):
            phase = "receive" if phase in ("pool", "connect") else phase
        hint = ""
        if phase == "connect" and str(self.base_url).startswith(DEFAULT_BASE_URL):
            hint = (
                "; the vendor's cloud is switched off: run your own with `littlebits serve`,"
                " and name it in LITTLEBITS_BASE_URL"
            )
        if isinstance(exc, TimeoutError | httpx.TimeoutException):
            return RequestTimeoutError(f"{where}: no answer in time (phase: {phase}){hint}", phase=phase)
        detail = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
        return TransportError(f"{where}: {detail}{hint}", phase=phase)


class _Progress:
    """How far a request got, by httpcore's trace."""

    __slots__ = ("phase",)

    def __init__(self, phase: Phase) -> None:
        self.phase: Phase = phase

    async def note(self, event: str, _info: object) -> None:
        if event.endswith("send_request_headers.started"):
            self.phase = "send"
        elif event.endswith("receive_response_headers.started"):
            self.phase = "receive"
        elif self.phase == "pool":
            self.phase = "connect"


async def _read_all(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    stream = ByteStream(response)
    try:
        while chunk := await stream.receive():
            body += chunk
            if len(body) > limit:
                raise DecodeError(f"an answer of more than {limit} bytes", excerpt=excerpt(bytes(body[:1000])))
        return bytes(body)
    finally:
        await stream.aclose()


def _refusal(call: Call[Any], response: httpx.Response, body: bytes) -> APIError:
    return read_error(
        method=call.method,
        path=call.path,
        status=response.status_code,
        headers=_lower(response.headers),
        body=body,
        now=datetime.now(UTC),
    )


def _lower(headers: httpx.Headers) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_event_stream(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return response.status_code == 200 and kind == "text/event-stream"  # noqa: PLR2004


def _check_base_url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as exc:
        raise InvalidArgumentError(f"base_url: {exc}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidArgumentError("base_url: an http or https URL with a host is needed")
    if url.query or url.fragment or url.userinfo:
        raise InvalidArgumentError("base_url: query, fragment and user name have no place in it")
    return url


def _check_timeout(seconds: float) -> float:
    if isinstance(seconds, bool) or not 0 < seconds < float("inf"):
        raise InvalidArgumentError(f"timeout: a positive number of seconds is needed, not {seconds!r}")
    return seconds


def _check_proxy(proxy: str | None) -> str | None:
    if proxy is not None:
        try:
            httpx.Proxy(proxy)
        except (httpx.InvalidURL, ValueError) as exc:
            raise InvalidArgumentError(f"proxy: {type(exc).__name__}") from None
    return proxy
