"""WebhookReceiver: takes the cloud's callbacks, and gives them as input events."""

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import anyio
from attrs import evolve, frozen

from .._iteration import Iteration
from .._tracebacks import discreet
from ..buffer import Buffer, Overflow, make_buffer
from ..cloudbit import CloudBit
from ..errors import DecodeError, InvalidArgumentError, WebhookVerificationError
from ..models import AmplitudeEvent, Device, InputEvent
from ..session import Session
from ..signatures import Secret, SignatureError, sign, verify
from ..wire import read_event
from ._http import Receive, RefusalError, Scope, Send, answer, event_in, live, pairs_of, read_body
from ._subscribing import Subscribing

__all__ = ["WebhookReceiver", "WebhookStats"]

_log = logging.getLogger("littlebits_async.webhooks")

MAX_BODY: Final = 64 * 1024
"""Bytes, as for an event on a stream."""
_BODY_WITHIN: Final = 10.0
"""Seconds; the cloud itself gives up after 15."""
_REMEMBERED: Final = 4096
"""Events by which a repeat is known."""


@frozen
class WebhookStats:
    """What happened to a receiver's calls so far.

    Attributes:
        events: Events taken.
        dropped: Events that the overflow policy dropped.
        duplicates: Events that had come before, and were answered 200.
        ignored: Messages of other types (``connection``), answered 200.
        decode_errors: Messages that could not be used, answered 200, as the cloud would send them again for a week.
        refused: Calls that were answered with an error.
    """

    events: int = 0
    dropped: int = 0
    duplicates: int = 0
    ignored: int = 0
    decode_errors: int = 0
    refused: int = 0


