"""What the tests make for themselves in a cluster, through its API, and remove again."""

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.agent.app.stage import VIEWER
from tests.agent.cluster import gate as gates
from tests.agent.cluster import kubelet
from tests.agent.cluster.administrator import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Administrator,
)
from tests.agent.cluster.gate import Gate
from tests.agent.cluster.kubectl import Kubectl
from tests.agent.cluster.workload import REPOSITORY, Workload, manifest
from tests.agent.reached import Access
from tests.deploy import chart
from tidegate_agent.core.access import Review
from tidegate_agent.core.kinds import CONFIG_MAP, Kind
from tidegate_agent.errors import NotFoundError

MAX_REPLICAS: Final = 5
_APPLIED: Final = {
    each.kind: each
    for each in (SERVICE_ACCOUNT, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The agent's part of the chart, in the cluster but for the pods.

    Attributes:
        content: The agent.yaml that the chart renders.
        kubeconfig: Lets the agent's service account through the gate.
    """

    content: dict[str, Any]
    kubeconfig: Path


@dataclass(slots=True, kw_only=True)
class Ground:
    """Namespaces, rights and workloads under names that nobody else has.

    Attributes:
        suffix: What those names end with.
        home: Where agents keep their records.
        place: Where most workloads are; `other` is served as well.
        has_kubelets: Whether containers run: else the pods are played.
    """

    access: Access
    admin: Administrator
    gate: Gate
    gate_url: str
    folder: Path
    suffix: str
    has_kubelets: bool
    _stack: AsyncExitStack
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def home(self) -> str:
        return f"tidegate-test-{self.suffix}"

    @property
    def place(self) -> str:
        return f"{self.home}-a"

    @property
    def other(self) -> str:
        return f"{self.home}-b"

    @property
    def deployer(self) -> str:
        """Return the role of those who may do everything, in both namespaces."""
        return f"deployer-{self.suffix}"

    @property
    def viewer(self) -> str:
        """Return the role of who may look at `place`."""
        return f"viewer-{self.suffix}"

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.access, self.place, self.folder)

    async def create(self, kind: Kind, obj: dict[str, Any]) -> None:
        """The object is there, until the tests are over."""
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        if not kind.namespaced:  # the others go with their namespace
            self._stack.push_async_callback(self._remove, kind, name)
        await self.admin.create(kind, namespace, obj)

    async def workload(
        self, word: str = "deployment", *, replicas: int = 2, namespace: str | None = None
    ) -> Workload:
        """Return a workload of the caller's own, with its pods up."""
        obj = manifest(word, f"w{next(self._numbers)}", replicas)
        obj["metadata"]["namespace"] = namespace or self.place
        made = Workload(
            admin=self.admin,
            word=word,
            namespace=obj["metadata"]["namespace"],
            name=obj["metadata"]["name"],
            seconds=self.access.seconds,
        )
        await self.create(made.kind, obj)
        await made.settled()
        return made

    async def install(self, release: str, **changed: Any) -> Installed:
        """Return a release of the chart, whose values of the agent *changed* changes."""
        agent = {
            "tls": {"existingSecret": ""},
            "tokenReview": {"enabled": False},
            "networkPolicy": {"enabled": False},
            "namespaces": [{"name": self.place}, {"name": self.other}],
            "roles": {
                self.deployer: {"groups": ["SDEV"]},
                self.viewer: {
                    "people": [VIEWER],
                    "namespaces": [self.place],
                    "capabilities": ["status"],
                },
            },
            "registries": [REPOSITORY],
            "maxReplicas": MAX_REPLICAS,
        }
        values = {"gateway": {"enabled": False}, "agent": {**agent, **changed}}
        found = chart.objects(values, name=release, namespace=self.home)
        for obj in chart.of_kind(found, *_APPLIED):
            await self.create(_APPLIED[obj["kind"]], obj)
        account = f"{release}-agent"
        config = chart.named(found, "ConfigMap", account)["data"]["agent.yaml"]
        await self._until_granted(account)
        token = await self.admin.token(self.home, account)
        kubeconfig = self.folder / f"{release}.kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(self.gate_url, token)))
        return Installed(content=yaml.safe_load(config), kubeconfig=kubeconfig)

    async def _until_granted(self, account: str) -> None:
        """What was bound counts: an API server learns of it in a moment of its own."""
        user = f"system:serviceaccount:{self.home}:{account}"
        review = Review(
            user=user,
            groups=(),
            extra={},
            verb="create",
            group=CONFIG_MAP.group,
            resource=CONFIG_MAP.plural,
            namespace=self.home,
        )
        for _ in range(200):
            if await self.admin.allowed(review):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{user} may still not keep records")

    async def _remove(self, kind: Kind, name: str) -> None:
        try:
            await self.admin.delete(kind, None, name)
        except NotFoundError:
            return


@asynccontextmanager
async def prepared(access: Access, folder: Path) -> AsyncIterator[Ground]:
    """There are namespaces, a gate, and somebody to run pods; whatever happens, they go again."""
    async with AsyncExitStack() as stack:
        admin = Administrator(access.credentials())
        stack.push_async_callback(admin.close)
        gate, url = await stack.enter_async_context(gates.opened(access.credentials()))
        made = Ground(
            access=access,
            admin=admin,
            gate=gate,
            gate_url=url,
            folder=folder,
            suffix=secrets.token_hex(4),
            has_kubelets=await admin.has_kubelets(),
            _stack=stack,
        )
        places = (made.place, made.other)
        if not made.has_kubelets:
            await stack.enter_async_context(kubelet.played(admin, made.home, *places))
        for name in (made.home, *places):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await made.create(NAMESPACE, namespace)
        yield made


def _kubeconfig(server: str, token: str) -> dict[str, Any]:
    name = "gate"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
