"""Two ways to run a piece of I/O so that cancelling its caller cannot damage what it works on.

httpx 0.28 and httpcore 1.0 lose connections for good when a native ``task.cancel()`` meets them (encode/httpcore#1093):
asyncio throws it at whatever await the task stands at, also inside a clean-up that an anyio shield protects. A child
task of an anyio task group is out of its reach: only the group cancels it, and the shields hold.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

__all__ = ["run_in_child", "run_to_end"]

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
        except anyio.get_cancelled_exc_class() as exc:
            errors.append(exc)
            raise
        except BaseException as exc:  # noqa: BLE001 - raised below
            errors.append(exc)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
        if errors:
            raise errors[0]
        return results[0]
    finally:
        errors.clear()  # its traceback holds this frame: no reference cycle


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
