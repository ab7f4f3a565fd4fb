"""Which cluster is used, what it lacks, and what the tests leave in it."""

from pathlib import Path

import pytest

from tests.agent import reached
from tests.agent.cluster import agents
from tests.agent.cluster.administrator import CLUSTER_ROLE, NAMESPACE, NODE, Administrator
from tests.agent.cluster.ground import prepared
from tests.agent.cluster.kubelet import NO_IMAGE
from tests.agent.cluster.workload import NEW
from tests.agent.entry.signer import Signer
from tests.agent.reached import Access
from tidegate_agent.core.kinds import HORIZONTAL_POD_AUTOSCALER, WORKLOADS, Kind
from tidegate_agent.errors import NotFoundError
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd
from tidegate_dev.kubernetes.resources import NODES, PODS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_cluster_is_used_only_if_its_context_is_named_as_well() -> None:
    assert reached.named({"KUBECONFIG": "/somewhere", "HOME": "/"}) is None
    assert reached.named({"KUBECONFIG": "/somewhere", reached.CONTEXT: ""}) is None
    found = reached.named({"KUBECONFIG": "/somewhere", reached.CONTEXT: "kind-trial"})
    assert found is not None
    assert found.context == "kind-trial"
    with pytest.raises(pytest.UsageError, match="KUBECONFIG"):
        reached.named({reached.CONTEXT: "kind-trial", "HOME": "/"})


async def test_what_an_api_server_lacks_is_skipped_by_name(access: Access) -> None:
    admin = Administrator(access.credentials())
    try:
        if await admin.has(HORIZONTAL_POD_AUTOSCALER):
            await admin.need(HORIZONTAL_POD_AUTOSCALER)
        for group, plural in (("autoscaling", "elsewheres"), ("no.example.com", "things")):
            kind = Kind(group=group, version="v2", plural=plural, kind="Thing")
            with pytest.raises(pytest.skip.Exception, match=f"has no {plural} in {group}/v2"):
                await admin.need(kind)
    finally:
        await admin.close()


async def test_where_no_kubelet_runs_the_pods_are_played(tmp_path: Path, signer: Signer) -> None:
    timings = Timings().faster(10)
    async with KubernetesFarEnd(seeded=False, kubelets=False, timings=timings) as cluster:
        cluster.write_kubeconfig(tmp_path / "kubeconfig")
        async with prepared(reached.embedded(tmp_path / "kubeconfig"), tmp_path) as ground:
            assert not ground.has_kubelets
            installed = await ground.install(f"tidegate-{ground.suffix}")
            async with agents.beside(ground, installed, signer) as at:
                for word in WORKLOADS:
                    what = await ground.workload(word, replicas=1)
                    params = {**what.params, "image": NEW}
                    told = await at.ask("deploy", params, run=f"good-{word}")
                    ended = await at.ended(told.headers["Location"], f"good-{word}")
                    assert ended.content["phase"] == "succeeded", ended
                    told = await at.ask("deploy", {**params, "image": NO_IMAGE}, run=f"bad-{word}")
                    failing = await at.ended(
                        told.headers["Location"], f"bad-{word}", until=lambda told: "reason" in told
                    )
                    assert failing.content["reason"] == "ImagePullBackOff"
        assert cluster.store.list(NODES)[0] == cluster.store.list(PODS)[0] == []


async def test_nothing_is_left_behind_when_a_test_fails(access: Access, tmp_path: Path) -> None:
    places: list[str] = []

    async def fail() -> None:
        async with prepared(access, tmp_path) as made:
            await made.install(f"tidegate-{made.suffix}")
            await made.workload(replicas=1)
            places.extend((made.home, made.place, made.other))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    admin = Administrator(access.credentials())
    try:
        for name in places:
            try:
                left = await admin.get(NAMESPACE, None, name)
            except NotFoundError:
                continue
            assert "deletionTimestamp" in left["metadata"], "a real one takes its time"
        for kind in (CLUSTER_ROLE, NODE):
            listed = await admin.list(kind, None)
            names = [each["metadata"]["name"] for each in listed.items]
            assert [name for name in names if name.startswith(places[0])] == []
    finally:
        await admin.close()
