"""What is refused, with words that help, and with nothing done."""

from dataclasses import replace
from typing import Any

import pytest

from tests.agent.app.stage import HOME, RULES, STRANGER, VIEWER, Stage, bind
from tidegate_dev.kubernetes.resources import ROLE_BINDINGS


@pytest.mark.parametrize(
    ("verb", "params", "status", "words"),
    [
        ("deploy", {"image": "docker.io/evil/web:1"}, 403, "may not be deployed here"),
        ("deploy", {"image": "other:1.0"}, 400, "write it with its registry"),
        ("deploy", {"image": "web:2.4.1", "container": "nginx"}, 400, "no container `nginx`"),
        ("scale", {"replicas": 11}, 400, "At most 10 replicas"),
        ("scale", {"replicas": 3, "daemonset": "log-shipper"}, 400, "cannot be scaled"),
        ("restart", {"deployment": "webb"}, 404, "There are api, web, worker."),
        ("restart", {"statefulset": "web"}, 404, "no stateful set web. There are orders-db."),
        ("restart", {"namespace": "kube-public"}, 403, "no role in kube-public"),
        ("rollback", {}, 409, "no earlier revision"),
        ("rollback", {"revision": 7}, 404, "no revision 7; there are 1"),
        ("status", {"deployment": "gone"}, 404, "staging has no deployment gone."),
    ],
)
async def test_it_is_refused(
    stage: Stage, verb: str, params: dict[str, Any], status: int, words: str
) -> None:
    told = await stage.ask(verb, **params)
    assert told.status == status, told
    assert words in told.content["message"]
    assert told.content["status"] == "refused"
    assert stage.effects() == []


async def test_a_role_that_lacks_the_right_is_refused_by_the_cluster_which_names_it(
    stage: Stage,
) -> None:
    told = await stage.ask("deploy", who=VIEWER, image="web:2.4.1")
    assert told.status == 403
    assert "tidegate" in told.content["message"]
    assert "patch deployments" in told.content["message"]
    assert "staging" in told.content["message"]
    (entry,) = [e for e in stage.cluster.audit if e.wanted.verb == "patch"]
    assert entry.code == 403
    again = await stage.ask("deploy", who=VIEWER, image="web:2.4.1")
    assert again.status == 403, "a refusal is kept"
    assert again.content == told.content


async def test_somebody_without_any_role_never_reaches_the_cluster(stage: Stage) -> None:
    before = len(stage.cluster.audit)
    told = await stage.ask("deploy", who=STRANGER, image="web:2.4.1")
    assert told.status == 403
    assert "no role in this cluster" in told.content["message"]
    ours = [e for e in list(stage.cluster.audit)[before:] if e.user_agent == "tidegate-agent"]
    assert ours == []
    assert stage.records() == []


async def test_a_paused_rollout_takes_no_new_image_and_can_still_be_scaled(stage: Stage) -> None:
    stage.edit(lambda obj: obj["spec"].update(paused=True))
    for run, verb in (("a", "deploy"), ("b", "restart"), ("c", "rollback")):
        params: dict[str, Any] = {"image": "web:2.4.1"} if verb == "deploy" else {}
        told = await stage.ask(verb, run, **params)
        assert told.status == 409
        assert "kubectl rollout resume deployment/web" in told.content["message"]
    assert (await stage.ask("scale", "d", replicas=4)).status == 202


async def test_an_autoscaler_keeps_others_from_scaling_unless_told(stage: Stage) -> None:
    order: dict[str, Any] = {"namespace": "production", "deployment": "api", "replicas": 4}
    told = await stage.ask("scale", "a", **order)
    assert told.status == 409
    assert "autoscaler api decides about its replicas" in told.content["message"]
    assert (await stage.ask("scale", "b", **order, force=True)).status == 202


