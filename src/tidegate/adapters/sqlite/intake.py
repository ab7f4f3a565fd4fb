"""What intake writes: runs with their keys and views, and refusals."""

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from tidegate.adapters.sqlite.rows import Values, find_run
from tidegate.adapters.sqlite.transitions import audit, mark_view, soon, step
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core import lifecycle
from tidegate.core.holding import Holder, refused_late
from tidegate.core.model import (
    Draft,
    Duplicate,
    Joined,
    Kind,
    Limited,
    Recorded,
    RecordResult,
    Refusal,
    Run,
    RunId,
    State,
    ViewDraft,
)
from tidegate.core.rows import RUN_GIVEN, as_json, run_row
from tidegate.core.telling import GRACE_SECONDS
from tidegate.errors import NotAllowedNowError

CLAIM_DELIVERY: Final = (
    "INSERT INTO deliveries (key, run_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
)
FIND_DELIVERY: Final = "SELECT run_id FROM deliveries WHERE key = ?"
_DROP_DELIVERY: Final = "DELETE FROM deliveries WHERE key = ? AND run_id = ?"
_POINT_DELIVERY: Final = "UPDATE deliveries SET run_id = ? WHERE key = ?"

CLAIM_EFFECT: Final = (
    "INSERT INTO effects (key, run_id, at, user_id, sure) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)
FIND_EFFECT: Final = "SELECT run_id, at, state, user_id, sure FROM effects WHERE key = ?"
_DROP_EFFECT: Final = "DELETE FROM effects WHERE key = ? AND run_id = ?"

NTH_NEWEST: Final = (
    "SELECT created_at FROM runs WHERE action = ? AND user_id = ? AND created_at > ? "
    "ORDER BY created_at DESC LIMIT 1 OFFSET ?"
)

FIND_VIEW: Final = (
    "SELECT id FROM views WHERE team_id = ? AND channel_id = ? AND ts = ? AND own = 1"
)
_REVIVE: Final = (
    "UPDATE views SET posting = CASE WHEN ts IS NULL THEN 'none' ELSE 'posted' END, "
    "intent_at = NULL, intent_final = 0, lookups = 0, failures = 0 "
    "WHERE id = ? AND posting = 'given_up'"
)
_INSERT_VIEW: Final = (
    "INSERT INTO views (team_id, channel_id, ts, thread_ts, own, text, blocks, version, posting, "
    "due_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)"
)

_INSERT_RUN: Final = (
    f"INSERT INTO runs ({', '.join(RUN_GIVEN)}, facts, target_state, view_id) "
    f"VALUES ({', '.join('?' for _ in RUN_GIVEN)}, ?, ?, ?)"
)

# Recorded runs go on in sets: three statements however many there are.
_IDS: Final = "id IN (SELECT value FROM json_each({ids})) AND state = 'received'"
_GO_ON: Final = (
    "INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "
    "SELECT {now}, id, 'received → ' || target_state, {actor}, action, '', user_id, channel_id "
    f"FROM runs WHERE {_IDS} ORDER BY created_at, id",
    f"{soon('{due_at}')} WHERE id IN (SELECT view_id FROM runs WHERE {_IDS} "
    # what is out of date and in nobody's hands will show the new state anyway
    "AND view_id IS NOT NULL) AND (version = rendered_version OR lease_token IS NOT NULL)",
    "UPDATE runs SET state = target_state, updated_at = {now}, "
    "next_at = CASE target_state WHEN 'queued' THEN coalesce(next_at, {now}) END "
    f"WHERE {_IDS}",
)


def going_on(*, now: str, due_at: str, ids: str, actor: str) -> tuple[str, ...]:
    """Return the statements by which runs that are `received` go on to their target.

    Args:
        now: An SQL expression for the moment.
        due_at: … for when their messages are to tell of it.
        ids: … for a JSON array of their ids.
        actor: … for who is named in the audit log.
    """
    return tuple(sql.format(now=now, due_at=due_at, ids=ids, actor=actor) for sql in _GO_ON)


_LET_GO: Final = going_on(now=":now", due_at=":due_at", ids=":ids", actor=":actor")

_REFUSED: Final = (
    "INSERT INTO audit (at, event, actor, action, reason, user_id, channel_id) "
    "VALUES (?, 'refused', ?, ?, ?, ?, ?)"
)
_LIMITED: Final = (
    "INSERT INTO audit (at, event, actor, action, reason, user_id, channel_id) "
    "VALUES (?, 'limited', ?, ?, 'rate_limit', ?, ?)"
)


def record(tx: Transaction, draft: Draft) -> RecordResult:
    """Insert a run as `received`, or say why it is not new."""
    run = draft.run
    if not lifecycle.allowed(State.RECEIVED, draft.state):
        raise NotAllowedNowError(f"a run that is received cannot become {draft.state}")
    if not tx.do(CLAIM_DELIVERY, (run.delivery_key, run.id, tx.now)):
        row = tx.one(FIND_DELIVERY, (run.delivery_key,))
        if row is not None and row[0] == run.id:
            return Recorded(run_id=run.id)  # of a try that was thought to have failed
        return Duplicate(run_id=None if row is None else row[0])
    held = None
    if run.effect_key is not None and not tx.do(
        CLAIM_EFFECT, (run.effect_key, run.id, tx.now, run.user_id, run.sure)
    ):
        held = tx.one(FIND_EFFECT, (run.effect_key,))
    holder = None if held is None else Holder(*held)
    if holder is not None and holder.is_joined_by(run, tx.now):
        return _join(tx, run, holder)
    if draft.rate is not None:
        opens = _opens_at(tx, run, *draft.rate)
        if opens is not None:
            return _limit(tx, run, opens)
    insert(tx, run, target=draft.state, view=draft.view)
    audit(tx, run, "received", actor=run.user_id)
    return Recorded(run_id=run.id)


def insert(tx: Transaction, run: Run, *, target: State, view: ViewDraft | None = None) -> None:
    """Insert a run as `received`, with its view if it is given one."""
    view_id = run.view_id if view is None else _view_for(tx, run.team_id, view)
    tx.do(_INSERT_RUN, (*run_row(run), target.value, view_id))


def take_on(tx: Transaction, answered: Sequence[RunId], refused: Sequence[RunId]) -> None:
    """Take recorded runs on: the refused to their end, the others to where they were to go."""
    for run_id in refused:
        run = find_run(tx.connection, run_id)
        late = refused_late(run) if run is not None else None
        if run is not None and late is not None:
            step(tx, run, late)
            # A modal that was refused comes again with the same key, and is to be taken then.
            tx.do(_DROP_DELIVERY, (run.delivery_key, run.id))
    if answered:
        let_go(tx, answered, actor="intake")


def let_go(tx: Transaction, run_ids: Sequence[RunId], *, actor: str) -> int:
    """Let those runs that are still `received` go on to their target; return how many did."""
    values: Values = {
        "now": tx.now,
        "due_at": tx.now + GRACE_SECONDS,
        "ids": as_json(run_ids),
        "actor": actor,
    }
    moved = [tx.do(sql, values) for sql in _LET_GO][-1]
    tx.stirred = tx.stirred or moved > 0
    return moved


def refuse(tx: Transaction, refusal: Refusal) -> bool:
    """Write a refusal to the audit log, unless the delivery is known."""
    if not tx.do(CLAIM_DELIVERY, (refusal.delivery_key, None, tx.now)):
        return False
    tx.do(
        _REFUSED,
        (
            refusal.at,
            refusal.user_id,
            refusal.action,
            refusal.reason,
            refusal.user_id,
            refusal.channel_id,
        ),
    )
    return True


def _join(tx: Transaction, run: Run, holder: Holder) -> Joined:
    held = find_run(tx.connection, holder.run_id) or holder.forgotten(run)
    tx.do(_POINT_DELIVERY, (held.id, run.delivery_key))
    audit(tx, structs.replace(run, id=held.id), "joined", actor=run.user_id)
    return Joined(run=held)


def _opens_at(tx: Transaction, run: Run, count: int, seconds: float) -> float | None:
    row = tx.one(NTH_NEWEST, (run.action, run.user_id, tx.now - seconds, count - 1))
    return None if row is None else float(row[0]) + seconds


def _limit(tx: Transaction, run: Run, opens: float) -> Limited:
    if run.effect_key is not None:
        tx.do(_DROP_EFFECT, (run.effect_key, run.id))
    if run.kind is Kind.VIEW_SUBMISSION:
        # A modal stays open, and the person sends it again as it is.
        tx.do(_DROP_DELIVERY, (run.delivery_key, run.id))
    else:
        tx.do(_POINT_DELIVERY, (None, run.delivery_key))
    tx.do(
        _LIMITED,
        (tx.now, run.user_id, run.action, run.user_id, run.channel_id),
    )
    return Limited(retry_at=opens)


def _view_for(tx: Transaction, team_id: str, view: ViewDraft) -> int:
    """Return the view of the draft: the message's own if it is there, else a new one."""
    if view.ts is not None:
        row = tx.one(FIND_VIEW, (team_id, view.channel_id, view.ts))
        if row is not None:
            revive_view(tx, row[0])
            mark_view(tx, row[0], final=False)
            return int(row[0])
    tx.stirred = True
    return insert_view(tx, team_id, view, due_at=tx.now + GRACE_SECONDS)


def revive_view(tx: Transaction, view_id: int | None) -> None:
    """Have a message that was given up told again: there is a new run to tell of."""
    tx.do(_REVIVE, (view_id,))


def insert_view(tx: Transaction, team_id: str, view: ViewDraft, *, due_at: float) -> int:
    """Insert a view at its first version, and return its id."""
    own = view.ts is not None
    cursor = tx.connection.execute(
        _INSERT_VIEW,
        (
            team_id,
            view.channel_id,
            view.ts,
            view.thread_ts,
            1 if own else 0,
            view.text,
            as_json(view.blocks),
            "posted" if own else "none",
            due_at,
        ),
    )
    return int(cursor.lastrowid or 0)
