"""One agent's way with one operation: from where its record is to a change that was made.

The order of steps is what makes it safe to die between any two of them: the plan is written before
the change is sent, and what was sent is compared with what is there before it is sent again.
"""

import asyncio
from dataclasses import replace
from typing import Any, Final

from tidegate_agent.app import plan as planning
from tidegate_agent.app.cluster import Cluster
from tidegate_agent.app.plan import Sight
from tidegate_agent.app.world import World
from tidegate_agent.core import answer, operation, workload
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.change import Plan
from tidegate_agent.core.operation import Operation, Outcome, Phase, Refusal
from tidegate_agent.core.request import ChangeOrder, Rollback, Scale
from tidegate_agent.core.workload import Workload
from tidegate_agent.errors import (
    AmbiguousError,
    ConflictError,
    InvalidError,
    KubernetesError,
    RecordLostError,
    RefusedError,
    StateError,
    UnavailableError,
)

MAX_TRIES: Final = 6
NOT_BEGUN: Final = "Cancelled before anything was done."
_PAUSE_SECONDS: Final = 0.05


class Attempt:
    """Carries one operation on; held by this agent for as long as its lease lasts.

    Args:
        world: What there is.
        mine: The operation, as this agent has just written it; its change was not noted as made.
        by_request: Whether a request waits for the answer, to be told whether to come again.
        begin: Whether a change that was not made is to be made; else it is cancelled.
    """

    def __init__(
        self, world: World, mine: Operation, *, by_request: bool, begin: bool = True
    ) -> None:
        self._world = world
        self._mine = mine
        self._by_request = by_request
        self._begin = begin
        self._first: str | None = None  # the template's fingerprint when it was first read
        self._doubtful = mine.phase is Phase.PLANNED  # it was sent, perhaps: compare from now on
        self._open = self._doubtful  # it may have been made, or may be yet
        self._under_way = False  # what this agent sent may still arrive
        # What another sent, or this one before, may still arrive.
        self._awaited = self._doubtful and world.clock.now() < mine.sent_until
        self._sent_until = mine.sent_until if self._awaited else 0.0

    async def run(self) -> Answer:
        """Return what the request is answered."""
        try:
            return await self._make()
        except RecordLostError:
            return await self._handed_over()
        except RefusedError as refused:
            return await self._refuse(answer.of_error(refused), field=refused.field)
        except (UnavailableError, KubernetesError) as error:
            told = answer.of_error(error)
            return await (self._put_off(told) if told.status == 503 else self._refuse(told))

    async def _make(self) -> Answer:
        cluster = self._world.cluster(self._mine.who, self._mine.asked.target.namespace)
        for attempt in range(MAX_TRIES):
            if attempt:
                await self._world.clock.sleep(_PAUSE_SECONDS * attempt)
            sight = await planning.look(cluster, self._pinned(), traces=self._doubtful)
            match self._outcome(sight):
                case Outcome.MADE:
                    return await self._made(sight.now, found=True)
                case Outcome.UNDECIDABLE:
                    return await self._unknown("was changed by somebody else since.")
                case Outcome.NOT_MADE if not self._begin:
                    if self._awaited:
                        return await self._wait()
                    return await self._end(Phase.CANCELLED, NOT_BEGUN, level="warning")
                case Outcome.NOT_MADE:
                    self._check_time()
                    self._hold_still(sight.now)
            plan = await self._plan(cluster, sight)
            if plan.patch is None:
                return await self._end(Phase.SUCCEEDED, plan.message)
            after = await self._send(cluster, plan, sight.now)
            if after is not None:
                return await self._made(after)
        raise UnavailableError(
            f"{self._mine.asked.target.words} changes all the time; nothing was done.",
            retry_after=5.0,
        )

    def _pinned(self) -> ChangeOrder:
        """Return the order, with the revision that was first chosen for a rollback."""
        asked, noted = self._mine.asked, self._mine.noted
        if not isinstance(asked, Rollback) or asked.revision or noted is None:
            return asked
        return replace(asked, revision=noted.revision or 0)

    def _outcome(self, sight: Sight) -> Outcome:
        """Return whether the change was made, by what is there now."""
        noted = self._mine.noted
        if not self._doubtful or noted is None:
            return Outcome.NOT_MADE
        traces = [revision.annotations for revision in sight.revisions]
        found = operation.outcome(noted, self._mine.asked, self._mine.key, sight.now, traces)
        # What is still under way can only arrive while the workload is the one it was meant for.
        same = sight.now.resource_version == noted.resource_version
        self._under_way &= same
        self._awaited &= same and self._world.clock.now() < self._sent_until
        self._open = found is not Outcome.NOT_MADE or self._under_way
        return found

    def _check_time(self) -> None:
        """Return if it is not too late to begin. Raises `StateError`."""
        if self._world.clock.now() >= self._mine.deadline_at:
            raise StateError("This was not begun in time; nothing was done.")

    def _hold_still(self, now: Workload) -> None:
        """Return if an order still means what it meant when the workload was first read.

        A rollback is a step from where things are. The others say what is to be, whatever was.

        Raises:
            StateError: Somebody has changed the template, so that it would be another step.
        """
        if not isinstance(self._mine.asked, Rollback):
            return
        seen = workload.fingerprint(now.template)
        if self._first is None:
            self._first = seen
        elif seen != self._first:
            raise StateError(
                f"{now.target.words} was changed by somebody else at the same moment; nothing was "
                "done. Look, and try again."
            )

    async def _plan(self, cluster: Cluster, sight: Sight) -> Plan:
        """Return the change to make, written down if there is one."""
        plan = await planning.decide(
            cluster,
            self._pinned(),
            sight,
            who=self._mine.who,
            rules=self._world.rules,
            at=self._mine.begun_at,  # the same for every agent that goes on with it
        )
        if plan.patch is not None:
            # Asked first: between the plan and the change there is nothing to wait for.
            await cluster.check_make(plan, self._pinned().target)
            self._mine = await self._world.records.write(
                operation.planned(self._mine, plan, lease_until=self._world.lease_end())
            )
            self._world.note("planned", self._mine)
        return plan

    async def _send(self, cluster: Cluster, plan: Plan, now: Workload) -> Workload | None:
        """Return the workload once changed, or None if it has to be looked at again.

        Raises:
            RecordLostError: The lease had to be renewed, and another agent has it by now.
        """
        asked, seconds = self._mine.asked, self._world.rules.send_seconds
        while self._world.clock.now() + seconds >= self._mine.lease_until:
            held = operation.leased(self._mine, self._world.lease_end())
            self._mine = await self._world.records.write(held)
        try:
            async with asyncio.timeout(seconds):
                raw = await cluster.make(plan, asked.target)
        except ConflictError:
            return None
        except InvalidError:
            # A JSON patch whose `test` failed is answered like one that is invalid.
            if (await cluster.workload(asked.target)).resource_version != now.resource_version:
                return None
            raise
        except (AmbiguousError, TimeoutError):
            self._doubtful = self._open = self._under_way = True
            return None
        if isinstance(asked, Scale):  # answered with its scale alone
            more = 1 if asked.replicas != now.replicas else 0
            return replace(now, generation=now.generation + more, replicas=asked.replicas)
        return workload.read(asked.target.kind, raw)

    # --- how it ends ------------------------------------------------------------------------------

    async def _made(self, after: Workload, *, found: bool = False) -> Answer:
        """Return that it is under way; the change is made, whether that can be written or not."""
        done = operation.applied(self._mine, after, now=self._world.clock.now(), found=found)
        before = dict(done.noted.before) if done.noted else {}
        self._world.note("made", done, before=before)
        await self._write(done)
        return accepted(done)

    async def _unknown(self, why: str) -> Answer:
        words = self._mine.asked.target.words
        told = f"Whether this was done cannot be told: {words} {why} Look before you try again."
        return await self._end(Phase.UNKNOWN, told, level="warning")

    async def _end(self, phase: Phase, message: str, *, level: str = "info") -> Answer:
        now = self._world.clock.now()
        done = operation.ended(self._mine, phase, message, now=now, level=level)
        self._world.note(phase.value, done, level=level)
        await self._write(done)
        return accepted(done)

    async def _refuse(self, told: Answer, *, field: str | None = None) -> Answer:
        """Return the refusal, written down so that the same request is refused so again."""
        notice = str(told.content["message"])
        if self._open:
            return await self._unknown(f"cannot be compared with the plan any more. {notice}")
        if self._awaited:
            return await self._wait()
        now = self._world.clock.now()
        done = operation.ended(self._mine, Phase.FAILED, notice, now=now, level="error")
        done = replace(done, refusal=Refusal(status=told.status, notice=notice, field=field))
        self._world.note("refused", done, status=told.status)
        await self._write(done)
        return told

    async def _put_off(self, told: Answer) -> Answer:
        """Return that it may be tried again, unless it may have been done.

        Whoever is told so may give up. Then nobody goes on with it but the same request.
        """
        now = self._world.clock.now()
        if self._open:  # whoever follows it finds out
            await self._write(replace(self._mine, lease_until=now))
            return accepted(self._mine)
        if self._awaited:
            return await self._wait()
        left = replace(self._mine, lease_until=now, sent_until=0.0, put_off=self._by_request)
        self._world.note("put_off", left)
        await self._write(left)
        return told

    async def _wait(self) -> Answer:
        """Return that it is being begun: it was not made, and what was sent may still arrive.

        Nobody is told that nothing was done until it cannot; whoever looks then finds out.
        """
        now = self._world.clock.now()
        self._world.note("awaited", self._mine)
        await self._write(replace(self._mine, lease_until=now, sent_until=self._sent_until))
        return accepted(self._mine)

    async def _handed_over(self) -> Answer:
        """Return what has become of it in the hands of another agent."""
        self._world.note("handed_over", self._mine)
        try:
            found = await self._world.records.find(self._mine.key)
        except KubernetesError:
            found = None
        return accepted(found or self._mine)

    async def _write(self, done: Operation) -> None:
        try:
            await self._world.records.write(done)
        except (RecordLostError, KubernetesError) as error:
            # The next look finds the record as it was, and comes to the same.
            self._world.note("not_written", done, level="warning", error=type(error).__name__)


def accepted(kept: Operation) -> Answer:
    """Return what a request is answered whose operation is kept."""
    refusal = kept.refusal
    if refusal is not None:
        content: dict[str, Any] = {"message": refusal.notice, "status": answer.REFUSED}
        if refusal.field is not None:
            content["field"] = refusal.field
        return Answer(status=refusal.status, content=content)
    return Answer(
        status=202,
        content={"message": kept.message or "Taken.", "status": "accepted"},
        location=kept.location,
    )
