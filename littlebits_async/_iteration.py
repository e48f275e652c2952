"""Async generators without a suspended frame.

An abandoned async generator function is a ResourceWarning on trio and a leak on asyncio. An object that keeps its own
state is neither, and is an async generator all the same to `async for`, `contextlib.aclosing` and type checkers.
"""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Coroutine
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["Iteration"]

T = TypeVar("T")


class Iteration(AsyncGenerator[T, None]):
    """An async generator whose subclass says what comes next."""

    _ended = False

    @abstractmethod
    def _next(self) -> Coroutine[Any, Any, T]:
        """Return the next item; raise StopAsyncIteration where there is none."""

    async def __anext__(self) -> T:
        if self._ended:
            raise StopAsyncIteration
        return await self._next()

    async def asend(self, value: None, /) -> T:
        """Return the next item; there is nothing to send."""
        if value is not None:
            raise TypeError("can't send a value into this iteration")
        return await self.__anext__()

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> T:
        """End the iteration and raise."""
        await self.aclose()
        error = typ
        if not isinstance(error, BaseException):
            error = val if isinstance(val, error) else error() if val is None else error(val)
        raise error if tb is None else error.with_traceback(tb)

    async def aclose(self) -> None:
        """End the iteration."""
        self._ended = True
