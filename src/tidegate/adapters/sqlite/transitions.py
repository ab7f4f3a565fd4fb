"""One step of a run: held to the lifecycle, with its audit row, its key and its view."""

from typing import Final

from msgspec import structs

from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core import lifecycle
from tidegate.core.model import Change, Run, State
from tidegate.core.rows import later_json
from tidegate.core.telling import GRACE_SECONDS
from tidegate.errors import EffectTakenError, NotAllowedNowError

_AUDIT: Final = (
    "INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

_WRITE: Final = (
    "UPDATE runs SET state = ?, updated_at = ?, next_at = ?, started_at = ?, finished_at = ?, "
    "effect_key = ?, sure = ?, attempts = ?, polls = ?, location = ?, reason = ?, http_status = ?, "
    "status_text = ?, message = ?, progress = ?, steps = ?, "
    "lease_token = CASE WHEN ? THEN lease_token END, "
    "lease_until = CASE WHEN ? THEN lease_until END WHERE id = ?"
)


def soon(due_at: str) -> str:
    """Return the beginning of a statement that has views told soon.

    A view that is out of date already stays due when it was; a new reason waits for the hold.

    Args:
        due_at: An SQL expression for when.
    """
    return (
        "UPDATE views SET version = version + 1, due_at = CASE WHEN posting = 'given_up' "
        f"THEN NULL ELSE coalesce(min(due_at, max(hold_at, {due_at})), max(hold_at, {due_at})) END"
    )


_SOON: Final = soon("?1") + " WHERE id = ?2"
_URGENT: Final = (
    "UPDATE views SET version = version + 1, urgent = 1, urgent_version = version + 1, "
    "due_at = CASE WHEN posting = 'given_up' THEN NULL ELSE ?1 END WHERE id = ?2"
)

_HOLD_EFFECT: Final = (
    "INSERT INTO effects (key, run_id, at, user_id, sure) VALUES (?1, ?2, ?3, ?4, 1) "
    "ON CONFLICT (key) DO UPDATE SET run_id = ?2, user_id = ?4, sure = 1 "
    "WHERE run_id = ?2 OR sure = 0"
)
_HOLDER: Final = "SELECT run_id FROM effects WHERE key = ?"
_RELEASE_EFFECT: Final = "DELETE FROM effects WHERE key = ? AND run_id = ?"
_KEEP_EFFECT: Final = "UPDATE effects SET at = ?, state = ? WHERE key = ? AND run_id = ?"


def step(tx: Transaction, old: Run, change: Change, *, keep_lease: bool = False) -> Run:
    """Write one step of a run, and return the run as it is now.

    Raises:
        NotAllowedNowError: The lifecycle has no such transition.
        EffectTakenError: It was to be sent, and another run holds its effect key.
    """
    if change.state is not None and not lifecycle.allowed(old.state, change.state):
        raise NotAllowedNowError(f"a run that is {old.state} cannot become {change.state}")
    if change.state is State.SENDING and old.effect_key is not None:
        _hold_effect(tx, old, old.effect_key)
    new = lifecycle.changed(old, change, tx.now)
    if change.state is not None and is_final(new) and new.effect_key is not None:
        new = _settle_effect(tx, new, known_not_done=change.release_effect)
    tx.do(
        _WRITE,
        (
            new.state.value,
            new.updated_at,
            new.next_at,
            new.started_at,
            new.finished_at,
            new.effect_key,
            1 if new.sure else 0,
            new.attempts,
            new.polls,
            new.location,
            new.reason,
            new.http_status,
            new.status_text,
            new.message,
            later_json(new.progress),
            later_json(new.steps),
            1 if keep_lease else 0,
            1 if keep_lease else 0,
            new.id,
        ),
    )
    if change.state is not None:
        event = f"{old.state} → {new.state}"
        audit(tx, new, event, actor=change.actor, reason=change.reason or "")
    if lifecycle.looks_different(old, new):
        mark_view(tx, new.view_id, final=change.state is not None and is_final(new))
    tx.stirred = tx.stirred or new.next_at is not None
    return new


def is_final(run: Run) -> bool:
    """Tell whether the run is in a state that a person is told as an end."""
    return lifecycle.is_final(run.state)


def audit(tx: Transaction, run: Run, event: str, *, actor: str, reason: str = "") -> None:
    """Write one line about a run to the audit log."""
    tx.do(
        _AUDIT,
        (tx.now, run.id, event, actor, run.action, reason, run.user_id, run.channel_id),
    )


def mark_view(tx: Transaction, view_id: int | None, *, final: bool) -> None:
    """Mark a view as out of date: due now if a run has ended, else soon."""
    if view_id is None:
        return
    if final:
        tx.do(_URGENT, (tx.now, view_id))
    else:
        tx.do(_SOON, (tx.now + GRACE_SECONDS, view_id))
    tx.stirred = True


def _hold_effect(tx: Transaction, run: Run, key: str) -> None:
    """Hold the effect key for sure, from now on."""
    if not tx.do(_HOLD_EFFECT, (key, run.id, tx.now, run.user_id)):
        row = tx.one(_HOLDER, (key,))
        raise EffectTakenError("" if row is None else row[0])


def _settle_effect(tx: Transaction, new: Run, *, known_not_done: bool) -> Run:
    """Give the effect key of a run that has ended back, or keep it; return the run with it."""
    if lifecycle.releases_effect(new.state, known_not_done=known_not_done, repeat=new.repeat):
        tx.do(_RELEASE_EFFECT, (new.effect_key, new.id))
        return structs.replace(new, effect_key=None)
    tx.do(_KEEP_EFFECT, (tx.now, new.state.value, new.effect_key, new.id))
    return new
