"""What one agent leaves, another goes on with; the one that was thought dead does no more."""

import asyncio

import pytest

from tests.agent.app import mishaps
from tests.agent.app.mishaps import Holder, Killed, Killer
from tests.agent.app.stage import RULES, Stage, only
from tidegate_agent.errors import ConflictError, UnreachableError
from tidegate_dev.kubernetes.bootstrap import rule
from tidegate_dev.kubernetes.resources import CONFIG_MAPS, DEPLOYMENTS


async def left_planned(stage: Stage) -> None:
    """An agent has died just before it sent the change; its lease has passed."""
    with pytest.raises(Killed):
        await stage.ask("restart", agent=stage.new_agent(through=Killer(4)))
    stage.clock.ahead += RULES.lease_seconds + 1


@pytest.mark.parametrize("number", [2, 3, 4, 5])
async def test_an_agent_that_wakes_up_late_does_nothing_more(stage: Stage, number: int) -> None:
    holder = Holder(number)
    sleeper = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=holder)))
    await holder.is_held.wait()
    stage.clock.ahead += RULES.lease_seconds + 1
    other = await stage.ask("restart", agent=stage.new_agent())
    assert other.status == 202
    assert len(stage.effects()) == 1
    holder.let_go()
    assert (await sleeper).status == 202
    assert len(stage.effects()) == 1
    assert (await stage.followed())["phase"] == "succeeded"


async def test_an_agent_that_wakes_up_between_plan_and_change_of_another_leaves_one_effect(
    stage: Stage,
) -> None:
    first = Holder(4)  # just before the patch
    one = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=first)))
    await first.is_held.wait()
    stage.clock.ahead += RULES.lease_seconds + 1
    # create, get (of the record), update (lease), get, list, update (plan), patch
    second = Holder(7)
    two = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=second)))
    await second.is_held.wait()
    first.let_go()
    assert (await one).status == 202
    second.let_go()
    assert (await two).status == 202
    assert len(stage.effects()) == 1
    assert (await stage.followed())["phase"] == "succeeded"


async def test_a_lease_that_holds_is_respected(stage: Stage) -> None:
    holder = Holder(3)
    sleeper = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=holder)))
    await holder.is_held.wait()
    other = stage.new_agent()
    told = await stage.ask("restart", agent=other)
    assert (told.status, told.content["message"]) == (202, "Taken.")
    assert (await stage.follow(agent=other)).content["phase"] == "pending"
    assert await other.recover() == 0
    assert stage.effects() == []
    holder.let_go()
    await sleeper
    assert len(stage.effects()) == 1


async def test_what_cannot_be_compared_any_more_is_unknown(stage: Stage) -> None:
    await left_planned(stage)
    stage.cluster.store.delete(DEPLOYMENTS, "staging", "web")
    told = await stage.followed()
    assert told["status"] == "unknown"
    assert "cannot be compared with the plan any more" in told["message"]
    assert "staging has no deployment web" in told["message"]


async def test_what_cannot_be_compared_for_now_stays_as_it_is(stage: Stage) -> None:
    await left_planned(stage)
    away = UnreachableError("no route")
    calls = [0]

    def refuse(_: int, name: str) -> None:
        calls[0] += name == "get"
        if name == "get" and calls[0] == 2:  # the first is of the record
            raise away

    agent = stage.new_agent(through=mishaps.watched(refuse))
    told = await stage.ask("restart", agent=agent)
    assert told.status == 202, "it may have been made, so it is not told to be put off"
    assert stage.effects() == []
    assert (await stage.followed())["phase"] == "succeeded"
    assert len(stage.effects()) == 1


async def test_a_workload_that_never_holds_still_is_put_off(stage: Stage) -> None:
    error = ConflictError("modified", code=409, reason="Conflict")
    agent = stage.new_agent(through=mishaps.refusing("patch", error, times=99))
    told = await stage.ask("restart", agent=agent)
    assert (told.status, told.retry_after) == (503, 5.0)
    assert "changes all the time" in told.content["message"]
    assert (await stage.ask("restart")).status == 202


async def test_a_change_that_could_not_be_noted_as_made_is_found_to_be(stage: Stage) -> None:
    calls = [0]

    def refuse(_: int, name: str) -> None:
        calls[0] += name == "update"
        if name == "update" and calls[0] == 2:  # the first notes the plan
            raise UnreachableError("no route")

    told = await stage.ask("restart", agent=stage.new_agent(through=mishaps.watched(refuse)))
    assert told.status == 202
    assert "not_written" in stage.notes.names
    stage.clock.ahead += RULES.lease_seconds + 1
    assert (await stage.followed())["phase"] == "succeeded"
    assert len(stage.effects()) == 1


