"""Objects as rows of a table, the way `kubectl get` prints them.

Columns and cells are those of k8s.io/kubernetes/pkg/printers/internalversion/printers.go;
https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tidegate_dev.kubernetes import resources as kinds
from tidegate_dev.kubernetes.ages import age, parsed
from tidegate_dev.kubernetes.pod_states import ready_cell, restarts_cell, state_of
from tidegate_dev.kubernetes.resources import Resource

Include = Literal["None", "Metadata", "Object"]
_Object = dict[str, Any]
_Cell = Callable[[_Object, float], Any]
_NONE: Final = "<none>"
_UNSET: Final = "<unset>"
_UNKNOWN: Final = "<unknown>"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    cell: _Cell
    priority: int = 0
    type: str = "string"
    format: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": "",
            "priority": self.priority,
        }


def table(
    resource: Resource,
    objects: Sequence[_Object],
    metadata: Mapping[str, Any],
    *,
    now: float,
    include: Include = "Metadata",
    with_columns: bool = True,
) -> dict[str, Any]:
    """Return the Table object of *objects*."""
    columns = _COLUMNS.get(resource, _PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": [column.to_dict() for column in columns] if with_columns else [],
        "rows": [_row(columns, obj, now, include) for obj in objects],
    }


def partial(obj: _Object) -> dict[str, Any]:
    """Return the PartialObjectMetadata of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj["metadata"],
    }


def _row(columns: Sequence[_Column], obj: _Object, now: float, include: Include) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": [column.cell(obj, now) for column in columns]}
    if include == "Metadata":
        row["object"] = partial(obj)
    elif include == "Object":
        row["object"] = obj
    return row


# --- cells -------------------------------------------------------------------------


def _name(obj: _Object, _: float) -> str:
    return str(obj["metadata"]["name"])


def _age(obj: _Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _created(obj: _Object, _: float) -> str:
    return str(obj["metadata"]["creationTimestamp"])


def _at(*path: str, default: Any = "") -> _Cell:
    """Return the cell that shows what is found at *path*."""

    def cell(obj: _Object, _: float) -> Any:
        value: Any = obj
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None else value

    return cell


def _number(name: str, *path: str) -> _Column:
    return _Column(name, _at(*path, default=0), type="integer", format="int32")


def _of(one: _Cell, other: _Cell) -> _Cell:
    return lambda obj, now: f"{one(obj, now)}/{other(obj, now)}"


def _containers(field: str) -> _Cell:
    def cell(obj: _Object, _: float) -> str:
        containers = obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
        return ",".join(str(container.get(field, "")) for container in containers)

    return cell


def _labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or _NONE


def _selector(obj: _Object, _: float) -> str:
    selector = obj.get("spec", {}).get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        parts.append(_expression(expression))
    return ",".join(parts) or _NONE


def _expression(expression: Mapping[str, Any]) -> str:
    key, values = expression["key"], ",".join(expression.get("values") or [])
    match expression["operator"]:
        case "Exists":
            return str(key)
        case "DoesNotExist":
            return f"!{key}"
        case operator:
            return f"{key} {operator.lower()} ({values})"


def _node_selector(obj: _Object, _: float) -> str:
    template = obj.get("spec", {}).get("template", {}).get("spec", {})
    return _labels(template.get("nodeSelector"))


def _plain_selector(obj: _Object, _: float) -> str:
    return _labels(obj.get("spec", {}).get("selector"))


def _count(*fields: str) -> _Cell:
    return lambda obj, _: sum(len(obj.get(field) or []) for field in fields)


def _readiness_gates(obj: _Object, _: float) -> str:
    gates = [gate["conditionType"] for gate in obj.get("spec", {}).get("readinessGates") or []]
    conditions = {
        condition["type"]: condition.get("status")
        for condition in obj.get("status", {}).get("conditions") or []
    }
    true = sum(conditions.get(gate) == "True" for gate in gates)
    return f"{true}/{len(gates)}" if gates else _NONE


def _last_seen(obj: _Object, now: float) -> str:
    series = obj.get("series") or {}
    times = (series.get("lastObservedTime"), obj.get("lastTimestamp"), obj.get("eventTime"))
    return age(next((moment for moment in times if parsed(moment) is not None), None), now)


def _first_seen(obj: _Object, now: float) -> str:
    return age(obj.get("firstTimestamp") or obj.get("eventTime"), now)


def _involved(obj: _Object, _: float) -> str:
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _source(obj: _Object, _: float) -> str:
    source = obj.get("source") or {}
    parts = (source.get("component") or obj.get("reportingComponent"), source.get("host"))
    return ", ".join(part for part in parts if part)


def _message(obj: _Object, _: float) -> str:
    return str(obj.get("message", "")).strip()


def _external(obj: _Object, _: float) -> str:
    return ",".join(obj["spec"].get("externalIPs") or []) or _NONE


def _ports(obj: _Object, _: float) -> str:
    ports = obj["spec"].get("ports") or []
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in ports) or _NONE


