"""What the server fills in where an object is silent.

The values are those of `SetDefaults_*` in k8s.io/kubernetes/pkg/apis; they are documented field by
field in https://kubernetes.io/docs/reference/kubernetes-api/.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    DAEMON_SETS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)

_RBAC: Final = "rbac.authorization.k8s.io"
_ROLLING: Final = "RollingUpdate"


def fill_in(resource: Resource, obj: dict[str, Any]) -> None:
    """*obj* says everything that the server says for it."""
    fill = _FILLERS.get(resource)
    if fill is not None:
        fill(obj)


def _deployment(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _part(spec, "strategy")
    _set(strategy, type=_ROLLING)
    if strategy["type"] == _ROLLING:
        _set(_part(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    _template(spec)


def _replica_set(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _set(spec, replicas=1)
    _template(spec)


def _stateful_set(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    retention = _part(spec, "persistentVolumeClaimRetentionPolicy")
    _set(retention, whenDeleted="Retain", whenScaled="Retain")
    strategy = _part(spec, "updateStrategy")
    _set(strategy, type=_ROLLING)
    if strategy["type"] == _ROLLING:
        _set(_part(strategy, "rollingUpdate"), partition=0)
    _template(spec)


def _daemon_set(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _set(spec, revisionHistoryLimit=10)
    strategy = _part(spec, "updateStrategy")
    _set(strategy, type=_ROLLING)
    if strategy["type"] == _ROLLING:
        _set(_part(strategy, "rollingUpdate"), maxSurge=0, maxUnavailable=1)
    _template(spec)


def _template(spec: dict[str, Any]) -> None:
    template = _part(spec, "template")
    _part(template, "metadata")
    _pod_spec(_part(template, "spec"))


def _pod(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _pod_spec(spec)
    _set(spec, serviceAccountName="default", enableServiceLinks=True, preemptionPolicy=_PREEMPTION)
    _set(spec, serviceAccount=spec["serviceAccountName"], priority=0)
    _set(_part(obj, "status"), phase="Pending", qosClass=_quality(spec))


_PREEMPTION: Final = "PreemptLowerPriority"


def _pod_spec(spec: dict[str, Any]) -> None:
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if isinstance(spec.get("serviceAccountName"), str):
        _set(spec, serviceAccount=spec["serviceAccountName"])
    for field in ("containers", "initContainers"):
        for container in _objects(spec, field):
            _container(container)


def _container(container: dict[str, Any]) -> None:
    _set(
        container,
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(str(container.get("image", ""))),
    )
    for port in _objects(container, "ports"):
        _set(port, protocol="TCP")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(container.get(probe), dict):
            _probe(container[probe])


def _probe(probe: dict[str, Any]) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if isinstance(probe.get("httpGet"), dict):
        _set(probe["httpGet"], path="/", scheme="HTTP")


def _pull_policy(image: str) -> str:
    name = image.rsplit("/", 1)[-1]
    is_latest = "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if is_latest else "IfNotPresent"


def _quality(spec: dict[str, Any]) -> str:
    """Return the quality-of-service class that the containers' resources make."""
    resources = [container.get("resources") or {} for container in _objects(spec, "containers")]
    if not any(given.get("requests") or given.get("limits") for given in resources):
        return "BestEffort"
    for given in resources:
        limits = given.get("limits") or {}
        if not {"cpu", "memory"} <= limits.keys() or {**limits, **given.get("requests", {})} != (
            limits
        ):
            return "Burstable"
    return "Guaranteed"


def _namespace(obj: dict[str, Any]) -> None:
    name = obj.get("metadata", {}).get("name", "")
    _set(_part(_part(obj, "metadata"), "labels"), **{"kubernetes.io/metadata.name": name})
    _set(_part(obj, "spec"), finalizers=["kubernetes"])
    _set(_part(obj, "status"), phase="Active")


def _service(obj: dict[str, Any]) -> None:
    spec = _part(obj, "spec")
    _set(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    _set(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    for port in _objects(spec, "ports"):
        _set(port, protocol="TCP", targetPort=port.get("port"))
    _part(_part(obj, "status"), "loadBalancer")


def _autoscaler(obj: dict[str, Any]) -> None:
    target = {"type": "Utilization", "averageUtilization": 80}
    usual = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    _set(_part(obj, "spec"), minReplicas=1, metrics=[usual])


def _resource_quota(obj: dict[str, Any]) -> None:
    _part(obj, "spec")


def _binding(obj: dict[str, Any]) -> None:
    _set(_part(obj, "roleRef"), apiGroup=_RBAC)
    for subject in _objects(obj, "subjects"):
        if subject.get("kind") != "ServiceAccount":
            _set(subject, apiGroup=_RBAC)


def _secret(obj: dict[str, Any]) -> None:
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        data = _part(obj, "data")
        for key, value in plain.items():
            data[key] = base64.b64encode(str(value).encode()).decode()


_FILLERS: Final[Mapping[Resource, Callable[[dict[str, Any]], None]]] = {
    CLUSTER_ROLE_BINDINGS: _binding,
    DAEMON_SETS: _daemon_set,
    DEPLOYMENTS: _deployment,
    HORIZONTAL_POD_AUTOSCALERS: _autoscaler,
    NAMESPACES: _namespace,
    PODS: _pod,
    REPLICA_SETS: _replica_set,
    RESOURCE_QUOTAS: _resource_quota,
    ROLE_BINDINGS: _binding,
    SECRETS: _secret,
    SERVICES: _service,
    STATEFUL_SETS: _stateful_set,
}


def _part(holder: dict[str, Any], field: str) -> dict[str, Any]:
    """Return the object in *field*, made if it is not there; what is no object is left alone."""
    part = holder.get(field)
    if part is None:
        part = holder[field] = {}
    return part if isinstance(part, dict) else {}


def _objects(holder: dict[str, Any], field: str) -> list[dict[str, Any]]:
    items = holder.get(field)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _set(holder: dict[str, Any], **defaults: Any) -> None:
    for field, value in defaults.items():
        if holder.get(field) is None:
            holder[field] = value
