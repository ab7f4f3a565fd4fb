"""One key, one effect: sent again, to two agents at once, to one that dies, among fifty."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import aiohttp
import pytest

from tests.agent.app.stage import RULES
from tests.agent.cluster import agents
from tests.agent.cluster.ground import Ground, Installed
from tests.agent.cluster.workload import NEW, NEWER, REPOSITORY, Workload
from tests.agent.entry.door import Door, Told
from tests.agent.entry.process import Process
from tests.agent.entry.signer import Signer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_same_key_gets_the_same_operation_and_another_request_none(
    ground: Ground, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    run, order = f"key-{what.name}", {**what.params, "image": NEW}
    first = await at.ask("deploy", order, run=run)
    again = await at.ask("deploy", order, run=run)
    assert (first.status, again.status) == (202, 202)
    assert first.headers["Location"] == again.headers["Location"]
    assert (await at.ended(first.headers["Location"], run)).content["phase"] == "succeeded"
    assert (await at.ask("deploy", order, run=run)).status == 202, "also when it is over"
    for verb, other in (("deploy", {**order, "image": NEWER}), ("restart", what.params)):
        told = await at.ask(verb, other, run=run)
        assert (told.status, "another request" in told.content["message"]) == (409, True)
    assert len(ground.gate.changes(what.path)) == 1
    assert await what.image() == f"{REPOSITORY}:{NEW}"


async def test_two_agents_at_once_carry_it_out_once(
    ground: Ground, installed: Installed, signer: Signer, at: Door
) -> None:
    what = await ground.workload(replicas=1)
    run = f"two-{what.name}"
    async with agents.beside(ground, installed, signer) as other:
        told = await asyncio.gather(
            *(door.ask("restart", what.params, run=run) for door in (at, other) for _ in range(4))
        )
        assert {each.status for each in told} == {202}
        place = told[0].headers["Location"]
        ended = [(await door.ended(place, run)).content for door in (at, other)]
    assert [each["phase"] for each in ended] == ["succeeded", "succeeded"]
    assert len(ground.gate.changes(what.path)) == 1


@pytest.mark.parametrize(
    ("step", "after"),
    [("claim", False), ("claim", True), ("change", False), ("change", True)],
    ids=["taken", "claimed", "planned", "made"],
)
async def test_an_agent_that_is_killed_leaves_one_effect_once_another_goes_on(
    ground: Ground, installed: Installed, signer: Signer, step: str, after: bool
) -> None:
    what = await ground.workload(replicas=1)
    run, order = f"killed-{what.name}", {**what.params, "image": NEW}
    records = f"/api/v1/namespaces/{ground.home}/configmaps"
    async with agents.process(ground, installed, signer) as (process, dying):
        place = ("POST", records) if step == "claim" else ("PATCH", what.path)
        hold = ground.gate.hold(*place, after=after)
        asking = asyncio.create_task(dying.ask("deploy", order, run=run))
        await hold.is_held.wait()
        process.process.kill()
        await process.process.wait()
        hold.let_go.set()
        with contextlib.suppress(aiohttp.ClientError):
            pytest.fail(f"an answer from the dead: {await asking}")
    made = len(ground.gate.changes(what.path))
    assert made == (step == "change" and after)
    async with agents.beside(ground, installed, signer, ahead=RULES.lease_seconds + 1) as at:
        told = await at.ask("deploy", order, run=run)
        assert told.status == 202, told
        ended = await at.ended(told.headers["Location"], run)
    assert ended.content["phase"] == "succeeded", ended
    assert len(ground.gate.changes(what.path)) == 1
    assert await what.image() == f"{REPOSITORY}:{NEW}"


async def test_fifty_operations_at_once_are_all_right_in_little_memory(
    ground: Ground, running: tuple[Process, Door]
) -> None:
    process, at = running
    made = [await ground.workload(replicas=1) for _ in range(5)]

    async def one(number: int) -> Told:
        what, run = made[number % 5], f"fifty-{ground.suffix}-{number}"
        params: dict[str, Any] = {"replicas": 1 + number % 3} if number % 2 else {}
        verb, order = "scale" if params else "restart", {**what.params, **params}
        told = await at.ask(verb, order, run=run)
        while told.status == 503:  # it changes all the time: the gateway comes again
            await asyncio.sleep(float(told.headers["Retry-After"]))
            told = await at.ask(verb, order, run=run)
        assert told.status == 202, told
        return await at.ended(told.headers["Location"], run)

    ended = await asyncio.gather(*map(one, range(50)))
    phases = Counter(each.content["phase"] for each in ended)
    assert phases.keys() <= {"succeeded", "cancelled"}, phases  # a later one may have taken over
    assert phases["succeeded"] >= len(made)
    runs = Counter(each.run for what in made for each in ground.gate.changes(what.path))
    assert set(runs.values()) == {1}, "no run has changed anything twice"
    assert {f"fifty-{ground.suffix}-{number}" for number in range(0, 50, 2)} <= runs.keys()
    assert await _pods_are_right(made)
    print(f"{process.resident_mib():.0f} MiB at most")
    assert process.resident_mib() < 150


async def _pods_are_right(made: list[Workload]) -> bool:
    found = [await each.settled() for each in made]
    return all(each["status"]["readyReplicas"] == each["spec"]["replicas"] for each in found)
