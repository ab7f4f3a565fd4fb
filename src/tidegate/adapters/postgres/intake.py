"""What intake writes: runs with their keys and views, and refusals."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import structs

from tidegate.adapters.postgres.transaction import Transaction
from tidegate.adapters.postgres.transitions import audit, soon, step
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
from tidegate.core.rows import (
    RUN_GIVEN,
    RUN_SELECT,
    Row,
    as_json,
    run_from,
    run_row,
)
from tidegate.core.telling import GRACE_SECONDS
from tidegate.errors import NotAllowedNowError

FIND_RUN: Final = f"SELECT {RUN_SELECT} FROM runs WHERE id = $1"
LOCK_RUN: Final = f"{FIND_RUN} FOR UPDATE"

CLAIM_DELIVERY: Final = (
    "INSERT INTO deliveries (key, run_id, at, mark) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
FIND_DELIVERY: Final = "SELECT run_id, mark FROM deliveries WHERE key = $1"
_DROP_DELIVERY: Final = "DELETE FROM deliveries WHERE key = $1 AND run_id = $2"
_POINT_DELIVERY: Final = "UPDATE deliveries SET run_id = $1 WHERE key = $2"

CLAIM_EFFECT: Final = (
    "INSERT INTO effects (key, run_id, at, user_id, sure) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT DO NOTHING"
)
FIND_EFFECT: Final = (
    "SELECT run_id, at, state, user_id, sure FROM effects WHERE key = $1 FOR UPDATE"
)
_DROP_EFFECT: Final = "DELETE FROM effects WHERE key = $1 AND run_id = $2"

# Two gateways must not both find room for the last run of a rate.
_ONE_BY_ONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))"
_NTH_NEWEST: Final = (
    "SELECT created_at FROM runs WHERE action = $1 AND user_id = $2 AND created_at > $3 "
    "ORDER BY created_at DESC LIMIT 1 OFFSET $4"
)

_REVIVE: Final = (
    "UPDATE views SET posting = CASE WHEN ts IS NULL THEN 'none' ELSE 'posted' END, "
    "intent_at = NULL, intent_final = false, lookups = 0, failures = 0 "
    "WHERE id = $1 AND posting = 'given_up'"
)
_VIEW_GIVEN: Final = (
    "team_id, channel_id, ts, thread_ts, own, text, blocks, version, posting, due_at"
)
_INSERT_VIEW: Final = (
    f"INSERT INTO views ({_VIEW_GIVEN}) "
    "VALUES ($1, $2, NULL, $3, false, $4, $5, 1, 'none', $6) RETURNING id"
)
# The message's own view if it is there: told again, were it given up, and marked out of date.
_ON_KNOWN: Final = (
    "ON CONFLICT (team_id, channel_id, ts) WHERE own DO UPDATE SET version = views.version + 1, "
    "posting = 'posted', "
    "intent_at = CASE WHEN views.posting <> 'given_up' THEN views.intent_at END, "
    "intent_final = views.posting <> 'given_up' AND views.intent_final, "
    "lookups = CASE WHEN views.posting = 'given_up' THEN 0 ELSE views.lookups END, "
    "failures = CASE WHEN views.posting = 'given_up' THEN 0 ELSE views.failures END, "
    "due_at = least(views.due_at, greatest(views.hold_at, excluded.due_at)) "
)
_OWN_VIEW: Final = (
    f"INSERT INTO views ({_VIEW_GIVEN}) "
    f"VALUES ($1, $2, $3, $4, true, $5, $6, 1, 'posted', $7) {_ON_KNOWN} RETURNING id"
)

_INSERT_RUN: Final = (
    f"INSERT INTO runs ({', '.join(RUN_GIVEN)}, facts, target_state, view_id) "
    f"VALUES ({', '.join(f'${n + 1}' for n in range(len(RUN_GIVEN) + 3))})"
)

# --- many at once --------------------------------------------------------------------------

_REALS: Final = ("created_at", "updated_at", "start_by", "next_at")
_KINDS: Final = {"sure": "boolean", "view_id": "bigint"} | dict.fromkeys(_REALS, "double precision")
_DRAFTED: Final = (
    *RUN_GIVEN,
    "facts",
    "target_state",
    "view_id",
    "delivery_key",
    "team_id",
    "v_channel",
    "v_ts",
    "v_thread",
    "v_text",
    "v_blocks",
)
_ARRAYS: Final = ", ".join(
    f"${n + 3}::{_KINDS.get(name, 'text')}[]" for n, name in enumerate(_DRAFTED)
)
_RUN_GIVEN: Final = ", ".join(f"t.{name}" for name in RUN_GIVEN)
# Everything that is new goes in by one statement; what meets a known key is left out, and told.
# Keys go in sorted, so that two gateways with the same keys wait in one order.
# https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING
_RECORD: Final = f"""
WITH given AS MATERIALIZED (
    SELECT g.*, CASE WHEN g.v_channel IS NOT NULL THEN
        nextval(pg_get_serial_sequence('views', 'id')) END AS new_view
    FROM unnest({_ARRAYS}) WITH ORDINALITY AS g ({", ".join(_DRAFTED)}, n)
), delivered AS (
    INSERT INTO deliveries (key, run_id, at) SELECT delivery_key, id, $1::float8 FROM given
    ORDER BY delivery_key, n ON CONFLICT DO NOTHING RETURNING run_id
), held AS (
    INSERT INTO effects (key, run_id, at, user_id, sure)
    SELECT g.effect_key, g.id, $1::float8, g.user_id, g.sure
    FROM given AS g JOIN delivered ON delivered.run_id = g.id WHERE g.effect_key IS NOT NULL
    ORDER BY g.effect_key, g.n ON CONFLICT DO NOTHING RETURNING run_id
), taken AS MATERIALIZED (
    SELECT g.* FROM given AS g JOIN delivered ON delivered.run_id = g.id
    WHERE g.effect_key IS NULL OR g.id IN (SELECT run_id FROM held)
), known AS (
    INSERT INTO views (id, {_VIEW_GIVEN})
    SELECT DISTINCT ON (team_id, v_channel, v_ts) new_view, team_id, v_channel, v_ts, v_thread,
        true, v_text, v_blocks, 1, 'posted', $2::float8
    FROM taken WHERE v_ts IS NOT NULL ORDER BY team_id, v_channel, v_ts, n
    {_ON_KNOWN} RETURNING id, team_id, channel_id, ts
), posted AS (
    INSERT INTO views (id, {_VIEW_GIVEN})
    SELECT new_view, team_id, v_channel, NULL, v_thread, false, v_text, v_blocks, 1, 'none',
        $2::float8
    FROM taken WHERE v_channel IS NOT NULL AND v_ts IS NULL
), told AS (
    INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id)
    SELECT $1::float8, id, 'received', user_id, action, '', user_id, channel_id
    FROM taken ORDER BY n
), written AS (
    INSERT INTO runs ({", ".join(RUN_GIVEN)}, facts, target_state, view_id)
    SELECT {_RUN_GIVEN}, t.facts, t.target_state,
        CASE WHEN t.v_channel IS NULL THEN t.view_id WHEN t.v_ts IS NULL THEN t.new_view
        ELSE known.id END
    FROM taken AS t LEFT JOIN known ON t.v_ts IS NOT NULL AND known.team_id = t.team_id
        AND known.channel_id = t.v_channel AND known.ts = t.v_ts
    ORDER BY t.n RETURNING id
)
SELECT written.id IS NOT NULL, delivered.run_id IS NOT NULL
FROM given AS g LEFT JOIN written ON written.id = g.id
    LEFT JOIN delivered ON delivered.run_id = g.id
