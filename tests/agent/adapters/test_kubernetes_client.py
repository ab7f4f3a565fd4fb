"""The client, against the embedded cluster or whichever KUBECONFIG names."""

import asyncio
from typing import Any

import pytest

from tidegate_agent.adapters.kubernetes import KubernetesClient
from tidegate_agent.core.access import Impersonation, Review
from tidegate_agent.core.kinds import CONFIG_MAP, DEPLOYMENT, Kind
from tidegate_agent.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from tidegate_agent.ports import PatchType, Watched

WHO_AM_I = Kind(
    group="authentication.k8s.io",
    version="v1",
    plural="selfsubjectreviews",
    kind="SelfSubjectReview",
    namespaced=False,
)
NOBODY = Impersonation(user="tidegate", groups=("tidegate:nobody",))


def _config_map(name: str, value: str = "1") -> dict[str, Any]:
    metadata = {"name": name, "labels": {"value": value}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"value": value},
    }


def _deployment() -> dict[str, Any]:
    labels = {"app": "web"}
    containers = [
        {"name": "web", "image": "registry.example.com/web:1"},
        {"name": "side", "image": "registry.example.com/side:1"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


async def test_what_is_created_is_read_back(client: KubernetesClient, namespace: str) -> None:
    await client.create(CONFIG_MAP, namespace, _config_map("one", "7"))
    found = await client.get(CONFIG_MAP, namespace, "one")
    assert found["data"] == {"value": "7"}


async def test_a_name_is_taken_once(client: KubernetesClient, namespace: str) -> None:
    await client.create(CONFIG_MAP, namespace, _config_map("one"))
    with pytest.raises(AlreadyExistsError, match="already exists"):
        await client.create(CONFIG_MAP, namespace, _config_map("one"))


async def test_what_is_not_there_is_not_found(client: KubernetesClient, namespace: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.get(CONFIG_MAP, namespace, "none")
    assert (caught.value.code, caught.value.reason) == (404, "NotFound")


async def test_a_list_is_whole_however_many_pages_it_takes(
    client: KubernetesClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_agent.adapters.kubernetes.client.PAGE_SIZE", 2)
    for name in "abcde":
        await client.create(CONFIG_MAP, namespace, _config_map(name, name))
    listed = await client.list(CONFIG_MAP, namespace)
    assert {each["metadata"]["name"] for each in listed.items} >= set("abcde")
    assert listed.resource_version.isdecimal()


async def test_a_list_holds_what_its_selectors_choose(
    client: KubernetesClient, namespace: str
) -> None:
    for name in "abc":
        await client.create(CONFIG_MAP, namespace, _config_map(name, name))
    by_label = await client.list(CONFIG_MAP, namespace, labels="value in (a,b)")
    by_field = await client.list(CONFIG_MAP, namespace, fields="metadata.name=c")
    assert sorted(each["metadata"]["name"] for each in by_label.items) == ["a", "b"]
    assert [each["metadata"]["name"] for each in by_field.items] == ["c"]


async def test_an_update_of_an_older_version_conflicts(
    client: KubernetesClient, namespace: str
) -> None:
    first = await client.create(CONFIG_MAP, namespace, _config_map("one"))
    await client.update(CONFIG_MAP, namespace, {**first, "data": {"value": "2"}})
    with pytest.raises(ConflictError):
        await client.update(CONFIG_MAP, namespace, {**first, "data": {"value": "3"}})
    assert (await client.get(CONFIG_MAP, namespace, "one"))["data"] == {"value": "2"}


async def test_a_delete_of_an_older_version_conflicts(
    client: KubernetesClient, namespace: str
) -> None:
    first = await client.create(CONFIG_MAP, namespace, _config_map("one"))
    second = await client.update(CONFIG_MAP, namespace, {**first, "data": {"value": "2"}})
    old, new = (each["metadata"]["resourceVersion"] for each in (first, second))
    with pytest.raises(ConflictError):
        await client.delete(CONFIG_MAP, namespace, "one", resource_version=old)
    await client.delete(CONFIG_MAP, namespace, "one", resource_version=new)
    with pytest.raises(NotFoundError):
        await client.get(CONFIG_MAP, namespace, "one")


async def test_a_strategic_patch_changes_one_container_by_its_name(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    image = {"name": "web", "image": "registry.example.com/web:2"}
    patch = {"spec": {"template": {"spec": {"containers": [image]}}}}
    done = await client.patch(DEPLOYMENT, namespace, "web", patch, type=PatchType.STRATEGIC)
    containers = done["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each["image"].split(":")[1] for each in containers} == {
        "web": "2",
        "side": "1",
    }


async def test_a_dry_run_answers_what_would_be_and_changes_nothing(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    would = await client.patch(
        DEPLOYMENT, namespace, "web", {"spec": {"paused": True}}, type=PatchType.MERGE, dry_run=True
    )
    assert would["spec"]["paused"] is True
    assert "paused" not in (await client.get(DEPLOYMENT, namespace, "web"))["spec"]


async def test_a_json_patch_whose_test_fails_is_invalid_and_changes_nothing(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    steps: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "replace", "path": "/spec/replicas", "value": 5},
    ]
    with pytest.raises(InvalidError):
        await client.patch(DEPLOYMENT, namespace, "web", steps, type=PatchType.JSON)
    assert (await client.get(DEPLOYMENT, namespace, "web"))["spec"]["replicas"] == 0


async def test_what_is_invalid_is_told_field_by_field(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    patch = {"spec": {"replicas": -1}}
    with pytest.raises(InvalidError) as caught:
        await client.patch(DEPLOYMENT, namespace, "web", patch, type=PatchType.MERGE)
    assert [cause.field for cause in caught.value.causes] == ["spec.replicas"]


async def test_a_scale_is_read_and_patched_as_a_subresource(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    await client.patch(
        DEPLOYMENT,
        namespace,
        "web",
        {"spec": {"replicas": 2}},
        type=PatchType.MERGE,
        subresource="scale",
    )
    scale = await client.get(DEPLOYMENT, namespace, "web", subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 2)


async def test_a_missing_right_names_who_what_and_where(
    client: KubernetesClient, namespace: str
) -> None:
    await client.create(DEPLOYMENT, namespace, _deployment())
    with pytest.raises(ForbiddenError) as caught:
        await client.patch(
            DEPLOYMENT,
            namespace,
            "web",
            {"spec": {"replicas": 2}},
            type=PatchType.MERGE,
            subresource="scale",
            as_=NOBODY,
        )
    said = caught.value
    assert (said.user, said.verb, said.resource, said.namespace) == (
        "tidegate",
        "patch",
        "deployments.apps/scale",
        namespace,
    )


async def test_whoever_is_acted_as_reaches_the_cluster_whole(client: KubernetesClient) -> None:
    who = Impersonation(
        user="tidegate",
        groups=("tidegate:deployers", "tidegate:viewers"),
        extra={"tidegate.dev/person": ("slack:T0:U0ADA",), "tidegate.dev/run": ("r-1",)},
    )
    review = {"apiVersion": WHO_AM_I.api_version, "kind": WHO_AM_I.kind}
    try:
        told = await client.create(WHO_AM_I, None, review, as_=who)
    except NotFoundError:
        pytest.skip("this API server knows no SelfSubjectReview")
    user = told["status"]["userInfo"]
    assert user["username"] == "tidegate"
    assert set(user["groups"]) == {"tidegate:deployers", "tidegate:viewers", "system:authenticated"}
    assert user["extra"] == {key: list(values) for key, values in who.extra.items()}


async def test_a_change_carries_the_manager_of_its_fields(
    client: KubernetesClient, namespace: str
) -> None:
    made = await client.create(CONFIG_MAP, namespace, _config_map("one"))
    managers = {each["manager"] for each in made["metadata"].get("managedFields", [])}
    if not managers:
        pytest.skip("this API server keeps no managedFields")
    assert managers == {"tidegate"}


async def test_a_review_tells_who_may_do_what(client: KubernetesClient, namespace: str) -> None:
    async def may(*groups: str) -> bool:
        return await client.allowed(
            Review(
                user="tidegate",
                groups=groups,
                extra={},
                verb="patch",
                group="apps",
                resource="deployments",
                subresource="scale",
                namespace=namespace,
                name="web",
            )
        )

    assert await may("system:masters")
    assert not await may("tidegate:nobody")


async def test_a_made_up_token_is_worth_nothing(client: KubernetesClient) -> None:
    reviewed = await client.token_review("made-up", ["tidegate-agent"])
    assert not reviewed.authenticated
    assert reviewed.username == ""


async def test_a_watch_tells_what_happens_after_a_version(
    client: KubernetesClient, namespace: str
) -> None:
    made = await client.create(CONFIG_MAP, namespace, _config_map("one"))
    seen: list[Watched] = []

    async def look() -> None:
        watch = client.watch(
            CONFIG_MAP,
            namespace,
            fields="metadata.name=one",
            resource_version=made["metadata"]["resourceVersion"],
        )
        async for event in watch:
            if event.type != "BOOKMARK":
                seen.append(event)
            if event.type == "DELETED":
                return

    looking = asyncio.create_task(look())
    await client.create(CONFIG_MAP, namespace, _config_map("two"))
    await client.update(CONFIG_MAP, namespace, {**made, "data": {"value": "2"}})
    await client.delete(CONFIG_MAP, namespace, "one")
    await asyncio.wait_for(looking, 10)
    assert [event.type for event in seen] == ["MODIFIED", "DELETED"]
    assert seen[0].object["data"] == {"value": "2"}


async def test_the_server_answers(client: KubernetesClient) -> None:
    await client.ready()
