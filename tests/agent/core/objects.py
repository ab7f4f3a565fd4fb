"""Objects as an API server has them, made to a test's needs."""

from typing import Any

from tidegate_agent.core import workload
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.kinds import DAEMON_SET, DEPLOYMENT, STATEFUL_SET, Kind
from tidegate_agent.core.request import Target
from tidegate_agent.core.workload import Workload

WHO = Statement(subject="slack:T1:U1", groups=("S0DEVS",), run="run-1", action="deploy")
WEB = Target(namespace="staging", kind=DEPLOYMENT, name="web")
AT = 1_800_000_000.0
IMAGE = "registry.example.com/web:2.4.0"


def template(image: str = IMAGE, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {"app": "web"}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": image}]}}


def deployment(
    *,
    generation: int = 4,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "staging",
            "uid": "uid-web",
            "resourceVersion": "41",
            "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": "3", **(annotations or {})},
            "labels": labels or {},
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
        "status": {"observedGeneration": generation, **(status or {})},
    }


def read(raw: dict[str, Any], kind: Kind = DEPLOYMENT) -> Workload:
    return workload.read(kind, raw)


def other(kind: Kind, strategy: dict[str, Any], status: dict[str, Any], **spec: Any) -> Workload:
    """Return a StatefulSet or a DaemonSet."""
    assert kind in (STATEFUL_SET, DAEMON_SET)
    raw = deployment(updateStrategy=strategy, status=status, **spec)
    return workload.read(kind, {**raw, "kind": kind.kind})


def replica_set(number: int, image: str, *, owner: str = "uid-web", **more: str) -> dict[str, Any]:
    made = template(image)
    made["metadata"]["labels"]["pod-template-hash"] = f"hash{number}"
    return {
        "metadata": {
            "name": f"web-{number}",
            "annotations": {"deployment.kubernetes.io/revision": str(number), **more},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"template": made},
    }


def pod(
    name: str = "web-abc-1",
    *,
    image: str = IMAGE,
    at: str = "2027-01-15T08:00:00Z",
    waiting: dict[str, Any] | None = None,
    terminated: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    ready: bool = False,
    conditions: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {"startedAt": at}}
    if waiting is not None:
        state = {"waiting": waiting}
    if terminated is not None:
        state = {"terminated": terminated}
    status: dict[str, Any] = {
        "containerStatuses": [
            {
                "name": "web",
                "image": image,
                "ready": ready,
                "state": state,
                "lastState": {"terminated": last} if last else {},
            }
        ],
        "conditions": conditions or [],
    }
    return {
        "metadata": {"name": name, "creationTimestamp": at, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
        "status": status,
    }


def event(
    about: str,
    reason: str,
    message: str,
    *,
    kind: str = "Pod",
    at: str = "2027-01-15T08:00:01Z",
    type: str = "Warning",
) -> dict[str, Any]:
    return {
        "type": type,
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": kind, "name": about},
        "lastTimestamp": at,
        "metadata": {},
    }
