"""`LocalCloud`: the whole of it, as one context manager."""

import asyncio
import ipaddress
import logging
import math
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio
from starlette.types import ASGIApp, Scope

from ..amplitude import Thresholds
from .access import AccessLog
from .app import App
from .aside import Aside, Page
from .bits import DEFAULT_INTERVAL_MS, DEFAULT_LABEL, Bit
from .gateway import RealBits
from .health import Health
from .limiting import RequestLimit
from .oauth import REFRESH_WITHIN, OAuth
from .openapi import Document
from .registry import Registry
from .server import Listener, Server, listen
from .storage import StorageError, Store
from .ticker import Ticker
from .tokens import SCOPES, digest
from .waveforms import Waveform
from .waveforms import waveform as named
from .webhooks import Backlog, Poster

if TYPE_CHECKING:
    from .community import Community, VerifyFacebook
    from .metrics import Metrics

__all__ = ["LocalCloud"]

logger: Final = logging.getLogger(__name__)

_LOOK_EVERY: Final = 0.5
"""Seconds between two looks after the database."""
_NEAREST: Final[Mapping[str, str]] = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
"""All of this machine's addresses, and the one of them that this machine itself can call."""


class LocalCloud:
    """A littleBits Cloud of one's own, with simulated bits, on a socket of this machine.

    ```python
    async with LocalCloud() as cloud:
        token = await cloud.create_token()
        bit = await cloud.add_device("00e040000001", label="dimmer", waveform="sine")
        ...  # talk to cloud.url
    ```

    Asyncio only. All its work is done in one task of its own, which ends with the block; so the block may be entered
    and left in different tasks, as test fixtures do, and no error of the block is wrapped. What the cloud knows
    outlives the block: entering again goes on with it, on a new port unless one is named.

    With a database, all that it has answered for outlives the program as well, however that ends: tokens, devices and
    what they were told to show, subscriptions, webhooks that wait, and of each bit the newest inputs.

    Args:
        db: The file of the database; None keeps everything in memory.
        host: The address to listen at.
        port: The port to listen at; 0 for any that is free.
        limit: Requests that each token may make in any hour; an input stream counts once.
        blank_line_every: Seconds of silence after which an input stream gets a blank line.
        allow_private_webhooks: Whether a webhook may go to this machine, or to a private network.
        thresholds: What counts as active and idle where a webhook is told of it.
        ssl_context: For HTTPS, with the certificate loaded; None for HTTP.
        localbit_ports: Where to listen for localbits by UDP, 0 for any port that is free, and where they do; None, as
            by default, for not at all. `gateway.LOCALBIT_PORTS` are those of their code.
        token_lifetime: Seconds that an access token of OAuth2 is good; refresh tokens are for 30 days.
        metrics: Whether ``/metrics`` tells Prometheus, and whoever else asks, how the cloud fares.
        community: Whether the Mobile Application API is there too, under ``/api/v2``, with a small sample of projects
            and products.
        verify_facebook: There, is awaited with the ``access_token`` of a login with Facebook, and says whether that
            proves to be the user whose ``userID`` it has; None refuses all such logins.

    Raises:
        ValueError: A limit or time is out of range, or ``verify_facebook`` has nothing to verify for.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limit: int = 1800,
        blank_line_every: float = 10.0,
        allow_private_webhooks: bool = False,
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
        ssl_context: ssl.SSLContext | None = None,
        localbit_ports: tuple[int, int] | None = None,
        token_lifetime: float = 3600.0,
        metrics: bool = False,
        community: bool = False,
        verify_facebook: "VerifyFacebook | None" = None,
    ) -> None:
        if not 1 <= token_lifetime <= REFRESH_WITHIN:
            raise ValueError(f"token_lifetime must be 1 to {REFRESH_WITHIN:.0f} seconds, not {token_lifetime!r}")
        if not (math.isfinite(blank_line_every) and blank_line_every > 0):
            raise ValueError(f"blank_line_every must be more than 0 seconds, not {blank_line_every!r}")
        if verify_facebook is not None and not community:
            raise ValueError("verify_facebook is for a cloud with a community")
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._token_lifetime = token_lifetime
        self._limit = RequestLimit(limit)
        self._ticker = Ticker()
        self._metrics = _new_metrics() if metrics else None
        self._store = Store(db, watch=self._metrics)
        self._poster = Poster(allow_private=allow_private_webhooks)
        self._registry = Registry(
            self._ticker, self._store, self._poster, blank_line_every=blank_line_every, thresholds=thresholds
        )
        self._real_bits = RealBits(self._registry, self._store, self._ticker, host=host, localbit_ports=localbit_ports)
        self._community = _new_community(self._store, self._limit, verify_facebook) if community else None
        self._url: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        if self._metrics is not None:
            self._metrics.watch(self._registry, self._limit, self._real_bits, self._store)

    def __repr__(self) -> str:
        return f"<LocalCloud {self._url or 'closed'}, {len(self.devices)} devices>"

    @property
    def url(self) -> str:
        """Where the cloud is to be found, without a trailing slash.

        A cloud that listens at all addresses names the one that only this machine can call, 127.0.0.1 or ::1.

        Raises:
            RuntimeError: The cloud is not running.
        """
        if self._url is None:
            raise RuntimeError("the cloud is not running")
        return self._url

    @property
    def devices(self) -> Mapping[str, Bit]:
        """All bits by id."""
        return self._registry.bits

    @property
    def real_bits(self) -> RealBits:
        """The real cloudBits: how to let them in, and how they fare."""
        return self._real_bits

    @property
    def has_tokens(self) -> bool:
        """Whether there is a token at all."""
        return len(self._registry.tokens) > 0

    @property
    def streams(self) -> int:
        """How many input streams are open."""
        return sum(len(bit.feed.readers) for bit in self.devices.values())

    def requests(self, token: str) -> int:
        """Count the requests of a token in the hour that ends now, without those refused with 429."""
        known = self._registry.tokens.find(token)
        return self._limit.spent(digest(token) if known is None else known.key)

    @property
    def webhooks(self) -> list[Backlog]:
        """How all subscriptions to URLs fare: what waits, what failed, what was dropped."""
        return self._registry.courier.backlogs

    async def history(self, device_id: str) -> list[tuple[int, int]]:
        """List a bit's newest inputs, at most 1000, the oldest first: Unix time in milliseconds, and 0 to 1023."""
        return await self._store.inputs(device_id)

    async def create_token(self, scopes: Iterable[str] = SCOPES, *, user_id: int = 1, label: str = "") -> str:
        """Make an access token, 64 hexadecimal digits; it is shown only here.

        Args:
            scopes: Some of ``read``, ``write``, ``admin``.
            user_id: Whose it is.
            label: What its owner calls it.

        Raises:
            ValueError: A scope is unknown.
            StorageError: It could not be kept, or the cloud is not running.
        """
        return await self._registry.tokens.create(scopes, user_id, label)

    @asynccontextmanager
    async def lend_token(self, scopes: Iterable[str] = SCOPES, *, user_id: int = 1) -> AsyncGenerator[str, None]:
        """Make an access token for the time of a block; nothing of it is kept.

        Args:
            scopes: Some of ``read``, ``write``, ``admin``.
            user_id: Whose it is.

        Raises:
            ValueError: A scope is unknown.
        """
        token = self._registry.tokens.lend(scopes, user_id)
        try:
            yield token
        finally:
            await self._registry.close_streams_of(frozenset({self._registry.tokens.take_back(token)}))

    async def webhook_secret(self, *, user_id: int = 1) -> str:
        """Return what a user's webhooks are signed with, ``whsec_…``, in the format of standardwebhooks.com."""
        return await self._registry.secret(user_id)

    async def add_device(
        self,
        device_id: str,
        *,
        label: str = DEFAULT_LABEL,
        waveform: Waveform | str | None = None,
        input_interval_ms: int = DEFAULT_INTERVAL_MS,
        is_connected: bool = True,
        user_id: int = 1,
    ) -> Bit:
        """Add a simulated bit.

        Args:
            device_id: Any text, mostly 12 lower-case hexadecimal digits.
            label: The owner's name for it.
            waveform: What its input does: a callable, the name of one of `WAVEFORMS`, or None for 0 percent.
            input_interval_ms: Milliseconds between two readings, at least 200.
            is_connected: Whether it is on line.
            user_id: Its owner.

        Raises:
            ValueError: The id is taken or unusable, the interval is out of range, or no waveform has that name.
        """
        return await self._registry.add(
            device_id,
            label=label,
            user_id=user_id,
            input_interval_ms=input_interval_ms,
            waveform=named(waveform) if isinstance(waveform, str) else waveform,
            is_connected=is_connected,
        )

    async def close_streams(self, *, abort: bool = False) -> int:
        """End all open input streams from the server's side.

        Args:
            abort: Cut the connections instead, in the middle of the answers.

        Returns:
            How many streams there were.
        """
        return sum([await bit.close_streams(abort=abort) for bit in self.devices.values()])

    async def wait_ended(self) -> None:
        """Wait until the cloud has ended; inside its block that means that it failed, and leaving tells how."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("the cloud is running already")
        listener = listen(self._host, self._port)
        host, port = listener.getsockname()[:2]
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._task = asyncio.create_task(self._run(listener, started), name="LocalCloud")
        try:
            await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            try:
                await self._close()
            except Exception:
                logger.exception("the cloud failed")  # the cancellation goes first
            raise
        if not started.done():
            await self._close()  # raises what went wrong
        nearest = _NEAREST.get(host, host)
        scheme = "http" if self._ssl_context is None else "https"
        self._url = f"{scheme}://[{nearest}]:{port}" if ":" in nearest else f"{scheme}://{nearest}:{port}"
        self._real_bits.found_at(self._url)
        logger.info("serving at %s", self._url)
        if self._ssl_context is None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            logger.warning("serving beyond this machine, at %s, without TLS: tokens can be read on their way", host)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._close()
        except Exception:
            if exc is None:
                raise
            logger.exception("the cloud failed")  # the block's own error goes first

    def _make_app(self, drop: Callable[[Scope], None]) -> ASGIApp:
        app = App(self._registry, self._limit, drop)
        health = Health(self._store, self._closing.is_set)
        pages: dict[str, Page] = {"/health": health.live, "/ready": health.ready}
        if self._metrics is not None:
            pages["/metrics"] = self._metrics.page
        pages["/openapi.json"] = Document(app.apis, (*pages, "/openapi.json")).page
        oauth = OAuth(self._registry, self._store, self._token_lifetime, Aside(pages, app))
        answering = AccessLog(oauth if self._community is None else self._community.before(oauth))
        return answering if self._metrics is None else self._metrics.before(answering)

    async def _run(self, listener: Listener, started: "asyncio.Future[None]") -> None:
        server = Server(
            lambda drop: self._real_bits.before(self._make_app(drop)), listener, ssl_context=self._ssl_context
        )
        try:
            await self._store.open()
            version = await self._store.changed_elsewhere()  # before tokens are read, so that no change is missed
            await self._registry.load()
            await self._real_bits.load()
            if self._community is not None:
                await self._community.load()
            async with self._poster, anyio.create_task_group() as tasks:
                tasks.start_soon(self._ticker.run)
                tasks.start_soon(self._registry.courier.run)
                tasks.start_soon(self._look_after_store, version)
                await tasks.start(self._real_bits.listen)
                await tasks.start(server.run)
                started.set_result(None)
                await self._closing.wait()
                await self.close_streams()
                await server.stop()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            listener.close()
            self._store.hurry()  # also where a part of it has failed
            with anyio.CancelScope(shield=True):
                await self._store.aclose()
                await server.wait_answered()

    async def _look_after_store(self, version: int) -> None:
        """Let inputs go to disk, and take note of what another program let in or revoked."""
        while True:
            await anyio.sleep(_LOOK_EVERY)
            await self._registry.close_streams_of(self._registry.tokens.expire())
            try:
                await self._store.flush()
                now = await self._store.changed_elsewhere()
                if now != version:
                    await self._registry.close_streams_of(await self._registry.tokens.reload())
                    await self._real_bits.reload()
                    version = now
            except StorageError as error:  # locked by another program, a full disk: it may pass
                logger.error("the database could not be looked after: %s", error)  # noqa: TRY400 - it says all

    async def _close(self) -> None:
        """End the cloud's task, whatever happens to the one who waits for it: to cancel again only makes it hurry."""
        task, cancelled = self._task, None
        if task is None:
            return
        self._closing.set()
        self._store.hurry()
        with anyio.CancelScope(shield=True):
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:
                    task.cancel()
                    cancelled = error
        if self._url is not None:
            logger.info("stopped")
        self._task = self._url = None
        self._limit.close()
        if cancelled is not None:
            raise cancelled
        if not task.cancelled():
            task.result()


def _new_community(store: Store, limit: RequestLimit, verify_facebook: "VerifyFacebook | None") -> "Community":
    from .community import Community  # noqa: PLC0415 - most clouds have none, and need not wait for its sample

    return Community(store, limit, verify_facebook)


def _new_metrics() -> "Metrics":
    from .metrics import Metrics  # noqa: PLC0415 - takes its time to load

    return Metrics()
