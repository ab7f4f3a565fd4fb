"""What a pod says about its containers, and what follows from that for the pod itself.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

import hashlib
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import stamp
from tidegate_dev.kubernetes.controllers.conditions import set_condition
from tidegate_dev.kubernetes.controllers.ownership import Object

Entry = dict[str, Any]

_ORDER: Final = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)


def fresh(container: Object, reason: str = "ContainerCreating") -> Entry:
    """Return the entry of a container that has not run yet."""
    return {
        "name": container["name"],
        "state": {"waiting": {"reason": reason}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container["image"],
        "imageID": "",
        "started": False,
    }


def completed(container: Object, now: float) -> Entry:
    """Return the entry of an init container that has done its work."""
    ended = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": stamp(now),
        "finishedAt": stamp(now),
        "containerID": _container_id(container["name"], container["image"], str(now)),
    }
    entry = fresh(container)
    entry.update(state={"terminated": ended}, ready=True, imageID=image_id(container["image"]))
    return entry


def entry_of(pod: Object, container: str) -> Entry:
    """Return the entry of a container."""
    found: list[Entry] = pod["status"]["containerStatuses"]
    return next(entry for entry in found if entry["name"] == container)


def run(entry: Entry, pod: Object, now: float) -> None:
    """The container runs; if it ran before, this is one restart more."""
    if not entry["state"].get("running") and entry.get("containerID"):
        if "terminated" in entry["state"]:
            entry["lastState"] = entry["state"]
        entry["restartCount"] += 1
    run_id = f"{pod['metadata']['uid']}/{entry['restartCount']}"
    entry.update(
        state={"running": {"startedAt": stamp(now)}},
        started=True,
        ready=False,
        imageID=image_id(entry["image"]),
        containerID=_container_id(entry["name"], entry["image"], run_id),
    )


def end(entry: Entry, exit_code: int, now: float) -> None:
    """The container ran, and ended."""
    began = (entry["state"].get("running") or {}).get("startedAt", stamp(now))
    ended = {
        "exitCode": exit_code,
        "reason": "Error" if exit_code else "Completed",
        "startedAt": began,
        "finishedAt": stamp(now),
        "containerID": entry.get("containerID", ""),
    }
    entry.update(state={"terminated": ended}, started=False, ready=False)


def wait(entry: Entry, reason: str, message: str) -> None:
    """The container is not running, for that reason."""
    if "terminated" in entry["state"]:
        entry["lastState"] = entry["state"]
    entry.update(
        state={"waiting": {"reason": reason, "message": message}}, started=False, ready=False
    )


def conclude(pod: Object, now: float) -> None:
    """Phase and conditions of *pod* follow from its containers."""
    status = pod["status"]
    entries: list[Entry] = status.get("containerStatuses") or []
    status["phase"] = _phase(pod, entries)
    unready = [entry["name"] for entry in entries if not entry["ready"]]
    missing = _initializing(pod)
    blame = f"containers with unready status: [{' '.join(unready)}]"
    has_sandbox = bool(status.get("podIP"))
    _say(status, now, "PodReadyToStartContainers", has_sandbox)
    _say(
        status,
        now,
        "Initialized",
        not missing,
        "ContainersNotInitialized",
        f"containers with incomplete status: [{' '.join(missing)}]",
    )
    for kind in ("Ready", "ContainersReady"):
        if status["phase"] == "Succeeded":
            _say(status, now, kind, False, "PodCompleted", "")
        else:
            _say(status, now, kind, not unready, "ContainersNotReady", blame)
    status["conditions"].sort(
        key=lambda entry: _ORDER.index(entry["type"]) if entry["type"] in _ORDER else len(_ORDER)
    )


def image_id(image: str) -> str:
    """Return the digest by which an image is known, in full."""
    if "@sha256:" in image:
        return image
    name, _, last = image.rpartition("/")
    place = f"{name}/" if name else ""
    digest = hashlib.sha256(image.encode()).hexdigest()
    return f"{place}{last.partition(':')[0]}@sha256:{digest}"


def _phase(pod: Object, entries: list[Entry]) -> str:
    policy = pod["spec"].get("restartPolicy", "Always")
    ended = [entry["state"].get("terminated") for entry in entries]
    if entries and all(ended) and policy != "Always":
        codes = [found["exitCode"] for found in ended if found]
        if not any(codes):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    return (
        "Running" if entries and all(entry.get("containerID") for entry in entries) else "Pending"
    )


def _initializing(pod: Object) -> list[str]:
    entries = pod["status"].get("initContainerStatuses") or []
    return [entry["name"] for entry in entries if not entry["ready"]]


def _say(
    status: dict[str, Any], now: float, kind: str, holds: bool, reason: str = "", why: str = ""
) -> None:
    said = {
        "type": kind,
        "status": "True" if holds else "False",
        "lastProbeTime": None,
        "lastTransitionTime": stamp(now),
    }
    if not holds and reason:
        said |= {"reason": reason, **({"message": why} if why else {})}
    set_condition(status, said)


def _container_id(*what: str) -> str:
    return f"containerd://{hashlib.sha256('/'.join(what).encode()).hexdigest()}"
