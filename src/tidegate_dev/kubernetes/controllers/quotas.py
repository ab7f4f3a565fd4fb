"""How many pods a namespace may have, and how many it has.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from typing import Any

from tidegate_dev.kubernetes.controllers.ownership import Object
from tidegate_dev.kubernetes.resources import PODS, RESOURCE_QUOTAS, RESOURCES, Resource
from tidegate_dev.kubernetes.store import Store

_COUNTED = {
    **{f"count/{resource.qualified}": resource for resource in RESOURCES},
    **{resource.plural: resource for resource in RESOURCES if not resource.group},
}
_ENDED = ("Succeeded", "Failed")


class QuotaError(Exception):
    """A pod is one too many; the message is what the API server would say."""


class Quotas:
    """Holds new pods to the quotas, and keeps the quotas' status."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def admit(self, namespace: str, pod: str) -> None:
        """One pod more is within every quota of *namespace*.

        Raises:
            QuotaError: It is not.
        """
        quotas, _ = self._store.list(RESOURCE_QUOTAS, namespace)
        for quota in quotas:
            for name, limit in _hard(quota).items():
                if _COUNTED.get(name) is PODS and (used := self._count(PODS, namespace)) >= limit:
                    raise QuotaError(
                        f'pods "{pod}" is forbidden: exceeded quota: {quota["metadata"]["name"]}, '
                        f"requested: {name}=1, used: {name}={used}, limited: {name}={limit}"
                    )

    def sync(self, namespace: str, name: str) -> None:
        """The quota tells how much is used."""
        quota = self._store.get(RESOURCE_QUOTAS, namespace, name)
        if quota is None:
            return
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = {
            entry: str(self._count(resource, namespace))
            for entry in hard
            if (resource := _COUNTED.get(entry))
        }
        quota["status"] = {"hard": dict(hard), "used": used}
        self._store.update(RESOURCE_QUOTAS, quota, subresource="status")

    def _count(self, resource: Resource, namespace: str) -> int:
        found, _ = self._store.list(resource, namespace)
        return sum((obj.get("status") or {}).get("phase") not in _ENDED for obj in found)


def _hard(quota: Object) -> dict[str, int]:
    """Return the limits of *quota* that are plain numbers."""
    hard: dict[str, Any] = (quota.get("spec") or {}).get("hard") or {}
    return {name: int(limit) for name, limit in hard.items() if str(limit).isdigit()}
