"""The PostgreSQL store beyond the contract: many processes, tables, who is let in, plans."""

import asyncio
import contextlib
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.adapters.databases import Database, begun, carry_out
from tests.adapters.wire import Authority
from tests.contract.clock import StillClock
from tests.contract.drafts import a_draft, a_message
from tests.far_ends import postgres
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import Address, PostgresStore, housekeeping, runs, schema, views
from tidegate.core.model import Leased, Limited, Recorded, Run, State
from tidegate.errors import LeaseLostError, SchemaVersionError, StoreError
from tidegate.ports import RunFilter

CLOCK = SystemClock()


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = Database()
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database) -> PostgresStore:
    return await database.open()


# --- many processes over one database ------------------------------------------------------


async def worker(database: Database, *, pause: float) -> asyncio.subprocess.Process:
    """Start a worker; return once it looks for work."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.adapters.postgres_worker",
        database.url,
        str(pause),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert started.stdout is not None
    assert await started.stdout.readline() == b"ready\n"
    return started


async def test_three_worker_processes_carry_out_what_two_gateways_take_each_run_once(
    database: Database,
) -> None:
    gateways = [await database.open(), await database.open()]
    workers = [await worker(database, pause=0.05) for _ in range(3)]
    try:
        drafts = [a_draft(CLOCK) for _ in range(240)]
        for begin in range(0, 240, 40):
            part = drafts[begin : begin + 40]
            await asyncio.gather(
                *(gateways[n % 2].record(each, within=10) for n, each in enumerate(part))
            )
        await all_ended(gateways[0], 240)
    finally:
        carried_out = [await ended(each) for each in workers]
    flat = [id_ for ids in carried_out for id_ in ids]
    assert sorted(flat) == sorted(draft.run.id for draft in drafts)
    assert all(carried_out), "a worker had nothing to do"
    told = [entry.event for entry in await gateways[0].audit(limit=1000)]
    assert told.count("queued → sending") == told.count("sending → succeeded") == 240


async def test_what_a_killed_worker_held_is_taken_over_when_its_leases_end(
    database: Database,
) -> None:
    store = await database.open()
    doomed = await worker(database, pause=60)
    drafts = [a_draft(CLOCK) for _ in range(5)]
    await asyncio.gather(*(store.record(each, within=10) for each in drafts))
    async with database.session() as session:
        sql = "SELECT count(*) FROM runs WHERE lease_token IS NOT NULL"
        for _ in range(400):
            if await session.fetchval(sql) == 5:
                break
            await asyncio.sleep(0.05)
    assert await store.lease(slots={"cluster": 9}, polls=0, seconds=10) == ()
    doomed.kill()
    other = await worker(database, pause=0)
    try:
        await all_ended(store, 5)
    finally:
        done = await ended(other)
    assert sorted(done) == sorted(draft.run.id for draft in drafts)
    await doomed.wait()


async def all_ended(store: PostgresStore, count: int) -> None:
    async with asyncio.timeout(40):
        while True:
            found = await store.runs(RunFilter(state=State.SUCCEEDED, limit=1000))
            if len(found) == count:
                return
            await asyncio.sleep(0.1)


async def ended(process: asyncio.subprocess.Process) -> list[str]:
    """Kill a worker; return the runs that it carried out."""
    process.kill()
    assert process.stdout is not None
    said = await process.stdout.read()
    await process.wait()
    return [line.decode() for line in said.splitlines()]


async def test_an_idle_store_hears_at_once_of_what_another_one_took(database: Database) -> None:
    heard = asyncio.Event()
    await database.open(on_change=heard.set)
    gateway = await database.open()
    await asyncio.sleep(0.1)
    heard.clear()
    began = time.monotonic()
    await gateway.record(a_draft(CLOCK), within=5)
    await asyncio.wait_for(heard.wait(), 2)
    assert time.monotonic() - began < 0.4  # a worker looks by itself after half a second


async def test_a_store_whose_ear_was_cut_off_looks_for_itself_once_it_hears_again(
    database: Database,
) -> None:
    heard = asyncio.Event()
    await database.open(on_change=heard.set)
    async with database.session() as session:
        ended = await session.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' AND query LIKE '%' || current_schema() || '%'"
        )
    assert len(ended) == 1
    await asyncio.wait_for(heard.wait(), 5)


async def test_a_store_does_not_hear_of_other_schemas(database: Database) -> None:
    heard = asyncio.Event()
    await database.open(on_change=heard.set)
    other = Database()
    try:
        store = await other.open()
        await store.record(a_draft(CLOCK), within=5)
        await store.probe()
        await asyncio.sleep(0.1)
    finally:
        await other.close()
    assert not heard.is_set()


async def test_no_two_gateways_let_one_run_too_many_through_a_rate(database: Database) -> None:
    gateways = [await database.open() for _ in range(3)]
    results = await asyncio.gather(
        *(
            gateways[n % 3].record(a_draft(CLOCK, rate=(5, 60.0), effect_key=f"e{n}"), within=10)
            for n in range(30)
        )
    )
    kinds = [type(result) for result in results]
    assert (kinds.count(Recorded), kinds.count(Limited)) == (5, 25)


async def test_workers_that_write_the_same_messages_in_every_order_do_not_get_stuck(
    database: Database,
) -> None:
    stores = [await database.open() for _ in range(3)]
    drafts = [a_draft(CLOCK, view=a_message(f"{n % 4}.1")) for n in range(60)]
    await asyncio.gather(*(stores[n % 3].record(d, within=10) for n, d in enumerate(drafts)))
    for store in stores:
        await store.probe()
    began = time.monotonic()
    held = await stores[0].lease(slots={"cluster": 60}, polls=0, seconds=60)
    ends = await asyncio.gather(*(carry_out(stores[n % 3], m) for n, m in enumerate(held)))
    assert {run.state for run in ends} == {State.SUCCEEDED}
    assert time.monotonic() - began < 20


# --- tables ----------------------------------------------------------------------------------


async def test_stores_that_open_a_new_database_at_once_make_its_tables_once(
    database: Database,
) -> None:
    stores = await asyncio.gather(*(database.open() for _ in range(6)))
    await asyncio.gather(*(store.probe() for store in stores))
    async with database.session() as session:
        version = await session.fetchval("SELECT value FROM meta WHERE key = 'schema_version'")
    assert version == str(len(schema.MIGRATIONS))


async def test_a_store_that_a_newer_version_wrote_is_refused(database: Database) -> None:
    await database.open()
    async with database.session() as session:
        await session.execute("UPDATE meta SET value = '999' WHERE key = 'schema_version'")
    with pytest.raises(SchemaVersionError, match="999"):
        await database.open()


async def test_a_schema_of_another_programs_is_left_alone(database: Database) -> None:
    async with database.session() as session:
        name = await session.fetchval("SELECT current_setting('search_path')")
        await session.execute(f"CREATE SCHEMA {name}; CREATE TABLE runs (mine int)")
    with pytest.raises(StoreError, match="another program"):
        await database.open()


async def test_who_only_looks_makes_no_tables(database: Database) -> None:
    with pytest.raises(StoreError, match="no store in this database yet"):
        await PostgresStore.open(Address(url=database.url), clock=CLOCK, existing=True)
    async with database.session() as session:
        assert await session.fetchval("SELECT current_schema()") is None


# --- who is let in, and over what line ---------------------------------------------------------


@contextlib.asynccontextmanager
async def a_user(database: Database, options: str, *grants: str) -> AsyncIterator[str]:
    """A database user; yields its name, which *grants* have as {name}."""
    name = f"u_{os.urandom(4).hex()}"
    async with database.session() as admin:
        await admin.execute(f"CREATE ROLE {name} LOGIN {options}")
        try:
            for grant in grants:
                await admin.execute(grant.format(name=name))
            yield name
        finally:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1"
            await admin.execute(end, name)
            await admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def as_user(database: Database, name: str) -> str:
    return database.url.replace(f"//{postgres.USER}@", f"//{name}@")


async def test_a_session_that_would_not_wait_for_the_disk_is_made_to(database: Database) -> None:
    hasty = "ALTER ROLE {name} SET synchronous_commit = off"
    async with a_user(database, "SUPERUSER", hasty) as name:
        store = await database.open(as_user(database, name))
        async with store._connections.one() as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == "on"
        await store.close()


async def test_a_server_with_fewer_connections_than_the_store_would_have_does_for_all(
    database: Database,
) -> None:
    await database.open()
    schema_name = database.url.rpartition("=")[2]
    grants = (
        f"GRANT ALL ON SCHEMA {schema_name} TO {{name}}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema_name} TO {{name}}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema_name} TO {{name}}",
    )
    async with a_user(database, "CONNECTION LIMIT 2", *grants) as name:
        store = await database.open(as_user(database, name), most=8)
        drafts = [a_draft(CLOCK) for _ in range(40)]
        waiting = (store.record(each, within=10) for each in drafts)
        looking = (store.runs(RunFilter()) for _ in range(20))
        results = await asyncio.gather(*waiting, *looking)
        assert results[:40] == [Recorded(run_id=draft.run.id) for draft in drafts]
        await store.close()


async def test_a_server_without_a_free_connection_is_told_as_such(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.adapters.postgres.store._OPEN_SECONDS", 0.2)
    async with a_user(database, "CONNECTION LIMIT 0") as name:
        with pytest.raises(StoreError, match="no free connection"):
            await asyncio.wait_for(database.open(as_user(database, name)), 30)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that asks for passwords or certificates, and its certificates' authority."""

    server: postgres.Server
    authority: Path
    client: Path  # certificate and key of the user `certified`

    def url(self, **query: str) -> str:
        place = f"localhost:{self.server.port}/postgres"
        return f"postgresql://{postgres.USER}@{place}?{urlencode(query)}"


