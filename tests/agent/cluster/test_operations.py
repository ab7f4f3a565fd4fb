"""Every verb that changes something, on each kind, to its end; and kubectl agrees each time."""

import json
import uuid
from typing import Any

import pytest

from tests.agent.app.stage import DEPLOYER, VIEWER
from tests.agent.cluster.ground import Ground
from tests.agent.cluster.kubelet import NO_IMAGE
from tests.agent.cluster.workload import CONTAINER, NEW, NEWER, OLD, REPOSITORY, Workload
from tests.agent.entry.door import Door, Told

pytestmark = pytest.mark.asyncio(loop_scope="session")

RESTARTED = "kubectl.kubernetes.io/restartedAt"


async def carried_out(at: Door, verb: str, what: Workload, **params: Any) -> dict[str, Any]:
    """Return the operation, which has succeeded."""
    run = f"{verb}-{uuid.uuid4().hex}"
    told = await at.ask(verb, {**what.params, **params}, run=run)
    assert (told.status, told.headers["Location"]) == (202, f"/api/v1/{verb}/operations/{run}")
    ended = await at.ended(told.headers["Location"], run)
    assert ended.content["phase"] == "succeeded", ended
    return ended.content


async def agreed(ground: Ground, at: Door, what: Workload) -> dict[str, Any]:
    """Return what the agent tells of a workload; kubectl says the same."""
    told = await at.ask("status", what.params)
    assert told.status == 200, told
    (ours,) = told.content["workloads"]
    theirs = await ground.kubectl.get(what.words)
    status = theirs["status"]
    wanted = (
        status["desiredNumberScheduled"] if what.word == "daemonset" else theirs["spec"]["replicas"]
    )
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    containers = theirs["spec"]["template"]["spec"]["containers"]
    assert (ours["replicas"], ours["ready"]) == (wanted, ready)
    assert ours["images"] == {each["name"]: each["image"] for each in containers}
    code, out = await ground.kubectl("rollout", "status", what.words, "--watch=false")
    done = ("successfully rolled out", "rolling update complete", "partitioned roll out complete")
    assert (code, any(words in out for words in done)) == (0, True), out
    assert ours["rollout"] == "done"
    if what.word == "deployment":
        assert ours["revision"] == (await ground.kubectl.revisions(what.words))[-1]
    return dict(ours)


@pytest.mark.parametrize("word", ["deployment", "statefulset", "daemonset"])
async def test_each_verb_comes_to_its_end_and_kubectl_agrees_after_each(
    ground: Ground, at: Door, word: str
) -> None:
    what = await ground.workload(word)
    deployed = await carried_out(at, "deploy", what, image=NEW)
    assert deployed["progress"]["done"] == deployed["progress"]["total"] > 0
    assert (deployed["before"]["image"], deployed["after"]["image"]) == (
        f"{REPOSITORY}:{OLD}",
        f"{REPOSITORY}:{NEW}",
    )
    assert (await agreed(ground, at, what))["images"] == {CONTAINER: f"{REPOSITORY}:{NEW}"}
    assert deployed["message"].startswith(
        f"{what.name} in {what.namespace} runs {REPOSITORY}:{NEW}"
    )

    await carried_out(at, "restart", what)
    await agreed(ground, at, what)
    template = (await what.read())["spec"]["template"]
    assert RESTARTED in template["metadata"]["annotations"]

    await carried_out(at, "rollback", what, revision=1)
    ours = await agreed(ground, at, what)
    assert ours["images"] == {CONTAINER: f"{REPOSITORY}:{OLD}"}
    metadata = (await what.read())["spec"]["template"]["metadata"]
    assert RESTARTED not in metadata.get("annotations", {})
    assert metadata["labels"] == {"app.kubernetes.io/name": what.name}, "and not a hash of its own"

    if word != "daemonset":
        await carried_out(at, "scale", what, replicas=3)
        assert (await agreed(ground, at, what))["replicas"] == 3


async def test_the_change_says_who_made_it_and_kubectl_shows_why(ground: Ground, at: Door) -> None:
    what = await ground.workload(replicas=1)
    await carried_out(at, "deploy", what, image=NEW)
    annotations = (await what.read())["metadata"]["annotations"]
    assert annotations["tidegate.dev/by"] == DEPLOYER
    assert annotations["tidegate.dev/run"].startswith("deploy-")
    _, out = await ground.kubectl("rollout", "history", what.words)
    assert f"tidegate: deploy {REPOSITORY}:{NEW} by {DEPLOYER}" in out


