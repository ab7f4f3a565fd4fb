"""One thread that writes: what waits together is committed together.

Concurrent requests share one fsync. The event loop alone decides whether a caller has
its answer or has gone; the thread reads that decision right before COMMIT, and leaves
what happens to a run afterwards to the loop. So the two need no lock between them.
"""

import asyncio
import contextlib
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tidegate.adapters.sqlite.failures import is_busy, store_error
from tidegate.adapters.sqlite.rows import Row, Values
from tidegate.core.model import Recorded, RunId
from tidegate.errors import NotRecordedError, StoreError
from tidegate.ports import Clock

T = TypeVar("T")

#: How long an operation without a deadline of its own waits for the lock. Real time, not the
#: clock's: it bounds a wait for other processes.
PATIENCE_SECONDS: Final = 10.0

MAX_BATCH: Final = 256
MAX_WAITING: Final = 10_000
HAND_OVER: Final = 16  # operations that are gathered before the thread is given them
_LINGER_SECONDS: Final = 0.0005  # that follow-ups may wait for a request to share a commit with
_CLOSE_SECONDS: Final = 2.0  # that closing waits for the lock
_LOCK_SECONDS: Final = 0.002  # before another process's lock is looked at again
_RETRY_SECONDS: Final = 0.25  # before follow-ups are tried again after a failure


