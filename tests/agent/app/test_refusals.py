"""What is refused, with words that help, and with nothing done."""

from dataclasses import replace
from typing import Any

import pytest

from tests.agent.app import mishaps
from tests.agent.app.stage import RULES, Stage, only
from tidegate_agent.errors import ConflictError
from tidegate_dev.kubernetes.bootstrap import rule
from tidegate_dev.kubernetes.resources import CLUSTER_ROLES


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


async def test_who_may_scale_and_not_look_at_autoscalers_is_told_of_that_right(
    stage: Stage,
) -> None:
    scale = rule(["patch"], "apps", "deployments/scale")
    only(stage, rule(["get"], "apps", "deployments"), scale)
    changed = mishaps.refusing("patch", ConflictError("modified", code=409), times=1)
    agents = [stage.agent, stage.agent, stage.new_agent(through=changed)]
    # web has 3 as it is
    for run, replicas, agent in zip("xyz", (4, 3, 5), agents, strict=True):
        told = await stage.ask("scale", run, agent=agent, replicas=replicas)
        assert told.status == 403
        right = "the right to list horizontalpodautoscalers.autoscaling in staging"
        assert f"tidegate (group tidegate:deployer) lacks {right}" in told.content["message"]
    assert (await stage.ask("scale", "c", replicas=4, force=True)).status == 202
    assert len(stage.effects()) == 1


async def test_a_right_that_the_agent_itself_lacks_is_not_laid_at_a_roles_door(
    stage: Stage,
) -> None:
    store = stage.cluster.store
    rights = store.get(CLUSTER_ROLES, "", "tidegate-agent")
    assert rights is not None
    store.update(CLUSTER_ROLES, {**rights, "rules": []})
    told = await stage.ask("restart")
    assert told.status == 403
    words = "system:serviceaccount:tidegate:tidegate-agent lacks the right to impersonate"
    assert words in told.content["message"]


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
