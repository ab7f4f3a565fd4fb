"""Records are kept as long as a key could come back, and no longer."""

from dataclasses import replace

from tests.agent.app.stage import RULES, Stage
from tidegate_agent.core.rules import MIN_KEPT_SECONDS


async def test_old_records_go_and_young_ones_stay(stage: Stage) -> None:
    await stage.ask("restart", "old")
    await stage.followed("old")
    stage.clock.ahead += RULES.retention_seconds + 1
    await stage.ask("restart", "young")
    await stage.followed("young")
    assert await stage.agent.prune() == 1
    assert (await stage.follow("old")).status == 404
    assert (await stage.follow("young")).status == 200


async def test_too_many_records_go_only_once_their_keys_cannot_come_back(stage: Stage) -> None:
    agent = stage.new_agent(rules=replace(RULES, max_records=10))
    for number in range(12):
        await stage.ask("deploy", f"run-{number}", image="elsewhere.example.com/web:1")
    assert await agent.prune() == 0
    stage.clock.ahead += MIN_KEPT_SECONDS + 1
    assert await agent.prune() == 2
    assert len(stage.records()) == 10


async def test_a_record_says_what_was_asked_by_whom_and_what_it_replaced(stage: Stage) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    (obj,) = stage.records()
    text = obj["data"]["operation.json"]
    for said in ("run-1", "slack:T1:U1", "web:2.4.0", "web:2.4.1", '"verb": "deploy"'):
        assert said in text
    assert obj["metadata"]["labels"]["tidegate.dev/phase"] == "running"


async def test_a_record_that_cannot_be_read_is_never_acted_on(stage: Stage) -> None:
    from tidegate_dev.kubernetes.resources import CONFIG_MAPS

    await stage.ask("deploy", image="web:2.4.1")
    (obj,) = stage.records()
    obj["data"] = {"operation.json": "{}"}
    stage.cluster.store.update(CONFIG_MAPS, obj)
    told = await stage.ask("deploy", image="web:2.4.1")
    assert told.status == 409
    assert "cannot be read" in told.content["message"]
    assert len(stage.effects()) == 1
