"""Recording many runs at once: a few statements, however many clicks wait.

Each statement that Python executes hands the interpreter's lock over and waits to get it back
from the event loop, which is busy just when many clicks wait. So what is recorded together is
given to SQLite as one JSON text per table. Anything out of the ordinary (a key that is known, a
message that has a view, a rate limit) is left to `tidegate.adapters.sqlite.intake`, one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.adapters.sqlite.intake import record
from tidegate.adapters.sqlite.rows import RUN_COLUMNS, as_json, run_row
from tidegate.adapters.sqlite.transitions import GRACE_SECONDS
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core import lifecycle
from tidegate.core.model import Draft, Recorded, RecordResult, State

_NUL: Final = "\\u0000"  # where SQLite's JSON functions would end the text

_STATE: Final = RUN_COLUMNS.index("state")
_VIEW_ID: Final = RUN_COLUMNS.index("view_id")


def _fields(count: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in range(count))


DELIVERIES: Final = (
    f"INSERT INTO deliveries (key, run_id, at) SELECT {_fields(2)}, ?2 "  # noqa: S608
    "FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING"
)
EFFECTS: Final = (
    f"INSERT INTO effects (key, run_id, user_id, at) SELECT {_fields(3)}, ?2 "  # noqa: S608
    "FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING"
)
LAST_VIEW: Final = "SELECT coalesce(max(id), 0) FROM views"
VIEWS: Final = (
    "INSERT INTO views (id, team_id, channel_id, ts, thread_ts, own, text, blocks, posting, "  # noqa: S608
    f"version, due_at) SELECT {_fields(9)}, 1, ?2 "
    "FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING"
)
RUNS: Final = (
    f"INSERT INTO runs ({', '.join(RUN_COLUMNS)}, target_state) "  # noqa: S608 - our own columns
    f"SELECT {_fields(len(RUN_COLUMNS) + 1)} FROM json_each(?1)"
)
AUDIT: Final = (
    "INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "  # noqa: S608
    f"SELECT ?2, {_fields(2)}, json_extract(value, '$[2]'), json_extract(value, '$[3]'), '', "
    "json_extract(value, '$[2]'), json_extract(value, '$[4]') FROM json_each(?1)"
)


@dataclass(frozen=True, slots=True)
class Recording:
    """The operation that records one run."""

    draft: Draft

    def __call__(self, tx: Transaction) -> RecordResult:
        """Record it alone."""
        return record(tx, self.draft)


def record_together(tx: Transaction, drafts: Sequence[Draft]) -> list[RecordResult] | None:
    """Record all of *drafts*, or return None: not all are ordinary, and some may be written.

    The caller then rolls back and records them one by one.
    """
    if not _ordinary(drafts):
        return None
    keys = [(draft.run.delivery_key, draft.run.id) for draft in drafts]
    if tx.do(DELIVERIES, (as_json(keys), tx.now)) != len(keys):
        return None
    effects = [
        (draft.run.effect_key, draft.run.id, draft.run.user_id)
        for draft in drafts
        if draft.run.effect_key is not None
    ]
    if effects and tx.do(EFFECTS, (as_json(effects), tx.now)) != len(effects):
        return None
    views = _insert_views(tx, drafts)
    if views is None:
        return None
    runs = as_json([_row(draft, views.get(at)) for at, draft in enumerate(drafts)])
    if _NUL in runs:
        return None
    tx.do(RUNS, (runs,))
    heard = [
        (draft.run.id, "received", draft.run.user_id, draft.run.action, draft.run.channel_id)
        for draft in drafts
    ]
    tx.do(AUDIT, (as_json(heard), tx.now))
    return [Recorded(run_id=draft.run.id) for draft in drafts]


def _ordinary(drafts: Sequence[Draft]) -> bool:
    deliveries = {draft.run.delivery_key for draft in drafts}
    effects = [draft.run.effect_key for draft in drafts if draft.run.effect_key is not None]
    return (
        len(deliveries) == len(drafts)
        and len(set(effects)) == len(effects)
        and all(
            draft.rate is None and lifecycle.allowed(State.RECEIVED, draft.state)
            for draft in drafts
        )
    )


def _insert_views(tx: Transaction, drafts: Sequence[Draft]) -> dict[int, int] | None:
    """Insert the drafts' views; return their ids by the drafts' positions, or None."""
    row = tx.one(LAST_VIEW)
    last = 0 if row is None else int(row[0])
    ids: dict[int, int] = {}
    rows: list[tuple[Any, ...]] = []
    for position, draft in enumerate(drafts):
        view = draft.view
        if view is None:
            continue
        ids[position] = last + len(ids) + 1
        own = view.ts is not None
        rows.append(
            (
                ids[position],
                draft.run.team_id,
                view.channel_id,
                view.ts,
                view.thread_ts,
                1 if own else 0,
                view.text,
                as_json(view.blocks),
                "posted" if own else "none",
            )
        )
    if rows:
        text = as_json(rows)
        if _NUL in text or tx.do(VIEWS, (text, tx.now + GRACE_SECONDS)) != len(rows):
            return None
        tx.stirred = True
    return ids


def _row(draft: Draft, view_id: int | None) -> list[Any]:
    row = run_row(draft.run)
    row[_STATE] = State.RECEIVED.value
    if view_id is not None:
        row[_VIEW_ID] = view_id
    row.append(draft.state.value)
    return row
