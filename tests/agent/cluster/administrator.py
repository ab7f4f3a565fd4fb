"""Somebody who may do everything in the cluster, by its API alone."""

import asyncio
import json
from typing import Any, Final

import pytest

from tidegate_agent.adapters.kubernetes import Credentials, KubernetesClient
from tidegate_agent.adapters.kubernetes.addresses import address
from tidegate_agent.adapters.kubernetes.exchange import Ask
from tidegate_agent.core.kinds import Kind
from tidegate_agent.errors import NotFoundError
from tidegate_agent.ports import Object

_RBAC: Final = "rbac.authorization.k8s.io"
_JSON: Final = ("Content-Type", "application/json")
_SECONDS: Final = 15.0


def _core(plural: str, kind: str, *, namespaced: bool = True) -> Kind:
    return Kind(group="", version="v1", plural=plural, kind=kind, namespaced=namespaced)


def _rbac(plural: str, kind: str, *, namespaced: bool) -> Kind:
    return Kind(group=_RBAC, version="v1", plural=plural, kind=kind, namespaced=namespaced)


NAMESPACE: Final = _core("namespaces", "Namespace", namespaced=False)
NODE: Final = _core("nodes", "Node", namespaced=False)
SERVICE_ACCOUNT: Final = _core("serviceaccounts", "ServiceAccount")
ROLE: Final = _rbac("roles", "Role", namespaced=True)
ROLE_BINDING: Final = _rbac("rolebindings", "RoleBinding", namespaced=True)
CLUSTER_ROLE: Final = _rbac("clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDING: Final = _rbac("clusterrolebindings", "ClusterRoleBinding", namespaced=False)


class Administrator(KubernetesClient):
    """The agent's own client, with what only tests need."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials, sleep=asyncio.sleep, user_agent="tidegate-tests")

    async def create_below(
        self, kind: Kind, namespace: str, name: str, subresource: str, content: Object
    ) -> Object:
        """Return what the API server makes of a subresource that can only be created."""
        path = address(kind, namespace, name, subresource)
        return await self._write("POST", kind, path, content, _JSON, None, dry_run=False)

    async def delete_at_once(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """The object is gone, without the time that its containers would have to stop."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        options |= {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        path = address(kind, namespace, name)
        await self._write("DELETE", kind, path, options, _JSON, None, dry_run=False)

    async def token(self, namespace: str, account: str) -> str:
        """Return a service account's token, good for an hour."""
        wanted = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        made = await self.create_below(SERVICE_ACCOUNT, namespace, account, "token", wanted)
        return str(made["status"]["token"])

    async def has(self, kind: Kind) -> bool:
        """Return whether the API server knows a kind, by its discovery."""
        root = "apis" if kind.group else "api"
        ask = Ask(method="GET", path=f"/{root}/{kind.api_version}", seconds=_SECONDS)
        try:
            content = await self._exchange.answer(ask)
        except NotFoundError:
            return False
        return any(each["name"] == kind.plural for each in json.loads(content)["resources"])

    async def need(self, kind: Kind) -> None:
        """Skip the test, and say why, where the API server does not know a kind."""
        if not await self.has(kind):
            pytest.skip(f"this API server has no {kind.plural} in {kind.api_version}")

    async def has_kubelets(self) -> bool:
        """Return whether any node is ready to run pods."""
        nodes = await self.list(NODE, None)
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for node in nodes.items
            for condition in node.get("status", {}).get("conditions", ())
        )
