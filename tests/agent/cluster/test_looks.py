"""Status and logs: what is told is what kubectl says, and nothing is changed."""

import pytest

from tests.agent.app.stage import VIEWER
from tests.agent.cluster.ground import Ground
from tests.agent.cluster.workload import CONTAINER, NEW, OLD, REPOSITORY
from tests.agent.entry.door import Door
from tidegate_agent.core.kinds import CONFIG_MAP

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_workload_is_described_in_a_sentence_to_whoever_may_look(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload()
    told = await at.ask("status", what.params, who=VIEWER)
    assert (told.status, told.content["status"]) == (200, "healthy")
    assert told.content["message"] == (
        f"{what.name} {OLD} in {ground.place}: 2 of 2 ready, revision 1"
    )


async def test_without_a_name_all_of_a_namespace_are_described(ground: Ground, at: Door) -> None:
    made = [
        await ground.workload(word, replicas=1, namespace=ground.other)
        for word in ("deployment", "statefulset")
    ]
    told = await at.ask("status", {"namespace": ground.other})
    described = {each["name"]: each for each in told.content["workloads"]}
    assert {each.name for each in made} <= described.keys()
    assert {described[each.name]["status"] for each in made} == {"healthy"}


@pytest.mark.parametrize("word", ["deployment", "statefulset", "daemonset"])
async def test_logs_are_those_that_kubectl_shows(ground: Ground, at: Door, word: str) -> None:
    if not ground.has_kubelets:
        pytest.skip("logs are a kubelet's to tell, and no node is ready in this cluster")
    what = await ground.workload(word, replicas=1)
    selector = f"--selector=app.kubernetes.io/name={what.name}"
    _, listed = await ground.kubectl("get", "pods", selector, "--output=name")
    pod = listed.split()[0].removeprefix("pod/")
    told = await at.ask("logs", {**what.params, "pod": pod, "tail": 5})
    assert (told.status, told.content["container"]) == (200, CONTAINER)
    code, out = await ground.kubectl("logs", pod, "--tail=500")
    assert code == 0, out
    lines = [line["text"] for line in told.content["lines"]]
    assert len(lines) <= 5
    assert [line for line in lines if line not in out.splitlines()] == []
    assert bool(lines) == bool(out.strip())
    other = await at.ask("logs", {**what.params, "pod": f"{pod}x"})
    assert (other.status, "has no pod" in other.content["message"]) == (404, True)


async def test_a_look_changes_nothing_and_is_kept_nowhere(ground: Ground, at: Door) -> None:
    what = await ground.workload(replicas=1)
    before = len(ground.gate.changes())
    kept = len((await ground.admin.list(CONFIG_MAP, ground.home)).items)
    for params in (what.params, {"namespace": ground.place}):
        assert (await at.ask("status", params)).status == 200
    assert len(ground.gate.changes()) == before
    assert len((await ground.admin.list(CONFIG_MAP, ground.home)).items) == kept


async def test_what_is_paused_or_scaled_to_zero_is_told_as_such(ground: Ground, at: Door) -> None:
    what = await ground.workload(replicas=1)
    await what.edit({"spec": {"paused": True}})
    await what.until(
        lambda obj: any(c["type"] == "Progressing" for c in obj["status"]["conditions"])
    )
    assert (await at.ask("status", what.params)).content["status"] == "paused"
    await what.edit({"spec": {"paused": False, "replicas": 0}})
    await what.settled()
    assert (await at.ask("status", what.params)).content["status"] == "scaled to zero"
    assert await what.image() == f"{REPOSITORY}:{OLD}" != f"{REPOSITORY}:{NEW}"
