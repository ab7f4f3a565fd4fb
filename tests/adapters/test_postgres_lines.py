"""The PostgreSQL store where the line or the server fails at the moment that hurts."""

import asyncio
import itertools
import shutil
import signal
import time
from collections.abc import AsyncIterator

import pytest

from tests.adapters.databases import Database, begun, carry_out, events
from tests.adapters.wire_proxy import Cut, Line, line_to
from tests.contract.clock import StillClock
from tests.contract.drafts import a_draft, a_message, a_refusal, a_run
from tests.far_ends import postgres
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import PostgresStore
from tidegate.core.model import Change, Duplicate, Joined, Leased, Limited, Recorded, Run, State
from tidegate.errors import NotRecordedError, StoreError
from tidegate.ports import RunFilter

pytestmark = pytest.mark.long

CLOCK = SystemClock()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = Database()
    yield database
    await database.close()


@pytest.fixture
async def line(database: Database) -> AsyncIterator[Line]:
    async with line_to(database.server.port) as line:
        yield line


@pytest.fixture
async def store(database: Database, line: Line) -> AsyncIterator[PostgresStore]:
    """A store at the other end of the line."""
    store = await database.open(database.over(line.port))
    yield store
    await store.close()


async def only(store: PostgresStore) -> Run:
    await store.probe()
    (run,) = await store.runs(RunFilter())
    return run


@pytest.mark.parametrize("cuts", [[Cut.AFTER], [Cut.BEFORE], [Cut.AFTER, Cut.BEFORE, Cut.AFTER]])
async def test_a_click_whose_commit_was_not_answered_is_looked_up_and_recorded_once(
    store: PostgresStore, line: Line, cuts: list[Cut]
) -> None:
    line.cut += cuts
    draft = a_draft(CLOCK, effect_key="e", view=a_message())
    assert await store.record(draft, within=5) == Recorded(run_id=draft.run.id)
    assert line.cut == []
    assert (await only(store)).state is State.QUEUED
    assert await events(store, draft.run.id) == ["received", "received → queued"]


async def test_a_known_delivery_a_joined_press_and_a_limit_are_told_the_same_after_a_lost_answer(
    store: PostgresStore, line: Line
) -> None:
    first = a_draft(CLOCK, effect_key="e", delivery_key="d", rate=(1, 60.0))
    await store.record(first, within=5)
    await store.probe()
    for again, kind in (
        (a_draft(CLOCK, delivery_key="d"), Duplicate),
        (a_draft(CLOCK, effect_key="e"), Joined),
        (a_draft(CLOCK, rate=(1, 60.0)), Limited),
    ):
        line.cut.append(Cut.AFTER)
        assert isinstance(await store.record(again, within=5), kind)
        assert not line.cut
    assert len(await store.runs(RunFilter())) == 1
    told = [entry.event for entry in await store.audit()]
    assert (told.count("joined"), told.count("limited")) == (1, 1)


async def test_a_refusal_whose_commit_was_not_answered_is_written_once_and_is_news(
    store: PostgresStore, line: Line
) -> None:
    line.cut.append(Cut.AFTER)
    assert await store.refuse(a_refusal(CLOCK), within=5)
    assert not line.cut
    assert [entry.event for entry in await store.audit()] == ["refused"]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_step_whose_commit_was_not_answered_is_taken_once(
    store: PostgresStore, line: Line, cut: Cut
) -> None:
    mine = await begun(store, CLOCK)
    line.cut.append(cut)
    sending = Change(state=State.SENDING, keep_lease=True, attempt=True)
    run = await store.advance(mine, sending)
    line.cut.append(cut)
    ended = await store.advance(Leased(run=run, token=mine.token), Change(state=State.SUCCEEDED))
    assert not line.cut
    assert (ended.state, ended.attempts) == (State.SUCCEEDED, 1)
    assert await events(store, run.id) == [
        "received",
        "received → queued",
        "queued → sending",
        "sending → succeeded",
    ]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_what_a_person_asks_for_is_done_once_though_its_commit_was_not_answered(
    store: PostgresStore, line: Line, cut: Cut
) -> None:
    waits = a_draft(CLOCK, state=State.AWAITING_CONFIRMATION)
    await store.record(waits, within=5)
    await store.probe()
    line.cut.append(cut)
    assert (await store.confirm(waits.run.id, yes=True, user_id="U1")).state is State.QUEUED
    (mine,) = await store.lease(slots={"cluster": 1}, polls=0, seconds=60)
    sending = await store.advance(mine, Change(state=State.SENDING, keep_lease=True))
    unknown = Change(state=State.UNKNOWN)
    await store.advance(Leased(run=sending, token=mine.token), unknown)
    line.cut.append(cut)
    assert (await store.ask_check(mine.run.id, user_id="U1")).next_at is not None
    line.cut.append(cut)
    settled = await store.settle(mine.run.id, Change(state=State.FAILED))
    assert settled.state is State.FAILED
    line.cut.append(cut)
    child = await store.retry(mine.run.id, a_run(CLOCK), actor="U1")
    assert not line.cut
    assert (child.state, child.parent_id) == (State.QUEUED, mine.run.id)
    assert (await events(store, mine.run.id))[-2:] == ["check asked", "unknown → failed"]
    assert await events(store, child.id) == ["received", "received → queued"]


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_a_message_is_told_once_though_its_commit_was_not_answered(
    store: PostgresStore, line: Line, cut: Cut
) -> None:
    await store.record(a_draft(CLOCK, view=a_message()), within=5)
    await store.probe()
    await asyncio.sleep(0.35)
    (view,) = await store.lease_views(limit=9, seconds=60)
    line.cut.append(cut)
    await store.view_told(view)
    assert not line.cut
    assert await store.lease_views(limit=9, seconds=60) == ()


