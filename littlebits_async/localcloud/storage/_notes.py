"""What is noted until the next transaction: inputs, and the deliveries that follow from them.

They go to disk together or not at all, so no kept input lacks its webhooks. What was replaced before it was written
never is, and so notes stay bounded even while the disk takes none.
"""

import sqlite3
from collections import Counter

from attrs import define, field

from ...amplitude import Level
from ._records import DeliveryRecord

__all__ = ["Notes"]


@define
class Notes:
    """Changes that nobody waits for one by one.

    Attributes:
        inputs: By device and slot, their number, the time in milliseconds, and 0 to 1023.
        levels: By device, where its input stands, and whether that was told as a sustain or nap.
        deliveries: By number, those that wait.
        gone: The numbers of written ones that wait no more.
        dropped: By subscription, how many more were dropped.
    """

    inputs: dict[tuple[str, int], tuple[int, int, int]] = field(factory=dict[tuple[str, int], tuple[int, int, int]])
    levels: dict[str, tuple[Level | None, bool]] = field(factory=dict[str, tuple[Level | None, bool]])
    deliveries: dict[int, DeliveryRecord] = field(factory=dict[int, DeliveryRecord])
    gone: set[int] = field(factory=set[int])
    dropped: Counter[int] = field(factory=Counter[int])

    def __bool__(self) -> bool:
        return bool(self.inputs or self.levels or self.deliveries or self.gone or self.dropped)

    def remove(self, number: int) -> None:
        """Let a delivery wait no more."""
        if self.deliveries.pop(number, None) is None:
            self.gone.add(number)

    def forget(self, device_id: str) -> None:
        """Drop a device's inputs, and where they stand."""
        self.inputs = {place: value for place, value in self.inputs.items() if place[0] != device_id}
        self.levels.pop(device_id, None)

    def add(self, newer: "Notes") -> None:
        """Take over what was noted after these."""
        for number in newer.gone:
            self.remove(number)
        self.inputs |= newer.inputs
        self.levels |= newer.levels
        self.deliveries |= newer.deliveries
        self.dropped += newer.dropped

    def write(self, db: sqlite3.Connection) -> None:
        """Write all, as a job of the writer's; what belongs to a subscription that is gone is left out."""
        db.executemany(
            "INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?)",
            [(*place, *value) for place, value in self.inputs.items()],
        )
        db.executemany(
            "UPDATE devices SET level = ?, held = ? WHERE id = ?",
            [(level, held, device_id) for device_id, (level, held) in self.levels.items()],
        )
        db.executemany("DELETE FROM deliveries WHERE id = ?", [(number,) for number in self.gone])
        db.executemany(
            """
            INSERT INTO deliveries (id, subscription_id, event, body)
            SELECT ?, id, ?, ? FROM subscriptions WHERE id = ?
            """,
            [(item.id, item.event, item.body, item.subscription_id) for item in self.deliveries.values()],
        )
        db.executemany(
            "UPDATE subscriptions SET dropped = dropped + ? WHERE id = ?",
            [(count, number) for number, count in self.dropped.items()],
        )