def _node_status(obj: _Object, _: float) -> str:
    conditions = obj.get("status", {}).get("conditions") or []
    ready = [each["status"] for each in conditions if each["type"] == "Ready"]
    said = ("Ready" if ready[0] == "True" else "NotReady") if ready else "Unknown"
    is_cordoned = obj.get("spec", {}).get("unschedulable")
    return f"{said},SchedulingDisabled" if is_cordoned else said


def _node_roles(obj: _Object, _: float) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    return ",".join(roles) or _NONE


def _node_address(kind: str) -> _Cell:
    def cell(obj: _Object, _: float) -> str:
        addresses = obj.get("status", {}).get("addresses") or []
        return next((each["address"] for each in addresses if each["type"] == kind), _NONE)

    return cell


def _scaled(obj: _Object, _: float) -> str:
    target = obj["spec"].get("scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def _metrics(obj: _Object, _: float) -> str:
    """Return each metric as it is and as it should be: `cpu: 12%/80%`."""
    current = obj.get("status", {}).get("currentMetrics") or []
    measured = {each["resource"]["name"]: each["resource"]["current"] for each in current}
    parts = []
    for metric in obj["spec"].get("metrics") or []:
        given = metric.get("resource")
        if given is not None:
            target = given.get("target") or {}
            now = measured.get(given["name"], {})
            parts.append(f"{given['name']}: {_measure(now)}/{_measure(target)}")
    return ", ".join(parts) or _NONE


def _measure(given: Mapping[str, Any]) -> str:
    if given.get("averageUtilization") is not None:
        return f"{given['averageUtilization']}%"
    return str(given.get("averageValue") or _UNKNOWN)


def _quota(prefix: str) -> _Cell:
    def cell(obj: _Object, _: float) -> str:
        status = obj.get("status") or {}
        hard = status.get("hard") or obj["spec"].get("hard") or {}
        used = status.get("used") or {}
        return ", ".join(
            f"{name}: {used.get(name, 0)}/{limit}"
            for name, limit in sorted(hard.items())
            if name.startswith("limits.") == (prefix == "limits.")
        )

    return cell


def _controller(obj: _Object, _: float) -> str:
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            group = owner["apiVersion"].rpartition("/")[0]
            kind = owner["kind"].lower()
            return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"
    return _NONE


def _role(obj: _Object, _: float) -> str:
    return f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}"


def _subjects(kind: str) -> _Cell:
    def cell(obj: _Object, _: float) -> str:
        return ", ".join(
            f"{subject['namespace']}/{subject['name']}"
            if kind == "ServiceAccount" and subject.get("namespace")
            else subject["name"]
            for subject in obj.get("subjects") or []
            if subject["kind"] == kind
        )

    return cell


def _pod_status(obj: _Object, _: float) -> str:
    return state_of(obj)


# --- columns -----------------------------------------------------------------------

_NAME: Final = _Column("Name", _name, format="name")
_AGE: Final = _Column("Age", _age)
_CREATED: Final = _Column("Created At", _created, format="date-time")
_CONTAINERS: Final = _Column("Containers", _containers("name"), 1)
_IMAGES: Final = _Column("Images", _containers("image"), 1)
_SELECTOR: Final = _Column("Selector", _selector, 1)
_READY: Final = _at("status", "readyReplicas", default=0)
_WANTED: Final = _at("spec", "replicas", default=0)
_PLAIN: Final = (_NAME, _CREATED)
_BINDING: Final = (
    _NAME,
    _Column("Role", _role),
    _AGE,
    _Column("Users", _subjects("User"), 1),
    _Column("Groups", _subjects("Group"), 1),
    _Column("ServiceAccounts", _subjects("ServiceAccount"), 1),
)

