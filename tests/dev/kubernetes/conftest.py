"""A cluster in which nothing happens by itself, and its clients."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dev.kubernetes.api_client import ApiClient, api_client
from tests.dev.kubernetes.kubectl import Kubectl
from tidegate_dev.kubernetes import KubernetesFarEnd


@pytest.fixture
async def cluster() -> AsyncIterator[KubernetesFarEnd]:
    async with KubernetesFarEnd(controlled=False) as cluster:
        yield cluster


@pytest.fixture
async def api(cluster: KubernetesFarEnd) -> AsyncIterator[ApiClient]:
    async with api_client(cluster) as client:
        yield client


@pytest.fixture
def kubectl(cluster: KubernetesFarEnd, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)
