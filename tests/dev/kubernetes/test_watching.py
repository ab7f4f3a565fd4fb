"""Watches over HTTP: where they start, what they tell, how they end, what they have missed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.dev.kubernetes.api_client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    TABLE,
    ApiClient,
    api_client,
    config_map,
)
from tidegate_dev.kubernetes import KubernetesFarEnd, resources


@pytest.fixture
async def cluster() -> AsyncIterator[KubernetesFarEnd]:
    async with KubernetesFarEnd(controlled=False, bookmark_seconds=0.05) as cluster:
        yield cluster


def seen(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def version(api: ApiClient) -> str:
    return str((await api.get(CONFIG_MAPS)).body["metadata"]["resourceVersion"])


async def test_a_watch_from_a_list_tells_what_happened_since(api: ApiClient) -> None:
    since = await version(api)
    await api("POST", CONFIG_MAPS, config_map("a"))
    async with api.watch(CONFIG_MAPS, resourceVersion=since) as events:
        first = await events.next()
        await api("DELETE", f"{CONFIG_MAPS}/a")
        second = await events.next()
    assert seen([first, second]) == [("ADDED", "a"), ("DELETED", "a")]
    assert first["object"]["kind"] == "ConfigMap"


@pytest.mark.parametrize("params", [{}, {"resourceVersion": "0"}])
async def test_a_watch_from_nowhere_first_tells_what_is_there(
    api: ApiClient, params: dict[str, str]
) -> None:
    async with api.watch(CONFIG_MAPS, **params) as events:
        assert seen([await events.next()]) == [("ADDED", "kube-root-ca.crt")]


async def test_a_watch_tells_of_its_namespace_and_its_labels_only(api: ApiClient) -> None:
    since = await version(api)
    await api("POST", CONFIG_MAPS.replace("staging", "production"), config_map("other"))
    await api("POST", CONFIG_MAPS, config_map("unlabelled"))
    labelled = config_map("labelled")
    labelled["metadata"]["labels"] = {"app": "web"}
    await api("POST", CONFIG_MAPS, labelled)
    async with api.watch(CONFIG_MAPS, resourceVersion=since, labelSelector="app=web") as events:
        assert seen([await events.next()]) == [("ADDED", "labelled")]


async def test_an_object_that_begins_or_ceases_to_match_is_added_or_deleted(
    api: ApiClient,
) -> None:
    await api("POST", CONFIG_MAPS, config_map("a"))
    since = await version(api)
    await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "web"}}})
    await api.patch(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
    await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": None}}})
    await api("DELETE", f"{CONFIG_MAPS}/a")
    params = {"resourceVersion": since, "labelSelector": "app=web", "timeoutSeconds": "1"}
    async with api.watch(CONFIG_MAPS, **params) as events:
        told = seen(await events.rest())
    assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_ends_when_its_time_is_up(api: ApiClient) -> None:
    since = await version(api)
    async with api.watch(CONFIG_MAPS, resourceVersion=since, timeoutSeconds="1") as events:
        assert await events.rest() == []


async def test_a_quiet_watch_that_wants_bookmarks_gets_the_version(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    since = await version(api)
    await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 1}})
    params = {"resourceVersion": since, "allowWatchBookmarks": "true"}
    async with api.watch(CONFIG_MAPS, **params) as events:
        bookmark = await events.next()
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["kind"] == "ConfigMap"
    assert bookmark["object"]["metadata"]["resourceVersion"] == cluster.store.version


async def test_initial_events_end_with_a_bookmark_that_says_so(api: ApiClient) -> None:
    params = {"sendInitialEvents": "true", "allowWatchBookmarks": "true"}
    async with api.watch(CONFIG_MAPS, **params) as events:
        told = [await events.next() for _ in range(2)]
    assert [event["type"] for event in told] == ["ADDED", "BOOKMARK"]
    assert told[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_version_that_is_forgotten_is_expired(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    since = await version(api)
    await api("POST", CONFIG_MAPS, config_map("a"))
    cluster.store.forget()
    async with api.watch(CONFIG_MAPS, resourceVersion=since) as events:
        told = await events.rest()
    assert [event["type"] for event in told] == ["ERROR"]
    status = told[0]["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert status["message"].startswith(f"too old resource version: {since} (")


async def test_a_watch_that_fell_behind_learns_it_and_a_new_list_helps(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    async with api.watch(CONFIG_MAPS, resourceVersion=await version(api)) as events:
        for number in range(3):
            cluster.store.create(*_config_map(f"n{number}"))
        cluster.store.forget()
        told = await events.rest()
    assert told[-1]["object"]["code"] == 410
    fresh = await version(api)
    await api("POST", CONFIG_MAPS, config_map("later"))
    async with api.watch(CONFIG_MAPS, resourceVersion=fresh) as events:
        assert seen([await events.next()]) == [("ADDED", "later")]


async def test_a_version_that_is_no_number_is_a_bad_request(api: ApiClient) -> None:
    answer = await api.get(CONFIG_MAPS, watch="1", resourceVersion="latest")
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


async def test_a_table_watch_sends_the_columns_once(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    async with api.session.get(
        api.url + CONFIG_MAPS,
        params={"watch": "1"},
        headers={**api.authorization, "Accept": TABLE},
    ) as response:
        first = await response.content.readline()
        cluster.store.create(*_config_map("a"))
        second = await response.content.readline()
    assert b'"columnDefinitions":[{"name":"Name"' in first
    assert b'"columnDefinitions":[]' in second
    assert b'"cells":["a",0,' in second


async def test_stopping_the_cluster_ends_its_watches_at_once() -> None:
    async with (
        KubernetesFarEnd(controlled=False) as cluster,
        api_client(cluster) as api,
        api.watch(CONFIG_MAPS) as events,
    ):
        await events.next()
        stopping = asyncio.create_task(cluster.stop())
        assert await asyncio.wait_for(events.rest(), 5) == []
        await stopping


def _config_map(name: str) -> tuple[Any, dict[str, Any]]:
    obj = config_map(name)
    obj["metadata"]["namespace"] = "staging"
    return resources.CONFIG_MAPS, obj
