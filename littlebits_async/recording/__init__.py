"""Input events as files, and files as input events: a bug report can be one.

``with Recorder("run.jsonl") as recorder: async for event in reactor: recorder.write(event)``

`Replay` gives them again with their spacing, `recorded` all at once.

**The files.** A ``.jsonl`` (or ``.ndjson``) file holds a JSON object a line, with the fields of `InputEvent` that are
not None; unknown ones are passed over. A ``.csv`` file begins with a line of names, in any order: ``device_id``,
``timestamp_ms``, ``percent``, ``absolute``, ``delta``, ``level``, ``name``, ``user_id``, ``mac``, ``ap_ssid``,
``ap_mac``, ``ap_strength``. An empty cell is None, and so is an access point of which nothing is known. A text that is
empty, begins with a quotation mark or with one of ``=+-@``, which a spreadsheet would compute, or holds what is not
printable, such as a line break, is a JSON string in its cell.
Both are UTF-8, and an event is always one line.

**After a crash.** Each event is given to the system whole, in one write, before `Recorder.write` returns: if the
program is killed, all events that were written are there, but for the last line, which may be cut. It is left out by
those who read, with a warning, and removed by the next `Recorder`. (A system that crashes loses what it had not put on
its disk.)
"""

from ._reading import Replay, recorded
from ._recorder import Recorder

__all__ = ["Recorder", "Replay", "recorded"]
