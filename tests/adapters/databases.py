"""Schemas of their own on the tests' PostgreSQL server, and what works on them from outside."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.contract.drafts import a_draft
from tests.far_ends import postgres
from tidegate.adapters.clock import SystemClock
from tidegate.adapters.postgres import Address, PostgresStore
from tidegate.core.model import Change, Leased, Recorded, Run, RunId, State
from tidegate.ports import Clock


class Database:
    """One schema, and the stores that were opened over it."""

    def __init__(self, server: postgres.Server | None = None) -> None:
        self.server = server or postgres.shared()
        self.url = self.server.schema_url()
        self.opened: list[PostgresStore] = []

    def over(self, port: int) -> str:
        """The same schema by way of another port."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{postgres.USER}@127.0.0.1:{port}").geturl()

    async def open(
        self,
        url: str | None = None,
        *,
        clock: Clock | None = None,
        on_change: Callable[[], None] | None = None,
        most: int = 5,
    ) -> PostgresStore:
        store = await PostgresStore.open(
            Address(url=url or self.url),
            clock=clock or SystemClock(),
            on_change=on_change,
            most_connections=most,
        )
        self.opened.append(store)
        return store

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """A session of somebody else's in the same schema."""
        connection = await asyncpg.connect(**Address(url=self.url).arguments()[0])
        try:
            yield connection
        finally:
            await connection.close()

    async def close(self) -> None:
        for store in self.opened:
            await store.close()
        async with self.session() as session:
            name = await session.fetchval("SELECT current_schema()")
            if name is not None:
                sql = f"SET client_min_messages = error; DROP SCHEMA {name} CASCADE"
                await session.execute(sql)


def kept_in(database: Database, folder: Path) -> Callable[[dict[str, Any]], None]:
    """What has a gateway's configuration keep runs in a database."""
    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "identity.pem"
    file.write_bytes(key)
    file.chmod(0o600)

    def change(config: dict[str, Any]) -> None:
        config["store"] = {"url": database.url}
        config["identity"] = {"signing_key": {"file": str(file)}}

    return change


async def begun(store: PostgresStore, clock: Clock, **fields: Any) -> Leased:
    """Record a run, and hold its lease."""
    result = await store.record(a_draft(clock, **fields), within=5)
    assert isinstance(result, Recorded)
    await store.probe()
    (mine,) = await store.lease(slots={"cluster": 1}, polls=0, seconds=60)
    assert mine.run.id == result.run_id
    return mine


async def carry_out(store: PostgresStore, mine: Leased) -> Run:
    """Take a leased run to its end."""
    sending = Change(state=State.SENDING, keep_lease=True, attempt=True, next_at=mine.run.next_at)
    run = await store.advance(mine, sending)
    return await store.advance(Leased(run=run, token=mine.token), Change(state=State.SUCCEEDED))


async def events(store: PostgresStore, run_id: RunId) -> list[str]:
    return [entry.event for entry in await store.audit(run_id=run_id)]
