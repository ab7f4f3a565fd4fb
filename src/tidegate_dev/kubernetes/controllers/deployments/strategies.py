"""The two ways from one ReplicaSet to the next.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#strategy
"""

from tidegate_dev.kubernetes.controllers.budget import rolling_budget
from tidegate_dev.kubernetes.controllers.deployments.family import (
    Family,
    available,
    replicas,
)
from tidegate_dev.kubernetes.controllers.deployments.lineage import Lineage
from tidegate_dev.kubernetes.controllers.deployments.scaling import Scaler, room_for_new
from tidegate_dev.kubernetes.controllers.ownership import owned
from tidegate_dev.kubernetes.resources import PODS
from tidegate_dev.kubernetes.store import Store

_ENDED = ("Succeeded", "Failed")


class RollingUpdate:
    """New pods come as there is room, old ones go as they can be spared."""

    def __init__(self, lineage: Lineage, scaler: Scaler) -> None:
        self._lineage = lineage
        self._scaler = scaler

    def step(self, family: Family) -> None:
        """The rollout is as far as it may be now; growth comes first, and is a step of its own."""
        self._lineage.make_new(family)
        if not self._grow(family):
            self._shrink(family)

    def _grow(self, family: Family) -> bool:
        new = family.new
        if new is None:
            return False
        wanted = replicas(family.deployment)
        size = wanted if replicas(new) > wanted else room_for_new(family)
        return self._scaler.scale(family.deployment, new, size)

    def _shrink(self, family: Family) -> None:
        if family.new is None or not family.active_old:
            return
        deployment = family.deployment
        least = replicas(deployment) - rolling_budget(deployment["spec"]).unavailable
        coming = replicas(family.new) - available(family.new)
        spare = family.total - least - coming
        if spare > 0:
            self._drop_unhealthy(family, spare)
            self._drop_old(family, least)

    def _drop_unhealthy(self, family: Family, spare: int) -> None:
        """What does not serve goes first, so that it cannot block the rollout."""
        for replica_set in family.active_old:
            size = replicas(replica_set)
            drop = min(spare, size - available(replica_set))
            if drop > 0:
                self._scaler.scale(family.deployment, replica_set, size - drop)
                spare -= drop

    def _drop_old(self, family: Family, least: int) -> None:
        """As many available pods of the past go as leaves *least*."""
        spare = family.available - least
        for replica_set in family.active_old:
            drop = min(spare, replicas(replica_set))
            if drop > 0:
                size = replicas(replica_set) - drop
                self._scaler.scale(family.deployment, replica_set, size)
                spare -= drop


class Recreate:
    """All old pods go; when they are gone, all new ones come."""

    def __init__(self, store: Store, lineage: Lineage, scaler: Scaler) -> None:
        self._store = store
        self._lineage = lineage
        self._scaler = scaler

    def step(self, family: Family) -> None:
        """Either nothing old is left, or the new ReplicaSet waits."""
        for replica_set in family.active_old:
            self._scaler.scale(family.deployment, replica_set, 0)
        if any(self._has_pods(replica_set) for replica_set in family.old):
            return
        self._lineage.make_new(family)
        if family.new is not None:
            self._scaler.scale(family.deployment, family.new, replicas(family.deployment))

    def _has_pods(self, replica_set: dict[str, object]) -> bool:
        pods = owned(self._store, PODS, replica_set)
        return any(pod["status"].get("phase") not in _ENDED for pod in pods)
