"""What the agent does of its own: go on with what was left undone, and remove old records."""

from collections import Counter
from typing import Final

from tidegate_agent.app.change import Changes
from tidegate_agent.app.world import World
from tidegate_agent.core import operation
from tidegate_agent.core.operation import Operation, Phase
from tidegate_agent.errors import AgentError, KubernetesError, RecordLostError, UnavailableError

MAX_FAILURES: Final = 5
BROKEN: Final = (
    "Whether this was done cannot be told: the agent breaks down at it. Look before you try again."
)


class Upkeep:
    """Looks after the records; called at start, and then every now and again."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world = world
        self._changes = changes
        self._failures: Counter[str] = Counter()  # by key: how often it broke the agent

    async def recover(self) -> int:
        """Return how many operations were gone on with that an agent had left undone.

        Those whose lease still holds are left to their holder: call again once it has passed.

        Raises:
            KubernetesError: The records cannot be listed.
        """
        resumed = 0
        for left in await self._world.records.all(Phase.CLAIMED, Phase.PLANNED):
            if self._world.takeable(left):
                resumed += await self._resume(left)
        return resumed

    async def prune(self) -> int:
        """Return how many records were removed.

        Raises:
            KubernetesError: The records cannot be listed.
        """
        rules = self._world.rules
        found = await self._world.records.all()
        now = self._world.clock.now()
        keys = frozenset(
            operation.prunable(found, now=now, keep=rules.retention_seconds, most=rules.max_records)
        )
        removed = 0
        for each in found:
            if each.key in keys:
                removed += await self._drop(each)
        return removed

    async def _resume(self, left: Operation) -> bool:
        try:
            await self._changes.resume(left)
        except (UnavailableError, KubernetesError) as error:
            self._world.note("not_resumed", left, level="warning", error=type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - one that cannot be gone on with keeps no other back
            self._world.note("not_resumed", left, level="error", error=type(error).__name__)
            await self._give_up(left)
            return False
        self._failures.pop(left.key, None)
        return True

    async def _give_up(self, left: Operation) -> None:
        """An operation at which the agent breaks down ends as unknown, if not at once, in time."""
        self._failures[left.key] += 1
        late = self._world.clock.now() >= left.deadline_at
        if not late and self._failures[left.key] < MAX_FAILURES:
            return
        try:
            found = await self._world.records.find(left.key)
            if found is None or found.phase.ended or not self._world.takeable(found):
                return
            now = self._world.clock.now()
            done = operation.ended(found, Phase.UNKNOWN, BROKEN, now=now, level="error")
            await self._world.records.write(done)
        except (AgentError, OSError) as error:
            self._world.note("not_written", left, level="warning", error=type(error).__name__)
            return
        self._failures.pop(left.key, None)
        self._world.note(Phase.UNKNOWN.value, done, level="error")

    async def _drop(self, old: Operation) -> bool:
        try:
            await self._world.records.drop(old)
        except (KubernetesError, RecordLostError) as error:
            self._world.note("not_pruned", old, level="warning", error=type(error).__name__)
            return False
        except Exception as error:  # noqa: BLE001 - as above
            self._world.note("not_pruned", old, level="error", error=type(error).__name__)
            return False
        return True
