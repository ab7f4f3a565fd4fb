"""Rows as SQLite gives and takes them."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegate.core.model import Run
from tidegate.core.rows import RUN_SELECT, run_from

Row = tuple[Any, ...]
Value = str | bytes | int | float | None
Values = Sequence[Value] | Mapping[str, Value]


def find_run(connection: sqlite3.Connection, run_id: str) -> Run | None:
    """Return a run by its id, or None."""
    row = connection.execute(FIND_RUN, (run_id,)).fetchone()
    return None if row is None else run_from(row)


FIND_RUN: Final = f"SELECT {RUN_SELECT} FROM runs WHERE id = ?"
