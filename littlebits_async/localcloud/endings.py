"""Work that is done to its end, whoever cancels."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import anyio

__all__ = ["to_the_end"]

P = ParamSpec("P")
T = TypeVar("T")


def to_the_end(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have each call carried out in full before its caller is cancelled, by anyio or by asyncio.

    What is on disk must take place in memory too, and no thread or lock may be left behind. Whoever is cancelled is
    told that, and not how it ended.
    """

    @functools.wraps(function)
    async def carried_out(*args: P.args, **kwargs: P.kwargs) -> T:
        task, cancelled = asyncio.create_task(function(*args, **kwargs)), None
        with anyio.CancelScope(shield=True):  # else anyio would cancel again at each turn of the loop
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:
                    cancelled = error
        if cancelled is not None:
            if not task.cancelled():
                task.exception()  # was looked at: asyncio would log it
            raise cancelled
        return task.result()

    return carried_out
