"""The `Store` port over a PostgreSQL database, which many gateways and workers may share."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from tidegate.adapters.postgres import housekeeping, intake, runs, schema, views
from tidegate.adapters.postgres.address import Address
from tidegate.adapters.postgres.connections import Connection, Connections
from tidegate.adapters.postgres.failures import VENDOR, is_passing, store_error
from tidegate.adapters.postgres.news import News
from tidegate.adapters.postgres.together import Together
from tidegate.adapters.postgres.transaction import Operation, Transaction, Transactor
from tidegate.adapters.postgres.views import renew as renew_views
from tidegate.core.model import (
    AuditEntry,
    Change,
    Draft,
    Leased,
    Posting,
    RecordResult,
    Refusal,
    Run,
    RunId,
    View,
)
from tidegate.core.upkeep import BATCH, MAX_ROUNDS, Received
from tidegate.errors import StoreError
from tidegate.ports import Clock, RunFilter, Swept

T = TypeVar("T")

#: Connections of one store, besides the one that listens.
MOST_CONNECTIONS: Final = 10

_OPEN_SECONDS: Final = 15.0  # a database that is just starting, or failing over
_AGAIN_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 2.0
_MAX_LISTED: Final = 1000

_REMEMBER: Final = "INSERT INTO memos (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_REPLACE: Final = (
    "INSERT INTO memos (key, value) VALUES ($1, $2) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_MEMO: Final = "SELECT value FROM memos WHERE key = $1"
_PROBE: Final = (
    "INSERT INTO meta (key, value) VALUES ('probed_at', $1) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


class PostgresStore:
    """Runs in one schema of a PostgreSQL database."""

    def __init__(
        self,
        *,
        connections: Connections,
        name: str,
        clock: Clock,
        retention_days: float,
        button_days: float,
        on_change: Callable[[], None] | None,
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._retention_seconds = retention_days * 86400
        self._button_seconds = button_days * 86400
        self._on_change = on_change
        self._received = Received()
        self._closed = False
        self._news = News(connections, schema=name, own=clock.entropy(8).hex(), heard=self._changed)
        self._transactor = Transactor(connections, clock=clock, stirred=self._stirred)
        self._recorder: Together[Draft, RecordResult] = Together(
            self._transactor,
            intake.record_together,
            new_mark=self._mark,
            stirred=self._stirred,
            follow_up=intake.take_on,
            wait_out=intake.wait_out,
            urgent=True,
        )
        self._stepper: Together[tuple[Leased, Change], Run] = Together(
            self._transactor, _advance, new_mark=self._mark, stirred=self._stirred
        )

    @classmethod
    async def open(
        cls,
        address: Address,
        *,
        clock: Clock,
        retention_days: float = 90,
        button_days: float = 30,
        on_change: Callable[[], None] | None = None,
        existing: bool = False,
        most_connections: int = MOST_CONNECTIONS,
    ) -> "PostgresStore":
        """Return a store over a database, whose tables are made or brought up to date.

        Args:
            address: Where the database is.
            clock: The time, and chance. The machines that share a database keep the same time.
            retention_days: How long runs are kept after they have ended.
            button_days: How old a button may be and still act.
            on_change: Called on the loop after each commit, of this store or of another over the
                same tables, that made something leasable.
            existing: Make no tables where there are none.
            most_connections: How many it opens at most, besides the one that listens.

        Raises:
            SchemaVersionError: A newer version wrote it.
            StoreError: It cannot be opened.
        """
        connections = Connections(address, most=most_connections)
        first, name = await _first(connections, existing=existing)
        store = cls(
            connections=connections,
            name=name,
            clock=clock,
            retention_days=retention_days,
            button_days=button_days,
            on_change=on_change,
        )
        await store._news.start(first)
        return store

    @property
    def commits(self) -> int:
        """How many transactions this store has committed."""
        return self._transactor.commits

    async def record(self, draft: Draft, *, within: float) -> RecordResult:
        """See `Store.record`."""
        return await self._recorder.do_within(draft, within, run_id=draft.run.id)

    async def refuse(self, refusal: Refusal, *, within: float) -> bool:
        """See `Store.refuse`."""
        return await self._transactor.do_within(lambda tx: intake.refuse(tx, refusal), within)

    async def lease(
        self, *, slots: Mapping[str, int], polls: int, seconds: float, most: int | None = None
    ) -> Sequence[Leased]:
        """See `Store.lease`."""
        return await self._transactor.do(
            lambda tx: runs.lease(tx, slots=slots, polls=polls, seconds=seconds, most=most),
            single=True,
        )

    async def renew(self, leases: Sequence[tuple[RunId, str]], *, seconds: float) -> set[RunId]:
        """See `Store.renew`."""
        return await self._transactor.do(
            lambda tx: runs.renew(tx, leases, seconds=seconds), single=True
        )

    async def advance(self, leased: Leased, change: Change) -> Run:
        """See `Store.advance`."""
        return await self._stepper.do((leased, change))

    async def settle(self, run_id: RunId, change: Change) -> Run:
        """See `Store.settle`."""
        return await self._transactor.do(lambda tx: runs.settle(tx, run_id, change))

    async def confirm(
        self, run_id: RunId, *, yes: bool, user_id: str, within: float | None = None
    ) -> Run:
        """See `Store.confirm`."""
        return await self._do(lambda tx: runs.confirm(tx, run_id, yes=yes, user_id=user_id), within)

    async def ask_check(self, run_id: RunId, *, user_id: str, within: float | None = None) -> Run:
        """See `Store.ask_check`."""
        return await self._do(lambda tx: runs.ask_check(tx, run_id, user_id=user_id), within)

    async def retry(self, run_id: RunId, new: Run, *, actor: str) -> Run:
        """See `Store.retry`."""
        return await self._transactor.do(lambda tx: runs.retry(tx, run_id, new, actor=actor))

    async def run(self, run_id: RunId) -> Run | None:
        """See `Store.run`."""
        return await self._read(lambda tx: intake.find_run(tx, run_id))

    async def runs(self, which: RunFilter) -> Sequence[Run]:
        """See `Store.runs`; never more than a thousand at once."""
        return await self._read(lambda tx: runs.listed(tx, which, _MAX_LISTED))

    async def audit(
        self, *, run_id: RunId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[AuditEntry]:
        """See `Store.audit`; never more than a thousand at once."""
        bound = max(0, min(limit, _MAX_LISTED))
        return await self._read(
            lambda tx: runs.audit_log(tx, run_id=run_id, before=before, limit=bound)
        )

    async def next_due(self) -> float | None:
        """See `Store.next_due`."""
        return await self._read(runs.next_due)

    async def lease_views(self, *, limit: int, seconds: float) -> Sequence[View]:
        """See `Store.lease_views`."""
        return await self._transactor.do(lambda tx: views.lease(tx, limit=limit, seconds=seconds))

    async def renew_views(self, views: Sequence[View], *, seconds: float) -> None:
        """See `Store.renew_views`."""
        await self._transactor.do(lambda tx: renew_views(tx, views, seconds=seconds), single=True)

    async def view_intent(self, view: View, *, final: bool) -> None:
        """See `Store.view_intent`."""
        await self._transactor.do(lambda tx: views.intent(tx, view, final=final), single=True)

    async def view_told(
        self,
        view: View,
        *,
        posting: Posting | None = None,
        ts: str | None = None,
        channel_id: str | None = None,
        rendered: bool = True,
        due_at: float | None = None,
        failed: bool = False,
    ) -> None:
        """See `Store.view_told`."""
        await self._transactor.do(
            lambda tx: views.told(
                tx,
                view,
                posting=posting,
                ts=ts,
                channel_id=channel_id,
                rendered=rendered,
                due_at=due_at,
                failed=failed,
            )
        )

    async def view_moved(self, view: View) -> None:
        """See `Store.view_moved`. A run whose end the old message told gets no new one."""
        await self._transactor.do(lambda tx: views.moved(tx, view))

    async def sweep(self) -> Swept:
        """See `Store.sweep`. Works in small batches, so that clicks pass between them."""
        adopted = await self._adopt()
        return Swept(
            adopted=adopted,
            expired=await self._repeat(housekeeping.expire),
            erased=await self._repeat(housekeeping.erase),
            removed=await self._repeat(
                lambda tx: housekeeping.remove(
                    tx,
                    retention_seconds=self._retention_seconds,
                    button_seconds=self._button_seconds,
                )
            ),
        )

    async def remember(self, key: str, value: str) -> str:
        """See `Store.remember`."""

        async def keep(tx: Transaction) -> str:
            await tx.do(_REMEMBER, key, value)
            row = await tx.one(_MEMO, key)
            return value if row is None else str(row[0])

        return await self._transactor.do(keep)

    async def memo(self, key: str, value: str | None = None) -> str | None:
        """See `Store.memo`."""
        if value is not None:
            await self._transactor.do(lambda tx: tx.do(_REPLACE, key, value), single=True)
            return value
        row = await self._read(lambda tx: tx.one(_MEMO, key))
        return None if row is None else str(row[0])

    async def probe(self) -> None:
        """See `Store.probe`: writes a row, and sees that what was recorded goes on."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _PROBE_SECONDS
        await self._transactor.do(
            lambda tx: tx.do(_PROBE, str(tx.now)), patience=_PROBE_SECONDS, single=True
        )
        try:
            async with asyncio.timeout_at(end):
                await self._recorder.caught_up()
        except TimeoutError:
            raise StoreError("what was recorded does not go on: the database is too slow") from None

    async def close(self) -> None:
        """See `Store.close`."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(TimeoutError):  # a database that is gone holds nobody up
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._recorder.close()
                await self._stepper.close()
                await self._transactor.close()
        await self._news.close()
        await self._connections.close()

    def _mark(self) -> str:
        return self._clock.entropy(8).hex()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()

    def _stirred(self) -> None:
        self._changed()
        self._news.tell()

    async def _do(self, operation: Operation[T], within: float | None) -> T:
        if within is None:
            return await self._transactor.do(operation)
        return await self._transactor.do_within(operation, within)

    async def _adopt(self) -> int:
        """Let those runs go on that this store has seen `received` for too long."""
        seen = await self._read(housekeeping.waiting)
        orphans = self._received.overdue(seen, self._clock.monotonic())
        if not orphans:
            return 0
        return await self._transactor.do(lambda tx: housekeeping.adopt(tx, orphans))

    async def _repeat(self, job: Operation[int]) -> int:
        """Do a job batch by batch until nothing is left of it, within bounds."""
        total = 0
        for _ in range(MAX_ROUNDS):
            done = await self._transactor.do(job)
            total += done
            if done < BATCH:
                break
        return total

    async def _read(self, query: Operation[T]) -> T:
        return await self._transactor.do(query, single=True)


async def _advance(
    tx: Transaction, items: Sequence[tuple[tuple[Leased, Change], str]]
) -> Sequence[Run | StoreError]:
    advances = [(leased, change, mark) for (leased, change), mark in items]
    return await runs.advance_together(tx, advances)


async def _first(connections: Connections, *, existing: bool) -> tuple[Connection, str]:
    """Return a connection, and the schema that was prepared over it."""
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _OPEN_SECONDS
    while True:
        connection = None
        try:
            connection = await connections.connect()
            return connection, await schema.prepare(connection, existing=existing)
        except VENDOR as error:
            _drop(connection)
            if not is_passing(error) or loop.time() > give_up:
                raise store_error(error) from error
            await asyncio.sleep(_AGAIN_SECONDS)
        except BaseException:
            _drop(connection)
            raise


def _drop(connection: Connection | None) -> None:
    if connection is not None:
        connection.terminate()
