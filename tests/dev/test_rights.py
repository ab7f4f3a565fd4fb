"""The dev cluster gives the rights that the Helm chart gives."""

from typing import Any

from tests.deploy import chart
from tidegate_dev import rights
from tidegate_dev.kubernetes.bootstrap import bootstrap
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate_dev.kubernetes.seed import AGENT_NAMESPACE, seed
from tidegate_dev.kubernetes.store import Store

Right = tuple[str, str, str, str, str]


def _installed() -> list[dict[str, Any]]:
    """Return what the chart renders for the roles of the workspace."""
    roles = {
        rights.DEPLOYER: {"groups": ["S0DEPLOYERS"]},
        rights.SRE: {"groups": ["S0SRE"]},
    }
    found = []
    for namespace, held in rights.GRANTS.items():
        listed = {
            role: {**content, "capabilities": list(held[role])} for role, content in roles.items()
        }
        values = {
            "gateway": {"enabled": False},
            "agent": {
                "namespaces": [{"name": namespace}],
                "roles": listed,
                "tls": {"existingSecret": ""},
                "networkPolicy": {"enabled": False},
                "tokenReview": {"enabled": False},
            },
        }
        found += chart.objects(values, namespace=AGENT_NAMESPACE)
    return found


def _dev() -> list[dict[str, Any]]:
    bare, store = Store(lambda: 0.0), Store(lambda: 0.0)
    for each in (bare, store):
        bootstrap(each)
        seed(each)
    rights.grant(store)
    resources = (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
    return [
        obj
        for resource in resources
        for obj in store.list(resource)[0]
        if bare.get(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"]) is None
    ]


def _held(found: list[dict[str, Any]]) -> dict[str, set[Right]]:
    """Return each subject's rights: where, verb, group, resource and name."""
    roles = {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj["rules"]
        for obj in found
        if obj["kind"] in ("Role", "ClusterRole")
    }
    held: dict[str, set[Right]] = {}
    for obj in found:
        if obj["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        where, role = obj["metadata"].get("namespace", ""), obj["roleRef"]
        rules = roles[role["kind"], where if role["kind"] == "Role" else "", role["name"]]
        for subject in obj["subjects"]:
            held.setdefault(subject["name"], set()).update(_rights(where, rules))
    return held


def _rights(where: str, rules: list[dict[str, Any]]) -> set[Right]:
    return {
        (where, verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def test_everybody_may_what_the_chart_lets_them_and_nothing_beside() -> None:
    dev, installed = _held(_dev()), _held(_installed())
    assert dev.keys() == installed.keys() == {rights.AGENT, *map(rights.group, ("deployer", "sre"))}
    for subject, held in dev.items():
        assert held == installed[subject], subject