class WebhookReceiver:
    """An ASGI application that takes the cloud's callbacks, and an iterator over the events that they bring.

    Serve it (``uvicorn``, ``hypercorn``), or mount it in starlette, FastAPI or Litestar, in the loop that iterates:

    ```
    async with WebhookReceiver(key=key, secret=secret) as receiver:  # app.mount("/littlebits", receiver)
        async with receiver.subscribed(session, ids, url="https://me.example/littlebits"):
            async for event in receiver: ...
    ```

    or ``reactor.attach(receiver)``, to have pushed and streamed events in one iteration. Events have ``delta`` and
    ``level``. The block is for the end: leaving it ends the iteration when it has taken what is there, and calls are
    answered 503 from then on. ``break`` loses nothing; iterating again goes on.

    Answers: 200 at once, for whatever is well formed and may come from the cloud, for any other answer has it sent
    again and in the end the subscription deleted. 404 without the key in the path. 405 for what is no POST. 401
    where a signature is asked for and does not verify. 400 for a body that does not begin like a JSON object, 408
    for one that does not come, 413 for one over 64 KiB. 503 while the buffer is full and is to block: the cloud
    sends it again after 10 s, 30 s …

    Args:
        key: The last step of the callback's path, to be known by the cloud alone; None asks for none. Servers write
            paths into their access logs: have yours not do that (``uvicorn --no-access-log``), or go by ``secret``.
        secret: What the cloud signs with, in the format of standardwebhooks.com (``littlebits tokens secret`` tells);
            several while one replaces another. None asks for no signature, as the vendor's cloud had none.
        buffer: The number of events held.
        overflow: What happens to one more.

    Raises:
        InvalidArgumentError: An argument cannot be used.

    Source: wire-facts, section 7; spec/cloud-http-api-v1-and-webhooks.md, "subscriber_id field details".
    """

    @discreet
    def __init__(
        self,
        *,
        key: str | None = None,
        secret: Secret | Iterable[Secret] | None = None,
        buffer: int = 1024,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> None:
        if key is not None and (not key or "/" in key or key in (".", "..")):
            raise InvalidArgumentError("key: one step of a path is needed, with no slash in it")
        try:
            (key or "").encode()
        except UnicodeEncodeError:
            raise InvalidArgumentError("key: a lone surrogate cannot stand in a path") from None
        self._key = key
        self._secrets = _secrets(secret)
        self._buffer: Buffer[InputEvent] = make_buffer(buffer, overflow)
        self._seen: OrderedDict[tuple[object, ...], None] = OrderedDict()
        self._stats = WebhookStats()
        self._devices: dict[str, int] = {}
        self._closed = False
        self._arrival = anyio.Event()
        self._guard = anyio.ResourceGuard("iterating over")

    def __repr__(self) -> str:
        return f"<WebhookReceiver {'closed' if self._closed else 'open'}, {len(self._buffer)} events>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Take no more calls; the iteration ends when it has taken what is there. Cost: nothing."""
        self._closed = True
        self._arrival.set()

    # Events

    @property
    def devices(self) -> Collection[str]:
        """The ids of the devices that `subscribed` has subscribed to; others may push as well."""
        return tuple(self._devices)

    @property
    def stats(self) -> WebhookStats:
        """What happened so far."""
        return evolve(self._stats, dropped=self._buffer.dropped)

    def __aiter__(self) -> AsyncGenerator[InputEvent, None]:  # noqa: PYI058 - it can be closed
        """Iterate over the events, in the order in which they came.

        Cost: nothing.

        Raises:
            anyio.BusyResourceError: Another task is iterating.
        """
        return _Events(self._next_event, self._wake)

    async def _next_event(self, is_ended: Callable[[], bool]) -> InputEvent:
        with self._guard:
            while not is_ended():
                if self._buffer:
                    return self._buffer.pop()
                if self._closed:
                    break
                self._arrival = anyio.Event()
                await self._arrival.wait()
            raise StopAsyncIteration

    def _wake(self) -> None:
        self._arrival.set()

    # Calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            raise ValueError(f"an ASGI scope of type {scope['type']!r}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            self._check_key(scope)
            body = await read_body(scope, receive, most=MAX_BODY, within=_BODY_WITHIN)
            if body is None:
                return  # nobody is there to be answered
            if self._secrets:
                self.verify(pairs_of(scope), body)
            self._take(event_in(body, pairs_of(scope)))
            status = HTTPStatus.OK
        except RefusalError as exc:
            status, headers = exc.status, exc.headers
            self._refused(exc)
        except WebhookVerificationError as exc:
            status = HTTPStatus.UNAUTHORIZED
            self._refused(exc)
        await answer(send, status, *headers)

    @discreet
    def verify(self, headers: Iterable[tuple[str | bytes, str | bytes]], body: bytes) -> None:
        """Make sure that a message is signed by who has the secret, within the last five minutes.

        Cost: nothing.

        Args:
            headers: All of the request's.
            body: The very bytes that came.

        Raises:
            WebhookVerificationError: It is not.
        """
        if not self._secrets:
            raise InvalidArgumentError("verify: the receiver was given no secret")
        failure = ""
        try:
            verify(self._secrets, headers, body, now=time.time())
        except SignatureError as exc:
            failure = str(exc)
        if failure:  # raised here: the frames of what verifies hold the secret
            raise WebhookVerificationError(failure)

    def _check_key(self, scope: Scope) -> None:
        if self._key is not None:
            # Whatever stands before it: a mount's or a proxy's part of the path is there, or not, as they like.
            given = str(scope["path"]).rstrip("/").rpartition("/")[2]
            if not hmac.compare_digest(*(text.encode("utf-8", "surrogatepass") for text in (given, self._key))):
                raise RefusalError(HTTPStatus.NOT_FOUND, "another key, or none")
        if scope["method"] != "POST":
            raise RefusalError(HTTPStatus.METHOD_NOT_ALLOWED, "not a POST", (b"allow", b"POST"))

    def _take(self, data: bytes) -> None:
        """Put an event into the buffer."""
        if self._closed:
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "closed")
        if not data.lstrip().startswith(b"{"):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "a body that is no JSON object")
        try:
            event = read_event(data, device_id="")
        except DecodeError as exc:
            _log.log(self._level("decode_errors"), "a webhook was skipped: %s", str(exc))
            self._count("decode_errors")
            return
        if event is None:
            self._count("ignored")
            return
        mark = (event.device_id, event.timestamp_ms, event.name, event.delta)
        if mark in self._seen:
            self._count("duplicates")
            return
        if not self._buffer.put(event.device_id, event, mergeable=event.delta is None):
            raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, "the buffer is full")
        self._seen[mark] = None  # not before it is taken: it will be sent again
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        self._count("events")
        self._arrival.set()

    def _refused(self, exc: Exception) -> None:
        # The error itself has frames with the call in them, and its key.
        _log.log(self._level("refused"), "a call to a webhook was refused: %s", str(exc))
        self._count("refused")

    def _level(self, name: str) -> int:
        """A warning the first time; anybody may call, and would fill a log with them."""
        return logging.DEBUG if getattr(self._stats, name) else logging.WARNING

    def _count(self, name: str) -> None:
        self._stats = evolve(self._stats, **{name: getattr(self._stats, name) + 1})

    # Subscriptions

    def subscribed(
        self,
        session: Session,
        devices: Iterable[str | Device | CloudBit],
        *,
        url: str,
        events: AmplitudeEvent | str | Iterable[AmplitudeEvent | str] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Have the cloud push devices' events here while a block runs.

        Entering returns when every device is subscribed to; where one cannot be, the others are let go again. Leaving
        ends the subscriptions, by whatever way, in ten seconds at most; what cannot be ended is logged, and the cloud
        ends it by itself when it has not been answered for some days. A subscription of the same device to the same URL
        that was there before is ended too.

        Cost: 2 requests for each device, one on entering and one on leaving.

        Args:
            session: What to subscribe over.
            devices: Whose events.
            url: Where the cloud reaches this receiver; the key is put behind it. Without a key, a mount mostly wants a
                slash at the end: the cloud follows no redirects.
            events: What is told; the server's default is `AmplitudeEvent.IGNITE`.

        Raises:
            InvalidArgumentError: An argument cannot be used; a single string is no list of devices.
            APIError: The API said no.
        """
        return Subscribing(session, devices, url=url, key=self._key, events=events, pushing=self._devices)


class _Events(Iteration[InputEvent]):
    """The events of a receiver."""

    def __init__(
        self, next_event: Callable[[Callable[[], bool]], Awaitable[InputEvent]], wake: Callable[[], None]
    ) -> None:
        self._next_event = next_event
        self._wake = wake

    async def _next(self) -> InputEvent:
        return await self._next_event(lambda: self._ended)

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it as well."""
        self._ended = True
        self._wake()


def _secrets(given: Secret | Iterable[Secret] | None) -> tuple[Secret, ...]:
    if given is None:
        return ()
    secrets = (given,) if isinstance(given, str | bytes) else tuple(given)
    if not secrets:
        raise InvalidArgumentError("secret: none is given; say None to ask for no signature")
    failure = ""
    try:
        for secret in secrets:
            sign(secret, message_id="1", timestamp=0, body=b"")
    except ValueError as exc:  # whose text shows nothing of it, as its frames do
        failure = str(exc)
    if failure:
        raise InvalidArgumentError(f"secret: {failure}")
    return secrets