async def test_a_click_whose_caller_left_while_it_was_being_written_is_left_out(
    database: Database, store: PostgresStore
) -> None:
    gone, stays = a_draft(CLOCK), a_draft(CLOCK)
    async with database.session() as session, session.transaction():
        await session.execute("LOCK TABLE runs IN EXCLUSIVE MODE")
        leaving, staying = (
            asyncio.create_task(store.record(each, within=5)) for each in (gone, stays)
        )
        await asyncio.sleep(0.3)  # both are at the lock, in one transaction
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    assert await staying == Recorded(run_id=stays.run.id)
    await store.probe()
    assert await store.run(gone.run.id) is None
    assert await store.audit(run_id=gone.run.id) == ()


async def test_clicks_are_recorded_while_all_else_waits_for_a_lock(
    database: Database, store: PostgresStore
) -> None:
    async with database.session() as session, session.transaction():
        await session.execute("LOCK TABLE memos IN EXCLUSIVE MODE")
        waiting = [asyncio.create_task(store.memo(f"m{n}", "x")) for n in range(20)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await asyncio.gather(*(store.record(a_draft(CLOCK), within=2) for _ in range(20)))
        assert time.monotonic() - began < 0.8
    await asyncio.gather(*waiting)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    server = postgres.Server()
    server.guard(authority.file, authority.issue("localhost"))
    yield Guarded(server, authority.file, authority.issue("certified"))
    server.remove()


@pytest.mark.parametrize("how", ["passfile", "reference", "certificate"])
async def test_a_password_file_a_reference_and_a_client_certificate_let_in(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    tls = {"sslmode": "verify-full", "sslrootcert": str(guarded.authority)}
    url = guarded.url(search_path=how, **tls)
    password: Callable[[bool], str] | None = None
    match how:
        case "passfile":
            file = tmp_path / "pgpass"
            file.write_text(f"*:*:*:*:{postgres.PASSWORD}\n")
            file.chmod(0o600)
            monkeypatch.setenv("PGPASSFILE", str(file))
        case "reference":
            asked: list[bool] = []

            def read(anew: bool) -> str:
                asked.append(anew)
                return postgres.PASSWORD if anew else "the one before"

            password = read
        case _:
            url = url.replace(f"//{postgres.USER}@", "//certified@") + f"&sslcert={guarded.client}"
    store = await PostgresStore.open(Address(url=url, password=password), clock=CLOCK)
    await store.probe()
    async with store._connections.one() as connection:
        used = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await store.close()
    assert used is True


async def test_a_wrong_password_is_told_without_it(guarded: Guarded) -> None:
    url = guarded.url(sslmode="require")
    address = Address(url=url, password=lambda _: "hunter2-wrong")
    with pytest.raises(StoreError, match="refuses the password") as raised:
        await PostgresStore.open(address, clock=CLOCK)
    assert "hunter2" not in repr(raised.value) + repr(raised.value.__cause__) + repr(address)


async def test_a_server_that_proves_itself_by_a_strangers_authority_is_not_spoken_to(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.adapters.postgres.store._OPEN_SECONDS", 0.2)
    address = Address(url=guarded.url(sslmode="verify-full"), password=lambda _: "secret")
    with pytest.raises(StoreError, match="TLS"):
        await PostgresStore.open(address, clock=CLOCK)


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("postgresql://db.internal/tidegate", True),
        ("postgresql://u@127.0.0.1,db.internal:5433/tidegate", True),
        ("postgresql://u@[2001:db8::1]:5433/tidegate", True),
        ("postgresql://db.internal/tidegate?sslmode=require", False),
        ("postgresql://127.0.0.1:5433/tidegate", False),
        ("postgresql://u@[::1]:5433/tidegate", False),
        ("postgresql://localhost/tidegate", False),
        ("postgresql://%2Frun%2Fpostgresql/tidegate", False),
    ],
)
def test_the_name_of_a_host_that_is_not_this_machine_is_checked(url: str, checked: bool) -> None:
    context = Address(url=url).arguments()[0].get("ssl")
    assert isinstance(context, ssl.SSLContext) == checked
    if isinstance(context, ssl.SSLContext):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    address = Address(url="postgresql://db.internal/t?sslrootcert=none.pem", folder=tmp_path)
    with pytest.raises(StoreError, match=r"certificate that .* cannot be read"):
        address.arguments()


# --- plans -------------------------------------------------------------------------------------

FILL = """
INSERT INTO runs (id, action, pathway, state, user_id, sure, created_at, updated_at, start_by,
    next_at, finished_at, view_id, response_url, facts, target_state)
SELECT 'old' || n, 'deploy', 'cluster', CASE n % 1000 WHEN 0 THEN 'queued' ELSE 'succeeded' END,
    'U1', true, n, n, n, CASE n % 1000 WHEN 0 THEN n END, CASE n % 1000 WHEN 0 THEN NULL ELSE n END,
    n, NULL, '[]', 'queued'
FROM generate_series(1, 20000) AS n
"""


@pytest.mark.parametrize(
    ("sql", "values", "index"),
    [
        (runs.LEASE, (["cluster"], [5], ["cluster"], 1e9, 5, 5, "t", 2e9), "runs_work"),
        (runs.NEXT_WAKE, (), "runs_work"),
        (housekeeping.RECEIVED, (), "runs_received"),
        (housekeeping.UNSTARTED, (5.0,), "runs_unstarted"),
        (housekeeping.REMOVE_RUNS, (5.0,), "runs_finished"),
        (housekeeping.ERASE, (5.0,), "runs_response_url"),
        (views.RUNS_OF_VIEWS, ([7, 8], 100), "runs_view"),
    ],
    ids=["lease", "next", "received", "unstarted", "remove", "erase", "view"],
)
async def test_what_is_asked_again_and_again_reads_an_index_and_never_all_runs(
    database: Database, store: PostgresStore, sql: str, values: tuple[Any, ...], index: str
) -> None:
    async with database.session() as session:
        await session.execute(f"{FILL}; ANALYZE runs")
        lines = [row[0] for row in await session.fetch(f"EXPLAIN {sql}", *values)]
    plan = "\n".join(lines)
    assert index in plan
    assert "Seq Scan on runs" not in plan


async def test_a_sweep_takes_only_so_much_at_once_and_leaves_what_others_have_in_hand(
    database: Database,
) -> None:
    clock = StillClock()
    store = await database.open(clock=clock)
    async with database.session() as session:
        await session.execute(f"{FILL}; DELETE FROM runs WHERE state = 'queued'")
        async with session.transaction():
            await session.execute("SELECT 1 FROM runs WHERE finished_at < 500 FOR UPDATE")
            began = time.monotonic()
            swept = await store.sweep()
            assert time.monotonic() - began < 20
            assert 0 < swept.removed <= 20 * 400
            assert await session.fetchval("SELECT count(*) FROM runs WHERE id = 'old1'") == 1


async def test_a_lease_that_another_worker_is_just_taking_is_passed_over(
    database: Database, store: PostgresStore
) -> None:
    mine = await begun(store, CLOCK)
    with pytest.raises(LeaseLostError):
        await carry_out(store, Leased(run=mine.run, token="another's"))
    drafts = [a_draft(CLOCK) for _ in range(2)]
    await asyncio.gather(*(store.record(each, within=5) for each in drafts))
    await store.probe()
    async with database.session() as session, session.transaction():
        await session.execute("SELECT 1 FROM runs WHERE id = $1 FOR UPDATE", drafts[0].run.id)
        got = await asyncio.wait_for(
            store.lease(slots={"cluster": 9}, polls=0, seconds=10), timeout=0.8
        )
    assert [each.run.id for each in got] == [drafts[1].run.id]


async def test_text_that_postgresql_does_not_take_is_stored_all_the_same(
    store: PostgresStore,
) -> None:
    draft = a_draft(CLOCK, view=a_message("1\0.1"), effect_key="e\0", label="a\0b", user_id="U\0")
    assert await store.record(draft, within=5) == Recorded(run_id=draft.run.id)
    run = await store.run(draft.run.id)
    assert isinstance(run, Run)
    assert (run.label, run.user_id) == ("a\0b", "U\ufffd")
