"""What a Deployment says about itself.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""

from typing import Any, Final

from tidegate_dev.kubernetes.controllers.budget import rolling_budget
from tidegate_dev.kubernetes.controllers.clock import moment, stamp
from tidegate_dev.kubernetes.controllers.conditions import (
    condition,
    remove_condition,
    set_condition,
)
from tidegate_dev.kubernetes.controllers.deployments.family import Family, replicas
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.watches import copied

Status = dict[str, Any]

AVAILABLE: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"

_DEFAULT_DEADLINE: Final = 600
_NO_DEADLINE: Final = 2**31 - 1


def deadline(deployment: Object) -> int:
    """Return after how many seconds without progress a rollout has failed."""
    return int(deployment["spec"].get("progressDeadlineSeconds", _DEFAULT_DEADLINE))


def has_deadline(deployment: Object) -> bool:
    """Return whether a rollout may fail for want of progress."""
    return deadline(deployment) != _NO_DEADLINE


def progressing(state: str, reason: str, message: str, now: float) -> dict[str, Any]:
    """Return a condition that tells how the rollout goes on."""
    return _condition("Progressing", state, reason, message, now)


def counted(family: Family, now: float) -> Status:
    """Return the status as its ReplicaSets have it; how the rollout goes on stays as it was."""
    deployment = family.deployment
    old = deployment.get("status") or {}
    new = _sums([family.new] if family.new else [])
    all_of_them = _sums(family.all)
    counts = {
        "replicas": all_of_them["replicas"],
        "updatedReplicas": new["replicas"],
        "readyReplicas": all_of_them["readyReplicas"],
        "availableReplicas": family.available,
        "unavailableReplicas": max(0, family.total - family.available),
    }
    status: Status = {
        "observedGeneration": deployment["metadata"]["generation"],
        **{name: count for name, count in counts.items() if count},
        "terminatingReplicas": all_of_them["terminatingReplicas"],
        "conditions": copied(old.get("conditions") or []),
    }
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    enough = replicas(deployment) - rolling_budget(deployment["spec"]).unavailable
    set_condition(status, _availability(now, enough=family.available >= enough))
    return status


def rolled(family: Family, now: float) -> Status:
    """Return the status, with how the rollout goes on."""
    deployment = family.deployment
    status = counted(family, now)
    known = condition(deployment.get("status") or {}, "Progressing")
    if not has_deadline(deployment):
        remove_condition(status, "Progressing")
    elif not _was_complete(status, known):
        _judge(family, status, now)
    _pass_on_failure(family, status)
    return status


def is_complete(deployment: Object, status: Status) -> bool:
    """Return whether every pod that there should be is new and available, and no other is there."""
    wanted = replicas(deployment)
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    )


def deadline_at(deployment: Object) -> float | None:
    """Return the moment at which the rollout will have failed; None while it cannot."""
    status = deployment.get("status") or {}
    known = condition(status, "Progressing")
    if not has_deadline(deployment) or known is None or known["reason"] in (TIMED_OUT, AVAILABLE):
        return None
    if is_complete(deployment, status) or deployment["spec"].get("paused"):
        return None
    return moment(known["lastUpdateTime"]) + deadline(deployment)


def _was_complete(status: Status, known: dict[str, Any] | None) -> bool:
    """Return whether this is no rollout, but the life after one."""
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return bool(same and known and known["reason"] == AVAILABLE)


def _judge(family: Family, status: Status, now: float) -> None:
    deployment = family.deployment
    old = deployment.get("status") or {}
    if is_complete(deployment, status):
        message = f"{_subject(family)} has successfully progressed."
        set_condition(status, progressing("True", AVAILABLE, message, now))
    elif _is_progress(old, status):
        note = progressing("True", "ReplicaSetUpdated", f"{_subject(family)} is progressing.", now)
        known = condition(old, "Progressing")
        if known is not None and known["status"] == "True":
            note["lastTransitionTime"] = known["lastTransitionTime"]
        remove_condition(status, "Progressing")  # or the time of this progress would not be taken
        set_condition(status, note)
    elif _is_timed_out(deployment, status, now):
        message = f"{_subject(family)} has timed out progressing."
        set_condition(status, progressing("False", TIMED_OUT, message, now))


def _subject(family: Family) -> str:
    if family.new is not None:
        return f'ReplicaSet "{family.new["metadata"]["name"]}"'
    return f'Deployment "{family.deployment["metadata"]["name"]}"'


def _is_progress(old: Status, new: Status) -> bool:
    """Return whether there are more new pods, fewer old ones, or more that are ready."""
    return (
        new.get("updatedReplicas", 0) > old.get("updatedReplicas", 0)
        or _of_the_past(new) < _of_the_past(old)
        or new.get("readyReplicas", 0) > old.get("readyReplicas", 0)
        or new.get("availableReplicas", 0) > old.get("availableReplicas", 0)
    )


def _of_the_past(status: Status) -> int:
    return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))


def _is_timed_out(deployment: Object, status: Status, now: float) -> bool:
    known = condition(status, "Progressing")
    if known is None or known["reason"] == AVAILABLE:
        return False
    if known["reason"] == TIMED_OUT:
        return True
    return moment(known["lastUpdateTime"]) + deadline(deployment) < now


def _pass_on_failure(family: Family, status: Status) -> None:
    """What keeps a ReplicaSet from making pods is said of the Deployment, the new one's first."""
    candidates = [*([family.new] if family.new else []), *family.old]
    found = [condition(entry.get("status") or {}, "ReplicaFailure") for entry in candidates]
    failure = next((entry for entry in found if entry is not None), None)
    if failure is None:
        remove_condition(status, "ReplicaFailure")
    else:
        set_condition(status, {**failure, "lastUpdateTime": failure["lastTransitionTime"]})


def _availability(now: float, *, enough: bool) -> dict[str, Any]:
    if enough:
        said = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    return _condition("Available", *said, now)


def _condition(kind: str, state: str, reason: str, message: str, now: float) -> dict[str, Any]:
    return {
        "type": kind,
        "status": state,
        "lastUpdateTime": stamp(now),
        "lastTransitionTime": stamp(now),
        "reason": reason,
        "message": message,
    }


def _sums(replica_sets: list[Object]) -> dict[str, int]:
    return {
        name: sum(int((found.get("status") or {}).get(name, 0)) for found in replica_sets)
        for name in ("replicas", "readyReplicas", "terminatingReplicas")
    }
