"""What the agent does of its own: go on with what was left undone, and remove old records."""

from tidegate_agent.app.change import Changes
from tidegate_agent.app.world import World
from tidegate_agent.core import operation
from tidegate_agent.core.operation import Operation, Phase
from tidegate_agent.errors import KubernetesError, RecordLostError, UnavailableError


class Upkeep:
    """Looks after the records; called at start, and then every now and again."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world = world
        self._changes = changes

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
        return True

    async def _drop(self, old: Operation) -> bool:
        try:
            await self._world.records.drop(old)
        except (KubernetesError, RecordLostError) as error:
            self._world.note("not_pruned", old, level="warning", error=type(error).__name__)
            return False
        return True
