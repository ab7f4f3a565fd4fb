"""What only SQLite's adapter promises: the file, the commits, the plans."""

import asyncio
import re
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.contract.clock import StillClock
from tests.contract.drafts import a_draft, a_message
from tests.contract.stores import SqliteStores
from tidegate.adapters.sqlite import SqliteStore, runs, schema, together, writer
from tidegate.core import lifecycle, rows
from tidegate.core.model import Change, Recorded, Run, RunId, State
from tidegate.errors import SchemaVersionError, StoreError
from tidegate.ports import RunFilter


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[SqliteStores]:
    stores = SqliteStores(tmp_path)
    yield stores
    await stores.close()


@pytest.fixture
async def store(stores: SqliteStores, clock: StillClock) -> SqliteStore:
    return await stores.open(clock)


def pragma(path: str, name: str) -> Any:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def write(path: str, content: bytes, *, mode: int = 0o600) -> None:
    Path(path).write_bytes(content)
    Path(path).chmod(mode)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


# --- the file ---------------------------------------------------------------------------


async def test_nobody_but_the_owner_may_read_the_file_and_its_companions(
    stores: SqliteStores, store: SqliteStore
) -> None:
    await store.probe()
    assert [mode(stores.location + end) for end in ("", "-wal", "-shm")] == [0o600] * 3


async def test_a_file_that_others_could_read_is_closed_to_them(
    stores: SqliteStores, clock: StillClock
) -> None:
    write(stores.location, b"", mode=0o644)
    await (await stores.open(clock)).probe()
    assert [mode(stores.location + end) for end in ("", "-wal", "-shm")] == [0o600] * 3


async def test_every_commit_is_on_the_disk_when_it_returns(store: SqliteStore) -> None:
    def settings(tx: writer.Transaction) -> list[Any]:
        return [
            tx.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete")
        ]

    assert await store._writer.do(settings) == ["wal", 2, 2]


async def test_the_reading_connection_cannot_write(store: SqliteStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._reading.execute("DELETE FROM runs")


async def test_the_file_says_whose_it_is_and_in_which_version(store: SqliteStore) -> None:
    path = store._reading.execute("PRAGMA database_list").fetchone()[2]
    assert pragma(path, "user_version") == len(schema.MIGRATIONS)
    assert pragma(path, "application_id") == schema.APPLICATION_ID


async def test_the_table_of_runs_has_a_column_for_every_field(store: SqliteStore) -> None:
    columns = [row[1] for row in store._reading.execute("PRAGMA table_info(runs)")]
    own = ["facts", "target_state", "lease_token", "lease_until"]
    assert sorted(columns) == sorted([*rows.RUN_COLUMNS, *own])
    kept = [*rows.RUN_COLUMNS, *rows.FACTS]
    assert sorted(kept) == sorted(Run.__struct_fields__)


async def test_a_file_of_a_newer_version_is_left_alone(
    stores: SqliteStores, clock: StillClock
) -> None:
    await (await stores.open(clock)).close()
    connection = sqlite3.connect(stores.location)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SchemaVersionError, match="newer Tidegate"):
        await stores.open(clock)
    assert pragma(stores.location, "user_version") == 99


async def test_an_older_file_is_brought_up_to_date_with_its_runs(
    stores: SqliteStores, clock: StillClock
) -> None:
    old = await stores.open(clock)
    result = await old.record(a_draft(clock), within=5)
    assert isinstance(result, Recorded)
    await old.close()
    more = (*schema.MIGRATIONS, ("CREATE TABLE news (id INTEGER)", "INSERT INTO news VALUES (7)"))
    with mock.patch.object(schema, "MIGRATIONS", more):
        new = await stores.open(clock)
        assert new._reading.execute("SELECT id FROM news").fetchall() == [(7,)]
        assert await new.run(result.run_id) is not None
        again = await stores.open(clock)  # not migrated twice
        assert again._reading.execute("SELECT count(*) FROM news").fetchall() == [(1,)]
    assert pragma(stores.location, "user_version") == len(more)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    stores: SqliteStores, clock: StillClock
) -> None:
    await (await stores.open(clock)).close()
    broken = (
        *schema.MIGRATIONS,
        ("CREATE TABLE news (id INTEGER)", "INSERT INTO nowhere VALUES (1)"),
    )
    with mock.patch.object(schema, "MIGRATIONS", broken), pytest.raises(StoreError):
        await stores.open(clock)
    assert pragma(stores.location, "user_version") == len(schema.MIGRATIONS)
    await (await stores.open(clock)).probe()


