"""The cluster that the workspace shows: what runs there, who may do what, and what it tells."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typing_extensions import override

from tests.dev.kubernetes.kubectl import binary
from tidegate_agent.adapters.clock import SystemClock
from tidegate_agent.adapters.kubernetes import KubernetesClient
from tidegate_agent.app.agent import Agent
from tidegate_agent.core import answer
from tidegate_agent.core.answer import Answer
from tidegate_agent.core.identity import Statement
from tidegate_agent.entry import wiring
from tidegate_agent.errors import KubernetesError, RefusedError
from tidegate_agent.ports import Journal
from tidegate_dev import agent, rights
from tidegate_dev.cluster import DEADLINE_SECONDS, Cluster
from tidegate_dev.configuration import Ports, Secrets
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLES,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    ROLES,
)
from tidegate_dev.kubernetes.seed import AGENT_NAMESPACE
from tidegate_dev.listener import bind

MONTH_SECONDS = 30 * 86_400.0
ADA = {"subject": "slack:T0TIDEGATE:U0ADA", "groups": ("S0DEPLOYERS",)}
GRACE = {"subject": "slack:T0TIDEGATE:U0GRACE", "groups": ("S0DEPLOYERS", "S0SRE")}


class Clock(SystemClock):
    """The machine's time, and so much more."""

    ahead = 0.0

    @override
    def now(self) -> float:
        return super().now() + self.ahead


class Silent(Journal):
    """Notes nothing."""

    @override
    def note(self, event: str, /, *, level: str = "info", **fields: object) -> None:
        pass


@dataclass
class Stage:
    """The cluster, and the agent as the workspace configures it."""

    cluster: Cluster
    folder: Path
    token: str = ""
    changes: int = 0
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    agent: Agent | None = None
    runs: int = 0

    async def ask(self, verb: str, who: dict[str, Any] = GRACE, **params: Any) -> Answer:
        """Return what the agent answers, refusals included."""
        assert self.agent is not None
        self.runs += 1
        run = f"run{self.runs}"
        body = json.dumps({"run_id": run, "params": {"namespace": "staging", **params}}).encode()
        statement = Statement(run=run, action="a", **who)
        try:
            taken = await self.agent.ask(verb, body, statement)
            while taken.location is not None:
                told = await self.agent.follow(run, statement)
                if told.content["phase"] not in ("pending", "running"):
                    return told
                await asyncio.sleep(0.05)
        except (RefusedError, KubernetesError) as error:
            return answer.of_error(error)
        return taken

    def image(self, namespace: str = "staging") -> str:
        found = self.cluster.far_end.store.get(DEPLOYMENTS, namespace, "web")
        assert found is not None
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def workload(self, name: str, namespace: str = "staging") -> dict[str, Any]:
        """Return a workload as the page is told."""
        return next(
            workload
            for place in self.cluster.state()["namespaces"]
            for workload in place["workloads"]
            if (place["name"], workload["name"]) == (namespace, name)
        )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage: Stage

    def changed() -> None:
        stage.changes += 1

    cluster = Cluster(
        on_change=changed, on_request=lambda run, entry: stage.requests.append((run, entry))
    )
    stage = Stage(cluster, tmp_path)
    sock = bind()
    page = sock.getsockname()[1] - 4
    stage.token = await cluster.start(sock, tmp_path / "kubeconfig")
    config = agent.write(
        tmp_path / "agent",
        ports=Ports(page=page),
        jwks=Secrets(bot_token="t", signing_secret="s").jwks(),
        token=stage.token,
    )
    configuration = wiring.load(config, {})
    assert wiring.problems(configuration) == []
    client = KubernetesClient(wiring.credentials(configuration), sleep=stage.clock.sleep)
    stage.agent = Agent(
        kubernetes=client, clock=stage.clock, journal=Silent(), rules=configuration.settings.rules
    )
    yield stage
    await client.close()
    await cluster.stop()


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - controllers change it
            await asyncio.sleep(0.02)


async def test_everything_runs_from_the_first_moment(stage: Stage) -> None:
    state = stage.cluster.state()
    assert [namespace["name"] for namespace in state["namespaces"]] == [
        "staging",
        "production",
        "kube-system",
    ]
    workloads = [one for namespace in state["namespaces"] for one in namespace["workloads"]]
    assert {one["kind"] for one in workloads} == {"DaemonSet", "Deployment", "StatefulSet"}
    assert {one["status"] for one in workloads} == {"healthy"}
    assert state["effects"] == {"distinct": 0, "performed": 0}
    assert state["operations"] == 0


