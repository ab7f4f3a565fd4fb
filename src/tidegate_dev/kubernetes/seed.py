"""The small company whose cluster the dev workspace shows."""

from typing import Any, Final

from tidegate_dev.kubernetes.bootstrap import add, add_namespace
from tidegate_dev.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)
from tidegate_dev.kubernetes.store import Store

APPLICATION_NAMESPACES: Final = ("staging", "production")
AGENT_NAMESPACE: Final = "tidegate"
REGISTRY: Final = "registry.example.com"
DEADLINE_SECONDS: Final = 600  # Kubernetes' own default

_DEPLOYMENTS: Final = {"web": ("2.4.0", 3), "api": ("1.18.2", 3), "worker": ("1.18.2", 2)}
_PORTS: Final = {"web": 8080, "api": 8081}
_CHANGE_CAUSE: Final = "kubernetes.io/change-cause"


def seed(store: Store, *, deadline_seconds: int = DEADLINE_SECONDS) -> None:
    """*store* has the company's namespaces, and what runs in them.

    Args:
        store: Where.
        deadline_seconds: How long a rollout may go without progress before it has failed.
    """
    for namespace in APPLICATION_NAMESPACES:
        add_namespace(store, namespace)
        for name, (tag, replicas) in _DEPLOYMENTS.items():
            _add_deployment(store, namespace, name, tag, replicas, deadline_seconds)
        for name, port in _PORTS.items():
            _add_service(store, namespace, name, port)
        _add_database(store, namespace)
    _add_log_shipper(store)
    _add_autoscaler(store)
    add_namespace(store, AGENT_NAMESPACE)
    for name in ("tidegate-agent", "tidegate-gateway"):
        add(store, SERVICE_ACCOUNTS, name, AGENT_NAMESPACE)


def _add_deployment(
    store: Store, namespace: str, name: str, tag: str, replicas: int, deadline_seconds: int
) -> None:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop"}
    obj = add(
        store,
        DEPLOYMENTS,
        name,
        namespace,
        labels=labels,
        spec={
            "replicas": replicas,
            "progressDeadlineSeconds": deadline_seconds,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": _template(name, f"{REGISTRY}/{name}:{tag}", labels, _PORTS.get(name)),
        },
    )
    obj["metadata"]["annotations"] = {_CHANGE_CAUSE: "installed"}
    store.update(DEPLOYMENTS, obj, subresource="status")


def _add_database(store: Store, namespace: str) -> None:
    labels = {"app.kubernetes.io/name": "orders-db", "app.kubernetes.io/part-of": "shop"}
    add(
        store,
        STATEFUL_SETS,
        "orders-db",
        namespace,
        labels=labels,
        spec={
            "replicas": 2,
            "serviceName": "orders-db",
            "selector": {"matchLabels": {"app.kubernetes.io/name": "orders-db"}},
            "template": _template("postgres", f"{REGISTRY}/postgres:17.6", labels, 5432),
        },
    )
    _add_service(store, namespace, "orders-db", 5432)


def _add_log_shipper(store: Store) -> None:
    labels = {"app.kubernetes.io/name": "log-shipper"}
    add(
        store,
        DAEMON_SETS,
        "log-shipper",
        "kube-system",
        labels=labels,
        spec={
            "selector": {"matchLabels": labels},
            "template": _template("shipper", f"{REGISTRY}/log-shipper:0.9.3", labels, None),
        },
    )


def _add_service(store: Store, namespace: str, name: str, port: int) -> None:
    add(
        store,
        SERVICES,
        name,
        namespace,
        spec={
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "main", "port": port}],
        },
    )


def _add_autoscaler(store: Store) -> None:
    add(
        store,
        HORIZONTAL_POD_AUTOSCALERS,
        "api",
        "production",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
            "minReplicas": 3,
            "maxReplicas": 8,
        },
    )


def _template(
    container: str, image: str, labels: dict[str, str], port: int | None
) -> dict[str, Any]:
    ports = {} if port is None else {"ports": [{"name": "main", "containerPort": port}]}
    resources = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {
            "containers": [{"name": container, "image": image, "resources": resources, **ports}]
        },
    }
