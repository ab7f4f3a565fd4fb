"""What every `Store` must do, on every implementation."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.contract.clock import StillClock
from tests.contract.drafts import BLOCKS, a_draft, a_message, a_refusal, a_run
from tests.contract.stores import Stores
from tests.examples import examples
from tidegate.core import lifecycle
from tidegate.core.model import (
    Change,
    Draft,
    Duplicate,
    Joined,
    Kind,
    Leased,
    Limited,
    Posting,
    Progress,
    Recorded,
    Run,
    RunId,
    State,
    View,
)
from tidegate.errors import (
    EffectTakenError,
    LeaseLostError,
    NoSuchRunError,
    NotAllowedNowError,
    NotRecordedError,
    StoreError,
)
from tidegate.ports import RunFilter, Store, Swept

DAY = 86400.0
GRACE = 0.3

#: A way from `received` to each state, as changes under a lease.
PATHS: dict[State, tuple[State, ...]] = {
    State.QUEUED: (),
    State.SENDING: (State.SENDING,),
    State.RUNNING: (State.SENDING, State.RUNNING),
    State.SUCCEEDED: (State.SENDING, State.SUCCEEDED),
    State.FAILED: (State.SENDING, State.FAILED),
    State.UNKNOWN: (State.SENDING, State.UNKNOWN),
    State.DENIED: (State.DENIED,),
    State.EXPIRED: (State.EXPIRED,),
    State.CANCELLED: (State.CANCELLED,),
}


async def recorded(store: Store, draft: Draft) -> RunId:
    """Record a draft and wait until it has gone on from `received`."""
    result = await store.record(draft, within=5)
    assert isinstance(result, Recorded)
    await gone_on(store, result.run_id)
    return result.run_id


async def gone_on(store: Store, run_id: RunId) -> Run:
    while True:
        run = await found(store, run_id)
        if run.state is not State.RECEIVED:
            return run
        await store.probe()  # one transaction later


async def found(store: Store, run_id: RunId) -> Run:
    run = await store.run(run_id)
    assert run is not None
    return run


async def lease_all(store: Store, *, slots: int = 100, seconds: float = 10) -> Sequence[Leased]:
    return await store.lease(slots={"cluster": slots}, polls=100, seconds=seconds)


async def leased(store: Store, draft: Draft, *, state: State = State.QUEUED) -> Leased:
    """Record a draft, take it to a state, and hold its lease."""
    run_id = await recorded(store, draft)
    (mine,) = [each for each in await lease_all(store) if each.run.id == run_id]
    return await taken(store, mine, state)


async def taken(store: Store, mine: Leased, state: State) -> Leased:
    for step in PATHS[state]:
        run = await store.advance(mine, Change(state=step, keep_lease=True))
        mine = Leased(run=run, token=mine.token)
    return mine


async def in_state(store: Store, draft: Draft, state: State) -> Run:
    return (await leased(store, draft, state=state)).run


async def events(store: Store, run_id: RunId) -> list[str]:
    return [entry.event for entry in await store.audit(run_id=run_id)]


async def one_view(store: Store, *, seconds: float = 10) -> View:
    (view,) = await store.lease_views(limit=10, seconds=seconds)
    return view


async def no_view(store: Store) -> bool:
    return not await store.lease_views(limit=10, seconds=10)


# --- recording -------------------------------------------------------------------


async def test_a_recorded_run_reads_back_as_it_was_drafted_and_goes_on_by_itself(
    store: Store, clock: StillClock
) -> None:
    draft = a_draft(
        clock,
        effect_key="e",
        enterprise_id="E1",
        user_name="Ann",
        user_team_id="T2",
        message_ts="1.1",
        thread_ts="1.0",
        block_id="b",
        value_digest="d",
        label="Deploy",
        repeat=True,
        idempotent=False,
        response_url="https://hooks.slack.com/x",
    )
    run_id = await recorded(store, draft)
    assert await store.run(run_id) == structs.replace(
        draft.run, state=State.QUEUED, next_at=clock.now(), updated_at=clock.now()
    )


async def test_a_run_goes_to_the_state_its_draft_names(store: Store, clock: StillClock) -> None:
    run_id = await recorded(store, a_draft(clock, state=State.AWAITING_CONFIRMATION))
    run = await found(store, run_id)
    assert run.state is State.AWAITING_CONFIRMATION
    assert run.next_at is None
    assert await events(store, run_id) == ["received", "received → awaiting_confirmation"]
    assert await lease_all(store) == ()


async def test_a_draft_that_would_skip_the_lifecycle_is_refused(
    store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock, state=State.SUCCEEDED)
    with pytest.raises(NotAllowedNowError):
        await store.record(draft, within=5)
    assert await store.run(draft.run.id) is None


async def test_the_same_delivery_again_is_a_duplicate_of_the_first(
    store: Store, clock: StillClock
) -> None:
    run_id = await recorded(store, a_draft(clock, delivery_key="d", effect_key="e"))
    again = a_draft(clock, delivery_key="d", effect_key="e")
    assert await store.record(again, within=5) == Duplicate(run_id=run_id)
    assert await store.run(again.run.id) is None
    assert len(await store.audit()) == 2


async def test_another_press_with_a_held_effect_key_joins_the_run_that_holds_it(
    store: Store, clock: StillClock
) -> None:
    run_id = await recorded(store, a_draft(clock, effect_key="e"))
    press = a_draft(clock, effect_key="e", user_id="U2", delivery_key="d2")
    result = await store.record(press, within=5)
    assert isinstance(result, Joined)
    assert result.run == await store.run(run_id)
    assert (await events(store, run_id))[-1] == "joined"
    assert (await store.audit(limit=1))[0].actor == "U2"
    assert await store.record(press, within=5) == Duplicate(run_id=run_id)


async def test_one_run_too_many_in_the_window_is_limited_until_the_oldest_leaves_it(
    store: Store, clock: StillClock
) -> None:
    start = clock.now()
    for _ in range(2):
        await recorded(store, a_draft(clock, rate=(2, 60.0)))
        clock.go_on(10)
    third = a_draft(clock, rate=(2, 60.0), effect_key="e", delivery_key="d")
    assert await store.record(third, within=5) == Limited(retry_at=start + 60)
    assert await store.record(third, within=5) == Duplicate(run_id=None)
    assert (await store.audit(limit=1))[0].event == "limited"
    clock.go_on(40.5)
    await recorded(store, a_draft(clock, rate=(2, 60.0), effect_key="e"))


async def test_the_rate_is_each_persons_and_each_actions_own(
    store: Store, clock: StillClock
) -> None:
    await recorded(store, a_draft(clock, rate=(1, 60.0)))
    await recorded(store, a_draft(clock, rate=(1, 60.0), user_id="U2"))
    await recorded(store, a_draft(clock, rate=(1, 60.0), action="scale"))


async def test_a_known_delivery_comes_before_a_held_key_and_a_held_key_before_the_rate(
    store: Store, clock: StillClock
) -> None:
    rate = (1, 60.0)
    await recorded(store, a_draft(clock, delivery_key="d", effect_key="e", rate=rate))
    both = a_draft(clock, delivery_key="d", effect_key="e", rate=rate)
    assert isinstance(await store.record(both, within=5), Duplicate)
    held = a_draft(clock, effect_key="e", rate=rate)
    assert isinstance(await store.record(held, within=5), Joined)


async def test_two_at_once_with_one_delivery_key_are_one_run(
    stores: Stores, clock: StillClock
) -> None:
    one, other = await stores.open(clock), await stores.open(clock)
    drafts = [a_draft(clock, delivery_key="d") for _ in range(6)]
    results = await asyncio.gather(
        *(s.record(d, within=5) for s, d in zip([one, other] * 3, drafts, strict=True))
    )
    assert sorted(type(result).__name__ for result in results) == ["Duplicate"] * 5 + ["Recorded"]
    assert len(await one.runs(RunFilter())) == 1


async def test_two_at_once_with_one_effect_key_are_one_recorded_and_one_joined(
    stores: Stores, clock: StillClock
) -> None:
    one, other = await stores.open(clock), await stores.open(clock)
    drafts = [a_draft(clock, effect_key="e", user_id=f"U{n}") for n in range(6)]
    results = await asyncio.gather(
        *(s.record(d, within=5) for s, d in zip([one, other] * 3, drafts, strict=True))
    )
    assert sorted(type(result).__name__ for result in results) == ["Joined"] * 5 + ["Recorded"]
    (run,) = await one.runs(RunFilter())
    assert {r.run.id for r in results if isinstance(r, Joined)} == {run.id}


async def test_a_refusal_is_an_audit_entry_and_takes_its_delivery_key(
    store: Store, clock: StillClock
) -> None:
    refusal = a_refusal(clock, delivery_key="d", reason="not_allowed")
    assert await store.refuse(refusal, within=5) is True
    assert await store.refuse(refusal, within=5) is False
    (entry,) = await store.audit()
    assert (entry.event, entry.reason, entry.actor) == ("refused", "not_allowed", "U2")
    assert (entry.run_id, entry.action, entry.channel_id) == (None, "deploy", "C1")
    assert entry.at == clock.now()
    late = a_draft(clock, delivery_key="d")
    assert await store.record(late, within=5) == Duplicate(run_id=None)


@pytest.mark.parametrize("odd", ["delivery", "effect", "rate", "message", "state"])
async def test_one_that_is_not_new_is_told_apart_from_those_it_is_recorded_with(
    stores: Stores, store: Store, clock: StillClock, odd: str
) -> None:
    first = a_draft(clock, delivery_key="d", effect_key="e", view=a_message("9.9"))
    known = await recorded(store, first)
    drafts = [
        a_draft(clock, user_id=f"V{n}", effect_key=f"e{n}", view=a_message(f"{n}.1"))
        for n in range(8)
    ]
    strange = {
        "delivery": a_draft(clock, delivery_key="d", effect_key="new"),
        "effect": a_draft(clock, effect_key="e"),
        "rate": a_draft(clock, rate=(1, 60.0), effect_key="new"),
        "message": a_draft(clock, view=a_message("9.9")),
        "state": a_draft(clock, state=State.FAILED, effect_key="new"),
    }[odd]
    async with stores.commits_blocked():
        waiting = [
            asyncio.create_task(store.record(draft, within=10))
            for draft in [*drafts[:4], strange, *drafts[4:]]
        ]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    told = results.pop(4)
    assert results == [Recorded(run_id=draft.run.id) for draft in drafts]
    for draft in drafts:
        assert (await gone_on(store, draft.run.id)).effect_key == draft.run.effect_key
        assert await events(store, draft.run.id) == ["received", "received → queued"]
    match odd:
        case "delivery":
            assert told == Duplicate(run_id=known)
        case "effect":
            assert isinstance(told, Joined)
            assert told.run.id == known
        case "rate":
            assert told == Limited(retry_at=clock.now() + 60)
        case "message":
            shared = await gone_on(store, strange.run.id)
            assert shared.view_id == (await found(store, known)).view_id
        case _:  # a state that the lifecycle does not allow
            assert isinstance(told, NotAllowedNowError)
    if odd != "message":
        assert await store.run(strange.run.id) is None
        await recorded(store, a_draft(clock, effect_key="new"))


@given(texts=st.lists(st.text(), min_size=2, max_size=24), part=st.floats(0, 1e6))
@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_what_is_recorded_together_reads_back_as_it_was_drafted(
    stores: Stores, store: Store, texts: list[str], part: float
) -> None:
    clock = StillClock(1_800_000_000.0 + part)
    drafts = [
        a_draft(clock, label=text, user_name=text, params={"text": text}, message_ts="1.1")
        for text in texts
    ]
    async with stores.commits_blocked():
        waiting = [asyncio.create_task(store.record(draft, within=5)) for draft in drafts]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    for draft in drafts:
        run = await gone_on(store, draft.run.id)
        assert run == structs.replace(
            draft.run, state=State.QUEUED, updated_at=run.updated_at, next_at=run.next_at
        )


# --- the deadline of an acknowledgement --------------------------------------------


async def test_a_refused_insert_never_appears_once_commits_go_through_again(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock, delivery_key="d", effect_key="e", view=a_message())
    async with stores.commits_blocked():
        with pytest.raises(NotRecordedError):
            await store.record(draft, within=0.2)
    await store.probe()
    assert await store.run(draft.run.id) is None
    assert await store.audit() == ()
    await recorded(store, a_draft(clock, delivery_key="d", effect_key="e"))


async def test_a_cancelled_insert_never_appears_and_does_not_take_others_with_it(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    gone, stays = a_draft(clock), a_draft(clock)
    async with stores.commits_blocked():
        cancelled = asyncio.create_task(store.record(gone, within=5))
        waits = asyncio.create_task(store.record(stays, within=5))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert await waits == Recorded(run_id=stays.run.id)
    assert await store.run(gone.run.id) is None


async def test_a_refusal_that_cannot_be_written_in_time_is_not_written_later(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    async with stores.commits_blocked():
        with pytest.raises(NotRecordedError):
            await store.refuse(a_refusal(clock), within=0.2)
    await store.probe()
    assert await store.audit() == ()


async def test_a_commit_that_comes_after_the_refusal_ends_expired_and_is_never_leased(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    other = await stores.open(clock)
    draft = a_draft(clock, delivery_key="d", effect_key="e", view=a_message())
    async with stores.paused_after_commit(store) as pause:
        attempt = asyncio.create_task(store.record(draft, within=0.2))
        await pause.committed.wait()
        with pytest.raises(NotRecordedError):
            await attempt
        assert (await found(other, draft.run.id)).state is State.RECEIVED
        assert await lease_all(other) == ()
        assert await other.sweep() == Swept()
    run = await gone_on(store, draft.run.id)
    assert run.state is State.EXPIRED
    assert await events(store, run.id) == ["received", "received → expired"]
    assert run.reason == "refused_late"
    assert await lease_all(other) == ()
    await recorded(store, a_draft(clock, effect_key="e"))


async def test_a_caller_cancelled_after_the_commit_has_its_run_expired(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock)
    async with stores.paused_after_commit(store) as pause:
        attempt = asyncio.create_task(store.record(draft, within=5))
        await pause.committed.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    assert (await gone_on(store, draft.run.id)).state is State.EXPIRED


async def test_a_received_run_is_leased_by_nobody(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    stores.crash(store)
    result = await store.record(a_draft(clock, next_at=clock.now()), within=5)
    assert isinstance(result, Recorded)
    clock.go_on(60)
    other = await stores.open(clock)
    assert (await found(other, result.run_id)).state is State.RECEIVED
    assert await lease_all(other) == ()
    assert await other.next_due() is None


async def test_a_store_behind_a_lock_gives_up_and_says_so(
    stores: Stores, store: Store, clock: StillClock
) -> None:
    async with stores.commits_blocked():
        with pytest.raises(StoreError, match="lock"):
            await store.probe()
    await store.probe()


async def test_no_acknowledged_run_is_lost_when_the_process_is_killed_under_load(
    stores: Stores, clock: StillClock
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contract.recorder",
        stores.name,
        stores.location,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    acked = [await child.stdout.readline() for _ in range(300)]
    child.send_signal(signal.SIGKILL)
    rest = (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    ids = {RunId(line.strip().decode()) for line in [*acked, *rest] if line.endswith(b"\n")}
    store = await stores.open(clock)
    assert await store.sweep() == Swept()
    clock.go_on(2)
    await store.sweep()
    for run_id in ids:
        assert (await found(store, run_id)).state is State.QUEUED


async def test_an_answer_that_comes_too_late_is_a_refusal_and_the_run_expires(
    stores: Stores, clock: StillClock
) -> None:
    """The process itself stood still: the commit was in time, the answer is not."""
    store, other = await stores.open(clock), await stores.open(clock)
    draft = a_draft(clock, effect_key="e")
    loop = asyncio.get_running_loop()
    attempt = asyncio.create_task(store.record(draft, within=0.3))
    await asyncio.sleep(0)
    loop.call_soon(time.sleep, 0.5)
    with pytest.raises(NotRecordedError):
        await attempt
    run = await other.run(draft.run.id)
    if run is not None:  # a store that writes in this thread had no time to commit
        assert (await gone_on(store, run.id)).state is State.EXPIRED
    await recorded(store, a_draft(clock, effect_key="e"))


# --- leases --------------------------------------------------------------------------


async def test_a_run_is_leased_to_one_store_only(stores: Stores, clock: StillClock) -> None:
    one, other = await stores.open(clock), await stores.open(clock)
    ids = {await recorded(one, a_draft(clock)) for _ in range(20)}
    batches = await asyncio.gather(
        *(store.lease(slots={"cluster": 5}, polls=0, seconds=10) for store in [one, other] * 3)
    )
    taken_ids = [each.run.id for batch in batches for each in batch]
    assert len(taken_ids) == len(set(taken_ids)) == 20
    assert set(taken_ids) == ids


async def test_a_lease_that_ran_out_is_taken_over_and_the_first_holder_cannot_write(
    store: Store, clock: StillClock
) -> None:
    first = await leased(store, a_draft(clock))
    clock.go_on(9.9)
    assert await lease_all(store) == ()
    clock.go_on(0.2)
    (second,) = await lease_all(store)
    assert second.token != first.token
    with pytest.raises(LeaseLostError):
        await store.advance(first, Change(state=State.SENDING))
    assert (await found(store, first.run.id)).state is State.QUEUED
    assert await store.renew([(first.run.id, first.token)], seconds=10) == {first.run.id}
    await store.advance(second, Change(state=State.SENDING))


async def test_a_renewed_lease_lasts(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock))
    clock.go_on(9)
    assert await store.renew([(mine.run.id, mine.token)], seconds=10) == set()
    clock.go_on(9)
    assert await lease_all(store) == ()
    clock.go_on(2)
    assert len(await lease_all(store)) == 1


async def test_a_step_ends_the_lease_unless_it_is_kept(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock))
    await store.advance(mine, Change(state=State.SENDING, keep_lease=True, next_at=clock.now()))
    assert await lease_all(store) == ()
    await store.advance(mine, Change(state=State.QUEUED, next_at=clock.now()))
    with pytest.raises(LeaseLostError):
        await store.advance(mine, Change(state=State.SENDING))
    assert len(await lease_all(store)) == 1


async def test_each_pathway_has_its_own_slots(store: Store, clock: StillClock) -> None:
    for pathway in ["a", "a", "a", "b", "b", "c"]:
        await recorded(store, a_draft(clock, pathway=pathway))
    slots = {"a": 2, "b": 1, "c": 0, "x": 5}
    got = await store.lease(slots=slots, polls=0, seconds=10)
    assert sorted(each.run.pathway for each in got) == ["a", "a", "b"]
    assert await store.lease(slots={"a": 0, "b": 0, "c": 0}, polls=0, seconds=10) == ()
    rest = await store.lease(slots={"a": 9, "b": 9, "c": 9}, polls=0, seconds=10)
    assert sorted(each.run.pathway for each in rest) == ["a", "b", "c"]


async def test_no_more_are_leased_than_there_is_room_for_in_all(
    store: Store, clock: StillClock
) -> None:
    for pathway in ("a", "b", "a", "b"):
        await recorded(store, a_draft(clock, pathway=pathway))
    slots = {"a": 2, "b": 2}
    assert len(await store.lease(slots=slots, polls=0, seconds=10, most=3)) == 3
    assert await store.lease(slots=slots, polls=0, seconds=10, most=0) == ()


async def test_what_a_pathway_left_behind_when_it_was_removed_is_leased(
    store: Store, clock: StillClock
) -> None:
    await recorded(store, a_draft(clock, pathway="gone"))
    got = await store.lease(slots={"a": 5}, polls=0, seconds=10)
    assert [each.run.pathway for each in got] == ["gone"]


async def test_polls_take_no_slots_and_work_takes_no_polls(store: Store, clock: StillClock) -> None:
    running = await leased(store, a_draft(clock), state=State.SENDING)
    await store.advance(running, Change(state=State.RUNNING, next_at=clock.now() + 1))
    unknown = await leased(store, a_draft(clock), state=State.SENDING)
    await store.advance(unknown, Change(state=State.UNKNOWN, next_at=clock.now() + 2))
    queued = await recorded(store, a_draft(clock))
    (work,) = await store.lease(slots={"cluster": 9}, polls=0, seconds=10)
    assert work.run.id == queued
    assert await store.lease(slots={}, polls=9, seconds=10) == ()
    clock.go_on(2)
    (first,) = await store.lease(slots={}, polls=1, seconds=10)
    (second,) = await store.lease(slots={}, polls=9, seconds=10)
    assert [first.run.id, second.run.id] == [running.run.id, unknown.run.id]


async def test_runs_are_leased_oldest_first_and_not_before_their_time(
    store: Store, clock: StillClock
) -> None:
    late = await leased(store, a_draft(clock), state=State.SENDING)
    await store.advance(late, Change(state=State.QUEUED, next_at=clock.now() + 2.5))
    assert await lease_all(store) == ()
    ids = []
    for _ in range(4):
        clock.go_on(1)
        ids.append(await recorded(store, a_draft(clock)))
    (oldest,) = await lease_all(store, slots=1)
    assert oldest.run.id == ids[0]
    rest = [each.run.id for each in await lease_all(store)]
    assert rest == [ids[1], late.run.id, ids[2], ids[3]]


async def test_a_run_left_in_sending_comes_back_when_its_lease_ends(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock))
    await store.advance(
        mine, Change(state=State.SENDING, keep_lease=True, next_at=clock.now(), attempt=True)
    )
    clock.go_on(11)
    (again,) = await lease_all(store)
    assert (again.run.state, again.run.attempts) == (State.SENDING, 1)


async def test_a_later_lease_sees_what_was_due_when_a_store_was_told_of_it(
    stores: Stores, clock: StillClock
) -> None:
    changes: list[None] = []
    store = await stores.open(clock, on_change=lambda: changes.append(None))
    run_id = await recorded(store, a_draft(clock))
    await store.probe()
    assert changes
    assert [each.run.id for each in await lease_all(store)] == [run_id]
    changes.clear()
    await store.probe()
    assert not changes


# --- steps ---------------------------------------------------------------------------


async def test_a_step_writes_what_it_names_and_leaves_the_rest(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock), state=State.SENDING)
    clock.go_on(1)
    running = await store.advance(
        mine,
        Change(
            state=State.RUNNING,
            next_at=clock.now() + 1,
            http_status=202,
            status_text="Accepted",
            message="on it",
            location="/operations/1",
            progress=Progress(phase="running", done=1, total=3),
            started_at=clock.now(),
            reason="x",
            attempt=True,
            keep_lease=True,
        ),
    )
    assert await store.run(mine.run.id) == running
    assert running.progress == Progress(phase="running", done=1, total=3)
    assert (running.attempts, running.polls, running.updated_at) == (1, 0, clock.now())
    polled = await store.advance(mine, Change(poll=True, keep_lease=True))
    assert polled == structs.replace(running, polls=1, next_at=None)
    assert await store.run(mine.run.id) == polled


async def test_an_end_sets_when_it_was_and_leaves_nothing_to_do(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock), state=State.SENDING)
    clock.go_on(3)
    done = await store.advance(mine, Change(state=State.SUCCEEDED, next_at=clock.now()))
    assert (done.finished_at, done.next_at) == (clock.now(), None)
    assert await store.next_due() is None


async def test_an_unknown_end_may_still_be_looked_into(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock), state=State.SENDING)
    ended = await store.advance(mine, Change(state=State.UNKNOWN, next_at=clock.now() + 5))
    assert (ended.finished_at, ended.next_at) == (clock.now(), clock.now() + 5)
    assert await store.next_due() == clock.now() + 5


@pytest.mark.parametrize("old", sorted(PATHS))
async def test_only_the_transitions_of_the_lifecycle_are_written(
    store: Store, clock: StillClock, old: State
) -> None:
    """Tries every state from `old`; what is refused leaves no trace."""
    for new in State:
        mine = await leased(store, a_draft(clock), state=old)
        before = await events(store, mine.run.id)
        if lifecycle.allowed(old, new):
            assert (await store.advance(mine, Change(state=new))).state is new
            assert await events(store, mine.run.id) == [*before, f"{old} → {new}"]
        else:
            with pytest.raises(NotAllowedNowError):
                await store.advance(mine, Change(state=new))
            assert await store.run(mine.run.id) == mine.run
            assert await events(store, mine.run.id) == before


async def test_the_audit_log_tells_who_did_what_and_why(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock, user_id="U7"), state=State.SENDING)
    await store.advance(mine, Change(keep_lease=True, progress=Progress(phase="pushing")))
    clock.go_on(1)
    await store.advance(mine, Change(state=State.FAILED, reason="refused", actor="operator:ann"))
    entries = await store.audit(run_id=mine.run.id)
    assert [entry.event for entry in entries] == [
        "received",
        "received → queued",
        "queued → sending",
        "sending → failed",
    ]
    assert [entry.seq for entry in entries] == sorted(entry.seq for entry in entries)
    assert (entries[0].actor, entries[2].actor, entries[3].actor) == (
        "U7",
        "worker",
        "operator:ann",
    )
    last = entries[3]
    assert (last.reason, last.at, last.action) == ("refused", clock.now(), "deploy")
    assert (last.user_id, last.channel_id) == ("U7", "C1")


STEPS = [(old, new) for old in PATHS for new in sorted(lifecycle.TRANSITIONS[old])]


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("known_not_done", [False, True])
@pytest.mark.parametrize(("old", "new"), STEPS)
async def test_the_effect_key_is_given_back_exactly_as_the_lifecycle_says(
    store: Store,
    clock: StillClock,
    old: State,
    new: State,
    known_not_done: bool,
    repeat: bool,
) -> None:
    mine = await leased(store, a_draft(clock, effect_key="e", repeat=repeat))
    held = True
    for step in PATHS[old]:
        held = held and not lifecycle.releases_effect(step, known_not_done=False, repeat=repeat)
        run = await store.advance(mine, Change(state=step, keep_lease=True))
        mine = Leased(run=run, token=mine.token)
    await store.advance(mine, Change(state=new, release_effect=known_not_done))
    held = held and not lifecycle.releases_effect(new, known_not_done=known_not_done, repeat=repeat)
    assert ((await found(store, mine.run.id)).effect_key == "e") == held
    press = await store.record(a_draft(clock, effect_key="e"), within=5)
    assert isinstance(press, Joined) == held


async def test_settling_takes_a_run_out_of_unknown_without_a_lease(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, effect_key="e"), state=State.UNKNOWN)
    change = Change(state=State.FAILED, reason="checked", release_effect=True, actor="U9")
    settled = await store.settle(mine.run.id, change)
    assert (settled.state, settled.reason) == (State.FAILED, "checked")
    assert (await store.audit(run_id=mine.run.id))[-1].actor == "U9"
    with pytest.raises(LeaseLostError):
        await store.advance(mine, Change(state=State.SUCCEEDED))
    with pytest.raises(NotAllowedNowError):
        await store.settle(mine.run.id, change)
    with pytest.raises(NoSuchRunError):
        await store.settle(RunId("none"), change)
    await recorded(store, a_draft(clock, effect_key="e"))


async def test_confirming_lets_a_run_go_on_and_declining_cancels_it(
    store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock, state=State.AWAITING_CONFIRMATION, effect_key="e")
    no = await recorded(store, draft)
    cancelled = await store.confirm(no, yes=False, user_id="U1")
    assert (cancelled.state, cancelled.next_at) == (State.CANCELLED, None)
    draft = a_draft(clock, state=State.AWAITING_CONFIRMATION, effect_key="e")
    yes = await recorded(store, draft)
    confirmed = await store.confirm(yes, yes=True, user_id="U2")
    assert (confirmed.state, confirmed.next_at) == (State.QUEUED, clock.now())
    assert (await store.audit(run_id=yes))[-1].actor == "U2"
    assert [each.run.id for each in await lease_all(store)] == [yes]
    for answer in (True, False):
        with pytest.raises(NotAllowedNowError):
            await store.confirm(yes, yes=answer, user_id="U1")
    with pytest.raises(NoSuchRunError):
        await store.confirm(RunId("none"), yes=True, user_id="U1")


async def test_asking_for_a_check_makes_an_unknown_run_due(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock), state=State.SENDING)
    await store.advance(mine, Change(state=State.UNKNOWN))
    assert await store.next_due() is None
    asked = await store.ask_check(mine.run.id, user_id="U3")
    assert asked.next_at == clock.now()
    last = (await store.audit(run_id=mine.run.id))[-1]
    assert (last.event, last.actor) == ("check asked", "U3")
    assert [each.run.id for each in await lease_all(store)] == [mine.run.id]
    with pytest.raises(NotAllowedNowError):
        await store.ask_check(await recorded(store, a_draft(clock)), user_id="U3")
    with pytest.raises(NoSuchRunError):
        await store.ask_check(RunId("none"), user_id="U3")


# --- starting anew -------------------------------------------------------------------


async def test_a_retry_is_a_queued_child_with_the_view_and_the_key_of_its_parent(
    store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock, effect_key="e", view=a_message())
    parent = await in_state(store, draft, State.FAILED)
    new = a_run(clock, effect_key="e")
    child = await store.retry(parent.id, new, actor="operator:ann")
    assert (child.id, child.state, child.next_at) == (new.id, State.QUEUED, clock.now())
    assert (child.parent_id, child.view_id) == (parent.id, parent.view_id)
    assert await store.run(child.id) == child
    entries = await store.audit(run_id=child.id)
    assert [entry.event for entry in entries] == ["received", "received → queued"]
    assert {entry.actor for entry in entries} == {"operator:ann"}
    press = await store.record(a_draft(clock, effect_key="e"), within=5)
    assert press == Joined(run=child)
    assert (await found(store, parent.id)).effect_key is None
    clock.go_on(1)
    assert [run.id for run in (await one_view(store)).runs] == [parent.id, child.id]


async def test_a_retry_takes_a_key_that_is_free(store: Store, clock: StillClock) -> None:
    parent = await in_state(store, a_draft(clock, effect_key="e"), State.EXPIRED)
    child = await store.retry(parent.id, a_run(clock, effect_key="e"), actor="U1")
    assert await store.record(a_draft(clock, effect_key="e"), within=5) == Joined(run=child)


async def test_a_retry_is_refused_while_the_parent_runs_or_another_holds_its_key(
    store: Store, clock: StillClock
) -> None:
    parent = await leased(store, a_draft(clock, effect_key="e"))
    child = a_run(clock, effect_key="e")
    with pytest.raises(NotAllowedNowError):
        await store.retry(parent.run.id, child, actor="U1")
    await store.advance(parent, Change(state=State.EXPIRED))
    await recorded(store, a_draft(clock, effect_key="e"))
    with pytest.raises(NotAllowedNowError):
        await store.retry(parent.run.id, child, actor="U1")
    with pytest.raises(NoSuchRunError):
        await store.retry(RunId("none"), child, actor="U1")
    assert await store.run(child.id) is None
    # nothing of the refused retry was kept, its delivery key included
    fresh = a_draft(clock, delivery_key=child.delivery_key)
    await recorded(store, fresh)


async def test_a_refused_retry_takes_nothing_of_its_neighbours_with_it(
    store: Store, clock: StillClock
) -> None:
    parent = await in_state(store, a_draft(clock, effect_key="e"), State.EXPIRED)
    await recorded(store, a_draft(clock, effect_key="e"))
    drafts = [a_draft(clock) for _ in range(8)]
    bad = a_run(clock, effect_key="e")
    results = await asyncio.gather(
        *(store.record(draft, within=5) for draft in drafts[:4]),
        store.retry(parent.id, bad, actor="U1"),
        *(store.record(draft, within=5) for draft in drafts[4:]),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(Recorded) == 8
    assert isinstance(results[4], NotAllowedNowError)
    for draft in drafts:
        await gone_on(store, draft.run.id)
        assert await events(store, draft.run.id) == ["received", "received → queued"]


# --- reading ---------------------------------------------------------------------------


async def test_runs_are_listed_newest_first_and_narrowed_by_what_is_asked(
    store: Store, clock: StillClock
) -> None:
    ids = []
    for number in range(6):
        clock.go_on(1)
        action = "deploy" if number % 2 else "scale"
        user_id = "U1" if number < 3 else "U2"
        ids.append(await recorded(store, a_draft(clock, action=action, user_id=user_id)))
    newest = list(reversed(ids))

    async def listed(which: RunFilter) -> list[RunId]:
        return [run.id for run in await store.runs(which)]

    assert await listed(RunFilter()) == newest
    assert await listed(RunFilter(limit=2)) == newest[:2]
    assert await listed(RunFilter(before=newest[1], limit=2)) == newest[2:4]
    assert await listed(RunFilter(action="scale")) == newest[1::2]
    assert await listed(RunFilter(user_id="U1", action="deploy")) == [ids[1]]
    assert await listed(RunFilter(state=State.SENDING)) == []
    assert await listed(RunFilter(state=State.QUEUED, limit=1)) == newest[:1]
    assert await store.run(RunId("none")) is None


async def test_the_audit_log_is_newest_first_and_can_be_paged(
    store: Store, clock: StillClock
) -> None:
    for _ in range(3):
        await recorded(store, a_draft(clock))
    whole = await store.audit()
    assert [entry.seq for entry in whole] == sorted((e.seq for e in whole), reverse=True)
    assert await store.audit(limit=2) == whole[:2]
    assert await store.audit(before=whole[1].seq, limit=2) == whole[2:4]


async def test_what_is_next_due_is_the_earliest_of_runs_and_views(
    store: Store, clock: StillClock
) -> None:
    assert await store.next_due() is None
    start = clock.now()
    mine = await leased(store, a_draft(clock, view=a_message()), state=State.SENDING)
    assert await store.next_due() == start + GRACE
    await store.advance(mine, Change(state=State.QUEUED, next_at=start + 0.1))
    assert await store.next_due() == start + 0.1
    await store.advance(
        (await leased_later(store, clock, 0.1)), Change(state=State.SENDING, next_at=start + 9)
    )
    assert await store.next_due() == start + GRACE
    clock.go_on(GRACE)
    view = await one_view(store, seconds=5)
    assert await store.next_due() == clock.now() + 5
    await store.view_told(view)
    assert await store.next_due() == start + 9


async def leased_later(store: Store, clock: StillClock, seconds: float) -> Leased:
    clock.go_on(seconds)
    (mine,) = await lease_all(store)
    return mine


async def test_a_leased_run_is_due_when_its_lease_ends(store: Store, clock: StillClock) -> None:
    await recorded(store, a_draft(clock, pathway="a"))
    await recorded(store, a_draft(clock, pathway="b"))
    assert await store.next_due() == clock.now()
    await store.lease(slots={"a": 1, "b": 1}, polls=0, seconds=7)
    assert await store.next_due() == clock.now() + 7


# --- views -----------------------------------------------------------------------------


async def test_the_first_click_keeps_the_messages_blocks_and_later_clicks_share_its_view(
    store: Store, clock: StillClock
) -> None:
    first = await recorded(store, a_draft(clock, view=a_message()))
    changed = structs.replace(a_message(), text="Deployed", blocks=())
    second = await recorded(store, a_draft(clock, view=changed))
    other = await recorded(store, a_draft(clock, view=a_message("2.2")))
    clock.go_on(GRACE)
    views = await store.lease_views(limit=10, seconds=10)
    assert [[run.id for run in view.runs] for view in views] == [[first, second], [other]]
    view = views[0]
    assert (view.team_id, view.channel_id, view.ts, view.own) == ("T1", "C1", "1.1", True)
    assert (view.text, view.blocks) == ("Deploy?", BLOCKS)
    assert view.posting is Posting.POSTED


async def test_a_run_with_a_message_to_be_posted_has_a_view_of_its_own(
    store: Store, clock: StillClock
) -> None:
    for _ in range(2):
        await recorded(store, a_draft(clock, view=a_message(None, thread_ts="1.0")))
    clock.go_on(GRACE)
    views = await store.lease_views(limit=10, seconds=10)
    assert [len(view.runs) for view in views] == [1, 1]
    assert {(view.ts, view.own, view.posting) for view in views} == {(None, False, Posting.NONE)}
    assert {view.thread_ts for view in views} == {"1.0"}


async def test_a_new_run_is_not_told_before_the_grace_is_over(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, view=a_message()))
    clock.go_on(GRACE / 2)
    await store.advance(mine, Change(state=State.SENDING, keep_lease=True))
    assert await no_view(store)
    clock.go_on(GRACE / 2)  # the step did not put it off
    assert (await one_view(store)).runs[0].state is State.SENDING


@pytest.mark.parametrize("end", [s for s in State if s in lifecycle.FINAL and s in PATHS])
async def test_an_end_is_told_at_once(store: Store, clock: StillClock, end: State) -> None:
    await in_state(store, a_draft(clock, view=a_message()), end)
    assert (await one_view(store)).runs[0].state is end


async def test_ends_are_told_before_progress_however_old_that_is(
    store: Store, clock: StillClock
) -> None:
    slow = await recorded(store, a_draft(clock, view=a_message("1.1")))
    clock.go_on(1)
    older = await in_state(store, a_draft(clock, view=a_message("2.2")), State.SUCCEEDED)
    clock.go_on(1)
    newer = await in_state(store, a_draft(clock, view=a_message("3.3")), State.FAILED)
    order = [(await store.lease_views(limit=1, seconds=10))[0].runs[0].id for _ in range(3)]
    assert order == [older.id, newer.id, slow]


async def test_an_end_that_came_during_rendering_stays_urgent(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, view=a_message("1.1")), state=State.SENDING)
    other = await recorded(store, a_draft(clock, view=a_message("2.2")))
    clock.go_on(GRACE)
    (first,) = await store.lease_views(limit=1, seconds=10)
    assert first.runs[0].id == mine.run.id
    clock.go_on(1)
    await store.advance(mine, Change(state=State.SUCCEEDED))
    await store.view_told(first)
    order = [(await store.lease_views(limit=1, seconds=10))[0].runs[0].id for _ in range(2)]
    assert order == [mine.run.id, other]


async def test_a_view_is_leased_to_one_renderer_until_its_lease_ends(
    stores: Stores, clock: StillClock
) -> None:
    one, other = await stores.open(clock), await stores.open(clock)
    await recorded(one, a_draft(clock, view=a_message()))
    clock.go_on(GRACE)
    first = await one_view(one)
    assert await no_view(other)
    clock.go_on(10.1)
    second = await one_view(other)
    for late in (one.view_told(first), one.view_moved(first), one.view_intent(first, final=False)):
        with pytest.raises(LeaseLostError):
            await late
    await other.view_told(second)
    assert await no_view(one)


async def test_a_renewed_view_stays_with_its_renderer(store: Store, clock: StillClock) -> None:
    for ts in ("1.1", "2.2"):
        await recorded(store, a_draft(clock, view=a_message(ts)))
    clock.go_on(GRACE)
    kept, lost = await store.lease_views(limit=10, seconds=10)
    clock.go_on(9)
    await store.renew_views([kept, replace(lost, token="another's")], seconds=10)
    clock.go_on(2)
    assert [view.id for view in await store.lease_views(limit=10, seconds=10)] == [lost.id]
    await store.view_told(kept)


async def test_a_message_is_where_slack_put_it(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock, view=a_message(None)))
    clock.go_on(GRACE)
    posted = await one_view(store)
    await store.view_told(posted, posting=Posting.POSTED, ts="5.5", channel_id="D7")
    await store.advance(mine, Change(state=State.CANCELLED))
    view = await one_view(store)
    assert (view.channel_id, view.ts) == ("D7", "5.5")
    await store.view_told(view)
    assert (await found(store, mine.run.id)).channel_id == "C1"


async def test_what_was_rendered_is_not_due_until_something_changes(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, view=a_message()), state=State.SENDING)
    clock.go_on(GRACE)
    await store.view_told(await one_view(store))
    clock.go_on(60)
    assert await no_view(store)
    await store.renew([(mine.run.id, mine.token)], seconds=60)
    await store.advance(mine, Change(keep_lease=True, poll=True))
    clock.go_on(60)
    assert await no_view(store)  # nothing that is shown has changed
    await store.advance(mine, Change(keep_lease=True, progress=Progress(phase="half")))
    clock.go_on(GRACE)
    assert (await one_view(store)).runs[0].progress == Progress(phase="half")


async def test_a_change_during_rendering_leaves_the_view_due(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, view=a_message()), state=State.SENDING)
    clock.go_on(GRACE)
    view = await one_view(store)
    await store.advance(mine, Change(state=State.SUCCEEDED))
    assert await no_view(store)
    await store.view_told(view)
    later = await one_view(store)
    assert later.version > view.version
    assert later.runs[0].state is State.SUCCEEDED


async def test_a_hold_keeps_progress_back_but_not_an_end(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock, view=a_message()), state=State.SENDING)
    clock.go_on(GRACE)
    await store.view_told(await one_view(store), due_at=clock.now() + 5)
    await store.advance(
        mine, Change(state=State.RUNNING, keep_lease=True, progress=Progress(phase="a"))
    )
    clock.go_on(4.9)
    assert await no_view(store)
    clock.go_on(0.1)
    await store.view_told(await one_view(store), due_at=clock.now() + 5)
    await store.advance(mine, Change(state=State.SUCCEEDED))
    assert (await one_view(store)).runs[0].state is State.SUCCEEDED


async def test_a_view_that_was_not_rendered_comes_back_when_the_renderer_says(
    store: Store, clock: StillClock
) -> None:
    await recorded(store, a_draft(clock, view=a_message()))
    clock.go_on(GRACE)
    await store.view_told(
        await one_view(store), rendered=False, failed=True, due_at=clock.now() + 2
    )
    assert await no_view(store)
    clock.go_on(2)
    view = await one_view(store)
    assert view.failures == 1
    await store.view_told(view, rendered=False, failed=True)
    view = await one_view(store)
    assert view.failures == 2
    await store.view_told(view, rendered=False)
    assert (await one_view(store)).failures == 0


async def test_an_intent_survives_the_renderer_that_wrote_it(
    store: Store, clock: StillClock
) -> None:
    await recorded(store, a_draft(clock, view=a_message(None)))
    clock.go_on(GRACE)
    await store.view_intent(await one_view(store), final=True)
    at = clock.now()
    clock.go_on(11)
    view = await one_view(store)
    assert (view.posting, view.intent_at, view.intent_final) == (Posting.INTENT, at, True)


async def test_look_ups_of_an_ambiguous_post_are_counted(store: Store, clock: StillClock) -> None:
    await recorded(store, a_draft(clock, view=a_message(None)))
    clock.go_on(GRACE)
    for count in range(3):
        view = await one_view(store)
        assert view.lookups == count
        await store.view_told(view, posting=Posting.AMBIGUOUS, rendered=False)
    view = await one_view(store)
    assert (view.posting, view.lookups) == (Posting.AMBIGUOUS, 3)
    await store.view_told(view, posting=Posting.POSTED, ts="5.5")
    clock.go_on(60)
    assert await no_view(store)


async def test_a_posted_message_keeps_its_timestamp(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock, view=a_message(None)))
    clock.go_on(GRACE)
    view = await one_view(store)
    await store.view_intent(view, final=False)
    await store.view_told(view, posting=Posting.POSTED, ts="5.5")
    await store.advance(mine, Change(state=State.CANCELLED))
    view = await one_view(store)
    assert (view.ts, view.posting, view.own) == ("5.5", Posting.POSTED, False)


async def test_a_view_that_is_given_up_is_never_due_again(store: Store, clock: StillClock) -> None:
    mine = await leased(store, a_draft(clock, view=a_message(None)))
    clock.go_on(GRACE)
    await store.view_told(await one_view(store), posting=Posting.GIVEN_UP, rendered=False)
    assert await no_view(store)
    await store.advance(mine, Change(state=State.CANCELLED))
    clock.go_on(60)
    assert await no_view(store)
    assert await store.next_due() is None


async def test_when_a_message_is_gone_its_runs_get_messages_of_their_own(
    store: Store, clock: StillClock
) -> None:
    draft = a_draft(clock, view=a_message(thread_ts="1.0"))
    working = await leased(store, draft, state=State.SENDING)
    ended = await in_state(store, a_draft(clock, view=a_message()), State.FAILED)
    gone = await one_view(store)
    await store.view_moved(gone)
    views = await store.lease_views(limit=10, seconds=10)
    assert [[run.id for run in view.runs] for view in views] == [[ended.id], [working.run.id]]
    assert {(view.ts, view.own, view.posting) for view in views} == {(None, False, Posting.NONE)}
    assert {(view.channel_id, view.thread_ts) for view in views} == {("C1", "1.0")}
    with pytest.raises(LeaseLostError):
        await store.view_told(gone)
    again = await recorded(store, a_draft(clock, view=a_message()))
    assert (await found(store, again)).view_id not in {gone.id, *(view.id for view in views)}


async def test_an_end_that_the_lost_message_had_told_is_not_told_again(
    store: Store, clock: StillClock
) -> None:
    told = await in_state(store, a_draft(clock, view=a_message()), State.SUCCEEDED)
    clock.go_on(1)
    await store.view_told(await one_view(store))
    fresh = await recorded(store, a_draft(clock, view=a_message()))
    clock.go_on(GRACE)
    await store.view_moved(await one_view(store))
    assert [run.id for run in (await one_view(store)).runs] == [fresh]
    assert (await found(store, told.id)).view_id is None


async def test_a_view_shows_its_newest_hundred_runs(store: Store, clock: StillClock) -> None:
    ids = [await recorded(store, a_draft(clock, view=a_message())) for _ in range(103)]
    clock.go_on(GRACE)
    assert [run.id for run in (await one_view(store)).runs] == ids[3:]


# --- housekeeping ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.QUEUED, "not_started"),
        (State.AWAITING_APPROVAL, "not_confirmed"),
        (State.AWAITING_CONFIRMATION, "not_confirmed"),
    ],
)
async def test_what_was_not_started_in_time_expires(
    store: Store, clock: StillClock, state: State, reason: str
) -> None:
    run_id = await recorded(store, a_draft(clock, state=state, effect_key="e", view=a_message()))
    clock.go_on(599)
    assert (await store.sweep()).expired == 0
    clock.go_on(1)
    assert (await store.sweep()).expired == 1
    run = await found(store, run_id)
    assert (run.state, run.finished_at, run.reason) == (State.EXPIRED, clock.now(), reason)
    assert (await events(store, run_id))[-1] == f"{state} → expired"
    assert (await one_view(store)).runs == (run,)
    await recorded(store, a_draft(clock, effect_key="e"))


async def test_what_somebody_works_on_or_was_started_does_not_expire(
    store: Store, clock: StillClock
) -> None:
    started = await leased(store, a_draft(clock))
    for change in (
        Change(state=State.SENDING, started_at=clock.now(), keep_lease=True),
        Change(state=State.QUEUED, next_at=clock.now() + 9999),
    ):
        await store.advance(started, change)
    await recorded(store, a_draft(clock))
    clock.go_on(600)
    (held,) = await lease_all(store)
    assert await store.sweep() == Swept()
    clock.go_on(11)
    assert (await store.sweep()).expired == 1
    with pytest.raises(LeaseLostError):
        await store.advance(held, Change(state=State.SENDING))


async def test_what_a_dead_intake_left_is_adopted_after_two_seconds(
    stores: Stores, clock: StillClock
) -> None:
    dead = await stores.open(clock)
    stores.crash(dead)
    targets = [State.QUEUED, State.AWAITING_CONFIRMATION]
    ids = []
    for target in targets:
        result = await dead.record(a_draft(clock, state=target, view=a_message()), within=5)
        assert isinstance(result, Recorded)
        ids.append(result.run_id)
    clock.go_on(100)
    store = await stores.open(clock)
    assert await store.sweep() == Swept()
    clock.go_on(1.9)
    assert await store.sweep() == Swept()
    clock.go_on(0.1)
    assert await store.sweep() == Swept(adopted=2)
    assert [(await found(store, run_id)).state for run_id in ids] == targets
    assert await events(store, ids[0]) == ["received", "received → queued"]
    assert [each.run.id for each in await lease_all(store)] == ids[:1]


@pytest.mark.parametrize("told_before", [True, False])
async def test_a_view_that_told_of_a_received_run_tells_of_it_again_once_it_goes_on(
    stores: Stores, clock: StillClock, told_before: bool
) -> None:
    dead = await stores.open(clock)
    stores.crash(dead)
    await dead.record(a_draft(clock, view=a_message()), within=5)
    store = await stores.open(clock)
    await store.sweep()
    clock.go_on(2)
    view = await one_view(store)
    if told_before:
        await store.view_told(view)
    assert await store.sweep() == Swept(adopted=1)
    if not told_before:
        await store.view_told(view)
    clock.go_on(GRACE)
    assert (await one_view(store)).runs[0].state is State.QUEUED


async def test_response_urls_are_erased_after_half_an_hour(store: Store, clock: StillClock) -> None:
    draft = a_draft(clock, response_url="https://hooks.slack.com/x", start_by=clock.now() + 9999)
    run_id = await recorded(store, draft)
    clock.go_on(1800)
    assert (await store.sweep()).erased == 0
    clock.go_on(1)
    assert (await store.sweep()).erased == 1
    assert (await found(store, run_id)).response_url is None
    assert (await store.sweep()).erased == 0


async def test_runs_go_when_retention_ends_and_their_effect_keys_35_days_later(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock, retention_days=40)
    draft = a_draft(clock, effect_key="e", delivery_key="d", view=a_message(), user_id="U5")
    run = await in_state(store, draft, State.SUCCEEDED)
    clock.go_on(39.9 * DAY)
    assert (await store.sweep()).removed == 0
    clock.go_on(0.2 * DAY)
    assert (await store.sweep()).removed >= 3
    assert await store.run(run.id) is None
    assert await store.audit() == ()
    assert await no_view(store)
    press = await store.record(a_draft(clock, effect_key="e", delivery_key="d"), within=5)
    assert isinstance(press, Joined)
    assert (press.run.id, press.run.state, press.run.user_id) == (run.id, State.SUCCEEDED, "U5")
    clock.go_on(34.9 * DAY)
    await store.sweep()
    assert isinstance(await store.record(a_draft(clock, effect_key="e"), within=5), Joined)
    clock.go_on(0.2 * DAY)
    await store.sweep()
    await recorded(store, a_draft(clock, effect_key="e"))


async def test_an_effect_key_outlives_its_button_however_short_retention_is(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock, retention_days=1)
    await in_state(store, a_draft(clock, effect_key="e"), State.SUCCEEDED)
    clock.go_on(30 * DAY)  # the age at which a button is retired by default
    assert (await store.sweep()).removed
    assert isinstance(await store.record(a_draft(clock, effect_key="e"), within=5), Joined)


async def test_retention_removes_all_that_is_old_and_nothing_that_has_not_ended(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock, retention_days=1)
    lasting = a_draft(clock, start_by=clock.now() + 999 * DAY, delivery_key="d", effect_key="e")
    waits = await recorded(store, lasting)
    (mine,) = await lease_all(store)
    await store.advance(mine, Change(next_at=clock.now() + 999 * DAY))
    for _ in range(120):
        await recorded(store, a_draft(clock, start_by=clock.now() + 1))
    clock.go_on(2)
    assert (await store.sweep()).expired == 120
    clock.go_on(80 * DAY)
    while (await store.sweep()).removed:
        pass
    assert [run.id for run in await store.runs(RunFilter())] == [waits]
    assert isinstance(
        await store.record(structs.replace(lasting, run=a_run(clock, delivery_key="d")), within=5),
        Duplicate,
    )
    assert isinstance(await store.record(a_draft(clock, effect_key="e"), within=5), Joined)


# --- the rest ------------------------------------------------------------------------------


async def test_the_first_value_remembered_is_kept(stores: Stores, clock: StillClock) -> None:
    one, other = await stores.open(clock), await stores.open(clock)
    kept = await asyncio.gather(*(s.remember("k", v) for s, v in ((one, "a"), (other, "b"))))
    assert kept in (["a", "a"], ["b", "b"])
    assert await one.remember("k", "c") == kept[0]
    assert await one.memo("k") == kept[0]


async def test_a_memo_is_replaced_by_its_next_value(store: Store) -> None:
    assert await store.memo("m") is None
    assert await store.memo("m", "1") == "1"
    assert await store.memo("m", "2") == "2"
    assert await store.memo("m") == "2"


async def test_what_was_written_is_there_after_closing_and_opening_again(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    result = await store.record(a_draft(clock), within=5)
    await store.close()
    await store.close()
    for call in (store.probe(), store.next_due(), store.record(a_draft(clock), within=5)):
        with pytest.raises(StoreError):
            await call
    again = await stores.open(clock)
    assert isinstance(result, Recorded)
    assert (await found(again, result.run_id)).state is State.QUEUED


@given(text=st.text(), number=st.integers(-(2**53), 2**53), flag=st.booleans())
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_text_a_person_types_comes_back_as_it_was(
    store: Store, clock: StillClock, text: str, number: int, flag: bool
) -> None:
    params = {"text": text, text: [number, flag, None]}
    run_id = await recorded(store, a_draft(clock, params=params, label=text, user_name=text))
    run = await found(store, run_id)
    assert (run.params, run.label, run.user_name) == (params, text, text)


# --- refused late, given up, asked in time ------------------------------------------


async def test_what_another_process_adopted_still_expires_when_its_caller_was_refused(
    stores: Stores, clock: StillClock
) -> None:
    store, other = await stores.open(clock), await stores.open(clock)
    draft = a_draft(clock, view=a_message())
    async with stores.paused_after_commit(store) as pause:
        asked = asyncio.create_task(store.record(draft, within=0.2))
        await pause.committed.wait()
        await other.sweep()
        clock.go_on(2)
        assert (await other.sweep()).adopted == 1
        assert (await found(other, draft.run.id)).state is State.QUEUED
        with pytest.raises(NotRecordedError):
            await asked
    async with asyncio.timeout(5):
        while (await found(other, draft.run.id)).state is not State.EXPIRED:
            await store.probe()
    assert await other.lease(slots={"cluster": 9}, polls=9, seconds=10) == ()


async def test_what_was_refused_too_late_can_be_sent_again(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    async with stores.paused_after_commit(store) as pause:
        late = a_draft(clock, delivery_key="view:1")
        asked = asyncio.create_task(store.record(late, within=0.2))
        await pause.committed.wait()
        with pytest.raises(NotRecordedError):
            await asked
    assert (await gone_on(store, late.run.id)).state is State.EXPIRED
    again = await store.record(a_draft(clock, delivery_key="view:1"), within=5)
    assert isinstance(again, Recorded)


async def test_a_message_that_was_given_up_tells_of_a_retry(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    parent = await in_state(store, a_draft(clock, view=a_message(None)), State.DENIED)
    await store.view_told(await one_view(store), posting=Posting.GIVEN_UP)
    child = await store.retry(parent.id, a_run(clock), actor="operator:ann")
    clock.go_on(1)
    view = await one_view(store)
    assert (view.posting, view.runs[-1].id) == (Posting.NONE, child.id)


async def test_a_message_of_ours_that_was_given_up_tells_of_the_next_press(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    await in_state(store, a_draft(clock, view=a_message()), State.FAILED)
    await store.view_told(await one_view(store), posting=Posting.GIVEN_UP, failed=True)
    await leased(store, a_draft(clock, view=a_message()), state=State.SENDING)
    clock.go_on(1)
    view = await one_view(store)
    assert (view.own, view.posting, view.failures, len(view.runs)) == (True, Posting.POSTED, 0, 2)


async def test_each_post_is_looked_up_as_often_as_the_first(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    await in_state(store, a_draft(clock, view=a_message(None)), State.FAILED)
    for _ in range(3):
        await store.view_told(await one_view(store), posting=Posting.AMBIGUOUS, rendered=False)
    view = await one_view(store)
    assert view.lookups == 3
    await store.view_intent(view, final=True)
    await store.view_told(view, posting=Posting.AMBIGUOUS, rendered=False)
    assert (await one_view(store)).lookups == 1


@pytest.mark.parametrize("yes", [True, False])
async def test_an_answer_to_a_question_is_refused_when_it_cannot_be_written_in_time(
    stores: Stores, clock: StillClock, yes: bool
) -> None:
    store = await stores.open(clock)
    draft = a_draft(clock, state=State.AWAITING_CONFIRMATION)
    await store.record(draft, within=5)
    await gone_on(store, draft.run.id)
    async with stores.commits_blocked():
        with pytest.raises(NotRecordedError):
            await store.confirm(draft.run.id, yes=yes, user_id="U1", within=0.1)
    await store.probe()
    assert (await found(store, draft.run.id)).state is State.AWAITING_CONFIRMATION


async def test_a_check_is_refused_when_it_cannot_be_asked_for_in_time(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    run = await in_state(store, a_draft(clock), State.UNKNOWN)
    async with stores.commits_blocked():
        with pytest.raises(NotRecordedError):
            await store.ask_check(run.id, user_id="U1", within=0.1)
    await store.probe()
    assert (await found(store, run.id)).next_at is None


async def test_a_modal_that_came_too_often_can_be_sent_again_as_it_is(
    stores: Stores, clock: StillClock
) -> None:
    store = await stores.open(clock)
    modal: dict[str, Any] = {
        "kind": Kind.VIEW_SUBMISSION,
        "delivery_key": "view:1",
        "rate": (1, 60.0),
    }
    await recorded(store, a_draft(clock))
    assert isinstance(await store.record(a_draft(clock, **modal), within=5), Limited)
    assert isinstance(await store.record(a_draft(clock, **modal), within=5), Limited)
    clock.go_on(61)
    assert isinstance(await store.record(a_draft(clock, **modal), within=5), Recorded)
    assert isinstance(await store.record(a_draft(clock, **modal), within=5), Duplicate)


# --- an effect key whose holder is not sure ------------------------------------------------


async def test_another_person_is_not_kept_out_by_who_may_not_even_be_allowed(
    store: Store, clock: StillClock
) -> None:
    guest = await recorded(store, a_draft(clock, effect_key="e", user_id="UG", sure=False))
    soon = await store.record(a_draft(clock, effect_key="e", user_id="UA", sure=False), within=5)
    assert isinstance(soon, Joined), "it is mostly known in a moment"
    clock.go_on(2)
    ada = await recorded(store, a_draft(clock, effect_key="e", user_id="UA", sure=False))
    assert guest != ada
    held = {each.run.id: each for each in await lease_all(store)}
    await store.advance(held[guest], Change(state=State.DENIED))
    sending = await store.advance(held[ada], Change(state=State.SENDING, keep_lease=True))
    assert sending.effect_key == "e"
    late = await store.record(a_draft(clock, effect_key="e", user_id="UX", sure=False), within=5)
    assert isinstance(late, Joined)
    assert late.run.id == ada


async def test_of_several_who_were_not_sure_only_one_is_ever_sent(
    store: Store, clock: StillClock
) -> None:
    first = await recorded(store, a_draft(clock, effect_key="e", user_id="U1", sure=False))
    clock.go_on(2)
    second = await recorded(store, a_draft(clock, effect_key="e", user_id="U2", sure=False))
    held = {each.run.id: each for each in await lease_all(store)}
    await store.advance(held[second], Change(state=State.SENDING, keep_lease=True))
    with pytest.raises(EffectTakenError) as taken_by:
        await store.advance(held[first], Change(state=State.SENDING, keep_lease=True))
    assert taken_by.value.holder == second
    assert (await found(store, first)).state is State.QUEUED
    await store.advance(held[first], Change(state=State.CANCELLED, reason="joined"))
    press = await store.record(a_draft(clock, effect_key="e", user_id="U3"), within=5)
    assert isinstance(press, Joined), "what gave up did not give the other's key back"
    assert press.run.id == second


async def test_who_is_not_sure_joins_who_is_and_themselves(store: Store, clock: StillClock) -> None:
    mine = await recorded(store, a_draft(clock, effect_key="a", user_id="U1", sure=False))
    clock.go_on(60)
    again = await store.record(a_draft(clock, effect_key="a", user_id="U1", sure=False), within=5)
    assert isinstance(again, Joined)
    assert again.run.id == mine
    sure = await recorded(store, a_draft(clock, effect_key="b", user_id="U1"))
    clock.go_on(60)
    other = await store.record(a_draft(clock, effect_key="b", user_id="U2", sure=False), within=5)
    assert isinstance(other, Joined)
    assert other.run.id == sure


async def test_a_try_that_did_nothing_keeps_its_hold_for_the_next(
    store: Store, clock: StillClock
) -> None:
    mine = await leased(store, a_draft(clock, effect_key="e", sure=False), state=State.SENDING)
    await store.advance(mine, Change(state=State.QUEUED, next_at=clock.now()))
    clock.go_on(60)
    (again,) = await lease_all(store)
    assert (await store.advance(again, Change(state=State.SENDING))).state is State.SENDING
    other = await store.record(a_draft(clock, effect_key="e", user_id="U9", sure=False), within=5)
    assert isinstance(other, Joined)
