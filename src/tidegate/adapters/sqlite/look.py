"""The store's file, looked at and left as it is."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tidegate.adapters.sqlite.failures import is_busy, store_error
from tidegate.adapters.sqlite.schema import APPLICATION_ID, MIGRATIONS
from tidegate.core.diagnosis import place as diagnosis_place
from tidegate.core.diagnosis.finding import Seen
from tidegate.core.diagnosis.place import Schema

LOCK_SECONDS: Final = 2.0


def look(path: Path) -> Seen:
    """Return what the file is, and whether it can be written: a lock is taken and let go.

    Blocking. Nothing in the file changes, and none is made where there is none.
    """
    if not path.exists():
        return diagnosis_place.schema(Schema(version=0, known=len(MIGRATIONS)))
    try:
        with contextlib.closing(_open(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return _failed(error)
    if not ours and tables:
        return diagnosis_place.store("store.foreign", "its file was made by something else")
    return diagnosis_place.schema(Schema(version=version, known=len(MIGRATIONS)))


def _open(path: Path) -> sqlite3.Connection:
    # mode=rw: no file is made. https://www.sqlite.org/uri.html
    name = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(name, uri=True, timeout=LOCK_SECONDS, isolation_level=None)


def _failed(error: sqlite3.Error) -> Seen:
    code = "store.busy" if is_busy(error) else "store.file_unusable"
    return diagnosis_place.store(code, str(store_error(error)))