async def test_what_waits_for_another_agent_can_not_be_cancelled_half_way(stage: Stage) -> None:
    holder = Holder(2)
    sleeper = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=holder)))
    await holder.is_held.wait()
    assert (await stage.cancel()).status == 409
    stage.clock.ahead += RULES.lease_seconds + 1
    told = await stage.cancel()
    assert told.content["phase"] == "cancelled"
    assert "before anything was done" in told.content["message"]
    holder.let_go()
    assert (await sleeper).status == 202
    assert stage.effects() == [], "what was cancelled does not begin any more"


async def test_what_was_planned_and_not_made_is_cancelled_without_being_made(
    stage: Stage,
) -> None:
    await left_planned(stage)
    told = await stage.cancel()
    assert told.content["phase"] == "cancelled"
    assert "before anything was done" in told.content["message"]
    assert stage.effects() == []


async def test_what_was_made_and_not_noted_is_cancelled_as_what_is_under_way(stage: Stage) -> None:
    dying = stage.new_agent(through=Killer(4, after=True))
    with pytest.raises(Killed):
        await stage.ask("restart", agent=dying)
    stage.clock.ahead += RULES.lease_seconds + 1
    told = await stage.cancel()
    assert told.content["phase"] == "cancelled"
    assert "Nothing was rolled back" in told.content["message"]
    assert len(stage.effects()) == 1


async def test_who_may_not_list_revisions_is_gone_on_with_all_the_same(stage: Stage) -> None:
    only(stage, rule(["get", "patch"], "apps", "deployments"))
    await left_planned(stage)
    assert (await stage.followed())["phase"] == "succeeded"
    assert len(stage.effects()) == 1


async def test_one_record_that_cannot_be_gone_on_with_does_not_keep_others_back(
    stage: Stage,
) -> None:
    for run, name in (("a", "web"), ("b", "api")):
        with pytest.raises(Killed):
            await stage.ask(
                "restart", run, agent=stage.new_agent(through=Killer(3)), deployment=name
            )
    stage.clock.ahead += RULES.lease_seconds + 1
    away = mishaps.refusing("update", UnreachableError("no route"), times=1)
    assert await stage.new_agent(through=away).recover() == 1
    assert "not_resumed" in stage.notes.names
    assert len(stage.effects()) == 1


async def test_a_record_that_is_gone_is_not_missed(stage: Stage) -> None:
    await stage.ask("restart")
    (obj,) = stage.records()
    stage.cluster.store.delete(CONFIG_MAPS, "tidegate", obj["metadata"]["name"])
    assert (await stage.follow()).status == 404


async def test_an_agent_that_starts_looks_at_nothing_but_what_is_undone(stage: Stage) -> None:
    await stage.ask("restart", "done")
    await stage.followed("done")
    await left_planned(stage)
    lists: list[dict[str, object]] = []

    class Listening(mishaps.Between):
        async def list(self, *args: object, **options: object) -> object:
            found = await stage.client.list(*args, **options)  # type: ignore[arg-type]
            lists.append({"kind": args[0], "items": len(found.items)})
            return found

    assert await stage.new_agent(through=Listening).recover() == 1  # type: ignore[arg-type]
    assert lists[0]["items"] == 1


async def test_a_claim_whose_record_is_lost_on_the_way_can_be_asked_for_again(
    stage: Stage,
) -> None:
    await stage.ask("restart")
    (obj,) = stage.records()

    def drop(_: int, name: str) -> None:
        if name == "get":
            stage.cluster.store.delete(CONFIG_MAPS, "tidegate", obj["metadata"]["name"])

    told = await stage.ask("restart", agent=stage.new_agent(through=mishaps.watched(drop)))
    assert told.status == 503
    assert "was just given up" in told.content["message"]


async def test_a_lease_that_breaks_off_can_be_asked_for_again(stage: Stage) -> None:
    await left_planned(stage)
    agent = stage.new_agent(through=mishaps.breaking_off(1, done=True))  # the first that is done
    assert (await stage.ask("restart", agent=agent)).status == 503
    assert stage.effects() == []
    assert (await stage.ask("restart", agent=agent)).status == 202
    assert len(stage.effects()) == 1
