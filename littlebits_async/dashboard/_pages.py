"""The edge to NiceGUI: the one place that knows it. It is asyncio only, and has one application for each process.

NiceGUI serves the page, keeps its websocket, and calls back; what the page shows is a component of our own, `board.js`,
that is told what has changed once for all devices. Elements of NiceGUI's for each would cost as much for each page as
all that the rest of the dashboard does.
"""

# pyright: reportUnknownMemberType=false
# NiceGUI's signatures take bare callables, whose types are unknown.

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, cast

import anyio
import msgspec
from fastapi import FastAPI
from nicegui import Client, core, ui
from nicegui.events import GenericEventArguments
from starlette.types import ASGIApp

from ..errors import InvalidArgumentError

__all__ = ["Pages"]

_HERE: Final = Path(__file__).parent
_RECONNECT_WITHIN: Final = 3.0
"""Seconds for which a page that lost its connection is waited for."""
_PATIENCE: Final = 15.0
"""Of this NiceGUI makes how often it asks whether a page is there, 0.8, and how long that may take to answer, 0.4: a
phone that is busy takes its time."""

_STOP_WITHIN: Final = 3.0


class _Board(ui.element, component="board.js"):
    """The whole page; tells ``ask`` what somebody wants done, and has the methods ``tell`` and ``answer``."""


class Pages:
    """The open pages of one dashboard.

    Args:
        whole: Gives everything there is to tell, as JSON; for a page that opens.
        do: Does what a page asks for, and returns what to tell it.
        can_log_out: Whether pages offer it.
    """

    def __init__(
        self, whole: Callable[[], bytes], do: Callable[[object], Awaitable[dict[str, object]]], *, can_log_out: bool
    ) -> None:
        self._whole = whole
        self._do = do
        self._can_log_out = can_log_out
        self._boards: dict[str, _Board] = {}
        self._clients: dict[str, Client] = {}
        self._running = AsyncExitStack()

    def __len__(self) -> int:
        """Return how many pages are connected."""
        return len(self._boards)

    def tell(self, news: bytes) -> None:
        """Tell every page what is new."""
        for board in self._boards.values():
            _call(board, "tell", news)

    @property
    def kept(self) -> int:
        """How many pages are kept: those that are connected, and those that may come back in a moment."""
        return len(self._clients)

    async def __aenter__(self) -> ASGIApp:
        """Start NiceGUI, and return the application.

        Raises:
            InvalidArgumentError: Another dashboard is running in this process.
        """
        application = _application()
        if application.state.pages is not None:
            raise InvalidArgumentError("one dashboard at a time can run in a process: NiceGUI has but one application")
        application.state.pages = self
        self._running.callback(setattr, application.state, "pages", None)
        try:
            await self._running.enter_async_context(application.router.lifespan_context(application))
        except BaseException:
            await self._running.aclose()
            raise
        return application

    async def __aexit__(self, *_: object) -> None:
        """Forget the pages, and stop NiceGUI."""
        with anyio.move_on_after(_STOP_WITHIN, shield=True):
            for client in list(self._clients.values()):
                client.delete()
            await _end_engine()
            await self._running.aclose()

    def build(self, client: Client) -> None:
        """Build a page."""
        ui.add_head_html(_head())
        board = _Board()
        board.props["can-log-out"] = self._can_log_out
        self._clients[client.id] = client

        async def ask(event: GenericEventArguments) -> None:
            answer = await self._do(event.args)
            if client.id in self._boards:
                _call(board, "answer", msgspec.json.encode(answer))

        def connect() -> None:
            _call(board, "tell", self._whole())
            self._boards[client.id] = board

        def disconnect() -> None:
            if not client.has_socket_connection:
                self._boards.pop(client.id, None)

        def forget() -> None:
            self._boards.pop(client.id, None)
            self._clients.pop(client.id, None)

        board.on("ask", ask)
        client.on_connect(connect)
        client.on_disconnect(disconnect)
        client.on_delete(forget)


def _call(board: _Board, method: str, argument: bytes) -> None:
    # JSON is JavaScript; `run_method` would encode it once more for each page.
    _ = board.client.run_javascript(f'runMethod({board.id}, "{method}", [{argument.decode()}])')


@functools.cache
def _head() -> str:
    return f"<style>{(_HERE / 'board.css').read_text(encoding='utf-8')}</style>"


_engine: Final = cast("Any", core.sio.eio)  # has no types
_engine_tasks: Final = set[asyncio.Task[object]]()


def _start(target: Callable[..., Coroutine[Any, Any, object]], *args: object, **kwargs: object) -> asyncio.Task[object]:
    """Start a task of the websockets' engine, which keeps track of none, and lets some sleep on after their socket."""
    task = asyncio.get_running_loop().create_task(target(*args, **kwargs))
    _engine_tasks.add(task)
    task.add_done_callback(_engine_tasks.discard)
    return task


async def _end_engine() -> None:
    """End the engine's tasks, and let it start anew for the next dashboard."""
    tasks = set(_engine_tasks)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    _engine.sockets.clear()
    _engine.start_service_task = True


@functools.cache
def _application() -> FastAPI:
    """Return the one application that NiceGUI runs with: it cannot be run with another later."""
    application = FastAPI(openapi_url=None)
    _engine.start_background_task = _start
    application.state.pages = None

    def page(client: Client) -> None:
        pages: Pages = application.state.pages
        pages.build(client)

    ui.page("/", title="cloudBits", reconnect_timeout=_RECONNECT_WITHIN)(page)
    ui.run_with(
        application,
        dark=None,
        language="en-US",
        reconnect_timeout=_PATIENCE,
        binding_refresh_interval=None,  # nothing is bound
        tailwind=False,
        show_welcome_message=False,
        favicon=_HERE / "icon.svg",
    )
    return application
