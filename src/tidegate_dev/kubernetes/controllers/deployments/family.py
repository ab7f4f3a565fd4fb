"""The ReplicaSets of a Deployment: which one is meant, which are its past, and their revisions."""

from dataclasses import dataclass
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.budget import rolling_budget
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.defaults import fill_in
from tidegate_dev.kubernetes.resources import REPLICA_SETS
from tidegate_dev.kubernetes.watches import copied

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_CARRIED_OVER: Final = frozenset(
    {
        _LAST_APPLIED,
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


@dataclass(slots=True)
class Family:
    """A Deployment and its ReplicaSets.

    Attributes:
        new: The one whose template is the Deployment's; None until it is made.
        old: All others, oldest first.
    """

    deployment: Object
    new: Object | None
    old: list[Object]

    @property
    def all(self) -> list[Object]:
        """Return every ReplicaSet."""
        return [*self.old, *([self.new] if self.new else [])]

    @property
    def active_old(self) -> list[Object]:
        """Return those of the past that are to have pods."""
        return [found for found in self.old if replicas(found) > 0]

    @property
    def total(self) -> int:
        """Return how many pods the ReplicaSets are to have together."""
        return sum(map(replicas, self.all))

    @property
    def available(self) -> int:
        """Return how many pods are available."""
        return sum(map(available, self.all))


def family_of(deployment: Object, replica_sets: list[Object]) -> Family:
    """Return *deployment* with its *replica_sets* told apart.

    Of several whose template is meant, the oldest is the one, as in Kubernetes.
    """
    by_age = sorted(replica_sets, key=_age)
    template = bare(deployment["spec"]["template"])
    new = next((found for found in by_age if bare(found["spec"]["template"]) == template), None)
    return Family(deployment, new, [found for found in by_age if found is not new])


def bare(template: Object) -> Object:
    """Return *template* with all that the server says for it, without the label of its hash."""
    holder: dict[str, Any] = {"spec": {"template": copied(template)}}
    fill_in(REPLICA_SETS, holder)
    bared: Object = holder["spec"]["template"]
    metadata = bared.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    labels = metadata.setdefault("labels", {})
    labels.pop(HASH_LABEL, None)
    return bared


def replicas(workload: Object) -> int:
    """Return how many pods *workload* is to have."""
    return int(workload["spec"].get("replicas", 1))


def available(replica_set: Object) -> int:
    """Return how many available pods *replica_set* said to have."""
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def annotation(obj: Object, name: str, default: int = 0) -> int:
    """Return the number in an annotation."""
    value = (obj["metadata"].get("annotations") or {}).get(name)
    return int(value) if value is not None and str(value).isdigit() else default


def revision(obj: Object) -> int:
    """Return the revision of a ReplicaSet or a Deployment; 0 while it has none."""
    return annotation(obj, REVISION)


def carry_over(deployment: Object, replica_set: Object, number: int) -> None:
    """*replica_set* has the Deployment's annotations, and at least revision *number*.

    A lower revision that it had is kept in its history: it was rolled back to.
    """
    annotations = replica_set["metadata"].setdefault("annotations", {})
    for name, value in (deployment["metadata"].get("annotations") or {}).items():
        if name not in _NOT_CARRIED_OVER:
            annotations[name] = value
    before = revision(replica_set)
    if before >= number:
        return
    annotations[REVISION] = str(number)
    if before:
        history = annotations.get(REVISION_HISTORY)
        annotations[REVISION_HISTORY] = f"{history},{before}" if history else str(before)


def size_annotations(deployment: Object) -> dict[str, str]:
    """Return what a ReplicaSet of *deployment* remembers of the Deployment's size."""
    wanted = replicas(deployment)
    return {
        DESIRED_REPLICAS: str(wanted),
        MAX_REPLICAS: str(wanted + rolling_budget(deployment["spec"]).surge),
    }


def _age(replica_set: Object) -> tuple[str, int, str]:
    metadata = replica_set["metadata"]
    return metadata["creationTimestamp"], revision(replica_set), metadata["name"]
