"""What a store keeps of runs and messages, column by column: rows as values, values as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

import msgspec

from tidegate.core.model import AuditEntry, Kind, Posting, Progress, Run, State, View
from tidegate.core.steps import Steps

#: What is known of a run when it is recorded and never changes, and no statement asks for: one
#: JSON array in the column `facts`. A column of its own for each would cost more to insert than
#: all the rest of a run.
FACTS: Final = (
    "kind",
    "action_id",
    "team_id",
    "enterprise_id",
    "user_name",
    "user_team_id",
    "message_ts",
    "thread_ts",
    "block_id",
    "value_digest",
    "label",
    "params",
    "delivery_key",
    "repeat",
    "idempotent",
    "parent_id",
    "deadline_at",
)
#: The columns that a run is inserted with.
RUN_GIVEN: Final = (
    "id",
    "action",
    "pathway",
    "state",
    "user_id",
    "channel_id",
    "effect_key",
    "sure",
    "response_url",
    "created_at",
    "updated_at",
    "start_by",
    "next_at",
)
#: The columns of what comes to it; their defaults are those of `Run`.
RUN_LATER: Final = (
    "view_id",
    "started_at",
    "finished_at",
    "attempts",
    "polls",
    "location",
    "reason",
    "http_status",
    "status_text",
    "message",
    "progress",
    "steps",
)
RUN_COLUMNS: Final = (*RUN_GIVEN, *RUN_LATER)
RUN_SELECT: Final = ", ".join((*RUN_COLUMNS, "facts"))
_GIVEN_VALUES: Final = attrgetter(*RUN_GIVEN)
_FACT_VALUES: Final = attrgetter(*FACTS)
_PROGRESS: Final = RUN_COLUMNS.index("progress")
_STEPS: Final = RUN_COLUMNS.index("steps")
_STATE: Final = RUN_COLUMNS.index("state")
_SURE: Final = RUN_COLUMNS.index("sure")

_AUDIT_COLUMNS: Final = tuple(field.name for field in fields(AuditEntry))
AUDIT_SELECT: Final = ", ".join(_AUDIT_COLUMNS)

_STATES: Final = {state.value: state for state in State}
_KINDS: Final = {kind.value: kind for kind in Kind}

#: A row as a database gives it; one without truth values gives 1 and 0.
Row = Sequence[Any]


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
_DECODER: Final = msgspec.json.Decoder()
_PROGRESS_DECODER: Final = msgspec.json.Decoder(Progress)
_STEPS_DECODER: Final = msgspec.json.Decoder(Steps)


def as_json(value: object) -> str:
    """Return *value* as JSON text."""
    return _ENCODER.encode(value).decode()


def from_json(text: str) -> Any:
    """Return what was stored by `as_json`, as plain lists and dicts."""
    return _DECODER.decode(text)


def run_row(run: Run) -> tuple[Any, ...]:
    """Return the values that a new run is inserted with: `RUN_GIVEN`, then `facts`."""
    row = list(_GIVEN_VALUES(run))
    row[_STATE] = State.RECEIVED.value
    return (*row, as_json(_FACT_VALUES(run)))


def run_from(row: Row) -> Run:
    """Return the run in a row that begins with `RUN_SELECT`."""
    values = dict(zip(RUN_COLUMNS, row, strict=False))
    values["state"] = _STATES[row[_STATE]]
    values["sure"] = bool(row[_SURE])
    if row[_PROGRESS] is not None:
        values["progress"] = _PROGRESS_DECODER.decode(row[_PROGRESS])
    if row[_STEPS] is not None:
        values["steps"] = _STEPS_DECODER.decode(row[_STEPS])
    facts = dict(zip(FACTS, from_json(row[len(RUN_COLUMNS)]), strict=True))
    facts["kind"] = _KINDS[facts["kind"]]
    return Run(**values, **facts)


def later_json(value: Progress | Steps | None) -> str | None:
    """Return what has come to a run as JSON text, or None."""
    return None if value is None else as_json(value)


def audit_from(row: Row) -> AuditEntry:
    """Return the audit entry in a row of `AUDIT_SELECT`."""
    return AuditEntry(**dict(zip(_AUDIT_COLUMNS, row, strict=True)))


VIEW_SELECT: Final = (
    "id, team_id, channel_id, ts, thread_ts, own, text, blocks, version, posting, intent_at, "
    "intent_final, lookups, failures, told_at"
)


def view_from(row: Row, *, token: str, runs: Sequence[Run]) -> View:
    """Return the view in a row of `VIEW_SELECT`, with its runs."""
    return View(
        id=row[0],
        team_id=row[1],
        channel_id=row[2],
        ts=row[3],
        thread_ts=row[4],
        own=bool(row[5]),
        text=row[6],
        blocks=tuple(from_json(row[7])),
        version=row[8],
        posting=Posting(row[9]),
        intent_at=row[10],
        intent_final=bool(row[11]),
        lookups=row[12],
        failures=row[13],
        told_at=row[14],
        token=token,
        runs=tuple(runs),
    )
