"""What the agent may do in the cluster, and each role it acts as: a Role for each capability.

The agent itself keeps its records and takes on one user and the groups of its roles, nothing
else. What a person's click may change is what their role's group may, in that namespace.
"""

from collections.abc import Iterable
from typing import Any, Final

from tidegate_dev.kubernetes.bootstrap import add, rule
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate_dev.kubernetes.seed import AGENT_NAMESPACE
from tidegate_dev.kubernetes.store import Store

Json = dict[str, Any]

AGENT: Final = "tidegate-agent"
USER: Final = "tidegate"
PERSON: Final = "tidegate.dev/person"
RUN: Final = "tidegate.dev/run"
DEPLOYER: Final = "deployer"
SRE: Final = "sre"

_AUTHENTICATION: Final = "authentication.k8s.io"
_WORKLOADS: Final = ("daemonsets", "deployments", "statefulsets")
_SCALED: Final = ("deployments", "statefulsets")
_HAPPENS: Final = rule(("list",), "", "events", "pods")
_CHANGE: Final = (
    rule(("get", "patch"), "apps", *_WORKLOADS),
    rule(("list",), "apps", "controllerrevisions", "replicasets"),
    _HAPPENS,
)
#: As the Helm chart has them.
_CAPABILITIES: Final = {
    "status": (rule(("get", "list"), "apps", *_WORKLOADS), _HAPPENS),
    "logs": (
        rule(("get",), "apps", *_WORKLOADS),
        rule(("list",), "", "pods"),
        rule(("get",), "", "pods/log"),
    ),
    "deploy": _CHANGE,
    "restart": _CHANGE,
    "rollback": _CHANGE,
    "scale": (
        rule(("get",), "apps", *_SCALED),
        rule(("patch",), "apps", *(f"{kind}/scale" for kind in _SCALED)),
        rule(("list",), "autoscaling", "horizontalpodautoscalers"),
        _HAPPENS,
    ),
}
_LOOK: Final = ("status", "logs")
_ALL: Final = tuple(_CAPABILITIES)
#: Namespace by namespace, which capabilities each role has.
GRANTS: Final = {
    "staging": {DEPLOYER: _ALL, SRE: _ALL},
    "production": {DEPLOYER: _LOOK, SRE: _ALL},
}


def group(role: str) -> str:
    """Return the cluster's group for those who have *role*."""
    return f"tidegate:{role}"


def grant(store: Store) -> None:
    """*store* has the agent's rights and the rights of every role, and none beside these."""
    account = [{"kind": "ServiceAccount", "name": AGENT, "namespace": AGENT_NAMESPACE}]
    records = rule(("create", "delete", "get", "list", "update"), "", "configmaps")
    _role(store, AGENT_NAMESPACE, "tidegate-records", [records])
    _bind(store, AGENT_NAMESPACE, "tidegate-records", account)
    name = "tidegate-impersonate"
    add(store, CLUSTER_ROLES, name, rules=list(_impersonation()))
    reference = {"apiGroup": CLUSTER_ROLES.group, "kind": "ClusterRole", "name": name}
    add(store, CLUSTER_ROLE_BINDINGS, name, roleRef=reference, subjects=account)
    for namespace, roles in GRANTS.items():
        for capability, rules in _CAPABILITIES.items():
            holders = [role for role, held in roles.items() if capability in held]
            _role(store, namespace, f"tidegate-{capability}", rules)
            _bind(store, namespace, f"tidegate-{capability}", list(map(_subject, holders)))


def _impersonation() -> Iterable[Json]:
    """Yield whom the agent may take on: one user, the roles' groups, and who it is for."""
    roles = sorted({role for held in GRANTS.values() for role in held})
    for resource, names in (("users", [USER]), ("groups", list(map(group, roles)))):
        yield {**rule(("impersonate",), "", resource), "resourceNames": names}
    extras = (f"userextras/{PERSON}", f"userextras/{RUN}")
    yield rule(("impersonate",), _AUTHENTICATION, *extras)


def _subject(role: str) -> Json:
    return {"apiGroup": ROLES.group, "kind": "Group", "name": group(role)}


def _role(store: Store, namespace: str, name: str, rules: Iterable[Json]) -> None:
    add(store, ROLES, name, namespace, rules=list(rules))


def _bind(store: Store, namespace: str, name: str, subjects: list[Json]) -> None:
    reference = {"apiGroup": ROLES.group, "kind": "Role", "name": name}
    add(store, ROLE_BINDINGS, name, namespace, roleRef=reference, subjects=subjects)
