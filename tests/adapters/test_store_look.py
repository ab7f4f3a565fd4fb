"""A store that is looked at, and left as it is."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.databases import Database
from tests.far_ends import postgres
from tests.ports import free_port
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import Address
from tidegate.adapters.postgres.look import look as look_at_database
from tidegate.adapters.sqlite import SqliteStore
from tidegate.adapters.sqlite.look import look as look_at_file
from tidegate.core.diagnosis.finding import Seen, State
from tidegate.errors import StoreError


def code(seen: Seen) -> str:
    (one,) = seen.findings
    return one.code


# --- a file --------------------------------------------------------------------------------


def test_where_there_is_no_file_none_is_made(tmp_path: Path) -> None:
    seen = look_at_file(tmp_path / "tidegate.db")
    assert seen.said == "none yet: made at the first start"
    assert list(tmp_path.iterdir()) == []


async def test_a_file_in_use_is_looked_at_beside_its_gateway(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.db"
    store = await SqliteStore.open(str(file), clock=SystemClock())
    before = file.read_bytes()
    assert look_at_file(file).state is State.OK
    await store.probe()
    assert look_at_file(file).state is State.OK
    await store.close()
    content = file.read_bytes()
    assert look_at_file(file).said.startswith("version ")
    assert file.read_bytes() == content
    assert before


def test_an_older_file_is_left_to_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "tidegate.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
        connection.execute("PRAGMA application_id = 0x54474154")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    seen = look_at_file(file)
    assert seen.state is State.OK
    assert "at the next start" in seen.said


# --- a database ----------------------------------------------------------------------------


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    found = Database()
    yield found
    await found.close()


async def test_an_empty_database_is_well_and_stays_empty(database: Database) -> None:
    seen = await look_at_database(Address(url=database.url))
    assert seen.said == "none yet: made at the first start"
    async with database.session() as session:
        assert await session.fetchval("SELECT current_schema()") is None


async def test_a_store_s_database_is_told_by_its_version(database: Database) -> None:
    await database.open()
    seen = await look_at_database(Address(url=database.url))
    assert seen.state is State.OK
    assert seen.said.startswith("version ")
    async with database.session() as session:
        await session.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    assert code(await look_at_database(Address(url=database.url))) == "store.newer"


async def test_what_another_program_keeps_there_is_told(database: Database) -> None:
    async with database.session() as session:
        name = await session.fetchval("SELECT current_setting('search_path')")
        await session.execute(f"CREATE SCHEMA {name}; CREATE TABLE {name}.runs (id text)")
    assert code(await look_at_database(Address(url=database.url))) == "store.foreign"


async def test_a_database_that_only_reads_is_told(database: Database) -> None:
    await database.open()
    url = f"{database.url}&default_transaction_read_only=on"
    found = await look_at_database(Address(url=f"{url}&target_session_attrs=any"))
    assert code(found) == "store.read_only"
    assert code(await look_at_database(Address(url=url))) == "store.read_only"


@contextlib.asynccontextmanager
async def guest(database: Database, *statements: str) -> AsyncIterator[Address]:
    """A user who may do nothing but what *statements* grant; `{guest}` is their name."""
    async with database.session() as session:
        name = await session.fetchval("SELECT current_setting('search_path')")
        whole = [f"CREATE ROLE guest_{name} LOGIN PASSWORD '{postgres.PASSWORD}'", *statements]
        for statement in whole:
            await session.execute(statement.format(guest=f"guest_{name}", schema=name))
    try:
        yield Address(
            url=database.url.replace(f"{postgres.USER}@", f"guest_{name}@"),
            password=lambda _: postgres.PASSWORD,
        )
    finally:
        async with database.session() as session:
            await session.execute(f"DROP OWNED BY guest_{name}; DROP ROLE guest_{name}")


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ([], "may not make a schema in the database"),
        (
            ["CREATE SCHEMA {schema}", "GRANT USAGE ON SCHEMA {schema} TO {guest}"],
            "may not make tables in t_",
        ),
    ],
)
async def test_a_user_who_could_not_make_the_store_is_told(
    database: Database, statements: list[str], what: str
) -> None:
    async with guest(database, *statements) as address:
        seen = await look_at_database(address)
    assert code(seen) == "store.no_right"
    assert what in seen.findings[0].what


async def test_a_user_who_may_make_tables_in_a_schema_of_its_own_will_do(
    database: Database,
) -> None:
    own = ["CREATE SCHEMA {schema}", "GRANT USAGE, CREATE ON SCHEMA {schema} TO {guest}"]
    async with guest(database, *own) as address:
        seen = await look_at_database(address)
    assert seen.said == "none yet: made at the first start"


async def test_a_user_who_may_only_read_the_store_is_told(database: Database) -> None:
    await database.open()
    rights = [
        "GRANT USAGE ON SCHEMA {schema} TO {guest}",
        "GRANT SELECT ON {schema}.meta TO {guest}",
    ]
    async with guest(database, *rights) as address:
        seen = await look_at_database(address)
    assert code(seen) == "store.no_right"
    assert "write to the tables" in seen.findings[0].what


async def test_a_database_that_does_not_let_us_in_is_told_by_why(database: Database) -> None:
    nobody = database.url.replace(f"{postgres.USER}@", "nobody@")
    assert code(await look_at_database(Address(url=nobody))) == "store.refused"
    other = database.url.replace("?", "-not-there?", 1)
    assert code(await look_at_database(Address(url=other))) == "store.no_database"
    closed = f"postgresql://{postgres.USER}@127.0.0.1:{free_port()}/tidegate"
    assert code(await look_at_database(Address(url=closed))) == "store.unreachable"


async def test_a_password_that_cannot_be_read_is_told(database: Database) -> None:
    def unreadable(_: bool) -> str:
        raise StoreError("store.password cannot be read: nothing is there")

    seen = await look_at_database(Address(url=database.url, password=unreadable))
    assert code(seen) == "store.refused"
    assert "nothing is there" in seen.findings[0].why
