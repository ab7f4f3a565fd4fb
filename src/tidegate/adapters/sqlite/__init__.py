"""Runs in one SQLite file: the embedded default of the `Store` port."""

from tidegate.adapters.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
