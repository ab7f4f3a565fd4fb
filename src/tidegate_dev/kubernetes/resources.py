"""The kinds that the cluster knows, under the names that its API gives them.

https://kubernetes.io/docs/reference/kubernetes-api/
"""

from dataclasses import dataclass
from typing import Final

READ_VERBS: Final = ("get", "list", "watch")
VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object, and where its objects are found.

    Attributes:
        group: The API group; empty for the core group.
        short_names: What people type for it.
        categories: The words under which `kubectl get` lists it with others.
        subresources: What may follow an object's name in its path.
        counted: Whether each change of what is wanted gets a number, `metadata.generation`.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    counted: bool = False

    @property
    def api_version(self) -> str:
        """Return the group and version as an object states them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """Return the plural with its group, as messages write it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """Return the kind with its group, as messages write it."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _core(plural: str, kind: str, *short_names: str, **more: object) -> Resource:
    return _of("", "v1", plural, kind, *short_names, **more)


def _of(
    group: str, version: str, plural: str, kind: str, *short_names: str, **more: object
) -> Resource:
    given: dict[str, object] = {"namespaced": True, **more}
    return Resource(
        group=group,
        version=version,
        plural=plural,
        kind=kind,
        singular=kind.lower(),
        short_names=short_names,
        **given,  # type: ignore[arg-type]
    )


_ALL: Final = ("all",)
_SCALED: Final = ("scale", "status")
_APPS: Final = {"categories": _ALL, "counted": True}

CONFIG_MAPS: Final = _core("configmaps", "ConfigMap", "cm")
EVENTS: Final = _core("events", "Event", "ev")
NAMESPACES: Final = _core(
    "namespaces", "Namespace", "ns", namespaced=False, subresources=("status",)
)
NODES: Final = _core("nodes", "Node", "no", namespaced=False, subresources=("status",))
PODS: Final = _core(
    "pods", "Pod", "po", categories=_ALL, subresources=("binding", "log", "status"), counted=True
)
RESOURCE_QUOTAS: Final = _core("resourcequotas", "ResourceQuota", "quota", subresources=("status",))
SECRETS: Final = _core("secrets", "Secret")
SERVICE_ACCOUNTS: Final = _core("serviceaccounts", "ServiceAccount", "sa", subresources=("token",))
SERVICES: Final = _core("services", "Service", "svc", categories=_ALL, subresources=("status",))

CONTROLLER_REVISIONS: Final = _of("apps", "v1", "controllerrevisions", "ControllerRevision")
DAEMON_SETS: Final = _of(
    "apps", "v1", "daemonsets", "DaemonSet", "ds", subresources=("status",), **_APPS
)
DEPLOYMENTS: Final = _of(
    "apps", "v1", "deployments", "Deployment", "deploy", subresources=_SCALED, **_APPS
)
REPLICA_SETS: Final = _of(
    "apps", "v1", "replicasets", "ReplicaSet", "rs", subresources=_SCALED, **_APPS
)
STATEFUL_SETS: Final = _of(
    "apps", "v1", "statefulsets", "StatefulSet", "sts", subresources=_SCALED, **_APPS
)

HORIZONTAL_POD_AUTOSCALERS: Final = _of(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    "hpa",
    categories=_ALL,
    subresources=("status",),
)

_RBAC: Final = "rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS: Final = _of(
    _RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CLUSTER_ROLES: Final = _of(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
ROLE_BINDINGS: Final = _of(_RBAC, "v1", "rolebindings", "RoleBinding")
ROLES: Final = _of(_RBAC, "v1", "roles", "Role")

RESOURCES: Final[tuple[Resource, ...]] = (
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    HORIZONTAL_POD_AUTOSCALERS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
"""Every kind, by group as discovery lists them."""
