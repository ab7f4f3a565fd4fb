"""Pods given to nodes, by whoever schedules them through the API.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/binding-v1/
"""

from collections.abc import Callable
from typing import Any

from tidegate_dev.kubernetes.calls import Call
from tidegate_dev.kubernetes.controllers.conditions import set_condition
from tidegate_dev.kubernetes.errors import (
    REQUIRED,
    Cause,
    ConflictError,
    InvalidError,
    NotFoundError,
)
from tidegate_dev.kubernetes.resources import PODS
from tidegate_dev.kubernetes.store import Store, timestamp


class Binder:
    """Answers create of the subresource `binding`.

    Args:
        now: Seconds since the Unix epoch.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def create(self, call: Call) -> dict[str, Any]:
        """Return that it is done; the pod is on the node that the call names, as scheduled.

        Raises:
            StatusError: There is no such pod, it is on a node already, or no node is named.
        """
        name = call.wanted.name
        pod = self._store.get(PODS, call.namespace, name)
        if pod is None:
            raise NotFoundError(PODS, name)
        target = call.object().get("target")
        node = target.get("name") if isinstance(target, dict) else None
        if not isinstance(node, str) or not node:
            raise InvalidError(PODS, name, [Cause("target.name", REQUIRED, "Required value")])
        if there := pod["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{there}"'
            raise ConflictError(PODS, name, why)
        if not call.is_dry_run:
            self._bind(pod, node)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    def _bind(self, pod: dict[str, Any], node: str) -> None:
        pod["spec"]["nodeName"] = node
        pod = self._store.update(PODS, pod)
        now = timestamp(self._now())
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
        set_condition(pod["status"], {**scheduled, "lastProbeTime": None})
        self._store.update(PODS, pod, subresource="status")
