"""A request that must not be lost once it is on its way.

A server that gives each refresh token once has used ours up when it reads the request. Were the answer not awaited
because who asked for it was cancelled, everybody who shares the token would be logged out.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio

from .._tasks import cancellation_in

__all__ = ["GRACE", "Commit", "see_through"]

GRACE: Final = 2.0
"""Seconds for which a cancellation waits for the answer of a request that is on its way."""

T = TypeVar("T")
Commit = Callable[[], None]
"""To be called when the work has come to the point from which it should be seen through."""


async def see_through(work: Callable[[Commit], Awaitable[T]]) -> T:
    """Run work in a child task, and give its result or raise its error.

    Cancellation: ends the work at once, as long as it has not committed itself; from then on it is given `GRACE`
    seconds to end by itself. In a child task it holds against asyncio's own ``task.cancel()``, too.
    """
    results: list[T] = []
    errors: list[Exception] = []
    scope = anyio.CancelScope()
    ended = anyio.Event()

    def commit() -> None:
        scope.shield = True

    async def child() -> None:
        with scope:
            try:
                results.append(await work(commit))
            except Exception as exc:  # noqa: BLE001 - raised below, by itself and not in a group
                errors.append(exc)
        ended.set()

    try:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(child)
                try:
                    await ended.wait()
                except anyio.get_cancelled_exc_class():
                    scope.deadline = anyio.current_time() + GRACE
                    raise
        except BaseExceptionGroup as exc:
            if (cancellation := cancellation_in(exc)) is not None:
                raise cancellation from None
            raise
        if errors:
            raise errors[0]
        return results[0]
    finally:
        errors.clear()  # its traceback holds this frame: no reference cycle
