"""HorizontalPodAutoscalers: their status is kept. They scale nothing here, as nothing is measured.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from typing import Final

from tidegate_dev.kubernetes.controllers.clock import Clock, stamp
from tidegate_dev.kubernetes.controllers.conditions import set_condition
from tidegate_dev.kubernetes.resources import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    REPLICA_SETS,
    STATEFUL_SETS,
)
from tidegate_dev.kubernetes.store import Store

_TARGETS: Final = {
    resource.kind: resource for resource in (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS)
}


class Autoscalers:
    """Tells in each autoscaler how large its target is."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def sync(self, namespace: str, name: str) -> None:
        """The autoscaler's status says how many replicas its target has, and is to have."""
        scaler = self._store.get(HORIZONTAL_POD_AUTOSCALERS, namespace, name)
        if scaler is None:
            return
        wanted = scaler["spec"]["scaleTargetRef"]
        resource = _TARGETS.get(wanted["kind"])
        target = resource and self._store.get(resource, namespace, wanted["name"])
        status = scaler.setdefault("status", {})
        now = stamp(self._clock.now())
        note = {"type": "AbleToScale", "lastTransitionTime": now}
        if target:
            status["currentReplicas"] = int((target.get("status") or {}).get("replicas", 0))
            status["desiredReplicas"] = int(target["spec"].get("replicas", 1))
            note |= {
                "status": "True",
                "reason": "ReadyForNewScale",
                "message": "recommended size matches current size",
            }
        else:
            missing = f'{wanted["kind"].lower()}s.apps "{wanted["name"]}" not found'
            note |= {
                "status": "False",
                "reason": "FailedGetScale",
                "message": "the HPA controller was unable to get the target's current scale: "
                + missing,
            }
        set_condition(status, note)
        self._store.update(HORIZONTAL_POD_AUTOSCALERS, scaler, subresource="status")
