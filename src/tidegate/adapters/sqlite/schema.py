"""The file: who may read it, how it is opened, and its tables, version by version."""

import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Final

from tidegate.adapters.sqlite.failures import is_busy, store_error
from tidegate.errors import SchemaVersionError, StoreError

#: Marks the file as ours: «TGAT».
APPLICATION_ID: Final = 0x54474154

#: How long one try for the lock lasts; whoever waits decides whether to try again.
BUSY_MILLISECONDS: Final = 100

_OPEN_SECONDS: Final = 10.0  # several processes may open a new file at once

# `wake_at` is when a row may be leased: not before its time, and not while a lease lives. It
# alone is what the partial indexes hold, so that claiming costs the same however many runs
# have finished. SQLite uses them only where a query repeats their WHERE to the letter.
_FIRST: Final = (
    """
    CREATE TABLE runs (
        id TEXT NOT NULL PRIMARY KEY,
        action TEXT NOT NULL,
        pathway TEXT NOT NULL,
        state TEXT NOT NULL,
        user_id TEXT NOT NULL,
        channel_id TEXT,
        effect_key TEXT,
        sure INTEGER NOT NULL,
        response_url TEXT,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL,
        start_by REAL NOT NULL,
        next_at REAL,
        view_id INTEGER,
        started_at REAL,
        finished_at REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        polls INTEGER NOT NULL DEFAULT 0,
        location TEXT,
        reason TEXT NOT NULL DEFAULT '',
        http_status INTEGER,
        status_text TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        progress TEXT,
        facts TEXT NOT NULL,
        target_state TEXT NOT NULL,
        lease_token TEXT,
        lease_until REAL,
        wake_at REAL GENERATED ALWAYS AS (max(next_at, coalesce(lease_until, 0.0))) VIRTUAL
    )
    """,
    """
    CREATE INDEX runs_work ON runs (pathway, wake_at)
    WHERE state IN ('queued', 'sending') AND wake_at IS NOT NULL
    """,
    """
    CREATE INDEX runs_poll ON runs (wake_at)
    WHERE state IN ('running', 'unknown') AND wake_at IS NOT NULL
    """,
    "CREATE INDEX runs_received ON runs (created_at) WHERE state = 'received'",
    """
    CREATE INDEX runs_unstarted ON runs (start_by)
    WHERE state IN ('awaiting_approval', 'awaiting_confirmation', 'queued') AND started_at IS NULL
    """,
    "CREATE INDEX runs_finished ON runs (finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX runs_response_url ON runs (created_at) WHERE response_url IS NOT NULL",
    "CREATE INDEX runs_view ON runs (view_id) WHERE view_id IS NOT NULL",
    "CREATE INDEX runs_rate ON runs (action, user_id, created_at)",
    """
    CREATE TABLE deliveries (
        key TEXT NOT NULL PRIMARY KEY,
        run_id TEXT,
        at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX deliveries_at ON deliveries (at)",
    # Outlives its run: `state` and `user_id` are what is still told of it then. Until it is
    # `sure` that who holds it may, another person's run can take it.
    """
    CREATE TABLE effects (
        key TEXT NOT NULL PRIMARY KEY,
        run_id TEXT NOT NULL,
        at REAL NOT NULL,
        state TEXT,
        user_id TEXT NOT NULL,
        sure INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX effects_at ON effects (at) WHERE state IS NOT NULL",
    """
    CREATE TABLE views (
        id INTEGER PRIMARY KEY,
        team_id TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        ts TEXT,
        thread_ts TEXT,
        own INTEGER NOT NULL,
        text TEXT NOT NULL,
        blocks TEXT NOT NULL,
        version INTEGER NOT NULL,
        posting TEXT NOT NULL,
        intent_at REAL,
        intent_final INTEGER NOT NULL DEFAULT 0,
        lookups INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        rendered_version INTEGER NOT NULL DEFAULT 0,
        urgent_version INTEGER NOT NULL DEFAULT 0,
        urgent INTEGER NOT NULL DEFAULT 0,
        hold_at REAL NOT NULL DEFAULT 0.0,
        due_at REAL,
        leased_at REAL,
        told_at REAL NOT NULL DEFAULT 0.0,
        lease_token TEXT,
        lease_until REAL,
        wake_at REAL GENERATED ALWAYS AS (max(due_at, coalesce(lease_until, 0.0))) VIRTUAL
    )
    """,
    "CREATE UNIQUE INDEX views_message ON views (team_id, channel_id, ts) WHERE own = 1",
    "CREATE INDEX views_due ON views (urgent, wake_at) WHERE wake_at IS NOT NULL",
    """
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        run_id TEXT,
        event TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT,
        reason TEXT NOT NULL,
        user_id TEXT,
        channel_id TEXT
    )
    """,
    "CREATE INDEX audit_run ON audit (run_id) WHERE run_id IS NOT NULL",
    "CREATE TABLE memos (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

_SHARES: Final = ("ALTER TABLE runs ADD COLUMN steps TEXT",)

#: What leads from each schema version to the next; the file's `user_version` counts them.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST, _SHARES)


def prepare(path: str) -> sqlite3.Connection:
    """Return a connection that may write to a file of the current version, made if need be.

    Raises:
        SchemaVersionError: A newer version wrote it.
        StoreError: It cannot be opened, or is another program's.
    """
    _make_private(Path(path))
    give_up = time.monotonic() + _OPEN_SECONDS
    while True:
        try:
            return _connect(path, prepare=True)
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() > give_up:
                raise store_error(error) from error
            time.sleep(0.02)


def reading(path: str) -> sqlite3.Connection:
    """Return a connection to a prepared file that cannot write.

    Raises:
        StoreError: It cannot be opened.
    """
    try:
        connection = _connect(path)
    except sqlite3.Error as error:
        raise store_error(error) from error
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: str, *, prepare: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=BUSY_MILLISECONDS / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        if prepare:
            _migrate(connection)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA secure_delete = FAST").fetchall()  # erased means erased
        connection.execute("PRAGMA journal_size_limit = 67108864").fetchall()
        connection.execute("PRAGMA wal_autocheckpoint = 4000").fetchall()  # pages
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA temp_store = MEMORY")  # else each commit makes a journal file
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the current version, in one transaction."""
    connection.execute("BEGIN")
    current = _version(connection) == len(MIGRATIONS)
    connection.execute("COMMIT")
    if current:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[_version(connection) :]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")  # whatever fails before rolls back as the connection closes


def _version(connection: sqlite3.Connection) -> int:
    """Return the file's schema version; inside a transaction, so that its parts agree."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if not ours and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError("the store's file is another program's database; check `store.url`")
    if version > len(MIGRATIONS):
        raise SchemaVersionError(
            f"the store has schema version {version} and this program knows {len(MIGRATIONS)}: "
            "it was written by a newer Tidegate; run that version, or restore an older backup"
        )
    return version


def _make_private(path: Path) -> None:
    """Create the file if need be, and let nobody but its owner read it or its companions."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # SQLite gives the -wal and -shm files it makes the mode of the file itself.
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            if each.exists() and stat.S_IMODE(each.stat().st_mode) != 0o600:
                each.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened ({error.strerror}); its directory must exist, "
            "and both must be writable by this user"
        ) from error
