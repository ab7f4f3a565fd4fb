"""Deploying, from the request to the end of the rollout."""

from tests.agent.app.stage import DEPLOYER, Stage


async def test_the_log_names_the_run_the_person_and_what_was_found(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    await stage.followed()
    assert stage.notes.names == ["claimed", "planned", "made", "succeeded"]
    for event, said in stage.notes.events:
        assert (said["run"], said["by"]) == ("run-1", DEPLOYER)
        assert said["workload"] == (None if event == "claimed" else "web")
