"""A cluster, agents in it, and people who ask: the real client against the embedded API server."""

import base64
import hashlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typing_extensions import override

from tidegate_agent.adapters.clock import SystemClock
from tidegate_agent.adapters.kubernetes import KubernetesClient, from_kubeconfig
from tidegate_agent.app.agent import Agent
from tidegate_agent.core import answer
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Keys, Statement
from tidegate_agent.core.roles import Role, Roles
from tidegate_agent.core.rules import Rules
from tidegate_agent.errors import KubernetesError, RefusedError, UnavailableError
from tidegate_agent.ports import Journal, Kubernetes
from tidegate_dev.kubernetes.audit import AuditEntry
from tidegate_dev.kubernetes.bootstrap import add, rule
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from tidegate_dev.kubernetes.store import Store

HOME: Final = "tidegate"
DEPLOYER: Final = "slack:T1:U1"
VIEWER: Final = "slack:T1:U2"
STRANGER: Final = "slack:T1:U9"
REGISTRY: Final = "registry.example.com"
_RBAC: Final = "rbac.authorization.k8s.io"

RULES: Final = Rules(
    home=HOME,
    roles=Roles(
        roles=(
            Role(
                name="deployer",
                namespaces=("staging", "production", "kube-system"),
                groups=frozenset({"SDEV"}),
            ),
            Role(name="viewer", namespaces=("staging",), people=frozenset({VIEWER})),
        )
    ),
    registries=(REGISTRY,),
    max_replicas=10,
)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


_KEY: Final = Ed25519PrivateKey.generate()
_PUBLIC: Final = _base64url(_KEY.public_key().public_bytes_raw())
KEYS: Final = Keys({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "stage", "x": _PUBLIC}]})


class MovableClock(SystemClock):
    """The machine's time, and so much more."""

    def __init__(self) -> None:
        self.ahead = 0.0

    @override
    def now(self) -> float:
        return time.time() + self.ahead


class Notes(Journal):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    @override
    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        self.events.append((event, fields))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]


@dataclass(kw_only=True)
class Agents:
    """Agents in one cluster, and what they are given."""

    client: Kubernetes
    clock: MovableClock = field(default_factory=MovableClock)
    notes: Notes = field(default_factory=Notes)
    rules: Rules = RULES
    _agent: Agent | None = None

    @property
    def agent(self) -> Agent:
        """The agent that is asked; the same one as long as nobody restarts it."""
        if self._agent is None:
            self._agent = self.new_agent()
        return self._agent

    def new_agent(
        self,
        *,
        through: Callable[[Kubernetes], Kubernetes] | None = None,
        rules: Rules | None = None,
        keys: Keys | None = KEYS,
    ) -> Agent:
        """Return another agent in the same cluster, as after a start."""
        client = self.client if through is None else through(self.client)
        return Agent(
            kubernetes=client,
            clock=self.clock,
            journal=self.notes,
            rules=rules or self.rules,
            keys=keys,
        )


@dataclass(kw_only=True)
class Stage(Agents):
    """What a test has at hand."""

    cluster: KubernetesFarEnd

    async def ask(
        self,
        verb: str,
        run: str = "run-1",
        *,
        who: str = DEPLOYER,
        agent: Agent | None = None,
        **params: Any,
    ) -> Answer:
        """Return what a request is answered, refusals included."""
        params.setdefault("namespace", "staging")
        if verb != "status" and not {"statefulset", "daemonset"} & params.keys():
            params.setdefault("deployment", "web")
        body = json.dumps({"run_id": run, "params": params}).encode()
        try:
            asking = replace(statement(run, who), token=signed(verb, body, run, who))
            return await (agent or self.agent).ask(verb, body, asking)
        except (RefusedError, UnavailableError, KubernetesError) as error:
            return answer.of_error(error)

    async def follow(
        self, run: str = "run-1", *, agent: Agent | None = None, who: str = DEPLOYER
    ) -> Answer:
        try:
            return await (agent or self.agent).follow(run, statement(run, who))
        except (RefusedError, UnavailableError, KubernetesError) as error:
            return answer.of_error(error)

    async def cancel(self, run: str = "run-1", *, who: str = DEPLOYER) -> Answer:
        try:
            return await self.agent.cancel(run, statement(run, who))
        except (RefusedError, UnavailableError, KubernetesError) as error:
            return answer.of_error(error)

    async def followed(
        self, run: str = "run-1", *, until: Callable[[dict[str, Any]], bool] | None = None
    ) -> dict[str, Any]:
        """Return the operation once it has ended, or *until* holds of it."""
        content: dict[str, Any] = {}
        for _ in range(400):
            told = await self.follow(run)
            content = dict(told.content)
            if told.status == 410:
                return content
            assert told.status == 200, told
            if until is None and content["phase"] in ("succeeded", "failed", "cancelled"):
                return content
            if until is not None and until(content):
                return content
            await self.clock.sleep(0.05)
        raise AssertionError(f"still {content}")

    def deployment(self, name: str = "web", namespace: str = "staging") -> dict[str, Any]:
        found = self.cluster.store.get(DEPLOYMENTS, namespace, name)
        assert found is not None
        return found

    def image(self, name: str = "web", namespace: str = "staging") -> str:
        template = self.deployment(name, namespace)["spec"]["template"]
        return str(template["spec"]["containers"][0]["image"])

    def edit(self, change: Callable[[dict[str, Any]], None], name: str = "web") -> None:
        """Somebody else changes a Deployment."""
        obj = self.deployment(name)
        change(obj)
        self.cluster.store.update(DEPLOYMENTS, obj)

    def effects(self, resource: str = "deployments") -> list[AuditEntry]:
        """Return the changes of workloads that were made, as the API server saw them."""
        return [
            entry
            for entry in self.cluster.audit
            if entry.wanted.verb == "patch"
            and entry.wanted.resource == resource
            and entry.code == 200
            and not entry.dry_run
        ]

    def records(self) -> list[dict[str, Any]]:
        found, _ = self.cluster.store.list(CONFIG_MAPS, HOME)
        return [obj for obj in found if obj["metadata"]["name"].startswith("tidegate-operation-")]

    async def settled(self) -> None:
        """The seeded workloads have come up."""
        for _ in range(400):
            web = self.deployment()
            if web.get("status", {}).get("availableReplicas") == web["spec"]["replicas"]:
                return
            await self.clock.sleep(0.02)
        raise AssertionError("web does not come up")


