"""SQLite's failures in our words, each with what to do about it."""

import sqlite3
from typing import Final

from tidegate.errors import StoreError

# By SQLite's primary result code, the low byte of the extended one.
_MEANING: Final = {
    sqlite3.SQLITE_BUSY: "another process held the store's lock for too long; try again",
    sqlite3.SQLITE_LOCKED: "another process held the store's lock for too long; try again",
    sqlite3.SQLITE_FULL: "the disk that holds the store is full; make room",
    sqlite3.SQLITE_IOERR: "the disk that holds the store could not be read or written; check it",
    sqlite3.SQLITE_READONLY: "the store's file or directory is read-only; allow writing to both",
    sqlite3.SQLITE_CANTOPEN: "the store's file cannot be opened; check its directory and owner",
    sqlite3.SQLITE_PERM: "the store's file may not be accessed; check its owner and mode",
    sqlite3.SQLITE_CORRUPT: "the store's file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "the store's file is not a SQLite database; check `store.url`",
}


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether somebody else holds the lock, so that waiting helps."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def store_error(error: sqlite3.Error) -> StoreError:
    """Return what the caller is told; the vendor's error is its cause."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    told = StoreError(_MEANING.get(_code(error), f"the store failed ({name})"))
    told.__cause__ = error
    return told


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
