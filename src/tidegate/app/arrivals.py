"""The journey of an event of S3: received, recorded as runs, and only then deleted.

The queue delivers at least once and in no order. Each state of an object (its version, or else
its sequencer) is one run for each rule that means it, however often its event comes: the store
knows its delivery key. A message goes once all of its runs are committed; what cannot be followed
is buried with the reason, or left to the queue's own redrive policy.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tidegate.core import outcome, s3_events
from tidegate.core.arrival_rule import ArrivalRule, matching
from tidegate.core.model import Draft, Duplicate, Kind, Recorded, Run, RunId, State, run_id
from tidegate.core.routes import SHARES
from tidegate.core.s3_events import Appeared
from tidegate.errors import CredentialsError, EventError, QueueError, StoreError
from tidegate.ports import Clock, Journal, Message, Queue, Store

RECORD_SECONDS: Final = 5.0
#: Nobody waits at a button: what comes by the thousand is shared in the end.
START_SECONDS: Final = 86_400.0
DEADLINE_SECONDS: Final = 90_000.0
MOST_PAUSE_SECONDS: Final = 60.0
MOST_POSTPONED_SECONDS: Final = 300.0


class _LeftError(Exception):
    """A message whose runs are not all certain to be there: it has to come again."""


class Arrivals:
    """Shares objects that appear, by rules."""

    def __init__(
        self,
        *,
        queue: Queue,
        store: Store,
        clock: Clock,
        journal: Journal,
        rules: Iterable[ArrivalRule],
        buckets: Iterable[str],
    ) -> None:
        self._queue = queue
        self._store = store
        self._clock = clock
        self._journal = journal
        self._rules = tuple(rules)
        self._buckets = frozenset(buckets)

    async def watch(self, stop: asyncio.Event) -> None:
        """Take what arrives until *stop*; what was received by then is finished.

        A request for more is broken off: what SQS hands out at that very moment stays hidden for
        the queue's visibility timeout, and then comes again.
        """
        stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
        failures = 0
        try:
            while not stop.is_set():
                failures = 0 if await self._turn(stopping) else failures + 1
                if failures:
                    await self._pause(stopping, failures)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            await self._queue.close()

    async def _turn(self, stopping: "asyncio.Future[Any]") -> bool:
        """Take what has arrived; tell whether all went well."""
        receiving: asyncio.Future[Any] = asyncio.ensure_future(self._queue.receive())
        await asyncio.wait({receiving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            return True
        try:
            return await self._take(receiving.result())
        except (QueueError, CredentialsError) as error:
            reason = error.code if isinstance(error, QueueError) else "no_credentials"
            self._journal.note("queue_failed", level="warning", reason=reason)
            return False

    async def _pause(self, stopping: "asyncio.Future[Any]", failures: int) -> None:
        jitter = self._clock.jitter()
        seconds = outcome.backoff(failures, jitter=jitter, most=MOST_PAUSE_SECONDS)
        await asyncio.wait({stopping}, timeout=seconds)

    async def _take(self, messages: Sequence[Message]) -> bool:
        """Take messages, together; delete those that are done, postpone those that are not."""
        if not messages:
            return True
        results = await asyncio.gather(*map(self._one, messages), return_exceptions=True)
        done = [m for m, result in zip(messages, results, strict=True) if result is True]
        left = [m for m, result in zip(messages, results, strict=True) if _is_left(result)]
        stored = not any(isinstance(result, StoreError) for result in results)
        if done and (uncertain := await self._queue.delete(done)):
            # They come again, and are known.
            self._journal.note("queue_failed", level="warning", reason="kept", messages=uncertain)
        if left:
            await self._queue.postpone(left, seconds=self._postponed(left))
        for result in results:
            if isinstance(result, BaseException) and not _is_left(result):
                self._settle(result)
        return stored

    def _settle(self, error: BaseException) -> None:
        """Raise what concerns the queue; what is wrong with one message must not stop the rest."""
        if isinstance(error, QueueError | CredentialsError) or not isinstance(error, Exception):
            raise error
        # The message is left: it comes again, until the queue's redrive policy takes it.
        self._journal.note("event_failed", level="error", reason=type(error).__name__)

    async def _one(self, message: Message) -> bool:
        """Take one message; tell whether it is done with."""
        try:
            found = s3_events.parse(message.body)
        except EventError as error:
            return await self._unfollowed(message, error.code)
        known = [one for one in found if one.bucket in self._buckets]
        runs = [self._run(rule, one) for one in known for rule in matching(self._rules, one)]
        self._journal.note(
            "event_received", objects=len(found), runs=len(runs), receives=message.receives
        )
        for run in runs:
            await self._record(run)
        if len(known) < len(found):
            return await self._unfollowed(message, "unknown_bucket")
        return True

    async def _record(self, run: Run) -> None:
        """Return once it is certain that a run is there, this one or one of an earlier delivery."""
        try:
            draft = Draft(run=run, state=State.QUEUED)
            result = await self._store.record(draft, within=RECORD_SECONDS)
            if isinstance(result, Recorded):
                self._journal.note("event_shared", run=run.id, action=run.action)
            elif isinstance(result, Duplicate) and result.run_id is not None:
                await self._be_certain(result.run_id)
        except StoreError as error:
            kind = type(error).__name__
            self._journal.note("store_failed", level="error", action=run.action, reason=kind)
            raise

    async def _be_certain(self, known: RunId) -> None:
        # One that was committed after its recording was given up is about to be taken back.
        run = await self._store.run(known)
        if run is not None and run.state is State.RECEIVED:
            raise _LeftError

    async def _unfollowed(self, message: Message, reason: str) -> bool:
        """Bury a message that cannot be followed; without a place for it, leave it."""
        size, receives = len(message.body), message.receives
        if self._queue.buries:
            await self._queue.bury(message, reason=reason)
        self._journal.note(
            "event_dead",
            level="warning",
            reason=reason,
            size=size,
            receives=receives,
            buried=self._queue.buries,
        )
        return self._queue.buries

    def _postponed(self, left: Sequence[Message]) -> int:
        """Return for how many seconds; the longer, the more often they came."""
        receives = max(message.receives for message in left)
        jitter = self._clock.jitter()
        most = MOST_POSTPONED_SECONDS
        return round(1 + outcome.backoff(receives, jitter=jitter, first=1.0, most=most))

    def _run(self, rule: ArrivalRule, found: Appeared) -> Run:
        now = self._clock.now()
        return Run(
            id=run_id(now, self._clock.entropy(10)),
            kind=Kind.OBJECT,
            action=rule.action,
            action_id="",
            pathway=SHARES,
            state=State.RECEIVED,
            team_id="",
            user_id=rule.action,
            user_name=rule.name,
            channel_id=rule.channel_id,
            params=rule.params(found),
            delivery_key=found.delivery_key(rule.action),
            idempotent=True,
            created_at=now,
            updated_at=now,
            start_by=now + START_SECONDS,
            deadline_at=now + DEADLINE_SECONDS,
            next_at=now,
        )


def _is_left(result: object) -> bool:
    return isinstance(result, StoreError | _LeftError)