async def test_another_programs_database_is_not_touched(
    stores: SqliteStores, clock: StillClock
) -> None:
    connection = sqlite3.connect(stores.location)
    connection.execute("CREATE TABLE theirs (id INTEGER)")
    connection.close()
    before = read(stores.location)
    with pytest.raises(StoreError, match="another program's"):
        await stores.open(clock)
    assert read(stores.location) == before


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"x" * 900])
async def test_a_file_that_is_no_database_is_named_as_such(
    stores: SqliteStores, clock: StillClock, content: bytes
) -> None:
    write(stores.location, content)
    with pytest.raises(StoreError, match=r"not a SQLite database|damaged"):
        await stores.open(clock)
    assert read(stores.location) == content


async def test_a_missing_directory_is_told_as_what_to_mend(
    tmp_path: Path, clock: StillClock
) -> None:
    with pytest.raises(StoreError, match="its directory must exist"):
        await SqliteStore.open(str(tmp_path / "no" / "t.db"), clock=clock)


async def test_several_may_open_a_new_file_at_once(stores: SqliteStores, clock: StillClock) -> None:
    opened = await asyncio.gather(*(stores.open(clock) for _ in range(8)))
    await asyncio.gather(*(each.probe() for each in opened))
    kept = await asyncio.gather(*(each.remember("key", f"{n}") for n, each in enumerate(opened)))
    assert len(set(kept)) == 1  # one file, and one of them was first


# --- one writer --------------------------------------------------------------------------