def statement(run: str, who: str = DEPLOYER) -> Statement:
    groups = ("SDEV",) if who == DEPLOYER else ()
    return Statement(subject=who, groups=groups, run=run, action="deploy")


def signed(verb: str, body: bytes, run: str, who: str = DEPLOYER, **claimed: Any) -> str:
    """Return the statement of a request, as the gateway signs it; *claimed* bends it."""
    now = int(time.time())
    claims = {
        "iss": RULES.issuer,
        "aud": RULES.audience,
        "sub": who,
        "groups": list(statement(run, who).groups),
        "run": run,
        "action": "deploy",
        "jti": run,
        "iat": now,
        "exp": now + 60,
        "method": "POST",
        "path": f"/api/v1/{verb}",
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    parts = ({"alg": "EdDSA", "kid": "stage"}, claims | claimed)
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64url(_KEY.sign(text.encode()))}"


@asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[Stage]:
    """A cluster with an agent in it, whose rights are those that it needs and no more."""
    options.setdefault("timings", Timings().faster(10))
    async with KubernetesFarEnd(**options) as cluster:
        grant(cluster.store)
        token = cluster.add_service_account_token(HOME, "tidegate-agent")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kubeconfig"
            cluster.write_kubeconfig(path, token=token)
            clock = MovableClock()
            client = KubernetesClient(from_kubeconfig([path], {}), sleep=clock.sleep)
        made = Stage(cluster=cluster, client=client, clock=clock)
        try:
            await made.settled()
            yield made
        finally:
            await client.close()


def grant(store: Store) -> None:
    """The agent may impersonate, and keep records; each role may do what its name says."""
    account = {"kind": "ServiceAccount", "name": "tidegate-agent", "namespace": HOME}
    add(
        store,
        CLUSTER_ROLES,
        "tidegate-agent",
        rules=[
            {**rule(["impersonate"], "", "users"), "resourceNames": ["tidegate"]},
            {
                **rule(["impersonate"], "", "groups"),
                "resourceNames": ["tidegate:deployer", "tidegate:viewer"],
            },
            rule(
                ["impersonate"],
                "authentication.k8s.io",
                "userextras/tidegate.dev/person",
                "userextras/tidegate.dev/run",
            ),
            rule(["create"], "authorization.k8s.io", "subjectaccessreviews"),
        ],
    )
    bind(store, CLUSTER_ROLE_BINDINGS, "tidegate-agent", "", account, kind="ClusterRole")
    records = rule(["get", "list", "create", "update", "delete"], "", "configmaps")
    add(store, ROLES, "tidegate-records", HOME, rules=[records])
    bind(store, ROLE_BINDINGS, "tidegate-records", HOME, account)
    reads = [
        rule(["get", "list"], "apps", "deployments", "statefulsets", "daemonsets"),
        rule(["list"], "apps", "replicasets", "controllerrevisions"),
        rule(["list"], "", "pods", "events"),
    ]
    changes = [
        rule(["patch"], "apps", "deployments", "statefulsets", "daemonsets"),
        rule(["patch"], "apps", "deployments/scale", "statefulsets/scale"),
        rule(["list"], "autoscaling", "horizontalpodautoscalers"),
        rule(["get"], "", "pods/log"),
    ]
    for namespace in ("staging", "production", "kube-system"):
        for name, rules in (("viewer", reads), ("deployer", reads + changes)):
            add(store, ROLES, f"tidegate-{name}", namespace, rules=rules)
            group = {"kind": "Group", "name": f"tidegate:{name}", "apiGroup": _RBAC}
            bind(store, ROLE_BINDINGS, f"tidegate-{name}", namespace, group)


def bind(
    store: Store,
    resource: Resource,
    role: str,
    namespace: str,
    subject: dict[str, str],
    *,
    kind: str = "Role",
    name: str | None = None,
) -> None:
    """*subject* may do what a role says."""
    add(
        store,
        resource,
        name or role,
        namespace,
        subjects=[subject],
        roleRef={"apiGroup": _RBAC, "kind": kind, "name": role},
    )


def only(stage: Stage, *rules: dict[str, Any]) -> None:
    """The deployers may do nothing but that."""
    store = stage.cluster.store
    role = store.get(ROLES, "staging", "tidegate-deployer")
    assert role is not None
    role["rules"] = list(rules)
    store.update(ROLES, role)
