"""Following an operation: how far it is, and why it came to nothing."""

from typing import Any

import pytest

from tests.agent.app.stage import REGISTRY, RULES, Stage, statement
from tidegate_agent.errors import RefusedError
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, RESOURCE_QUOTAS


async def test_an_image_that_cannot_be_pulled_is_told_while_it_is_tried(stage: Stage) -> None:
    await stage.ask("deploy", image="web:does-not-exist")
    told = await stage.followed(until=lambda told: told.get("reason") == "ImagePullBackOff")
    assert told["phase"] == "running"
    assert f"The image {REGISTRY}/web:does-not-exist cannot be pulled" in told["message"]
    assert [event for event in told["events"] if event["level"] == "warning"]


async def test_what_is_not_finished_in_time_has_failed_and_says_why(stage: Stage) -> None:
    await stage.ask("deploy", image="web:9-crash")
    await stage.followed(until=lambda told: told.get("reason") == "CrashLoopBackOff")
    stage.clock.ahead += RULES.rollout_seconds
    told = await stage.followed()
    assert told["phase"] == "failed"
    assert "Not finished within 900 s." in told["message"]
    assert "The container web keeps ending with exit code 1" in told["message"]
    assert (await stage.follow()).content["message"] == told["message"], "its end is kept"


async def test_a_deadline_of_the_deployment_ends_it_as_it_ends_kubectl(stage: Stage) -> None:
    stage.edit(lambda obj: obj["spec"].update(progressDeadlineSeconds=1))
    await stage.ask("deploy", image="web:does-not-exist")
    told = await stage.followed()
    assert told["phase"] == "failed"
    assert "cannot be pulled" in told["message"]


async def test_a_quota_that_is_used_up_is_told_as_such(stage: Stage) -> None:
    add(
        stage.cluster.store,
        RESOURCE_QUOTAS,
        "few",
        "staging",
        spec={"hard": {"pods": "1"}},
    )
    await stage.ask("deploy", image="web:2.4.1")
    told = await stage.followed(until=lambda told: told.get("reason") == "FailedCreate")
    assert "the quota is used up" in told["message"]
    assert "exceeded quota: few" in told["message"]


async def test_a_later_change_ends_an_operation(stage: Stage) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1-slow")
    await stage.ask("deploy", "b", image="web:2.4.2")
    first, second = await stage.followed("a"), await stage.followed("b")
    assert first["phase"] == "cancelled"
    assert "A later change of web in staging took over" in first["message"]
    assert second["phase"] == "succeeded"


async def test_a_scale_is_done_once_the_pods_are_ready_and_gone(stage: Stage) -> None:
    taken = await stage.ask("scale", "a", replicas=5)
    assert taken.content["message"] == "Scaling web in staging from 3 to 5."
    told = await stage.followed("a")
    assert (told["phase"], told["message"]) == (
        "succeeded",
        "web in staging has 5 pods, all ready.",
    )
    assert "tidegate.dev/run" not in stage.deployment()["metadata"]["annotations"]
    await stage.ask("scale", "b", replicas=0)
    assert (await stage.followed("b"))["phase"] == "succeeded"
    assert stage.deployment()["status"].get("replicas", 0) == 0


async def test_a_restart_replaces_every_pod(stage: Stage) -> None:
    before = stage.deployment()["spec"]["template"]["metadata"].get("annotations", {})
    await stage.ask("restart")
    assert (await stage.followed())["phase"] == "succeeded"
    after = stage.deployment()["spec"]["template"]["metadata"]["annotations"]
    assert after.keys() - before.keys() == {"kubectl.kubernetes.io/restartedAt"}


async def test_a_rollback_restores_the_revision_before(stage: Stage) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1")
    await stage.followed("a")
    taken = await stage.ask("rollback", "b")
    assert taken.content["message"] == (
        f"Rolling web in staging back to revision 1 ({REGISTRY}/web:2.4.0)."
    )
    told = await stage.followed("b")
    assert told["phase"] == "succeeded"
    assert stage.image() == f"{REGISTRY}/web:2.4.0"
    web = stage.deployment()
    assert web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert "pod-template-hash" not in web["spec"]["template"]["metadata"]["labels"]


