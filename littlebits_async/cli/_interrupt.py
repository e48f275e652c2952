"""Ctrl-C, and a service manager's SIGTERM, as an ordinary end."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

__all__ = ["interruptible"]

T = TypeVar("T")


async def interruptible(work: Callable[[], Awaitable[T]], stop: Callable[[], None]) -> T:
    """Run `work` to its end, and have the first SIGINT or SIGTERM call `stop`, which should bring that end about.

    A second Ctrl-C is a KeyboardInterrupt again, for work that does not end.

    Raises:
        ExceptionGroup: Whatever `work` raised, in a group.
    """
    results: list[T] = []
    async with anyio.create_task_group() as tasks:
        await tasks.start(_call_at_signal, stop)
        results.append(await work())
        tasks.cancel_scope.cancel()
    return results[0]


async def _call_at_signal(stop: Callable[[], None], *, task_status: TaskStatus[None]) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            await anext(aiter(signals))
    except NotImplementedError:  # Windows' event loops: Ctrl-C stays a KeyboardInterrupt
        task_status.started()
    else:
        stop()
