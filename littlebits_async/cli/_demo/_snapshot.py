"""What a demo looks like at one moment."""

from collections.abc import Mapping

from attrs import frozen

from ...models import StreamState
from .._text import duration, percent

__all__ = ["Follow", "Row", "Snapshot", "Written"]


@frozen
class Row:
    """One device.

    Attributes:
        device_id: The device.
        label: Its name.
        state: Where its stream stands.
        events: How many events came.
        rate: Events a second, of late.
        percent: The newest input in percent, None before the first.
        volts: The same in volts.
        seen: Seconds since then.
        shown: The percent that its output shows.
    """

    device_id: str
    label: str
    state: StreamState
    events: int
    rate: float
    percent: float | None
    volts: float | None
    seen: float | None
    shown: float


@frozen
class Follow:
    """One device's output follows another's input.

    Attributes:
        publisher_id: The device whose input is told.
        subscriber_id: The device that follows.
        shown: The percent that the follower shows.
        followed: Whether it ever showed just what its publisher's input was.
    """

    publisher_id: str
    subscriber_id: str
    shown: float
    followed: bool


@frozen
class Written:
    """The newest output that was written.

    Attributes:
        device_id: The device.
        percent: What was written.
        shown: What the device showed when the call had returned.
        ago: Seconds since then.
    """

    device_id: str
    percent: float
    shown: float
    ago: float


@frozen
class Snapshot:
    """All of it.

    Attributes:
        url: Where the cloud is.
        elapsed: Seconds since the streams were started.
        rows: The devices.
        follow: Who follows whom.
        written: The newest output, None before the first.
        left: Requests left in the budget.
        limit: Requests that the budget has in an hour.
    """

    url: str
    elapsed: float
    rows: tuple[Row, ...]
    follow: Follow
    written: Written | None
    left: int
    limit: int

    @property
    def events(self) -> int:
        """How many events came, over all devices."""
        return sum(row.events for row in self.rows)

    @property
    def rate(self) -> float:
        """Events a second of late, over all devices."""
        return sum(row.rate for row in self.rows)

    @property
    def told(self) -> Mapping[str, str]:
        """What happened beside the events, in words, by name."""
        follow, written = self.follow, self.written
        told = {"follow": f"{follow.subscriber_id} follows {follow.publisher_id}: shows {percent(follow.shown)}"}
        if written is not None:
            told["written"] = (
                f"{percent(written.percent)} was written to {written.device_id} {duration(written.ago)} ago:"
                f" shows {percent(written.shown)}"
            )
        told["budget"] = f"{self.left} of {self.limit} requests are left this hour"
        return told

    @property
    def faults(self) -> tuple[str, ...]:
        """What did not happen that should have, if this is the end."""
        faults: list[str] = []
        if silent := [row.device_id for row in self.rows if not row.events]:
            faults.append(f"no event from {', '.join(silent)}")
        if not self.follow.followed:
            faults.append(f"{self.follow.subscriber_id} did not follow {self.follow.publisher_id}")
        if self.written is None:
            faults.append("no output was written")
        elif self.written.shown != self.written.percent:
            faults.append(f"{self.written.device_id} does not show the {self.written.percent:.0f} % that were written")
        return tuple(faults)