async def test_what_a_repository_decides_is_left_to_it_unless_told(stage: Stage) -> None:
    stage.edit(
        lambda obj: obj["metadata"]["annotations"].update(
            {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:staging/web"}
        )
    )
    told = await stage.ask("deploy", "a", image="web:2.4.1")
    assert told.status == 409
    assert "Argo CD decides about its configuration" in told.content["message"]
    assert (await stage.ask("restart", "b")).status == 202
    await stage.followed("b")
    assert (await stage.ask("deploy", "c", image="web:2.4.1", force=True)).status == 202


async def test_among_several_containers_none_is_guessed(stage: Stage) -> None:
    def second(obj: dict[str, Any]) -> None:
        containers = obj["spec"]["template"]["spec"]["containers"]
        containers.append({**containers[0], "name": "proxy", "ports": []})

    stage.edit(second)
    told = await stage.ask("deploy", "a", image="web:2.4.1")
    assert told.status == 400
    assert "there are web, proxy" in told.content["message"]
    assert (await stage.ask("deploy", "b", image="web:2.4.1", container="proxy")).status == 202
    images = stage.deployment()["spec"]["template"]["spec"]["containers"]
    assert [each["image"].rpartition(":")[2] for each in images] == ["2.4.0", "2.4.1"]


async def test_without_impersonation_an_access_review_decides(stage: Stage) -> None:
    account = {"kind": "ServiceAccount", "name": "tidegate-agent", "namespace": HOME}
    bind(stage.cluster.store, ROLE_BINDINGS, "tidegate-deployer", "staging", account, name="agent")
    agent = stage.new_agent(rules=replace(RULES, impersonate=False))
    told = await stage.ask("deploy", who=VIEWER, image="web:2.4.1", agent=agent)
    assert told.status == 403
    assert (
        "tidegate lacks the right to patch deployments.apps in staging" in told.content["message"]
    )
    assert stage.effects() == []
    assert (await stage.ask("deploy", "b", image="web:2.4.1", agent=agent)).status == 202
    (effect,) = stage.effects()
    assert effect.acting_as is None


async def test_a_cluster_that_is_down_is_told_to_be_so_and_can_be_asked_again(
    stage: Stage,
) -> None:
    stage.cluster.faults.down = True
    told = await stage.ask("deploy", image="web:2.4.1")
    assert told.status == 503
    assert told.retry_after is not None
    stage.cluster.faults.down = False
    assert (await stage.ask("deploy", image="web:2.4.1")).status == 202


@pytest.mark.parametrize("part", ["containers", "initContainers"])
async def test_a_rollback_brings_back_no_image_that_may_not_be_deployed(
    stage: Stage, part: str
) -> None:
    def give(image: str) -> None:
        def change(obj: dict[str, Any]) -> None:
            spec = obj["spec"]["template"]["spec"]
            if part == "containers":
                spec[part][0]["image"] = image
            else:
                spec[part] = [{"name": "setup", "image": image}]

        stage.edit(change)

    give("evil.example.com/web:1")
    await stage.clock.sleep(0.5)
    give("registry.example.com/web:2.5.0")
    await stage.clock.sleep(0.5)
    told = await stage.ask("rollback", revision=2)
    assert (told.status, told.content.get("field")) == (403, "revision")
    assert "evil.example.com/web may not be deployed here" in told.content["message"]
    assert stage.effects() == []


async def test_a_rollback_to_a_tag_is_refused_where_a_digest_is_needed(stage: Stage) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1")
    await stage.followed("a")
    agent = stage.new_agent(rules=replace(RULES, digest_required=True))
    told = await stage.ask("rollback", "b", agent=agent)
    assert (told.status, "needs a digest" in told.content["message"]) == (403, True)
    assert len(stage.effects()) == 1


async def test_a_rollback_to_what_is_no_image_is_refused(stage: Stage) -> None:
    def give(image: str) -> None:
        def change(obj: dict[str, Any]) -> None:
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = image

        stage.edit(change)

    give("not an image")
    await stage.clock.sleep(0.5)
    give("registry.example.com/web:2.5.0")
    await stage.clock.sleep(0.5)
    told = await stage.ask("rollback", revision=2)
    assert (told.status, "no reference to an image" in told.content["message"]) == (403, True)
