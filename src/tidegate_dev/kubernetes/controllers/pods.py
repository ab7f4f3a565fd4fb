"""Pods as the controllers above see them: made from a template, ready or not, missed or not."""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate_dev.kubernetes.controllers.clock import moment
from tidegate_dev.kubernetes.controllers.conditions import Condition, condition, is_true
from tidegate_dev.kubernetes.controllers.ownership import Object, is_going, reference
from tidegate_dev.kubernetes.defaults import fill_in
from tidegate_dev.kubernetes.resources import PODS
from tidegate_dev.kubernetes.watches import copied

_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_TOLERATIONS = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
]
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def pod_from(
    owner: Object, template: Object, name: str, *, labels: Mapping[str, str] | None = None
) -> Object:
    """Return a pod of *template* that *owner* controls."""
    meant = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(meant.get("labels") or {}), **(labels or {})},
        "ownerReferences": [reference(owner)],
    }
    if meant.get("annotations"):
        metadata["annotations"] = dict(meant["annotations"])
    spec = copied(template.get("spec") or {})
    spec.setdefault("tolerations", []).extend(copied(_TOLERATIONS))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    fill_in(PODS, pod)
    return pod


def is_active(pod: Object) -> bool:
    """Return whether *pod* counts: it has not ended, and is not on its way out."""
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and not is_going(pod)


def is_ready(pod: Object) -> bool:
    """Return whether *pod* takes traffic."""
    return is_true(pod["status"], "Ready")


def available_at(pod: Object, min_ready_seconds: int) -> float | None:
    """Return when *pod* is, or was, ready for long enough; None while it is not ready."""
    ready = condition(pod["status"], "Ready")
    if ready is None or ready["status"] != "True":
        return None
    since = _since(ready)
    if since is None:  # who wrote the status did not say
        return None if min_ready_seconds else 0.0
    return since + min_ready_seconds


def is_available(pod: Object, min_ready_seconds: int, now: float) -> bool:
    """Return whether *pod* has been ready for at least that long."""
    at = available_at(pod, min_ready_seconds)
    return at is not None and (min_ready_seconds == 0 or at <= now)


def next_available(pods: Iterable[Object], min_ready_seconds: int, now: float) -> float | None:
    """Return in how many seconds the next of *pods* has been ready for long enough."""
    if min_ready_seconds == 0:
        return None
    found = (available_at(pod, min_ready_seconds) for pod in pods)
    return min((at - now for at in found if at is not None and at > now), default=None)


def least_missed(pods: Iterable[Object]) -> list[Object]:
    """Return *pods*, those first that a ReplicaSet with too many deletes first.

    Unassigned before assigned, pending before running, not ready before ready, then by deletion
    cost, crowded nodes first, the one that is ready for less time, more restarts, and the younger:
    https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset
    """
    pods = list(pods)
    crowd: dict[str, int] = {}
    for pod in pods:
        crowd[_node(pod)] = crowd.get(_node(pod), 0) + 1
    return sorted(pods, key=lambda pod: _worth(pod, crowd[_node(pod)]))


def restarts(pod: Object) -> int:
    """Return how often containers of *pod* were restarted, as the one restarted most."""
    found = pod["status"].get("containerStatuses") or []
    return max((int(entry.get("restartCount", 0)) for entry in found), default=0)


def _worth(pod: Object, crowd: int) -> tuple[Any, ...]:
    ready = condition(pod["status"], "Ready") if is_ready(pod) else None
    since = (_since(ready) if ready else None) or 0.0
    return (
        bool(_node(pod)),
        _PHASES.get(pod["status"].get("phase", "Pending"), 0),
        is_ready(pod),
        int((pod["metadata"].get("annotations") or {}).get(_DELETION_COST, 0)),
        -crowd,
        -since,
        -restarts(pod),
        -moment(pod["metadata"]["creationTimestamp"]),
        pod["metadata"]["name"],
    )


def _since(told: Condition) -> float | None:
    """Return when a condition became what it is, if it says so."""
    written = told.get("lastTransitionTime")
    return moment(written) if written else None


def _node(pod: Object) -> str:
    return str(pod["spec"].get("nodeName") or "")