async def test_an_image_that_cannot_be_pulled_is_told_with_its_reason_until_another_takes_over(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload()
    told = await at.ask("deploy", {**what.params, "image": NO_IMAGE}, run=f"bad-{what.name}")
    place = told.headers["Location"]
    failing = await at.ended(
        place, f"bad-{what.name}", until=lambda told: "cannot be pulled" in told["message"]
    )
    assert failing.content["reason"] in ("ImagePullBackOff", "ErrImagePull")
    assert f"{REPOSITORY}:{NO_IMAGE} cannot be pulled" in failing.content["message"]
    assert any(event["level"] == "warning" for event in failing.content["events"])
    _, out = await ground.kubectl("rollout", "status", what.words, "--watch=false")
    assert "Waiting for deployment" in out
    status = await at.ask("status", what.params)
    assert status.content["status"] in ("updating", "degraded")
    assert "cannot be pulled" in status.content["message"]

    await carried_out(at, "deploy", what, image=NEW)
    ended = await at.ended(place, f"bad-{what.name}")
    assert ended.content["phase"] == "cancelled"
    assert "A later change" in ended.content["message"]


async def test_a_rollout_has_failed_for_kubectl_when_it_has_for_the_agent(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    await what.edit({"spec": {"progressDeadlineSeconds": 1}})
    run = f"late-{what.name}"
    told = await at.ask("deploy", {**what.params, "image": NO_IMAGE}, run=run)
    ended = await at.ended(told.headers["Location"], run)
    assert (ended.content["phase"], "cannot be pulled" in ended.content["message"]) == (
        "failed",
        True,
    )
    code, out = await ground.kubectl("rollout", "status", what.words)
    assert (code, "exceeded its progress deadline" in out) == (1, True), out


@pytest.mark.parametrize(
    ("verb", "params", "path", "after"),
    [
        ("deploy", {"image": NEW}, f"spec.template.spec.containers[{CONTAINER}].image", NEW),
        ("scale", {"replicas": 5}, "spec.replicas", "5"),
        ("restart", {}, f"spec.template.metadata.annotations.{RESTARTED}", ""),
    ],
)
async def test_a_dry_run_tells_what_would_change_and_changes_nothing(
    ground: Ground, at: Door, verb: str, params: dict[str, Any], path: str, after: str
) -> None:
    what = await ground.workload(replicas=1)
    before = json.dumps((await what.read())["spec"], sort_keys=True)
    told = await at.ask(verb, {**what.params, **params, "dry_run": True}, run=f"dry-{what.name}")
    assert told.status == 200, told
    changes = {each["path"]: each.get("after") or "" for each in told.content["changes"]}
    assert changes[path].endswith(after)
    assert json.dumps((await what.read())["spec"], sort_keys=True) == before
    assert ground.gate.changes(what.path) == []


async def test_what_is_cancelled_is_no_longer_followed_and_only_by_who_asked(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    run = f"stop-{what.name}"
    told = await at.ask("deploy", {**what.params, "image": NO_IMAGE}, run=run)
    place = told.headers["Location"]
    assert (await at.follow(place, run, who=VIEWER)).status == 200, "who has a role may look"
    assert (await at.follow(f"{place}/cancel", run, "POST", who=VIEWER)).status == 403
    cancelled = await at.follow(f"{place}/cancel", run, "POST")
    assert cancelled.content["phase"] == "cancelled"
    assert "Nothing was rolled back" in cancelled.content["message"]
    assert await what.image() == f"{REPOSITORY}:{NO_IMAGE}"
    assert (await at.follow(place, run)).content["phase"] == "cancelled"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_operation_that_nobody_began_is_not_found(at: Door, method: str) -> None:
    place = "/api/v1/deploy/operations/none" + ("/cancel" if method == "POST" else "")
    told: Told = await at.follow(place, "none", method)
    assert (told.status, told.content["status"]) == (404, "refused")


@pytest.mark.parametrize("word", ["deployment", "statefulset"])
async def test_an_undo_is_the_one_that_kubectl_would_make(
    ground: Ground, at: Door, word: str
) -> None:
    what = await ground.workload(word, replicas=1)
    await carried_out(at, "deploy", what, image=NEW)
    await carried_out(at, "deploy", what, image=NEWER)
    await carried_out(at, "rollback", what)
    ours = await ground.kubectl.template(what.words)
    assert (await what.image()) == f"{REPOSITORY}:{NEW}"
    code, out = await ground.kubectl("rollout", "undo", what.words)  # to where it came from
    assert code == 0, out
    await what.settled()
    assert (await what.image()) == f"{REPOSITORY}:{NEWER}"
    code, out = await ground.kubectl("rollout", "undo", what.words)
    assert code == 0, out
    assert await ground.kubectl.template(what.words) == ours
    assert len(await ground.kubectl.revisions(what.words)) == 3


async def test_a_restart_is_the_one_that_kubectl_would_make(ground: Ground, at: Door) -> None:
    what = await ground.workload(replicas=1)
    await carried_out(at, "restart", what)
    ours = await ground.kubectl.template(what.words)
    await what.edit({"spec": {"template": {"metadata": {"annotations": {RESTARTED: "before"}}}}})
    code, out = await ground.kubectl("rollout", "restart", what.words)
    assert code == 0, out
    theirs = await ground.kubectl.template(what.words)
    stamps = [each["metadata"]["annotations"].pop(RESTARTED) for each in (ours, theirs)]
    assert ours == theirs
    assert stamps[1] != "before"
    assert [len(each) for each in stamps] == [20, 20], stamps
