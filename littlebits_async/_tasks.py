"""Ways to run tasks so that a cancellation damages nothing, and an error comes out as itself.

httpx 0.28 and httpcore 1.0 lose connections for good when a native ``task.cancel()`` meets them (encode/httpcore#1093):
asyncio throws it at whatever await the task stands at, also inside a clean-up that an anyio shield protects. A child
task of an anyio task group is out of its reach: only the group cancels it, and the shields hold.
"""

import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar, cast

import anyio
import anyio.abc

__all__ = ["cancellation_in", "first_error", "leave", "run_in_child", "run_to_end"]

T = TypeVar("T")


async def run_in_child(call: Callable[[], Awaitable[T]]) -> T:
    """Run ``call`` in a child task, and give its result or raise its error as if it were awaited here.

    Args:
        call: What to run.

    Returns:
        What ``call`` gave.

    Cancellation: reaches ``call`` as an anyio cancellation; returns when its clean-up is done.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    async def child() -> None:
        # Carried out by hand: a task group would wrap it in an ExceptionGroup.
        try:
            results.append(await call())
        except BaseException as exc:  # raised below
            errors.append(exc)
            if cancellation_in(exc) is not None:
                raise

    try:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(child)
        except BaseExceptionGroup as exc:
            if (cancellation := cancellation_in(exc)) is not None:
                raise cancellation from None
            raise
        if errors:
            raise errors[0]
        return results[0]
    finally:
        errors.clear()  # its traceback holds this frame: no reference cycle


def cancellation_in(exc: BaseException) -> BaseException | None:
    """Return the cancellation that an exception is, or that it consists of: on trio it may come as a group."""
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", exc)
        found = [cancellation_in(part) for part in group.exceptions]
        return None if None in found else found[0]
    return exc if isinstance(exc, anyio.get_cancelled_exc_class()) else None


def first_error(exc: Exception) -> Exception:
    """Return the first error of a group of groups, which is what one who knows of no groups would have seen."""
    while isinstance(exc, ExceptionGroup):
        exc = cast("ExceptionGroup[Exception]", exc).exceptions[0]
    return exc


async def leave(
    group: anyio.abc.TaskGroup,
    exc_type: type[BaseException] | None,
    exc: BaseException | None,
    tb: TracebackType | None,
) -> None:
    """Leave a task group that the block of a context manager of ours owns; its tasks have been told to end.

    An error of the block comes out as itself: it passes by the group, which would wrap it in an ExceptionGroup.
    """
    if isinstance(exc, anyio.get_cancelled_exc_class()):
        await group.__aexit__(exc_type, exc, tb)
        return
    try:
        await group.__aexit__(None, None, None)
    except anyio.get_cancelled_exc_class():
        # A scope around us that is cancelled will say so again; an error of the block is said only once.
        if exc is None or anyio.current_effective_deadline() > -math.inf:
            raise


async def run_to_end(call: Callable[[], Awaitable[None]]) -> None:
    """Run a clean-up to its end, whoever cancels; a cancellation is raised afterwards.

    Args:
        call: The clean-up; it must not wait for a peer.
    """

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            await call()

    with anyio.CancelScope(shield=True):
        await run_in_child(shielded)
