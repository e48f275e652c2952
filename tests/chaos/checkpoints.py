"""Cancels an operation at each of its checkpoints in turn.

A checkpoint is a suspension of any task that the operation runs: our calls run in child tasks, so those of the outer
task alone would be few. On asyncio a task factory wraps each coroutine and sees what it yields; on trio an instrument
sees each step. The operation is run again and again, cancelled at its first checkpoint, at its second, ..., until it
ends before it meets the one to be cancelled at: so the number of checkpoints is found, not told.
"""

import asyncio
import inspect
import types
from asyncio import CancelledError
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, cast
from unittest.mock import patch

import anyio
import sniffio
import trio
from attrs import define, field, frozen

__all__ = [
    "ANYIO",
    "ASYNCIO",
    "Checkpoints",
    "Ending",
    "Flavour",
    "Operation",
    "Sweep",
    "counting",
    "sweep",
    "tasks_living",
]

PATIENCE = 10
"""Seconds after which an operation hangs."""

AGES = 1e6
"""A timeout that is not due by itself."""

Operation = Callable[[], Coroutine[Any, Any, object]]

_current: ContextVar["Checkpoints | None"] = ContextVar("checkpoints", default=None)


@define(eq=False)
class Checkpoints:
    """The checkpoints of one run of an operation, in all its tasks.

    Attributes:
        at: Where to act: what is done at which checkpoint.
        woken: Act only when what the task waits for has happened, just before the task hears of it.
        met: How many were met.
        acted: Whether anything was done.
    """

    at: dict[int, Callable[[], object]] = field(factory=dict[int, Callable[[], object]])
    woken: bool = False
    met: int = 0
    acted: bool = False
    _over: bool = False

    def end(self) -> None:
        """Say that the operation is over: what its tasks do from now on does not count."""
        self._over = True

    def meet(self, when_woken: Callable[[Callable[[], object]], None]) -> None:
        """Count one, and act where it is time to.

        Args:
            when_woken: Has something done just when the task is woken.
        """
        if self._over:
            return
        self.met += 1
        if (act := self.at.get(self.met)) is not None:
            self.acted = True
            if self.woken:
                when_woken(act)
            else:
                act()

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """Count the checkpoints of the tasks that are started in the block, and of those that they start, for ever."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


@contextmanager
def counting() -> Generator[None, None, None]:
    """Have all `Checkpoints` count in this event loop."""
    if sniffio.current_async_library() == "trio":
        instrument = _Instrument()
        trio.lowlevel.add_instrument(instrument)
        try:
            yield
        finally:
            trio.lowlevel.remove_instrument(instrument)
    else:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(_start_task)
        try:
            yield
        finally:
            loop.set_task_factory(None)


class _Instrument(trio.abc.Instrument):
    def __init__(self) -> None:
        self._when_woken: dict[trio.lowlevel.Task, Callable[[], object]] = {}

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        checkpoints = task.context.get(_current)
        if checkpoints is not None and inspect.getcoroutinestate(task.coro) != inspect.CORO_CLOSED:
            checkpoints.meet(partial(self._when_woken.__setitem__, task))

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._when_woken.pop(task, lambda: None)()


def _start_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **options: Any
) -> "asyncio.Task[Any]":
    context = options.get("context")
    checkpoints = _current.get() if context is None else context.get(_current)
    if checkpoints is not None:
        coroutine = _wrapped(coroutine, checkpoints)
    return asyncio.Task(coroutine, loop=loop, **options)


async def _wrapped(coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], checkpoints: Checkpoints) -> object:
    # A native coroutine: anyio looks at its state to see whether the task has started.
    return await _stepped(coroutine, checkpoints)


@types.coroutine
def _stepped(
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any], checkpoints: Checkpoints
) -> Generator[Any, None, object]:
    step = partial(coroutine.send, None)
    try:
        while True:
            try:
                awaited = step()
            except StopIteration as stop:
                return stop.value
            checkpoints.meet(partial(_when_woken, awaited))
            try:
                yield awaited
                step = partial(coroutine.send, None)
            except BaseException as exc:  # noqa: BLE001 - whatever it is, it is the coroutine's
                step = partial(coroutine.throw, exc)
    finally:
        del step  # which holds the error whose traceback holds this frame


def _when_woken(awaited: object, act: Callable[[], object]) -> None:
    # Either comes before the task's own.
    if isinstance(awaited, asyncio.Future):
        future = cast("asyncio.Future[object]", awaited)
        future.add_done_callback(lambda _: act())
    else:
        asyncio.get_running_loop().call_soon(act)


# --- flavours


@frozen
class Ending:
    """How one run ended.

    Attributes:
        met: The checkpoints that it met.
        reached: Whether it met the one to be cancelled at.
        cancelled: Whether it was: a deadline at the last moment may be too late.
    """

    met: int
    reached: bool
    cancelled: bool


Flavour = Callable[[Operation, Operation, int], Coroutine[Any, Any, Ending]]
"""Runs an operation, cancels it at a checkpoint, asserts that the right thing came out; the same task goes on then."""


def cancelled_scope(*, woken: bool = False) -> Flavour:
    """An anyio scope is cancelled, on asyncio or trio."""

    async def run(operation: Operation, afterwards: Operation, at: int) -> Ending:
        scope = anyio.CancelScope()
        checkpoints = Checkpoints({at: scope.cancel}, woken=woken)
        raised: list[type[BaseException]] = []

        async def outermost() -> None:
            with scope:
                try:
                    await operation()
                except BaseException as exc:
                    raised.append(type(exc))
                    raise
            checkpoints.end()
            await afterwards()

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                with checkpoints.watched():
                    group.start_soon(outermost)
        assert raised in ([], [anyio.get_cancelled_exc_class()]), f"checkpoint {at}: {raised} came out"
        assert bool(raised) == scope.cancelled_caught
        return Ending(checkpoints.met, checkpoints.acted, scope.cancelled_caught)

    return run


def cancelled_native(*, times: int = 1, again: bool = False, woken: bool = False) -> Flavour:
    """The task is cancelled, so many times at once, and again at the next checkpoint."""

    async def run(operation: Operation, _: Operation, at: int) -> Ending:
        checkpoints = Checkpoints(woken=woken)
        task = _started(operation, checkpoints)
        alive = False

        def cancel() -> None:
            nonlocal alive
            for _ in range(times):
                alive |= task.cancel()

        checkpoints.at = {at: cancel, at + 1: cancel} if again else {at: cancel}
        await _ended(task)
        if not alive:
            task.result()
        else:
            assert task.cancelled(), f"checkpoint {at}: {task.exception()!r} came out of what was cancelled"
        return Ending(checkpoints.met, reached=alive, cancelled=alive)

    return run


async def cancelled_and_swallowed(operation: Operation, afterwards: Operation, at: int) -> Ending:
    """The task is cancelled, takes it back, and goes on."""
    checkpoints = Checkpoints()
    cancelled = False

    async def run() -> None:
        nonlocal cancelled
        try:
            await operation()
        except CancelledError:
            cancelled = True
            assert task.uncancel() == 0
        checkpoints.end()
        await afterwards()

    task = _started(run, checkpoints)
    checkpoints.at[at] = task.cancel
    await _ended(task)
    task.result()
    return Ending(checkpoints.met, checkpoints.acted, cancelled)


async def timed_out(operation: Operation, afterwards: Operation, at: int) -> Ending:
    """``asyncio.timeout`` expires."""
    checkpoints = Checkpoints()

    async def run() -> bool:
        timeout = asyncio.timeout(None)
        checkpoints.at[at] = lambda: timeout.reschedule(0)
        try:
            async with timeout:
                await operation()
        except TimeoutError:
            assert timeout.expired()
        checkpoints.end()
        await afterwards()
        return timeout.expired()

    task = _started(run, checkpoints)
    await _ended(task)
    return Ending(checkpoints.met, checkpoints.acted, cancelled=task.result())


async def waited_for(operation: Operation, afterwards: Operation, at: int) -> Ending:
    """``asyncio.wait_for`` times out."""
    loop = asyncio.get_running_loop()
    checkpoints = Checkpoints()
    call_at = loop.call_at

    def note_timeout(when: float, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.TimerHandle:
        if when > loop.time() + AGES / 2:
            checkpoints.at[at] = lambda: loop.call_soon(callback, *args)
        return call_at(when, callback, *args, **options)

    async def run() -> bool:
        try:
            await asyncio.wait_for(operation(), AGES)
        except TimeoutError:
            expired = True
        else:
            expired = False
        checkpoints.end()
        await afterwards()
        return expired

    with patch.object(loop, "call_at", note_timeout):
        task = _started(run, checkpoints)
        await _ended(task)
    return Ending(checkpoints.met, checkpoints.acted, cancelled=task.result())


ANYIO: dict[str, Flavour] = {
    "scope": cancelled_scope(),
    "scope, just when it is woken": cancelled_scope(woken=True),
}
"""What there is on asyncio and trio."""

ASYNCIO: dict[str, Flavour] = {
    "native": cancelled_native(),
    "native, just when it is woken": cancelled_native(woken=True),
    "native, twice at once": cancelled_native(times=2),
    "native, and again at the next": cancelled_native(again=True),
    "native, and swallowed": cancelled_and_swallowed,
    "asyncio.timeout": timed_out,
    "asyncio.wait_for": waited_for,
}
"""What there is on asyncio besides."""


def _started(operation: Operation, checkpoints: Checkpoints) -> "asyncio.Task[Any]":
    with checkpoints.watched():
        return asyncio.create_task(operation())


async def _ended(task: "asyncio.Task[Any]") -> None:
    with anyio.fail_after(PATIENCE):
        await asyncio.wait([task])


# --- sweeps


@define
class Sweep:
    """What became of an operation that was cancelled at each checkpoint in turn.

    Attributes:
        checkpoints: How many the run met that was cancelled at none.
        cancelled: How many runs were cancelled.
        late: How many runs ended all the same, because the cancellation came with their last steps.
    """

    checkpoints: int = 0
    cancelled: int = 0
    late: int = 0


async def sweep(operation: Operation, flavour: Flavour, *, afterwards: Operation, check: Operation) -> Sweep:
    """Cancel an operation at each of its checkpoints in turn.

    Args:
        operation: What is run, each time anew.
        flavour: How it is cancelled.
        afterwards: What still has to work in the same task, where the cancellation leaves one to go on.
        check: Asserts, after each run, that no harm was done.
    """
    result = Sweep()
    at = 1
    with counting():
        while True:
            ending = await flavour(operation, afterwards, at)
            await check()
            if not ending.reached:
                result.checkpoints = ending.met
                return result
            result.cancelled += ending.cancelled
            result.late += not ending.cancelled
            at += 1


def tasks_living() -> int:
    """Count the tasks of this event loop."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())
