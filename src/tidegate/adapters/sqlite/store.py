"""The `Store` port over one SQLite file: a writer thread, and a second one that reads."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from tidegate.adapters.sqlite import housekeeping, intake, runs, schema, together, views
from tidegate.adapters.sqlite.failures import store_error
from tidegate.adapters.sqlite.rows import find_run
from tidegate.adapters.sqlite.together import Recording, record_together
from tidegate.adapters.sqlite.views import renew as renew_views
from tidegate.adapters.sqlite.writer import Operation, Transaction, Writer
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

_PROBE_SECONDS: Final = 2.0
_MAX_LISTED: Final = 1000

_REMEMBER: Final = "INSERT INTO memos (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
_REPLACE: Final = (
    "INSERT INTO memos (key, value) VALUES (?, ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
_MEMO: Final = "SELECT value FROM memos WHERE key = ?"
_PROBE: Final = (
    "INSERT INTO meta (key, value) VALUES ('probed_at', ?) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)


def _record_together(
    tx: Transaction, recordings: Sequence[Recording], answered: Sequence[RunId]
) -> Sequence[RecordResult] | None:
    return record_together(tx, [recording.draft for recording in recordings], answered)


class SqliteStore:
    """Runs in one SQLite file, which several processes on one machine may share."""

    def __init__(
        self,
        *,
        writer: Writer,
        reading: sqlite3.Connection,
        clock: Clock,
        retention_days: float,
        button_days: float,
    ) -> None:
        self._writer = writer
        self._reading = reading
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="tidegate-store-read")
        self._clock = clock
        self._retention_seconds = retention_days * 86400
        self._button_seconds = button_days * 86400
        self._received = Received()
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        clock: Clock,
        retention_days: float = 90,
        button_days: float = 30,
        on_change: Callable[[], None] | None = None,
    ) -> "SqliteStore":
        """Return a store over the file at *path*, which is made or brought up to date.

        Args:
            path: Where the file is; its directory must exist.
            clock: The time, and chance.
            retention_days: How long runs are kept after they have ended.
            button_days: How old a button may be and still act.
            on_change: Called on the loop after each commit of this store that made
                something leasable.

        Raises:
            SchemaVersionError: A newer version wrote it.
            StoreError: It cannot be opened.
        """
        connection = await asyncio.to_thread(schema.prepare, path)
        together.prepare(connection)
        connection.execute("PRAGMA busy_timeout = 0").fetchall()  # the writer waits by itself
        reading = await asyncio.to_thread(schema.reading, path)
        writer = Writer(
            connection,
            clock=clock,
            follow_up=intake.take_on,
            together=(Recording, _record_together),
            on_change=on_change,
        )
        return cls(
            writer=writer,
            reading=reading,
            clock=clock,
            retention_days=retention_days,
            button_days=button_days,
        )

    @property
    def commits(self) -> int:
        """How many transactions this store has committed."""
        return self._writer.commits

    async def record(self, draft: Draft, *, within: float) -> RecordResult:
        """See `Store.record`."""
        return await self._writer.do_within(Recording(draft), within)

    async def refuse(self, refusal: Refusal, *, within: float) -> bool:
        """See `Store.refuse`."""
        return await self._writer.do_within(lambda tx: intake.refuse(tx, refusal), within)

    async def lease(
        self, *, slots: Mapping[str, int], polls: int, seconds: float, most: int | None = None
    ) -> Sequence[Leased]:
        """See `Store.lease`."""
        return await self._writer.do(
            lambda tx: runs.lease(tx, slots=slots, polls=polls, seconds=seconds, most=most)
        )

    async def renew(self, leases: Sequence[tuple[RunId, str]], *, seconds: float) -> set[RunId]:
        """See `Store.renew`."""
        return await self._writer.do(lambda tx: runs.renew(tx, leases, seconds=seconds))

    async def advance(self, leased: Leased, change: Change) -> Run:
        """See `Store.advance`."""
        return await self._writer.do(lambda tx: runs.advance(tx, leased, change))

    async def settle(self, run_id: RunId, change: Change) -> Run:
        """See `Store.settle`."""
        return await self._writer.do(lambda tx: runs.settle(tx, run_id, change))

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
        return await self._writer.do(lambda tx: runs.retry(tx, run_id, new, actor=actor))

    async def run(self, run_id: RunId) -> Run | None:
        """See `Store.run`."""
        return await self._read(lambda connection: find_run(connection, run_id))

    async def runs(self, which: RunFilter) -> Sequence[Run]:
        """See `Store.runs`; never more than a thousand at once."""
        return await self._read(lambda connection: runs.listed(connection, which, _MAX_LISTED))

    async def audit(
        self, *, run_id: RunId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[AuditEntry]:
        """See `Store.audit`; never more than a thousand at once."""
        bound = max(0, min(limit, _MAX_LISTED))
        return await self._read(
            lambda connection: runs.audit_log(connection, run_id=run_id, before=before, limit=bound)
        )

    async def next_due(self) -> float | None:
        """See `Store.next_due`."""
        return await self._read(_next_due)

    async def lease_views(self, *, limit: int, seconds: float) -> Sequence[View]:
        """See `Store.lease_views`."""
        return await self._writer.do(lambda tx: views.lease(tx, limit=limit, seconds=seconds))

    async def renew_views(self, views: Sequence[View], *, seconds: float) -> None:
        """See `Store.renew_views`."""
        await self._writer.do(lambda tx: renew_views(tx, views, seconds=seconds))

    async def view_intent(self, view: View, *, final: bool) -> None:
        """See `Store.view_intent`."""
        await self._writer.do(lambda tx: views.intent(tx, view, final=final))

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
        await self._writer.do(
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
        await self._writer.do(lambda tx: views.moved(tx, view))

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

        def keep(tx: Transaction) -> str:
            tx.do(_REMEMBER, (key, value))
            row = tx.one(_MEMO, (key,))
            return value if row is None else str(row[0])

        return await self._writer.do(keep)

    async def memo(self, key: str, value: str | None = None) -> str | None:
        """See `Store.memo`."""
        if value is not None:
            await self._writer.do(lambda tx: tx.do(_REPLACE, (key, value)))
            return value
        row = await self._read(lambda connection: connection.execute(_MEMO, (key,)).fetchone())
        return None if row is None else str(row[0])

    async def probe(self) -> None:
        """See `Store.probe`: writes a row."""
        await self._writer.do(lambda tx: tx.do(_PROBE, (str(tx.now),)), patience=_PROBE_SECONDS)

    async def close(self) -> None:
        """See `Store.close`."""
        await self._writer.close()
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._reader.shutdown)
            self._reading.close()

    async def _do(self, operation: Operation[T], within: float | None) -> T:
        if within is None:
            return await self._writer.do(operation)
        return await self._writer.do_within(operation, within)

    async def _adopt(self) -> int:
        """Let those runs go on that this store has seen `received` for too long."""
        seen = await self._writer.do(housekeeping.waiting)
        orphans = self._received.overdue(seen, self._clock.monotonic())
        if not orphans:
            return 0
        return await self._writer.do(lambda tx: housekeeping.adopt(tx, orphans))

    async def _repeat(self, job: Callable[[Transaction], int]) -> int:
        """Do a job batch by batch until nothing is left of it, within bounds."""
        total = 0
        for _ in range(MAX_ROUNDS):
            done = await self._writer.do(job)
            total += done
            if done < BATCH:
                break
        return total

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reader, query, self._reading)
        except sqlite3.Error as error:
            raise store_error(error) from error


def _next_due(connection: sqlite3.Connection) -> float | None:
    wakes = (runs.next_wake(connection), views.next_wake(connection))
    return min((wake for wake in wakes if wake is not None), default=None)
