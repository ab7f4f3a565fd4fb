"""The controllers in a running event loop, by the machine's clock."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.dev.kubernetes.controllers.stage import NAMESPACE, deployment, ready
from tidegate_dev.kubernetes.controllers import Controllers, Timings
from tidegate_dev.kubernetes.logs import Logs
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, PODS
from tidegate_dev.kubernetes.store import Store


@pytest.fixture(autouse=True)
async def failures() -> AsyncIterator[list[dict[str, Any]]]:
    """What is raised where nobody waits for it fails the test."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    assert found == []


class Plant:
    """A store, and the controllers that belong to it."""

    def __init__(self, timings: Timings | None = None) -> None:
        self.store = Store(time.time)
        self.controllers = Controllers(self.store, Logs(time.time), timings=timings)

    @property
    def ready(self) -> int:
        return sum(map(ready, self.store.list(PODS, NAMESPACE)[0]))


async def test_a_rollout_needs_nobody_to_look_at_it() -> None:
    plant = Plant(Timings().faster(20))
    async with plant.controllers:
        plant.store.create(DEPLOYMENTS, deployment())
        async with asyncio.timeout(10):
            while plant.ready < 3:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_nothing_happens_after_the_end() -> None:
    plant = Plant(Timings().faster(20))
    async with plant.controllers:
        plant.store.create(DEPLOYMENTS, deployment())
        await asyncio.sleep(0)
    version = plant.store.version
    plant.store.create(DEPLOYMENTS, deployment("api"))
    await asyncio.sleep(0.2)
    assert int(plant.store.version) == int(version) + 1


async def test_catching_up_takes_no_time_and_leaves_the_timings_as_they_were() -> None:
    plant = Plant()
    for name in ("web", "api", "worker"):
        plant.store.create(DEPLOYMENTS, deployment(name))
    async with plant.controllers:
        before = time.monotonic()
        await plant.controllers.catch_up()
        assert plant.ready == 9
        assert time.monotonic() - before < 2
        assert plant.controllers.timings == Timings()


async def test_catching_up_does_not_wait_for_what_never_works() -> None:
    plant = Plant()
    plant.store.create(DEPLOYMENTS, deployment(tag="missing"))
    plant.store.create(DEPLOYMENTS, deployment("api", tag="crash"))
    async with plant.controllers:
        async with asyncio.timeout(5):
            await plant.controllers.catch_up()
        assert plant.ready == 0
