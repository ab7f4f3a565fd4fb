"""Where operations are kept: claimed once, then written only by who read them last."""

from dataclasses import replace

from tidegate_agent.core import record
from tidegate_agent.core.kinds import CONFIG_MAP
from tidegate_agent.core.operation import Operation, Phase
from tidegate_agent.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    RecordLostError,
    StateError,
)
from tidegate_agent.ports import Kubernetes, Object


class Records:
    """The operations of all agents, as ConfigMaps in their namespace.

    They are read and written as the agent itself, never as a person.

    Args:
        kubernetes: The cluster.
        home: The agents' namespace.
    """

    def __init__(self, kubernetes: Kubernetes, home: str) -> None:
        self._kubernetes = kubernetes
        self._home = home

    async def claim(self, operation: Operation) -> Operation | None:
        """Return the operation as it is kept now, or None if its key is taken.

        Raises:
            KubernetesError: It could not be kept; after `AmbiguousError` perhaps it is.
        """
        obj = record.to_config_map(operation, self._home)
        try:
            kept = await self._kubernetes.create(CONFIG_MAP, self._home, obj)
        except AlreadyExistsError:
            return None
        return _written(operation, kept)

    async def find(self, key: str) -> Operation | None:
        """Return the operation of a key, or None.

        Raises:
            StateError: There is a record, and it cannot be read.
            KubernetesError: The cluster does not say.
        """
        try:
            obj = await self._kubernetes.get(CONFIG_MAP, self._home, record.name(key))
        except NotFoundError:
            return None
        found = record.from_config_map(obj)
        if found is None or found.key != key:
            raise StateError("The record of this operation cannot be read.")
        return found

    async def write(self, operation: Operation) -> Operation:
        """Return the operation as it is kept now, in place of the version that was read.

        Raises:
            RecordLostError: Somebody else has written it since, or it is gone.
            KubernetesError: It was not written; after `AmbiguousError` perhaps it was.
        """
        obj = record.to_config_map(operation, self._home)
        try:
            kept = await self._kubernetes.update(CONFIG_MAP, self._home, obj)
        except (ConflictError, NotFoundError) as error:
            raise RecordLostError(operation.key) from error
        return _written(operation, kept)

    async def drop(self, operation: Operation) -> None:
        """*operation* is as if it had never been claimed, if it still is what was read."""
        await self._kubernetes.delete(
            CONFIG_MAP,
            self._home,
            record.name(operation.key),
            resource_version=operation.version,
        )

    async def all(self, *phases: Phase) -> tuple[Operation, ...]:
        """Return every operation, or those in some phases, whose record can be read."""
        labels = record.SELECTOR
        if phases:
            labels += f",{record.PHASE_LABEL} in ({','.join(phases)})"
        listed = await self._kubernetes.list(CONFIG_MAP, self._home, labels=labels)
        found = (record.from_config_map(obj) for obj in listed.items)
        return tuple(each for each in found if each is not None)


def _written(operation: Operation, kept: Object) -> Operation:
    version = kept["metadata"]["resourceVersion"]
    return replace(operation, version=str(version))
