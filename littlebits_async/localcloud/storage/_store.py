"""`Store`: every change that the cloud answers for, and what is there when it starts.

Two promises, which hold however the program ends:

- What an awaited call has changed is on disk when it returns.
- An input and the deliveries that follow from it are noted in one step, and go to disk in one transaction: an input
  that is there has its webhooks, and where those are not, it is not either. Notes wait half a second at most, and those
  of webhooks, with all noted before, not at all.
"""

import asyncio
import functools
import json
import logging
import os
import sqlite3
from collections.abc import Iterable
from typing import Final, TypeVar

from ...amplitude import Level
from ..endings import to_the_end
from ._community import CommunityTables
from ._community_members import MemberTables
from ._database import Database
from ._enrolments import add_enrolment, bind_enrolment, enrolments, learn_full_scale, remove_enrolment
from ._grants import GrantTables
from ._notes import Notes
from ._records import DeliveryRecord, DeviceRecord, EnrolmentRecord, Snapshot, SubscriptionRecord, TokenRecord
from ._rows import (
    add_token,
    ensure_user,
    load,
    newest_delivery,
    newest_inputs,
    subscription,
    tokens,
    write_nothing_new,
)
from ._writer import Job, StorageError, Watch, Writer

__all__ = ["HISTORY", "Store"]

logger: Final = logging.getLogger(__name__)

HISTORY: Final = 1000
"""Inputs kept of each device, the newest."""

T = TypeVar("T")


