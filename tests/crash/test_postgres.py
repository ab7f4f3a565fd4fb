"""SIGKILL at a random moment, with the runs in PostgreSQL: alone, and beside another gateway."""

import asyncio
import copy
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.databases import Database, kept_in
from tests.crash.aftermath import (
    OPEN_RUNS,
    OPEN_VIEWS,
    Work,
    all_told,
    configure,
    folder_for,
    problems,
)
from tests.crash.test_kill import GOES_ON_SECONDS, MOMENT_SECONDS, kill_amid, presses
from tests.ports import free_port
from tests.stand import GatewayProcess, Stand, stand

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

KINDS = ("own", "foreign", "command", "foreign_once", "command_once")


def over(database: Database, folder: Path) -> Callable[[dict[str, Any]], None]:
    """What gives the configuration an action for each kind of press, and a database."""
    keep = kept_in(database, folder)

    def change(config: dict[str, Any]) -> None:
        configure(config)
        keep(config)

    return change


async def settled(database: Database) -> None:
    """Return once no run is under way and no message is out of date."""
    async with database.session() as session, asyncio.timeout(20):
        while True:
            if not sum([await session.fetchval(sql) for sql in (OPEN_RUNS, OPEN_VIEWS)]):
                return
            await asyncio.sleep(0.05)


async def killed_and_started(folder: Path, seed: int) -> None:
    chance, database = random.Random(seed), Database()
    async with stand(folder, change=over(database, folder), answer=Work(0.15)) as s:
        mixed = presses(s, count=20, channels=5, kinds=KINDS, chance=chance)
        await kill_amid(s, mixed, after=chance.uniform(0.02, 1.2))
        await s.gateway.start()
        await all_told(s, mixed, seconds=GOES_ON_SECONDS + MOMENT_SECONDS)
        await settled(database)
        assert problems(s, mixed) == []
    await database.close()


async def test_twenty_clicks_survive_a_kill_at_a_random_moment(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for seed in (11, 12):
            group.create_task(killed_and_started(folder_for(tmp_path, f"seed-{seed}"), seed))


async def test_what_a_killed_gateway_had_in_hand_is_finished_by_another_one(tmp_path: Path) -> None:
    database, chance = Database(), random.Random(21)
    change = over(database, tmp_path)
    async with stand(tmp_path, change=change, answer=Work(0.15)) as s:
        other = another(s, folder_for(tmp_path, "other"))
        try:
            await other.start()
            mixed = presses(s, count=20, channels=5, kinds=KINDS, chance=chance)
            await kill_amid(s, mixed, after=0.4)
            s.slack.gateway_url = other.url  # Slack's balancer has noticed: it delivers again there
            await all_told(s, mixed, seconds=GOES_ON_SECONDS + MOMENT_SECONDS)
            await settled(database)
            assert problems(s, mixed) == []
        finally:
            await other.end()
    await database.close()


def another(s: Stand, folder: Path) -> GatewayProcess:
    """A second gateway with the same configuration, at other ports."""
    config = copy.deepcopy(s.gateway.config)
    config["server"]["port"], config["admin"]["port"] = free_port(), free_port()
    return GatewayProcess(config, folder, s.gateway.environment)
