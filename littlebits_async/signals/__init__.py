"""Operators over events: edges and levels, fewer events, smoother ones, several sources in one.

``async for edge in edges(reactor, high=70, low=68): …``

Each is called with events first and gives events, so they nest: ``debounce(changes(reactor, by=5), quiet=0.5)`` tells a
value that has stood for half a second. They are used in two ways, by what they are given:

- an async iterable (a reactor, a listener, `CloudBit.samples`, a replay) makes an async generator;
- any other iterable, such as a list or `recording.recorded`, makes a generator, which waits for nothing.

Both decide by the events' own time. The first besides lets go of what it holds when its time is over by the local
clock, though no further event came. So they come to the same unless an event comes late, when what it belonged to was
told: then it is of the next span (`sample`, `window`) or pause (`throttle`), or begins another wait (`debounce`).

Where events of several devices come mixed, each device is treated as if it were alone.

**Leaving early** is safe, by ``break``, ``aclose`` or cancellation: no task and no pending wait is left behind, and
what was given is not closed. Iterating again goes on where it was left.

**Waiting** for an event is given up when something held is due (`debounce`, `sample`, `window`, `throttle` with
``trailing``), and begun anew. All sources of this package lose nothing by that, and others must not either. An async
generator function does not survive it, so these refuse one: have `merge` read it, also alone.
"""

from ._merge import Merged, merge
from ._operators import changes, debounce, edges, levels, sample, smooth, throttle, window

__all__ = [
    "Merged",
    "changes",
    "debounce",
    "edges",
    "levels",
    "merge",
    "sample",
    "smooth",
    "throttle",
    "window",
]
