"""The same key never acts twice: whatever dies, breaks off, or happens at once."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from tests.agent.app import mishaps
from tests.agent.app.mishaps import Killed
from tests.agent.app.stage import REGISTRY, RULES, Stage

ORDERS: dict[str, dict[str, Any]] = {
    "deploy": {"image": "web:2.4.1"},
    "restart": {},
    "scale": {"replicas": 5},
    "rollback": {},
}


async def prepared(stage: Stage, verb: str) -> int:
    """Return how many changes had been made before; a rollback needs somewhere to go back to."""
    if verb == "rollback":
        await stage.ask("deploy", "before", image="web:2.4.5")
        assert (await stage.followed("before"))["phase"] == "succeeded"
    return len(stage.effects())


async def test_the_same_request_again_gets_the_same_operation(stage: Stage) -> None:
    first = await stage.ask("deploy", image="web:2.4.1")
    again = await stage.ask("deploy", image="web:2.4.1")
    assert (again.status, again.location) == (first.status, first.location)
    assert len(stage.effects()) == 1
    await stage.followed()
    late = await stage.ask("deploy", image="web:2.4.1", agent=stage.new_agent())
    assert late.status == 202
    assert len(stage.effects()) == 1


async def test_the_same_key_for_another_request_is_refused_and_changes_nothing(
    stage: Stage,
) -> None:
    await stage.ask("deploy", image="web:2.4.1")
    other = await stage.ask("deploy", image="web:2.4.2")
    assert other.status == 409
    assert "another request" in other.content["message"]
    verb = await stage.ask("restart")
    assert verb.status == 409
    assert stage.image() == f"{REGISTRY}/web:2.4.1"
    assert len(stage.effects()) == 1


async def test_the_same_request_to_many_agents_at_once_is_carried_out_once(stage: Stage) -> None:
    agents = [stage.new_agent() for _ in range(4)]
    answers = await asyncio.gather(
        *(stage.ask("restart", agent=agent) for agent in agents for _ in range(3))
    )
    assert {told.status for told in answers} == {202}
    assert len(stage.effects()) == 1
    assert len(stage.records()) == 1


@pytest.mark.parametrize("verb", ORDERS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_agent_that_dies_at_any_step_leaves_one_effect_once_another_goes_on(
    stage: Stage, verb: str, after: bool
) -> None:
    had = await prepared(stage, verb)
    died = 0
    for number in range(1, 30):
        run, order = f"run-{number}", dict(ORDERS[verb])
        if verb == "scale":
            order["replicas"] = 4 + number % 2
        if verb == "deploy":
            order["image"] = f"web:3.0.{number}"
        killer = mishaps.Killer(number, after=after)
        try:
            await stage.ask(verb, run, agent=stage.new_agent(through=killer), **order)
        except Killed:
            died += 1
        if killer.calls < number:
            assert died >= 4, "it has to be killed at a few steps at least"
            return
        assert len(stage.effects()) - had <= 1
        stage.clock.ahead += RULES.lease_seconds + 1
        again = await stage.ask(verb, run, agent=stage.new_agent(), **order)
        assert again.status == 202, again
        had += 1
        assert len(stage.effects()) == had, f"killed at step {number}"
    raise AssertionError("it never came through")


@pytest.mark.parametrize("verb", ["deploy", "scale"])
async def test_an_agent_that_starts_goes_on_with_what_another_left(stage: Stage, verb: str) -> None:
    planned = 4 if verb == "deploy" else 5  # create, get, (list,) update, patch
    dying = stage.new_agent(through=mishaps.Killer(planned))
    with pytest.raises(Killed):
        await stage.ask(verb, agent=dying, **ORDERS[verb])
    starting = stage.new_agent()
    assert await starting.recover() == 0, "the lease still holds"
    assert stage.effects() == []
    stage.clock.ahead += RULES.lease_seconds + 1
    assert await starting.recover() == 1
    assert len(stage.effects()) == 1
    assert (await stage.followed())["phase"] == "succeeded"


async def test_what_was_left_for_too_long_is_not_begun_any_more(stage: Stage) -> None:
    dying = stage.new_agent(through=mishaps.Killer(2))
    with pytest.raises(Killed):
        await stage.ask("restart", agent=dying)
    stage.clock.ahead += RULES.rollout_seconds + 1
    await stage.new_agent().recover()
    told = await stage.follow()
    assert told.content["phase"] == "failed"
    assert "not begun in time" in told.content["message"]
    assert stage.effects() == []


@pytest.mark.parametrize("verb", ["deploy", "scale", "restart"])
@pytest.mark.parametrize("done", [False, True], ids=["lost", "done"])
async def test_a_change_that_breaks_off_is_compared_and_made_once(
    stage: Stage, verb: str, done: bool
) -> None:
    # create and update are of the record; the third change is the workload's
    agent = stage.new_agent(through=mishaps.breaking_off(3, done=done))
    told = await stage.ask(verb, agent=agent, **ORDERS[verb])
    assert told.status == 202
    assert len(stage.effects()) == 1
    assert (await stage.followed())["phase"] == "succeeded"


async def test_a_record_that_breaks_off_is_gone_on_with_by_the_same_request(stage: Stage) -> None:
    agent = stage.new_agent(through=mishaps.breaking_off(1, done=True))
    told = await stage.ask("restart", agent=agent)
    assert (told.status, told.retry_after) == (503, 2.0)
    assert stage.effects() == []
    again = await stage.ask("restart", agent=agent)
    assert again.status == 202
    assert len(stage.effects()) == 1


async def test_what_was_put_off_waits_for_the_same_request_and_for_nobody_else(
    stage: Stage,
) -> None:
    agent = stage.new_agent(through=mishaps.out_of_reach("patch", busy=True))
    told = await stage.ask("restart", agent=agent)
    assert (told.status, told.retry_after) == (503, 7.0)
    stage.clock.ahead += RULES.lease_seconds + 1
    await stage.new_agent().recover()
    assert (await stage.follow()).content["phase"] == "pending"
    assert stage.effects() == []
    assert (await stage.ask("restart", agent=agent)).status == 202
    assert len(stage.effects()) == 1


async def test_a_workload_that_was_written_meanwhile_is_read_again(stage: Stage) -> None:
    stage.cluster.faults.conflicts = 0
    seen: list[str] = []

    def touch(_: int, name: str) -> None:
        if name == "patch" and not seen:
            seen.append(name)
            stage.edit(lambda obj: obj["metadata"].setdefault("labels", {}).update(touched="yes"))

    agent = stage.new_agent(through=mishaps.watched(touch))
    assert (await stage.ask("restart", agent=agent)).status == 202
    assert stage.deployment()["metadata"]["labels"]["touched"] == "yes"
    assert len(stage.effects()) == 1


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
async def test_what_was_made_and_then_replaced_is_not_told_to_be_there(
    stage: Stage, verb: str
) -> None:
    had = await prepared(stage, verb)
    dying = stage.new_agent(through=mishaps.dying_after("patch"))
    with pytest.raises(Killed):
        await stage.ask(verb, agent=dying, **ORDERS[verb])
    assert len(stage.effects()) == had + 1
    stage.edit(_deploy_something_else)
    stage.clock.ahead += RULES.lease_seconds + 1
    told = await stage.followed()
    assert told["phase"] == "cancelled"
    assert "A later change of web in staging took over" in told["message"]
    assert len(stage.effects()) == had + 1


async def test_a_rollback_is_no_step_from_what_somebody_else_has_just_put_there(
    stage: Stage,
) -> None:
    had = await prepared(stage, "rollback")

    def change(_: int, name: str) -> None:
        if name == "patch":
            stage.edit(_deploy_something_else)

    agent = stage.new_agent(through=mishaps.watched(change))
    told = await stage.ask("rollback", agent=agent)
    assert told.status == 409
    assert "changed by somebody else" in told.content["message"]
    assert len(stage.effects()) == had
    assert (await stage.ask("rollback")).status == 409, "the same request is refused so again"


async def test_a_deploy_says_what_is_to_be_whatever_somebody_else_has_just_put_there(
    stage: Stage,
) -> None:
    meanwhile = iter([True])

    def change(_: int, name: str) -> None:
        if name == "patch" and next(meanwhile, False):
            stage.edit(_deploy_something_else)

    agent = stage.new_agent(through=mishaps.watched(change))
    assert (await stage.ask("deploy", agent=agent, image="web:2.4.1")).status == 202
    assert stage.image() == f"{REGISTRY}/web:2.4.1"
    record = json.loads(stage.records()[0]["data"]["operation.json"])
    assert record["noted"]["before"]["image"] == f"{REGISTRY}/web:7.7.7", "what it did replace"


def _deploy_something_else(obj: dict[str, Any]) -> None:
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = f"{REGISTRY}/web:7.7.7"


def _with_replicas(obj: dict[str, Any], *, replicas: int) -> None:
    obj["spec"]["replicas"] = replicas


async def test_what_nobody_can_know_is_told_to_be_unknown(stage: Stage) -> None:
    dying = stage.new_agent(through=mishaps.Killer(5))
    with pytest.raises(Killed):
        await stage.ask("scale", agent=dying, replicas=5)
    for replicas in (7, 2):
        stage.edit(partial(_with_replicas, replicas=replicas))
    stage.clock.ahead += RULES.lease_seconds + 1
    told = await stage.followed()
    assert told["status"] == "unknown"
    assert "cannot be told" in told["message"]
    assert stage.deployment()["spec"]["replicas"] == 2
    assert stage.effects("deployments") == []
