"""What is due without anybody asking: runs expired, adopted, erased, removed."""

from collections.abc import Sequence
from typing import Final

from tidegate.adapters.sqlite.intake import let_go
from tidegate.adapters.sqlite.transitions import step
from tidegate.adapters.sqlite.writer import Transaction
from tidegate.core.model import RunId
from tidegate.core.rows import RUN_SELECT, as_json, run_from
from tidegate.core.upkeep import BATCH, RESPONSE_URL_SECONDS, effects_before, expiry

RECEIVED: Final = "SELECT id FROM runs WHERE state = 'received' ORDER BY created_at LIMIT 1000"
UNSTARTED: Final = (
    f"SELECT {RUN_SELECT} FROM runs "
    "WHERE state IN ('awaiting_approval', 'awaiting_confirmation', 'queued') "
    "AND started_at IS NULL AND start_by <= ? AND (lease_until IS NULL OR lease_until <= ?) "
    "ORDER BY start_by LIMIT ?"
)
ERASE: Final = (
    "UPDATE runs SET response_url = NULL WHERE rowid IN (SELECT rowid FROM runs "
    "WHERE response_url IS NOT NULL AND created_at < ? ORDER BY created_at LIMIT ?)"
)
OLD_RUNS: Final = "SELECT id, view_id FROM runs WHERE finished_at < ? ORDER BY finished_at LIMIT ?"
_REMOVE_RUNS: Final = "DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?))"
_REMOVE_VIEWS: Final = (
    "DELETE FROM views WHERE id IN (SELECT value FROM json_each(?)) "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE view_id = views.id AND view_id IS NOT NULL)"
)
REMOVE_DELIVERIES: Final = (
    "DELETE FROM deliveries WHERE key IN (SELECT key FROM deliveries AS d WHERE at < ? "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE id = d.run_id) ORDER BY at LIMIT ?)"
)
REMOVE_EFFECTS: Final = (
    "DELETE FROM effects WHERE key IN (SELECT key FROM effects AS e "
    "WHERE state IS NOT NULL AND at < ? "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE id = e.run_id) ORDER BY at LIMIT ?)"
)
REMOVE_AUDIT: Final = (
    "DELETE FROM audit WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM audit "
    "ORDER BY seq LIMIT ?2) WHERE at < ?1)"
)


def waiting(tx: Transaction) -> frozenset[RunId]:
    """Return the runs that are `received`."""
    return frozenset(row[0] for row in tx.all(RECEIVED))


def adopt(tx: Transaction, run_ids: Sequence[RunId]) -> int:
    """Let runs go on whose intake is dead; return how many did."""
    return let_go(tx, run_ids, actor="worker")


def expire(tx: Transaction) -> int:
    """Expire runs that were not started in time and that nobody works on."""
    rows = tx.all(UNSTARTED, (tx.now, tx.now, BATCH))
    for run in map(run_from, rows):
        step(tx, run, expiry(run))
    return len(rows)


def erase(tx: Transaction) -> int:
    """Erase response URLs that Slack no longer honours."""
    return tx.do(ERASE, (tx.now - RESPONSE_URL_SECONDS, BATCH))


def remove(tx: Transaction, *, retention_seconds: float, button_seconds: float = 0.0) -> int:
    """Remove one batch of what retention lets go; return how many rows went.

    Args:
        tx: The transaction.
        retention_seconds: How long runs are kept after they have ended.
        button_seconds: How old a button may be and still act. Its effect key is kept longer.
    """
    before = tx.now - retention_seconds
    rows = tx.all(OLD_RUNS, (before, BATCH))
    removed = 0
    if rows:
        removed += tx.do(_REMOVE_RUNS, (as_json([row[0] for row in rows]),))
        views = as_json(sorted({row[1] for row in rows if row[1] is not None}))
        removed += tx.do(_REMOVE_VIEWS, (views,))
    removed += tx.do(REMOVE_DELIVERIES, (before, BATCH))
    held_before = effects_before(
        tx.now, retention_seconds=retention_seconds, button_seconds=button_seconds
    )
    removed += tx.do(REMOVE_EFFECTS, (held_before, BATCH))
    removed += tx.do(REMOVE_AUDIT, (before, BATCH))
    return removed
