"""The stage on which the journeys are played."""

from collections.abc import AsyncIterator

import pytest

from tests.agent.app import stage as stages
from tests.agent.app.stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A cluster with the company's workloads up, and an agent in it."""
    async with stages.stage() as made:
        yield made
