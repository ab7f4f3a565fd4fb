"""Deploying, from the request to the end of the rollout."""

from tests.agent.app.stage import DEPLOYER, REGISTRY, Stage


async def test_a_new_image_is_rolled_out_and_the_end_is_told(stage: Stage) -> None:
    taken = await stage.ask("deploy", image="web:2.4.1")
    assert (taken.status, taken.location) == (202, "/api/v1/deploy/operations/run-1")
    assert taken.content["message"] == "Rolling out web 2.4.1 to staging."
    done = await stage.followed()
    assert done["phase"] == "succeeded"
    assert done["message"].startswith(f"web in staging runs {REGISTRY}/web:2.4.1.")
    assert stage.image() == f"{REGISTRY}/web:2.4.1"
    assert done["progress"] == {"done": 3, "total": 3}
    assert done["before"]["image"] == f"{REGISTRY}/web:2.4.0"
    assert done["after"]["image"] == f"{REGISTRY}/web:2.4.1"


async def test_the_change_says_who_made_it_and_in_which_run(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    web = stage.deployment()
    annotations = web["metadata"]["annotations"]
    assert annotations["tidegate.dev/run"] == "run-1"
    assert annotations["tidegate.dev/by"] == DEPLOYER
    assert DEPLOYER in annotations["kubernetes.io/change-cause"]
    assert "tidegate.dev/run" not in web["spec"]["template"]["metadata"].get("annotations", {})


async def test_the_log_names_the_run_the_person_and_what_was_found(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    await stage.followed()
    assert stage.notes.names == ["claimed", "planned", "made", "succeeded"]
    for event, said in stage.notes.events:
        assert (said["run"], said["by"]) == ("run-1", DEPLOYER)
        assert said["workload"] == (None if event == "claimed" else "web")


async def test_the_cluster_sees_the_role_and_the_person(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    (entry,) = stage.effects()
    assert entry.user is not None
    assert entry.user.name == "system:serviceaccount:tidegate:tidegate-agent"
    assert entry.acting_as is not None
    assert entry.acting_as.name == "tidegate"
    assert "tidegate:deployer" in entry.acting_as.groups
    assert tuple(entry.acting_as.extra["tidegate.dev/person"]) == (DEPLOYER,)
    assert tuple(entry.acting_as.extra["tidegate.dev/run"]) == ("run-1",)