async def test_records_that_wait_together_share_one_commit(
    stores: SqliteStores, store: SqliteStore, clock: StillClock
) -> None:
    before = store.commits
    async with stores.commits_blocked():
        waiting = [
            asyncio.create_task(store.record(a_draft(clock, view=a_message()), within=10))
            for _ in range(64)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert store.commits - before <= 2  # the first may have gone for the lock alone
    await store.close()
    assert store.commits - before <= 4  # and all go on together


async def test_records_under_load_share_commits_with_what_follows_them(
    store: SqliteStore, clock: StillClock
) -> None:
    async def clicks() -> None:
        for _ in range(10):
            assert isinstance(await store.record(a_draft(clock), within=10), Recorded)

    await asyncio.gather(*(clicks() for _ in range(32)))
    await store.probe()
    # 320 runs were recorded and have gone on, which alone would be 640 commits
    assert store.commits < 160


async def test_a_run_goes_on_in_the_commit_of_the_next_click(
    store: SqliteStore, clock: StillClock
) -> None:
    with mock.patch.object(writer, "_LINGER_SECONDS", 5.0):
        first = a_draft(clock)
        await store.record(first, within=10)
        await store.run(first.run.id)  # by now the writer has nothing else to wait for
        await asyncio.sleep(0.05)
        assert store.commits == 1
        await store.record(a_draft(clock), within=10)
        assert store.commits == 2
        run = await store.run(first.run.id)
    assert run is not None
    assert run.state is State.QUEUED


async def test_a_lock_held_by_another_process_is_waited_for(
    stores: SqliteStores, store: SqliteStore, clock: StillClock
) -> None:
    holder = """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        print("held", flush=True)
        sys.stdin.readline()
        connection.execute("COMMIT")
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(holder),
        stores.location,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"held\n"
    draft = a_draft(clock)
    recording = asyncio.create_task(store.record(draft, within=20))
    done, _ = await asyncio.wait([recording], timeout=0.5)
    assert not done
    assert await store.run(draft.run.id) is None  # reading goes on
    await child.communicate(b"\n")
    assert await recording == Recorded(run_id=draft.run.id)


async def test_a_full_disk_fails_what_does_not_fit_and_the_store_goes_on_when_there_is_room(
    store: SqliteStore, clock: StillClock
) -> None:
    def limit(tx: writer.Transaction) -> int:
        pages = int(tx.connection.execute("PRAGMA page_count").fetchone()[0])
        tx.connection.execute(f"PRAGMA max_page_count = {pages + 4}").fetchall()
        return pages

    def lift(tx: writer.Transaction) -> None:
        tx.connection.execute("PRAGMA max_page_count = 1000000").fetchall()

    await store._writer.do(limit)
    drafts = [a_draft(clock, label="x" * 900) for _ in range(60)]
    results = await asyncio.gather(
        *(store.record(draft, within=5) for draft in drafts), return_exceptions=True
    )
    for draft in drafts:  # one after the other, so that some fit
        try:
            results.append(await store.record(draft, within=5))
        except StoreError as error:
            results.append(error)
    acked = {result.run_id for result in results if isinstance(result, Recorded)}
    failed = [result for result in results if isinstance(result, StoreError)]
    assert acked
    assert failed
    assert {str(error) for error in failed} == {"the disk that holds the store is full; make room"}
    await store._writer.do(lift)
    await store.probe()
    assert {run.id for run in await store.runs(RunFilter(limit=1000))} == acked


class Stumbling:
    """A connection that fails at what commits, so many times: before or after it has happened."""

    def __init__(self, connection: sqlite3.Connection, *, after: bool, times: int) -> None:
        self._connection = connection
        self._after = after
        self._times = times

    def execute(self, sql: str, values: Any = ()) -> Any:
        commits = sql == "COMMIT" or (not self._connection.in_transaction and "INSERT" in sql)
        if not commits or not self._times:
            return self._connection.execute(sql, values)
        self._times -= 1
        if self._after:
            self._connection.execute(sql, values)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.mark.parametrize("after", [False, True])
async def test_a_run_whose_commit_failed_never_acts_even_if_it_is_found_later(
    store: SqliteStore, clock: StillClock, after: bool
) -> None:
    await store.probe()
    stumbling = Stumbling(store._writer._connection, after=after, times=2)
    store._writer._connection = stumbling  # type: ignore[assignment]
    draft = a_draft(clock)
    with pytest.raises(StoreError, match="could not be read or written"):
        await store.record(draft, within=5)
    await store.probe()
    run = await store.run(draft.run.id)
    assert (run is not None and run.state is State.EXPIRED) if after else run is None
    assert await store.lease(slots={"cluster": 9}, polls=0, seconds=9) == ()


@pytest.mark.parametrize("after", [False, True])
async def test_a_run_that_is_recorded_at_the_second_try_is_one_run_and_goes_on(
    store: SqliteStore, clock: StillClock, after: bool
) -> None:
    await store.probe()
    stumbling = Stumbling(store._writer._connection, after=after, times=1)
    store._writer._connection = stumbling  # type: ignore[assignment]
    draft = a_draft(clock)
    assert await store.record(draft, within=5) == Recorded(run_id=draft.run.id)
    await store.probe()
    [leased] = await store.lease(slots={"cluster": 9}, polls=0, seconds=9)
    assert leased.run.id == draft.run.id
    assert len(await store.runs(RunFilter())) == 1


async def test_an_operation_with_a_bug_fails_alone_and_leaves_nothing(
    store: SqliteStore, clock: StillClock
) -> None:
    def bug(tx: writer.Transaction) -> None:
        tx.do("INSERT INTO memos VALUES ('k', 'v')")
        raise ZeroDivisionError

    draft = a_draft(clock)
    results = await asyncio.gather(
        store._writer.do(bug), store.record(draft, within=5), return_exceptions=True
    )
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == Recorded(run_id=draft.run.id)
    assert await store.memo("k") is None


async def test_a_statement_that_fails_is_told_without_the_vendors_words(
    store: SqliteStore,
) -> None:
    with pytest.raises(StoreError, match=r"^the store failed \(SQLITE_ERROR\)$") as caught:
        await store._writer.do(lambda tx: tx.do("INSERT INTO nowhere VALUES (1)"))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


async def test_more_than_can_be_waited_for_is_refused_at_once(
    stores: SqliteStores, store: SqliteStore, clock: StillClock
) -> None:
    with mock.patch.object(writer, "MAX_WAITING", 3):
        async with stores.commits_blocked():
            waiting = [
                asyncio.create_task(store.record(a_draft(clock), within=0.3)) for _ in range(200)
            ]
            results = await asyncio.gather(*waiting, return_exceptions=True)
    assert any(type(result) is StoreError for result in results)
    assert all(isinstance(result, StoreError) for result in results)


async def test_closing_lets_what_waits_be_written(stores: SqliteStores, clock: StillClock) -> None:
    store = await stores.open(clock)
    draft = a_draft(clock)
    async with stores.commits_blocked():
        recording = asyncio.create_task(store.record(draft, within=5))
        await asyncio.sleep(0)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
    await closing
    assert await recording == Recorded(run_id=draft.run.id)
    run = await (await stores.open(clock)).run(draft.run.id)
    assert run is not None
    assert run.state is State.QUEUED


def test_a_run_that_nobody_was_told_of_because_the_loop_ended_expires(tmp_path: Path) -> None:
    clock = StillClock()
    draft = a_draft(clock)
    path = str(tmp_path / "t.db")
    committed, ended = threading.Event(), threading.Event()

    async def ends_early() -> None:
        store = await SqliteStore.open(path, clock=clock)
        tell = store._writer._committed

        def tells_too_late(*args: Any) -> None:
            committed.set()
            ended.wait(20)
            tell(*args)

        store._writer._committed = tells_too_late  # type: ignore[method-assign,assignment]
        recording.append(asyncio.create_task(store.record(draft, within=20)))
        await asyncio.to_thread(committed.wait)

    async def looks() -> State:
        store = await SqliteStore.open(path, clock=clock)
        run = None
        while run is None or run.state is State.RECEIVED:
            await store.probe()
            run = await store.run(draft.run.id)
        await store.close()
        return run.state

    recording: list[asyncio.Task[Any]] = []
    asyncio.run(ends_early())
    assert recording[0].cancelled()
    ended.set()
    assert asyncio.run(looks()) is State.EXPIRED


def test_a_program_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    program = """
        import asyncio, sys
        from tests.contract.clock import StillClock
        from tidegate.adapters.sqlite import SqliteStore

        async def main():
            store = await SqliteStore.open(sys.argv[1], clock=StillClock())
            await store.probe()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "t.db")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


