"""The tables, and how an older database becomes a newer one.

The version stands in SQLite's own ``user_version``; a step of `MIGRATIONS` is never changed after a release, only
followed by another. Times are Unix milliseconds.
"""

import sqlite3
from typing import Final

from ._writer import StorageError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "migrate"]

APPLICATION_ID: Final = 0x6C426974
"""``lBit``: tells a database of ours from any other file of SQLite's."""

MIGRATIONS: Final = (
    """
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        secret TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    );
    CREATE TABLE tokens (
        digest TEXT PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users,
        scopes TEXT NOT NULL,
        label TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    );
    CREATE TABLE devices (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        label TEXT NOT NULL,
        user_id INTEGER REFERENCES users,
        input_interval_ms INTEGER NOT NULL,
        percent REAL NOT NULL DEFAULT 0,
        percent_until_ms INTEGER,
        color TEXT,
        mode TEXT,
        light_until_ms INTEGER,
        level TEXT,
        held INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE inputs (
        device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        slot INTEGER NOT NULL,
        number INTEGER NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        absolute INTEGER NOT NULL,
        PRIMARY KEY (device_id, slot)
    ) WITHOUT ROWID;
    CREATE TABLE subscriptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        publisher_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        subscriber_id TEXT NOT NULL,
        events TEXT NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        retry_ms INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        UNIQUE (publisher_id, subscriber_id)
    );
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subscription_id INTEGER NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
        event TEXT NOT NULL,
        body BLOB NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        failure TEXT
    );
    CREATE INDEX deliveries_in_order ON deliveries (subscription_id, id);
    """,
    """
    CREATE TABLE enrolments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest TEXT UNIQUE,
        address TEXT,
        device_id TEXT,
        user_id INTEGER NOT NULL REFERENCES users,
        label TEXT NOT NULL,
        full_scale INTEGER,
        open_until_ms INTEGER
    );
    """,
    """
    CREATE TABLE clients (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        secret TEXT,
        redirect_uris TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    );
    INSERT INTO clients VALUES (
        'littlebits',
        'The littlebits command',
        NULL,
        '["http://127.0.0.1/callback", "http://[::1]/callback"]',
        'admin read write',
        0
    );
    CREATE TABLE grants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        client_id TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
        allowed_by TEXT NOT NULL REFERENCES tokens ON DELETE CASCADE,
        user_id INTEGER NOT NULL REFERENCES users,
        scopes TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        code TEXT NOT NULL UNIQUE,
        code_until_ms INTEGER NOT NULL,
        redirect_uri TEXT NOT NULL,
        challenge TEXT,
        family TEXT UNIQUE,
        refresh TEXT,
        refresh_until_ms INTEGER,
        spent TEXT,
        spent_until_ms INTEGER
    );
    ALTER TABLE tokens ADD COLUMN expires_ms INTEGER;
    ALTER TABLE tokens ADD COLUMN grant_id INTEGER REFERENCES grants ON DELETE CASCADE;
    CREATE INDEX tokens_by_grant ON tokens (grant_id);
    """,
    """
    CREATE TABLE plantings (
        planted_ms INTEGER NOT NULL
    );
    CREATE TABLE members (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        username TEXT NOT NULL,
        slug TEXT NOT NULL UNIQUE,
        email TEXT UNIQUE,
        facebook_id TEXT UNIQUE,
        password TEXT,
        location TEXT,
        bio TEXT,
        created_ms INTEGER NOT NULL,
        reset_asked_ms INTEGER
    );
    CREATE TABLE member_keys (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        digest TEXT NOT NULL UNIQUE,
        member_id INTEGER NOT NULL REFERENCES members ON DELETE CASCADE
    );
    CREATE INDEX keys_of_members ON member_keys (member_id, number);
    CREATE TABLE library (
        member_id INTEGER NOT NULL REFERENCES members ON DELETE CASCADE,
        variant_id INTEGER NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        PRIMARY KEY (member_id, variant_id)
    ) WITHOUT ROWID;
    CREATE TABLE comments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL,
        member_id INTEGER NOT NULL REFERENCES members ON DELETE CASCADE,
        reply_to INTEGER REFERENCES comments ON DELETE CASCADE,
        body TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    );
    CREATE INDEX comments_of_projects ON comments (project_id, reply_to, id);
    CREATE INDEX replies ON comments (reply_to, id);
    CREATE TABLE likes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        project_id INTEGER NOT NULL,
        member_id INTEGER NOT NULL REFERENCES members ON DELETE CASCADE,
        UNIQUE (project_id, member_id)
    );
    CREATE INDEX likes_of_members ON likes (member_id, number);
    """,
)


def migrate(connection: sqlite3.Connection, *, alone: bool = True) -> None:
    """Bring a database to the newest version, all or nothing.

    Args:
        connection: To the database.
        alone: Whether nobody else may be using it; an older one is changed only then.

    Raises:
        StorageError: It is newer than this program, or of another one, or older and may not be changed.
    """
    version = _version(connection)
    if version == len(MIGRATIONS):
        return  # without a lock: another program may be writing
    if version and not alone:
        raise StorageError(f"its schema is version {version}, an older one: `littlebits serve` brings it up to date")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[_version(connection) :]:  # two programs may open a new one at once
            for statement in script.split(";"):  # `executescript` would commit first
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StorageError("this is another program's database")
    if version > len(MIGRATIONS):
        raise StorageError(
            f"its schema is version {version}, and this program knows {len(MIGRATIONS)}: a newer one wrote it"
        )
    return int(version)