async def test_a_rollback_to_the_present_revision_changes_nothing(stage: Stage) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1")
    await stage.followed("a")
    had = len(stage.effects())
    await stage.ask("rollback", "b", revision=2)
    told = await stage.followed("b")
    assert told["phase"] == "succeeded"
    assert "already is at revision 2" in told["message"]
    assert len(stage.effects()) == had


@pytest.mark.parametrize("verb", ["deploy", "restart", "rollback"])
async def test_a_stateful_set_is_changed_and_rolled_back_as_well(stage: Stage, verb: str) -> None:
    place: dict[str, Any] = {"statefulset": "orders-db"}
    await stage.ask("deploy", "a", image="postgres:17.7", **place)
    assert (await stage.followed("a"))["phase"] == "succeeded"
    params: dict[str, Any] = {"image": "postgres:18.0"} if verb == "deploy" else {}
    taken = await stage.ask(verb, "b", **place, **params)
    assert taken.status == 202, taken
    assert (await stage.followed("b"))["phase"] == "succeeded"
    had = await stage.ask("status", "c", **place)
    tag = {"deploy": "18.0", "restart": "17.7", "rollback": "17.6"}[verb]
    assert had.content["workloads"][0]["images"] == {"postgres": f"{REGISTRY}/postgres:{tag}"}


async def test_a_stateful_set_is_scaled(stage: Stage) -> None:
    assert (await stage.ask("scale", statefulset="orders-db", replicas=3)).status == 202
    told = await stage.followed()
    assert (told["phase"], told["progress"]) == ("succeeded", {"done": 3, "total": 3})


async def test_a_daemon_set_is_deployed_and_rolled_back(stage: Stage) -> None:
    place: dict[str, Any] = {"daemonset": "log-shipper", "namespace": "kube-system"}
    for run, verb, image in (("a", "deploy", "log-shipper:1.0"), ("b", "rollback", None)):
        params: dict[str, Any] = {"image": image} if image else {}
        taken = await stage.ask(verb, run, **place, **params)
        assert taken.status == 202, taken
        assert (await stage.followed(run))["phase"] == "succeeded"
        told = await stage.ask("status", f"status-{run}", **place)
        tag = "1.0" if image else "0.9.3"
        images = told.content["workloads"][0]["images"]
        assert images == {"shipper": f"{REGISTRY}/log-shipper:{tag}"}


async def test_a_workload_that_goes_away_ends_its_operation(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1-slow")
    stage.cluster.store.delete(DEPLOYMENTS, "staging", "web")
    told = await stage.followed()
    assert (told["phase"], told["message"]) == ("failed", "web in staging is gone.")


async def test_to_cancel_is_to_stop_following_and_rolls_nothing_back(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1-slow")
    told = await stage.cancel()
    assert told.content["phase"] == "cancelled"
    assert "Nothing was rolled back" in told.content["message"]
    assert stage.image() == f"{REGISTRY}/web:2.4.1-slow"
    assert (await stage.follow()).content["phase"] == "cancelled"
    assert (await stage.ask("deploy", image="web:2.4.1-slow")).status == 202
    assert len(stage.effects()) == 1


async def test_what_has_ended_cannot_be_cancelled_any_more(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    await stage.followed()
    assert (await stage.cancel()).content["phase"] == "succeeded"


async def test_another_run_cannot_see_or_cancel_an_operation(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    for journey in (stage.agent.follow, stage.agent.cancel):
        with pytest.raises(RefusedError, match="no such operation") as refused:
            await journey("run-1", statement("run-2"))
        assert refused.value.status == 404


async def test_what_there_never_was_is_not_found(stage: Stage) -> None:
    assert (await stage.follow("never")).status == 404
