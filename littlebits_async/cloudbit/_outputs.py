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
    """The outputs that are on their way or wait, in order for each device, and which device's turn it is.

    A value that is to be held replaces one that waits as the device's last: nobody would see the older. Devices take
    turns; a device is passed over while an output is on its way to it, while its pulse is not over, and while it waits
    to be tried again.
    """

    def __init__(self) -> None:
        self._on_their_way: dict[str, Output] = {}  # one of a device at most
        self._waiting: dict[str, deque[Output]] = {}  # in order of turns
        self._busy: dict[str, float] = {}  # until when a device is not to be written to
        self._count = 0  # of those that wait

    def __len__(self) -> int:
        return len(self._on_their_way) + self._count

    def __iter__(self) -> Iterator[Output]:
        yield from self._on_their_way.values()
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
        return min(max(now, self._busy_until(device_id, now)) for device_id in self._waiting)

    def take(self, now: float) -> Output | None:
        """Take the output whose turn it is, which is on its way from now on; None where all must wait."""
        for device_id, queue in self._waiting.items():
            if self._busy_until(device_id, now) <= now:
                output = queue.popleft()
                del self._waiting[device_id]
                if queue:
                    self._waiting[device_id] = queue  # behind the others
                self._count -= 1
                self._on_their_way[device_id] = output
                return output
        return None

    def done(self, output: Output, now: float) -> None:
        """An output was written: its device is busy until a pulse is over."""
        del self._on_their_way[output.device_id]
        self._busy[output.device_id] = now + max(0, output.duration_ms) / 1000 + output.pause

    def failed(self, output: Output, now: float, *, again_in: float | None) -> None:
        """An output was not written.

        Args:
            output: What was taken.
            now: The time.
            again_in: Seconds until the device may be written to again: the output goes back to its place, unless a
                newer one to be held makes it pointless. None gives it up.
        """
        del self._on_their_way[output.device_id]
        if again_in is None:
            return
        self._busy[output.device_id] = now + again_in
        queue = self._waiting.setdefault(output.device_id, deque())
        if not (output.holds and queue and queue[0].holds):
            queue.appendleft(evolve(output, tries=output.tries + 1))
            self._count += 1

    def clear(self) -> tuple[Output, ...]:
        """Drop all that is on its way or waits, and return it."""
        dropped = tuple(self)
        self._on_their_way.clear()
        self._waiting.clear()
        self._count = 0
        return dropped

    def _busy_until(self, device_id: str, now: float) -> float:
        return math.inf if device_id in self._on_their_way else self._busy.get(device_id, now)
