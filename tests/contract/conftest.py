"""The store under test: each implementation in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.clock import StillClock
from tests.contract.stores import ALL, Stores
from tidegate.ports import Store


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(params=sorted(ALL))
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    stores = ALL[request.param](tmp_path)
    yield stores
    await stores.close()


@pytest.fixture
async def store(stores: Stores, clock: StillClock) -> Store:
    return await stores.open(clock)
