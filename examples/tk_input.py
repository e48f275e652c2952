"""Show a cloudBit's input as a slider in a window: asyncio beside Tk, in one thread.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/tk_input.py      # the first cloudBit, or the one whose id follows
"""

import asyncio
import sys
import tkinter as tk

from littlebits_async import InputReactor, LittleBitsError, Overflow, Session

FRAME = 1 / 25  # seconds; Tk has nothing that asyncio could wait for, and to look so often costs 1 % of a core


async def show(session: Session, bit: str) -> None:
    """Show the input until the window is closed."""
    root = tk.Tk()
    root.title("littleBits Input")
    closed = asyncio.Event()
    root.protocol("WM_DELETE_WINDOW", closed.set)
    percent, note = tk.DoubleVar(root), tk.StringVar(root)
    tk.Scale(root, variable=percent, to=100, resolution=0.1, orient="horizontal", length=300, label=bit).pack(padx=10)
    tk.Label(root, textvariable=note).pack(pady=10)

    # A window wants the newest event, at its own pace: the reactor keeps it in `latest`.
    async with InputReactor(session, [bit], overflow=Overflow.LATEST) as reactor:
        while not closed.is_set():
            note.set(reactor.status(bit).state)
            if event := reactor.latest.get(bit):
                percent.set(event.percent)
                note.set(f"{event.timestamp:%H:%M:%S} UTC, {event.volts:.2f} V, {note.get()}")
            root.update()
            await asyncio.sleep(FRAME)
    root.destroy()


async def main() -> None:
    """Show the bit that is named, or else the first that is listed."""
    async with Session() as session:
        match sys.argv[1:] or [device.id for device in await session.devices()]:
            case [bit, *_]:
                await show(session, bit)
            case _:
                sys.exit("tk_input: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except (LittleBitsError, tk.TclError) as exc:  # the latter where there is no screen
        sys.exit(f"tk_input: {exc}")
