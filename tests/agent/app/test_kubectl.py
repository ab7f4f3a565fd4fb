"""kubectl and the agent agree on what there is, after each of the agent's changes."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.agent.app.stage import REGISTRY, Stage
from tests.dev.kubernetes.kubectl import binary

pytestmark = pytest.mark.long


class Kubectl:
    """kubectl as the cluster's administrator."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._config = folder / "config"
        stage.cluster.write_kubeconfig(self._config, namespace="staging")

    async def __call__(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            binary(),
            f"--kubeconfig={self._config}",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"HOME": str(self._config.parent), "PATH": os.defpath},
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async def template(self, what: str) -> dict[str, Any]:
        code, out = await self("get", what, "-o", "json")
        assert code == 0, out
        spec: dict[str, Any] = json.loads(out)["spec"]
        return spec

    async def revisions(self, what: str) -> list[int]:
        code, out = await self("rollout", "history", what)
        assert code == 0, out
        return [int(line.split()[0]) for line in out.splitlines() if line[:1].isdigit()]


@pytest.fixture
def kubectl(stage: Stage, tmp_path: Path) -> Kubectl:
    return Kubectl(stage, tmp_path)


async def test_a_rollout_is_done_for_kubectl_when_it_is_for_the_agent(
    stage: Stage, kubectl: Kubectl
) -> None:
    await stage.ask("deploy", image="web:2.4.1-slow")
    assert (await stage.follow()).content["phase"] == "running"
    code, out = await kubectl("rollout", "status", "deployment/web", "--watch=false")
    assert "Waiting for deployment" in out
    await stage.ask("deploy", "b", image="web:2.4.2")
    assert (await stage.followed("b"))["phase"] == "succeeded"
    code, out = await kubectl("rollout", "status", "deployment/web", "--watch=false")
    assert (code, "successfully rolled out" in out) == (0, True), out


async def test_a_rollout_has_failed_for_kubectl_when_it_has_for_the_agent(
    stage: Stage, kubectl: Kubectl
) -> None:
    stage.edit(lambda obj: obj["spec"].update(progressDeadlineSeconds=1))
    await stage.ask("deploy", image="web:does-not-exist")
    assert (await stage.followed())["phase"] == "failed"
    code, out = await kubectl("rollout", "status", "deployment/web")
    assert (code, "exceeded its progress deadline" in out) == (1, True), out


@pytest.mark.parametrize(
    ("what", "place", "image"),
    [
        ("deployment/web", {"deployment": "web"}, "web"),
        ("statefulset/orders-db", {"statefulset": "orders-db"}, "postgres"),
    ],
)
@pytest.mark.parametrize("revision", [0, 1])
async def test_an_undo_is_the_one_that_kubectl_would_make(
    stage: Stage, kubectl: Kubectl, what: str, place: dict[str, Any], image: str, revision: int
) -> None:
    for number in (1, 2):
        run = f"deploy-{number}"
        await stage.ask("deploy", run, **place, image=f"{image}:9.{number}")
        assert (await stage.followed(run))["phase"] == "succeeded"
    at_start = await kubectl.template(what)
    histories, templates = [], []
    for undo in ("agent", "kubectl"):
        if undo == "agent":
            await stage.ask("rollback", "undo", **place, revision=revision)
            assert (await stage.followed("undo"))["phase"] == "succeeded"
        else:
            code, out = await kubectl("rollout", "undo", what, f"--to-revision={revision}")
            assert code == 0, out
        spec = await kubectl.template(what)
        templates.append(spec["template"])
        histories.append(await kubectl.revisions(what))
        if undo == "agent":  # and back again, so that kubectl starts where the agent did
            await stage.ask("deploy", "again", **place, image=f"{image}:9.2")
            assert (await stage.followed("again"))["phase"] == "succeeded"
            assert (await kubectl.template(what))["template"] == at_start["template"]
            revision = revision and 1 + 3  # the first revision is the newest but one by now
    assert templates[0] == templates[1]
    assert len(histories[0]) == len(histories[1]) == 3


async def test_kubectl_shows_the_cause_and_the_number_that_the_agent_gave(
    stage: Stage, kubectl: Kubectl
) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1")
    await stage.followed("a")
    code, out = await kubectl("rollout", "history", "deployment/web")
    assert code == 0
    assert f"tidegate: deploy {REGISTRY}/web:2.4.1 by slack:T1:U1" in out
    await stage.ask("scale", "b", replicas=4)
    await stage.followed("b")
    assert (await kubectl.template("deployment/web"))["replicas"] == 4
    told = await stage.ask("status", "c", deployment="web")
    assert told.content["workloads"][0]["replicas"] == 4
    assert (
        told.content["workloads"][0]["revision"] == (await kubectl.revisions("deployment/web"))[-1]
    )


async def test_a_restart_is_the_one_that_kubectl_would_make(stage: Stage, kubectl: Kubectl) -> None:
    await stage.ask("restart")
    await stage.followed()
    ours = await kubectl.template("deployment/web")
    await stage.clock.sleep(1.1)  # it is told to the second
    code, out = await kubectl("rollout", "restart", "deployment/web")
    assert code == 0, out
    theirs = await kubectl.template("deployment/web")
    key = "kubectl.kubernetes.io/restartedAt"
    for spec in (ours, theirs):
        assert spec["template"]["metadata"]["annotations"].pop(key)
    assert ours == theirs
