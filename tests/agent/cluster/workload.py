"""Workloads of the tests' own, seen and changed through the API alone."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.agent.cluster.administrator import Administrator
from tests.agent.cluster.kubelet import TAINT
from tidegate_agent.core.kinds import DAEMON_SET, WORKLOADS, Kind
from tidegate_agent.ports import PatchType

#: Real containers run where the cluster is real: these have to be there, and to do nothing.
REPOSITORY: Final = os.environ.get("TIDEGATE_TEST_IMAGE", "registry.k8s.io/pause")
OLD, NEW, NEWER = "3.9", "3.10", "3.10.1"
CONTAINER: Final = "main"
_NO_PRIVILEGES: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload; `word` is the param that names it."""

    admin: Administrator
    word: str
    namespace: str
    name: str
    seconds: float

    @property
    def kind(self) -> Kind:
        return WORKLOADS[self.word]

    @property
    def params(self) -> dict[str, Any]:
        """Return the params of a request that is about it."""
        return {"namespace": self.namespace, self.word: self.name}

    @property
    def words(self) -> str:
        """Return what kubectl calls it."""
        return f"{self.word}/{self.name}"

    @property
    def path(self) -> str:
        """Return where it is in the API."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind.plural}/{self.name}"

    async def read(self) -> dict[str, Any]:
        return dict(await self.admin.get(self.kind, self.namespace, self.name))

    async def image(self) -> str:
        return image_of(await self.read())

    async def edit(self, patch: dict[str, Any]) -> None:
        """Somebody else changes it."""
        kind, place = self.kind, (self.namespace, self.name)
        await self.admin.patch(kind, *place, patch, type=PatchType.STRATEGIC)

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return it as soon as *holds* of it."""
        found = await self.read()
        async with asyncio.timeout(self.seconds):
            if holds(found):
                return found
            watch = self.admin.watch(
                self.kind,
                self.namespace,
                fields=f"metadata.name={self.name}",
                resource_version=found["metadata"]["resourceVersion"],
            )
            async for event in watch:
                if event.type == "MODIFIED" and holds(dict(event.object)):
                    return dict(event.object)
        raise AssertionError("a watch never ends")

    async def settled(self) -> dict[str, Any]:
        """Return it once all its pods are new and ready."""
        return await self.until(is_settled)


def image_of(obj: dict[str, Any]) -> str:
    return str(obj["spec"]["template"]["spec"]["containers"][0]["image"])


def is_settled(obj: dict[str, Any]) -> bool:
    status = obj.get("status", {})
    if status.get("observedGeneration") != obj["metadata"]["generation"]:
        return False
    if obj["kind"] == DAEMON_SET.kind:
        wanted = status["desiredNumberScheduled"]
        counts = ["updatedNumberScheduled", "numberAvailable"]
        return bool(wanted > 0 and {status.get(each, 0) for each in counts} == {wanted})
    counts = ["updatedReplicas", "availableReplicas", "replicas"]
    return {status.get(each, 0) for each in counts} == {obj["spec"]["replicas"]}


def manifest(word: str, name: str, replicas: int) -> dict[str, Any]:
    """Return a workload whose pods do nothing, and end at once."""
    kind = WORKLOADS[word]
    labels = {"app.kubernetes.io/name": name}
    container = {"name": CONTAINER, "image": f"{REPOSITORY}:{OLD}"}
    pods = {
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"key": TAINT, "operator": "Exists"}],
        # As `restricted` has it, where a namespace is held to that by default.
        # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65_532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [{**container, "securityContext": _NO_PRIVILEGES}],
    }
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pods},
    }
    if kind is not DAEMON_SET:
        spec["replicas"] = replicas
    if word == "statefulset":
        spec["serviceName"] = name
    metadata = {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
