"""An opening waits while the event loop is busy, but never for long; times are passed in."""

from itertools import count

import anyio
import pytest

from littlebits_async.reactor._connecting import Connecting

pytestmark = pytest.mark.anyio


class Clock:
    """Each look at it is a turn later."""

    def __init__(self, *turns: float) -> None:
        self._turns = turns
        self._now = 0.0
        self._looks = count()

    @property
    def looks(self) -> int:
        return next(self._looks)

    def __call__(self) -> float:
        number = next(self._looks)
        self._now += self._turns[min(number, len(self._turns) - 1)]
        return self._now


async def test_an_idle_loop_lets_an_opening_begin_after_one_turn() -> None:
    clock = Clock(0.0, 0.0001)
    await Connecting(1, clock).acquire()
    assert clock.looks == 2


async def test_a_busy_loop_is_let_be_until_a_turn_is_short() -> None:
    clock = Clock(0.0, 0.003, 0.003, 0.003, 0.0001, 0.003)
    await Connecting(1, clock).acquire()
    assert clock.looks == 5


async def test_a_loop_that_is_always_busy_holds_an_opening_up_for_20_ms_at_most() -> None:
    clock = Clock(0.0, 0.005)
    await Connecting(1, clock).acquire()
    assert clock.looks == 5


async def test_so_many_open_at_a_time_and_a_cancelled_one_leaves_its_place() -> None:
    connecting = Connecting(1, Clock(0.0))
    await connecting.acquire()
    with anyio.move_on_after(0.01) as waited:
        await connecting.acquire()
    assert waited.cancelled_caught
    connecting.release()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await connecting.acquire()
    assert scope.cancelled_caught
    with anyio.fail_after(5):
        await connecting.acquire()
