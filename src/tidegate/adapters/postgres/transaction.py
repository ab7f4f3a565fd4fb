"""One transaction, and how it is carried out: again where that is safe, and within bounds."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tidegate.adapters.postgres.connections import Connection, Connections
from tidegate.adapters.postgres.failures import VENDOR, is_doubtful, is_passing, store_error
from tidegate.core.rows import Row
from tidegate.errors import NotRecordedError, StoreError
from tidegate.ports import Clock

T = TypeVar("T")

#: How long an operation without a deadline of its own is tried. Real time, not the clock's.
PATIENCE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.02  # before something is tried again; doubled up to
MAX_PAUSE_SECONDS: Final = 0.5
_ROLLBACK_SECONDS: Final = 1.0


@dataclass(slots=True)
class Transaction:
    """What an operation works in: one transaction, at one moment.

    Attributes:
        mark: Written to what the operation changes. COMMIT may fail, and have been done: who
            tries again finds the mark, and knows it for its own.
    """

    connection: Connection
    now: float
    clock: Clock
    mark: str
    stirred: bool = False  # something may be leased that could not be before

    async def do(self, sql: str, *values: Any) -> int:
        """Execute a statement that writes; return how many rows it changed."""
        status = await self.connection.execute(sql, *map(_storable, values))
        return int(status.rpartition(" ")[2])

    async def one(self, sql: str, *values: Any) -> Row | None:
        """Return the first row of a statement, or None."""
        row: Row | None = await self.connection.fetchrow(sql, *map(_storable, values))
        return row

    async def number(self, sql: str, *values: Any) -> int:
        """Return the number that is the only row of a statement."""
        return int(await self.connection.fetchval(sql, *map(_storable, values)))

    async def all(self, sql: str, *values: Any) -> list[Row]:
        """Return all rows of a statement."""
        rows: list[Row] = await self.connection.fetch(sql, *map(_storable, values))
        return rows


Operation = Callable[[Transaction], Awaitable[T]]


def _storable(value: Any) -> Any:
    """Return a value as PostgreSQL takes it: its text has no U+0000.

    https://www.postgresql.org/docs/current/datatype-character.html
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd") if "\0" in value else value
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value


@dataclass(slots=True, eq=False)
class _Wish:
    """How far an operation has come that somebody waits for."""

    committing: bool = False
    error: BaseException | None = None


class Transactor:
    """Carries out operations, each in a transaction of its own."""

    def __init__(
        self, connections: Connections, *, clock: Clock, stirred: Callable[[], None]
    ) -> None:
        self.commits = 0
        self._connections = connections
        self._clock = clock
        self._stirred = stirred
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def do(
        self, operation: Operation[T], *, patience: float = PATIENCE_SECONDS, single: bool = False
    ) -> T:
        """Return what the operation returned, once it is durable.

        It is carried out even if the caller is cancelled.

        Args:
            operation: What to do; it may be done again, and must find its own mark then.
            patience: Seconds until it is given up.
            single: It is one statement, which is a transaction by itself, and does no harm if it
                is carried out unseen.

        Raises:
            StoreError: Nothing of it has happened, or, as the message says then, that is not known.
        """
        wish = _Wish()
        return await asyncio.shield(self._begin(operation, wish, patience, single))

    async def do_within(self, operation: Operation[T], seconds: float) -> T:
        """Return what the operation returned, once it is durable, inside *seconds*.

        Dropped before COMMIT if the caller has gone by then.

        Raises:
            NotRecordedError: It is not durable, or too late to say so.
            StoreError: Nothing of it has happened.
        """
        wish = _Wish()
        task = self._begin(operation, wish, seconds + PATIENCE_SECONDS, False)
        try:
            return await asyncio.wait_for(asyncio.shield(task), seconds)
        except TimeoutError:
            raise NotRecordedError("not durable in time") from wish.error
        finally:
            if not task.done() and not wish.committing:
                task.cancel()

    async def close(self) -> None:
        """Finish what is under way."""
        self._closed = True
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def transaction(
        self, mark: str, *, single: bool = False, urgent: bool = False
    ) -> AsyncIterator[Transaction]:
        """Lend a transaction, to be ended by `commit` or rolled back as the block ends."""
        async with self._connections.one(urgent=urgent) as connection:
            if not single:
                await connection.execute("BEGIN")
            try:
                yield Transaction(connection, self._clock.now(), self._clock, mark)
            finally:
                if sys.exc_info()[0] is not asyncio.CancelledError:
                    await _roll_back(connection)

    async def commit(self, tx: Transaction) -> None:
        """End a transaction; if this raises, it is not known whether it was committed."""
        status = await tx.connection.execute("COMMIT")
        if status != "COMMIT":
            raise StoreError("the database rolled back what it was to commit")
        self.commits += 1

    def _begin(
        self, operation: Operation[T], wish: _Wish, patience: float, single: bool
    ) -> asyncio.Task[T]:
        if self._closed:
            raise StoreError("the store is closed")
        task = asyncio.create_task(self._persist(operation, wish, patience, single))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_seen)
        return task

    async def _persist(
        self, operation: Operation[T], wish: _Wish, patience: float, single: bool
    ) -> T:
        """Try until it is done, or for too long."""
        mark, pause = self._clock.entropy(8).hex(), PAUSE_SECONDS
        unknown = False
        try:
            async with asyncio.timeout(patience):
                while True:
                    try:
                        return await self._once(operation, wish, mark, single)
                    except VENDOR as error:
                        wish.error = error
                        unknown = unknown or (wish.committing and is_doubtful(error))
                        if not is_passing(error):
                            raise store_error(error) from error
                    wish.committing = False
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, MAX_PAUSE_SECONDS)
        except TimeoutError:
            if unknown or wish.committing:
                raise StoreError(
                    "the connection broke at COMMIT: whether it was written is not known"
                ) from wish.error
            raise store_error(wish.error) from wish.error

    async def _once(self, operation: Operation[T], wish: _Wish, mark: str, single: bool) -> T:
        async with self.transaction(mark, single=single) as tx:
            result = await operation(tx)
            if not single:
                wish.committing = True
                await self.commit(tx)
        if tx.stirred:
            self._stirred()
        return result


async def _roll_back(connection: Connection) -> None:
    """Leave the connection outside of any transaction, if it is still good for anything."""
    if not connection.is_closed() and connection.is_in_transaction():
        with contextlib.suppress(*VENDOR):
            await connection.execute("ROLLBACK", timeout=_ROLLBACK_SECONDS)


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
