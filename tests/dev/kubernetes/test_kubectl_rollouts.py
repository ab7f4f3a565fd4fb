"""`kubectl` against the whole cluster, controllers included: what is asked for comes about."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dev.kubernetes.kubectl import Kubectl
from tidegate_dev.kubernetes import KubernetesFarEnd
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.resources import DEPLOYMENTS


@pytest.fixture
async def cluster() -> AsyncIterator[KubernetesFarEnd]:
    async with KubernetesFarEnd(timings=Timings().faster(5)) as cluster:
        yield cluster


@pytest.fixture
def kubectl(cluster: KubernetesFarEnd, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


async def settled(kubectl: Kubectl, name: str = "deploy/web") -> str:
    return await kubectl("rollout", "status", name, "--timeout=30s")


def image(cluster: KubernetesFarEnd, name: str = "web") -> str:
    found = cluster.store.get(DEPLOYMENTS, "staging", name)
    assert found is not None
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_rollout_status_follows_a_new_image_to_its_end(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await settled(kubectl)
    await kubectl("set", "image", "deploy/web", "web=registry.example.com/web:2.4.1")
    assert "successfully rolled out" in await settled(kubectl)
    ran = await kubectl.run("get", "pods", "-l", "app.kubernetes.io/name=web", "-o=wide")
    assert [row[1:3] for row in ran.rows[1:]].count(["1/1", "Running"]) == 3


async def test_rollout_history_and_undo_go_back_to_the_image_before(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await settled(kubectl)
    await kubectl("set", "image", "deploy/web", "web=registry.example.com/web:2.4.1")
    await settled(kubectl)
    history = await kubectl.run("rollout", "history", "deploy/web")
    assert [row[0] for row in history.rows if row and row[0].isdigit()] == ["1", "2"]
    await kubectl("rollout", "undo", "deploy/web")
    await settled(kubectl)
    assert image(cluster) == "registry.example.com/web:2.4.0"
    history = await kubectl.run("rollout", "history", "deploy/web")
    assert [row[0] for row in history.rows if row and row[0].isdigit()] == ["2", "3"]


async def test_wait_sees_the_deployment_become_available(kubectl: Kubectl) -> None:
    waited = await kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=30s")
    assert waited == "deployment.apps/web condition met\n"


async def test_a_deleted_pod_is_replaced(kubectl: Kubectl) -> None:
    await settled(kubectl)
    selector = ("-l", "app.kubernetes.io/name=worker")
    before = set((await kubectl("get", "pods", *selector, "-o", "name")).split())
    await kubectl("delete", "pod", *selector)
    await settled(kubectl, "deploy/worker")
    after = set((await kubectl("get", "pods", *selector, "-o", "name")).split())
    assert len(before) == len(after) == 2
    assert not before & after


async def test_logs_of_a_running_deployment_are_there(kubectl: Kubectl) -> None:
    await settled(kubectl)
    ran = await kubectl.run("logs", "deploy/web", "--tail=5")
    assert (ran.code, bool(ran.out.strip())) == (0, True)


async def test_describe_pod_shows_its_owner_and_its_events(kubectl: Kubectl) -> None:
    await settled(kubectl)
    pods = (await kubectl("get", "pods", "-l", "app.kubernetes.io/name=web", "-o=name")).split()
    described = await kubectl("describe", pods[0])
    assert "Controlled By:  ReplicaSet/web-" in described
    assert "Successfully assigned staging/web-" in described


async def test_a_pod_over_the_quota_is_forbidden(kubectl: Kubectl) -> None:
    await kubectl("create", "quota", "few", "--hard=pods=0")
    ran = await kubectl.run("run", "one-more", "--image=x/y:1")
    assert 'pods "one-more" is forbidden: exceeded quota: few' in ran.error


@pytest.mark.parametrize("name", ["sts/orders-db", "ds/log-shipper"])
async def test_rollout_status_knows_the_other_workloads(kubectl: Kubectl, name: str) -> None:
    namespace = "kube-system" if name.startswith("ds/") else "staging"
    printed = await kubectl("rollout", "status", name, "-n", namespace, "--timeout=30s")
    assert "successfully rolled out" in printed or "roll out complete" in printed
