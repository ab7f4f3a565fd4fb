"""Messages in Slack as views over runs: leased to one renderer, told once."""

from collections.abc import Sequence
from sqlite3 import Connection
from typing import Final

from tidegate.adapters.sqlite.intake import insert_view
from tidegate.adapters.sqlite.rows import Row
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core.lifecycle import is_final
from tidegate.core.model import Posting, Run, View, ViewDraft
from tidegate.core.rows import RUN_SELECT, VIEW_SELECT, as_json, run_from, view_from
from tidegate.core.telling import MAX_MOVED, MAX_RUNS, Kept, was_told_to_its_end
from tidegate.core.telling import told as after_telling
from tidegate.errors import LeaseLostError

DUE_VIEWS: Final = (
    f"SELECT {VIEW_SELECT} FROM views WHERE urgent = ? AND wake_at <= ? "
    "ORDER BY wake_at, id LIMIT ?"
)
RUNS_OF_VIEW: Final = f"SELECT {RUN_SELECT} FROM runs WHERE view_id = ? ORDER BY rowid DESC LIMIT ?"
_LEASE: Final = (
    "UPDATE views SET lease_token = ?, lease_until = ?, leased_at = ? "
    "WHERE id IN (SELECT value FROM json_each(?))"
)
_RENEW: Final = "UPDATE views SET lease_until = ? WHERE id = ? AND lease_token = ?"
_INTENT: Final = (
    "UPDATE views SET posting = 'intent', intent_at = ?, intent_final = ?, lookups = 0 "
    "WHERE id = ? AND lease_token = ?"
)
_UNDER_LEASE: Final = (
    "SELECT posting, ts, version, rendered_version, urgent_version, lookups, failures, "
    "leased_at, told_at FROM views WHERE id = ? AND lease_token = ?"
)
_TOLD: Final = (
    "UPDATE views SET posting = ?, ts = ?, channel_id = coalesce(?, channel_id), "
    "rendered_version = ?, urgent = ?, lookups = ?, failures = ?, hold_at = ?, due_at = ?, "
    "told_at = ?, lease_token = NULL, lease_until = NULL WHERE id = ?"
)
_REMOVE: Final = "DELETE FROM views WHERE id = ? AND lease_token = ?"
_DETACH: Final = "UPDATE runs SET view_id = NULL WHERE view_id = ?"
_ATTACH: Final = "UPDATE runs SET view_id = ? WHERE id = ?"
_URGENT: Final = "UPDATE views SET urgent = 1, urgent_version = version WHERE id = ?"

NEXT_VIEW: Final = "SELECT MIN(wake_at) FROM views WHERE urgent = ? AND wake_at IS NOT NULL"


def lease(tx: Transaction, *, limit: int, seconds: float) -> Sequence[View]:
    """Lease views that are out of date and due, urgent ones first, with their runs."""
    rows: list[Row] = tx.all(DUE_VIEWS, (1, tx.now, limit))
    if len(rows) < limit:
        rows += tx.all(DUE_VIEWS, (0, tx.now, limit - len(rows)))
    if not rows:
        return ()
    token = tx.clock.entropy(16).hex()
    tx.do(_LEASE, (token, tx.now + seconds, tx.now, as_json([row[0] for row in rows])))
    return tuple(view_from(row, token=token, runs=_runs(tx, row[0], MAX_RUNS)) for row in rows)


def renew(tx: Transaction, views: Sequence[View], *, seconds: float) -> None:
    """Make leases last that are still held."""
    until = tx.now + seconds
    for view in views:
        tx.do(_RENEW, (until, view.id, view.token))


def intent(tx: Transaction, view: View, *, final: bool) -> None:
    """Write down that a post is about to go out."""
    if not tx.do(_INTENT, (tx.now, 1 if final else 0, view.id, view.token)):
        raise LeaseLostError("the lease is not held any more")


def told(
    tx: Transaction,
    view: View,
    *,
    posting: Posting | None,
    ts: str | None,
    channel_id: str | None,
    rendered: bool,
    due_at: float | None,
    failed: bool,
) -> None:
    """End the lease of a view, with what became of the message."""
    row = tx.one(_UNDER_LEASE, (view.id, view.token))
    if row is None:
        raise LeaseLostError("the lease is not held any more")
    now = after_telling(
        Kept(*row),
        seen=view.version,
        posting=posting,
        ts=ts,
        rendered=rendered,
        due_at=due_at,
        failed=failed,
        now=tx.now,
    )
    tx.do(_TOLD, (now.posting, now.ts, channel_id, *now[2:], view.id))
    tx.stirred = tx.stirred or now.due_at is not None


def moved(tx: Transaction, view: View) -> None:
    """Give the runs of a view messages of their own, except those whose end was told."""
    row = tx.one(_UNDER_LEASE, (view.id, view.token))
    if row is None:
        raise LeaseLostError("the lease is not held any more")
    told_at = row[-1]
    runs = _runs(tx, view.id, MAX_MOVED)
    tx.do(_DETACH, (view.id,))
    for run in runs:
        if was_told_to_its_end(run, told_at):
            continue
        draft = ViewDraft(channel_id=view.channel_id, thread_ts=view.thread_ts)
        own = insert_view(tx, view.team_id, draft, due_at=tx.now)
        tx.do(_ATTACH, (own, run.id))
        if is_final(run.state):
            tx.do(_URGENT, (own,))
    tx.do(_REMOVE, (view.id, view.token))
    tx.stirred = True


def next_wake(connection: Connection) -> float | None:
    """Return when the next view may be leased, or None."""
    wakes = [connection.execute(NEXT_VIEW, (urgent,)).fetchone()[0] for urgent in (0, 1)]
    return min((wake for wake in wakes if wake is not None), default=None)


def _runs(tx: Transaction, view_id: int, limit: int) -> list[Run]:
    """Return the newest runs of a view, oldest first."""
    return [run_from(row) for row in reversed(tx.all(RUNS_OF_VIEW, (view_id, limit)))]
