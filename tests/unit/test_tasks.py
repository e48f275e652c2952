import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from littlebits_async._tasks import run_in_child, run_to_end  # pyright: ignore[reportPrivateUsage]


class FakeIO:
    """A piece of I/O that lasts until it is let go, and has a clean-up that awaits."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.started = anyio.Event()
        self.go = anyio.Event()
        self.cancelled = False
        self.cleaning = anyio.Event()
        self.clean = anyio.Event()
        self.done = False

    async def __call__(self) -> str:
        self.started.set()
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise
        finally:
            with anyio.CancelScope(shield=True):
                self.cleaning.set()
                await self.clean.wait()
            self.done = True
        if self.error is not None:
            raise self.error
        return "answer"

    def let_go(self) -> None:
        self.go.set()
        self.clean.set()


class FakeCleanUp:
    """A clean-up with awaits of its own, all of which must be passed."""

    def __init__(self) -> None:
        self.started = anyio.Event()
        self.go = anyio.Event()
        self.steps = 0

    async def __call__(self) -> None:
        self.started.set()
        await self.go.wait()
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            self.steps += 1


# --- run_in_child, on asyncio and trio


@pytest.mark.anyio
async def test_the_result_is_given() -> None:
    io = FakeIO()
    io.let_go()
    with anyio.fail_after(5):
        assert await run_in_child(io) == "answer"


@pytest.mark.anyio
async def test_none_is_a_result() -> None:
    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        await run_in_child(nothing)


@pytest.mark.anyio
async def test_it_runs_in_another_task() -> None:
    async def task() -> int:
        await anyio.lowlevel.checkpoint()
        return anyio.get_current_task().id

    with anyio.fail_after(5):
        assert await run_in_child(task) != anyio.get_current_task().id


@pytest.mark.requirement("R7.error")
@pytest.mark.anyio
@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("late"), KeyError("k")], ids=repr)
async def test_an_error_is_raised_as_it_is(error: Exception) -> None:
    io = FakeIO(error)
    io.let_go()
    with anyio.fail_after(5), pytest.raises(type(error)) as caught:
        await run_in_child(io)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.anyio
async def test_an_error_group_of_the_call_is_left_as_it_is() -> None:
    group = ExceptionGroup("two", [ValueError("a"), KeyError("b")])
    io = FakeIO(group)
    io.let_go()
    with anyio.fail_after(5), pytest.raises(ExceptionGroup) as caught:
        await run_in_child(io)
    assert caught.value is group


@pytest.mark.anyio
async def test_a_cancelled_scope_reaches_the_call_and_waits_for_its_clean_up() -> None:
    io = FakeIO()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            returned = anyio.Event()

            async def caller() -> None:
                try:
                    await run_in_child(io)
                finally:
                    assert io.done
                    returned.set()

            group.start_soon(caller)
            await io.started.wait()
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await io.cleaning.wait()
                assert not returned.is_set()
                io.clean.set()
                await returned.wait()
    assert io.cancelled


@pytest.mark.anyio
async def test_a_deadline_around_the_call_holds() -> None:
    io = FakeIO()
    io.clean.set()
    with anyio.fail_after(5):
        with pytest.raises(TimeoutError), anyio.fail_after(0.01):
            await run_in_child(io)
        assert io.done
        assert io.cancelled


@pytest.mark.anyio
async def test_a_deadline_within_the_call_is_its_own_error() -> None:
    async def late() -> None:
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(TimeoutError):
        await run_in_child(late)


# --- run_to_end, on asyncio and trio


@pytest.mark.anyio
async def test_a_clean_up_runs_in_full() -> None:
    clean_up = FakeCleanUp()
    clean_up.go.set()
    with anyio.fail_after(5):
        await run_to_end(clean_up)
    assert clean_up.steps == 3


@pytest.mark.anyio
async def test_the_error_of_a_clean_up_is_raised_as_it_is() -> None:
    error = ValueError("mine")

    async def failing() -> None:
        raise error

    with anyio.fail_after(5), pytest.raises(ValueError, match="mine") as caught:
        await run_to_end(failing)
    assert caught.value is error


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.anyio
async def test_a_clean_up_runs_in_full_where_the_scope_is_cancelled_already() -> None:
    clean_up = FakeCleanUp()
    clean_up.go.set()
    with anyio.fail_after(5):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run_to_end(clean_up)
            assert clean_up.steps == 3
            await anyio.lowlevel.checkpoint()
            pytest.fail("the cancellation was lost")
    assert scope.cancelled_caught


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.anyio
async def test_a_clean_up_runs_in_full_when_the_scope_is_cancelled_meanwhile() -> None:
    clean_up = FakeCleanUp()
    after = False
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:

            async def caller() -> None:
                nonlocal after
                await run_to_end(clean_up)
                await anyio.lowlevel.checkpoint()
                after = True

            group.start_soon(caller)
            await clean_up.started.wait()
            group.cancel_scope.cancel()
            clean_up.go.set()
    assert clean_up.steps == 3
    assert not after


# --- native cancellation, asyncio's own


@asynccontextmanager
async def task_of(call: Callable[[], Awaitable[object]]) -> AsyncGenerator[asyncio.Task[object], None]:
    """A native task that awaits ``call``, not left behind."""

    async def run() -> object:
        return await call()

    task = asyncio.create_task(run())
    try:
        async with asyncio.timeout(5):
            yield task
            await asyncio.wait([task])
    finally:
        task.cancel()
    assert task.done()


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_native_cancellation_cancels_the_call_once_and_waits_for_its_clean_up(times: int) -> None:
    io = FakeIO()
    async with task_of(lambda: run_in_child(io)) as task:
        await io.started.wait()
        for _ in range(times):
            task.cancel()
            await io.cleaning.wait()
            await asyncio.sleep(0)
        assert not task.done()  # the clean-up is shielded from every one of them
        assert not io.done
        io.clean.set()
    assert task.cancelled()
    assert io.cancelled
    assert io.done


@pytest.mark.asyncio
async def test_a_task_cancelled_before_it_starts_the_call_ends() -> None:
    io = FakeIO()
    io.let_go()
    async with task_of(lambda: run_in_child(io)) as task:
        task.cancel()
    assert task.cancelled()


@pytest.mark.asyncio
async def test_native_cancellation_is_raised_even_where_the_call_ends_with_an_error() -> None:
    async def stubborn() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            raise ValueError("in its clean-up")

    started = asyncio.Event()
    async with task_of(lambda: run_in_child(stubborn)) as task:
        await started.wait()
        task.cancel()
    assert task.cancelled()


@pytest.mark.asyncio
async def test_a_call_that_cancels_itself_is_cancelled_without_hanging() -> None:
    async def awaits_what_was_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await run_in_child(awaits_what_was_cancelled)


@pytest.mark.asyncio
async def test_asyncio_timeout_around_the_call_is_a_timeout() -> None:
    io = FakeIO()
    io.clean.set()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run_in_child(io)
    assert io.cancelled
    assert io.done


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_clean_up_runs_in_full_under_native_cancellation_which_is_raised_then(times: int) -> None:
    clean_up = FakeCleanUp()
    async with task_of(lambda: run_to_end(clean_up)) as task:
        await clean_up.started.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()
        clean_up.go.set()
    assert task.cancelled()
    assert clean_up.steps == 3


@pytest.mark.requirement("R7.cancelled")
@pytest.mark.asyncio
async def test_a_clean_up_after_a_native_cancellation_runs_in_full_when_cancelled_again() -> None:
    clean_up = FakeCleanUp()
    working = asyncio.Event()

    async def work() -> None:
        try:
            working.set()
            await asyncio.sleep(3600)
        finally:
            await run_to_end(clean_up)

    async with task_of(work) as task:
        await working.wait()
        task.cancel()
        await clean_up.started.wait()
        task.cancel()
        await asyncio.sleep(0)
        clean_up.go.set()
    assert task.cancelled()
    assert clean_up.steps == 3


# --- no reference cycles


class Marker(Exception):  # noqa: N818 - no error of anything
    pass


@pytest.mark.anyio
@pytest.mark.parametrize("run", [run_in_child, run_to_end])
async def test_an_error_is_freed_without_the_garbage_collector(
    run: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
) -> None:
    alive: list[weakref.ref[Marker]] = []

    async def failing() -> None:
        error = Marker()
        alive.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def call() -> None:
        with suppress(Marker):
            await run(failing)

    gc.collect()
    gc.disable()
    try:
        with anyio.fail_after(5):
            await call()
        assert [ref() for ref in alive] == [None]
    finally:
        gc.enable()


@pytest.mark.anyio
async def test_a_result_is_freed_without_the_garbage_collector() -> None:
    alive: list[weakref.ref[FakeIO]] = []

    async def give() -> FakeIO:
        io = FakeIO()
        alive.append(weakref.ref(io))
        return io

    gc.collect()
    gc.disable()
    try:
        with anyio.fail_after(5):
            assert isinstance(await run_in_child(give), FakeIO)
        assert [ref() for ref in alive] == [None]
    finally:
        gc.enable()
