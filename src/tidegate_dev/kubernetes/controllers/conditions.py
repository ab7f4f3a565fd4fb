"""Lists of conditions: what an object says about itself, one entry a type."""

from typing import Any

Condition = dict[str, Any]


def condition(status: dict[str, Any], kind: str) -> Condition | None:
    """Return the condition of type *kind*, if there is one."""
    found: list[Condition] = status.get("conditions") or []
    return next((entry for entry in found if entry["type"] == kind), None)


def is_true(status: dict[str, Any], kind: str) -> bool:
    """Return whether the condition of type *kind* is there and true."""
    found = condition(status, kind)
    return found is not None and found["status"] == "True"


def set_condition(status: dict[str, Any], new: Condition) -> None:
    """*new* is among the conditions, as the last.

    Where status and reason are what they were, nothing changes; while the status is what it was,
    the time of its last transition stays. So does `SetDeploymentCondition` of Kubernetes.
    """
    old = condition(status, new["type"])
    if old is not None and old["status"] == new["status"]:
        if old.get("reason") == new.get("reason"):
            return
        since = old.get("lastTransitionTime") or new["lastTransitionTime"]
        new = {**new, "lastTransitionTime": since}
    remove_condition(status, new["type"])
    status["conditions"].append(new)


def remove_condition(status: dict[str, Any], kind: str) -> None:
    """There is no condition of type *kind*."""
    status["conditions"] = [
        entry for entry in status.get("conditions") or [] if entry["type"] != kind
    ]
