"""Records are kept as long as a key could come back, and no longer."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from typing_extensions import override

from tests.agent.app import mishaps
from tests.agent.app.mishaps import Killed, Killer
from tests.agent.app.stage import RULES, MovableClock, Notes, Stage
from tidegate_agent.app.upkeep import MAX_FAILURES
from tidegate_agent.core.rules import MIN_KEPT_SECONDS
from tidegate_agent.entry.service import Service
from tidegate_agent.errors import UnreachableError
from tidegate_dev.kubernetes.resources import CONFIG_MAPS, REPLICA_SETS, STATEFUL_SETS


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
    await stage.ask("deploy", image="web:2.4.1")
    (obj,) = stage.records()
    obj["data"] = {"operation.json": "{}"}
    stage.cluster.store.update(CONFIG_MAPS, obj)
    told = await stage.ask("deploy", image="web:2.4.1")
    assert told.status == 409
    assert "cannot be read" in told.content["message"]
    assert len(stage.effects()) == 1


async def left_claimed(stage: Stage, *runs: str) -> None:
    """An agent has died just after it claimed these."""
    for run, name in zip(runs, ("web", "api"), strict=False):
        with pytest.raises(Killed):
            await stage.ask(
                "restart", run, agent=stage.new_agent(through=Killer(2)), deployment=name
            )
    stage.clock.ahead += RULES.lease_seconds + 1


def breaking(name: str) -> Any:
    """Return what breaks the agent whenever it reads that deployment."""

    class Breaking(mishaps.Between):
        @override
        def __getattr__(self, called: str) -> Any:
            found = super().__getattr__(called)
            if called != "get":
                return found

            async def get(*args: Any, **options: Any) -> Any:
                if args[2] == name:
                    raise ValueError("something nobody thought of")
                return await found(*args, **options)

            return get

    return Breaking


async def test_one_operation_that_breaks_the_agent_keeps_no_other_back_and_ends_as_unknown(
    stage: Stage,
) -> None:
    await left_claimed(stage, "a", "b")
    agent = stage.new_agent(through=breaking("web"))
    assert await agent.recover() == 1
    assert len(stage.effects()) == 1
    for _ in range(MAX_FAILURES - 2):
        assert await agent.recover() == 0
        assert "unknown" not in stage.notes.names
    assert await agent.recover() == 0
    assert "unknown" in stage.notes.names
    told = await stage.follow("a")
    assert (told.status, "breaks down" in told.content["message"]) == (410, True)


async def test_an_operation_that_breaks_the_agent_past_its_deadline_ends_at_once(
    stage: Stage,
) -> None:
    await left_claimed(stage, "a")
    stage.clock.ahead += RULES.rollout_seconds
    assert await stage.new_agent(through=breaking("web")).recover() == 0
    assert (await stage.follow("a")).status == 410


async def test_an_end_that_cannot_be_written_now_is_written_later(stage: Stage) -> None:
    await left_claimed(stage, "a")
    stage.clock.ahead += RULES.rollout_seconds
    calls = [0]

    def refuse(_: int, name: str) -> None:
        calls[0] += name == "update"
        if name == "update" and calls[0] == 2:  # the first takes it over
            raise UnreachableError("no route")

    broken = breaking("web")
    agent = stage.new_agent(through=lambda inner: broken(mishaps.watched(refuse)(inner)))
    await agent.recover()
    assert "not_written" in stage.notes.names
    await agent.recover()
    assert (await stage.follow("a")).status == 410


async def test_a_record_that_is_gone_meanwhile_needs_no_end(stage: Stage) -> None:
    await left_claimed(stage, "a")
    stage.clock.ahead += RULES.rollout_seconds

    class Gone(mishaps.Between):
        async def update(self, *_: Any, **__: Any) -> Any:
            (obj,) = stage.records()
            stage.cluster.store.delete(CONFIG_MAPS, RULES.home, obj["metadata"]["name"])
            raise ValueError("something nobody thought of")

    assert await stage.new_agent(through=Gone).recover() == 0
    assert stage.records() == []


async def test_a_record_that_cannot_be_removed_keeps_no_other(stage: Stage) -> None:
    for run in ("a", "b"):
        await stage.ask("deploy", run, image="elsewhere.example.com/web:1")
    stage.clock.ahead += RULES.retention_seconds + 1
    for error in (UnreachableError("no route"), ValueError("something nobody thought of")):
        stage.notes.events.clear()
        await stage.ask("deploy", "c", image="elsewhere.example.com/web:1")
        broken = mishaps.refusing("delete", error, times=1)
        assert await stage.new_agent(through=broken).prune() == 1
        assert "not_pruned" in stage.notes.names
        stage.clock.ahead += RULES.retention_seconds + 1


async def test_revisions_that_somebody_made_up_break_nothing(stage: Stage) -> None:
    store = stage.cluster.store
    for kind, text in ((REPLICA_SETS, "9" * 400), (STATEFUL_SETS, "\u00b2")):
        for obj in store.list(kind, "staging")[0]:
            obj["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = (
                text
            )
            store.update(kind, obj)
    assert (await stage.ask("status")).status == 200
    told = await stage.ask("rollback")
    assert (told.status, "no earlier revision" in told.content["message"]) == (409, True)


@pytest.mark.parametrize(
    ("member", "value"), [("ended_at", "yesterday"), ("begun_at", 1e300), ("steps", [["a"]])]
)
async def test_a_record_with_something_odd_in_it_stops_no_upkeep(
    stage: Stage, member: str, value: Any
) -> None:
    await left_claimed(stage, "odd", "b")
    obj = next(each for each in stage.records() if '"run": "odd"' in str(each["data"]))
    content = json.loads(obj["data"]["operation.json"])
    obj["data"] = {"operation.json": json.dumps({**content, member: value})}
    stage.cluster.store.update(CONFIG_MAPS, obj)
    assert await stage.agent.recover() == 1
    assert await stage.agent.prune() == 0


async def test_upkeep_that_fails_is_noted_and_tried_again() -> None:
    service = Service.__new__(Service)
    service.journal, service.clock = notes, _ = Notes(), MovableClock()
    done = asyncio.Event()

    async def act() -> None:
        if notes.events:
            done.set()
            return
        raise ValueError("something nobody thought of")

    task = asyncio.create_task(service._every(0.01, act))
    try:
        await asyncio.wait_for(done.wait(), 5)
    finally:
        task.cancel()
    failed = {"level": "warning", "what": "act", "error": "ValueError"}
    assert notes.events[0][0] == "upkeep_failed"
    assert {**failed, **notes.events[0][1]} == failed
