"""How operators are run: over events that come, and over events that are there."""

import inspect
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from functools import partial, wraps
from typing import Generic, ParamSpec, Protocol, TypeVar, cast, overload

import anyio

from .._iteration import Iteration
from ..errors import InvalidArgumentError
from ..models import InputEvent
from ._cores import Core

__all__ = ["operator"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Operator(Protocol[P, T_co]):
    """Called with events and the operator's own arguments."""

    @overload
    def __call__(
        self, events: AsyncIterable[InputEvent], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T_co, None]: ...
    @overload
    def __call__(
        self, events: Iterable[InputEvent], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T_co, None, None]: ...


def operator(make: Callable[P, Core[T]]) -> Operator[P, T]:
    """Make an operator of what makes its core; the operator has the events as its first argument besides."""

    @wraps(make)
    def operate(
        events: AsyncIterable[InputEvent] | Iterable[InputEvent], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None] | Generator[T, None, None]:
        make_core = partial(make, *args, **kwargs)
        holds = make_core().holds  # and raises here what its arguments are to blame for
        if isinstance(events, AsyncIterable):
            return _Coming(events, Cores(make_core), holds=holds, name=make.__name__)
        return _there(events, Cores(make_core))

    signature = inspect.signature(make)
    first = inspect.Parameter("events", inspect.Parameter.POSITIONAL_ONLY)
    operate.__signature__ = signature.replace(  # type: ignore[attr-defined] # a function may have one
        parameters=[first, *signature.parameters.values()], return_annotation=inspect.Signature.empty
    )
    return cast("Operator[P, T]", operate)


class Cores(Generic[T]):
    """A core for each device."""

    def __init__(self, make: Callable[[], Core[T]]) -> None:
        self._make = make
        self._cores: dict[str, Core[T]] = {}

    def of(self, device_id: str) -> Core[T]:
        """Return a device's core."""
        if (core := self._cores.get(device_id)) is None:
            core = self._cores[device_id] = self._make()
        return core

    def release(self) -> Iterable[T]:
        """Give all that is held, in the order in which it would have been due."""
        for core in sorted(self._cores.values(), key=lambda core: core.due):
            yield from core.release()


def _there(events: Iterable[InputEvent], cores: Cores[T]) -> Generator[T, None, None]:
    for event in events:
        yield from cores.of(event.device_id).feed(event)
    yield from cores.release()


class _Coming(Iteration[T]):
    """What comes of events as they come.

    Attributes:
        fragile: Whether a wait for it that is given up would end what it reads from.
    """

    def __init__(self, events: AsyncIterable[InputEvent], cores: Cores[T], *, holds: bool, name: str) -> None:
        self._upstream: AsyncIterator[InputEvent] = aiter(events)
        self.fragile: bool = inspect.isasyncgen(self._upstream) or (
            isinstance(self._upstream, _Coming) and self._upstream.fragile
        )
        if holds and self.fragile:
            raise InvalidArgumentError(
                f"{name}: an async generator function does not survive a wait that is given up; read it with merge():"
                f" `async with merge(events) as merged: async for … in {name}(merged, …)`"
            )
        self._ours = self._upstream is not events
        self._cores = cores
        self._deadlines: dict[str, float] = {}  # by the local clock, of the devices that something is held of
        self._ready: deque[T] = deque()
        self._over = False
        self._waiting: anyio.CancelScope | None = None
        self._guard = anyio.ResourceGuard("iterating over")

    async def _next(self) -> T:
        with self._guard:
            while not self._ready:
                if self._over or self._ended:
                    raise StopAsyncIteration
                await self._advance()
            return self._ready.popleft()

    async def _advance(self) -> None:
        try:
            event = await self._receive()
        except StopAsyncIteration:
            self._over = True
            self._deadlines.clear()
            self._ready.extend(self._cores.release())
            return
        if event is None:
            self._release_due()
            return
        core = self._cores.of(event.device_id)
        self._ready.extend(core.feed(event))
        if core.due < math.inf:
            self._deadlines[event.device_id] = anyio.current_time() + (core.due - event.timestamp_ms) / 1000
        else:
            self._deadlines.pop(event.device_id, None)

    async def _receive(self) -> InputEvent | None:
        """Take the next event, None where something is due before it; what is ready comes first."""
        try:
            with anyio.CancelScope(deadline=min(self._deadlines.values(), default=math.inf)) as self._waiting:
                return await anext(self._upstream)
        finally:
            self._waiting = None
            if self._ended:
                await self._close()
        return None

    def _release_due(self) -> None:
        now = anyio.current_time()
        for device_id, deadline in sorted(self._deadlines.items(), key=lambda item: item[1]):
            if deadline > now:
                break
            del self._deadlines[device_id]
            self._ready.extend(self._cores.of(device_id).release())

    async def aclose(self) -> None:
        """End the iteration, for whoever waits in it too."""
        await super().aclose()
        self._ready.clear()
        self._deadlines.clear()
        if self._waiting is not None:
            self._waiting.cancel()
        else:
            await self._close()

    async def _close(self) -> None:
        """Close what was made here to iterate with; what was given is its owner's."""
        if self._ours and (close := getattr(self._upstream, "aclose", None)) is not None:
            with anyio.CancelScope(shield=True):
                await close()
