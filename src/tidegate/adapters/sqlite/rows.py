"""Rows as values, and values as rows."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import msgspec

from tidegate.core.model import AuditEntry, Kind, Posting, Progress, Run, State, View

RUN_COLUMNS: Final = tuple(field.name for field in fields(Run))
RUN_SELECT: Final = ", ".join(RUN_COLUMNS)
_RUN_VALUES: Final = attrgetter(*RUN_COLUMNS)
_KIND: Final = RUN_COLUMNS.index("kind")
_STATE: Final = RUN_COLUMNS.index("state")
_PARAMS: Final = RUN_COLUMNS.index("params")
_REPEAT: Final = RUN_COLUMNS.index("repeat")
_IDEMPOTENT: Final = RUN_COLUMNS.index("idempotent")
_PROGRESS: Final = RUN_COLUMNS.index("progress")

_AUDIT_COLUMNS: Final = tuple(field.name for field in fields(AuditEntry))
AUDIT_SELECT: Final = ", ".join(_AUDIT_COLUMNS)

_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}

#: A row as SQLite gives it, and the values that go into a statement.
Row = tuple[Any, ...]
Values = Sequence[str | bytes | int | float | None]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
_DECODER: Final = msgspec.json.Decoder()
_PROGRESS_DECODER: Final = msgspec.json.Decoder(Progress)


def as_json(value: object) -> str:
    """Return *value* as JSON text."""
    return _ENCODER.encode(value).decode()


def from_json(text: str) -> Any:
    """Return what was stored by `as_json`, as plain lists and dicts."""
    return _DECODER.decode(text)


def run_row(run: Run) -> list[Any]:
    """Return the values of a run in the order of `RUN_COLUMNS`."""
    row = list(_RUN_VALUES(run))
    row[_KIND] = run.kind.value
    row[_STATE] = run.state.value
    row[_PARAMS] = as_json(run.params)
    row[_REPEAT] = 1 if run.repeat else 0
    row[_IDEMPOTENT] = 1 if run.idempotent else 0
    row[_PROGRESS] = progress_json(run.progress)
    return row


def run_from(row: Row) -> Run:
    """Return the run in a row that begins with `RUN_SELECT`."""
    values = dict(zip(RUN_COLUMNS, row, strict=False))
    values["kind"] = _KINDS[row[_KIND]]
    values["state"] = _STATES[row[_STATE]]
    values["params"] = from_json(row[_PARAMS])
    values["repeat"] = row[_REPEAT] == 1
    values["idempotent"] = row[_IDEMPOTENT] == 1
    if row[_PROGRESS] is not None:
        values["progress"] = _PROGRESS_DECODER.decode(row[_PROGRESS])
    return Run(**values)


def progress_json(progress: Progress | None) -> str | None:
    """Return progress as JSON text, or None."""
    return None if progress is None else as_json(progress)


def audit_from(row: Row) -> AuditEntry:
    """Return the audit entry in a row of `AUDIT_SELECT`."""
    return AuditEntry(**dict(zip(_AUDIT_COLUMNS, row, strict=True)))


VIEW_SELECT: Final = (
    "id, team_id, channel_id, ts, thread_ts, own, text, blocks, version, posting, intent_at, "
    "intent_final, lookups, failures"
)


def view_from(row: Row, *, token: str, runs: Sequence[Run]) -> View:
    """Return the view in a row of `VIEW_SELECT`, with its runs."""
    return View(
        id=row[0],
        team_id=row[1],
        channel_id=row[2],
        ts=row[3],
        thread_ts=row[4],
        own=row[5] == 1,
        text=row[6],
        blocks=tuple(from_json(row[7])),
        version=row[8],
        posting=Posting(row[9]),
        intent_at=row[10],
        intent_final=row[11] == 1,
        lookups=row[12],
        failures=row[13],
        token=token,
        runs=tuple(runs),
    )


def find_run(connection: sqlite3.Connection, run_id: str) -> Run | None:
    """Return a run by its id, or None."""
    row = connection.execute(FIND_RUN, (run_id,)).fetchone()
    return None if row is None else run_from(row)


FIND_RUN: Final = f"SELECT {RUN_SELECT} FROM runs WHERE id = ?"  # noqa: S608 - our own columns
