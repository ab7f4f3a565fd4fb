"""How a pod is doing, in the one word and the counts that `kubectl get pods` shows.

`printPod` in k8s.io/kubernetes/pkg/printers/internalversion/printers.go.
"""

from typing import Any

from tidegate_dev.kubernetes.ages import age, parsed


def state_of(pod: dict[str, Any]) -> str:
    """Return `Running`, `Pending`, `ImagePullBackOff`, `Terminating` and so on."""
    status = pod.get("status") or {}
    metadata = pod["metadata"]
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    starting = _starting(pod)
    if starting:
        reason = starting
    else:
        for container in reversed(status.get("containerStatuses") or []):
            reason = _container_reason(container) or reason
        if reason == "Completed" and _is_any_running(status):
            reason = "Running" if _is_ready(status) else "NotReady"
    if "deletionTimestamp" in metadata:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return reason


def ready_cell(pod: dict[str, Any]) -> str:
    """Return how many containers are ready, of how many."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    ready = sum(bool(each.get("ready")) and "running" in _state(each) for each in containers)
    return f"{ready}/{len(pod['spec'].get('containers') or [])}"


def restarts_cell(pod: dict[str, Any], now: float) -> str:
    """Return how often containers were restarted, and how long ago last."""
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    count = sum(each.get("restartCount", 0) for each in containers)
    ended = [
        (each.get("lastState") or {}).get("terminated", {}).get("finishedAt") for each in containers
    ]
    last = max((moment for moment in ended if parsed(moment) is not None), default=None)
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def _starting(pod: dict[str, Any]) -> str:
    """Return what an init container is at; empty, once all are done."""
    containers = (pod.get("status") or {}).get("initContainerStatuses") or []
    for index, container in enumerate(containers):
        state = _state(container)
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and terminated.get("exitCode") == 0:
            continue
        if terminated is not None:
            return f"Init:{_ended(terminated)}"
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(pod['spec'].get('initContainers') or [])}"
    return ""


def _container_reason(container: dict[str, Any]) -> str:
    state = _state(container)
    waiting, terminated = state.get("waiting") or {}, state.get("terminated")
    if waiting.get("reason"):
        return str(waiting["reason"])
    return _ended(terminated) if terminated is not None else ""


def _ended(terminated: dict[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _is_any_running(status: dict[str, Any]) -> bool:
    return any(
        each.get("ready") and "running" in _state(each)
        for each in status.get("containerStatuses") or []
    )


def _is_ready(status: dict[str, Any]) -> bool:
    return any(
        condition["type"] == "Ready" and condition.get("status") == "True"
        for condition in status.get("conditions") or []
    )


def _state(container: dict[str, Any]) -> dict[str, Any]:
    return container.get("state") or {}