@dataclass(slots=True)
class Transaction:
    """What an operation works in: one transaction, at one moment."""

    connection: sqlite3.Connection
    now: float
    clock: Clock
    stirred: bool = False  # something may be leased that could not be before

    def do(self, sql: str, values: Values = ()) -> int:
        """Execute a statement that writes; return how many rows it changed."""
        return self.connection.execute(sql, values).rowcount

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, or None."""
        row: Row | None = self.connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        return self.connection.execute(sql, values).fetchall()


Operation = Callable[[Transaction], T]
#: Takes recorded runs on: those whose caller has its answer, and those whose caller was refused.
FollowUp = Callable[[Transaction, Sequence[RunId], Sequence[RunId]], None]
#: Carries out operations of its kind at once, and takes on the runs whose caller has its answer.
#: Where that cannot be, it has done nothing: it returns None or raises.
Together = Callable[[Transaction, Sequence[Any], Sequence[RunId]], Sequence[Any] | None]


@dataclass(slots=True, eq=False)
class _Ticket:
    """An operation that somebody waits for."""

    operation: Operation[Any]
    future: asyncio.Future[Any]
    deadline: float  # of the wait for the lock
    answer_by: float | None = None  # the caller must have its answer, or is refused
    gone: bool = False  # written by the loop alone
    fenced: bool = False  # it failed after a write, so it is run again inside a savepoint
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Received:
    """Recorded runs that the loop has decided on."""

    answered: list[RunId] = field(default_factory=list)
    refused: list[RunId] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.answered or self.refused)

    def add(self, other: "_Received") -> None:
        self.answered += other.answered
        self.refused += other.refused


class Writer:
    """The one writer of this process; made and used on the event loop.

    Attributes:
        commits: How many transactions were committed.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        clock: Clock,
        follow_up: FollowUp,
        together: tuple[type, Together],
        on_change: Callable[[], None] | None,
    ) -> None:
        self.commits = 0
        self._alike, self._together = together
        self._connection = connection
        self._clock = clock
        self._follow_up = follow_up
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Ticket | _Received | None] = queue.SimpleQueue()
        self._limited: set[_Ticket] = set()  # whose callers wait only so long
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf
        self._gathered: list[_Ticket] = []
        self._tickets: list[_Ticket] = []
        self._received = _Received()
        self._failed = False
        self._stopping = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tidegate-store", daemon=True)
        self._thread.start()

    # --- on the loop -----------------------------------------------------------

    async def do(self, operation: Operation[T], *, patience: float = PATIENCE_SECONDS) -> T:
        """Return what the operation returned, once it is durable.

        It is carried out even if the caller is cancelled.

        Raises:
            StoreError: Nothing of it has happened.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._submit(_Ticket(operation, future, time.monotonic() + patience))
        return await future

    async def do_within(self, operation: Operation[T], seconds: float) -> T:
        """Return what the operation returned, once it is durable, inside *seconds*.

        Dropped before COMMIT if the caller has gone by then. If it returned `Recorded`,
        the run is taken on as the caller was told.

        Raises:
            NotRecordedError: It is not durable, or too late to say so.
            StoreError: Nothing of it has happened.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        end = time.monotonic() + seconds
        ticket = _Ticket(operation, future, end, answer_by=end)
        self._submit(ticket)
        self._limited.add(ticket)
        if end < self._wakes_at:
            self._wake_at(end)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(ticket)
            raise
        finally:
            self._limited.discard(ticket)

    async def close(self) -> None:
        """Finish what waits, end the thread and close the connection."""
        if not self._closed:
            # Answers are given in order: after this one, all before it have their follow-up.
            with contextlib.suppress(StoreError):
                await self.do(_nothing, patience=_CLOSE_SECONDS)
            self._closed = True
            self._queue.put(None)
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._thread.join)

    def _submit(self, ticket: _Ticket) -> None:
        if self._closed:
            raise _closed()
        if self._queue.qsize() + len(self._gathered) >= MAX_WAITING:
            raise StoreError("too much waits to be written; try again later")
        self._gathered.append(ticket)
        if len(self._gathered) >= HAND_OVER:
            self._hand_over()
        elif len(self._gathered) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Give the thread what was gathered in this turn of the loop.

        Waking it for each would have the two fight over the interpreter's lock; waking it for
        all of many at once would leave one of the two idle while the other works.
        """
        gathered, self._gathered = self._gathered, []
        for ticket in gathered:
            self._queue.put(ticket)

    def _wake_at(self, when: float) -> None:
        """Look at *when* for callers whose time is up. One timer for all: there are many."""
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._loop.call_later(max(0.0, when - time.monotonic()), self._refuse_late)

    def _refuse_late(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        now = time.monotonic()
        for ticket in self._limited:
            if ticket.deadline <= now:
                _refuse(ticket)
        if ends := [ticket.deadline for ticket in self._limited if not ticket.gone]:
            self._wake_at(min(ends))

    def _leave(self, ticket: _Ticket) -> None:
        """A caller was cancelled: before it was told, or with the answer on its way."""
        told = ticket.future.done() and not ticket.future.cancelled()
        if told and isinstance(ticket.result, Recorded):
            self._queue.put(_Received(refused=[ticket.result.run_id]))
        ticket.gone = True

    def _tell(self, tickets: Sequence[_Ticket], stirred: bool) -> None:
        """Give the callers their answers, and have recorded runs taken on accordingly."""
        received = _Received()
        now = time.monotonic()
        for ticket in tickets:
            if ticket.answer_by is not None and now >= ticket.answer_by:
                _refuse(ticket)
            if not ticket.gone and not ticket.future.done():
                if ticket.error is not None:
                    ticket.future.set_exception(ticket.error)
                else:
                    ticket.future.set_result(ticket.result)
            if isinstance(ticket.result, Recorded):
                goes = received.refused if ticket.gone else received.answered
                goes.append(ticket.result.run_id)
        if received:
            self._queue.put(received)
        if stirred and self._on_change is not None:
            self._on_change()

    # --- in the thread ---------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._collect():
                self._drop_gone()
                try:
                    self._transact()
                except sqlite3.Error as error:
                    self._roll_back()
                    self._meet(error)
        finally:  # whatever ended the thread, nobody waits for it in vain
            self._closed = True
            with contextlib.suppress(queue.Empty):
                while True:
                    item = self._queue.get_nowait()
                    if isinstance(item, _Ticket):
                        self._tickets.append(item)
            self._fail(self._tickets, _closed)
            self._connection.close()

    def _collect(self) -> bool:
        """Take what waits; block if nothing does. False once all is done and closed."""
        while len(self._tickets) < MAX_BATCH:
            try:
                item = self._next()
            except queue.Empty:
                break
            if item is None:
                self._stopping = True
            elif isinstance(item, _Ticket):
                self._tickets.append(item)
            else:
                self._received.add(item)
        self._failed = False
        return bool(self._tickets or self._received) or not self._stopping

    def _next(self) -> _Ticket | _Received | None:
        if self._tickets or self._stopping:
            return self._queue.get_nowait()
        if self._received:
            return self._queue.get(timeout=_RETRY_SECONDS if self._failed else _LINGER_SECONDS)
        return self._queue.get()

    def _drop_gone(self) -> None:
        self._tickets = [ticket for ticket in self._tickets if not ticket.gone]

    def _transact(self) -> None:
        """Carry out what was taken in one transaction, or leave it for the next turn."""
        tickets, received = self._tickets, self._received
        if not tickets and not received:
            return
        if self._transact_in_one(tickets, received):
            return
        self._connection.execute("BEGIN IMMEDIATE")
        transaction = Transaction(self._connection, self._clock.now(), self._clock)
        if received.refused:
            self._follow_up(transaction, (), received.refused)
        alone = self._carry_out_together(tickets, received.answered, transaction)
        whole = all(self._carry_out(ticket, transaction) for ticket in alone)
        if not whole or any(ticket.gone for ticket in tickets):
            self._connection.execute("ROLLBACK")
            return
        self._connection.execute("COMMIT")
        self._done(tickets, transaction)

    def _transact_in_one(self, tickets: list[_Ticket], received: _Received) -> bool:
        """Carry everything out by one statement that is a transaction of its own, if it can be.

        Beginning, inserting and committing one by one would have this thread wait for the
        interpreter's lock in between, while the event loop is busy. Nothing waits for the file's
        lock in here: whoever has gone by the time it is free must be left out.
        """
        alike = all(isinstance(t.operation, self._alike) and not t.fenced for t in tickets)
        if not alike or received.refused:
            return False
        transaction = Transaction(self._connection, self._clock.now(), self._clock)
        operations = [ticket.operation for ticket in tickets]
        results = None
        with contextlib.suppress(Exception):  # whose fault it is shows when each goes alone
            results = self._together(transaction, operations, received.answered)
        if results is None:
            self._roll_back()
            return False
        for ticket, result in zip(tickets, results, strict=True):
            ticket.result, ticket.error = result, None
        self._done(tickets, transaction)
        return True

    def _done(self, tickets: list[_Ticket], transaction: Transaction) -> None:
        self.commits += 1
        self._tickets, self._received = [], _Received()
        self._committed(tickets, transaction.stirred)

    def _carry_out_together(
        self, tickets: list[_Ticket], answered: Sequence[RunId], transaction: Transaction
    ) -> Sequence[_Ticket]:
        """Carry out at once what can be; return the tickets that are left."""
        alike = [t for t in tickets if isinstance(t.operation, self._alike) and not t.fenced]
        if not alike and not answered:
            return tickets
        operations = [ticket.operation for ticket in alike]
        try:
            results = self._together(transaction, operations, answered)
        except Exception:  # whose fault it is shows when each is carried out alone
            if not self._connection.in_transaction:
                raise
            results = None
        if results is None:
            if answered:
                self._follow_up(transaction, answered, ())
            return tickets
        for ticket, result in zip(alike, results, strict=True):
            ticket.result, ticket.error = result, None
        return [ticket for ticket in tickets if ticket not in alike]

    def _carry_out(self, ticket: _Ticket, transaction: Transaction) -> bool:
        """Run one operation so that its failure is its own; False if all must be run again.

        Savepoints are dear, and failures after a write rare: an operation gets one only in
        its second run.
        """
        ticket.result = ticket.error = None
        changes = self._connection.total_changes
        if ticket.fenced:
            self._connection.execute("SAVEPOINT operation")
        try:
            ticket.result = ticket.operation(transaction)
        except Exception as error:
            if not self._connection.in_transaction:  # SQLite gave up the whole transaction
                raise
            ticket.error = store_error(error) if isinstance(error, sqlite3.Error) else error
            if ticket.fenced:
                self._connection.execute("ROLLBACK TO operation")
            elif self._connection.total_changes != changes:
                ticket.fenced = True
                return False
        if ticket.fenced:
            self._connection.execute("RELEASE operation")
        return True

    def _committed(self, tickets: Sequence[_Ticket], stirred: bool) -> None:
        """Between COMMIT and telling the callers."""
        try:
            self._loop.call_soon_threadsafe(self._tell, tickets, stirred)
        except RuntimeError:  # the loop has ended: nobody was told, so nothing may come of it
            results = (ticket.result for ticket in tickets)
            self._received.refused += [r.run_id for r in results if isinstance(r, Recorded)]

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _meet(self, error: sqlite3.Error) -> None:
        """Wait on if only the lock is missing and there is time; else fail what was taken."""
        if is_busy(error) and not self._stopping:
            now = time.monotonic()
            time.sleep(_LOCK_SECONDS)
            late = [ticket for ticket in self._tickets if ticket.deadline <= now]
            self._tickets = [ticket for ticket in self._tickets if ticket.deadline > now]
        else:
            late, self._tickets = self._tickets, []
            # A COMMIT that failed may yet be found in the log after a power failure: the next
            # transaction overwrites it there, and expires what it may have recorded.
            results = (ticket.result for ticket in late)
            self._received.refused += [r.run_id for r in results if isinstance(r, Recorded)]
            if self._stopping:
                self._received = _Received()
        self._failed = True
        self._fail(late, lambda: store_error(error))

    def _fail(self, tickets: Sequence[_Ticket], error: Callable[[], StoreError]) -> None:
        for ticket in tickets:
            ticket.result, ticket.error = None, error()
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody to tell
            self._loop.call_soon_threadsafe(self._tell, tickets, False)


def _refuse(ticket: _Ticket) -> None:
    """The caller's time is up."""
    if not ticket.gone:
        ticket.gone = True
        if not ticket.future.done():
            ticket.future.set_exception(NotRecordedError("not durable in time"))


def _nothing(_: Transaction) -> None:
    """Wait for one's turn."""


def _closed() -> StoreError:
    return StoreError("the store is closed")
