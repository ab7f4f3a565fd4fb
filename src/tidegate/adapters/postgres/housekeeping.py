"""What is due without anybody asking: runs expired, adopted, erased, removed.

Several gateways do this at once: each passes over the rows that another one has in hand.
"""

from collections.abc import Sequence
from typing import Final

from tidegate.adapters.postgres.intake import let_go
from tidegate.adapters.postgres.transaction import Transaction
from tidegate.adapters.postgres.transitions import Step, write
from tidegate.core.model import RunId
from tidegate.core.rows import RUN_SELECT, run_from
from tidegate.core.upkeep import BATCH, RESPONSE_URL_SECONDS, effects_before, expiry

RECEIVED: Final = "SELECT id FROM runs WHERE state = 'received' ORDER BY created_at LIMIT 1000"
UNSTARTED: Final = (
    f"SELECT {RUN_SELECT} FROM runs "
    "WHERE state IN ('awaiting_approval', 'awaiting_confirmation', 'queued') "
    "AND started_at IS NULL AND start_by <= $1 AND (lease_until IS NULL OR lease_until <= $1) "
    f"ORDER BY start_by LIMIT {BATCH} FOR UPDATE SKIP LOCKED"
)
ERASE: Final = (
    "UPDATE runs SET response_url = NULL WHERE id IN (SELECT id FROM runs "
    "WHERE response_url IS NOT NULL AND created_at < $1 "
    f"ORDER BY created_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)"
)
REMOVE_RUNS: Final = (
    "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE finished_at < $1 "
    f"ORDER BY finished_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) RETURNING view_id"
)
# A click on an old message may just be joining its view: it is seen by the statement after.
_LOCK_VIEWS: Final = "SELECT id FROM views WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"
_REMOVE_VIEWS: Final = (
    "DELETE FROM views WHERE id = ANY($1::bigint[]) "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE view_id = views.id)"
)
REMOVE_DELIVERIES: Final = (
    "DELETE FROM deliveries WHERE key IN (SELECT key FROM deliveries AS d WHERE at < $1 "
    "AND NOT EXISTS (SELECT 1 FROM runs WHERE id = d.run_id) "
    f"ORDER BY at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)"
)
REMOVE_EFFECTS: Final = (
    "DELETE FROM effects WHERE key IN (SELECT key FROM effects AS e "
    "WHERE state IS NOT NULL AND at < $1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = e.run_id) "
    f"ORDER BY at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)"
)
REMOVE_AUDIT: Final = (
    "DELETE FROM audit WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM audit "
    f"ORDER BY seq LIMIT {BATCH}) AS oldest WHERE at < $1)"
)


async def waiting(tx: Transaction) -> frozenset[RunId]:
    """Return the runs that are `received`; one statement."""
    return frozenset(row[0] for row in await tx.all(RECEIVED))


async def adopt(tx: Transaction, run_ids: Sequence[RunId]) -> int:
    """Let runs go on whose intake is dead; return how many did."""
    return await let_go(tx, run_ids, actor="worker")


async def expire(tx: Transaction) -> int:
    """Expire runs that were not started in time and that nobody works on."""
    runs = list(map(run_from, await tx.all(UNSTARTED, tx.now)))
    steps = [Step(old=run, change=expiry(run), mark=tx.mark) for run in runs]
    if steps:
        await write(tx, steps)
    return len(runs)


async def erase(tx: Transaction) -> int:
    """Erase response URLs that Slack no longer honours; one statement."""
    return await tx.do(ERASE, tx.now - RESPONSE_URL_SECONDS)


async def remove(tx: Transaction, *, retention_seconds: float, button_seconds: float = 0.0) -> int:
    """Remove one batch of what retention lets go; return how many rows went.

    Args:
        tx: The transaction.
        retention_seconds: How long runs are kept after they have ended.
        button_seconds: How old a button may be and still act. Its effect key is kept longer.
    """
    before = tx.now - retention_seconds
    rows = await tx.all(REMOVE_RUNS, before)
    removed = len(rows)
    views = sorted({row[0] for row in rows if row[0] is not None})
    if views:
        await tx.all(_LOCK_VIEWS, views)
        removed += await tx.do(_REMOVE_VIEWS, views)
    removed += await tx.do(REMOVE_DELIVERIES, before)
    held_before = effects_before(
        tx.now, retention_seconds=retention_seconds, button_seconds=button_seconds
    )
    removed += await tx.do(REMOVE_EFFECTS, held_before)
    removed += await tx.do(REMOVE_AUDIT, before)
    return removed
