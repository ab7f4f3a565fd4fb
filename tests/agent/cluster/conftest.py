"""One cluster, one release of the agent, and one who calls it, for all that is tried here."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.agent import reached
from tests.agent.cluster import agents
from tests.agent.cluster.ground import Ground, Installed, prepared
from tests.agent.entry.door import Door
from tests.agent.entry.process import Process
from tests.agent.entry.signer import Signer
from tests.agent.reached import Access
from tidegate_dev.kubernetes.controllers import Timings
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before tests are given to workers by their groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of it shares a cluster, and waits for one that is somewhere else."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.xdist_group("tests/agent/cluster"))
            if reached.named(os.environ):
                item.add_marker(pytest.mark.timeout(600))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def access(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Access]:
    if found := reached.named(os.environ):
        yield found
        return
    path = tmp_path_factory.mktemp("cluster") / "kubeconfig"
    async with KubernetesFarEnd(seeded=False, timings=Timings().faster(10)) as cluster:
        cluster.write_kubeconfig(path)
        yield reached.embedded(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(access: Access, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with prepared(access, tmp_path_factory.mktemp("ground")) as made:
        yield made


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The gateway's key."""
    return Signer()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def installed(ground: Ground) -> Installed:
    return await ground.install(f"tidegate-{ground.suffix}")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(
    ground: Ground, installed: Installed, signer: Signer
) -> AsyncIterator[tuple[Process, Door]]:
    async with agents.process(ground, installed, signer) as made:
        yield made


@pytest.fixture
def at(running: tuple[Process, Door]) -> Door:
    """Who calls the agent."""
    return running[1]