ORDER BY g.n
"""
_UNDO_DELIVERIES: Final = "DELETE FROM deliveries WHERE run_id = ANY($1::text[])"

# Recorded runs go on in sets.
_LET_GO: Final = f"""
WITH due AS (
    SELECT id FROM runs WHERE id = ANY($3::text[]) AND state = 'received' ORDER BY id FOR UPDATE
), moved AS (
    UPDATE runs SET state = target_state, updated_at = $1::float8,
        next_at = CASE target_state WHEN 'queued' THEN coalesce(next_at, $1::float8) END
    FROM due WHERE runs.id = due.id
    RETURNING runs.id, state, action, user_id, channel_id, view_id, created_at
), told AS (
    INSERT INTO audit (at, run_id, event, actor, action, reason, user_id, channel_id)
    SELECT $1::float8, id, 'received → ' || state, $4::text, action, '', user_id, channel_id
    FROM moved ORDER BY created_at, id
), locked AS (
    SELECT id FROM views WHERE id IN (SELECT view_id FROM moved) ORDER BY id FOR UPDATE
), marked AS (
    UPDATE views SET version = version + 1, {soon("$2::float8")} FROM locked
    -- what is out of date and in nobody's hands will show the new state anyway
    WHERE views.id = locked.id AND (version = rendered_version OR lease_token IS NOT NULL)
)
SELECT count(*) FROM moved
"""

_REFUSED: Final = (
    "INSERT INTO audit (at, event, actor, action, reason, user_id, channel_id) "
    "VALUES ($1, 'refused', $2, $3, $4, $2, $5)"
)
_LIMITED: Final = (
    "INSERT INTO audit (at, event, actor, action, reason, user_id, channel_id) "
    "VALUES ($1, 'limited', $2, $3, 'rate_limit', $2, $4)"
)


async def find_run(tx: Transaction, run_id: str, *, lock: bool = False) -> Run | None:
    """Return a run by its id, or None."""
    row = await tx.one(LOCK_RUN if lock else FIND_RUN, run_id)
    return None if row is None else run_from(row)


async def record_together(
    tx: Transaction, drafts: Sequence[tuple[Draft, str]]
) -> list[RecordResult | NotAllowedNowError]:
    """Record drafts, each with its mark: all that are new by one statement, the others singly."""
    results: dict[int, RecordResult | NotAllowedNowError] = {}
    new: list[int] = []
    single: list[int] = []
    for number, (draft, _) in enumerate(drafts):
        if not lifecycle.allowed(State.RECEIVED, draft.state):
            what = f"a run that is received cannot become {draft.state}"
            results[number] = NotAllowedNowError(what)
        else:
            (new if draft.rate is None else single).append(number)
    single += await _record_new(tx, [drafts[number][0] for number in new], new, results)
    for number in sorted(single, key=lambda number: _rank(drafts[number][0])):
        draft, mark = drafts[number]
        results[number] = await record(tx, draft, mark)
    return [results[number] for number in range(len(drafts))]


def _rank(draft: Draft) -> tuple[str, str, str]:
    """Whose turn it is, the same on every gateway, so that they do not wait in a circle."""
    return (draft.run.action, draft.run.user_id, draft.run.delivery_key)


async def _record_new(
    tx: Transaction,
    drafts: Sequence[Draft],
    numbers: Sequence[int],
    results: dict[int, RecordResult | NotAllowedNowError],
) -> list[int]:
    """Record what is new, and return the numbers of what is not."""
    if not drafts:
        return []
    rows = [_drafted(draft) for draft in drafts]
    columns = [[row[index] for row in rows] for index in range(len(_DRAFTED))]
    told = await tx.all(_RECORD, tx.now, tx.now + GRACE_SECONDS, *columns)
    left, undo = [], []
    for number, draft, (written, delivered) in zip(numbers, drafts, told, strict=True):
        if written:
            results[number] = Recorded(run_id=draft.run.id)
            continue
        left.append(number)
        if delivered:
            undo.append(draft.run.id)
    if undo:
        await tx.do(_UNDO_DELIVERIES, undo)
    tx.stirred = tx.stirred or any(draft.view is not None for draft in drafts)
    return left


def _drafted(draft: Draft) -> tuple[Any, ...]:
    run, view = draft.run, draft.view
    shown = (
        (None, None, None, None, None)
        if view is None
        else (view.channel_id, view.ts, view.thread_ts, view.text, as_json(view.blocks))
    )
    given = (*run_row(run), draft.state.value, run.view_id, run.delivery_key, run.team_id)
    return (*given, *shown)


async def record(tx: Transaction, draft: Draft, mark: str) -> RecordResult:
    """Insert a run as `received`, or say why it is not new."""
    run = draft.run
    if draft.rate is not None:
        await tx.one(_ONE_BY_ONE, f"{run.action}\n{run.user_id}")
    known = await claim_delivery(tx, run.delivery_key, run.id, mark)
    if known is not None:
        return await _known(tx, draft, mark, known)
    holder = None
    if run.effect_key is not None:
        holder = await _claim_effect(tx, run, run.effect_key)
    if holder is not None and holder.is_joined_by(run, tx.now):
        return await _join(tx, run, holder)
    if draft.rate is not None:
        opens = await _opens_at(tx, run, *draft.rate)
        if opens is not None:
            return await _limit(tx, run, opens)
    await insert(tx, run, target=draft.state, view=draft.view)
    await audit(tx, run, "received", actor=run.user_id)
    return Recorded(run_id=run.id)


async def claim_delivery(tx: Transaction, key: str, run_id: RunId | None, mark: str) -> Row | None:
    """Claim a delivery key, or return what it has come to. It may be given back meanwhile."""
    while True:
        if await tx.do(CLAIM_DELIVERY, key, run_id, tx.now, mark):
            return None
        known = await tx.one(FIND_DELIVERY, key)
        if known is not None:
            return known


async def _known(tx: Transaction, draft: Draft, mark: str, row: Row) -> RecordResult:
    """Say what a known delivery came to; of a try that was thought to have failed, the same."""
    run_id, by = row
    if run_id == draft.run.id:
        return Recorded(run_id=draft.run.id)
    if by == mark and run_id is not None:
        held = await find_run(tx, run_id)
        if held is not None:
            return Joined(run=held)
    if by == mark and draft.rate is not None:
        return Limited(retry_at=await _opens_at(tx, draft.run, *draft.rate) or tx.now)
    return Duplicate(run_id=run_id)


async def _claim_effect(tx: Transaction, run: Run, key: str) -> Holder | None:
    """Claim an effect key, or return who holds it. Whoever held it may give it back meanwhile."""
    while True:
        if await tx.do(CLAIM_EFFECT, key, run.id, tx.now, run.user_id, run.sure):
            return None
        held = await tx.one(FIND_EFFECT, key)
        if held is not None:
            return Holder(*held)


async def insert(
    tx: Transaction, run: Run, *, target: State, view: ViewDraft | None = None
) -> None:
    """Insert a run as `received`, with its view if it is given one."""
    view_id = run.view_id if view is None else await _view_for(tx, run.team_id, view)
    await tx.do(_INSERT_RUN, *run_row(run), target.value, view_id)


async def wait_out(tx: Transaction, draft: Draft) -> None:
    """Return once no other transaction can record the draft any more.

    Its COMMIT went out and was not answered, so it may still be under way. It has the delivery
    key, and who wants the same key has to wait until it has ended, one way or the other.
    """
    run = draft.run
    if await tx.do(CLAIM_DELIVERY, run.delivery_key, run.id, tx.now, ""):
        await tx.do(_DROP_DELIVERY, run.delivery_key, run.id)


async def take_on(tx: Transaction, answered: Sequence[RunId], refused: Sequence[RunId]) -> None:
    """Take recorded runs on: the refused to their end, the others to where they were to go."""
    for run_id in sorted(refused):
        run = await find_run(tx, run_id, lock=True)
        late = refused_late(run) if run is not None else None
        if run is not None and late is not None:
            await step(tx, run, late)
            # A modal that was refused comes again with the same key, and is to be taken then.
            await tx.do(_DROP_DELIVERY, run.delivery_key, run.id)
    if answered:
        await let_go(tx, answered, actor="intake")


async def let_go(tx: Transaction, run_ids: Sequence[RunId], *, actor: str) -> int:
    """Let those runs that are still `received` go on to their target; return how many did."""
    moved = await tx.number(_LET_GO, tx.now, tx.now + GRACE_SECONDS, list(run_ids), actor)
    tx.stirred = tx.stirred or moved > 0
    return moved


async def refuse(tx: Transaction, refusal: Refusal) -> bool:
    """Write a refusal to the audit log, unless the delivery is known."""
    known = await claim_delivery(tx, refusal.delivery_key, None, tx.mark)
    if known is not None:
        return bool(known[1] == tx.mark)
    found = (refusal.action, refusal.reason, refusal.channel_id)
    await tx.do(_REFUSED, refusal.at, refusal.user_id, *found)
    return True


async def _join(tx: Transaction, run: Run, holder: Holder) -> Joined:
    held = await find_run(tx, holder.run_id) or holder.forgotten(run)
    await tx.do(_POINT_DELIVERY, held.id, run.delivery_key)
    await audit(tx, structs.replace(run, id=held.id), "joined", actor=run.user_id)
    return Joined(run=held)


async def _opens_at(tx: Transaction, run: Run, count: int, seconds: float) -> float | None:
    row = await tx.one(_NTH_NEWEST, run.action, run.user_id, tx.now - seconds, count - 1)
    return None if row is None else float(row[0]) + seconds


async def _limit(tx: Transaction, run: Run, opens: float) -> Limited:
    if run.effect_key is not None:
        await tx.do(_DROP_EFFECT, run.effect_key, run.id)
    if run.kind is Kind.VIEW_SUBMISSION:
        # A modal stays open, and the person sends it again as it is.
        await tx.do(_DROP_DELIVERY, run.delivery_key, run.id)
    else:
        await tx.do(_POINT_DELIVERY, None, run.delivery_key)
    await tx.do(_LIMITED, tx.now, run.user_id, run.action, run.channel_id)
    return Limited(retry_at=opens)


async def _view_for(tx: Transaction, team_id: str, view: ViewDraft) -> int:
    """Return the view of the draft: the message's own, known or not, or a new one."""
    due_at = tx.now + GRACE_SECONDS
    tx.stirred = True
    if view.ts is None:
        return await insert_view(tx, team_id, view, due_at=due_at)
    place = (team_id, view.channel_id, view.ts, view.thread_ts)
    return await tx.number(_OWN_VIEW, *place, view.text, as_json(view.blocks), due_at)


async def revive_view(tx: Transaction, view_id: int | None) -> None:
    """Have a message that was given up told again: there is a new run to tell of."""
    await tx.do(_REVIVE, view_id)


async def insert_view(tx: Transaction, team_id: str, view: ViewDraft, *, due_at: float) -> int:
    """Insert the view of a message that is to be posted, and return its id."""
    content = (view.thread_ts, view.text, as_json(view.blocks))
    return await tx.number(_INSERT_VIEW, team_id, view.channel_id, *content, due_at)