async def test_before_it_is_started_there_is_nothing_to_see() -> None:
    cluster = Cluster(on_change=lambda: None, on_request=lambda _run, _entry: None)
    state = cluster.state()
    assert (state["namespaces"], state["kubectl"], state["operations"]) == ([], "", 0)
    with pytest.raises(RuntimeError, match="not been started"):
        assert cluster.far_end
    await cluster.stop()


async def test_a_deploy_is_told_as_it_happens_and_counted_once(stage: Stage) -> None:
    done = await stage.ask("deploy", ADA, deployment="web", image="web:2.4.1")
    assert done.content["phase"] == "succeeded"
    assert stage.image() == "registry.example.com/web:2.4.1"
    assert stage.workload("web")["tag"] == "2.4.1"
    assert stage.cluster.state()["effects"] == {"distinct": 1, "performed": 1}
    assert stage.cluster.state()["operations"] == 1
    assert {run for run, _ in stage.requests} == {"run1"}
    (patch,) = (entry for _, entry in stage.requests if entry["verb"] == "patch")
    assert (patch["resource"], patch["name"], patch["code"]) == ("deployments", "web", 200)
    assert patch["acting_as"]["username"] == "tidegate"
    assert "tidegate:deployer" in patch["acting_as"]["groups"]
    assert patch["acting_as"]["extra"]["tidegate.dev/person"] == [ADA["subject"]]
    # Many changes, told together.
    assert 5 <= stage.changes <= 60


async def test_what_a_role_may_not_do_is_refused_and_the_right_is_named(stage: Stage) -> None:
    production: dict[str, Any] = {"namespace": "production", "deployment": "web"}
    changes: list[tuple[str, dict[str, Any], str]] = [
        ("scale", {"replicas": 5}, "patch deployments.apps/scale in production"),
        ("deploy", {"image": "web:2.4.1"}, "patch deployments.apps in production"),
        ("restart", {}, "patch deployments.apps in production"),
    ]
    for verb, params, right in changes:
        refused = await stage.ask(verb, ADA, **production, **params)
        assert (refused.status, right in refused.content["message"]) == (403, True), verb
    assert (await stage.ask("status", ADA, **production)).status == 200
    assert (await stage.ask("logs", ADA, **production)).status == 200
    assert stage.image("production") == "registry.example.com/web:2.4.0"
    assert stage.cluster.state()["effects"]["performed"] == 0
    done = await stage.ask("scale", GRACE, **production, replicas=5)
    assert done.content["phase"] == "succeeded"


async def test_who_has_no_role_is_refused_by_the_agent(stage: Stage) -> None:
    stranger = {"subject": "slack:T0TIDEGATE:U0GUEST", "groups": ()}
    refused = await stage.ask("status", stranger)
    assert refused.status == 403
    assert "no role" in refused.content["message"]
    assert stage.requests == []


async def test_the_rights_are_those_that_the_agent_uses_and_no_others(stage: Stage) -> None:
    store = stage.cluster.far_end.store
    shipper = store.get(DAEMON_SETS, "kube-system", "log-shipper")
    assert shipper is not None
    add(store, DAEMON_SETS, "shipper", "staging", spec=shipper["spec"])
    await stage.ask("status")
    verbs: dict[str, dict[str, Any]] = {
        **{verb: {} for verb in ("status", "logs", "restart", "rollback")},
        "scale": {"replicas": 1},
    }
    workloads: list[dict[str, Any]] = [
        {"deployment": "web"},
        {"statefulset": "orders-db"},
        {"daemonset": "shipper"},
    ]
    for workload in workloads:
        for verb, params in verbs.items():
            taken = await stage.ask(verb, **workload, **params)
            if verb != "scale" or "daemonset" not in workload:
                assert taken.status == 200, (verb, workload, taken.content)
    assert stage.agent is not None
    await stage.agent.recover()
    stage.clock.ahead = MONTH_SECONDS
    assert await stage.agent.prune() > 0
    audit = [entry.to_dict() for entry in stage.cluster.far_end.audit]
    assert not [entry for entry in audit if entry["code"] == 403]
    theirs = {used(entry) for entry in audit if entry["acting_as"] and entry["namespace"]}
    assert theirs == granted(stage, "staging")
    own = {used(entry) for entry in audit if not entry["acting_as"] and entry["namespace"]}
    assert own == granted(stage, AGENT_NAMESPACE)


def used(entry: dict[str, Any]) -> tuple[str, str, str]:
    sub = f"/{entry['subresource']}" if entry["subresource"] else ""
    return entry["verb"], entry["group"], entry["resource"] + sub


