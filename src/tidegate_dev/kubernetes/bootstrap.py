"""What every cluster has from its first moment: its namespaces, and the policy it starts with.

https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
"""

from collections.abc import Iterable
from typing import Any, Final

from tidegate_dev.kubernetes.defaults import fill_in
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Resource,
)
from tidegate_dev.kubernetes.store import Store

_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")
_WORKLOADS: Final = ("daemonsets", "deployments", "replicasets", "statefulsets")
_SCALED: Final = ("deployments/scale", "replicasets/scale", "statefulsets/scale")
_CORE_READ: Final = (
    "bindings",
    "configmaps",
    "events",
    "namespaces",
    "pods",
    "pods/log",
    "pods/status",
    "resourcequotas",
    "resourcequotas/status",
    "serviceaccounts",
    "services",
    "services/status",
)
_CORE_WRITE: Final = ("configmaps", "events", "pods", "secrets", "serviceaccounts", "services")
_RBAC: Final = "rbac.authorization.k8s.io"
_AUTHENTICATION: Final = "authentication.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
_INFO: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_INFO)


def rule(verbs: Iterable[str], group: str, *names: str) -> dict[str, Any]:
    """Return the PolicyRule that allows *verbs* on the resources *names*."""
    return {"apiGroups": [group], "resources": list(names), "verbs": list(verbs)}


def _urls(*urls: str) -> dict[str, Any]:
    return {"nonResourceURLs": list(urls), "verbs": ["get"]}


_VIEW: Final = (
    rule(_READ, "", *_CORE_READ),
    rule(_READ, "apps", "controllerrevisions", *_WORKLOADS, *_SCALED),
    rule(_READ, "autoscaling", "horizontalpodautoscalers"),
)
_EDIT: Final = (
    *_VIEW,
    rule(_READ, "", "secrets"),
    rule(("impersonate",), "", "serviceaccounts"),
    rule(_WRITE, "", *_CORE_WRITE),
    rule(_WRITE, "apps", *_WORKLOADS, *_SCALED),
    rule(_WRITE, "autoscaling", "horizontalpodautoscalers"),
)
_ADMIN: Final = (
    *_EDIT,
    rule((*_READ, *_WRITE), _RBAC, "rolebindings", "roles"),
    rule(("create",), _AUTHORIZATION, "localsubjectaccessreviews"),
)
_CLUSTER_ROLES: Final = {
    "cluster-admin": (
        rule("*", "*", "*"),
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ),
    "admin": _ADMIN,
    "edit": _EDIT,
    "view": _VIEW,
    "system:auth-delegator": (
        rule(("create",), _AUTHENTICATION, "tokenreviews"),
        rule(("create",), _AUTHORIZATION, "subjectaccessreviews"),
    ),
    "system:basic-user": (
        rule(("create",), _AUTHORIZATION, "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
        rule(("create",), _AUTHENTICATION, "selfsubjectreviews"),
    ),
    "system:discovery": (_urls(*_DISCOVERY),),
    "system:public-info-viewer": (_urls(*_INFO),),
}
_BINDINGS: Final = {
    "cluster-admin": ("system:masters",),
    "system:basic-user": ("system:authenticated",),
    "system:discovery": ("system:authenticated",),
    "system:public-info-viewer": ("system:authenticated", "system:unauthenticated"),
}


def bootstrap(store: Store) -> None:
    """*store* has what a cluster begins with."""
    for name in ("default", "kube-system"):
        add_namespace(store, name)
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in _CLUSTER_ROLES.items():
        add(store, CLUSTER_ROLES, name, labels=labels, rules=list(rules))
    for name, groups in _BINDINGS.items():
        add(
            store,
            CLUSTER_ROLE_BINDINGS,
            name,
            labels=labels,
            roleRef={"kind": "ClusterRole", "name": name},
            subjects=[{"kind": "Group", "name": group} for group in groups],
        )


def add_namespace(store: Store, name: str) -> None:
    """The namespace is there, with what the cluster itself puts into each."""
    add(store, NAMESPACES, name)
    add(store, SERVICE_ACCOUNTS, "default", name)
    add(store, CONFIG_MAPS, "kube-root-ca.crt", name, data={"ca.crt": ""})


def add(
    store: Store,
    resource: Resource,
    name: str,
    namespace: str = "",
    *,
    labels: dict[str, str] | None = None,
    **content: Any,
) -> dict[str, Any]:
    """Return the object, which is there, with all that the server says for it."""
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    obj = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        **content,
    }
    fill_in(resource, obj)
    return store.create(resource, obj)