async def test_a_line_that_goes_dead_before_the_commit_is_a_refusal_in_time_and_no_run(
    database: Database, store: PostgresStore, line: Line
) -> None:
    line.flowing.clear()
    draft = a_draft(CLOCK, effect_key="e")
    began = time.monotonic()
    with pytest.raises(NotRecordedError):
        await store.record(draft, within=0.3)
    assert time.monotonic() - began < 0.6
    line.flowing.set()
    await store.probe()
    run = await store.run(draft.run.id)
    assert run is None or run.state is State.EXPIRED
    pressed = await store.record(a_draft(CLOCK, effect_key="e"), within=5)
    assert isinstance(pressed, Recorded)


async def test_a_commit_whose_answer_never_comes_is_refused_in_time_and_the_run_expires(
    database: Database, store: PostgresStore, line: Line
) -> None:
    other = await database.open()
    line.held_after_commit = True
    draft = a_draft(CLOCK, delivery_key="d")
    began = time.monotonic()
    with pytest.raises(NotRecordedError):
        await store.record(draft, within=0.3)
    assert time.monotonic() - began < 0.6
    assert await other.lease(slots={"cluster": 9}, polls=9, seconds=10) == ()
    line.held_after_commit = False
    line.flowing.set()
    async with asyncio.timeout(10):
        while (await only(other)).state is State.RECEIVED:
            await store.probe()
    run = await only(other)
    assert (run.state, run.reason) == (State.EXPIRED, "refused_late")
    again = await store.record(a_draft(CLOCK, delivery_key="d"), within=5)
    assert isinstance(again, Recorded)


async def test_a_commit_that_arrives_long_after_its_caller_was_refused_is_waited_for_and_expires(
    database: Database, store: PostgresStore, line: Line
) -> None:
    clock = StillClock(CLOCK.now())
    other = await database.open(clock=clock)
    line.cut.append(Cut.LATE)
    draft = a_draft(CLOCK)
    with pytest.raises(NotRecordedError):
        await store.record(draft, within=0.3)
    assert await other.run(draft.run.id) is None
    async with asyncio.timeout(10):
        while (run := await other.run(draft.run.id)) is None or run.state is State.RECEIVED:
            await other.sweep()  # another gateway would adopt it after two seconds
            clock.go_on(0.05)
            await asyncio.sleep(0.05)
    assert (run.state, run.reason) == (State.EXPIRED, "refused_late")
    assert await events(store, run.id) == ["received", "received → expired"]