def granted(stage: Stage, namespace: str) -> set[tuple[str, str, str]]:
    return {
        (verb, group, resource)
        for role in stage.cluster.far_end.store.list(ROLES, namespace)[0]
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


async def test_the_agent_takes_on_its_roles_and_nobody_else(stage: Stage) -> None:
    role = stage.cluster.far_end.store.get(CLUSTER_ROLES, "", "tidegate-impersonate")
    assert role is not None
    named = {rule["resources"][0]: rule.get("resourceNames") for rule in role["rules"][:2]}
    assert named == {"users": ["tidegate"], "groups": ["tidegate:deployer", "tidegate:sre"]}
    for question, expected in (
        (("list", "pods", "-n", "staging"), "no"),
        (("get", "secrets", "-n", "tidegate"), "no"),
        (("impersonate", "users/tidegate"), "yes"),
        (("impersonate", "users/kubernetes-admin"), "no"),
        (("impersonate", "groups/system:masters"), "no"),
        (("create", "configmaps", "-n", "tidegate"), "yes"),
    ):
        said = await kubectl(stage, "auth", "can-i", *question, "--as", AGENT)
        assert said.split()[-1] == expected, question


AGENT = f"system:serviceaccount:{AGENT_NAMESPACE}:{rights.AGENT}"


async def kubectl(stage: Stage, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        binary(),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            "KUBECONFIG": str(stage.folder / "kubeconfig"),
            "HOME": str(stage.folder),
            "PATH": os.environ["PATH"],
        },
    )
    said, _ = await process.communicate()
    return said.decode()


async def test_the_line_for_a_shell_shows_the_pods(stage: Stage) -> None:
    line = stage.cluster.kubectl_line
    assert stat.S_IMODE((stage.folder / "kubeconfig").stat().st_mode) == 0o600
    process = await asyncio.create_subprocess_shell(
        line,
        stdout=asyncio.subprocess.PIPE,
        env={"HOME": str(stage.folder), "PATH": f"{Path(binary()).parent}:{os.environ['PATH']}"},
    )
    said, _ = await process.communicate()
    pods, _ = stage.cluster.far_end.store.list(PODS, "staging")
    rows = [row.split() for row in said.decode().splitlines()[1:]]
    assert {row[0] for row in rows} == {pod["metadata"]["name"] for pod in pods}
    assert {tuple(row[1:3]) for row in rows} == {("1/1", "Running")}


def phases(stage: Stage) -> set[str]:
    return {pod["phase"] for pod in stage.workload("web")["pods"]}


async def test_who_shows_no_token_gets_no_word(stage: Stage) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/version", "/api/v1/namespaces/staging/pods"):
            async with session.get(f"{stage.cluster.far_end.url}{path}") as response:
                assert response.status == 401


async def test_containers_can_be_made_to_crash(stage: Stage) -> None:
    stage.cluster.fail_rollouts(True)
    store = stage.cluster.far_end.store
    web = store.get(DEPLOYMENTS, "staging", "web")
    assert web is not None
    web["spec"]["template"]["metadata"]["annotations"] = {"again": "yes"}
    store.update(DEPLOYMENTS, web)
    await until(lambda: "CrashLoopBackOff" in phases(stage))
    assert stage.workload("web")["status"] == "degraded"
    stage.cluster.fail_rollouts(False)
    await until(lambda: stage.workload("web")["status"] == "healthy")


async def test_a_rollout_that_gets_nowhere_is_told_soon(stage: Stage) -> None:
    found = stage.cluster.far_end.store.list(DEPLOYMENTS)[0]
    assert {one["spec"]["progressDeadlineSeconds"] for one in found} == {DEADLINE_SECONDS}
    assert 10 <= DEADLINE_SECONDS <= 20


async def test_the_files_of_the_agent_are_its_own(stage: Stage) -> None:
    folder = stage.folder / "agent"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name for file in folder.iterdir()} == {"agent.yaml", "jwks.json", "kubeconfig"}
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stage.token not in (folder / "agent.yaml").read_text()
    assert '"d"' not in (folder / "jwks.json").read_text()


def test_the_agent_s_environment_names_no_cluster_of_the_machine(tmp_path: Path) -> None:
    ours = {"PATH": "/bin", "KUBECONFIG": "/home/ada/k", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    environment = agent.environment(tmp_path, ours)
    assert environment["PATH"] == "/bin"
    assert environment["HOME"] == str(tmp_path)
    assert not {"KUBECONFIG", "KUBERNETES_SERVICE_HOST"} & set(environment)
