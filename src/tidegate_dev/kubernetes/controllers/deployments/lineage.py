"""Keeping a Deployment's ReplicaSets: finding, numbering and making them, and ending old ones."""

from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import Clock
from tidegate_dev.kubernetes.controllers.conditions import condition, set_condition
from tidegate_dev.kubernetes.controllers.deployments.family import (
    HASH_LABEL,
    REVISION,
    Family,
    bare,
    carry_over,
    family_of,
    replicas,
    revision,
    size_annotations,
)
from tidegate_dev.kubernetes.controllers.deployments.scaling import Scaler, room_for_new
from tidegate_dev.kubernetes.controllers.deployments.status import has_deadline, progressing
from tidegate_dev.kubernetes.controllers.names import fingerprint
from tidegate_dev.kubernetes.controllers.ownership import (
    Object,
    claim,
    controller_of,
    is_going,
    reference,
)
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, REPLICA_SETS
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.watches import copied

_DEFAULT_HISTORY: Final = 10


class Lineage:
    """The succession of ReplicaSets in each Deployment."""

    def __init__(self, store: Store, clock: Clock, scaler: Scaler) -> None:
        self._store = store
        self._clock = clock
        self._scaler = scaler

    def family(self, deployment: Object) -> Family:
        """Return the family; the new ReplicaSet, if there is one, is the newest revision."""
        family = family_of(deployment, claim(self._store, REPLICA_SETS, deployment))
        if family.new is not None:
            self._renew(family, family.new)
        return family

    def make_new(self, family: Family) -> None:
        """There is a ReplicaSet for the template, with as many pods as there is room for."""
        if family.new is not None:
            return
        deployment = family.deployment
        made = self._create(family)
        if made is None:
            return  # a collision was noted; the next round takes another hash
        family.new = made
        note = progressing(
            "True",
            "NewReplicaSetCreated",
            f'Created new replica set "{made["metadata"]["name"]}"',
            self._clock.now(),
        )
        self._note(deployment, made, note if has_deadline(deployment) else None)
        if replicas(made):
            self._scaler.tell(deployment, made, 0)

    def clean_up(self, family: Family) -> None:
        """No more empty ReplicaSets of the past are kept than `revisionHistoryLimit`."""
        limit = int(family.deployment["spec"].get("revisionHistoryLimit", _DEFAULT_HISTORY))
        kept = [found for found in family.old if not is_going(found)]
        too_many = max(0, len(kept) - limit)
        for replica_set in sorted(kept, key=revision)[:too_many]:
            if _is_done_with(replica_set):
                metadata = replica_set["metadata"]
                self._store.delete(REPLICA_SETS, metadata["namespace"], metadata["name"])

    def _renew(self, family: Family, new: Object) -> None:
        """*new* has the highest revision and what the Deployment says now."""
        deployment = family.deployment
        carry_over(deployment, new, max(map(revision, family.old), default=0) + 1)
        min_ready = deployment["spec"].get("minReadySeconds", 0)
        if min_ready or new["spec"].get("minReadySeconds"):
            new["spec"]["minReadySeconds"] = min_ready
        new.update(self._store.update(REPLICA_SETS, new))
        note = None
        known = condition(deployment.get("status") or {}, "Progressing")
        if known is None and has_deadline(deployment):
            message = f'Found new replica set "{new["metadata"]["name"]}"'
            note = progressing("True", "FoundNewReplicaSet", message, self._clock.now())
        self._note(deployment, new, note)

    def _note(self, deployment: Object, new: Object, note: dict[str, Any] | None) -> None:
        """The Deployment has the revision of *new*, and the condition *note*, if any."""
        annotations = deployment["metadata"].setdefault("annotations", {})
        annotations[REVISION] = new["metadata"]["annotations"][REVISION]
        status = deployment.setdefault("status", {})
        if note is not None:
            set_condition(status, note)
        deployment.update(self._store.update(DEPLOYMENTS, deployment, subresource="status"))

    def _create(self, family: Family) -> Object | None:
        """Return the new ReplicaSet; None if its name is taken by something else."""
        deployment = family.deployment
        collisions = int((deployment.get("status") or {}).get("collisionCount", 0))
        wanted = _replica_set(family, fingerprint(bare(deployment["spec"]["template"]), collisions))
        metadata = wanted["metadata"]
        taken = self._store.get(REPLICA_SETS, metadata["namespace"], metadata["name"])
        if taken is None:
            return self._store.create(REPLICA_SETS, wanted)
        owner = controller_of(taken) or {}
        if owner.get("uid") == deployment["metadata"]["uid"] and bare(
            taken["spec"]["template"]
        ) == bare(wanted["spec"]["template"]):
            return taken
        deployment.setdefault("status", {})["collisionCount"] = collisions + 1
        deployment.update(self._store.update(DEPLOYMENTS, deployment, subresource="status"))
        return None


def _replica_set(family: Family, hashed: str) -> Object:
    """Return the ReplicaSet that the Deployment's template asks for."""
    deployment = family.deployment
    spec, metadata = deployment["spec"], deployment["metadata"]
    template = copied(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = hashed
    selector = copied(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = hashed
    made: Object = {
        "metadata": {
            "name": f"{metadata['name']}-{hashed}",
            "namespace": metadata["namespace"],
            "labels": dict(labels),
            "annotations": {},
            "ownerReferences": [reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
        "status": {"replicas": 0},
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    carry_over(deployment, made, max(map(revision, family.old), default=0) + 1)
    made["metadata"]["annotations"].update(size_annotations(deployment))
    made["spec"]["replicas"] = room_for_new(family)
    return made


def _is_done_with(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    return (
        replicas(replica_set) == 0
        and not status.get("replicas")
        and replica_set["metadata"]["generation"] <= status.get("observedGeneration", 0)
    )
