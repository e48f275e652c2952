"""What is still to be written to each device; no I/O, no clock."""

import math
from collections import deque
from collections.abc import Iterator

from attrs import evolve, frozen

from ..models import FOREVER

__all__ = ["Output", "Outputs"]


@frozen
class Output:
    """One output to be written.

    Attributes:
        device_id: The device.
        percent: 0 to 100.
        duration_ms: Milliseconds, or `FOREVER`.
        pause: Seconds from its end to the device's next output at least.
        tries: How often it was tried.
    """

    device_id: str
    percent: float
    duration_ms: int
    pause: float = 0.0
    tries: int = 0

    @property
    def holds(self) -> bool:
        """Whether it stays until the next output."""
        return self.duration_ms == FOREVER


class Outputs:
    """The outputs that wait, in order for each device, and which device's turn it is.

    A value that is to be held replaces one that waits as the device's last: nobody would see the older. Devices take
    turns, and a device whose pulse is not over is passed over.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Output]] = {}  # in order of turns
        self._busy: dict[str, float] = {}  # until when a device is not to be written to; inf: a request is on its way
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Output]:
        for queue in self._waiting.values():
            yield from queue

    def put(self, output: Output) -> None:
        """Add an output."""
        queue = self._waiting.setdefault(output.device_id, deque())
        if output.holds and queue and queue[-1].holds:
            queue[-1] = output
            return
        queue.append(output)
        self._count += 1

    def due_at(self, now: float) -> float | None:
        """Return when the next output may be written: ``now`` at the earliest, infinity while all must wait.

        None where there is nothing to write.
        """
        if not self._waiting:
            return None
        return min(max(now, self._busy.get(device_id, now)) for device_id in self._waiting)

    def take(self, now: float) -> Output | None:
        """Take the output whose turn it is, and mark its device as busy; None where all must wait."""
        for device_id, queue in self._waiting.items():
            if self._busy.get(device_id, now) <= now:
                output = queue.popleft()
                del self._waiting[device_id]
                if queue:
                    self._waiting[device_id] = queue  # behind the others
                self._count -= 1
                self._busy[device_id] = math.inf
                return output
        return None

    def done(self, output: Output, now: float) -> None:
        """An output was written: its device is busy until a pulse is over."""
        if output.holds and not output.pause:
            del self._busy[output.device_id]
        else:
            self._busy[output.device_id] = now + max(0, output.duration_ms) / 1000 + output.pause

    def failed(self, output: Output, *, again: bool) -> None:
        """An output was not written; ``again`` puts it back, unless a newer one to be held makes it pointless."""
        del self._busy[output.device_id]
        if not again:
            return
        queue = self._waiting.setdefault(output.device_id, deque())
        if not (output.holds and queue and queue[0].holds):
            queue.appendleft(evolve(output, tries=output.tries + 1))
            self._count += 1

    def clear(self) -> tuple[Output, ...]:
        """Drop all that waits, and return it."""
        dropped = tuple(self)
        self._waiting.clear()
        self._count = 0
        return dropped
