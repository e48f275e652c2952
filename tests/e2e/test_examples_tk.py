"""The examples with windows, on a screen of their own."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from littlebits_async.testing import RunningCloud
from tests.support.example import example, interrupt
from tests.support.local_cloud import SLOWEST
from tests.support.screen import need_tk, screen

if TYPE_CHECKING:
    import tkinter as tk

PATIENCE = 10


@pytest.fixture(scope="module")
def display() -> Generator[str, None, None]:
    need_tk()
    with screen() as name:
        yield name


@pytest.fixture
def windows(display: str, monkeypatch: pytest.MonkeyPatch) -> Generator[list["tk.Tk"], None, None]:
    """The windows that an example opens in this process, and so in this thread, as Tk wants it."""
    import tkinter as tk  # noqa: PLC0415 - not every Python has it

    opened: list[tk.Tk] = []

    class Window(tk.Tk):
        def __init__(self) -> None:
            super().__init__()
            opened.append(self)

    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(tk, "Tk", Window)
    yield opened
    for window in opened:
        with suppress(tk.TclError):  # it is gone, mostly
            window.destroy()
    opened.clear()
    gc.collect()  # here, as Tk's own objects must not be let go by another thread


async def until(wanted: Callable[[], object]) -> None:
    """Wait for what Tk shows, which tells nobody."""
    async with asyncio.timeout(PATIENCE):
        while not wanted():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def start(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> "asyncio.Task[None]":
    """Start an example in this event loop."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    main: Callable[[], Coroutine[Any, Any, None]] = import_module(f"examples.{name}").main
    return asyncio.create_task(main())


def close(window: "tk.Tk") -> None:
    """Click the window's cross."""
    window.tk.call(window.protocol("WM_DELETE_WINDOW"))


def texts(window: "tk.Tk") -> list[str]:
    return [str(child["text"]) for child in window.winfo_children() if child.winfo_class() == "Label"]


@pytest.mark.asyncio
async def test_the_slider_shows_the_input_until_the_window_is_closed(
    local_cloud: RunningCloud, windows: list["tk.Tk"], monkeypatch: pytest.MonkeyPatch
) -> None:
    dimmer = await local_cloud.add_device("dimmer", input_interval_ms=SLOWEST)
    showing = start("tk_input", monkeypatch)
    await until(lambda: windows)
    (window,) = windows
    scale: Any = next(child for child in window.winfo_children() if child.winfo_class() == "Scale")
    await local_cloud.until_streams(1)
    for percent, volts in [(61, "3.05"), (12, "0.60")]:
        await dimmer.turn(percent)
        await until(lambda percent=percent: scale.get() == percent)  # type: ignore[misc]  # bound now
        assert f" UTC, {volts} V, live" in texts(window)[0]
    close(window)
    async with asyncio.timeout(PATIENCE):
        await showing
    await local_cloud.until_streams(0)


@pytest.mark.asyncio
async def test_the_panel_sets_the_output_and_tells_what_cannot_be(
    local_cloud: RunningCloud, windows: list["tk.Tk"], monkeypatch: pytest.MonkeyPatch
) -> None:
    await local_cloud.add_device("first")
    lamp = await local_cloud.add_device("lamp")
    showing = start("tk_output", monkeypatch, "lamp")
    await until(lambda: windows)
    (window,) = windows
    await until(lambda: any(child.winfo_class() == "Button" for child in window.winfo_children()))
    percent, duration = (child for child in window.winfo_children() if child.winfo_class() == "Entry")
    (button,) = (child for child in window.winfo_children() if child.winfo_class() == "Button")

    async def press(value: str, time: str) -> str:
        for entry, text in ((percent, value), (duration, time)):
            window.tk.call(entry, "delete", 0, "end")
            window.tk.call(entry, "insert", 0, text)
        window.tk.call(button, "invoke")
        await asyncio.sleep(0)
        return texts(window)[-1]

    assert await press("61.5", "-1") == "lamp: 61.5 %"
    await lamp.until_shown(61.5)
    assert await press("80", "600") == "lamp: 80 %"  # for a while
    await lamp.until_shown(80)
    await lamp.until_shown(0)
    assert "0 to 100" in await press("101", "-1")
    assert "32000" in await press("50", "40000")
    assert "could not convert" in await press("half", "-1")
    close(window)
    async with asyncio.timeout(PATIENCE):
        await showing
    assert await lamp.see(lambda bit: bit.shown) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["tk_input", "tk_output"])
async def test_ctrl_c_ends_it(name: str, local_cloud: RunningCloud, display: str, windows: list["tk.Tk"]) -> None:
    import tkinter as tk  # noqa: PLC0415 - not every Python has it

    await local_cloud.add_device("dimmer")
    tk.Tk()  # one of our own, to ask what others there are
    async with example(name, local_cloud, DISPLAY=display) as showing:
        await until(lambda: len(windows[0].winfo_interps()) > 1)
        assert await interrupt(showing) == ""
