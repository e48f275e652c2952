"""Secrets stay secret: no error, no log record and no repr shows a token, a password, a key or a bit's hash.

Every error of the public API is driven here, over real sockets, and every record of every logger at DEBUG is looked at,
by a watch that sees what an error reporter sees: messages, arguments, notes, causes, contexts, the locals of every
frame, pickles.
"""

import asyncio
import base64
import logging
import socket
import traceback
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
import h11
import httpx
import pytest
from starlette.responses import Response

from littlebits_async import (
    APIError,
    AuthenticationError,
    Backoff,
    BadRequestError,
    BudgetExhaustedError,
    CloudBit,
    DecodeError,
    Device,
    InputReactor,
    InvalidArgumentError,
    LittleBitsError,
    LoggingHooks,
    MemoryTokenStore,
    MethodNotAllowedError,
    NoStreamsLeftError,
    NotAcceptableError,
    NotFoundError,
    OAuth2,
    OAuthError,
    OAuthToken,
    OutputQueue,
    PermissionDeniedError,
    RateLimitedError,
    RequestDone,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    Session,
    SessionClosedError,
    StreamClosedError,
    StreamError,
    StreamStalledError,
    StreamStatus,
    Subscription,
    TokenBucket,
    TransportError,
    UnprocessableError,
    WebhookReceiver,
    WebhookVerificationError,
    errors,
    signatures,
    wire,
)
from littlebits_async.auth import BearerAuth
from littlebits_async.localcloud import LocalCloud
from littlebits_async.localcloud.api import Api
from littlebits_async.localcloud.registry import Registry
from littlebits_async.testing import RunningCloud
from tests.chaos.secrets_watch import SecretsWatch
from tests.support.command import run
from tests.support.local_cloud import free_port
from tests.support.raw_server import Exchange, event_bytes, raw_server

pytestmark = pytest.mark.both_feeds

# Like nothing else in any message, and of characters that no encoding in use here changes, as real tokens are.
TOKEN = "7f0kenQ4mzR8tVxB2nHs6JdLwYcPg3K9eA5u"
PASSWORD = "9passW0rdT6yUeKq3ZbNmXv8RjHfSg4Dc2Lw"
HASH = "5ha5hGv7TcYqWx2LpMzRb9NdKj4FsHe8Ua3Z"
KEY = "3keyXnB6vCzMq8WrTyLp5KjHgFdSa9ZxQe2Ui"
SECRETS = (TOKEN, PASSWORD, HASH, KEY)
CALLBACK = f"https://user:{KEY}@hooks.example/{KEY}?key={KEY}"
ONCE = RetryPolicy(attempts=1)
PATIENCE = 10

Act = Callable[[Session], Awaitable[object]]


@pytest.fixture
def watch() -> Generator[SecretsWatch, None, None]:
    watch = SecretsWatch(*SECRETS)
    watch.guard_login("user", PASSWORD)
    with watch.watching():
        yield watch
    watch.check()


def session_at(url: str, auth: str | httpx.Auth | None = TOKEN, **options: Any) -> Session:
    usual: dict[str, Any] = {"base_url": url, "trust_env": False, "retry": ONCE, "timeout": 5.0}
    return Session(auth, **usual | options)


# The watch itself


class Shown:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def noted(text: str) -> Exception:
    exc = ValueError("no")
    exc.add_note(text)
    return exc


def caused(text: str) -> Exception:
    exc = ValueError("no")
    exc.__cause__ = KeyError(text)
    return exc


def contextual(text: str) -> Exception:
    exc = ValueError("no")
    exc.__context__, exc.__suppress_context__ = KeyError(text), True
    return exc


def raised_with_a_local(text: str) -> Exception:
    """Raise below a frame that is no test's, with a local that shows the text."""
    try:
        logging.Formatter(validate=False, style=Shown(text))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    except ValueError as exc:
        return exc
    raise AssertionError("unreachable")


def of_a_device(text: str) -> Exception:
    return NoStreamsLeftError("none", causes={"b1": StreamError(text)})


def with_an_attribute(text: str) -> Exception:
    return DecodeError("no", excerpt=text)


ERRORS: list[Callable[[str], BaseException]] = [
    *(ValueError, noted, caused, contextual, raised_with_a_local, of_a_device, with_an_attribute),
    lambda text: ExceptionGroup("several", [ValueError(text)]),
]
LOGS: list[Callable[[logging.Logger, str], None]] = [
    lambda log, text: log.debug(text),
    lambda log, text: log.debug("%s", text),
    lambda log, text: log.debug("%.0s", text),  # an argument that the message does not show
    lambda log, text: log.debug("%(a).0s", {"a": text}),
    lambda log, text: log.debug("no", exc_info=ValueError(text)),
    lambda log, text: log.debug("no", exc_info=raised_with_a_local(text)),
    lambda log, text: log.debug("%.2s", caused(text)),
]
DISGUISES: Mapping[str, Callable[[str], str]] = {
    "raw": str,
    "cut short": lambda secret: secret[:12],
    "cut off": lambda secret: secret[-12:],
    "bytes": lambda secret: repr(b"Bearer " + secret.encode()),
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "Basic": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "in base64, second": lambda secret: base64.b64encode(f"a{secret}".encode()).decode(),
    "in base64, third": lambda secret: base64.b64encode(f"ab{secret}b".encode()).decode(),
}


