"""What was awaited is in the database, what failed is not, and a file that is not ours stays as it is."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from littlebits_async.localcloud.storage import (
    HISTORY,
    DeliveryRecord,
    DeviceRecord,
    StorageError,
    Store,
    SubscriptionRecord,
    TokenRecord,
)
from littlebits_async.localcloud.storage._notes import Notes
from littlebits_async.localcloud.storage._writer import Writer
from tests.support.disk import Disk, until

pytestmark = pytest.mark.asyncio

BIT = DeviceRecord(id="b1", label="cloudbit", user_id=1, input_interval_ms=250)
HOOK = SubscriptionRecord(publisher_id="b1", subscriber_id="http://x.test/", events=("amplitude",))


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "cloud.db" if request.param == "file" else None


@asynccontextmanager
async def opened(store: Store, *, alone: bool = True) -> AsyncGenerator[Store, None]:
    await store.open(alone=alone)
    try:
        yield store
    finally:
        await store.aclose()


async def add_deliveries(store: Store, item: SubscriptionRecord, *bodies: bytes) -> list[int]:
    made = [DeliveryRecord(store.new_number(), item.id, "amplitude", body) for body in bodies]
    for delivery in made:
        store.note_delivery(delivery)
    await store.flush()
    return [delivery.id for delivery in made]


async def test_all_is_there_again(path: Path | None) -> None:
    token = TokenRecord("digest", 7, frozenset({"read", "write"}), "phone", 1000)
    device = DeviceRecord(
        id="bit ü/1",
        label="dimmer ☀",
        user_id=None,
        input_interval_ms=200,
        percent=12.5,
        percent_until_ms=99,
        color="red",
        mode="hold",
        light_until_ms=None,
    )
    store = Store(path)
    async with opened(store):
        await store.add_token(token)
        await store.save_device(BIT, now_ms=5)
        await store.save_device(device, now_ms=5)
        item = await store.save_subscription(HOOK)
        first, second = await add_deliveries(store, item, b"1", b"2")
        store.note_input("b1", 1, 500)
        store.note_input("b1", 2, 600)
    again = store if path is None else Store(path)
    async with opened(again):
        kept = await again.load()
        assert await again.tokens() == [token]
        assert await again.inputs("b1") == [(1, 500), (2, 600)]
    assert kept.devices == (BIT, device)
    assert kept.subscriptions == (item,)
    assert kept.deliveries == (
        DeliveryRecord(first, item.id, "amplitude", b"1"),
        DeliveryRecord(second, item.id, "amplitude", b"2"),
    )


async def test_a_change_of_a_device_keeps_its_place(path: Path | None) -> None:
    async with opened(Store(path)) as store:
        other = DeviceRecord(id="a0", label="other", user_id=1, input_interval_ms=250)
        await store.save_device(BIT, now_ms=0)
        await store.save_device(other, now_ms=0)
        renamed = DeviceRecord(id="b1", label="new", user_id=2, input_interval_ms=300)
        await store.save_device(renamed, now_ms=0)
        assert await store.save_output("b1", 2, 40.0, None)
        assert not await store.save_output("b1", 1, 90.0, None)  # which it was taken from
        await store.save_light("b1", "blue", "blink", 77)
        assert (await store.load()).devices == (
            DeviceRecord(
                id="b1",
                label="new",
                user_id=2,
                input_interval_ms=300,
                percent=40.0,
                color="blue",
                mode="blink",
                light_until_ms=77,
            ),
            other,
        )


async def test_a_user_has_one_secret(path: Path | None) -> None:
    store = Store(path)
    async with opened(store):
        secrets = [await store.secret(user_id, now_ms=1) for user_id in (1, 2, 1)]
    assert secrets[0].startswith("whsec_")
    assert secrets[0] == secrets[2] != secrets[1]
    again = store if path is None else Store(path)
    async with opened(again):
        assert await again.secret(1, now_ms=2) == secrets[0]


async def test_a_token_is_removed_once(path: Path | None) -> None:
    async with opened(Store(path)) as store:
        await store.add_token(TokenRecord("digest", 1, frozenset({"read"})))
        assert await store.remove_token("digest")
        assert not await store.remove_token("digest")
        assert await store.tokens() == []


async def test_a_second_subscription_of_a_pair_replaces_the_first_but_what_waits_stays(path: Path | None) -> None:
    async with opened(Store(path)) as store:
        await store.save_device(BIT, now_ms=0)
        first = await store.save_subscription(HOOK)
        (number,) = await add_deliveries(store, first, b"1")
        await store.failed(DeliveryRecord(number, first.id, "amplitude", b"1"), failures=3, retry_ms=9, failure="500")
        changed = SubscriptionRecord(publisher_id="b1", subscriber_id="http://x.test/", events=("connection",))
        second = await store.save_subscription(changed)
        kept = await store.load()
    assert (second.id, second.events) == (first.id, ("connection",))
    assert (second.failures, second.retry_ms) == (0, 0)
    assert kept.subscriptions == (second,)
    assert [(item.body, item.attempts) for item in kept.deliveries] == [(b"1", 1)]


async def test_a_delivery_is_settled(path: Path | None) -> None:
    async with opened(Store(path)) as store:
        await store.save_device(BIT, now_ms=0)
        item = await store.save_subscription(HOOK)
        numbers = await add_deliveries(store, item, b"1", b"2", b"3")
        first = DeliveryRecord(numbers[0], item.id, "amplitude", b"1")
        await store.failed(first, failures=1, retry_ms=500, failure="503")
        (kept,) = (await store.load()).subscriptions
        assert (kept.failures, kept.retry_ms) == (1, 500)
        await store.delivered(first)
        (kept,) = (await store.load()).subscriptions
        assert (kept.failures, kept.retry_ms) == (0, 0)
        fourth = DeliveryRecord(store.new_number(), item.id, "amplitude", b"4")
        store.note_delivery(fourth, replaces=[numbers[1]], dropped=1)
        assert await store.flush() == fourth.id
        snapshot = await store.load()
        assert [delivery.body for delivery in snapshot.deliveries] == [b"3", b"4"]
        assert snapshot.subscriptions[0].dropped == 1
        await store.remove_subscriptions([item.id])
        await add_deliveries(store, item, b"5")  # to nobody
        snapshot = await store.load()
        assert snapshot.subscriptions == ()
        assert snapshot.deliveries == ()


async def test_of_inputs_the_newest_are_kept(path: Path | None) -> None:
    store = Store(path)
    async with opened(store):
        await store.save_device(BIT, now_ms=0)
        for number in range(HISTORY + 10):
            store.note_input("b1", number, number % 1024)
    again = store if path is None else Store(path)
    async with opened(again):  # goes on in the ring where it stood
        again.note_input("b1", HISTORY + 10, 5)
        times = [time for time, _ in await again.inputs("b1")]
    assert times == list(range(11, HISTORY + 11))


async def test_a_job_that_fails_undoes_itself_alone(tmp_path: Path) -> None:
    async with opened(Store(tmp_path / "cloud.db")) as store:
        await store.add_token(TokenRecord("digest", 1, frozenset({"read"})))
        good = [store.add_token(TokenRecord(f"d{number}", 1, frozenset())) for number in range(20)]
        bad = store.add_token(TokenRecord("digest", 2, frozenset()))
        outcomes = await asyncio.gather(*good[:10], bad, *good[10:], return_exceptions=True)
        assert isinstance(outcomes.pop(10), sqlite3.IntegrityError)
        assert outcomes == [None] * 20
        assert len(await store.tokens()) == 21


async def test_what_does_not_fit_is_not_kept_and_whoever_asked_is_told(tmp_path: Path) -> None:
    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(tmp_path / "full.db", isolation_level=None)
        db.execute("CREATE TABLE notes (text)")
        db.execute("PRAGMA max_page_count = 4")
        return db

    writer = Writer(connect)
    try:
        await writer.run(lambda db: db.execute("INSERT INTO notes VALUES ('small')"))
        with pytest.raises(StorageError, match="full"):
            await writer.run(lambda db: db.execute("INSERT INTO notes VALUES (zeroblob(100000))"))
        await writer.run(lambda db: db.execute("INSERT INTO notes VALUES ('after')"))  # it goes on
        kept = await writer.run(lambda db: db.execute("SELECT text FROM notes").fetchall())
    finally:
        await writer.aclose()
    assert kept == [("small",), ("after",)]
    with pytest.raises(StorageError, match="closed"):
        await writer.run(lambda db: db.execute("SELECT 1"))


async def test_a_note_that_cannot_be_kept_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(Store(tmp_path / "cloud.db")) as store:
        store.note_input("nobody's", 1, 2)  # no such device
        assert await store.inputs("nobody's") == []
    assert "FOREIGN KEY" in caplog.text


async def test_notes_go_to_disk_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(Store(tmp_path / "cloud.db")) as store:
        await store.save_device(BIT, now_ms=0)
        item = await store.save_subscription(HOOK)
        write, is_full = Notes.write, True

        def write_all_and_fail(notes: Notes, db: sqlite3.Connection) -> None:
            write(notes, db)
            if is_full:
                raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(Notes, "write", write_all_and_fail)
        numbers = [store.new_number() for _ in range(4)]
        for number in numbers[:3]:
            store.note_input("b1", number, 500)
            store.note_level("b1", "active", held=False)
            store.note_delivery(DeliveryRecord(number, item.id, "amplitude", b"%d" % number), replaces=[number - 1])
            with pytest.raises(StorageError, match="full"):
                await store.flush()
            kept = await store.load()
            assert (kept.deliveries, kept.devices[0].level) == ((), None)
        store.note_delivery(DeliveryRecord(numbers[3], item.id, "connection", b"4"), dropped=2)
        is_full = False
        assert await store.flush() == numbers[3]
        kept = await store.load()
        assert [delivery.body for delivery in kept.deliveries] == [b"3", b"4"]  # what was replaced is not written
        assert (kept.devices[0].level, kept.subscriptions[0].dropped) == ("active", 2)
        assert [at_ms for at_ms, _ in await store.inputs("b1")] == numbers[:3]


async def test_what_is_noted_while_one_flush_is_on_its_way_goes_with_the_next(path: Path | None) -> None:
    async with opened(Store(path)) as store:
        await store.save_device(BIT, now_ms=0)
        item = await store.save_subscription(HOOK)
        first = DeliveryRecord(store.new_number(), item.id, "amplitude", b"1")
        store.note_delivery(first)
        flushing = asyncio.create_task(store.flush())
        for _ in range(3):
            await asyncio.sleep(0)  # it has its turn, and has taken its notes
        second = DeliveryRecord(store.new_number(), item.id, "amplitude", b"2")
        store.note_delivery(second, replaces=[first.id])
        assert await flushing == first.id
        assert await store.flush() == second.id
        assert (await store.load()).deliveries == (second,)


async def test_no_number_is_given_twice(path: Path | None) -> None:
    store = Store(path)
    async with opened(store):
        await store.save_device(BIT, now_ms=0)
        item = await store.save_subscription(HOOK)
        (number,) = await add_deliveries(store, item, b"1")
        await store.delivered(DeliveryRecord(number, item.id, "amplitude", b"1"))
    again = store if path is None else Store(path)
    async with opened(again):
        assert again.new_number() > number


async def test_what_is_noted_while_it_is_closed_is_kept_when_it_is_open(path: Path | None) -> None:
    store = Store(path)
    async with opened(store):
        await store.save_device(BIT, now_ms=0)
        store.note_input("b1", 1, 100)
    store.note_input("b1", 2, 200)
    async with opened(store):
        store.note_input("b1", 3, 300)
        assert await store.inputs("b1") == [(1, 100), (2, 200), (3, 300)]


async def test_an_opening_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    threads = threading.active_count()
    for steps in range(6):
        opening = asyncio.create_task(Store(tmp_path / "cloud.db").open())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert threading.active_count() == threads
    async with opened(Store(tmp_path / "cloud.db")):
        pass


async def test_a_caller_that_is_cancelled_does_not_disturb_the_rest(tmp_path: Path) -> None:
    async with opened(Store(tmp_path / "cloud.db")) as store:
        task = asyncio.create_task(store.add_token(TokenRecord("a", 1, frozenset())))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.add_token(TokenRecord("b", 1, frozenset()))
        assert {token.digest for token in await store.tokens()} == {"a", "b"}  # it was on its way


async def test_two_clouds_do_not_serve_one_database(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    async with opened(Store(path)) as store:
        with pytest.raises(StorageError, match="another cloud"):
            await Store(path).open()
        before = await store.changed_elsewhere()
        async with opened(Store(path), alone=False) as beside:  # as `littlebits tokens` does
            await beside.add_token(TokenRecord("digest", 1, frozenset({"read"})))
        assert await store.changed_elsewhere() != before
        assert [token.digest for token in await store.tokens()] == ["digest"]
        before = await store.changed_elsewhere()
        await store.remove_token("digest")
        assert await store.changed_elsewhere() == before  # our own changes are no news
    async with opened(Store(path)):
        pass


@pytest.mark.parametrize("content", [b"no database at all, but longer than a header" * 99, "other"])
async def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "other.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE theirs (x)")
        other.commit()
        other.close()
    with pytest.raises(StorageError, match="database"):
        await Store(path).open()
    if isinstance(content, bytes):
        assert path.read_bytes() == content
    else:
        other = sqlite3.connect(path)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
        other.close()


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    async with opened(Store(path)):
        pass
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match="a newer one wrote it"):
        await Store(path).open()


async def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open"):
        await Store(tmp_path / "nowhere" / "cloud.db").open()


async def test_a_closed_store_says_so(path: Path | None) -> None:
    store = Store(path)
    with pytest.raises(StorageError, match="not running"):
        await store.load()
    async with opened(store):
        with pytest.raises(RuntimeError, match="open already"):
            await store.open()
    with pytest.raises(StorageError, match="not running"):
        await store.flush()
    await store.aclose()  # again, without effect


async def test_what_is_noted_is_not_lost_with_who_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk.install(monkeypatch)
    async with opened(Store(tmp_path / "cloud.db")) as store:
        await store.save_device(BIT, now_ms=0)
        store.note_input("b1", 1, 1023)
        with disk.held():
            flushing = asyncio.create_task(store.flush())
            await until(lambda: disk.is_asked)
            flushing.cancel()
            await asyncio.sleep(0)
            broken = disk.broken("COMMIT")
            broken.__enter__()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        with pytest.raises(StorageError):
            await store.check()  # behind it
        broken.__exit__(None, None, None)
        assert await store.inputs("b1") == [(1, 1023)]
