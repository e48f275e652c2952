import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from inspect import isasyncgenfunction

import anyio
import pytest

from littlebits_async._iteration import Iteration  # pyright: ignore[reportPrivateUsage]

pytestmark = pytest.mark.anyio


class FakeCount(Iteration[int]):
    """Counts to an end, yielding to the loop each time."""

    def __init__(self, end: int = 3) -> None:
        self.value = 0
        self.end = end

    async def _next(self) -> int:
        await anyio.lowlevel.checkpoint()
        if self.value == self.end:
            raise StopAsyncIteration
        self.value += 1
        return self.value


async def test_it_gives_what_comes_next_until_there_is_none() -> None:
    with anyio.fail_after(5):
        assert [value async for value in FakeCount()] == [1, 2, 3]


async def test_it_is_an_async_generator_without_a_frame() -> None:
    count = FakeCount()
    assert isinstance(count, AsyncGenerator)
    assert not isasyncgenfunction(FakeCount.__anext__)
    assert count.__aiter__() is count


async def test_break_loses_nothing() -> None:
    count = FakeCount()
    with anyio.fail_after(5):
        async for value in count:
            assert value == 1
            break
        assert [value async for value in count] == [2, 3]


async def test_an_abandoned_one_leaves_nothing_behind() -> None:
    with anyio.fail_after(5):
        async for value in FakeCount():
            assert value == 1
            break
        gc.collect()
        await (
            anyio.lowlevel.checkpoint()
        )  # an abandoned frame would be warned of or closed here, and warnings are errors


async def test_after_aclose_there_is_nothing() -> None:
    count = FakeCount()
    with anyio.fail_after(5):
        assert await anext(count) == 1
        await count.aclose()
        await count.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(count)
        assert [value async for value in count] == []
    assert count.value == 1


async def test_aclosing_ends_it() -> None:
    with anyio.fail_after(5):
        async with aclosing(FakeCount()) as count:
            assert await anext(count) == 1
        assert [value async for value in count] == []


async def test_asend_none_is_anext() -> None:
    count = FakeCount()
    with anyio.fail_after(5):
        assert await count.asend(None) == 1
        assert await anext(count) == 2
        await count.aclose()
        with pytest.raises(StopAsyncIteration):
            await count.asend(None)


async def test_there_is_nothing_to_send() -> None:
    count = FakeCount()
    with anyio.fail_after(5):
        with pytest.raises(TypeError):
            await count.asend(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        assert await anext(count) == 1


async def test_athrow_of_an_error_ends_it_and_raises_that_error() -> None:
    count = FakeCount()
    error = ValueError("mine")
    with anyio.fail_after(5):
        with pytest.raises(ValueError, match="mine") as caught:
            await count.athrow(error)
        assert caught.value is error
        assert [value async for value in count] == []


async def test_athrow_of_a_class_makes_the_error_as_a_generator_does() -> None:
    with anyio.fail_after(5):
        with pytest.raises(ValueError, match=r"^$"):
            await FakeCount().athrow(ValueError)
        with pytest.raises(ValueError, match=r"^mine$"):
            await FakeCount().athrow(ValueError, "mine")
        error = ValueError("mine")
        with pytest.raises(ValueError, match=r"^mine$") as caught:
            await FakeCount().athrow(ValueError, error)
        assert caught.value is error


async def test_athrow_keeps_the_traceback_that_it_is_given() -> None:
    with pytest.raises(ValueError, match="invalid literal") as original:
        int("no number")
    origin = original.value.__traceback__
    with anyio.fail_after(5), pytest.raises(ValueError, match="mine") as caught:
        await FakeCount().athrow(ValueError, ValueError("mine"), origin)
    traceback = caught.value.__traceback__
    while traceback is not None and traceback is not origin:
        traceback = traceback.tb_next
    assert traceback is origin


async def test_athrow_of_generator_exit_raises_it() -> None:
    with anyio.fail_after(5), pytest.raises(GeneratorExit):
        await FakeCount().athrow(GeneratorExit)


async def test_an_error_of_the_subclass_comes_through() -> None:
    class Failing(Iteration[int]):
        async def _next(self) -> int:
            raise RuntimeError("broken")

    with anyio.fail_after(5), pytest.raises(RuntimeError, match=r"^broken$"):
        await anext(Failing())


async def test_a_cancelled_wait_does_not_end_it() -> None:
    class Waiting(Iteration[int]):
        ready = anyio.Event()

        async def _next(self) -> int:
            await self.ready.wait()
            return 1

    waiting = Waiting()
    with anyio.move_on_after(0):
        await anext(waiting)
    waiting.ready.set()
    with anyio.fail_after(5):
        assert await anext(waiting) == 1
