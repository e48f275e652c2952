import asyncio

import anyio
import pytest

from littlebits_async.localcloud.endings import to_the_end

pytestmark = pytest.mark.asyncio


class Work:
    """Work that waits to be let on, and then ends as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.done = False
        self._error = error

    @to_the_end
    async def do(self) -> str:
        self.begun.set()
        await self.may_end.wait()
        self.done = True
        if self._error is not None:
            raise self._error
        return "done"


async def test_who_is_not_cancelled_hears_how_it_ended() -> None:
    work, bad = Work(), Work(ValueError("bad"))
    work.may_end.set()
    bad.may_end.set()
    assert await work.do() == "done"
    with pytest.raises(ValueError, match="bad"):
        await bad.do()


@pytest.mark.parametrize("error", [None, ValueError("bad")])
async def test_who_is_cancelled_hears_that_and_not_before_the_end(error: Exception | None) -> None:
    work = Work(error)
    task = asyncio.create_task(work.do())
    await work.begun.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.done


async def test_a_cancelled_scope_waits_for_the_end_as_well() -> None:
    work = Work()

    async def let_it_end() -> None:
        await work.begun.wait()
        scope.cancel()
        await asyncio.sleep(0)
        assert not work.done
        work.may_end.set()

    helper = asyncio.create_task(let_it_end())
    with anyio.CancelScope() as scope:
        await work.do()
        await anyio.lowlevel.checkpoint()
    assert (work.done, scope.cancelled_caught) == (True, True)
    await helper
