"""Steps of runs: held to the lifecycle, with their audit rows, their keys and their views.

Steps are written in sets: three statements however many there are. Rows are locked in one order
everywhere (runs, effects, views; each by its key), so that gateways seldom wait for each other in
a circle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import structs

from tidegate.adapters.postgres.transaction import Transaction
from tidegate.core import lifecycle
from tidegate.core.model import Change, Run, State
from tidegate.core.rows import later_json
from tidegate.core.telling import GRACE_SECONDS
from tidegate.errors import EffectTakenError, NotAllowedNowError, StoreError

_AUDIT: Final = (
    "INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)


def soon(due_at: str) -> str:
    """Return what sets `due_at` of views that are to be told soon.

    A view that is out of date already stays due when it was; a new reason waits for the hold.

    Args:
        due_at: An SQL expression for when.
    """
    return (
        "due_at = CASE WHEN views.posting = 'given_up' THEN NULL "
        f"ELSE least(views.due_at, greatest(views.hold_at, {due_at})) END"
    )


_HOLD_EFFECTS: Final = (
    "INSERT INTO effects (key, run_id, at, user_id, sure) "
    "SELECT key, run_id, $1::float8, user_id, true "
    "FROM unnest($2::text[], $3::text[], $4::text[]) AS held (key, run_id, user_id) ORDER BY key "
    "ON CONFLICT (key) DO UPDATE SET run_id = excluded.run_id, user_id = excluded.user_id, "
    "sure = true WHERE effects.run_id = excluded.run_id OR NOT effects.sure RETURNING key"
)
_HOLDERS: Final = "SELECT key, run_id FROM effects WHERE key = ANY($1::text[])"

# Of a run that is written: (column, type).
_WRITTEN: Final = (
    ("id", "text"),
    ("state", "text"),
    ("updated_at", "double precision"),
    ("next_at", "double precision"),
    ("started_at", "double precision"),
    ("finished_at", "double precision"),
    ("effect_key", "text"),
    ("sure", "boolean"),
    ("attempts", "integer"),
    ("polls", "integer"),
    ("location", "text"),
    ("reason", "text"),
    ("http_status", "integer"),
    ("status_text", "text"),
    ("message", "text"),
    ("progress", "text"),
    ("steps", "text"),
    ("keep_lease", "boolean"),
    ("mark", "text"),
)
_N: Final = len(_WRITTEN)
_SET: Final = ", ".join(
    f"{name} = w.{name}" for name, _ in _WRITTEN if name not in ("id", "keep_lease")
)
_WRITE: Final = (
    "WITH written AS (UPDATE runs SET "
    f"{_SET}, lease_token = CASE WHEN w.keep_lease THEN lease_token END, "
    "lease_until = CASE WHEN w.keep_lease THEN lease_until END "
    f"FROM unnest({', '.join(f'${i + 1}::{kind}[]' for i, (_, kind) in enumerate(_WRITTEN))}) "
    f"AS w ({', '.join(name for name, _ in _WRITTEN)}) WHERE runs.id = w.id), "
    "told AS (INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "
    f"SELECT ${_N + 1}::float8, t.run_id, t.event, t.actor, t.action, "
    "t.reason, t.user_id, t.channel_id "
    f"FROM unnest({', '.join(f'${_N + i}::text[]' for i in range(2, 9))}) "
    "AS t (run_id, event, actor, action, reason, user_id, channel_id)), "
    "released AS (DELETE FROM effects USING "
    f"unnest(${_N + 9}::text[], ${_N + 10}::text[]) AS r (key, run_id) "
    "WHERE effects.key = r.key AND effects.run_id = r.run_id), "
    f"kept AS (UPDATE effects SET at = ${_N + 1}::float8, state = k.state FROM "
    f"unnest(${_N + 11}::text[], ${_N + 12}::text[], ${_N + 13}::text[]) AS k (key, run_id, state) "
    "WHERE effects.key = k.key AND effects.run_id = k.run_id) "
    "SELECT 1"
)
_MARK_VIEWS: Final = (
    "WITH locked AS (SELECT id FROM views WHERE id = ANY($2::bigint[]) ORDER BY id FOR UPDATE) "
    "UPDATE views SET version = version + m.times, urgent = urgent OR m.final, "
    "urgent_version = CASE WHEN m.final THEN version + m.times ELSE urgent_version END, "
    "due_at = CASE WHEN posting = 'given_up' THEN NULL WHEN m.final THEN $1::float8 "
    f"ELSE least(due_at, greatest(hold_at, $1::float8 + {GRACE_SECONDS})) END "
    "FROM locked JOIN unnest($2::bigint[], $3::integer[], $4::boolean[]) AS m (id, times, final) "
    "ON m.id = locked.id WHERE views.id = locked.id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run whose row is locked."""

    old: Run
    change: Change
    keep_lease: bool = False
    mark: str = ""


async def step(tx: Transaction, old: Run, change: Change) -> Run:
    """Write one step of a run, and return the run as it is now.

    Raises:
        NotAllowedNowError: The lifecycle has no such transition.
        EffectTakenError: It was to be sent, and another run holds its effect key.
    """
    (written,) = await write(tx, [Step(old=old, change=change, mark=tx.mark)])
    if isinstance(written, StoreError):
        raise written
    return written


