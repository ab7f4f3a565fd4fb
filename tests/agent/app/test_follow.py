"""Following an operation: how far it is, and why it came to nothing."""

import pytest

from tests.agent.app.stage import REGISTRY, RULES, Stage, statement
from tidegate_agent.errors import RefusedError
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, RESOURCE_QUOTAS


async def test_what_is_not_finished_in_time_has_failed_and_says_why(stage: Stage) -> None:
    await stage.ask("deploy", image="web:9-crash")
    await stage.followed(until=lambda told: told.get("reason") == "CrashLoopBackOff")
    stage.clock.ahead += RULES.rollout_seconds
    told = await stage.followed()
    assert told["phase"] == "failed"
    assert "Not finished within 900 s." in told["message"]
    assert "The container web keeps ending with exit code 1" in told["message"]
    assert (await stage.follow()).content["message"] == told["message"], "its end is kept"


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


async def test_a_rollback_to_the_present_revision_changes_nothing(stage: Stage) -> None:
    await stage.ask("deploy", "a", image="web:2.4.1")
    await stage.followed("a")
    had = len(stage.effects())
    await stage.ask("rollback", "b", revision=2)
    told = await stage.followed("b")
    assert told["phase"] == "succeeded"
    assert "already is at revision 2" in told["message"]
    assert len(stage.effects()) == had


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
