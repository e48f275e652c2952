"""Signals as an ordinary end."""

import os
import signal
from typing import NoReturn

import anyio
import pytest

from littlebits_async.cli._interrupt import interruptible

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_calls_stop_and_the_work_goes_on_to_its_end(sent: signal.Signals) -> None:
    stopped = anyio.Event()

    async def work() -> str:
        os.kill(os.getpid(), sent)
        await stopped.wait()
        return "cleaned up"

    with anyio.fail_after(5):
        assert await interruptible(work, stopped.set) == "cleaned up"


async def test_without_a_signal_stop_is_not_called() -> None:
    before = signal.getsignal(signal.SIGTERM)
    calls: list[str] = []

    async def work() -> int:
        return 7

    assert await interruptible(work, lambda: calls.append("stop")) == 7
    assert calls == []
    assert signal.getsignal(signal.SIGTERM) is before


async def test_an_error_of_the_work_comes_out() -> None:
    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        await interruptible(work, lambda: None)
    assert caught.group_contains(ValueError, match="broken")


async def test_where_signals_cannot_be_received_the_work_runs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: signal.Signals) -> NoReturn:
        raise NotImplementedError

    monkeypatch.setattr(anyio, "open_signal_receiver", refuse)

    async def work() -> int:
        return 7

    assert await interruptible(work, lambda: None) == 7