async def write(tx: Transaction, steps: Sequence[Step]) -> list[Run | StoreError]:
    """Write one step each of several runs; return each run as it is now, or why it is not."""
    results: list[Run | StoreError | None] = [_refusal(step) for step in steps]
    ready = [number for number, refusal in enumerate(results) if refusal is None]
    taken = await _hold_effects(tx, [steps[number] for number in ready])
    effects: list[tuple[str, str, str | None]] = []
    written: list[tuple[Step, Run]] = []
    for number in ready:
        each = steps[number]
        holder = taken.get(each.old.id)
        if holder is not None:
            results[number] = EffectTakenError(holder)
            continue
        new = lifecycle.changed(each.old, each.change, tx.now)
        if each.change.state is not None and lifecycle.is_final(new.state) and new.effect_key:
            new = _settled(new, new.effect_key, each.change, effects)
        results[number] = new
        written.append((each, new))
    if written:
        await _write(tx, written, effects)
        await mark_views(
            tx,
            [
                (new.view_id, _ends(each))
                for each, new in written
                if lifecycle.looks_different(each.old, new)
            ],
        )
        tx.stirred = tx.stirred or any(new.next_at is not None for _, new in written)
    return [result for result in results if result is not None]


async def audit(tx: Transaction, run: Run, event: str, *, actor: str, reason: str = "") -> None:
    """Write one line about a run to the audit log."""
    await tx.do(
        _AUDIT, tx.now, run.id, event, actor, run.action, reason, run.user_id, run.channel_id
    )


async def mark_views(tx: Transaction, views: Sequence[tuple[int | None, bool]]) -> None:
    """Mark views as out of date: each due now if a run has ended, else soon."""
    marked: dict[int, tuple[int, bool]] = {}
    for view_id, final in views:
        if view_id is not None:
            times, ended = marked.get(view_id, (0, False))
            marked[view_id] = (times + 1, ended or final)
    if marked:
        counts, ends = zip(*marked.values(), strict=True)
        await tx.do(_MARK_VIEWS, tx.now, list(marked), list(counts), list(ends))
        tx.stirred = True


def _refusal(step: Step) -> StoreError | None:
    old, new = step.old.state, step.change.state
    if new is None or lifecycle.allowed(old, new):
        return None
    return NotAllowedNowError(f"a run that is {old} cannot become {new}")


async def _hold_effects(tx: Transaction, steps: Sequence[Step]) -> dict[str, str]:
    """Have what is sent hold its effect key for sure; return who holds those that cannot."""
    first: dict[str, Run] = {}
    taken: dict[str, str] = {}
    for each in steps:
        run, key = each.old, each.old.effect_key
        if each.change.state is State.SENDING and key is not None:
            if key in first:
                taken[run.id] = first[key].id
            first.setdefault(key, run)
    if not first:
        return taken
    ids, users = zip(*((run.id, run.user_id) for run in first.values()), strict=True)
    held = {
        row[0] for row in await tx.all(_HOLD_EFFECTS, tx.now, list(first), list(ids), list(users))
    }
    lost = [key for key in first if key not in held]
    if lost:
        holders = {row[0]: row[1] for row in await tx.all(_HOLDERS, lost)}
        taken |= {first[key].id: holders.get(key, "") for key in lost}
    return taken


def _settled(new: Run, key: str, change: Change, effects: list[tuple[str, str, str | None]]) -> Run:
    """Note whether a run that has ended gives its effect key back; return the run with it."""
    if lifecycle.releases_effect(
        new.state, known_not_done=change.release_effect, repeat=new.repeat
    ):
        effects.append((key, new.id, None))
        return structs.replace(new, effect_key=None)
    effects.append((key, new.id, new.state.value))
    return new


async def _write(
    tx: Transaction,
    written: Sequence[tuple[Step, Run]],
    effects: Sequence[tuple[str, str, str | None]],
) -> None:
    runs = _columns([_row(each, new) for each, new in written], _N)
    audits = _columns(
        [_audit_row(each, new) for each, new in written if each.change.state is not None], 7
    )
    released = _columns([(key, id_) for key, id_, state in effects if state is None], 2)
    kept = _columns([each for each in effects if each[2] is not None], 3)
    await tx.all(_WRITE, *runs, tx.now, *audits, *released, *kept)


def _columns(rows: Sequence[Sequence[Any]], count: int) -> list[list[Any]]:
    """Return rows as columns."""
    return [[row[index] for row in rows] for index in range(count)]


def _row(step: Step, new: Run) -> tuple[Any, ...]:
    return (
        new.id,
        new.state.value,
        new.updated_at,
        new.next_at,
        new.started_at,
        new.finished_at,
        new.effect_key,
        new.sure,
        new.attempts,
        new.polls,
        new.location,
        new.reason,
        new.http_status,
        new.status_text,
        new.message,
        later_json(new.progress),
        later_json(new.steps),
        step.keep_lease,
        step.mark,
    )


def _audit_row(step: Step, new: Run) -> tuple[str | None, ...]:
    event = f"{step.old.state} → {new.state}"
    actor, reason = step.change.actor, step.change.reason or ""
    return (new.id, event, actor, new.action, reason, new.user_id, new.channel_id)


def _ends(step: Step) -> bool:
    return step.change.state is not None and lifecycle.is_final(step.change.state)
