"""Runs after intake: leased, taken further, settled, asked for."""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Final

from msgspec import structs

from tidegate.adapters.sqlite.intake import (
    CLAIM_DELIVERY,
    CLAIM_EFFECT,
    FIND_EFFECT,
    insert,
    revive_view,
)
from tidegate.adapters.sqlite.rows import Row, find_run
from tidegate.adapters.sqlite.transitions import audit, is_final, step
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core.model import AuditEntry, Change, Leased, Run, RunId, State
from tidegate.core.rows import AUDIT_SELECT, RUN_COLUMNS, RUN_SELECT, as_json, audit_from, run_from
from tidegate.errors import LeaseLostError, NoSuchRunError, NotAllowedNowError
from tidegate.ports import RunFilter

_WORK: Final = "state IN ('queued', 'sending') AND wake_at IS NOT NULL"
_POLL: Final = "state IN ('running', 'unknown') AND wake_at IS NOT NULL"

DUE_WORK: Final = (
    f"SELECT {RUN_SELECT} FROM runs WHERE pathway = ? AND {_WORK} AND wake_at <= ? "
    "ORDER BY wake_at, rowid LIMIT ?"
)
DUE_POLLS: Final = (
    f"SELECT {RUN_SELECT} FROM runs WHERE {_POLL} AND wake_at <= ? ORDER BY wake_at, rowid LIMIT ?"
)
_LEASE: Final = (
    "UPDATE runs SET lease_token = ?, lease_until = ? WHERE id IN (SELECT value FROM json_each(?))"
)
_MOST_LEFT_BEHIND: Final = 16
_NEXT_AT: Final = RUN_COLUMNS.index("next_at")
_ID: Final = RUN_COLUMNS.index("id")
_RENEW: Final = "UPDATE runs SET lease_until = ? WHERE id = ? AND lease_token = ?"
_UNDER_LEASE: Final = f"SELECT {RUN_SELECT} FROM runs WHERE id = ? AND lease_token = ?"
_CHECK: Final = "UPDATE runs SET next_at = ?, updated_at = ? WHERE id = ?"
_TAKE_EFFECT: Final = (
    "UPDATE effects SET run_id = ?, at = ?, state = NULL, user_id = ?, sure = 1 WHERE key = ?"
)
_LET_EFFECT_GO: Final = "UPDATE runs SET effect_key = NULL WHERE id = ?"

NEXT_PATHWAY: Final = f"SELECT MIN(pathway) FROM runs WHERE {_WORK} AND pathway > ?"
NEXT_WORK: Final = f"SELECT MIN(wake_at) FROM runs WHERE {_WORK} AND pathway = ?"
NEXT_POLL: Final = f"SELECT MIN(wake_at) FROM runs WHERE {_POLL}"


def lease(
    tx: Transaction, *, slots: Mapping[str, int], polls: int, seconds: float, most: int | None
) -> Sequence[Leased]:
    """Lease runs whose time has come, oldest first."""
    rows: list[Row] = []
    for pathway, count in slots.items():
        if count > 0:
            rows += tx.all(DUE_WORK, (pathway, tx.now, count))
    for pathway in _left_behind(tx, slots):
        rows += tx.all(DUE_WORK, (pathway, tx.now, _MOST_LEFT_BEHIND))
    if most is not None:
        rows = sorted(rows, key=_due)[: max(0, most)]
    if polls > 0:
        rows += tx.all(DUE_POLLS, (tx.now, polls))
    if not rows:
        return ()
    token = tx.clock.entropy(16).hex()
    runs = sorted(map(run_from, rows), key=lambda run: (run.next_at or 0.0, run.id))
    tx.do(_LEASE, (token, tx.now + seconds, as_json([run.id for run in runs])))
    return tuple(Leased(run=run, token=token) for run in runs)


def _left_behind(tx: Transaction, slots: Mapping[str, int]) -> Sequence[str]:
    """Return the pathways that have work and are not configured any more."""
    found: list[str] = []
    row = tx.one(NEXT_PATHWAY, ("",))
    while row is not None and row[0] is not None:
        if row[0] not in slots:
            found.append(row[0])
        row = tx.one(NEXT_PATHWAY, (row[0],))
    return found


def _due(row: Row) -> tuple[float, str]:
    return (row[_NEXT_AT] or 0.0, row[_ID])


def renew(tx: Transaction, leases: Sequence[tuple[RunId, str]], *, seconds: float) -> set[RunId]:
    """Make leases last; return the runs whose lease was lost."""
    until = tx.now + seconds
    return {run_id for run_id, token in leases if not tx.do(_RENEW, (until, run_id, token))}


def advance(tx: Transaction, leased: Leased, change: Change) -> Run:
    """Write one step under a lease."""
    row = tx.one(_UNDER_LEASE, (leased.run.id, leased.token))
    if row is None:
        raise LeaseLostError("the lease is not held any more")
    return step(tx, run_from(row), change, keep_lease=change.keep_lease)


