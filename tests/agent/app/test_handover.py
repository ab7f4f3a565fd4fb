"""What one agent leaves, another goes on with; the one that was thought dead does no more."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import override

from tests.agent.app import mishaps
from tests.agent.app.mishaps import Holder, Killed, Killer
from tests.agent.app.stage import RULES, Stage, bind, only
from tidegate_agent.core.operation import UNDER_WAY_SECONDS
from tidegate_agent.errors import ConflictError, UnreachableError
from tidegate_dev.kubernetes.bootstrap import rule
from tidegate_dev.kubernetes.resources import CONFIG_MAPS, DEPLOYMENTS, ROLE_BINDINGS


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
    stage.clock.ahead += UNDER_WAY_SECONDS
    told = await stage.cancel()
    assert told.content["phase"] == "cancelled"
    assert "before anything was done" in told.content["message"]
    assert stage.effects() == []


async def test_nobody_is_told_that_nothing_was_done_while_what_was_sent_may_still_arrive(
    stage: Stage,
) -> None:
    sending = Holder(4)  # just before the patch: the API server takes its time
    slow = asyncio.create_task(stage.ask("restart", agent=stage.new_agent(through=sending)))
    await sending.is_held.wait()
    stage.clock.ahead += RULES.lease_seconds + 1
    told = await stage.cancel()
    assert (told.status, "try again in a moment" in told.content["message"]) == (409, True)
    sending.let_go()
    assert (await slow).status == 202
    assert len(stage.effects()) == 1
    assert (await stage.followed())["phase"] == "succeeded"


async def test_what_is_too_late_to_begin_has_failed_only_once_nothing_can_arrive(
    stage: Stage,
) -> None:
    rules = replace(RULES, rollout_seconds=1)
    with pytest.raises(Killed):
        await stage.ask("restart", "late", agent=stage.new_agent(through=Killer(4), rules=rules))
    stage.clock.ahead += RULES.lease_seconds + 1
    agent = stage.new_agent(rules=rules)
    assert (await stage.follow("late", agent=agent)).content["phase"] == "pending"
    assert "awaited" in stage.notes.names
    stage.clock.ahead += UNDER_WAY_SECONDS
    told = await stage.follow("late", agent=agent)
    assert (told.content["phase"], "nothing was done" in told.content["message"]) == (
        "failed",
        True,
    )
    assert stage.effects() == []


async def test_what_cannot_be_sent_for_now_stays_open_while_something_may_still_arrive(
    stage: Stage,
) -> None:
    await left_planned(stage)
    agent = stage.new_agent(through=mishaps.out_of_reach("patch", busy=True))
    assert (await stage.ask("restart", agent=agent)).status == 202, "not told to be put off"
    assert (await stage.followed())["phase"] == "succeeded"
    assert len(stage.effects()) == 1


async def test_a_lease_that_is_too_short_for_the_change_is_renewed_before_it_is_sent(
    stage: Stage,
) -> None:
    late: list[str] = []

    def wait(_: int, name: str) -> None:  # as the plan is written, time goes by
        if name == "update" and not late:
            late.append(name)
            stage.clock.ahead += RULES.lease_seconds - 1

    made: list[str] = []

    class Seen(mishaps.Between):
        def __init__(self, inner: Any) -> None:
            super().__init__(inner, before=wait)
            self.made = made

    agent = stage.new_agent(through=Seen)
    assert (await stage.ask("restart", agent=agent)).status == 202
    assert made == ["create", "get", "update", "update", "patch", "update"]


async def test_an_agent_whose_lease_is_lost_before_it_sends_does_not_send(stage: Stage) -> None:
    sleeper = Holder(3)  # just before its plan is written
    seen: list[str] = []

    def pause(_: int, name: str) -> None:
        seen.append(name)

    through = mishaps.watched(pause)
    slow = asyncio.create_task(
        stage.ask("restart", agent=stage.new_agent(through=lambda c: sleeper(through(c))))
    )
    await sleeper.is_held.wait()
    stage.clock.ahead += RULES.lease_seconds + 1
    assert (await stage.cancel()).content["phase"] == "cancelled"
    sleeper.let_go()
    assert (await slow).status == 202
    assert "patch" not in seen
    assert stage.effects() == []


async def test_a_change_that_takes_longer_than_its_lease_allows_is_compared(stage: Stage) -> None:
    rules = replace(RULES, lease_seconds=5)
    slow = [True]

    class Slow(mishaps.Between):
        @override
        def __getattr__(self, name: str) -> Any:
            found = super().__getattr__(name)
            if name != "patch" or not slow:
                return found
            slow.clear()

            async def never(*args: Any, **options: Any) -> Any:
                await asyncio.sleep(60)

            return never

    agent = stage.new_agent(through=Slow, rules=rules)
    assert (await stage.ask("restart", agent=agent)).status == 202
    assert len(stage.effects()) == 1


async def test_whether_somebody_may_is_asked_before_the_plan_is_written(stage: Stage) -> None:
    account = {"kind": "ServiceAccount", "name": "tidegate-agent", "namespace": "tidegate"}
    bind(stage.cluster.store, ROLE_BINDINGS, "tidegate-deployer", "staging", account, name="own")
    made: list[str] = []

    class Seen(mishaps.Between):
        def __init__(self, inner: Any) -> None:
            super().__init__(inner)
            self.made = made

    rules = replace(RULES, impersonate=False)
    told = await stage.ask("restart", agent=stage.new_agent(through=Seen, rules=rules))
    assert told.status == 202
    assert made[-5:] == ["get", "allowed", "update", "patch", "update"]


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
