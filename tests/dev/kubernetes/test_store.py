"""The store: versions, generations, conflicts, ownership, and what is told of changes."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dev.kubernetes.api_client import config_map, deployment
from tidegate_dev.kubernetes.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from tidegate_dev.kubernetes.store import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    NotFoundError,
    Store,
    WatchEvent,
)


def clock() -> float:
    return 1_795_000_000.0


@pytest.fixture
def store() -> Store:
    return Store(clock)


def placed(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "namespace": "staging", **metadata}}


def made(store: Store, name: str = "a", **more: Any) -> dict[str, Any]:
    return store.create(CONFIG_MAPS, placed(config_map(name, **more)))


def owned(store: Store, name: str, *uids: str, resource: Resource = REPLICA_SETS) -> None:
    owners = [{"uid": uid, "kind": "Deployment", "name": "x"} for uid in uids]
    obj = {"metadata": {"name": name}, "spec": {}}
    store.create(resource, placed(obj, ownerReferences=owners))


def test_what_is_created_gets_an_identity_a_time_and_a_version(store: Store) -> None:
    first = store.create(DEPLOYMENTS, placed(deployment("web")))
    second = made(store)
    assert first["metadata"]["creationTimestamp"] == "2026-11-18T11:06:40Z"
    assert first["metadata"]["generation"] == 1
    assert "generation" not in second["metadata"]
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


def test_a_second_object_of_the_name_is_refused(store: Store) -> None:
    made(store)
    with pytest.raises(AlreadyExistsError, match='configmaps "a" already exists'):
        made(store)


def test_a_name_is_generated_from_its_beginning(store: Store) -> None:
    bare = {"metadata": {"generateName": "job-", "namespace": "staging"}}
    names = {store.create(CONFIG_MAPS, bare)["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert {name[:4] for name in names} == {"job-"}
    assert {len(name) for name in names} == {9}


def test_neither_what_went_in_nor_what_came_out_is_shared(store: Store) -> None:
    obj = placed(config_map("a", data={"k": "v"}))
    out = store.create(CONFIG_MAPS, obj)
    obj["data"]["k"] = out["data"]["k"] = "changed"
    listed = store.list(CONFIG_MAPS)[0][0]
    listed["data"]["k"] = "changed"
    found = store.get(CONFIG_MAPS, "staging", "a")
    assert found is not None
    assert found["data"] == {"k": "v"}


def test_a_change_of_the_spec_counts_and_a_change_of_a_label_does_not(store: Store) -> None:
    web = store.create(DEPLOYMENTS, placed(deployment("web")))
    web["metadata"]["labels"] = {"a": "b"}
    web = store.update(DEPLOYMENTS, web)
    assert web["metadata"]["generation"] == 1
    web["spec"]["replicas"] = 7
    assert store.update(DEPLOYMENTS, web)["metadata"]["generation"] == 2


def test_an_update_that_changes_nothing_makes_no_version_and_is_not_told(store: Store) -> None:
    before = made(store)
    told: list[WatchEvent] = []
    store.subscribe(told.append)
    assert store.update(CONFIG_MAPS, before) == before
    assert (store.version, told) == (before["metadata"]["resourceVersion"], [])


def test_an_old_version_is_a_conflict_and_no_version_is_not(store: Store) -> None:
    old = made(store)
    store.update(CONFIG_MAPS, {**old, "data": {"a": "1"}})
    with pytest.raises(ConflictError, match="please apply your changes to the latest version"):
        store.update(CONFIG_MAPS, old, expected=old["metadata"]["resourceVersion"])
    assert "data" not in store.update(CONFIG_MAPS, old)


def test_another_object_of_the_same_name_is_a_conflict(store: Store) -> None:
    old = made(store)
    store.delete(CONFIG_MAPS, "staging", "a")
    made(store)
    with pytest.raises(ConflictError, match="UID in precondition"):
        store.update(CONFIG_MAPS, old)
    with pytest.raises(ConflictError, match="UID in precondition"):
        store.delete(CONFIG_MAPS, "staging", "a", uid=old["metadata"]["uid"])


def test_only_the_subresource_changes_the_status_and_changes_nothing_else(store: Store) -> None:
    web = store.create(DEPLOYMENTS, placed(deployment("web")))
    web["status"] = {"replicas": 1}
    web["spec"]["replicas"] = 5
    plain = store.update(DEPLOYMENTS, web)
    assert "status" not in plain
    web["spec"]["replicas"] = 9
    changed = store.update(DEPLOYMENTS, web, subresource="status")
    assert (changed["status"], changed["spec"]["replicas"]) == ({"replicas": 1}, 5)
    assert changed["metadata"]["generation"] == plain["metadata"]["generation"]


def test_what_only_the_server_says_cannot_be_changed(store: Store) -> None:
    old = made(store)
    new = placed(config_map("a"), creationTimestamp="2000-01-01T00:00:00Z", generation=99)
    assert store.update(CONFIG_MAPS, new) == old


def test_a_dry_run_answers_and_does_nothing(store: Store) -> None:
    old = made(store)
    assert store.create(CONFIG_MAPS, placed(config_map("b")), dry_run=True)["metadata"]["uid"]
    assert store.update(CONFIG_MAPS, {**old, "data": {}}, dry_run=True)["data"] == {}
    assert store.delete(CONFIG_MAPS, "staging", "a", dry_run=True) == old
    assert store.list(CONFIG_MAPS) == ([old], old["metadata"]["resourceVersion"])


def test_what_an_object_owned_goes_with_it_to_the_last_generation(store: Store) -> None:
    web = store.create(DEPLOYMENTS, placed(deployment("web")))
    owned(store, "web-1", web["metadata"]["uid"])
    owned(store, "web-2", web["metadata"]["uid"])
    middle = store.get(REPLICA_SETS, "staging", "web-1")
    assert middle is not None
    owned(store, "web-1-x", middle["metadata"]["uid"], resource=PODS)
    owned(store, "other", "nobody")
    store.delete(DEPLOYMENTS, "staging", "web")
    assert [each["metadata"]["name"] for each in store.list(REPLICA_SETS)[0]] == ["other"]
    assert store.list(PODS)[0] == []


def test_what_somebody_else_owns_too_stays_and_orphans_stay(store: Store) -> None:
    one = store.create(DEPLOYMENTS, placed(deployment("one")))
    two = store.create(DEPLOYMENTS, placed(deployment("two")))
    owned(store, "shared", one["metadata"]["uid"], two["metadata"]["uid"])
    store.delete(DEPLOYMENTS, "staging", "one")
    shared = store.get(REPLICA_SETS, "staging", "shared")
    assert shared is not None
    assert [owner["uid"] for owner in shared["metadata"]["ownerReferences"]] == [
        two["metadata"]["uid"]
    ]
    store.delete(DEPLOYMENTS, "staging", "two", propagation="Orphan")
    shared = store.get(REPLICA_SETS, "staging", "shared")
    assert shared is not None
    assert "ownerReferences" not in shared["metadata"]


def test_a_namespace_takes_with_it_what_is_in_it(store: Store) -> None:
    store.create(NAMESPACES, {"metadata": {"name": "staging"}})
    made(store)
    store.create(CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "other"}})
    store.delete(NAMESPACES, "", "staging")
    assert [each["metadata"]["namespace"] for each in store.list(CONFIG_MAPS)[0]] == ["other"]


def test_a_finalizer_holds_an_object_until_it_is_taken_off(store: Store) -> None:
    held = store.create(CONFIG_MAPS, placed(config_map("a"), finalizers=["x/y"]))
    held = store.delete(CONFIG_MAPS, "staging", "a")
    assert held["metadata"]["deletionTimestamp"]
    assert store.get(CONFIG_MAPS, "staging", "a") == held
    held["metadata"]["finalizers"] = []
    store.update(CONFIG_MAPS, held)
    assert store.get(CONFIG_MAPS, "staging", "a") is None


def test_a_running_pod_waits_for_its_kubelet(store: Store) -> None:
    store.has_kubelet = True
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "node-1"}}
    store.create(PODS, placed(pod))
    marked = store.delete(PODS, "staging", "p", grace_seconds=5)
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 5
    assert store.get(PODS, "staging", "p") == marked
    store.delete(PODS, "staging", "p", grace_seconds=0)
    assert store.get(PODS, "staging", "p") is None


def test_what_is_not_there_cannot_be_changed_or_deleted(store: Store) -> None:
    with pytest.raises(NotFoundError, match='configmaps "a" not found'):
        store.update(CONFIG_MAPS, placed(config_map("a")))
    with pytest.raises(NotFoundError):
        store.delete(CONFIG_MAPS, "staging", "a")


def test_an_object_without_a_namespace_is_in_none(store: Store) -> None:
    node = store.create(NODES, {"metadata": {"name": "n", "namespace": "staging"}})
    assert "namespace" not in node["metadata"]
    assert store.get(NODES, None, "n") == node


def test_every_subscriber_is_told_in_order_also_when_one_of_them_makes_changes(
    store: Store,
) -> None:
    told: list[tuple[str, str]] = []

    def react(event: WatchEvent) -> None:
        if event.type == "ADDED" and event.resource is CONFIG_MAPS:
            store.update(CONFIG_MAPS, {**event.object, "data": {"seen": "1"}})

    store.subscribe(react)
    store.subscribe(lambda event: told.append((event.type, event.object.get("data", "none"))))
    made(store)
    assert told == [("ADDED", "none"), ("MODIFIED", {"seen": "1"})]


def test_who_unsubscribes_is_told_no_more(store: Store) -> None:
    told: list[WatchEvent] = []
    store.subscribe(told.append)()
    made(store)
    assert told == []


async def test_a_watch_starts_where_it_says_and_goes_on(store: Store) -> None:
    made(store, "a")
    since = store.version
    made(store, "b")
    watch = store.watch([CONFIG_MAPS], since=since)
    made(store, "c")
    store.create(NODES, {"metadata": {"name": "n"}})
    store.delete(CONFIG_MAPS, "staging", "b")
    seen = [await anext(watch) for _ in range(3)]
    assert [(event.type, event.object["metadata"]["name"]) for event in seen] == [
        ("ADDED", "b"),
        ("ADDED", "c"),
        ("DELETED", "b"),
    ]


async def test_a_watch_waits_for_what_is_to_come(store: Store) -> None:
    watch = store.watch([CONFIG_MAPS], since=None)
    asyncio.get_running_loop().call_later(0.01, made, store)
    event = await asyncio.wait_for(anext(watch), 5)
    assert event.object["metadata"]["name"] == "a"


async def test_a_watch_that_gave_up_waiting_has_missed_nothing(store: Store) -> None:
    watch = store.watch([CONFIG_MAPS], since=None)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 0.01)
    made(store)
    assert (await anext(watch)).type == "ADDED"


async def test_what_is_forgotten_is_gone_at_once_and_while_reading() -> None:
    store = Store(clock, remembered=5)
    made(store, "first")
    since = store.version
    reader = store.watch([CONFIG_MAPS], since=since)
    for number in range(12):
        made(store, f"n{number}")
    with pytest.raises(GoneError, match="too old resource version: 1"):
        store.watch([CONFIG_MAPS], since=since)
    with pytest.raises(GoneError):
        await anext(reader)


async def test_a_closed_store_ends_its_watches(store: Store) -> None:
    watch = store.watch([CONFIG_MAPS], since=None)
    asyncio.get_running_loop().call_later(0.01, store.close)
    assert [event async for event in watch] == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "delete"]))))
async def test_who_lists_and_then_watches_knows_what_is_there(
    steps: list[tuple[str, str]],
) -> None:
    store = Store(clock)
    made(store, "a")
    items, since = store.list(CONFIG_MAPS)
    known = {item["metadata"]["name"]: item for item in items}
    for number, (name, step) in enumerate(steps):
        found = store.get(CONFIG_MAPS, "staging", name)
        if step == "delete" and found is not None:
            store.delete(CONFIG_MAPS, "staging", name)
        elif found is not None:
            store.update(CONFIG_MAPS, {**found, "data": {"n": str(number)}})
        elif step == "put":
            made(store, name)
    store.close()
    async for event in store.watch([CONFIG_MAPS], since=since):
        name = event.object["metadata"]["name"]
        known.pop(name, None)
        if event.type != "DELETED":
            known[name] = event.object
    assert sorted(known.items()) == [
        (item["metadata"]["name"], item) for item in store.list(CONFIG_MAPS)[0]
    ]
