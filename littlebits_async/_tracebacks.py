"""What a traceback must not tell: error reporters show the locals of every frame, and some hold tokens and keys."""

import functools
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

__all__ = ["clear_locals", "discreet", "discreet_call", "origins"]

P = ParamSpec("P")
T = TypeVar("T")


def discreet(call: Callable[P, T]) -> Callable[P, T]:
    """Have a call whose arguments are secret forget them when it fails; file and line stay."""

    @functools.wraps(call)
    def discreetly(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except BaseException as exc:
            del args, kwargs
            _forget(exc.__traceback__)
            raise

    return discreetly


def discreet_call(call: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same for a coroutine function."""

    @functools.wraps(call)
    async def discreetly(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except BaseException as exc:
            del args, kwargs
            _forget(exc.__traceback__)
            raise

    return discreetly


def origins(exc: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came from.

    Args:
        exc: The error.
        handled: What was being handled when our work began, which is not ours to touch.
    """
    seen = {id(handled), id(None)}
    found: list[BaseException | None] = [exc]
    while found:
        part = found.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        found += [part.__cause__, part.__context__]
        if isinstance(part, BaseExceptionGroup):
            found += cast("BaseExceptionGroup[BaseException]", part).exceptions
        yield part


def clear_locals(exc: BaseException, handled: BaseException | None) -> None:
    """Leave of an error's traceback, and of those of all that it came from, the text: it has no locals.

    Clearing the frames would not do: before Python 3.13 that closes one that still waits, and an error may have come
    from another task, which goes on.
    """
    for part in origins(exc, handled):
        if part.__traceback__ is not None:
            part.add_note("".join(traceback.format_tb(part.__traceback__)))
            part.with_traceback(None)


def _forget(trace: TracebackType | None) -> None:
    for frame, _ in traceback.walk_tb(trace):
        if frame.f_globals.get("__name__", "").partition(".")[0] == __package__:  # ours have ended; a user's may wait
            with suppress(RuntimeError):  # this one and those that await it
                frame.clear()