@pytest.mark.parametrize("make", ERRORS)
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_the_watch_sees_a_secret_in_whatever_an_error_shows(
    make: Callable[[str], BaseException], disguise: Callable[[str], str]
) -> None:
    watch = SecretsWatch("s3cret/with+signs=Q4mzR8tVxB2nHs6")
    watch.see_error("harmless", make("nothing"))
    assert not watch.found
    watch.see_error("telltale", make(disguise("s3cret/with+signs=Q4mzR8tVxB2nHs6")))
    assert watch.found


@pytest.mark.parametrize("write", LOGS)
@pytest.mark.parametrize("name", ["littlebits_async.hooks", "httpcore.http11", "uvicorn.access", "uvicorn.error"])
def test_the_watch_sees_a_secret_in_whatever_a_record_holds(
    write: Callable[[logging.Logger, str], None], name: str
) -> None:
    watch = SecretsWatch(TOKEN)
    with watch.watching():
        write(logging.getLogger(name), "nothing")
        assert not watch.found
        write(logging.getLogger(name), f"a {TOKEN} b")
    assert watch.found
    with pytest.raises(AssertionError, match="leaks"):
        watch.check()


# Arguments


@pytest.mark.parametrize(
    "auth",
    [
        f"{TOKEN}\n{TOKEN}",
        f"{TOKEN}é",
        f"Bearer {TOKEN} x",
        f"{TOKEN}\0",
        f"{TOKEN}\udc80",
        TOKEN.encode(),
        ("user", PASSWORD),
    ],
)
def test_a_token_that_cannot_be_sent_is_not_shown(
    watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch, auth: Any
) -> None:
    for make in (BearerAuth, partial(session_at, "http://cloud.example")):
        with pytest.raises(InvalidArgumentError) as caught:
            make(auth)
        watch.see_error("error", caught.value)
    if isinstance(auth, str) and "\0" not in auth:
        monkeypatch.setenv("LITTLEBITS_TOKEN", auth)
        with pytest.raises(InvalidArgumentError) as caught:
            Session()
        watch.see_error("error", caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": f"http://user:{PASSWORD}@cloud.example"},
        {"base_url": f"http://cloud.example/?access_token={TOKEN}"},
        {"base_url": f"http://cloud.example/#{TOKEN}"},
        {"base_url": f"ftp://user:{PASSWORD}@cloud.example"},
        {"base_url": f"http://user:{PASSWORD}/slash@cloud.example"},  # which makes the password the port
        {"base_url": f"http://cloud.example:0/?access_token={TOKEN}"},
        {"base_url": f"http://user:{PASSWORD}\n@cloud.example"},
        {"base_url": f"http://cloud.example/{TOKEN * 200}"},
        {"proxy": f"ftp://user:{PASSWORD}@proxy.example"},
        {"proxy": f"http://user:{PASSWORD}/slash@proxy.example"},
        {"proxy": f"http://user:{PASSWORD}@proxy.example:99999"},
        {"proxy": f"http://user:{PASSWORD}@xn--\udc80"},
        {"proxy": f"{PASSWORD}"},
        {"proxy": PASSWORD.encode()},
        # One argument is wrong, and another is secret.
        {"proxy": f"http://user:{PASSWORD}@proxy.example", "timeout": -1},
        {"proxy": f"http://user:{PASSWORD}@proxy.example", "user_agent": "\n"},
        {"proxy": f"http://user:{PASSWORD}@proxy.example", "max_wait": "x"},
        {"proxy": f"http://user:{PASSWORD}@proxy.example", "api_version": 4},
    ],
)
def test_what_no_session_can_be_made_of_is_not_shown(watch: SecretsWatch, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        session_at("http://cloud.example", **options)
    watch.see_error("error", caught.value)


def test_a_proxy_of_the_environment_is_not_shown(watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"ftp://user:{PASSWORD}@proxy.example")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(InvalidArgumentError) as caught:
        Session(TOKEN, base_url="http://cloud.example")
    watch.see_error("error", caught.value)


REFUSED: list[Act] = [
    lambda session: session.activate("b1", device_hash=f"{HASH}\udc80"),
    lambda session: session.activate("b1", device_hash=HASH.encode()),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lambda session: session.activate("b1", device_hash=HASH, label=5),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lambda session: session.activate("..", device_hash=HASH),
    lambda session: session.subscribe(publisher_id="", subscriber_id=CALLBACK),
    lambda session: session.subscribe(publisher_id="b1", subscriber_id=CALLBACK + "\udc80"),
    lambda session: session.subscribe(publisher_id="b1", subscriber_id=CALLBACK * 100),
    lambda session: session.subscribe(publisher_id="b1", subscriber_id=CALLBACK, events=()),
    lambda session: session.unsubscribe(publisher_id="", subscriber_id=CALLBACK),
    lambda session: session.subscriptions(publisher_id="", subscriber_id=CALLBACK),
]


@pytest.mark.anyio
@pytest.mark.parametrize("act", REFUSED)
async def test_arguments_that_are_secret_are_not_shown(watch: SecretsWatch, act: Act) -> None:
    async with session_at("http://cloud.example") as session:
        with pytest.raises(InvalidArgumentError) as caught:
            await act(session)
    watch.see_error("error", caught.value)


# Errors of calls and streams


async def first_event(session: Session) -> object:
    async with session.inputs("b1") as events:
        return await anext(events)


async def ask(session: Session) -> object:
    return await session.device("b1")


async def write(session: Session) -> None:
    async with OutputQueue(session) as outputs:
        outputs.pulse("b1", 5)
        await outputs.flush()
    if outputs.errors:
        raise outputs.errors["b1"]


ACTS: Mapping[str, Act] = {
    "query": lambda session: session.subscriptions(subscriber_id=CALLBACK),
    "hash": lambda session: session.activate("b1", device_hash=HASH),
    "body": lambda session: session.unsubscribe(publisher_id="b1", subscriber_id=CALLBACK),
    "read": lambda session: session.read("b1"),
    "inputs": first_event,
    "queue": write,
}
EVERY_ACT = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


async def failing(session: Session, act: Act, watch: SecretsWatch, *, where: str = "error") -> LittleBitsError:
    """Have something fail, and look at how; also where it fails while another error is handled, and at its last."""
    async with session:
        with anyio.fail_after(PATIENCE), pytest.raises(LittleBitsError) as caught:
            await act(session)
        watch.see_error(where, caught.value)
        watch.see("diagnostics", repr(await session.diagnostics()))
        watch.see_value("session", session)
    return caught.value


def raw(data: bytes) -> Callable[[Exchange], Awaitable[None]]:
    async def handler(exchange: Exchange) -> None:
        await exchange.send(data)
        await exchange.close()

    return handler


def chunked(kind: str, data: bytes) -> Callable[[Exchange], Awaitable[None]]:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return raw(head.encode() + data)


async def say_nothing(exchange: Exchange) -> None:
    await exchange.until_closed()


SPILT = f'e":{{"id":"b1","hash":"{HASH}"}}}}\n\n'.encode()
"""The rest of an event, in a place where no event belongs."""
NO_ANSWERS: Mapping[str, Callable[[Exchange], Awaitable[None]]] = {
    "hang up": raw(b""),
    "half a head": raw(f"HTTP/1.1 200 OK\r\nX: {TOKEN}".encode()),
    "no HTTP": raw(f"{TOKEN} HTTP\r\n\r\n".encode()),
    "a broken header": raw(f"HTTP/1.1 200 OK\r\n{HASH} {TOKEN}\r\n\r\n".encode()),
    "a reason that is none": raw(f"HTTP/1.1 2000 {TOKEN}\r\n\r\n".encode()),
}
BROKEN_BODIES: Mapping[str, bytes] = {
    "cut": b"30\r\n" + SPILT,
    "a chunk's length that is none": SPILT + b"\r\n",
    "a chunk that is longer than it says": b"2\r\n{}" + SPILT + b"\r\n",
}


@pytest.mark.anyio
@EVERY_ACT
@pytest.mark.parametrize("handler", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_no_answer_shows_no_secret(
    watch: SecretsWatch, act: Act, handler: Callable[[Exchange], Awaitable[None]]
) -> None:
    async with raw_server(handler) as server:
        error = await failing(session_at(server.url), act, watch)
    assert isinstance(error, TransportError)
    assert isinstance(error.__cause__, httpx.RemoteProtocolError)
    assert str(error.__cause__) in str(error)


@pytest.mark.anyio
@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
async def test_a_body_that_breaks_shows_no_secret(watch: SecretsWatch, body: bytes) -> None:
    async with raw_server(chunked("application/json", body)) as server:
        error = await failing(session_at(server.url), ACTS["query"], watch)
    assert isinstance(error, TransportError)
    async with raw_server(chunked("text/event-stream", body)) as server:
        for name in ("read", "inputs"):
            error = await failing(session_at(server.url), ACTS[name], watch)
            assert isinstance(error, StreamError)


@pytest.mark.anyio
@EVERY_ACT
@pytest.mark.parametrize("way", ["refused", "TLS on a plain port", "no such host"])
async def test_no_connection_shows_no_secret(
    watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch, running_cloud: RunningCloud, act: Act, way: str
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    url = running_cloud.url.replace("http", "https")
    if way == "refused":
        url = f"http://127.0.0.1:{free_port()}"
    elif way == "no such host":
        url = "http://cloud.example"
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await failing(session_at(url), act, watch)
    assert isinstance(error, TransportError)
    assert error.phase == "connect"
    assert isinstance(error.__cause__, httpx.ConnectError)


@pytest.mark.anyio
@EVERY_ACT
@pytest.mark.parametrize("timeout", [0.1, httpx.Timeout(5, read=0.1)], ids=["whole", "phase"])
async def test_no_answer_in_time_shows_no_secret(
    watch: SecretsWatch,
    act: Act,
    timeout: float | httpx.Timeout,  # noqa: ASYNC109 - the session's own
) -> None:
    async with raw_server(say_nothing) as server:
        if isinstance(timeout, httpx.Timeout) and act in (ACTS["read"], ACTS["inputs"]):
            timeout = httpx.Timeout(0.05)  # what is read of a stream's head has the sum of all phases
        error = await failing(session_at(server.url, timeout=timeout), act, watch)
    assert isinstance(error, RequestTimeoutError)


STATUSES: Mapping[int, type[APIError]] = {
    **dict.fromkeys((300, 301, 302, 307, 308, 402, 407, 418, 451, 600), APIError),
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    406: NotAcceptableError,
    422: UnprocessableError,
    429: RateLimitedError,
    **dict.fromkeys((500, 502, 504, 599), ServerError),
    503: ServiceUnavailableError,
}
ECHOES: tuple[object, ...] = (
    {"error": f"No {TOKEN}", "message": f"{TOKEN} and {TOKEN} are expired"},
    {"message": "x" * 490 + TOKEN},  # where an error would be cut
    {"message": {"device_hash": HASH, "token": TOKEN}},
    f"<html><title>{TOKEN}</title>{HASH}</html>".encode(),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "cls"), STATUSES.items())
async def test_a_refusal_that_repeats_the_token_does_not_show_it(
    watch: SecretsWatch, status: int, cls: type[APIError]
) -> None:
    echoes = iter(ECHOES)

    async def handler(exchange: Exchange) -> None:
        assert exchange.request.headers["authorization"] == f"Bearer {TOKEN}"
        headers = {
            "X-Token": TOKEN,
            "Set-Cookie": f"session={TOKEN}",
            "Location": f"http://user:{TOKEN}@127.0.0.1:9/{TOKEN}?access_token={TOKEN}#{TOKEN}",
            "WWW-Authenticate": f'Bearer realm="x", error_description="{TOKEN} is no token"',
        }
        await exchange.answer(status, next(echoes), headers=headers)

    async with raw_server(handler) as server:
        for name in ("query", "hash", "read", "inputs"):
            error = await failing(session_at(server.url), ACTS[name], watch)
            assert type(error) is cls


@pytest.mark.anyio
async def test_a_reason_that_repeats_the_token_does_not_show_it(watch: SecretsWatch) -> None:
    async with raw_server(raw(f"HTTP/1.1 401 {TOKEN}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        await failing(session_at(server.url), ACTS["query"], watch)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        f"<html>{TOKEN}</html>".encode(),
        f"<html>{'x' * 180}{TOKEN}</html>".encode(),  # where an excerpt is cut
        f'{{"hash": "{HASH}", "access_token":"{TOKEN}"'.encode(),
        f'{{"statusCode": 404, "error": "{TOKEN}", "message": "no {TOKEN}"}}'.encode(),
        f'[{{"id": "{TOKEN}"'.encode(),
    ],
)
async def test_an_answer_that_cannot_be_used_shows_no_secret(watch: SecretsWatch, answer: bytes) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, answer, kind="text/html")

    async with raw_server(handler) as server:
        for act in (ACTS["query"], ACTS["hash"], ACTS["read"], ask):
            error = await failing(session_at(server.url), act, watch)
            assert isinstance(error, DecodeError | NotFoundError)


@pytest.mark.anyio
async def test_an_answer_is_given_as_it_is_even_where_it_holds_the_token(watch: SecretsWatch) -> None:
    callback = f"https://hooks.example/?access_token={TOKEN}"

    async def handler(exchange: Exchange) -> None:
        await exchange.answer(200, [{"publisher_id": "b1", "subscriber_id": callback}])

    async with raw_server(handler) as server, session_at(server.url) as session:
        (subscription,) = await session.subscriptions()
    assert subscription.subscriber_id == callback
    watch.see_value("subscription", subscription)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header", [f"Bearer {TOKEN}\n", f"Bearer\t{TOKEN}\r\n", f"Bearer {TOKEN}\0", f" Bearer {TOKEN}\x7f"]
)
async def test_an_auth_of_ones_own_that_cannot_be_sent_is_not_shown(watch: SecretsWatch, header: str) -> None:
    class Own(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["Authorization"] = header
            yield request

    async with raw_server(say_nothing) as server:
        for act in ACTS.values():
            error = await failing(session_at(server.url, Own(), timeout=0.2), act, watch)
            assert isinstance(error, TransportError)


@pytest.mark.anyio
@EVERY_ACT
async def test_a_bug_of_a_library_shows_where_and_no_secret(
    watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    def crash(*_: object) -> None:
        raise LookupError("a bug")

    async with raw_server(say_nothing) as server, session_at(server.url) as session:
        monkeypatch.setattr(h11.Connection, "send", crash)  # below frames of httpcore that have the headers
        with pytest.raises(LookupError) as caught:
            await act(session)
        watch.see_error("error", caught.value)
        assert "in _send_event" in "".join(caught.value.__notes__)


@pytest.mark.anyio
async def test_a_crash_in_an_auth_or_transport_of_ones_own_shows_where_and_no_secret(watch: SecretsWatch) -> None:
    class Own(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["Authorization"] = f"Bearer {TOKEN}"
            yield request
            raise LookupError("no such key")

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise LookupError("no such key")

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(200, [])

    async with raw_server(answer) as server:
        for session in (session_at(server.url, Own()), session_at(server.url, transport=Broken())):
            async with session:
                with pytest.raises(LookupError) as caught:
                    await session.subscriptions(subscriber_id=CALLBACK)
                watch.see_error("error", caught.value)
                shown = "".join(caught.value.__notes__)
                assert "in auth_flow" in shown or "in handle_async_request" in shown


class Telltale:
    """Hooks of a user who logs all that they are told, and crashes."""

    def __init__(self, watch: SecretsWatch) -> None:
        self._watch = watch
        self.told = 0

    def _see(self, *values: object) -> None:
        self.told += 1
        for value in values:
            self._watch.see_value("hook", value)
        raise LookupError("a hook that crashes")

    def request_done(self, request: RequestDone, /) -> None:
        if request.error is not None:
            self._watch.see_error("hook", request.error)
        self._see(request)

    def stream_changed(self, status: StreamStatus, /) -> None:
        if status.error is not None:
            self._watch.see_error("hook", status.error)
        self._see(status)

    def event_dropped(self, device_id: str, /) -> None:
        self._see(device_id)

    def budget_waited(self, label: str, seconds: float, /) -> None:
        self._see(label)


@pytest.mark.anyio
@EVERY_ACT
async def test_a_hook_that_crashes_while_a_call_is_on_its_way_shows_no_secret(watch: SecretsWatch, act: Act) -> None:
    async with raw_server(raw(b"")) as server:
        for session, hooks in [
            (session_at(server.url, hooks=hooks), hooks) for hooks in (Telltale(watch), LoggingHooks())
        ]:
            await failing(session, act, watch)
            assert isinstance(hooks, LoggingHooks) or hooks.told


@pytest.mark.anyio
async def test_an_exhausted_budget_and_a_closed_session_show_no_secret(watch: SecretsWatch) -> None:
    for name, act in ACTS.items():
        if name != "queue":  # which waits as long as need be
            budget = TokenBucket(limit=1, reserve=0)
            budget.acquire_nowait()
            error = await failing(session_at("http://cloud.example", budget=budget, max_wait=0), act, watch)
            assert isinstance(error, BudgetExhaustedError)

        closed = session_at("http://cloud.example")
        await closed.aclose()
        assert isinstance(await failing(closed, act, watch), SessionClosedError)


@pytest.mark.anyio
@EVERY_ACT
async def test_a_session_that_is_closed_under_a_call_shows_no_secret(watch: SecretsWatch, act: Act) -> None:
    async def close(_: Exchange) -> None:
        await session.aclose()

    async with raw_server(close) as server:
        session = session_at(server.url)
        assert isinstance(await failing(session, act, watch), SessionClosedError)


@pytest.mark.asyncio
@EVERY_ACT
async def test_a_native_timeout_shows_no_secret(watch: SecretsWatch, act: Act) -> None:
    async with raw_server(say_nothing) as server, session_at(server.url) as session:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await act(session)
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
        watch.see_error("error", caught.value)


@pytest.mark.asyncio
async def test_a_loop_in_debug_mode_shows_no_secret(watch: SecretsWatch) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(200, [])

    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0  # it logs each callback
    try:
        async with raw_server(answer) as server, session_at(server.url) as session:
            for name in ("query", "hash"):
                await ACTS[name](session)
    finally:
        loop.set_debug(False)
    assert "asyncio" in watch.loggers


@pytest.mark.anyio
async def test_an_error_of_ones_own_that_is_being_handled_stays_as_it_is(watch: SecretsWatch) -> None:
    """What we take from our errors, we do not take from the user's that they meet."""

    def fail(value: str) -> None:
        raise LookupError(value)

    handler = chunked("text/event-stream", b"no chunk\r\n")
    async with raw_server(handler) as server, session_at(server.url) as session:
        for act in ACTS.values():
            with pytest.raises(LookupError) as mine:
                try:
                    fail("mine")
                except LookupError:
                    with pytest.raises(LittleBitsError) as caught:
                        await act(session)
                    watch.see_error("error", caught.value)
                    raise
            assert mine.value.args == ("mine",)
            *_, (frame, _) = traceback.walk_tb(mine.tb)
            assert frame.f_locals == {"value": "mine"}


# Streams


def event(percent: float, timestamp: int) -> bytes:
    """An event as the vendor's server told it: with the secret that activates the bit."""
    return event_bytes(percent, timestamp).replace(
        b"}", f', "from": {{"device": {{"id": "b1", "hash": "{HASH}"}}}}}}'.encode(), 1
    )


@pytest.mark.anyio
async def test_the_end_and_the_silence_of_a_stream_show_no_secret(watch: SecretsWatch) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.open_stream()
        await exchange.chunk(f'data:{{"hash":"{HASH}", "timestamp": "{TOKEN}"}}\n\n'.encode())
        await exchange.chunk(event(50, 1))
        if len(server.requests) % 2:
            await exchange.end_stream()
        await exchange.until_closed()

    async def all_events(session: Session) -> None:
        async with session.inputs("b1", stall_after=0.05) as events:
            async for item in events:
                watch.see_value("event", item)
            assert events.skipped == 1

    async with raw_server(handler) as server:
        assert isinstance(await failing(session_at(server.url), all_events, watch), StreamClosedError)
        assert isinstance(await failing(session_at(server.url), all_events, watch), StreamStalledError)


@pytest.mark.anyio
async def test_a_reactor_that_recovers_and_fails_shows_no_secret(  # noqa: C901 - a script of six answers
    watch: SecretsWatch,
) -> None:
    hooks = Telltale(watch)

    async def handler(exchange: Exchange) -> None:
        device = exchange.request.path.split("/")[3] if exchange.request.path.endswith("/input") else ""
        tries = sum(request.path == exchange.request.path for request in server.requests)
        if not device:
            await exchange.answer(500, {"message": TOKEN})
        elif tries > 4:
            await exchange.answer(403 if device == "b1" else 404, {"message": f"{TOKEN} may not"})
        elif tries == 1:
            await exchange.answer(503, {"message": TOKEN})
        elif tries == 2:
            await chunked("text/event-stream", event(20, 1) + b"\r\n")(exchange)
        else:
            await exchange.open_stream()
            await exchange.chunk(f'data:{{"hash":"{HASH}"\n\n'.encode())
            await exchange.chunk(event(tries, tries))
            if tries == 3:
                await exchange.until_closed()  # stalls
            await exchange.chunk(SPILT)
            await exchange.close()

    async with raw_server(handler) as server, session_at(server.url, hooks=hooks) as session:
        reactor = InputReactor(session, ["b1", "b2"], backoff=Backoff(base=0.01, cap=0.01), stall_after=0.2)
        with anyio.fail_after(PATIENCE):
            async with reactor:
                with pytest.raises(NoStreamsLeftError) as caught:
                    async for item in reactor.with_gaps():
                        watch.see_value("item", item)
                        watch.see_value("statuses", reactor.statuses())
                watch.see_error("error", caught.value)
                for value in (reactor, reactor.statuses(), reactor.stats, reactor.latest, await reactor.diagnostics()):
                    watch.see_value("reactor", value)
        for status in reactor.statuses().values():
            if status.error is not None:
                watch.see_error("status", status.error)
    assert reactor.stats.reconnects
    assert reactor.stats.decode_errors
    assert hooks.told


# Proxies


async def proxied(exchange: Exchange) -> None:
    login = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert exchange.request.headers["proxy-authorization"] == f"Basic {login}"
    if exchange.request.method == "CONNECT" or "refused" in exchange.request.target:
        await exchange.answer(407, b"who?", headers={"Proxy-Authenticate": "Basic"})
    elif exchange.request.path.endswith("/input"):
        await exchange.open_stream()
        await exchange.chunk(event(50, 1))
        await exchange.until_closed()
    else:
        await exchange.answer(200, [])


@pytest.mark.anyio
@EVERY_ACT
async def test_a_proxys_password_is_not_shown(watch: SecretsWatch, act: Act) -> None:
    async with raw_server(proxied) as server:
        proxy = server.url.replace("http://", f"http://user:{PASSWORD}@")
        async with session_at("http://cloud.example", proxy=proxy) as session:
            await act(session)
            watch.see("diagnostics", repr(await session.diagnostics()))
        error = await failing(session_at("http://refused.example", proxy=proxy), act, watch)
        assert isinstance(error, APIError)
        error = await failing(session_at("https://cloud.example", proxy=proxy), act, watch)
        assert isinstance(error.__cause__, httpx.ProxyError)
    for base_url in ("http://cloud.example", "https://cloud.example"):
        proxy = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"
        error = await failing(session_at(base_url, proxy=proxy), act, watch)
        assert isinstance(error, TransportError)


# The cloud


def request(target: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: cloud",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def requests_with(token: str) -> list[bytes]:
    bearer = f"Authorization: Bearer {token}"
    percent = "".join(f"%{ord(char):02x}" for char in token)
    targets = ["/v2/devices", "/devices/nowhere", "/v9/devices", "/nowhere", "/v2/devices/b1/output", "/%ff", "//"]
    return [
        *(request(f"{target}?access_token={secret}") for target in targets for secret in (token, percent)),
        *(request("/v2/devices", f"Authorization: {word}{token}") for word in ("Bearer ", "BEARER ", "", "Token ")),
        request("/v2/devices", bearer, "Accept: text/html"),
        request("/v2/devices", bearer, "Accept: application/vnd.littlebits.v1+json"),
        request("/v2/devices", bearer, "Upgrade: websocket", "Connection: upgrade"),
        request("/v2/devices/b2", bearer, method="POST", body=f'{{"device_hash": "{HASH}"}}'),
        request("/v2/devices/b2", bearer, method="POST", body=f'{{"device_hash": ["{HASH}"]'),
        request("/v2/devices/b2", bearer, method="POST", body=f"device_hash={HASH}&update={HASH}"),
        request("/v2/subscriptions", bearer, method="POST", body=f'{{"subscriber_id": "{CALLBACK}\\ud800"}}'),
        request("/v2/subscriptions", bearer, method="POST", body=f'{{"subscriber_id": "ftp://{KEY}"}}'),
        request(f"/v2/subscriptions?subscriber_id={quote(CALLBACK)}", bearer, method="PATCH"),
        # What is no HTTP.
        f"GET /v2/devices?access_token={token} HTTP/9.9\r\nConnection: close\r\n\r\n".encode(),
        f"GET /v2/devices?access_token={token}\1 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"GET /v2/devices HTTP/1.1\r\n{bearer}\0\r\n\r\n".encode(),
        f"GET /v2/devices HTTP/1.1\r\n{bearer.replace(':', '')}\r\n\r\n".encode(),
        f"{token}\r\n\r\n".encode(),
        f"GET /?access_token={token} HTTP/1.1\r\nHost: x\r\n{bearer}{'x' * 100_000}".encode(),
        f"POST /v2/devices/b1 HTTP/1.1\r\nHost: x\r\n{bearer}\r\nContent-Length: {HASH}\r\n\r\n".encode(),
        f"POST /v2/devices/b1 HTTP/1.1\r\nHost: x\r\n{bearer}\r\nTransfer-Encoding: chunked\r\n\r\n{HASH}\r\n".encode(),
    ]


async def answer_of(url: str, sent: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    received = b""
    with anyio.fail_after(PATIENCE):
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(sent)
            try:
                while True:
                    received += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return received


@pytest.mark.asyncio
@pytest.mark.parametrize("level", [logging.DEBUG, 1], ids=["DEBUG", "TRACE"])
async def test_the_clouds_logs_show_no_token(caplog: pytest.LogCaptureFixture, level: int) -> None:
    watch = SecretsWatch(*SECRETS)
    with watch.watching(level):
        async with LocalCloud(limit=1000) as cloud:
            bit = await cloud.add_device("b1")
            token = await cloud.create_token()
            watch.guard(token)
            for sent in [*requests_with(token), *requests_with(TOKEN)]:
                received = await answer_of(cloud.url, sent)
                assert received.startswith(b"HTTP/1.1 ")
                assert not received.startswith(b"HTTP/1.1 5")
                watch.see("answer", received.decode())
            assert (await answer_of(cloud.url, requests_with(token)[0])).startswith(b"HTTP/1.1 200 ")
            for value in (cloud, bit, cloud.devices):
                watch.see_value("cloud", value)
    watch.check()
    assert "Invalid HTTP request received." in caplog.messages
    assert "Exception in ASGI application" not in caplog.text


class BrokenResponse(Response):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no answer")


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True], ids=["at work", "while answering"])
async def test_a_crash_of_the_cloud_shows_where_and_no_secret(
    watch: SecretsWatch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, late: bool
) -> None:
    async def crash(*_: object) -> Response:
        raise LookupError("no answer")

    async def crash_late(*_: object) -> Response:
        return BrokenResponse()

    if late:
        monkeypatch.setattr(Api, "activate", crash_late)
    else:
        monkeypatch.setattr(Registry, "activate", crash)  # below a frame of the cloud that has the body
    body = f'{{"device_hash": "{HASH}"}}'
    async with LocalCloud() as cloud:
        token = await cloud.create_token()
        watch.guard(token)
        for target, headers in [("/devices/b", [f"Authorization: {token}"]), (f"/devices/b?access_token={token}", [])]:
            received = await answer_of(cloud.url, request(target, *headers, method="POST", body=body))
            assert received.startswith(b"HTTP/1.1 500 ")
            watch.see("answer", received.decode())
    assert "LookupError: no answer" in caplog.text
    assert f"in {'__call__' if late else 'crash'}\n" in caplog.text


# Values, and the command line


@pytest.mark.anyio
async def test_no_repr_shows_a_secret(watch: SecretsWatch) -> None:
    subscription = Subscription("b1", CALLBACK, ("amplitude",))
    async with session_at("http://cloud.example", proxy=f"http://user:{PASSWORD}@127.0.0.1:9") as session:
        async with OutputQueue(session) as outputs:
            values = [
                *(session, CloudBit(session, "b1"), InputReactor(session, ["b1"]), outputs, BearerAuth(TOKEN)),
                *(subscription, Device("b1", subscriptions=(subscription,)), session.inputs("b1"), session.budget),
                wire.activate("b1", device_hash=HASH),
                wire.subscriptions(subscriber_id=CALLBACK),
                wire.subscribe(publisher_id="b1", subscriber_id=CALLBACK),
            ]
            for value in values:
                watch.see_value(type(value).__name__, value)
            for part in vars(session).values():
                watch.see_value("part of a session", part)
                for particle in getattr(part, "__dict__", {}).values():
                    watch.see_value("particle of a session", particle)


@pytest.mark.parametrize(
    ("subscriber_id", "shown"),
    [
        ("00e040000001", "'00e040000001'"),
        (f"https://hooks.example/services/{KEY}", "'https://hooks.example/…'"),
        (f"http://user:{KEY}@hooks.example:8080?{KEY}", "'http://hooks.example:8080/…'"),
        (f"http://hooks.example#{KEY}", "'http://hooks.example/…'"),
    ],
)
def test_a_subscription_shows_its_callbacks_host_alone(subscriber_id: str, shown: str) -> None:
    assert (
        repr(Subscription("b1", subscriber_id)) == f"Subscription(publisher_id='b1', subscriber_id={shown}, events=())"
    )
    assert Subscription("b1", subscriber_id).subscriber_id == subscriber_id


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "arguments", [("serve", "--nonsense"), ("serve", "--port", "x"), ("serve", "--host", "192.0.2.1"), ("nonsense",)]
)
async def test_the_command_line_shows_no_token(arguments: tuple[str, ...]) -> None:
    watch = SecretsWatch(*SECRETS)
    result = await run(*arguments, LITTLEBITS_TOKEN=TOKEN, HTTP_PROXY=f"http://user:{PASSWORD}@127.0.0.1:9")
    assert result.code
    watch.see("output", result.output)
    watch.see("errors", result.errors)
    watch.check()


# Logins and webhooks


@pytest.mark.anyio
@pytest.mark.parametrize("answered", ["nobody has logged in", "refused", "echoed", "cut"])
async def test_a_token_that_is_not_to_be_had_shows_no_secret(watch: SecretsWatch, answered: str) -> None:
    async def answer(exchange: Exchange) -> None:
        if not exchange.request.path.startswith("/oauth/token"):
            await exchange.answer(401, {"statusCode": 401, "error": "Unauthorized", "message": f"{TOKEN} has ended"})
        elif answered == "cut":
            await raw(f'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{{"refresh_token": "{KEY}'.encode())(exchange)
        else:
            said = exchange.request.body.decode() if answered == "echoed" else "no"
            await exchange.answer(400, {"error": "invalid_grant", "error_description": said})

    async with raw_server(answer) as server:
        for name, act in ACTS.items():
            known = OAuthToken(TOKEN, refresh_token=KEY, expires_at=0)
            store = MemoryTokenStore(None if answered == "nobody has logged in" else known)
            auth = OAuth2("app", PASSWORD, store=store, token_url=f"{server.url}/oauth/token", trust_env=False)
            with anyio.fail_after(PATIENCE), pytest.raises(LittleBitsError) as refused:
                await auth.refresh()
            watch.see_error(name, refused.value)
            watch.see_value(name, (auth, store, known))
            await failing(session_at(server.url, auth), act, watch)
            if answered != "cut":
                assert isinstance(refused.value, OAuthError)


def test_a_call_that_is_not_known_to_be_the_clouds_shows_no_secret(watch: SecretsWatch) -> None:
    secret = signatures.new_secret()
    watch.guard(secret.removeprefix("whsec_"))
    receiver = WebhookReceiver(key=KEY, secret=secret)
    signed = signatures.sign(secret, message_id="m1", timestamp=0, body=b"{}")
    for signature in (signed, signed[:-4] + "AAA=", secret):
        headers = [("webhook-id", "m1"), ("webhook-timestamp", "0"), ("webhook-signature", signature)]
        with pytest.raises(WebhookVerificationError) as caught:
            receiver.verify(headers, b"{}")
        watch.see_error("verify", caught.value)
    watch.see_value("receiver", receiver)


def test_every_error_there_is_is_driven_here() -> None:
    assert set(errors.__all__) <= set(globals())