_COLUMNS: Final[Mapping[Resource, tuple[_Column, ...]]] = {
    kinds.PODS: (
        _NAME,
        _Column("Ready", lambda obj, _: ready_cell(obj)),
        _Column("Status", _pod_status),
        _Column("Restarts", restarts_cell),
        _AGE,
        _Column("IP", _at("status", "podIP", default=_NONE), 1),
        _Column("Node", _at("spec", "nodeName", default=_NONE), 1),
        _Column("Nominated Node", _at("status", "nominatedNodeName", default=_NONE), 1),
        _Column("Readiness Gates", _readiness_gates, 1),
    ),
    kinds.DEPLOYMENTS: (
        _NAME,
        _Column("Ready", _of(_READY, _WANTED)),
        _number("Up-to-date", "status", "updatedReplicas"),
        _number("Available", "status", "availableReplicas"),
        _AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    kinds.REPLICA_SETS: (
        _NAME,
        _number("Desired", "spec", "replicas"),
        _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"),
        _AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    kinds.STATEFUL_SETS: (
        _NAME,
        _Column("Ready", _of(_READY, _WANTED)),
        _AGE,
        _CONTAINERS,
        _IMAGES,
    ),
    kinds.DAEMON_SETS: (
        _NAME,
        _number("Desired", "status", "desiredNumberScheduled"),
        _number("Current", "status", "currentNumberScheduled"),
        _number("Ready", "status", "numberReady"),
        _number("Up-to-date", "status", "updatedNumberScheduled"),
        _number("Available", "status", "numberAvailable"),
        _Column("Node Selector", _node_selector),
        _AGE,
        _CONTAINERS,
        _IMAGES,
        _SELECTOR,
    ),
    kinds.CONTROLLER_REVISIONS: (
        _NAME,
        _Column("Controller", _controller),
        _number("Revision", "revision"),
        _AGE,
    ),
    kinds.EVENTS: (
        _Column("Last Seen", _last_seen),
        _Column("Type", _at("type")),
        _Column("Reason", _at("reason")),
        _Column("Object", _involved),
        _Column("Subobject", _at("involvedObject", "fieldPath"), 1),
        _Column("Source", _source, 1),
        _Column("Message", _message),
        _Column("First Seen", _first_seen, 1),
        _Column("Count", _at("count", default=1), 1, type="integer", format="int32"),
        _Column("Name", _name, 1, format="name"),
    ),
    kinds.CONFIG_MAPS: (_NAME, _Column("Data", _count("data", "binaryData")), _AGE),
    kinds.SECRETS: (_NAME, _Column("Type", _at("type")), _Column("Data", _count("data")), _AGE),
    kinds.SERVICE_ACCOUNTS: (_NAME, _Column("Secrets", _count("secrets")), _AGE),
    kinds.NAMESPACES: (_NAME, _Column("Status", _at("status", "phase")), _AGE),
    kinds.NODES: (
        _NAME,
        _Column("Status", _node_status),
        _Column("Roles", _node_roles),
        _AGE,
        _Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
        _Column("Internal-IP", _node_address("InternalIP"), 1),
        _Column("External-IP", _node_address("ExternalIP"), 1),
        _Column("OS-Image", _at("status", "nodeInfo", "osImage", default=_UNKNOWN), 1),
        _Column("Kernel-Version", _at("status", "nodeInfo", "kernelVersion", default=_UNKNOWN), 1),
        _Column(
            "Container-Runtime",
            _at("status", "nodeInfo", "containerRuntimeVersion", default=_UNKNOWN),
            1,
        ),
    ),
    kinds.SERVICES: (
        _NAME,
        _Column("Type", _at("spec", "type")),
        _Column("Cluster-IP", _at("spec", "clusterIP", default=_NONE)),
        _Column("External-IP", _external),
        _Column("Port(s)", _ports),
        _AGE,
        _Column("Selector", _plain_selector, 1),
    ),
    kinds.HORIZONTAL_POD_AUTOSCALERS: (
        _NAME,
        _Column("Reference", _scaled),
        _Column("Targets", _metrics),
        _Column("MinPods", _at("spec", "minReplicas", default=_UNSET)),
        _number("MaxPods", "spec", "maxReplicas"),
        _number("Replicas", "status", "currentReplicas"),
        _AGE,
    ),
    kinds.RESOURCE_QUOTAS: (
        _NAME,
        _Column("Request", _quota("")),
        _Column("Limit", _quota("limits.")),
        _AGE,
    ),
    kinds.ROLES: _PLAIN,
    kinds.CLUSTER_ROLES: _PLAIN,
    kinds.ROLE_BINDINGS: _BINDING,
    kinds.CLUSTER_ROLE_BINDINGS: _BINDING,
}