class Store:
    """The cloud's database, a file or in memory; the same code serves both.

    If an awaited call raises `StorageError`, nothing was changed. A store in memory has everything again when it is
    opened again.

    Args:
        path: The file; None for memory.
        watch: Is told how the database fares, in its thread.

    Attributes:
        grants: What is kept for OAuth2.
        members: Who has an account of the community.
        community: What they have and say.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, watch: Watch | None = None) -> None:
        self._database = Database(path)
        self.grants = GrantTables(self._run)
        self.members = MemberTables(self._run)
        self.community = CommunityTables(self._run)
        self._watch = watch
        self._writer: Writer | None = None
        self._inputs: dict[str, int] = {}  # how many there were of each device, ever
        self._newest = 0
        self._taken = 0
        self._written = 0
        self._notes = Notes()
        self._flushing = asyncio.Lock()

    async def open(self, *, alone: bool = True) -> None:
        """Open the database, and make it or bring it up to date where needed.

        Args:
            alone: Whether this is the one cloud that may serve it; a program that only changes a token is not.

        Raises:
            StorageError: It cannot be opened, is no database of ours, or another cloud serves it.
        """
        if self._writer is not None:
            raise RuntimeError("the store is open already")
        self._flushing = asyncio.Lock()  # belongs to the loop that runs, which may be another than the last time
        self._writer = writer = Writer(
            functools.partial(self._database.connect, alone=alone), self._database.keep, watch=self._watch
        )
        try:
            await writer.opened()
            # What was noted while it was closed goes in front.
            for device_id, number in (await writer.run(newest_inputs)).items():
                self._inputs[device_id] = max(self._inputs.get(device_id, 0), number)
            self._newest = max(self._newest, await writer.run(newest_delivery))
        except BaseException as error:
            await to_the_end(writer.aclose)()
            self._writer = None
            self._database.unlock()
            if isinstance(error, sqlite3.Error | OSError | StorageError):
                reason = getattr(error, "strerror", None) or error
                raise StorageError(f"{self._database.path}: {reason}") from error
            raise

    def hurry(self) -> None:
        """Wait no longer for other programs that use the database: the end is near."""
        if self._writer is not None:
            self._writer.hurry()

    async def aclose(self) -> None:
        """Keep what is noted, and close the database; whoever cancels waits for that."""
        if self._writer is not None:
            await self._close(self._writer)

    @to_the_end
    async def _close(self, writer: Writer) -> None:
        try:
            await self.flush()
        except StorageError as error:
            logger.error("the newest inputs and webhooks are lost: %s", error)  # noqa: TRY400 - it says all
        self._writer = None
        await writer.aclose()
        self._database.unlock()

    async def load(self) -> Snapshot:
        """Read all that the cloud starts with, but for the tokens."""
        return await self._open.run(load)

    async def changed_elsewhere(self) -> int:
        """Return a number that changes when another program has changed the database."""
        return await self._open.run(lambda db: int(db.execute("PRAGMA data_version").fetchone()[0]))

    async def check(self) -> None:
        """Write to the database, and leave it as it is.

        Raises:
            StorageError: It does not keep what it is told.
        """
        await self._open.run(write_nothing_new)

    # Users and tokens

    async def secret(self, user_id: int, *, now_ms: int) -> str:
        """Return what a user's webhooks are signed with; the user is kept where new."""

        def find(db: sqlite3.Connection) -> str:
            ensure_user(db, user_id, now_ms)
            return str(db.execute("SELECT secret FROM users WHERE id = ?", (user_id,)).fetchone()[0])

        return await self._open.run(find)

    async def tokens(self) -> list[TokenRecord]:
        """List all tokens, the oldest first."""
        return await self._open.run(tokens)

    async def add_token(self, token: TokenRecord) -> None:
        """Keep a token; its user is kept with it where new."""

        def add(db: sqlite3.Connection) -> None:
            ensure_user(db, token.user_id, token.created_ms)
            add_token(db, token)

        await self._open.run(add)

    async def remove_token(self, digest: str) -> bool:
        """Forget a token; return whether it was there."""
        return await self._open.run(
            lambda db: db.execute("DELETE FROM tokens WHERE digest = ?", (digest,)).rowcount > 0
        )

    # Devices

    async def save_device(self, device: DeviceRecord, *, now_ms: int) -> None:
        """Keep a device, a new one or a changed one; its owner is kept with it where new.

        Of one that is kept already, what it was told to show stays: that has ways of its own, and newer news may be
        among the changes that are on their way.
        """

        def save(db: sqlite3.Connection) -> None:
            if device.user_id is not None:
                ensure_user(db, device.user_id, now_ms)
            db.execute(
                """
                INSERT INTO devices (id, label, user_id, input_interval_ms, percent, percent_until_ms, color, mode,
                                     light_until_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    label = excluded.label, user_id = excluded.user_id, input_interval_ms = excluded.input_interval_ms
                """,
                (device.id, *_settings(device)),
            )

        await self._open.run(save)

    async def release_device(self, device: DeviceRecord, subscriptions: Iterable[int]) -> None:
        """Let a device be as one that nobody has had: its subscriptions and inputs go, all or nothing.

        Args:
            device: As it is from now on.
            subscriptions: The numbers of those that it has on either side.
        """
        numbers = [(number,) for number in subscriptions]

        def release(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM subscriptions WHERE id = ?", numbers)
            db.execute("DELETE FROM inputs WHERE device_id = ?", (device.id,))
            db.execute(
                """
                UPDATE devices
                SET label = ?, user_id = ?, input_interval_ms = ?, percent = ?, percent_until_ms = ?, color = ?,
                    mode = ?, light_until_ms = ?, level = ?, held = ?
                WHERE id = ?
                """,
                (*_settings(device), device.level, device.held, device.id),
            )

        async with self._flushing:  # nothing of what is noted gets behind it
            await self._open.run(release)
            self._notes.forget(device.id)

    async def save_output(self, device_id: str, user_id: int, percent: float, until_ms: int | None) -> bool:
        """Keep what a user's device was told to show, and until when; return whether it is the user's still."""
        return await self._open.run(
            lambda db: (
                db.execute(
                    "UPDATE devices SET percent = ?, percent_until_ms = ? WHERE id = ? AND user_id = ?",
                    (percent, until_ms, device_id, user_id),
                ).rowcount
                > 0
            )
        )

    async def save_light(self, device_id: str, color: str | None, mode: str | None, until_ms: int | None) -> None:
        """Keep what a device's light was told to show, and until when."""
        await self._open.run(
            lambda db: db.execute(
                "UPDATE devices SET color = ?, mode = ?, light_until_ms = ? WHERE id = ?",
                (color, mode, until_ms, device_id),
            )
        )

    # Enrolments

    async def enrolments(self) -> list[EnrolmentRecord]:
        """List all enrolments, the oldest first."""
        return await self._open.run(enrolments)

    async def add_enrolment(self, item: EnrolmentRecord, *, now_ms: int) -> EnrolmentRecord:
        """Keep an enrolment, and its user where new; give it with its number. Those that lapsed go."""
        return await self._open.run(lambda db: add_enrolment(db, item, now_ms))

    async def bind_enrolment(self, enrolment_id: int, device_id: str, address: str | None) -> bool:
        """Let a bit have an open enrolment for good, in place of those it had; return whether it was still open."""
        return await self._open.run(lambda db: bind_enrolment(db, enrolment_id, device_id, address))

    async def learn_full_scale(self, enrolment_id: int, full_scale: int) -> None:
        """Keep what a bit's input goes up to."""
        await self._open.run(lambda db: learn_full_scale(db, enrolment_id, full_scale))

    async def remove_enrolment(self, enrolment_id: int) -> bool:
        """Forget an enrolment; return whether it was there."""
        return await self._open.run(lambda db: remove_enrolment(db, enrolment_id))

    # Inputs and deliveries

    def note_input(self, device_id: str, timestamp_ms: int, absolute: int) -> None:
        """Note an input; it is on disk with the next `flush`."""
        # By number and not by time, which goes back where a clock is set.
        number = self._inputs[device_id] = self._inputs.get(device_id, 0) + 1
        self._notes.inputs[device_id, number % HISTORY] = (number, timestamp_ms, absolute)

    def note_level(self, device_id: str, level: Level | None, *, held: bool) -> None:
        """Note where an input stands, and whether that was told as a sustain or nap."""
        self._notes.levels[device_id] = (level, held)

    def new_number(self) -> int:
        """Give the number of a delivery that is noted in the same step; they grow, and none is given twice."""
        self._newest += 1
        return self._newest

    def is_being_written(self, number: int) -> bool:
        """Tell whether a delivery is on its way to disk."""
        return self._written < number <= self._taken

    def note_delivery(self, delivery: DeliveryRecord, *, replaces: Iterable[int] = (), dropped: int = 0) -> None:
        """Note a delivery that is to be made.

        Args:
            delivery: With a new number.
            replaces: The numbers of those that it takes the place of.
            dropped: How many of these count as dropped.
        """
        for number in replaces:
            self._notes.remove(number)
        self._notes.deliveries[delivery.id] = delivery
        if dropped:
            self._notes.dropped[delivery.subscription_id] += dropped

    @to_the_end
    async def flush(self) -> int:
        """Bring what is noted to disk, all of it or nothing; what could not be kept stays noted.

        Returns:
            The number of the newest delivery that is on disk.

        Cancellation: it is brought there all the same.
        """
        async with self._flushing:  # one after the other, so that none goes by what is noted again
            writer, notes, newest = self._open, self._notes, self._newest
            if notes:
                self._notes, self._taken = Notes(), newest
                try:
                    await writer.run(notes.write)
                except StorageError:
                    notes.add(self._notes)
                    self._notes, self._taken = notes, self._written
                    raise
                except sqlite3.Error:  # a device that was never kept: it would fail for ever
                    logger.exception("inputs and webhooks that cannot be kept are lost")
            self._written = newest
            return newest

    async def inputs(self, device_id: str) -> list[tuple[int, int]]:
        """List a device's inputs that are kept, the oldest first: time in milliseconds, and 0 to 1023."""
        await self.flush()
        return await self._open.run(
            lambda db: db.execute(
                "SELECT timestamp_ms, absolute FROM inputs WHERE device_id = ? ORDER BY number", (device_id,)
            ).fetchall()
        )

    async def delivered(self, delivery: DeliveryRecord) -> None:
        """Forget a delivery that arrived, and the failures before it."""

        def settle(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM deliveries WHERE id = ?", (delivery.id,))
            db.execute("UPDATE subscriptions SET failures = 0, retry_ms = 0 WHERE id = ?", (delivery.subscription_id,))

        await self._open.run(settle)

    async def failed(self, delivery: DeliveryRecord, *, failures: int, retry_ms: int, failure: str) -> None:
        """Keep that a delivery failed, and before when none is tried."""

        def settle(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE deliveries SET attempts = attempts + 1, failure = ? WHERE id = ?", (failure, delivery.id)
            )
            db.execute(
                "UPDATE subscriptions SET failures = ?, retry_ms = ? WHERE id = ?",
                (failures, retry_ms, delivery.subscription_id),
            )

        await self._open.run(settle)

    # Subscriptions

    async def save_subscription(self, item: SubscriptionRecord) -> SubscriptionRecord:
        """Keep a subscription; one of the same pair is replaced, but what waits for it stays.

        Returns:
            What is kept, with its number.
        """

        def save(db: sqlite3.Connection) -> SubscriptionRecord:
            row = db.execute(
                """
                INSERT INTO subscriptions (publisher_id, subscriber_id, events) VALUES (?, ?, ?)
                ON CONFLICT (publisher_id, subscriber_id) DO UPDATE SET
                    events = excluded.events, failures = 0, retry_ms = 0
                RETURNING id, publisher_id, subscriber_id, events, failures, retry_ms, dropped
                """,
                (item.publisher_id, item.subscriber_id, json.dumps(item.events)),
            ).fetchone()
            return subscription(row)

        return await self._open.run(save)

    async def remove_subscriptions(self, ids: Iterable[int]) -> None:
        """Forget subscriptions, and what waits for them."""
        rows = [(number,) for number in ids]
        await self._open.run(lambda db: db.executemany("DELETE FROM subscriptions WHERE id = ?", rows))

    # How

    @property
    def waiting(self) -> int:
        """How many changes and questions wait for the database."""
        return 0 if self._writer is None else self._writer.waiting

    async def _run(self, job: Job[T]) -> T:
        return await self._open.run(job)

    @property
    def _open(self) -> Writer:
        if self._writer is None:
            raise StorageError("the cloud is not running")
        return self._writer


def _settings(device: DeviceRecord) -> tuple[object, ...]:
    return (
        device.label,
        device.user_id,
        device.input_interval_ms,
        device.percent,
        device.percent_until_ms,
        device.color,
        device.mode,
        device.light_until_ms,
    )
