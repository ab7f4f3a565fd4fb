"""Runs after intake: leased, taken further, settled, asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from tidegate.adapters.postgres.intake import (
    CLAIM_EFFECT,
    FIND_EFFECT,
    claim_delivery,
    find_run,
    insert,
    revive_view,
)
from tidegate.adapters.postgres.transaction import Transaction
from tidegate.adapters.postgres.transitions import Step, audit, step, write
from tidegate.core.lifecycle import is_final
from tidegate.core.model import AuditEntry, Change, Leased, Run, RunId, State
from tidegate.core.rows import (
    AUDIT_SELECT,
    RUN_COLUMNS,
    RUN_SELECT,
    audit_from,
    run_from,
)
from tidegate.errors import LeaseLostError, NoSuchRunError, NotAllowedNowError, StoreError
from tidegate.ports import RunFilter

_WORK: Final = "state IN ('queued', 'sending') AND wake_at IS NOT NULL"
_POLL: Final = "state IN ('running', 'unknown') AND wake_at IS NOT NULL"

#: The pathways that have work, found by as many looks into the index as there are such.
#: https://wiki.postgresql.org/wiki/Loose_indexscan
_PATHWAYS: Final = (
    f"pathways (pathway) AS ((SELECT min(pathway) FROM runs WHERE {_WORK}) UNION ALL "
    f"SELECT (SELECT min(pathway) FROM runs WHERE {_WORK} AND pathway > pathways.pathway) "
    "FROM pathways WHERE pathway IS NOT NULL)"
)
_MOST_LEFT_BEHIND: Final = 16
_ALL: Final = 2**31 - 1
# Rows that another worker is just leasing are passed over, so that nobody waits.
# https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE
LEASE: Final = f"""
WITH RECURSIVE {_PATHWAYS},
slots (pathway, free) AS (
    SELECT * FROM unnest($1::text[], $2::integer[])
    UNION ALL SELECT pathway, {_MOST_LEFT_BEHIND} FROM pathways
    WHERE pathway IS NOT NULL AND NOT pathway = ANY ($3::text[])
), due AS (
    SELECT found.* FROM slots CROSS JOIN LATERAL (
        SELECT id, next_at FROM runs WHERE pathway = slots.pathway AND {_WORK}
        AND wake_at <= $4::float8 ORDER BY wake_at, seq LIMIT slots.free FOR UPDATE SKIP LOCKED
    ) AS found
), polled AS (
    SELECT id FROM runs WHERE {_POLL} AND wake_at <= $4::float8
    ORDER BY wake_at, seq LIMIT $5::integer FOR UPDATE SKIP LOCKED
), chosen AS (
    (SELECT id FROM due ORDER BY next_at, id LIMIT $6::integer) UNION ALL SELECT id FROM polled
)
UPDATE runs SET lease_token = $7, lease_until = $8
WHERE id IN (SELECT id FROM chosen) RETURNING {RUN_SELECT}
"""
NEXT_WAKE: Final = f"""
WITH RECURSIVE {_PATHWAYS}
SELECT least(
    (SELECT min(wake_at) FROM runs WHERE {_POLL}),
    (SELECT min(next.wake_at) FROM pathways CROSS JOIN LATERAL (
        SELECT wake_at FROM runs WHERE pathway = pathways.pathway AND {_WORK}
        ORDER BY wake_at LIMIT 1) AS next),
    (SELECT min(wake_at) FROM views WHERE urgent AND wake_at IS NOT NULL),
    (SELECT min(wake_at) FROM views WHERE NOT urgent AND wake_at IS NOT NULL)
)
"""
_RENEW: Final = (
    "WITH held AS (SELECT r.id FROM runs AS r JOIN unnest($2::text[], $3::text[]) AS h (id, token) "
    "ON r.id = h.id AND r.lease_token = h.token ORDER BY r.id FOR UPDATE OF r) "
    "UPDATE runs SET lease_until = $1 FROM held WHERE runs.id = held.id RETURNING runs.id"
)
_UNDER_LEASE: Final = (
    f"SELECT {RUN_SELECT}, lease_token, mark FROM runs WHERE id = ANY($1::text[]) "
    "ORDER BY id FOR UPDATE"
)
_MARKED: Final = f"SELECT {RUN_SELECT}, mark FROM runs WHERE id = $1 FOR UPDATE"
_CHECK: Final = "UPDATE runs SET next_at = $1, updated_at = $1, mark = $3 WHERE id = $2"
_TAKE_EFFECT: Final = (
    "UPDATE effects SET run_id = $1, at = $2, state = NULL, user_id = $3, sure = true "
    "WHERE key = $4"
)
_LET_EFFECT_GO: Final = "UPDATE runs SET effect_key = NULL WHERE id = $1"
_ID: Final = RUN_COLUMNS.index("id")

#: A step under a lease, and the mark that it leaves.
Advance = tuple[Leased, Change, str]


async def lease(
    tx: Transaction, *, slots: Mapping[str, int], polls: int, seconds: float, most: int | None
) -> Sequence[Leased]:
    """Lease runs whose time has come, oldest first; one statement."""
    token = tx.clock.entropy(16).hex()
    free = {pathway: count for pathway, count in slots.items() if count > 0}
    rows = await tx.all(
        LEASE,
        list(free),
        list(free.values()),
        list(slots),
        tx.now,
        max(0, polls),
        _ALL if most is None else max(0, most),
        token,
        tx.now + seconds,
    )
    runs = sorted(map(run_from, rows), key=lambda run: (run.next_at or 0.0, run.id))
    return tuple(Leased(run=run, token=token) for run in runs)


async def renew(
    tx: Transaction, leases: Sequence[tuple[RunId, str]], *, seconds: float
) -> set[RunId]:
    """Make leases last; return the runs whose lease was lost. One statement."""
    ids, tokens = [run_id for run_id, _ in leases], [token for _, token in leases]
    rows = await tx.all(_RENEW, tx.now + seconds, ids, tokens)
    return set(ids) - {row[0] for row in rows}


async def advance_together(tx: Transaction, advances: Sequence[Advance]) -> list[Run | StoreError]:
    """Write one step each under leases; return each run as it is now, or why it is not."""
    results: dict[int, Run | StoreError] = {}
    left = dict(enumerate(advances))
    while left:  # one round, unless somebody takes two steps of one run at once
        first: dict[str, int] = {}
        for number, (leased, _, _) in left.items():
            first.setdefault(leased.run.id, number)
        turn = {number: left.pop(number) for number in first.values()}
        results |= await _advance(tx, turn)
    return [results[number] for number in range(len(advances))]


async def _advance(tx: Transaction, advances: Mapping[int, Advance]) -> dict[int, Run | StoreError]:
    ids = [leased.run.id for leased, _, _ in advances.values()]
    found = {row[_ID]: row for row in await tx.all(_UNDER_LEASE, ids)}
    results: dict[int, Run | StoreError] = {}
    steps: dict[int, Step] = {}
    for number, (leased, change, mark) in advances.items():
        row = found.get(leased.run.id)
        if row is not None and row[-1] == mark:  # of a try that was thought to have failed
            results[number] = run_from(row)
        elif row is None or row[-2] != leased.token:
            results[number] = LeaseLostError("the lease is not held any more")
        else:
            kept = change.keep_lease
            steps[number] = Step(old=run_from(row), change=change, keep_lease=kept, mark=mark)
    written = await write(tx, list(steps.values())) if steps else []
    return results | dict(zip(steps, written, strict=True))


async def settle(tx: Transaction, run_id: RunId, change: Change) -> Run:
    """Take a run out of `unknown`."""
    run, done = await _existing(tx, run_id)
    if done:
        return run
    if run.state is not State.UNKNOWN:
        raise NotAllowedNowError(f"the run is {run.state}, not unknown")
    if change.state is None:
        raise NotAllowedNowError("a run is settled by a state that it ends in")
    return await step(tx, run, change)


async def confirm(tx: Transaction, run_id: RunId, *, yes: bool, user_id: str) -> Run:
    """Let a run that awaits confirmation go on, or cancel it."""
    run, done = await _existing(tx, run_id)
    if done:
        return run
    if run.state is not State.AWAITING_CONFIRMATION:
        raise NotAllowedNowError(f"the run is {run.state}, not awaiting confirmation")
    if yes:
        return await step(tx, run, Change(state=State.QUEUED, next_at=tx.now, actor=user_id))
    return await step(tx, run, Change(state=State.CANCELLED, actor=user_id))


async def ask_check(tx: Transaction, run_id: RunId, *, user_id: str) -> Run:
    """Make an unknown run due, so that a worker looks into it."""
    run, done = await _existing(tx, run_id)
    if done:
        return run
    if run.state is not State.UNKNOWN:
        raise NotAllowedNowError(f"the run is {run.state}, not unknown")
    await tx.do(_CHECK, tx.now, run_id, tx.mark)
    await audit(tx, run, "check asked", actor=user_id)
    tx.stirred = True
    return structs.replace(run, next_at=tx.now, updated_at=tx.now)


async def retry(tx: Transaction, run_id: RunId, new: Run, *, actor: str) -> Run:
    """Record *new* as a queued run of its own, with `run_id` as its parent."""
    parent, _ = await _existing(tx, run_id)
    if not is_final(parent.state):
        raise NotAllowedNowError(f"the run is {parent.state}: it has not ended")
    known = await claim_delivery(tx, new.delivery_key, new.id, tx.mark)
    if known is not None:
        done = await find_run(tx, new.id) if known[1] == tx.mark else None
        if done is None:
            raise NotAllowedNowError("the new run's delivery key is known already")
        return done
    if new.effect_key is not None:
        await _take_effect(tx, parent, new)
    fresh = structs.replace(
        new, state=State.RECEIVED, parent_id=parent.id, view_id=parent.view_id, next_at=None
    )
    await revive_view(tx, fresh.view_id)
    await insert(tx, fresh, target=State.QUEUED)
    await audit(tx, fresh, "received", actor=actor)
    return await step(tx, fresh, Change(state=State.QUEUED, next_at=tx.now, actor=actor))


async def listed(tx: Transaction, which: RunFilter, most: int) -> Sequence[Run]:
    """Return runs, newest first, and at most *most*."""
    narrow = {
        "state =": which.state,
        "action =": which.action,
        "user_id =": which.user_id,
        "id <": which.before,
    }
    where, values = _where(narrow)
    limit = max(0, min(which.limit, most))
    sql = f"SELECT {RUN_SELECT} FROM runs WHERE {where} ORDER BY id DESC LIMIT {limit}"
    return tuple(map(run_from, await tx.all(sql, *values)))


async def audit_log(
    tx: Transaction, *, run_id: RunId | None, before: int | None, limit: int
) -> Sequence[AuditEntry]:
    """Return audit entries: oldest first for one run, newest first otherwise."""
    where, values = _where({"run_id =": run_id, "seq <": before})
    order = "DESC" if run_id is None else "ASC"
    sql = f"SELECT {AUDIT_SELECT} FROM audit WHERE {where} ORDER BY seq {order} LIMIT {limit:d}"
    return tuple(map(audit_from, await tx.all(sql, *values)))


async def next_due(tx: Transaction) -> float | None:
    """Return when the next run or view may be leased, or None."""
    row = await tx.one(NEXT_WAKE)
    return None if row is None else row[0]


def _where(narrow: Mapping[str, Any]) -> tuple[str, list[Any]]:
    given = {term: value for term, value in narrow.items() if value is not None}
    terms = (f"{term} ${number + 1}" for number, term in enumerate(given))
    values = [value if isinstance(value, int) else str(value) for value in given.values()]
    return " AND ".join(terms) or "TRUE", values


async def _existing(tx: Transaction, run_id: RunId) -> tuple[Run, bool]:
    """Return a run, locked, and whether this very operation has written to it already."""
    row = await tx.one(_MARKED, run_id)
    if row is None:
        raise NoSuchRunError("there is no run with that id")
    return run_from(row), row[-1] == tx.mark


async def _take_effect(tx: Transaction, parent: Run, new: Run) -> None:
    """Claim the effect key for *new* if it is free or the parent's."""
    if await tx.do(CLAIM_EFFECT, new.effect_key, new.id, tx.now, new.user_id, True):
        return
    row = await tx.one(FIND_EFFECT, new.effect_key)
    if row is None or row[0] != parent.id:
        raise NotAllowedNowError("another run has taken the place of this one")
    await tx.do(_TAKE_EFFECT, new.id, tx.now, new.user_id, new.effect_key)
    await tx.do(_LET_EFFECT_GO, parent.id)
