"""Session: one pool, one budget, typed calls."""

import math
import os
import platform
import ssl
from collections.abc import AsyncGenerator, Iterable
from importlib.metadata import version
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import anyio
import httpx
from attrs import asdict

from .. import wire
from .._tracebacks import discreet, discreet_call
from ..auth import resolve_auth
from ..backoff import RetryPolicy
from ..budget import Budget, BudgetReport, Grant, Predictable, Priority, TokenBucket
from ..errors import (
    InvalidArgumentError,
    StreamStalledError,
)
from ..hooks import GuardedHooks, Hooks
from ..models import AmplitudeEvent, ConnectionChange, Device, InputEvent, LightColor, LightMode, Subscription
from ..transport import API, DEFAULT_BASE_URL, Client, Feed, FeedItem
from ._connections_watch import ConnectionWatch
from ._input_stream import InputStream
from ._payer import Payer

__all__ = ["Session"]

BASE_URL_VARIABLE: Final = "LITTLEBITS_BASE_URL"

T = TypeVar("T")


class Session:
    """A connection to a littleBits Cloud: typed calls over one pool, within one budget.

    Works on asyncio and trio. Use as an async context manager, or call `aclose`.

    Args:
        auth: An access token or an httpx.Auth; None takes ``LITTLEBITS_TOKEN``.
        base_url: The cloud; None takes ``LITTLEBITS_BASE_URL``, else the vendor's (switched off) cloud. A path prefix
            is kept.
        api_version: Named in the path and in ``Accept``. Version 1 speaks of outputs as ``amount``.
        budget: The hour's requests; None makes a `TokenBucket` of 1800. Share one between sessions of one key.
        max_wait: Seconds that a call may wait for the budget; None without bound.
        retry: How often a call is tried; each try spends a request.
        timeout: Seconds for the whole of one try, without the wait for the budget; or httpx's limits for its phases.
        proxy: A proxy's URL, for calls and streams.
        trust_env: Whether ``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and their like count.
        transport: An httpx transport of your own, for calls and streams.
        ssl_context: TLS settings; None loads certifi's certificates at the first request.
        http2: Whether calls may speak HTTP/2 (extra ``http2``); streams never do.
        user_agent: Sent as ``User-Agent``.
        hooks: Is told what happens; shared by the reactors of this session.

    Raises:
        InvalidArgumentError: No token is to be had, or an argument cannot be used.

    Source: spec/cloud-api-v2.txt; spec/cloud-http-api-v1-and-webhooks.md, "Version".
    """

    @discreet
    def __init__(
        self,
        auth: str | httpx.Auth | None = None,
        *,
        base_url: str | None = None,
        api_version: Literal[1, 2, 3] = 2,
        budget: Budget | None = None,
        max_wait: float | None = 60.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - frozen
        timeout: float | httpx.Timeout = 10.0,
        proxy: str | None = None,
        trust_env: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http2: bool = False,
        user_agent: str | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        _check_version(api_version)
        self._version: Literal[1, 2, 3] = api_version
        self._budget = TokenBucket() if budget is None else budget
        self._retry = retry
        self._hooks = None if hooks is None else GuardedHooks(hooks)
        self._client = Client(
            auth=resolve_auth(auth),
            is_own_auth=not isinstance(auth, httpx.Auth),  # also of ours a token store may be the user's
            base_url=base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL,
            api=_api(api_version),
            timeout=timeout,
            proxy=proxy,
            trust_env=trust_env,
            transport=transport,
            ssl_context=ssl_context,
            http2=http2,
            user_agent=user_agent,
        )
        self._payer = Payer(self._client, budget=self._budget, max_wait=max_wait, retry=retry, hooks=self._hooks)

    def __repr__(self) -> str:
        state = "closed" if self._client.is_closed else "open"
        return f"<Session {self._client.base_url} v{self._version}, {state}>"

    @property
    def budget(self) -> Budget:
        """The budget that this session spends."""
        return self._budget

    @property
    def hooks(self) -> Hooks | None:
        """Who is told what happens, and cannot do harm by raising."""
        return self._hooks

    @property
    def retry(self) -> RetryPolicy:
        """How often this session tries a call."""
        return self._retry

    @property
    def api_version(self) -> Literal[1, 2, 3]:
        """The API's version that this session speaks."""
        return self._version

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection and stream, and end every call; later use raises SessionClosedError. Cost: nothing."""
        self._payer.close()
        await self._client.aclose()

    async def diagnostics(self) -> dict[str, object]:
        """Return how the session is, as values of JSON: to be pasted into a bug report as it is.

        There is no token in it, nor anything of devices. Cost: nothing.
        """
        return {
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("littlebits-async", "httpx", "httpcore", "anyio", "attrs", "cattrs")},
            "base_url": str(self._client.base_url),
            "api_version": self._version,
            "transport": self._client.transport,
            "closed": self._client.is_closed,
            "open_streams": self._client.open_streams,
            "requests": dict(self._payer.outcomes),
            "budget": _paste_safe(await self._budget.report()),
        }

    # Devices

    async def devices(self) -> list[Device]:
        """List the devices of the token's owner.

        Cost: 1 request.

        Raises:
            APIError: The API said no; every call may raise it, as well as the next three.
            BudgetExhaustedError: The wait for the budget would be longer than ``max_wait``.
            DecodeError: The answer is not what the API promises.
            TransportError: No answer came.

        Source: spec/cloud-api-v2.txt, "Get All Your Devices".
        """
        return await self._call(wire.devices(), "devices")

    async def device(self, device_id: str) -> Device:
        """Return one device.

        Cost: 1 request.

        Raises:
            NotFoundError: There is no such device.

        Source: spec/cloud-api-v2.txt, "Get a Specific Device".
        """
        return await self._call(wire.device(device_id), "device")

    async def update_device(
        self, device_id: str, *, label: str | None = None, input_interval_ms: int | None = None
    ) -> Device:
        """Change a device's label or input interval, and return the device.

        Cost: 1 request.

        Args:
            device_id: The device.
            label: Its new name.
            input_interval_ms: Milliseconds between two input events, 200 at least.

        Raises:
            InvalidArgumentError: Nothing to change, or a value out of range.

        Source: spec/cloud-api-v2.txt, "Update Device Settings".
        """
        call = wire.update_device(device_id, label=label, input_interval_ms=input_interval_ms)
        return await self._call(call, "update_device")

    @discreet_call
    async def activate(
        self,
        device_id: str,
        *,
        device_hash: str | None = None,
        label: str | None = None,
        input_interval_ms: int | None = None,
    ) -> Device:
        """Bind a device to the token's owner, and return it.

        Cost: 1 request.

        Args:
            device_id: The device.
            device_hash: The device's secret, which servers since 2015 ask for.
            label: Its name.
            input_interval_ms: Milliseconds between two input events, 200 at least.

        Source: spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview"; wire-facts, section 3.
        """
        call = wire.activate(device_id, device_hash=device_hash, label=label, input_interval_ms=input_interval_ms)
        return await self._call(call, "activate")

    async def deactivate(self, device_id: str) -> None:
        """Give a device up: it belongs to nobody then.

        Cost: 1 request.

        Source: spec/cloud-http-api-v1-and-webhooks.md, "Endpoints Overview".
        """
        await self._call(wire.deactivate(device_id), "deactivate")

    async def output(self, device_id: str, percent: float = 100, *, duration_ms: int = 3000) -> None:
        """Set a device's output, for a while or for ever.

        A success does not mean that the bit was on line. A pulse is repeated only when it surely was not sent.

        Cost: 1 request.

        Args:
            device_id: The device.
            percent: 0 to 100 percent of 5 V.
            duration_ms: 0 to 32000 milliseconds, or `FOREVER`; version 1 takes any duration.

        Raises:
            InvalidArgumentError: A value out of range.
            NotFoundError: There is no such device; with version 1 also: it is off line.

        Source: spec/cloud-api-v2.txt, "Output voltage on device".
        """
        call = wire.output(device_id, percent, duration_ms=duration_ms, version=self._version)
        await self._call(call, "output")

    async def light(
        self,
        device_id: str,
        *,
        color: LightColor | str | None = None,
        mode: LightMode | str | None = None,
        duration_ms: int | None = None,
    ) -> None:
        """Set a device's light; what is left out is the server's choice.

        Cost: 1 request.

        Args:
            device_id: The device.
            color: The colour.
            mode: Blink or hold.
            duration_ms: 0 to 32000 milliseconds, or `FOREVER`.

        Raises:
            InvalidArgumentError: No such colour or mode, or a duration out of range.

        Source: wire-facts, section 3 (the vendor server's own route table).
        """
        call = wire.light(device_id, color=color, mode=mode, duration_ms=duration_ms, version=self._version)
        await self._call(call, "light")

    def watch_connections(self, *, every: float = 60.0) -> AsyncGenerator[ConnectionChange, None]:
        """Iterate over devices that come on line and go, as listings tell: one for all devices each round.

        The first listing tells nothing; it is what the others are compared with. A round whose listing is not to be had
        is left out and logged; who comes and goes between two rounds is not seen. Goes on where it was left.

        Cost: 1 request each round while somebody iterates, 60 an hour as it stands, at the priority of what can wait.

        Args:
            every: Seconds from round to round.

        Raises:
            InvalidArgumentError: ``every`` is no time to wait.
            APIError: In iteration: the API said no, for good; the token was refused, say.
        """
        if not 0 < every < math.inf:
            raise InvalidArgumentError(f"every: seconds over 0, not {every!r}")

        async def listing() -> list[Device]:
            grant = await self.grant(priority=Priority.BULK, label="watch_connections")
            return await self.send(wire.devices(), grant)

        return ConnectionWatch(listing, every)

    # Input

    def inputs(self, device_id: str, *, stall_after: float | None = 30.0) -> InputStream:
        """Stream a device's input, once: ``async with session.inputs(id) as events: async for event in events: …``.

        Entering returns when the stream is open. An event that cannot be used is skipped and counted. A timeout of
        your own around the iteration ends just that wait. Enter and leave in the same task. Use `InputReactor` for
        reconnects, and for many devices.

        Cost: 1 request, at the priority of streams.

        Args:
            device_id: The device.
            stall_after: Seconds without a byte after which the stream counts as dead; None never.

        Raises:
            StreamStalledError: In iteration: nothing came for too long; the bit may be off line.
            StreamClosedError: In iteration: the server ended the stream.

        Source: spec/blog-python-and-the-cloud-api.txt; wire-facts, section 6.
        """
        call = wire.inputs(device_id)
        if stall_after is not None and not stall_after > 0:
            raise InvalidArgumentError(f"stall_after: seconds over 0, or None, not {stall_after!r}")

        async def open_feed() -> Feed:
            return await self._payer.attempts(
                lambda grant: self.open_input(device_id, grant),
                label="input",
                priority=Priority.STREAM,
                idempotent=call.idempotent,
            )

        return InputStream(device_id, stall_after=stall_after, open_feed=open_feed)

    async def read(self, device_id: str, *, timeout: float = 10.0) -> InputEvent:  # noqa: ASYNC109 - the API's word
        """Read a device's input once: open its stream, take the first event, close.

        Cost: 1 request.

        Args:
            device_id: The device.
            timeout: Seconds from when the stream is open to the first event; opening it has the session's timeout.

        Raises:
            StreamStalledError: The stream was open, and no event came in time; the bit may be off line.
            TransportError: The stream could not be opened.

        Source: spec/blog-python-and-the-cloud-api.txt, comments.
        """
        call = wire.inputs(device_id)
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout: seconds over 0, not {timeout!r}")

        async def first(grant: Grant) -> InputEvent:
            events: list[InputEvent] = []

            def take(items: list[FeedItem]) -> bool:
                events.extend(item for item in items if isinstance(item, InputEvent))
                return not events

            feed = await self.open_input(device_id, grant)
            try:
                with anyio.move_on_after(timeout):
                    await feed.pump(take)
            finally:
                await feed.aclose()
            if events:
                return events[0]
            raise StreamStalledError(f"device {device_id}: no event in {timeout} s; the bit may be off line")

        return await self._payer.attempts(first, label="read", priority=Priority.COMMAND, idempotent=call.idempotent)

    async def open_input(self, device_id: str, grant: Grant) -> Feed:
        """Open a device's input, one try, for a request that the budget granted already.

        For those who watch many streams, as `InputReactor` does; `inputs` is the one to iterate over.

        Cost: the request that was granted.

        Args:
            device_id: The device.
            grant: What `Budget.acquire` gave; refunded where the request surely was not sent.

        Returns:
            The open stream; the caller closes it.
        """
        call = wire.inputs(device_id)
        return await self._payer.spend(grant, call, self._client.open, priority=Priority.STREAM)

    # Subscriptions

    @discreet_call
    async def subscriptions(
        self, *, publisher_id: str | None = None, subscriber_id: str | None = None
    ) -> list[Subscription]:
        """List subscriptions, by publisher, by subscriber, or both.

        Cost: 1 request.

        Args:
            publisher_id: The device whose input is told.
            subscriber_id: A device, or a callback's URL.

        Source: spec/cloud-api-v2.txt, "List subscriptions".
        """
        call = wire.subscriptions(publisher_id=publisher_id, subscriber_id=subscriber_id)
        return await self._call(call, "subscriptions")

    @discreet_call
    async def subscribe(
        self,
        *,
        publisher_id: str,
        subscriber_id: str,
        events: AmplitudeEvent | str | Iterable[AmplitudeEvent | str] | None = None,
    ) -> Subscription:
        """Have a device's events told to another device, which follows it, or to a callback URL.

        Cost: 1 request.

        Args:
            publisher_id: The device whose input is told.
            subscriber_id: A device, or a callback's URL.
            events: What is told; the server's default is `AmplitudeEvent.IGNITE`.

        Source: spec/cloud-api-v2.txt, "Create subscription".
        """
        call = wire.subscribe(publisher_id=publisher_id, subscriber_id=subscriber_id, events=events)
        return await self._call(call, "subscribe")

    @discreet_call
    async def unsubscribe(self, *, publisher_id: str, subscriber_id: str) -> None:
        """End a subscription.

        Cost: 1 request.

        Source: spec/cloud-api-v2.txt, "Delete a Subscription".
        """
        await self._call(wire.unsubscribe(publisher_id=publisher_id, subscriber_id=subscriber_id), "unsubscribe")

    async def ping(self) -> None:
        """Ask whether the API is there.

        Cost: 1 request.

        Source: wire-facts, section 3.
        """
        await self._call(wire.ping(), "ping")

    # How

    async def grant(self, *, priority: Priority, label: str, max_wait: float | None = None) -> Grant:
        """Ask the budget for a request, to `send` a call or to `open_input` with.

        Cost: 1 request, unless the grant is given back.

        Args:
            priority: Who goes first.
            label: Who spends it, for the report.
            max_wait: Seconds that the wait may take, None for as long as needed.

        Raises:
            BudgetExhaustedError: The wait would be longer than ``max_wait``.
        """
        return await self._payer.grant(priority=priority, label=label, max_wait=max_wait)

    def expected_wait(self, *, priority: Priority) -> float | None:
        """Estimate for how many seconds a `grant` would have to be waited for, None where the budget cannot tell.

        Cost: nothing.

        Args:
            priority: Who goes first.
        """
        return self._budget.expected_wait(priority=priority) if isinstance(self._budget, Predictable) else None

    async def send(self, call: wire.Call[T], grant: Grant) -> T:
        """Send one call, one try, for a request that the budget granted already.

        For those who schedule by themselves, as `OutputQueue` does.

        Cost: the request that was granted.

        Args:
            call: What to send.
            grant: What `Budget.acquire` gave; refunded where the request surely was not sent.
        """
        return await self._payer.send(call, grant)

    async def _call(self, call: wire.Call[T], label: str) -> T:
        return await self._payer.call(call, label=label, send=self.send)


def _check_version(version: object) -> None:
    if type(version) is not int or version not in (1, 2, 3):  # True and 2.0 would be another path
        raise InvalidArgumentError(f"api_version: 1, 2 or 3, not {version!r}")


def _api(version: int) -> API:
    return API(
        prefix=f"/v{version}",
        accept=f"application/vnd.littlebits.v{version}+json",
        vendor_url=DEFAULT_BASE_URL,
        hint=(
            "the vendor's cloud is switched off: run your own with `littlebits serve`,"
            f" and name it in {BASE_URL_VARIABLE}"
        ),
    )


def _paste_safe(report: BudgetReport) -> dict[str, object]:
    values: dict[str, object] = asdict(report)
    values["waiting"] = {priority.name: number for priority, number in report.waiting.items()}
    values["spent"] = {f"{priority.name} {label}": number for (priority, label), number in report.spent.items()}
    return values
