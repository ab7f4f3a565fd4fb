"""Recording many runs at once: one statement, however many clicks wait.

Each statement that Python executes hands the interpreter's lock over and waits to get it back
from the event loop, which is busy just when many clicks wait. So what is recorded together is
given to SQLite in one go, a JSON text per table, which a trigger takes apart. Anything out of
the ordinary (a key that is known, a message that has a view, a rate limit) is left to
`tidegate.adapters.sqlite.intake`, one by one.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.adapters.sqlite.intake import going_on, record
from tidegate.adapters.sqlite.rows import Values
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core import lifecycle
from tidegate.core.model import Draft, Recorded, RecordResult, RunId, State, ViewDraft
from tidegate.core.rows import RUN_GIVEN, as_json, run_row
from tidegate.core.telling import GRACE_SECONDS

_NUL: Final = "\\u0000"  # where SQLite's JSON functions would end the text


_GIVEN: Final = len(RUN_GIVEN)


def _fields(*indexes: int) -> str:
    return ", ".join(f"json_extract(value, '$[{index}]')" for index in indexes)


#: What the trigger does; `new.…` is what it was given.
STATEMENTS: Final = (
    *going_on(now="new.now", due_at="new.due_at", ids="new.answered", actor="'intake'"),
    f"INSERT INTO deliveries (key, run_id, at) SELECT {_fields(0, 1)}, new.now "
    "FROM json_each(new.keys)",
    f"INSERT INTO effects (key, run_id, user_id, sure, at) SELECT {_fields(0, 1, 2, 3)}, new.now "
    "FROM json_each(new.effects)",
    "INSERT INTO views (id, team_id, channel_id, ts, thread_ts, own, text, blocks, posting, "
    f"version, due_at) SELECT new.last_view + {_fields(*range(9))}, 1, new.due_at "
    "FROM json_each(new.views)",
    f"INSERT INTO runs ({', '.join(RUN_GIVEN)}, facts, target_state, view_id) "
    f"SELECT {_fields(*range(_GIVEN + 2))}, new.last_view + {_fields(_GIVEN + 2)} "
    "FROM json_each(new.runs)",
    "INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "
    f"SELECT new.now, {_fields(1)}, 'received', {_fields(2, 3)}, '', {_fields(2, 4)} "
    "FROM json_each(new.keys)",
)
#: Of a connection alone, so it is no part of the file's schema. A key that is known, or a message
#: that has a view, makes the statement fail, and then nothing of it was done.
_PREPARE: Final = f"""
CREATE TEMP VIEW recordings AS
SELECT NULL AS now, NULL AS due_at, NULL AS last_view,
    NULL AS answered, NULL AS keys, NULL AS effects, NULL AS views, NULL AS runs;
CREATE TEMP TRIGGER recording INSTEAD OF INSERT ON recordings BEGIN {"; ".join(STATEMENTS)}; END;
"""
_RECORD: Final = (
    "INSERT INTO recordings SELECT ?, ?, (SELECT coalesce(max(id), 0) FROM views), ?, ?, ?, ?, ?"
)


def prepare(connection: sqlite3.Connection) -> None:
    """Make a connection able to record many runs at once."""
    connection.executescript(_PREPARE)


@dataclass(frozen=True, slots=True)
class Recording:
    """The operation that records one run."""

    draft: Draft

    def __call__(self, tx: Transaction) -> RecordResult:
        """Record it alone."""
        return record(tx, self.draft)


def record_together(
    tx: Transaction, drafts: Sequence[Draft], answered: Sequence[RunId]
) -> list[RecordResult] | None:
    """Let the *answered* go on and record all *drafts*.

    Returns None if not all are ordinary; then nothing was written, and the caller does it one
    by one.
    """
    if not all(map(_is_ordinary, drafts)):
        return None
    keys: list[Values] = []
    effects: list[Values] = []
    views: list[Values] = []
    runs: list[Values] = []
    for draft in drafts:
        run, number = draft.run, None
        keys.append((run.delivery_key, run.id, run.user_id, run.action, run.channel_id))
        if run.effect_key is not None:
            effects.append((run.effect_key, run.id, run.user_id, int(run.sure)))
        if draft.view is not None:
            number = len(views) + 1
            views.append(_view_row(number, run.team_id, draft.view))
        runs.append((*run_row(run), draft.state.value, number))
    texts = [as_json(rows) for rows in (answered, keys, effects, views, runs)]
    if any(_NUL in text for text in texts):
        return None
    try:
        tx.do(_RECORD, (tx.now, tx.now + GRACE_SECONDS, *texts))
    except sqlite3.IntegrityError:
        return None
    tx.stirred = tx.stirred or bool(views or answered)
    return [Recorded(run_id=draft.run.id) for draft in drafts]


def _is_ordinary(draft: Draft) -> bool:
    return draft.rate is None and lifecycle.allowed(State.RECEIVED, draft.state)


def _view_row(number: int, team_id: str, view: ViewDraft) -> Values:
    own = view.ts is not None
    return (
        number,
        team_id,
        view.channel_id,
        view.ts,
        view.thread_ts,
        1 if own else 0,
        view.text,
        as_json(view.blocks),
        "posted" if own else "none",
    )
