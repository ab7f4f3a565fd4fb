"""Nodes: three machines that are not there, and which pods fit on them.

https://kubernetes.io/docs/concepts/architecture/nodes/
"""

from collections.abc import Sequence
from typing import Any, Final

from tidegate_dev.kubernetes.controllers.clock import stamp
from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.discovery import VERSION
from tidegate_dev.kubernetes.watches import copied

NAMES: Final = ("node-1", "node-2", "node-3")
_VERSION: Final = VERSION["gitVersion"].partition("+")[0]
_HOSTNAME: Final = "kubernetes.io/hostname"
_CAPACITY: Final = {
    "cpu": "4",
    "ephemeral-storage": "52428800Ki",
    "memory": "8146892Ki",
    "pods": "110",
}
_CONDITIONS: Final = (
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def node(name: str, number: int, now: float) -> Object:
    """Return a node that is ready; *number* tells its address."""
    conditions = [
        {
            "type": kind,
            "status": state,
            "lastHeartbeatTime": stamp(now),
            "lastTransitionTime": stamp(now),
            "reason": reason,
            "message": message,
        }
        for kind, state, reason, message in _CONDITIONS
    ]
    return {
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                _HOSTNAME: name,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address(number)},
                {"type": "Hostname", "address": name},
            ],
            "allocatable": dict(_CAPACITY),
            "capacity": dict(_CAPACITY),
            "conditions": conditions,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.0.0",
                "kernelVersion": "6.8.0",
                "kubeProxyVersion": _VERSION,
                "kubeletVersion": _VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Tidegate workspace",
                "systemUUID": "",
            },
        },
    }


def address(number: int) -> str:
    """Return the address of a node."""
    return f"172.18.0.{number + 1}"


def fits(pod_spec: Object, candidate: Object) -> bool:
    """Return whether a pod may be on *candidate*: it is ready, and has the labels asked for."""
    labels = candidate["metadata"].get("labels") or {}
    asked: dict[str, Any] = pod_spec.get("nodeSelector") or {}
    conditions = (candidate.get("status") or {}).get("conditions") or []
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return ready and all(labels.get(name) == value for name, value in asked.items())


def is_cordoned(candidate: Object) -> bool:
    """Return whether a node takes no more pods, as `kubectl cordon` has it."""
    return bool((candidate.get("spec") or {}).get("unschedulable"))


def pinned(pod_spec: Object, name: str) -> Object:
    """Return *pod_spec*, for the node *name* and no other, as a DaemonSet asks for it."""
    field = {"key": "metadata.name", "operator": "In", "values": [name]}
    spec: Object = copied(pod_spec)
    spec.setdefault("affinity", {})["nodeAffinity"] = {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchFields": [field]}]
        }
    }
    return spec


def pinned_node(pod: Object) -> str | None:
    """Return the node that *pod* is on, or asks for."""
    spec = pod["spec"]
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for field in term.get("matchFields") or []:
            values: Sequence[str] = field.get("values") or []
            if field.get("key") == "metadata.name" and len(values) == 1:
                return values[0]
    return None
