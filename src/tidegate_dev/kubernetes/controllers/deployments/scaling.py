"""How many pods each ReplicaSet of a Deployment is to have."""

from typing import Final

from tidegate_dev.kubernetes.controllers.budget import rolling_budget
from tidegate_dev.kubernetes.controllers.deployments.family import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    Family,
    annotation,
    available,
    replicas,
    size_annotations,
)
from tidegate_dev.kubernetes.controllers.events import Recorder
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.resources import REPLICA_SETS
from tidegate_dev.kubernetes.store import Store

COMPONENT: Final = "deployment-controller"


class Scaler:
    """Sets the size of ReplicaSets, and tells of it."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

    def scale(self, deployment: Object, replica_set: Object, size: int) -> bool:
        """*replica_set* is to have *size* pods; return whether that is news."""
        before = replicas(replica_set)
        annotations = replica_set["metadata"].setdefault("annotations", {})
        annotations.update(size_annotations(deployment))
        replica_set["spec"]["replicas"] = size
        replica_set.update(self._store.update(REPLICA_SETS, replica_set))
        if size == before:
            return False
        self.tell(deployment, replica_set, before)
        return True

    def tell(self, deployment: Object, replica_set: Object, before: int) -> None:
        """An event says that *replica_set* was of another size."""
        size = replicas(replica_set)
        message = (
            f"Scaled {'up' if size > before else 'down'} replica set "
            f"{replica_set['metadata']['name']} from {before} to {size}"
        )
        self._recorder.record(deployment, "ScalingReplicaSet", message, component=COMPONENT)

    def spread(self, family: Family) -> None:
        """The ReplicaSets have the Deployment's size between them.

        Where only one has pods it gets all; in the middle of a rollout each keeps its share:
        https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling
        """
        deployment = family.deployment
        only = _only_one(family)
        if only is not None:
            self.scale(deployment, only, replicas(deployment))
        elif family.new is not None and _is_saturated(deployment, family.new):
            for replica_set in family.active_old:
                self.scale(deployment, replica_set, 0)
        elif (deployment["spec"].get("strategy") or {}).get("type") != "Recreate":
            self._share_out(family)

    def _share_out(self, family: Family) -> None:
        deployment = family.deployment
        active = [found for found in family.all if replicas(found) > 0]
        if not active:
            return
        wanted = replicas(deployment)
        allowed = wanted + rolling_budget(deployment["spec"]).surge if wanted else 0
        to_add = allowed - sum(map(replicas, active))
        # The largest get their share first; of equal ones the newest when growing, else the oldest.
        ordered = _by_size(active, newer_first=to_add > 0)
        sizes, added = [], 0
        for replica_set in ordered:
            share = _share(replica_set, deployment, to_add, added)
            sizes.append(replicas(replica_set) + share)
            added += share
        sizes[0] = max(0, sizes[0] + to_add - added)
        for replica_set, size in zip(ordered, sizes, strict=True):
            self.scale(deployment, replica_set, size)


def room_for_new(family: Family) -> int:
    """Return how many pods the new ReplicaSet may have now."""
    wanted = replicas(family.deployment)
    now = replicas(family.new) if family.new else 0
    if (family.deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return wanted
    most = wanted + rolling_budget(family.deployment["spec"]).surge
    return now + max(0, min(most - family.total, wanted - now))


def is_resized(family: Family) -> bool:
    """Return whether the Deployment's size is not the one its ReplicaSets know."""
    wanted = replicas(family.deployment)
    return any(
        annotation(found, DESIRED_REPLICAS, wanted) != wanted
        for found in family.all
        if replicas(found) > 0
    )


def _only_one(family: Family) -> Object | None:
    """Return the ReplicaSet that has all pods, or the latest if none has any."""
    active = [found for found in family.all if replicas(found) > 0]
    if len(active) > 1 or not family.all:
        return None
    if active:
        return active[0]
    return family.new or family.old[-1]


def _is_saturated(deployment: Object, new: Object) -> bool:
    wanted = replicas(deployment)
    return (
        replicas(new) == wanted
        and annotation(new, DESIRED_REPLICAS, -1) == wanted
        and available(new) == wanted
    )


def _by_size(replica_sets: list[Object], *, newer_first: bool) -> list[Object]:
    """Return *replica_sets*, which come oldest first, the largest first."""
    by_age = replica_sets[::-1] if newer_first else replica_sets
    return sorted(by_age, key=replicas, reverse=True)


def _share(replica_set: Object, deployment: Object, to_add: int, added: int) -> int:
    """Return how many of *to_add* pods *replica_set* gets, after others got *added*."""
    left = to_add - added
    if replicas(replica_set) == 0 or left == 0:
        return 0
    share = _fraction(replica_set, deployment)
    return min(share, left) if to_add > 0 else max(share, left)


def _fraction(replica_set: Object, deployment: Object) -> int:
    size, wanted = replicas(replica_set), replicas(deployment)
    if wanted == 0:
        return -size
    most = wanted + rolling_budget(deployment["spec"]).surge
    before = annotation(replica_set, MAX_REPLICAS) or int(
        (deployment.get("status") or {}).get("replicas", 0)
    )
    if before == 0:
        return 0
    return int(size * most / before + 0.5) - size
