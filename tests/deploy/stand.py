"""A cluster in which the chart was installed, and the agent that it configures.

The rights are those that the chart renders, the rules those of the agent.yaml that it renders; the
API server, its controllers and the agent are the real ones of the other tests.
"""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.agent.app.stage import MovableClock, Stage
from tests.deploy import chart
from tests.deploy.chart import Json
from tidegate_agent.adapters.kubernetes import KubernetesClient, from_kubeconfig
from tidegate_agent.core.rules import Rules
from tidegate_agent.entry.settings import parse
from tidegate_dev.kubernetes.audit import AuditEntry
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DAEMON_SETS,
    DEPLOYMENTS,
    ROLE_BINDINGS,
    ROLES,
    STATEFUL_SETS,
    Resource,
)
from tidegate_dev.kubernetes.store import Store

AGENT: Final = "tidegate-agent"
STAGING: Final = "staging"
#: What each kind is called in a request, and a workload of it in staging.
WORKLOADS: Final[Mapping[str, tuple[Resource, str]]] = {
    "deployment": (DEPLOYMENTS, "web"),
    "statefulset": (STATEFUL_SETS, "orders-db"),
    "daemonset": (DAEMON_SETS, "log-shipper"),
}
_RBAC: Final = {
    each.kind: each for each in (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES)
}

#: A right: the verb, the API group and the resource with its subresource.
Right = tuple[str, str, str]


@asynccontextmanager
async def installed(found: list[Json]) -> AsyncIterator[Stage]:
    """A cluster with the company's workloads up, where these objects were applied."""
    async with KubernetesFarEnd(timings=Timings().faster(10)) as cluster:
        _add_daemon_set(cluster.store)
        for obj in chart.of_kind(found, *_RBAC):
            apply(cluster.store, obj)
        token = cluster.add_service_account_token(chart.NAMESPACE, AGENT)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kubeconfig"
            cluster.write_kubeconfig(path, token=token)
            clock = MovableClock()
            client = KubernetesClient(from_kubeconfig([path], {}), sleep=clock.sleep)
        made = Stage(cluster=cluster, client=client, clock=clock, rules=rules_of(found))
        try:
            await made.settled()
            yield made
        finally:
            await client.close()


def rules_of(found: list[Json]) -> Rules:
    """Return what the agent holds to, as the chart configures it."""
    text = chart.named(found, "ConfigMap", AGENT)["data"]["agent.yaml"]
    return parse(text, {}).rules


def apply(store: Store, obj: Json) -> None:
    """*obj* is in the cluster, in place of the one of its name if there is one."""
    metadata, resource = obj["metadata"], _RBAC[obj["kind"]]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    parts = ("rules", "roleRef", "subjects")
    content: Json = {part: obj[part] for part in parts if part in obj}
    if (there := store.get(resource, namespace, name)) is not None:
        store.update(resource, {**there, **content})
    else:
        add(store, resource, name, namespace, **content)


def rights_of(rules: list[Json]) -> set[Right]:
    """Return every right that rules give."""
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def without(rules: list[Json], right: Right) -> Iterator[Json]:
    """Yield rules that give all that *rules* do but for one right."""
    for rule in rules:
        names = {"resourceNames": rule["resourceNames"]} if "resourceNames" in rule else {}
        for verb, group, resource in sorted(rights_of([rule]) - {right}):
            yield {"verbs": [verb], "apiGroups": [group], "resources": [resource], **names}


def asked(stage: Stage, *, as_somebody: bool) -> list[AuditEntry]:
    """Return what the agent has asked of the API server, as somebody or as itself."""
    return [
        entry
        for entry in stage.cluster.audit
        if entry.user_agent == "tidegate-agent"
        and entry.wanted.resource
        and (entry.acting_as is not None) == as_somebody
    ]


def used(entries: list[AuditEntry]) -> set[Right]:
    """Return the rights that calls took, or would have taken."""
    return {(e.wanted.verb, e.wanted.group, e.wanted.combined) for e in entries}


def workload(stage: Stage, kind: str) -> dict[str, Any]:
    """Return the workload of that kind in staging."""
    resource, name = WORKLOADS[kind]
    found = stage.cluster.store.get(resource, STAGING, name)
    assert found is not None
    return found


async def by_hand(stage: Stage, kind: str, image: str) -> None:
    """Somebody gives a workload another image, and its rollout is through: a revision more."""
    resource, _ = WORKLOADS[kind]
    obj = workload(stage, kind)
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
    stage.cluster.store.update(resource, obj)
    for _ in range(400):
        await stage.clock.sleep(0.05)
        if _is_through(kind, workload(stage, kind)):
            return
    raise AssertionError(f"the {kind} does not come up: {workload(stage, kind)['status']}")


def _is_through(kind: str, obj: dict[str, Any]) -> bool:
    status = obj.get("status", {})
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return False
    if kind == "daemonset":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(wanted == status.get("updatedNumberScheduled") == status.get("numberAvailable"))
    wanted = obj["spec"]["replicas"]
    return bool(wanted == status.get("updatedReplicas") == status.get("availableReplicas"))


def _add_daemon_set(store: Store) -> None:
    there = store.get(DAEMON_SETS, "kube-system", "log-shipper")
    assert there is not None
    add(store, DAEMON_SETS, "log-shipper", STAGING, spec=there["spec"])
