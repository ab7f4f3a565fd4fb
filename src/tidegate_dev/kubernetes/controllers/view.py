"""What a person is shown of the cluster: workloads with their pods, their past and their events.

Read from the objects alone, so that it is what `kubectl` would tell.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import moment
from tidegate_dev.kubernetes.controllers.conditions import condition
from tidegate_dev.kubernetes.controllers.deployments.family import replicas, revision
from tidegate_dev.kubernetes.controllers.deployments.status import TIMED_OUT
from tidegate_dev.kubernetes.controllers.faults import version
from tidegate_dev.kubernetes.controllers.ownership import Object, controller_of
from tidegate_dev.kubernetes.controllers.pods import is_ready
from tidegate_dev.kubernetes.pod_states import state_of
from tidegate_dev.kubernetes.resources import (
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from tidegate_dev.kubernetes.store import Store

Json = dict[str, Any]

MOST_EVENTS: Final = 50
_WORKLOADS: Final = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
_BROKEN: Final = ("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "Error")


def state(store: Store, now: float, namespaces: Iterable[str] | None = None) -> Json:
    """Return what runs in *namespaces*, in those that have a workload if none are named."""
    if namespaces is None:
        found = [entry["metadata"]["name"] for entry in store.list(NAMESPACES)[0]]
        views = [view for name in found if (view := _namespace(store, name, now))["workloads"]]
    else:
        views = [_namespace(store, name, now) for name in namespaces]
    return {"namespaces": views}


def _namespace(store: Store, name: str, now: float) -> Json:
    contents = _Contents(store, name)
    workloads = [
        _workload(contents, workload, now)
        for resource in _WORKLOADS
        for workload in store.list(resource, name)[0]
    ]
    return {"name": name, "workloads": workloads}


class _Contents:
    """What a namespace holds beside its workloads, read once."""

    def __init__(self, store: Store, namespace: str) -> None:
        self.pods = store.list(PODS, namespace)[0]
        self.replica_sets = store.list(REPLICA_SETS, namespace)[0]
        self.revisions = store.list(CONTROLLER_REVISIONS, namespace)[0]
        self.events = store.list(EVENTS, namespace)[0]

    def past(self, workload: Object) -> list[Object]:
        """Return the objects that keep the revisions of *workload*, newest first."""
        if workload["kind"] == "Deployment":
            return sorted(_owned(self.replica_sets, [workload]), key=revision, reverse=True)
        kept = _owned(self.revisions, [workload])
        return sorted(kept, key=lambda entry: int(entry["revision"]), reverse=True)

    def pods_of(self, workload: Object) -> list[Object]:
        """Return the pods of *workload*, oldest first."""
        owners = [workload, *_owned(self.replica_sets, [workload])]
        pods = _owned(self.pods, owners)
        return sorted(
            pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"])
        )

    def events_of(self, workload: Object) -> list[Object]:
        """Return the events about *workload* and what it made, newest first.

        The end of an event's name tells the order of those in the same second.
        """
        made = _owned(self.replica_sets, [workload])
        about = [workload, *made]
        uids = {obj["metadata"]["uid"] for obj in [*about, *_owned(self.pods, about)]}
        makers = {obj["metadata"]["name"] for obj in (made or [workload])}
        found = [
            event
            for event in self.events
            if event["involvedObject"].get("uid") in uids or _pod_maker(event) in makers
        ]
        found.sort(key=_when, reverse=True)
        return found[:MOST_EVENTS]


def _workload(contents: _Contents, workload: Object, now: float) -> Json:
    image = workload["spec"]["template"]["spec"]["containers"][0]["image"]
    pods, past = contents.pods_of(workload), contents.past(workload)
    wanted = _wanted(workload)
    return {
        "kind": workload["kind"],
        "name": workload["metadata"]["name"],
        "image": image,
        "tag": version(image),
        "replicas": wanted,
        "ready": sum(map(is_ready, pods)),
        "status": _status(workload, pods, wanted),
        "revision": _number(past[0]) if past else 0,
        "pods": [_pod(pod, now) for pod in pods],
        "revisions": [_revision(entry) for entry in past],
        "events": [_event(event) for event in contents.events_of(workload)],
    }


def _wanted(workload: Object) -> int:
    if workload["kind"] == "DaemonSet":
        return int((workload.get("status") or {}).get("desiredNumberScheduled", 0))
    return replicas(workload)


def _status(workload: Object, pods: list[Object], wanted: int) -> str:
    """Return one word or two for how the workload is, the worst first."""
    status = workload.get("status") or {}
    progress = condition(status, "Progressing")
    if progress is not None and progress["reason"] == TIMED_OUT:
        return "failed"
    if any(state_of(pod) in _BROKEN for pod in pods) or condition(status, "ReplicaFailure"):
        return "degraded"
    if workload["spec"].get("paused"):
        return "paused"
    is_seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    if not is_seen or len(pods) != wanted or not all(map(is_ready, pods)):
        return "updating"
    if int(status.get("updatedReplicas", status.get("updatedNumberScheduled", 0))) != wanted:
        return "updating"
    return "healthy" if wanted else "scaled to zero"


def _pod(pod: Object, now: float) -> Json:
    born = moment(pod["metadata"]["creationTimestamp"])
    return {
        "name": pod["metadata"]["name"],
        "phase": state_of(pod),
        "ready": is_ready(pod),
        "tag": version(pod["spec"]["containers"][0]["image"]),
        "node": pod["spec"].get("nodeName", ""),
        "restarts": sum(
            int(entry.get("restartCount", 0))
            for entry in pod["status"].get("containerStatuses") or []
        ),
        "age_seconds": max(0, round(now - born)),
    }


def _revision(entry: Object) -> Json:
    kept = entry["data"]["spec"] if entry["kind"] == "ControllerRevision" else entry["spec"]
    annotations = entry["metadata"].get("annotations") or {}
    return {
        "number": _number(entry),
        "tag": version(kept["template"]["spec"]["containers"][0]["image"]),
        "at": _iso(entry["metadata"]["creationTimestamp"]),
        "cause": annotations.get(_CHANGE_CAUSE, ""),
    }


def _number(entry: Object) -> int:
    if entry["kind"] == "ControllerRevision":
        return int(entry["revision"])
    return revision(entry)


def _event(event: Object) -> Json:
    count = int(event.get("count") or 1)
    times = f" ({count} times)" if count > 1 else ""
    return {
        "at": _iso(event["lastTimestamp"]),
        "text": f"{event['involvedObject']['name']}: {event['message']}{times}",
        "level": "info" if event.get("type") == "Normal" else "warning",
    }


def _pod_maker(event: Object) -> str:
    """Return what made the pod that *event* is about, by the pod's name: it may be gone."""
    about = event["involvedObject"]
    return str(about["name"].rpartition("-")[0]) if about.get("kind") == "Pod" else ""


def _when(event: Object) -> tuple[str, str]:
    return str(event.get("lastTimestamp") or ""), event["metadata"]["name"].rpartition(".")[2]


def _owned(objects: Iterable[Object], owners: Iterable[Object]) -> list[Object]:
    uids = {owner["metadata"]["uid"] for owner in owners}
    return [obj for obj in objects if (controller_of(obj) or {}).get("uid") in uids]


def _iso(written: str) -> str:
    return datetime.fromtimestamp(moment(written), UTC).isoformat(timespec="milliseconds")