# --- plans -------------------------------------------------------------------------------

#: What may be read from end to end: a list that was handed in, or what was read before.
HARMLESS = re.compile(r"SCAN (json_each|CONSTANT ROW|\(subquery-\d+\)|SUBQUERY \d+)\b")


async def test_no_statement_reads_a_whole_table_however_many_runs_there_are(
    store: SqliteStore, clock: StillClock
) -> None:
    """Traces a whole journey, and asks SQLite for the plan of each statement in it."""
    seen: set[str] = set()
    await store._writer.do(lambda tx: tx.connection.set_trace_callback(seen.add))
    store._reading.set_trace_callback(seen.add)
    await journey(store, clock)
    await store._writer.do(lambda tx: tx.connection.set_trace_callback(None))
    store._reading.set_trace_callback(None)
    asked = sorted(sql for sql in seen if sql.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")))
    assert len(asked) > 30
    assert any("recordings" in sql for sql in asked)
    asked += [re.sub(r"new\.\w+", "NULL", sql) for sql in together.STATEMENTS]

    def plans(tx: writer.Transaction) -> list[tuple[str, str]]:
        return [(step, sql) for sql in asked for *_, step in tx.all(f"EXPLAIN QUERY PLAN {sql}")]

    bad = {
        (step, sql)
        for step, sql in await store._writer.do(plans)
        if step.startswith("SCAN") and not HARMLESS.match(step) and not bounded(step, sql)
    }
    assert bad == set()


def bounded(step: str, sql: str) -> bool:
    """Tell whether a scan ends early: the first of an index in order, or a LIMIT over one."""
    first = re.match(r"SELECT MIN\((\w+)\) FROM", sql)
    if first is not None:
        return "INDEX" in step
    by_row = "ORDER BY seq" in sql or "ORDER BY created_at LIMIT" in sql
    return by_row and "LIMIT" in sql and "TEMP B-TREE" not in step


async def journey(store: SqliteStore, clock: StillClock) -> None:
    draft = a_draft(
        clock,
        effect_key="e",
        view=a_message(),
        rate=(5, 60.0),
        response_url="https://hooks.slack.com/x",
        delivery_key="d",
    )
    for each in (draft, draft, a_draft(clock, effect_key="e"), a_draft(clock, view=a_message())):
        await store.record(each, within=5)
    await store.record(a_draft(clock, view=a_message(), state=State.AWAITING_APPROVAL), within=5)
    await store.probe()
    await store.next_due()
    for leased in await store.lease(slots={"cluster": 5}, polls=5, seconds=10):
        await store.renew([(leased.run.id, leased.token)], seconds=10)
        await store.advance(leased, Change(state=State.SENDING, keep_lease=True))
        await store.advance(leased, Change(state=State.RUNNING, next_at=clock.now()))
    for leased in await store.lease(slots={"cluster": 5}, polls=5, seconds=10):
        await store.advance(leased, Change(state=State.FAILED, release_effect=True))
    for view in await store.lease_views(limit=5, seconds=10):
        await store.view_intent(view, final=True)
        await store.view_told(view)
    clock.go_on(700)
    await store.sweep()
    for view in await store.lease_views(limit=5, seconds=10):
        await store.view_moved(view)
    clock.go_on(200 * 86400)
    await store.sweep()
    await store.run(RunId("none"))
    await store.audit(run_id=draft.run.id)


async def test_claiming_does_not_slow_down_with_the_runs_that_have_ended(
    store: SqliteStore, clock: StillClock
) -> None:
    """Counts the steps of SQLite's machine, not time."""

    async def ended(count: int) -> None:
        for _ in range(count):
            await store.record(a_draft(clock, view=a_message(None)), within=5)
        await store.probe()
        for leased in await store.lease(slots={"cluster": count}, polls=0, seconds=10):
            await store.advance(leased, Change(state=State.CANCELLED))
        for view in await store.lease_views(limit=count, seconds=10):
            await store.view_told(view)

    async def steps() -> int:
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        await store.record(a_draft(clock), within=5)
        await store.probe()
        await store._writer.do(lambda tx: tx.connection.set_progress_handler(tick, 1))
        (leased,) = await store.lease(slots={"cluster": 5}, polls=5, seconds=10)
        await store.lease_views(limit=5, seconds=10)
        await store._writer.do(lambda tx: tx.connection.set_progress_handler(None, 0))
        await store.advance(leased, Change(state=State.CANCELLED))
        return count

    await ended(5)
    few = await steps()
    await ended(300)
    assert await steps() <= few * 1.1


async def test_what_cannot_be_stored_fails_alone_among_those_it_waited_with(
    stores: SqliteStores, store: SqliteStore, clock: StillClock
) -> None:
    drafts = [a_draft(clock) for _ in range(8)]
    bad = a_draft(clock, params={"unstorable": object()})
    async with stores.commits_blocked():
        waiting = [asyncio.create_task(store.record(draft, within=10)) for draft in [bad, *drafts]]
        await asyncio.sleep(0)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], TypeError)
    assert results[1:] == [Recorded(run_id=draft.run.id) for draft in drafts]


def test_what_is_looked_for_to_lease_is_what_the_lifecycle_calls_workable() -> None:
    """Partial indexes need the states to the letter, so the rule stands in the SQL again."""
    asked = runs.DUE_WORK.partition(" WHERE ")[2] + runs.DUE_POLLS.partition(" WHERE ")[2]
    assert {State(name) for name in re.findall(r"'(\w+)'", asked)} == lifecycle.WORKABLE