async def test_a_host_that_swallows_everything_is_left_for_the_next_one(
    database: Database, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.adapters.postgres.connections.CONNECT_SECONDS", 0.3)
    port = database.server.port
    both = database.url.replace(f":{port}", f":{line.port},127.0.0.1:{port}")
    store = await database.open(both)
    await asyncio.gather(*(store.runs(RunFilter()) for _ in range(5)))  # several lines stand
    line.flowing.clear()
    began = time.monotonic()
    draft = a_draft(CLOCK)
    with pytest.raises(NotRecordedError):
        await store.record(draft, within=0.3)
    assert isinstance(await store.record(a_draft(CLOCK), within=1.5), Recorded)
    assert time.monotonic() - began < 2
    line.flowing.set()


async def test_hundreds_of_clicks_and_steps_are_each_done_once_while_connections_are_cut(
    database: Database, store: PostgresStore, line: Line
) -> None:
    drafts = [a_draft(CLOCK, effect_key=f"e{n}") for n in range(200)]

    async def cut() -> None:
        for pause in itertools.cycle((0.05, 0.1, 0.05, 0.6)):
            await asyncio.sleep(pause)
            line.drop_all()

    cutting = asyncio.create_task(cut())
    try:
        results = await asyncio.gather(*(store.record(each, within=20) for each in drafts))
        done: set[str] = set()
        async with asyncio.timeout(40):
            while len(done) < 200:
                got = await store.lease(slots={"cluster": 20}, polls=0, seconds=2)
                ended = await asyncio.gather(
                    *(carry_out(store, mine) for mine in got), return_exceptions=True
                )
                done |= {run.id for run in ended if isinstance(run, Run)}
    finally:
        cutting.cancel()
    assert results == [Recorded(run_id=draft.run.id) for draft in drafts]
    told = [entry.event for entry in await store.audit(limit=1000)]
    assert told.count("sending → succeeded") == 200
    assert told.count("received") == 200


# --- the server itself ---------------------------------------------------------------------


@pytest.fixture
async def own() -> AsyncIterator[Database]:
    """A server that a test may stop."""
    server = postgres.Server().start()
    try:
        database = Database(server)
        yield database
        for store in database.opened:
            await store.close()
    finally:
        server.remove()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_server_that_is_started_anew_loses_nothing_that_was_acknowledged(
    own: Database, how: signal.Signals
) -> None:
    heard = asyncio.Event()
    store, other = await own.open(on_change=heard.set), await own.open()
    acked: list[Recorded] = []
    refused = 0

    async def click_for_ever() -> None:
        nonlocal refused
        while True:
            try:
                result = await store.record(a_draft(CLOCK), within=0.5)
            except StoreError:
                refused += 1
                await asyncio.sleep(0.01)
            else:
                assert isinstance(result, Recorded)
                acked.append(result)

    clicking = [asyncio.create_task(click_for_ever()) for _ in range(8)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(own.server.stop, how)
    await asyncio.sleep(0.7)
    before = len(acked)
    await asyncio.to_thread(own.server.start)
    await asyncio.sleep(1.5)
    for task in clicking:
        task.cancel()
    await asyncio.gather(*clicking, return_exceptions=True)
    assert refused
    assert len(acked) > before
    await store.probe()
    kept = {run.id: run for run in await _all(other)}
    assert all(kept[each.run_id].state is State.QUEUED for each in acked)
    extra = kept.keys() - {each.run_id for each in acked}
    assert all(kept[id_].state is State.EXPIRED for id_ in extra)
    heard.clear()
    await other.record(a_draft(CLOCK), within=5)
    await asyncio.wait_for(heard.wait(), 5)  # it listens again


async def _all(store: PostgresStore) -> list[Run]:
    found: list[Run] = []
    while True:
        last = found[-1].id if found else None
        page = await store.runs(RunFilter(before=last, limit=1000))
        if not page:
            return found
        found += page


async def test_a_standby_is_refused_and_taken_once_it_is_promoted(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await own.open()
    kept = await first.record(a_draft(CLOCK), within=5)
    assert isinstance(kept, Recorded)
    await first.close()
    primary = own.server
    await asyncio.to_thread(primary.stop)
    standby = postgres.Server(primary_conninfo=f"host=127.0.0.1 port={primary.port} user=tidegate")
    shutil.rmtree(standby.data)
    await asyncio.to_thread(standby.copy_of, primary)
    try:
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(standby.start)
        with monkeypatch.context() as patch:
            patch.setattr("tidegate.adapters.postgres.store._OPEN_SECONDS", 0.2)
            with pytest.raises(StoreError, match="only reads"):
                await asyncio.wait_for(own.open(own.over(standby.port)), 30)
        both = own.url.replace(f":{primary.port}", f":{standby.port},127.0.0.1:{primary.port}")
        store = await own.open(both)
        acked = await store.record(a_draft(CLOCK), within=5)
        assert isinstance(acked, Recorded)
        await store.probe()
        await asyncio.to_thread(standby.wait_for, primary)
        await asyncio.to_thread(primary.stop, signal.SIGQUIT)
        await asyncio.to_thread(standby.promote)
        again = await store.record(a_draft(CLOCK), within=15)
        assert isinstance(again, Recorded)
        await store.probe()
        states = {run.id: run.state for run in await store.runs(RunFilter())}
        assert states == dict.fromkeys((kept.run_id, acked.run_id, again.run_id), State.QUEUED)
    finally:
        standby.remove()
