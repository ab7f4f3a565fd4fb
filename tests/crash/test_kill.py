"""SIGKILL at a random moment: nothing acknowledged is lost, nothing happens twice."""

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.aftermath import (
    KINDS,
    Press,
    Work,
    all_told,
    configure,
    folder_for,
    prepare,
    press_all,
    problems,
    settled,
)
from tests.stand import Stand, stand

pytestmark = pytest.mark.timeout(120)

#: After a restart work goes on within this; then a last call and a last message take a moment.
GOES_ON_SECONDS = 10.0
MOMENT_SECONDS = 5.0


def presses(
    s: Stand, *, count: int, channels: int, kinds: tuple[str, ...], chance: random.Random
) -> list[Press]:
    places = [s.slack.add_channel(f"C0KILL{number}").id for number in range(channels)]
    return [
        prepare(s, KINDS[kinds[number % len(kinds)]], chance.choice(places), f"web-{number}-x")
        for number in range(count)
    ]


async def kill_amid(s: Stand, all_of: list[Press], *, after: float) -> None:
    """Press everything, and kill the gateway *after* seconds, whatever it is doing then."""
    pressing = asyncio.create_task(press_all(s, all_of))
    await asyncio.sleep(after)
    await s.gateway.kill()
    await pressing


async def check(s: Stand, folder: Path, all_of: list[Press], *, moment: float) -> None:
    await s.gateway.start()
    await all_told(s, all_of, seconds=GOES_ON_SECONDS + moment)
    await settled(folder)
    assert problems(s, all_of) == []


async def random_kill(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with stand(folder, change=configure, answer=Work(0.15)) as s:
        mixed = presses(s, count=20, channels=5, kinds=tuple(KINDS), chance=chance)
        await kill_amid(s, mixed, after=chance.uniform(0.02, 1.2))
        await check(s, folder, mixed, moment=MOMENT_SECONDS)


async def test_twenty_clicks_survive_a_kill_at_a_random_moment(tmp_path: Path) -> None:
    # Side by side: most of the time is spent waiting for the dead process's leases to end.
    async with asyncio.TaskGroup() as group:
        for seed in (1, 2, 3):
            group.create_task(random_kill(folder_for(tmp_path, f"seed-{seed}"), seed))


async def test_twenty_clicks_survive_a_kill_while_slack_is_being_told(tmp_path: Path) -> None:
    async with stand(tmp_path, change=configure, answer=Work()) as s:
        chance = random.Random(5)
        kinds = ("foreign", "command", "foreign_once", "command_once", "own")
        mixed = presses(s, count=20, channels=4, kinds=kinds, chance=chance)
        s.slack.faults.hanging, s.slack.faults.methods = True, "chat."
        pressing = asyncio.create_task(press_all(s, mixed))
        await s.service.wait_for(lambda: len(s.service.effects) >= 20)
        await pressing
        # Every call to Slack is under way and not answered.
        await s.gateway.kill()
        s.slack.faults.calm()
        await check(s, tmp_path, mixed, moment=MOMENT_SECONDS)
        assert all(press.delivery.acked for press in mixed)


async def test_twenty_clicks_survive_three_kills_in_a_row(tmp_path: Path) -> None:
    def quick(config: dict[str, Any]) -> None:
        configure(config)
        config["worker"] = {"lease_seconds": 2}

    async with stand(tmp_path, change=quick, answer=Work(0.1)) as s:
        chance = random.Random(6)
        mixed = presses(s, count=20, channels=5, kinds=tuple(KINDS), chance=chance)
        await kill_amid(s, mixed, after=chance.uniform(0.1, 0.6))
        for _ in range(2):
            await s.gateway.start()
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            await s.gateway.kill()
        await check(s, tmp_path, mixed, moment=MOMENT_SECONDS)


async def test_work_goes_on_within_ten_seconds_of_a_restart(tmp_path: Path) -> None:
    async with stand(tmp_path, change=configure, answer=Work(30.0)) as s:
        press = prepare(s, KINDS["own"], "C0OPS", "web-x")
        await press_all(s, [press])
        await s.service.wait_for(lambda: len(s.service.posts) == 1)
        await s.gateway.kill()  # the request is out, its lease has just begun
        s.service.answer = Work()
        began = time.monotonic()
        await s.gateway.start()
        await s.service.wait_for(lambda: len(s.service.posts) == 2, seconds=GOES_ON_SECONDS)
        assert time.monotonic() - began < GOES_ON_SECONDS
        await all_told(s, [press], seconds=MOMENT_SECONDS)
        assert problems(s, [press]) == []


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(10, 18))
async def test_five_hundred_clicks_survive_a_kill_at_a_random_moment(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with stand(tmp_path, change=configure, answer=Work(0.05)) as s:
        mixed = presses(s, count=500, channels=50, kinds=tuple(KINDS), chance=chance)
        await kill_amid(s, mixed, after=chance.uniform(0.2, 8.0))
        # 500 messages at the pace that Slack allows take longer than the restart itself.
        await check(s, tmp_path, mixed, moment=90.0)
