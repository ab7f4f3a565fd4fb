"""What is refused, with words that help, and with nothing changed."""

from typing import Any

import pytest

from tests.agent.app.stage import STRANGER, VIEWER
from tests.agent.cluster.ground import MAX_REPLICAS, Ground
from tests.agent.cluster.workload import NEW, REPOSITORY
from tests.agent.entry.door import Door
from tidegate_agent.core.kinds import HORIZONTAL_POD_AUTOSCALER

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("verb", "params", "status", "words"),
    [
        ("deploy", {"image": "docker.io/evil/pause:3.10"}, 403, "may not be deployed here"),
        ("deploy", {"image": "other:3.10"}, 400, "write it with its registry"),
        ("deploy", {"image": NEW, "container": "nginx"}, 400, "no container `nginx`"),
        ("scale", {"replicas": MAX_REPLICAS + 1}, 400, f"At most {MAX_REPLICAS} replicas"),
        ("rollback", {}, 409, "no earlier revision"),
        ("rollback", {"revision": 7}, 404, "no revision 7; there are 1"),
        ("restart", {"namespace": "default"}, 403, "You have no role in default"),
        ("restart", {"namespace": "no-such-namespace"}, 403, "no role in no-such-namespace"),
    ],
)
async def test_it_is_refused(
    ground: Ground, at: Door, verb: str, params: dict[str, Any], status: int, words: str
) -> None:
    what = await ground.workload(replicas=1)
    told = await at.ask(verb, {**what.params, **params})
    assert (told.status, told.content["status"]) == (status, "refused"), told
    assert words in told.content["message"]
    assert ground.gate.changes(what.path) == []


async def test_a_workload_that_is_not_there_is_told_with_those_that_are(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload("statefulset", replicas=1)
    for verb in ("restart", "status", "logs"):
        told = await at.ask(verb, {"namespace": ground.place, "statefulset": "gone"})
        assert told.status == 404
        said, _, there = told.content["message"].partition(" There are ")
        assert said == f"{ground.place} has no stateful set gone."
        assert what.name in there


async def test_a_daemon_set_cannot_be_scaled(ground: Ground, at: Door) -> None:
    what = await ground.workload("daemonset")
    told = await at.ask("scale", {**what.params, "replicas": 2})
    assert (told.status, "cannot be scaled" in told.content["message"]) == (400, True)


async def test_where_somebody_has_no_role_is_told_before_the_cluster_is_asked(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1, namespace=ground.other)
    before = len(ground.gate.calls)
    told = await at.ask("status", what.params, who=VIEWER)
    assert (told.status, told.content["field"]) == (403, "namespace")
    assert f"no role in {ground.other}; you have one in {ground.place}" in told.content["message"]
    told = await at.ask("restart", what.params, who=STRANGER)
    assert (told.status, "no role in this cluster" in told.content["message"]) == (403, True)
    about = [each for each in ground.gate.calls[before:] if each.path.startswith("/apis/apps/")]
    assert about == []


async def test_a_paused_rollout_takes_no_new_image_and_can_still_be_scaled(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    await what.edit({"spec": {"paused": True}})
    for verb, params in (("deploy", {"image": NEW}), ("restart", {}), ("rollback", {})):
        told = await at.ask(verb, {**what.params, **params})
        assert told.status == 409
        assert f"kubectl rollout resume {what.words}" in told.content["message"]
    assert (await at.ask("scale", {**what.params, "replicas": 2})).status == 202


async def test_an_autoscaler_keeps_others_from_scaling_unless_told(
    ground: Ground, at: Door
) -> None:
    await ground.admin.need(HORIZONTAL_POD_AUTOSCALER)
    what = await ground.workload()
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": what.name}
    autoscaler = {
        "apiVersion": HORIZONTAL_POD_AUTOSCALER.api_version,
        "kind": HORIZONTAL_POD_AUTOSCALER.kind,
        "metadata": {"name": what.name, "namespace": what.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 4},
    }
    await ground.create(HORIZONTAL_POD_AUTOSCALER, autoscaler)
    told = await at.ask("scale", {**what.params, "replicas": 3})
    assert told.status == 409
    assert f"autoscaler {what.name} decides about its replicas" in told.content["message"]
    assert (await what.read())["spec"]["replicas"] == 2
    assert (await at.ask("scale", {**what.params, "replicas": 3, "force": True})).status == 202


async def test_what_a_repository_decides_is_left_to_it_unless_told(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    tracked = {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:{what.namespace}/w"}
    await what.edit({"metadata": {"annotations": tracked}})
    order = {**what.params, "image": NEW}
    told = await at.ask("deploy", order)
    assert told.status == 409
    assert "Argo CD decides about its configuration" in told.content["message"]
    assert (await at.ask("deploy", {**order, "force": True})).status == 202
    assert await what.image() == f"{REPOSITORY}:{NEW}"
