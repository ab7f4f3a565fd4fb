"""What the suite needs of each implementation of `Store` beyond the port itself."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from unittest import mock

import asyncpg

from tests.far_ends import postgres
from tidegate.adapters.postgres import Address, PostgresStore
from tidegate.adapters.sqlite import SqliteStore
from tidegate.ports import Clock, Store


@dataclass(slots=True)
class Pause:
    """A store held between COMMIT and telling its callers."""

    committed: asyncio.Event = field(default_factory=asyncio.Event)


class Stores(Protocol):
    """Opens stores over one shared place, and gets in their way.

    Attributes:
        name: What the child process is told to open.
        location: Where it is.
    """

    name: str
    location: str

    async def open(
        self,
        clock: Clock,
        *,
        retention_days: float = 90,
        on_change: Callable[[], None] | None = None,
    ) -> Store:
        """One more store over the same place, as another process would open it."""

    def commits_blocked(self) -> AbstractAsyncContextManager[None]:
        """No store can commit inside the context."""

    def paused_after_commit(self, store: Store) -> AbstractAsyncContextManager[Pause]:
        """What the store commits inside the context is told to its callers at the end only."""

    def crash(self, store: Store) -> None:
        """Die right after answering: what this store records from now on stays as it is."""

    async def close(self) -> None:
        """Close all that were opened."""


class SqliteStores:
    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self.location = str(directory / "tidegate.db")
        self._opened: list[SqliteStore] = []

    async def open(
        self,
        clock: Clock,
        *,
        retention_days: float = 90,
        on_change: Callable[[], None] | None = None,
    ) -> SqliteStore:
        store = await SqliteStore.open(
            self.location, clock=clock, retention_days=retention_days, on_change=on_change
        )
        self._opened.append(store)
        return store

    @asynccontextmanager
    async def commits_blocked(self) -> AsyncIterator[None]:
        other = sqlite3.connect(self.location, isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    @asynccontextmanager
    async def paused_after_commit(self, store: Store) -> AsyncIterator[Pause]:
        assert isinstance(store, SqliteStore)
        writer = store._writer
        tell = writer._committed
        pause = Pause()
        loop = asyncio.get_running_loop()
        go = threading.Event()

        def held(*args: Any) -> None:
            loop.call_soon_threadsafe(pause.committed.set)
            go.wait(20)
            tell(*args)

        with mock.patch.object(writer, "_committed", held):
            try:
                yield pause
            finally:
                go.set()

    def crash(self, store: Store) -> None:
        assert isinstance(store, SqliteStore)
        writer = store._writer
        together = writer._together
        writer._follow_up = lambda *_: None
        writer._together = lambda tx, operations, _: together(tx, operations, ())

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


class PostgresStores:
    """Stores over one schema; a child process finds it by the file beside which it was named."""

    name = "postgres"

    def __init__(self, directory: Path) -> None:
        file = directory / "postgres.url"
        if not file.exists():
            file.write_text(postgres.shared().schema_url())
        self.location = str(file)
        self.address = Address(url=file.read_text())
        self._opened: list[PostgresStore] = []

    async def open(
        self,
        clock: Clock,
        *,
        retention_days: float = 90,
        on_change: Callable[[], None] | None = None,
    ) -> PostgresStore:
        store = await PostgresStore.open(
            self.address,
            clock=clock,
            retention_days=retention_days,
            on_change=on_change,
            most_connections=5,
        )
        self._opened.append(store)
        return store

    @asynccontextmanager
    async def commits_blocked(self) -> AsyncIterator[None]:
        async with self.session() as other, other.transaction():
            tables = "deliveries, effects, runs, views, audit, memos, meta"
            await other.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")
            yield

    @asynccontextmanager
    async def paused_after_commit(self, store: Store) -> AsyncIterator[Pause]:
        assert isinstance(store, PostgresStore)
        recorder = store._recorder
        tell = recorder._committed
        pause = Pause()
        go = asyncio.Event()

        async def held(*args: Any) -> None:
            pause.committed.set()
            await asyncio.wait_for(go.wait(), 20)
            await tell(*args)

        with mock.patch.object(recorder, "_committed", held):
            try:
                yield pause
            finally:
                go.set()
                await asyncio.sleep(0)

    def crash(self, store: Store) -> None:
        assert isinstance(store, PostgresStore)

        async def die(*_: Any) -> None:
            pass

        store._recorder._follow_up = die

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A session of somebody else's in the stores' schema."""
        connection = await asyncpg.connect(**self.address.arguments()[0])
        try:
            yield connection
        finally:
            await connection.close()

    async def close(self) -> None:
        for store in self._opened:
            await store.close()
        async with self.session() as session:
            schema = await session.fetchval("SELECT current_schema()")
            if schema is not None:
                await session.execute(
                    f"SET client_min_messages = error; DROP SCHEMA {schema} CASCADE"
                )


#: Each implementation, made with a directory of its own.
ALL: Final[Mapping[str, Callable[[Path], Stores]]] = {
    SqliteStores.name: SqliteStores,
    PostgresStores.name: PostgresStores,
}
