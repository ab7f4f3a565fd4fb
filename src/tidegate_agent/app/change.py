"""The journey of a change: claim the key, look, check, write the plan down, make it, write that.

An agent may die between any two of these. Whoever comes next with the key — the same request sent
again, a look at its progress, an agent that starts — goes on from the record: it compares the
workload with the plan, and makes the change only if it was not made. Two agents at once cannot
both make it: each writes the record only in the version that it read, and the patch holds only for
the workload that was read.
"""

from dataclasses import replace
from typing import Final

from tidegate_agent.app import plan as planning
from tidegate_agent.app.attempt import Attempt, accepted
from tidegate_agent.app.world import World
from tidegate_agent.core import answer, identity, operation, request
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Expected, Statement
from tidegate_agent.core.operation import Operation, Phase
from tidegate_agent.core.request import ChangeOrder
from tidegate_agent.errors import (
    AmbiguousError,
    IdentityError,
    KeyTakenError,
    RecordLostError,
    RefusedError,
    UnavailableError,
)

NOT_VOUCHED: Final = (
    "Whether this was done cannot be told: its record does not prove who asked for it. Look before "
    "you try again."
)


class Changes:
    """Carries out orders that change something."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def take(self, asked: ChangeOrder, who: Statement, body: bytes) -> Answer:
        """Return what a request for a change is answered; the same key gets the same operation.

        Args:
            asked: The order that the body is.
            who: Who asks, by a statement over the body.
            body: As it came.

        Raises:
            RefusedError: Nothing was done.
            UnavailableError: Nothing was done, and it may be tried again.
            KubernetesError: Nothing was done; the class says whether it may be tried again.
        """
        self._world.acting(who, asked.target.namespace)
        planning.check_bounds(asked, self._world.rules)
        if asked.dry_run:
            return await self._dry_run(asked, who)
        claimed = self._claimed(asked, who, body)
        kept = await self._claim(claimed)
        if kept is not None:
            self._world.note("claimed", kept)
            return await self._go_on(kept, by_request=True)
        found = await self._world.records.find(who.run)
        if found is None:
            raise UnavailableError("The operation was just given up; try again.")
        if found.digest != claimed.digest:
            raise KeyTakenError
        # What is believed is this request, not what the record says of the first one.
        same = replace(found, asked=asked, who=who, body=claimed.body)
        return await self.resume(same, by_request=True)

    async def resume(
        self, left: Operation, *, by_request: bool = False, begin: bool = True
    ) -> Answer:
        """Return what becomes of an operation, gone on with if somebody has left it undone.

        Args:
            left: The operation as it is kept.
            by_request: Whether it is asked for again: then it has all its time once more, and
                may be one that was put off.
            begin: Whether it is to be begun where it was not; else it is cancelled.

        Raises:
            UnavailableError: It could not be taken over; nothing was done by this.
            KubernetesError: As above.
        """
        undone = left.phase in (Phase.CLAIMED, Phase.PLANNED)
        waits = left.put_off and begin and not by_request
        if not undone or waits or not self._world.takeable(left):
            return accepted(left)
        if not by_request:
            try:
                left = self._vouched(left)
            except RefusedError as error:
                return await self._forsake(left, error)
        mine = replace(
            left, holder=self._world.holder, lease_until=self._world.lease_end(), put_off=False
        )
        if by_request:
            deadline = self._world.clock.now() + self._world.rules.rollout_seconds
            mine = replace(mine, deadline_at=deadline)
        try:
            mine = await self._world.records.write(mine)
        except RecordLostError:
            return accepted(left)  # somebody else goes on with it
        except AmbiguousError as error:
            raise UnavailableError("The cluster's API broke off; nothing was done yet.") from error
        self._world.note("resumed", mine)
        return await self._go_on(mine, by_request=by_request, begin=begin)

    def _vouched(self, left: Operation) -> Operation:
        """Return an operation as its statement has it, whatever its record says of that.

        Whoever may write ConfigMaps in the agent's namespace could write a record: they could not
        sign for it. An old statement that is written down again is too late to be begun.

        Raises:
            RefusedError: No statement of anybody asks for this.
        """
        rules, verb = self._world.rules, request.verb_of(left.asked)
        if self._world.keys is None:
            raise IdentityError("no_keys")
        expected = Expected(
            issuer=rules.issuer,
            audience=rules.audience,
            method="POST",
            path=f"/api/v1/{verb}",
            body=left.body,
            key=left.key,
            now=self._world.clock.now(),
        )
        recalled = identity.recall(left.who.token, expected, keys=self._world.keys)
        asked = self._world.order(verb, left.body, recalled.who)
        if asked != left.asked or left.asked.dry_run:
            raise IdentityError("another_order")
        latest = recalled.expires + rules.rollout_seconds
        return replace(left, who=recalled.who, deadline_at=min(left.deadline_at, latest))

    async def _forsake(self, left: Operation, error: RefusedError) -> Answer:
        """Return that an operation is unknown, written down; nothing is done for it."""
        reason = error.reason if isinstance(error, IdentityError) else type(error).__name__
        now = self._world.clock.now()
        done = operation.ended(left, Phase.UNKNOWN, NOT_VOUCHED, now=now, level="warning")
        try:
            done = await self._world.records.write(done)
        except RecordLostError:
            return accepted(left)
        self._world.note("not_vouched", done, level="error", reason=reason)
        return accepted(done)

    def _claimed(self, asked: ChangeOrder, who: Statement, body: bytes) -> Operation:
        rules = self._world.rules
        return operation.claim(
            asked,
            who,
            holder=self._world.holder,
            now=self._world.clock.now(),
            lease_seconds=rules.lease_seconds,
            rollout_seconds=rules.rollout_seconds,
            body=body,
        )

    async def _claim(self, claimed: Operation) -> Operation | None:
        """Return the claimed operation, or None if the key is taken, perhaps by this very call."""
        try:
            return await self._world.records.claim(claimed)
        except AmbiguousError as error:
            raise UnavailableError("The cluster's API broke off; nothing was done yet.") from error

    async def _go_on(self, mine: Operation, *, by_request: bool, begin: bool = True) -> Answer:
        if mine.key in self._world.busy:
            return accepted(mine)
        self._world.busy.add(mine.key)
        try:
            async with self._world.turn(mine.asked.target):
                attempt = Attempt(self._world, mine, by_request=by_request, begin=begin)
                return await attempt.run()
        finally:
            self._world.busy.discard(mine.key)

    async def _dry_run(self, asked: ChangeOrder, who: Statement) -> Answer:
        """Return what would change; nothing is claimed and nothing is kept."""
        cluster = self._world.cluster(who, asked.target.namespace)
        sight = await planning.look(cluster, asked)
        plan = await planning.decide(
            cluster, asked, sight, who=who, rules=self._world.rules, at=self._world.clock.now()
        )
        found = await planning.preview(cluster, asked, sight.now, plan)
        lines = "\n".join(each.line for each in found) or "Nothing would change."
        message = f"Only a dry run. {plan.message}\n{lines}"
        return Answer(
            status=200,
            content={
                "message": message[: answer.MAX_MESSAGE],
                "status": "dry run",
                "before": dict(plan.before),
                "after": dict(plan.after),
                "changes": [
                    {"path": each.path, "before": each.before, "after": each.after}
                    for each in found
                ],
            },
        )
