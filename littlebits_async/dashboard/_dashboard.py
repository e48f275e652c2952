"""The dashboard: a session, a reactor, a board, and the pages that show it."""

import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.abc
import sniffio
from anyio.abc import TaskStatus

from .._tasks import first_error, leave
from ..cloudbit import OutputQueue
from ..errors import (
    AuthenticationError,
    InvalidArgumentError,
    LittleBitsError,
    OAuthError,
    SessionClosedError,
)
from ..reactor import InputReactor
from ..session import Session
from ._access import Access, is_loopback
from ._board import Board
from ._commands import Commands
from ._guard import Guard
from ._news import News, in_words
from ._pages import Pages
from ._server import Server, listen

__all__ = ["Dashboard"]

_log = logging.getLogger("littlebits_async.dashboard")

_TELL_EVERY: Final = 0.2
"""Seconds between two times that pages are told, at least."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at what changes by itself: silence, rates, the budget."""
_LIST_EVERY: Final = 60.0
"""Seconds between two listings of the devices, while pages are open."""
_ALL_LOST_FOR: Final = 5.0
_FLUSH_WITHIN: Final = 2.0


class Dashboard:
    """Shows many devices on a web page, live, and steers them: ``async with Dashboard(session) as dashboard: …``.

    One reactor serves any number of open pages. The token stays here: no page, cookie or websocket holds it. Where
    others than this machine can reach the address, a password is needed.

    On asyncio only, one at a time in a process: NiceGUI, which serves the pages, has one application and one loop.

    Cost: 1 request for the devices, 1 for each opening of a stream, 1 each minute while a page is open, and those that
    the pages ask for.

    Args:
        session: What to watch and steer over; it stays open when the dashboard ends.
        host: The address to listen at.
        port: The port; 0 is any that is free.
        password: What pages ask for before they show anything; 8 characters at least. Without it, only this machine's
            own names are answered to, and none that a proxy has.
        ssl_context: For HTTPS. Without it the password is sent as it is typed.

    Attributes:
        url: Where it is, once it runs.

    Raises:
        InvalidArgumentError: The password is missing or too short.
    """

    url: str

    def __init__(
        self,
        session: Session,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        local = is_loopback(host)
        if password is None and not local:
            raise InvalidArgumentError(f"password: needed where others can reach the dashboard, as at {host or '*'}")
        self._session = session
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._access = Access(password, names=[host] if password is None else None)
        self._board = Board()
        self._began = time.monotonic()
        self._news = News(self._board)
        self._due = anyio.Event()
        self._pages: Pages | None = None
        self._stop = anyio.Event()
        self._ended = anyio.Event()
        self._error: Exception | None = None
        self._told = False
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return 0 if self._pages is None else len(self._pages)

    @property
    def board(self) -> Board:
        """What the pages show; its times are seconds since the dashboard was made."""
        return self._board

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            LittleBitsError: The devices are not to be had.
            OSError: The address is not to be had.
        """
        if sniffio.current_async_library() != "asyncio":
            raise InvalidArgumentError("a dashboard runs on asyncio only, as NiceGUI does")
        if self._group is not None:
            raise SessionClosedError("a dashboard can be entered once")
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        try:
            await self._group.start(self._run)
        except BaseException as exc:
            self._group.cancel_scope.cancel()
            await leave(self._group, type(exc), exc, exc.__traceback__)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._group is not None  # noqa: S101 - entered
        self._stop.set()
        await leave(self._group, exc_type, exc, tb)
        if exc is None and not self._told and self._error is not None:
            raise self._error

    async def wait_ended(self) -> None:
        """Wait until it cannot go on.

        Raises:
            AuthenticationError: The token was refused.
            OAuthError: There is no token, and none is to be had.
            SessionClosedError: The session was closed.
        """
        await self._ended.wait()
        self._told = True
        if self._error is not None:
            raise self._error

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        try:
            await self._serve(task_status)
        except Exception as exc:  # noqa: BLE001 - raised by `wait_ended`, or on leaving the block
            error = first_error(exc)
            if self._pages is None:
                raise error from None
            self._error = error
        finally:
            self._ended.set()

    async def _serve(self, task_status: TaskStatus[None]) -> None:
        devices = await self._session.devices()
        self._board.set_devices(devices)
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(listen(self._host, self._port))
            port: int = listener.getsockname()[1]
            outputs = await stack.enter_async_context(OutputQueue(self._session, flush_within=_FLUSH_WITHIN))
            reactor = await stack.enter_async_context(InputReactor(self._session, devices))
            commands = Commands(self._session, outputs, self._board, self._news)
            pages = Pages(self._whole, self._doing(commands), can_log_out=self._access.needs_password)
            guard = Guard(
                await stack.enter_async_context(pages),
                self._access,
                cookie=f"littlebits_dashboard_{port}",
                is_secure=self._ssl_context is not None,
            )
            server = Server(guard, listener, ssl_context=self._ssl_context)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, reactor)
                tasks.start_soon(self._watch, reactor)
                tasks.start_soon(self._list, reactor)
                tasks.start_soon(self._tell, pages, outputs)
                await tasks.start(server.run)
                name = f"[{self._host}]" if ":" in self._host else self._host
                self.url = f"{'http' if self._ssl_context is None else 'https'}://{name}:{port}"
                self._pages = pages
                task_status.started()
                await self._stop.wait()
                await server.stop()
                tasks.cancel_scope.cancel()

    def _doing(self, commands: Commands) -> Callable[[object], Awaitable[dict[str, object]]]:
        async def do(asked: object) -> dict[str, object]:
            answer = await commands(asked)
            self._due.set()
            return answer

        return do

    def _whole(self) -> bytes:
        now = self._now()
        if not self.pages:
            self._news.changes(now, every_card=True)  # nobody was told for a while
        return self._news.whole(now)

    def _now(self) -> float:
        return round(time.monotonic() - self._began, 3)

    async def _read(self, reactor: InputReactor) -> None:
        while True:
            try:
                async for item in reactor.with_gaps():
                    self._board.add(item, self._now())
                    self._due.set()
            except (AuthenticationError, OAuthError, SessionClosedError):
                raise
            except LittleBitsError as exc:
                _log.debug("no device is left that could deliver: %s", exc)
                await anyio.sleep(_ALL_LOST_FOR)

    async def _watch(self, reactor: InputReactor) -> None:
        async for status in reactor.changes():
            try:
                reconnects = reactor.device_stats(status.device_id).reconnects
            except KeyError:  # removed meanwhile
                continue
            self._board.note(status, reconnects=reconnects)
            self._due.set()

    async def _list(self, reactor: InputReactor) -> None:
        while True:
            await anyio.sleep(_LIST_EVERY)
            if not self.pages:
                continue
            try:
                devices = await self._session.devices()
            except (AuthenticationError, OAuthError, SessionClosedError):
                raise
            except LittleBitsError as exc:
                _log.debug("the devices were not to be had: %s", exc)
                continue
            self._board.set_devices(devices)
            for device_id in set(reactor.devices) - set(self._board.cards):
                await reactor.remove(device_id)
            for device in devices:
                if device.id not in reactor.devices:
                    reactor.add(device)
            self._due.set()

    async def _tell(self, pages: Pages, outputs: OutputQueue) -> None:
        looked = 0.0
        while True:
            with anyio.move_on_after(_LOOK_EVERY):
                await self._due.wait()
            self._due = anyio.Event()
            now = self._now()
            is_look = now - looked >= _LOOK_EVERY
            if is_look:
                looked = now
                self._news.note_budget(await self._session.budget.report())
                self._news.note_unwritten({device_id: in_words(exc) for device_id, exc in outputs.errors.items()})
            if len(pages):
                pages.tell(self._news.changes(now, every_card=is_look))
            await anyio.sleep(_TELL_EVERY)
