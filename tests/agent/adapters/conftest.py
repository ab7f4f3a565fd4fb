"""A cluster to speak to: the embedded one, or any other that is named."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent import reached
from tidegate_agent.adapters.kubernetes import Credentials, KubernetesClient, from_kubeconfig
from tidegate_agent.core.kinds import Kind
from tidegate_dev.kubernetes.far_end import KubernetesFarEnd

NAMESPACE = Kind(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False)


@pytest.fixture
async def credentials(tmp_path: Path) -> AsyncIterator[Credentials]:
    """An administrator's."""
    if found := reached.named(os.environ):
        yield found.credentials()
        return
    async with KubernetesFarEnd() as cluster:
        cluster.write_kubeconfig(tmp_path / "kubeconfig")
        yield from_kubeconfig([tmp_path / "kubeconfig"], {})


@pytest.fixture
async def client(credentials: Credentials) -> AsyncIterator[KubernetesClient]:
    """A client with an administrator's rights."""
    made = KubernetesClient(credentials, sleep=asyncio.sleep)
    yield made
    await made.close()


@pytest.fixture
async def namespace(client: KubernetesClient) -> AsyncIterator[str]:
    """An empty namespace of the test's own."""
    name = f"tidegate-test-{uuid.uuid4().hex[:8]}"
    metadata = {"metadata": {"name": name}}
    await client.create(NAMESPACE, None, {"apiVersion": "v1", "kind": "Namespace", **metadata})
    yield name
    await client.delete(NAMESPACE, None, name)
