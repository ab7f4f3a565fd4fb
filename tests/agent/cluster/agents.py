"""Agents of a release: as processes of their own, and in the tests' process."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.agent.app.stage import Agents, MovableClock
from tests.agent.cluster.ground import Ground, Installed
from tests.agent.entry.door import Door, door
from tests.agent.entry.process import Process, running, write_configuration
from tests.agent.entry.signer import Signer
from tidegate_agent.adapters.kubernetes import KubernetesClient, from_kubeconfig
from tidegate_agent.core.identity import Keys
from tidegate_agent.core.rules import Rules
from tidegate_agent.entry.settings import parse

#: What is this test's own, and not the chart's to say.
_OURS = frozenset({"listen", "metrics", "identity", "kubernetes"})


@asynccontextmanager
async def process(
    ground: Ground, installed: Installed, signer: Signer
) -> AsyncIterator[tuple[Process, Door]]:
    """An agent runs as its pod would, but for where its files are, and somebody calls it."""
    changed = {key: each for key, each in installed.content.items() if key not in _OURS}
    with tempfile.TemporaryDirectory() as folder:
        file = write_configuration(Path(folder), signer, installed.kubeconfig, changed)
        async with running(file) as at, aiohttp.ClientSession() as session:
            caller = at.caller(session, signer)
            caller.seconds = ground.access.seconds
            yield at, caller


@asynccontextmanager
async def beside(
    ground: Ground, installed: Installed, signer: Signer, *, ahead: float = 0.0
) -> AsyncIterator[Door]:
    """Another agent of the same release listens, whose clock is so many seconds ahead."""
    clock = MovableClock()
    clock.ahead = ahead
    credentials = from_kubeconfig([installed.kubeconfig], {})
    client = KubernetesClient(credentials, sleep=asyncio.sleep)
    made = Agents(client=client, clock=clock, rules=_rules(installed.content))
    agent = made.new_agent(keys=Keys(signer.jwks()))
    try:
        async with door(made, agent=agent, signer=signer) as at:
            at.seconds = ground.access.seconds
            yield at
    finally:
        await client.close()


def _rules(content: dict[str, Any]) -> Rules:
    return replace(parse(yaml.safe_dump(content), {}).rules, audience="cluster")
