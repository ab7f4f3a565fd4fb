"""What waits together is committed together: concurrent requests share one sync to disk.

Tickets gather while a transaction is under way; then they go into the next one, all of them. A
ticket may have a deadline, by which its caller is answered or refused: one whose caller has gone
is left out of what is committed, and a run that was committed all the same ends `expired`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from tidegate.adapters.postgres.failures import VENDOR, is_passing, store_error
from tidegate.adapters.postgres.transaction import (
    MAX_PAUSE_SECONDS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    Transaction,
    Transactor,
)
from tidegate.core.model import Recorded, RunId
from tidegate.errors import NotRecordedError, StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BATCH: Final = 256
MAX_WAITING: Final = 10_000
_LINGER_SECONDS: Final = 0.0005  # that follow-ups may wait for a request to share a commit with

#: Carries out items, each with its mark, in one transaction; what an item alone cannot do is
#: returned in its place.
CarryOut = Callable[[Transaction, Sequence[tuple[Item, str]]], Awaitable[Sequence[Any]]]
#: Returns once no earlier transaction can bring an item about any more.
WaitOut = Callable[[Transaction, Item], Awaitable[None]]
#: Takes recorded runs on: those whose caller has its answer, and those whose caller was refused.
FollowUp = Callable[[Transaction, Sequence[RunId], Sequence[RunId]], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item]):
    """An item that somebody waits for."""

    item: Item
    mark: str
    future: asyncio.Future[Any]
    deadline: float  # until when it is tried
    answer_by: float | None  # the caller must have its answer, or is refused
    run_id: RunId | None  # the run that it records, if it does
    gone: bool = False
    doubtful: bool = False  # a COMMIT of it was not answered
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _Received:
    """Recorded runs whose callers have been answered, or refused."""

    answered: list[RunId] = field(default_factory=list)
    refused: list[RunId] = field(default_factory=list)
    doubtful: list[Any] = field(default_factory=list)  # what the refused may have committed
    through: asyncio.Event = field(default_factory=asyncio.Event)

    def __bool__(self) -> bool:
        return bool(self.answered or self.refused)

    def add(self, other: "_Received") -> None:
        self.answered += other.answered
        self.refused += other.refused
        self.doubtful += other.doubtful


class Together(Generic[Item, Result]):
    """Carries out items of one kind, as many as wait in each transaction."""

    def __init__(
        self,
        transactor: Transactor,
        carry_out: CarryOut[Item],
        *,
        new_mark: Callable[[], str],
        stirred: Callable[[], None],
        follow_up: FollowUp | None = None,
        wait_out: WaitOut[Item] | None = None,
        urgent: bool = False,
        writers: int = 2,
    ) -> None:
        self._transactor = transactor
        self._carry_out = carry_out
        self._new_mark = new_mark
        self._stirred = stirred
        self._follow_up = follow_up
        self._wait_out = wait_out
        self._urgent = urgent
        self._waiting: deque[_Ticket[Item]] = deque()
        self._received = _Received()
        self._in_hand: set[_Received] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._writers = [asyncio.create_task(self._write()) for _ in range(writers)]

    async def do(self, item: Item) -> Result:
        """Return the item's result, once it is durable. It is carried out even if cancelled.

        Raises:
            StoreError: Nothing of it has happened, or, as the message says then, that is not known.
        """
        ticket = self._submit(item, time.monotonic() + PATIENCE_SECONDS, None, None)
        return await asyncio.shield(ticket.future)

    async def do_within(self, item: Item, seconds: float, *, run_id: RunId) -> Result:
        """Return the item's result, once it is durable, inside *seconds*.

        Dropped before COMMIT if the caller has gone by then; what is committed all the same is
        taken on as refused.

        Raises:
            NotRecordedError: It is not durable, or too late to say so.
            StoreError: Nothing of it has happened.
        """
        end = time.monotonic() + seconds
        ticket = self._submit(item, end, end, run_id)
        timer = asyncio.get_running_loop().call_later(seconds, _refuse, ticket)
        try:
            return await ticket.future  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            self._leave(ticket)
            raise
        finally:
            timer.cancel()

    async def caught_up(self) -> None:
        """Return when the runs recorded so far have gone on from `received`."""
        for received in [*self._in_hand, *([self._received] if self._received else [])]:
            await received.through.wait()

    async def close(self) -> None:
        """Finish what waits, follow-ups included."""
        self._stopping = True
        self._wake.set()
        await asyncio.gather(*self._writers, return_exceptions=True)

    def _submit(
        self, item: Item, deadline: float, answer_by: float | None, run_id: RunId | None
    ) -> _Ticket[Item]:
        if self._stopping:
            raise StoreError("the store is closed")
        if len(self._waiting) >= MAX_WAITING:
            raise StoreError("too much waits to be written; try again later")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        ticket = _Ticket(item, self._new_mark(), future, deadline, answer_by, run_id)
        self._waiting.append(ticket)
        self._wake.set()
        return ticket

    def _leave(self, ticket: _Ticket[Item]) -> None:
        """A caller was cancelled: before it was told, or with the answer on its way."""
        told = ticket.future.done() and not ticket.future.cancelled()
        if told and not ticket.future.exception() and isinstance(ticket.future.result(), Recorded):
            self._received.refused.append(ticket.future.result().run_id)
            self._wake.set()
        ticket.gone = True

    # --- the writers ---------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            if not self._waiting and not self._received:
                if self._stopping:
                    return
                self._wake.clear()
                await self._wake.wait()
            if self._received and not self._waiting and not self._stopping:
                await asyncio.sleep(_LINGER_SECONDS)
            tickets = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            received, self._received = self._received, _Received()
            self._in_hand.add(received)
            try:
                await self._settle(tickets, received)
            finally:
                self._in_hand.discard(received)
                received.through.set()

    async def _settle(self, tickets: Sequence[_Ticket[Item]], received: _Received) -> None:
        """Commit what was taken, or fail it: nobody waits for it in vain."""
        pause = PAUSE_SECONDS
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            tickets = self._those_left(tickets)
            late = self._stopping or time.monotonic() > end
            if not tickets and (not received or (late and pause > PAUSE_SECONDS)):
                self._received.add(received)  # if at all: the next batch takes it along
                return
            try:
                if await self._try(tickets, received):
                    return
                continue  # somebody went meanwhile: without them
            except VENDOR as error:
                for ticket in tickets:
                    ticket.error = error
                if not is_passing(error):
                    await self._one_by_one(tickets, received, error)
                    return
            except Exception as error:  # noqa: BLE001 - a mistake of ours is told who waits
                for ticket in tickets:
                    _fail(ticket, error)
            tickets = self._those_left(tickets)
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def _those_left(self, tickets: Sequence[_Ticket[Item]]) -> list[_Ticket[Item]]:
        """Fail those whose time is up; note the runs that may have been committed all the same."""
        now = time.monotonic()
        for ticket in tickets:
            if not ticket.gone and ticket.deadline <= now:
                _give_up(ticket)
            if ticket.gone and ticket.doubtful and ticket.run_id is not None:
                self._received.refused.append(ticket.run_id)
                self._received.doubtful.append(ticket.item)
                ticket.doubtful = False
        return [ticket for ticket in tickets if not ticket.gone and not ticket.future.done()]

    async def _one_by_one(
        self, tickets: Sequence[_Ticket[Item]], received: _Received, error: BaseException
    ) -> None:
        """Find out whose fault it was."""
        if len(tickets) <= 1 and not (tickets and received):
            for ticket in tickets:
                _fail(ticket, store_error(error))
            return
        if received:
            await self._settle([], received)
        for ticket in tickets:
            await self._settle([ticket], _Received())

    async def _try(self, tickets: Sequence[_Ticket[Item]], received: _Received) -> bool:
        """Carry out what was taken in one transaction; False if somebody went meanwhile."""
        now = time.monotonic()
        until = max((ticket.deadline for ticket in tickets), default=now + PATIENCE_SECONDS)
        async with (
            asyncio.timeout(max(0.0, until - now)),
            self._transactor.transaction("", urgent=self._urgent) as tx,
        ):
            if self._wait_out is not None:
                for item in received.doubtful:
                    await self._wait_out(tx, item)
            if self._follow_up is not None and received:
                await self._follow_up(tx, received.answered, received.refused)
            items = [(ticket.item, ticket.mark) for ticket in tickets]
            results = await self._carry_out(tx, items) if items else ()
            if any(ticket.gone for ticket in tickets):
                return False
            for ticket in tickets:
                ticket.doubtful = True
            await self._transactor.commit(tx)
        await self._committed(tickets, results)
        if tx.stirred:
            self._stirred()
        return True

    async def _committed(self, tickets: Sequence[_Ticket[Item]], results: Sequence[Any]) -> None:
        """Between COMMIT and telling the callers."""
        self._tell(tickets, results)

    def _tell(self, tickets: Sequence[_Ticket[Item]], results: Sequence[Any]) -> None:
        """Give the callers their answers, and have recorded runs taken on accordingly."""
        now = time.monotonic()
        for ticket, result in zip(tickets, results, strict=True):
            ticket.doubtful = False
            if ticket.answer_by is not None and now >= ticket.answer_by:
                _refuse(ticket)
            if not ticket.gone and not ticket.future.done():
                if isinstance(result, Exception):
                    ticket.future.set_exception(result)
                else:
                    ticket.future.set_result(result)
            if isinstance(result, Recorded):
                goes = self._received.refused if ticket.gone else self._received.answered
                goes.append(result.run_id)
        if self._received:
            self._wake.set()


def _refuse(ticket: _Ticket[Any]) -> None:
    """The caller's time is up."""
    if not ticket.gone and not ticket.future.done():
        refused = NotRecordedError("not durable in time")
        refused.__cause__ = ticket.error
        _fail(ticket, refused)


def _give_up(ticket: _Ticket[Any]) -> None:
    if ticket.answer_by is not None:
        _refuse(ticket)
    elif ticket.doubtful:
        what = "the connection broke at COMMIT: whether it was written is not known"
        _fail(ticket, StoreError(what))
    else:
        _fail(ticket, store_error(ticket.error))


def _fail(ticket: _Ticket[Any], error: Exception) -> None:
    ticket.gone = True
    if not ticket.future.done():
        ticket.future.set_exception(error)


def _seen(future: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()
