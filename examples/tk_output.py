"""Set a cloudBit's output from a window: asyncio beside Tk, in one thread.

littlebits serve --simulate 4    # a cloud; then name its url and token in LITTLEBITS_BASE_URL and LITTLEBITS_TOKEN
python examples/tk_output.py     # the first cloudBit, or the one whose id follows
"""

import asyncio
import sys
import tkinter as tk

from littlebits_async import FOREVER, LittleBitsError, OutputQueue, Session

FRAME = 1 / 25  # see tk_input.py


async def panel(session: Session, bit: str) -> None:
    """Show the panel until the window is closed."""
    root = tk.Tk()
    root.title("littleBits Output")
    closed = asyncio.Event()
    root.protocol("WM_DELETE_WINDOW", closed.set)
    percent, duration, note = (tk.StringVar(root, text) for text in ("100", str(FOREVER), bit))
    for row, (text, variable) in enumerate([("Value (0-100):", percent), ("Duration (ms), -1 stays:", duration)]):
        tk.Label(root, text=text).grid(row=row, column=0, padx=10, pady=5, sticky="e")
        tk.Entry(root, textvariable=variable, width=10).grid(row=row, column=1, padx=10)

    async with OutputQueue(session) as outputs:

        def set_output() -> None:
            try:
                if int(duration.get()) == FOREVER:
                    outputs.set(bit, float(percent.get()))
                else:
                    outputs.pulse(bit, float(percent.get()), duration_ms=int(duration.get()))
                note.set(f"{bit}: {percent.get()} %")
            except (ValueError, LittleBitsError) as exc:  # no number, or one out of range; a token that was refused
                note.set(str(exc))

        tk.Button(root, text="Set Output", command=set_output).grid(row=2, column=1, pady=5)
        tk.Label(root, textvariable=note).grid(row=3, columnspan=2, padx=10, pady=5)
        while not closed.is_set():
            root.update()
            await asyncio.sleep(FRAME)
    root.destroy()


async def main() -> None:
    """Steer the bit that is named, or else the first that is listed."""
    async with Session() as session:
        match sys.argv[1:] or [device.id for device in await session.devices()]:
            case [bit, *_]:
                await panel(session, bit)
            case _:
                sys.exit("tk_output: this cloud has no cloudBit; `littlebits serve --simulate 4` has four")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
    except (LittleBitsError, tk.TclError) as exc:  # the latter where there is no screen
        sys.exit(f"tk_output: {exc}")