def settle(tx: Transaction, run_id: RunId, change: Change) -> Run:
    """Take a run out of `unknown`."""
    run = _existing(tx, run_id)
    if run.state is not State.UNKNOWN:
        raise NotAllowedNowError(f"the run is {run.state}, not unknown")
    if change.state is None:
        raise NotAllowedNowError("a run is settled by a state that it ends in")
    return step(tx, run, change)


def confirm(tx: Transaction, run_id: RunId, *, yes: bool, user_id: str) -> Run:
    """Let a run that awaits confirmation go on, or cancel it."""
    run = _existing(tx, run_id)
    if run.state is not State.AWAITING_CONFIRMATION:
        raise NotAllowedNowError(f"the run is {run.state}, not awaiting confirmation")
    if yes:
        return step(tx, run, Change(state=State.QUEUED, next_at=tx.now, actor=user_id))
    return step(tx, run, Change(state=State.CANCELLED, actor=user_id))


def ask_check(tx: Transaction, run_id: RunId, *, user_id: str) -> Run:
    """Make an unknown run due, so that a worker looks into it."""
    run = _existing(tx, run_id)
    if run.state is not State.UNKNOWN:
        raise NotAllowedNowError(f"the run is {run.state}, not unknown")
    tx.do(_CHECK, (tx.now, tx.now, run_id))
    audit(tx, run, "check asked", actor=user_id)
    tx.stirred = True
    return structs.replace(run, next_at=tx.now, updated_at=tx.now)


def retry(tx: Transaction, run_id: RunId, new: Run, *, actor: str) -> Run:
    """Record *new* as a queued run of its own, with `run_id` as its parent."""
    parent = _existing(tx, run_id)
    if not is_final(parent):
        raise NotAllowedNowError(f"the run is {parent.state}: it has not ended")
    if not tx.do(CLAIM_DELIVERY, (new.delivery_key, new.id, tx.now)):
        raise NotAllowedNowError("the new run's delivery key is known already")
    if new.effect_key is not None:
        _take_effect(tx, parent, new)
    fresh = structs.replace(
        new, state=State.RECEIVED, parent_id=parent.id, view_id=parent.view_id, next_at=None
    )
    revive_view(tx, fresh.view_id)
    insert(tx, fresh, target=State.QUEUED)
    audit(tx, fresh, "received", actor=actor)
    return step(tx, fresh, Change(state=State.QUEUED, next_at=tx.now, actor=actor))


def listed(connection: Connection, which: RunFilter, most: int) -> Sequence[Run]:
    """Return runs, newest first, and at most *most*."""
    narrow: dict[str, str | None] = {
        "state = ?": which.state,
        "action = ?": which.action,
        "user_id = ?": which.user_id,
        "id < ?": which.before,
    }
    given = {term: str(value) for term, value in narrow.items() if value is not None}
    where = " AND ".join(given) or "TRUE"
    sql = f"SELECT {RUN_SELECT} FROM runs WHERE {where} ORDER BY id DESC LIMIT ?"
    return tuple(
        map(run_from, connection.execute(sql, (*given.values(), max(0, min(which.limit, most)))))
    )


def audit_log(
    connection: Connection, *, run_id: RunId | None, before: int | None, limit: int
) -> Sequence[AuditEntry]:
    """Return audit entries: oldest first for one run, newest first otherwise."""
    narrow: dict[str, str | int | None] = {"run_id = ?": run_id, "seq < ?": before}
    given = {term: value for term, value in narrow.items() if value is not None}
    where = " AND ".join(given) or "TRUE"
    order = "ASC" if run_id is not None else "DESC"
    sql = f"SELECT {AUDIT_SELECT} FROM audit WHERE {where} ORDER BY seq {order} LIMIT ?"
    return tuple(map(audit_from, connection.execute(sql, (*given.values(), limit))))


def next_wake(connection: Connection) -> float | None:
    """Return when the next run may be leased, or None."""
    wakes = [connection.execute(NEXT_POLL).fetchone()[0]]
    pathway = connection.execute(NEXT_PATHWAY, ("",)).fetchone()[0]
    while pathway is not None:
        wakes.append(connection.execute(NEXT_WORK, (pathway,)).fetchone()[0])
        pathway = connection.execute(NEXT_PATHWAY, (pathway,)).fetchone()[0]
    return min((wake for wake in wakes if wake is not None), default=None)


def _existing(tx: Transaction, run_id: RunId) -> Run:
    run = find_run(tx.connection, run_id)
    if run is None:
        raise NoSuchRunError("there is no run with that id")
    return run


def _take_effect(tx: Transaction, parent: Run, new: Run) -> None:
    """Claim the effect key for *new* if it is free or the parent's."""
    if tx.do(CLAIM_EFFECT, (new.effect_key, new.id, tx.now, new.user_id, 1)):
        return
    row = tx.one(FIND_EFFECT, (new.effect_key,))
    if row is None or row[0] != parent.id:
        raise NotAllowedNowError("another run has taken the place of this one")
    tx.do(_TAKE_EFFECT, (new.id, tx.now, new.user_id, new.effect_key))
    tx.do(_LET_EFFECT_GO, (parent.id,))
