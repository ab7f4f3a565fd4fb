"""An API server and controllers alone: what kubelets do is left to whoever speaks for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.dev.kubernetes.api_client import DEPLOYMENTS, PODS, ApiClient, api_client, deployment
from tidegate_dev.kubernetes import KubernetesFarEnd
from tidegate_dev.kubernetes.controllers import Timings

NODES = "/api/v1/nodes"


@pytest.fixture
async def api() -> AsyncIterator[ApiClient]:
    timings = Timings().faster(10)
    async with (
        KubernetesFarEnd(kubelets=False, timings=timings) as cluster,
        api_client(cluster) as client,
    ):
        yield client


async def the_pod(api: ApiClient, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the pod of `demo`, as soon as *holds* of it."""
    async with asyncio.timeout(10), api.watch(PODS, labelSelector="app=demo") as events:
        while True:
            found: dict[str, Any] = (await events.next())["object"]
            if holds(found):
                return found


def binding(pod: str, node: str = "mine") -> dict[str, Any]:
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": target,
    }


async def waiting(api: ApiClient) -> str:
    """Return the name of a pod that no node takes."""
    made = await api("POST", DEPLOYMENTS, deployment("demo"))
    assert made.code == 201, made.text
    pod = await the_pod(api, lambda pod: bool(pod["status"].get("conditions")))
    assert pod["status"]["conditions"][0]["message"] == "0/0 nodes are available."
    assert "nodeName" not in pod["spec"]
    return str(pod["metadata"]["name"])


async def test_no_node_is_there_and_no_pod_runs(api: ApiClient) -> None:
    assert (await api.get(NODES)).names == []
    await waiting(api)
    demo = (await api.get(f"{DEPLOYMENTS}/demo")).body
    assert (demo["status"]["replicas"], demo["status"].get("readyReplicas", 0)) == (1, 0)


async def test_whoever_speaks_for_a_node_brings_a_rollout_to_its_end(api: ApiClient) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}}
    assert (await api("POST", NODES, node)).code == 201
    name = await waiting_with_a_node(api)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert (await api.patch(f"{PODS}/{name}/status", {"status": ready})).code == 200
    async with asyncio.timeout(10), api.watch(DEPLOYMENTS) as events:
        while True:
            seen = (await events.next())["object"]
            if (seen["metadata"]["name"], seen["status"].get("availableReplicas")) == ("demo", 1):
                break
    await api("DELETE", f"{PODS}/{name}")
    assert "deletionTimestamp" in (await api.get(f"{PODS}/{name}")).body["metadata"]
    now = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
    assert (await api("DELETE", f"{PODS}/{name}", now)).code == 200
    assert (await api.get(f"{PODS}/{name}")).code == 404


async def waiting_with_a_node(api: ApiClient) -> str:
    """Return the name of a pod that a scheduler has put on the node `mine`, once it is ready."""
    condition = {"type": "Ready", "status": "True"}
    await api.patch(f"{NODES}/mine/status", {"status": {"conditions": [condition]}})
    await api("POST", DEPLOYMENTS, deployment("demo"))
    pod = await the_pod(api, lambda pod: pod["spec"].get("nodeName") == "mine")
    assert not pod["status"].get("containerStatuses"), "nobody runs it"
    return str(pod["metadata"]["name"])


async def test_a_pod_is_bound_once_to_the_node_that_is_named(api: ApiClient) -> None:
    name = await waiting(api)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}}
    await api("POST", NODES, node)
    place = f"{PODS}/{name}/binding"
    dry = await api("POST", place, binding(name), dryRun="All")
    assert (dry.code, dry.body["status"]) == (201, "Success")
    assert "nodeName" not in (await api.get(f"{PODS}/{name}")).body["spec"]
    assert (await api("POST", place, binding(name))).code == 201
    pod = (await api.get(f"{PODS}/{name}")).body
    assert pod["spec"]["nodeName"] == "mine"
    scheduled = [c for c in pod["status"]["conditions"] if c["type"] == "PodScheduled"]
    assert [each["status"] for each in scheduled] == ["True"]
    again = await api("POST", place, binding(name, "other"))
    assert (again.code, 'is already assigned to node "mine"' in again.message) == (409, True)


@pytest.mark.parametrize("target", [None, {}, {"name": ""}, {"name": 7}, "mine"])
async def test_a_binding_without_a_node_is_invalid(api: ApiClient, target: Any) -> None:
    name = await waiting(api)
    answer = await api("POST", f"{PODS}/{name}/binding", {**binding(name), "target": target})
    assert (answer.code, "target.name: Required value" in answer.message) == (422, True)


async def test_there_is_nothing_of_a_binding_but_to_make_one(api: ApiClient) -> None:
    gone = await api("POST", f"{PODS}/none/binding", binding("none"))
    assert (gone.code, gone.message) == (404, 'pods "none" not found')
    assert (await api.get(f"{PODS}/none/binding")).code == 405
    listed = {each["name"]: each for each in (await api.get("/api/v1")).body["resources"]}
    assert (listed["pods/binding"]["kind"], listed["pods/binding"]["verbs"]) == (
        "Binding",
        ["create"],
    )
