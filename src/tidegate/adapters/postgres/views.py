"""Messages in Slack as views over runs: leased to one renderer, told once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from tidegate.adapters.postgres.intake import insert_view
from tidegate.adapters.postgres.transaction import Transaction
from tidegate.core.lifecycle import is_final
from tidegate.core.model import Posting, Run, View, ViewDraft
from tidegate.core.rows import RUN_SELECT, VIEW_SELECT, run_from, view_from
from tidegate.core.telling import MAX_MOVED, MAX_RUNS, Kept, was_told_to_its_end
from tidegate.core.telling import told as after_telling
from tidegate.errors import LeaseLostError

_DUE: Final = (
    "(SELECT id, urgent, wake_at FROM views WHERE {urgent} AND wake_at <= $1::float8 "
    "ORDER BY wake_at, id LIMIT $2::integer FOR UPDATE SKIP LOCKED)"
)
_COLUMNS: Final = ", ".join(f"views.{name}" for name in VIEW_SELECT.split(", "))
LEASE: Final = (
    f"WITH ends AS {_DUE.format(urgent='urgent')}, others AS {_DUE.format(urgent='NOT urgent')}, "
    "due AS (SELECT * FROM ends UNION ALL SELECT * FROM others "
    "ORDER BY urgent DESC, wake_at, id LIMIT $2::integer) "
    "UPDATE views SET lease_token = $3, lease_until = $4, leased_at = $1 FROM due "
    f"WHERE views.id = due.id RETURNING {_COLUMNS}, due.urgent, due.wake_at"
)
RUNS_OF_VIEWS: Final = (
    f"SELECT found.* FROM unnest($1::bigint[]) AS v (id) CROSS JOIN LATERAL ("
    f"SELECT {RUN_SELECT} FROM runs WHERE view_id = v.id ORDER BY seq DESC LIMIT $2::integer"
    ") AS found"
)
_LOCK_RUNS: Final = "SELECT id FROM runs WHERE view_id = $1 ORDER BY id FOR UPDATE"
_RENEW: Final = (
    "WITH held AS (SELECT v.id FROM views AS v "
    "JOIN unnest($2::bigint[], $3::text[]) AS h (id, token) "
    "ON v.id = h.id AND v.lease_token = h.token ORDER BY v.id FOR UPDATE OF v) "
    "UPDATE views SET lease_until = $1 FROM held WHERE views.id = held.id"
)
_INTENT: Final = (
    "UPDATE views SET posting = 'intent', intent_at = $1, intent_final = $2, lookups = 0 "
    "WHERE id = $3 AND lease_token = $4"
)
_UNDER_LEASE: Final = (
    "SELECT posting, ts, version, rendered_version, urgent_version, lookups, failures, "
    "leased_at, told_at, lease_token, mark FROM views WHERE id = $1 FOR UPDATE"
)
_TOLD: Final = (
    "UPDATE views SET posting = $1, ts = $2, channel_id = coalesce($3, channel_id), "
    "rendered_version = $4, urgent = $5, lookups = $6, failures = $7, hold_at = $8, due_at = $9, "
    "told_at = $10, lease_token = NULL, lease_until = NULL, mark = $11 WHERE id = $12"
)
_REMOVE: Final = "DELETE FROM views WHERE id = $1"
_DETACH: Final = "UPDATE runs SET view_id = NULL WHERE view_id = $1"
_ATTACH: Final = "UPDATE runs SET view_id = $1 WHERE id = $2"
_URGENT: Final = "UPDATE views SET urgent = true, urgent_version = version WHERE id = $1"

_LOST: Final = "the lease is not held any more"


async def lease(tx: Transaction, *, limit: int, seconds: float) -> Sequence[View]:
    """Lease views that are out of date and due, urgent ones first, with their runs."""
    token = tx.clock.entropy(16).hex()
    rows = await tx.all(LEASE, tx.now, max(0, limit), token, tx.now + seconds)
    if not rows:
        return ()
    rows.sort(key=lambda row: (not row[-2], row[-1], row[0]))
    runs = await _runs(tx, [row[0] for row in rows], MAX_RUNS)
    return tuple(view_from(row, token=token, runs=runs[row[0]]) for row in rows)


async def renew(tx: Transaction, views: Sequence[View], *, seconds: float) -> None:
    """Make leases last that are still held; one statement."""
    ids, tokens = [view.id for view in views], [view.token for view in views]
    await tx.do(_RENEW, tx.now + seconds, ids, tokens)


async def intent(tx: Transaction, view: View, *, final: bool) -> None:
    """Write down that a post is about to go out; one statement."""
    if not await tx.do(_INTENT, tx.now, final, view.id, view.token):
        raise LeaseLostError(_LOST)


async def told(
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
    row = await tx.one(_UNDER_LEASE, view.id)
    if row is not None and row[-1] == tx.mark:  # of a try that was thought to have failed
        return
    if row is None or row[-2] != view.token:
        raise LeaseLostError(_LOST)
    now = after_telling(
        Kept(*row[:9]),
        seen=view.version,
        posting=posting,
        ts=ts,
        rendered=rendered,
        due_at=due_at,
        failed=failed,
        now=tx.now,
    )
    await tx.do(_TOLD, now.posting, now.ts, channel_id, *now[2:], tx.mark, view.id)
    tx.stirred = tx.stirred or now.due_at is not None


async def moved(tx: Transaction, view: View) -> None:
    """Give the runs of a view messages of their own, except those whose end was told."""
    await tx.all(_LOCK_RUNS, view.id)  # before the view, as everywhere
    row = await tx.one(_UNDER_LEASE, view.id)
    if row is None or row[-2] != view.token:
        raise LeaseLostError(_LOST)
    told_at = row[8]
    runs = (await _runs(tx, [view.id], MAX_MOVED))[view.id]
    await tx.do(_DETACH, view.id)
    for run in runs:
        if was_told_to_its_end(run, told_at):
            continue
        draft = ViewDraft(channel_id=view.channel_id, thread_ts=view.thread_ts)
        own = await insert_view(tx, view.team_id, draft, due_at=tx.now)
        await tx.do(_ATTACH, own, run.id)
        if is_final(run.state):
            await tx.do(_URGENT, own)
    await tx.do(_REMOVE, view.id)
    tx.stirred = True


async def _runs(tx: Transaction, view_ids: Sequence[int], limit: int) -> dict[int, list[Run]]:
    """Return the newest runs of views, oldest first."""
    found: dict[int, list[Run]] = defaultdict(list)
    for run in map(run_from, reversed(await tx.all(RUNS_OF_VIEWS, list(view_ids), limit))):
        if run.view_id is not None:
            found[run.view_id].append(run)
    return found
