"""`kubectl` itself against the API, without controllers: what is written is what is there."""

import asyncio
import json
from typing import Any

import pytest

from tests.dev.kubernetes.api_client import deployment
from tests.dev.kubernetes.kubectl import Kubectl
from tidegate_dev.kubernetes import KubernetesFarEnd
from tidegate_dev.kubernetes.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)

# A list: of a single object, kubectl drops what changes before its watch is there.
WEB = ("-l", "app.kubernetes.io/name=web")


def kept(cluster: KubernetesFarEnd, resource: Resource, name: str) -> dict[str, Any]:
    found = cluster.store.get(resource, "staging", name)
    assert found is not None
    return found


def container(cluster: KubernetesFarEnd, name: str) -> dict[str, Any]:
    spec = kept(cluster, DEPLOYMENTS, name)["spec"]["template"]["spec"]
    assert len(spec["containers"]) == 1
    return dict(spec["containers"][0])


def add_pod(cluster: KubernetesFarEnd, name: str, *containers: str, **labels: str) -> None:
    cluster.store.create(
        PODS,
        {
            "metadata": {"name": name, "namespace": "staging", "labels": labels},
            "spec": {"containers": [{"name": each, "image": "x/y:1"} for each in containers]},
            "status": {
                "phase": "Running",
                "containerStatuses": [
                    {
                        "name": each,
                        "ready": True,
                        "restartCount": 0,
                        "image": "x/y:1",
                        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                    }
                    for each in containers
                ],
            },
        },
    )


# --- reading -----------------------------------------------------------------------


async def test_get_prints_the_columns_that_a_real_server_sends(kubectl: Kubectl) -> None:
    ran = await kubectl.run("get", "deployments")
    assert ran.rows[0] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert [row[:4] for row in ran.rows[1:]] == [
        ["api", "0/3", "0", "0"],
        ["web", "0/3", "0", "0"],
        ["worker", "0/2", "0", "0"],
    ]


async def test_get_wide_prints_containers_images_and_the_selector(kubectl: Kubectl) -> None:
    ran = await kubectl.run("get", "deploy", "web", "-o", "wide")
    assert ran.rows[0][5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert ran.rows[1][5:] == [
        "web",
        "registry.example.com/web:2.4.0",
        "app.kubernetes.io/name=web",
    ]


async def test_get_as_json_prints_the_object_as_it_is_kept(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    printed = json.loads(await kubectl("get", "deploy", "web", "-o", "json"))
    assert printed == kept(cluster, DEPLOYMENTS, "web")


async def test_get_selects_by_labels_with_equality_and_with_sets(kubectl: Kubectl) -> None:
    equal = await kubectl("get", "deploy", "-l", "app.kubernetes.io/name=web", "-o", "name")
    one_of = await kubectl("get", "deploy", "-l", "app.kubernetes.io/name in (web, api)", "-o=name")
    none_of = await kubectl("get", "deploy", "-l", "app.kubernetes.io/name notin (web)", "-o=name")
    assert equal.split() == ["deployment.apps/web"]
    assert one_of.split() == ["deployment.apps/api", "deployment.apps/web"]
    assert none_of.split() == ["deployment.apps/api", "deployment.apps/worker"]


async def test_get_over_all_namespaces_says_which(kubectl: Kubectl) -> None:
    ran = await kubectl.run("get", "deploy", "-A", "--field-selector", "metadata.name=web")
    assert [row[:2] for row in ran.rows[1:]] == [["production", "web"], ["staging", "web"]]


async def test_get_watch_prints_each_change_as_it_happens(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    process = await kubectl.start("get", "deploy", *WEB, "--watch", "-o", "name")
    assert process.stdout is not None
    try:
        first = await asyncio.wait_for(process.stdout.readline(), 30)
        await kubectl("scale", "deploy/web", "--replicas=1")
        second = await asyncio.wait_for(process.stdout.readline(), 30)
    finally:
        process.kill()
        await process.wait()
    assert first == second == b"deployment.apps/web\n"


async def test_get_watch_prints_a_table_with_the_new_numbers(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    process = await kubectl.start("get", "deploy", *WEB, "--watch")
    assert process.stdout is not None
    try:
        lines = [await asyncio.wait_for(process.stdout.readline(), 30) for _ in range(2)]
        web = kept(cluster, DEPLOYMENTS, "web")
        web["status"] = {"replicas": 3, "readyReplicas": 2}
        cluster.store.update(DEPLOYMENTS, web, subresource="status")
        lines.append(await asyncio.wait_for(process.stdout.readline(), 30))
    finally:
        process.kill()
        await process.wait()
    assert [line.split()[1] for line in lines] == [b"READY", b"0/3", b"2/3"]


async def test_describe_tells_of_the_strategy_and_the_image(kubectl: Kubectl) -> None:
    described = await kubectl("describe", "deploy", "web")
    assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge" in described
    assert "Image:      registry.example.com/web:2.4.0" in described
    assert "Replicas:               3 desired" in described


async def test_describe_works_for_every_kind_that_is_seeded(kubectl: Kubectl) -> None:
    for kind in ("sts/orders-db", "svc/web", "sa/default", "ns/staging", "clusterrole/view"):
        described = await kubectl("describe", kind)
        assert f"Name:{' ' * 2}" in described
        assert kind.partition("/")[2] in described


async def test_get_all_finds_the_workloads(kubectl: Kubectl) -> None:
    names = (await kubectl("get", "all", "-o", "name")).split()
    assert {"service/web", "deployment.apps/web", "statefulset.apps/orders-db"} <= set(names)


async def test_api_resources_lists_every_kind_with_its_short_name(kubectl: Kubectl) -> None:
    ran = await kubectl.run("api-resources")
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in ran.rows
    assert ["nodes", "no", "v1", "false", "Node"] in ran.rows
    assert ["horizontalpodautoscalers", "hpa", "autoscaling/v2", "true"] in [
        row[:4] for row in ran.rows
    ]


# --- changing ----------------------------------------------------------------------


async def test_scale_sets_the_number_and_counts_the_generation(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("scale", "deploy/web", "--replicas=5", "--current-replicas=3")
    web = kept(cluster, DEPLOYMENTS, "web")
    assert (web["spec"]["replicas"], web["metadata"]["generation"]) == (5, 2)


async def test_scale_does_nothing_if_the_number_is_not_what_was_expected(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    ran = await kubectl.run("scale", "deploy/web", "--replicas=5", "--current-replicas=4")
    assert ran.code == 1
    assert kept(cluster, DEPLOYMENTS, "web")["spec"]["replicas"] == 3


async def test_set_image_changes_the_one_container(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    before = container(cluster, "web")
    await kubectl("set", "image", "deploy/web", "web=registry.example.com/web:2.4.1")
    assert container(cluster, "web") == {**before, "image": "registry.example.com/web:2.4.1"}


async def test_rollout_restart_stamps_the_template(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("rollout", "restart", "deploy/web")
    template = kept(cluster, DEPLOYMENTS, "web")["spec"]["template"]
    assert list(template["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]


async def test_rollout_pauses_and_resumes(kubectl: Kubectl, cluster: KubernetesFarEnd) -> None:
    await kubectl("rollout", "pause", "deploy/web")
    assert kept(cluster, DEPLOYMENTS, "web")["spec"]["paused"] is True
    refused = await kubectl.run("rollout", "restart", "deploy/web")
    assert "can't restart paused deployment" in refused.error
    await kubectl("rollout", "resume", "deploy/web")
    assert not kept(cluster, DEPLOYMENTS, "web")["spec"].get("paused")


async def test_patch_takes_all_three_types(kubectl: Kubectl, cluster: KubernetesFarEnd) -> None:
    variable = {"name": "LEVEL", "value": "debug"}
    containers = [{"name": "web", "env": [variable]}]
    strategic = {"spec": {"template": {"spec": {"containers": containers}}}}
    await kubectl("patch", "deploy", "web", "-p", json.dumps(strategic))
    merge = {"metadata": {"labels": {"tier": "front"}}}
    await kubectl("patch", "deploy", "web", "--type=merge", "-p", json.dumps(merge))
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 3},
        {"op": "replace", "path": "/spec/replicas", "value": 4},
    ]
    await kubectl("patch", "deploy", "web", "--type=json", "-p", json.dumps(operations))
    web = kept(cluster, DEPLOYMENTS, "web")
    assert container(cluster, "web")["env"] == [variable]
    assert container(cluster, "web")["image"] == "registry.example.com/web:2.4.0"
    assert web["metadata"]["labels"]["tier"] == "front"
    assert web["spec"]["replicas"] == 4


async def test_a_json_patch_whose_test_fails_changes_nothing(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    before = kept(cluster, DEPLOYMENTS, "web")
    operations = [
        {"op": "replace", "path": "/spec/replicas", "value": 4},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
    ]
    ran = await kubectl.run("patch", "deploy", "web", "--type=json", "-p", json.dumps(operations))
    assert "The request is invalid" in ran.error
    assert kept(cluster, DEPLOYMENTS, "web") == before


async def test_label_and_annotate_add_and_remove(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("label", "deploy", "web", "tier=front")
    await kubectl("annotate", "deploy", "web", "example.com/note=hello there")
    metadata = kept(cluster, DEPLOYMENTS, "web")["metadata"]
    assert metadata["labels"]["tier"] == "front"
    assert metadata["annotations"]["example.com/note"] == "hello there"
    await kubectl("label", "deploy", "web", "tier-")
    await kubectl("annotate", "deploy", "web", "example.com/note-")
    metadata = kept(cluster, DEPLOYMENTS, "web")["metadata"]
    assert "tier" not in metadata["labels"]
    assert "example.com/note" not in metadata["annotations"]


async def test_create_takes_a_file_and_fills_in_what_it_leaves_out(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("create", "-f", kubectl.file("demo.json", deployment("demo")))
    spec = kept(cluster, DEPLOYMENTS, "demo")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}
    assert container(cluster, "demo")["imagePullPolicy"] == "IfNotPresent"
    again = await kubectl.run("create", "-f", kubectl.file("demo.json", deployment("demo")))
    assert 'deployments.apps "demo" already exists' in again.error


async def test_create_makes_the_kinds_that_kubectl_writes_by_itself(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("create", "configmap", "settings", "--from-literal=level=debug")
    await kubectl("create", "secret", "generic", "keys", "--from-literal=key=s3cr3t")
    await kubectl("create", "serviceaccount", "bot")
    await kubectl("create", "quota", "few", "--hard=pods=7,requests.cpu=2")
    await kubectl(
        "create", "role", "reader", "--verb=get,list", "--resource=deployments.apps/scale,pods"
    )
    await kubectl("create", "rolebinding", "bot", "--role=reader", "--serviceaccount=staging:bot")
    await kubectl("create", "deployment", "hello", "--image=x/hello:1", "--replicas=2")
    assert kept(cluster, CONFIG_MAPS, "settings")["data"] == {"level": "debug"}
    assert kept(cluster, SECRETS, "keys")["data"] == {"key": "czNjcjN0"}
    assert kept(cluster, SERVICE_ACCOUNTS, "bot")["metadata"]["name"] == "bot"
    assert kept(cluster, RESOURCE_QUOTAS, "few")["spec"]["hard"] == {
        "pods": "7",
        "requests.cpu": "2",
    }
    assert kept(cluster, ROLES, "reader")["rules"] == [
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["get", "list"], "apiGroups": ["apps"], "resources": ["deployments/scale"]},
    ]
    binding = kept(cluster, ROLE_BINDINGS, "bot")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "bot", "namespace": "staging"}
    ]
    assert kept(cluster, DEPLOYMENTS, "hello")["spec"]["replicas"] == 2


async def test_autoscale_makes_an_autoscaler(kubectl: Kubectl, cluster: KubernetesFarEnd) -> None:
    if "v1.32" in await kubectl("version", "--client"):
        pytest.skip("this kubectl makes autoscaling/v1 only")
    await kubectl("autoscale", "deploy", "worker", "--min=1", "--max=4", "--cpu=70%")
    spec = kept(cluster, HORIZONTAL_POD_AUTOSCALERS, "worker")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 4)
    assert spec["scaleTargetRef"]["name"] == "worker"
    target = spec["metrics"][0]["resource"]["target"]
    assert target == {"type": "Utilization", "averageUtilization": 70}


async def test_apply_creates_changes_and_takes_away(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    wanted = deployment("demo")
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
    ]
    assert "created" in await kubectl("apply", "-f", kubectl.file("demo.json", wanted))
    assert "unchanged" in await kubectl("apply", "-f", kubectl.file("demo.json", wanted))
    await kubectl("set", "env", "deploy/demo", "C=3")
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "B", "value": "4"}]
    assert "configured" in await kubectl("apply", "-f", kubectl.file("demo.json", wanted))
    env = {each["name"]: each["value"] for each in container(cluster, "demo")["env"]}
    assert env == {"B": "4", "C": "3"}


async def test_apply_with_a_slip_of_the_pen_is_refused(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    wanted = deployment("demo")
    wanted["spec"]["template"]["spec"]["containers"][0]["imagePulPolicy"] = "Always"
    ran = await kubectl.run("apply", "-f", kubectl.file("demo.json", wanted))
    assert 'unknown field "spec.template.spec.containers[0].imagePulPolicy"' in ran.error
    assert cluster.store.get(DEPLOYMENTS, "staging", "demo") is None


async def test_diff_shows_what_apply_would_change_and_changes_nothing(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("apply", "-f", kubectl.file("demo.json", deployment("demo")))
    before = kept(cluster, DEPLOYMENTS, "demo")
    changed = kubectl.file("demo.json", deployment("demo", image="x/demo:2"))
    ran = await kubectl.run("diff", "-f", changed)
    assert ran.code == 1
    assert "+      - image: x/demo:2" in ran.out
    assert kept(cluster, DEPLOYMENTS, "demo") == before


async def test_server_side_apply_says_that_it_is_not_there(kubectl: Kubectl) -> None:
    file = kubectl.file("demo.json", deployment("demo"))
    ran = await kubectl.run("apply", "--server-side", "-f", file)
    assert "no server-side apply" in ran.error


async def test_a_server_dry_run_changes_nothing(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    before = cluster.store.version
    await kubectl("set", "image", "deploy/web", "web=x/web:9", "--dry-run=server")
    await kubectl("create", "configmap", "settings", "--dry-run=server")
    await kubectl("delete", "deploy", "api", "--dry-run=server")
    assert cluster.store.version == before


async def test_delete_waits_until_it_is_gone(kubectl: Kubectl, cluster: KubernetesFarEnd) -> None:
    printed = await kubectl("delete", "deploy", "web")
    assert 'deployment.apps "web" deleted' in printed
    assert cluster.store.get(DEPLOYMENTS, "staging", "web") is None
    ran = await kubectl.run("get", "deploy", "web")
    assert ran.error == 'Error from server (NotFound): deployments.apps "web" not found\n'


async def test_a_deleted_namespace_takes_everything_with_it(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("delete", "namespace", "staging")
    assert cluster.store.list(DEPLOYMENTS, "staging")[0] == []
    ran = await kubectl.run("create", "configmap", "late")
    assert 'namespaces "staging" not found' in ran.error


async def test_edit_changes_what_the_editor_changed(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    editor = kubectl.script("editor", "sed -i 's/replicas: 3/replicas: 6/' \"$1\"")
    await kubectl("edit", "deploy", "web", editor=editor)
    assert kept(cluster, DEPLOYMENTS, "web")["spec"]["replicas"] == 6


async def test_delete_by_label_takes_those_and_no_others(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    await kubectl("delete", "deploy", "-l", "app.kubernetes.io/name!=web")
    assert (await kubectl("get", "deploy", "-o", "name")).split() == ["deployment.apps/web"]


async def test_replace_with_an_old_version_is_a_conflict(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    old = kubectl.file("web.json", kept(cluster, DEPLOYMENTS, "web"))
    await kubectl("label", "deploy", "web", "tier=front")
    ran = await kubectl.run("replace", "-f", old)
    assert "the object has been modified; please apply your changes" in ran.error


# --- logs --------------------------------------------------------------------------


async def test_logs_prints_the_last_lines_of_the_only_container(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    add_pod(cluster, "web-1", "web")
    for number in range(5):
        cluster.logs.append("staging", "web-1", "web", f"line {number}")
    assert await kubectl("logs", "web-1") == "".join(f"line {number}\n" for number in range(5))
    assert await kubectl("logs", "web-1", "--tail=2") == "line 3\nline 4\n"


async def test_logs_of_a_workload_finds_its_pods(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    add_pod(cluster, "web-1", "web", **{"app.kubernetes.io/name": "web"})
    cluster.logs.append("staging", "web-1", "web", "hello")
    assert await kubectl("logs", "deploy/web") == "hello\n"


async def test_logs_follows_until_the_pod_is_gone(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    add_pod(cluster, "web-1", "web")
    cluster.logs.append("staging", "web-1", "web", "before")
    process = await kubectl.start("logs", "--follow", "web-1")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"before\n"
    cluster.logs.append("staging", "web-1", "web", "after")
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"after\n"
    cluster.store.delete(PODS, "staging", "web-1")
    cluster.logs.forget("staging", "web-1")
    out, error = await asyncio.wait_for(process.communicate(), 30)
    assert (out, error, process.returncode) == (b"", b"", 0)


# --- access ------------------------------------------------------------------------


async def test_whoami_says_who_the_token_is(kubectl: Kubectl) -> None:
    printed = await kubectl("auth", "whoami", "-o", "json")
    assert json.loads(printed)["status"]["userInfo"]["username"] == "kubernetes-admin"


async def test_whoami_as_somebody_else_says_who_that_is(kubectl: Kubectl) -> None:
    arguments = ("--as=slack:T1:U1", "--as-group=tidegate:deployers", "-o", "json")
    printed = await kubectl("auth", "whoami", *arguments)
    assert json.loads(printed)["status"]["userInfo"] == {
        "username": "slack:T1:U1",
        "groups": ["tidegate:deployers", "system:authenticated"],
    }


async def test_can_i_answers_by_role_for_oneself_and_as_another(kubectl: Kubectl) -> None:
    await kubectl("create", "role", "scaler", "--verb=patch", "--resource=deployments/scale")
    await kubectl("create", "rolebinding", "scaler", "--role=scaler", "--group=deployers")
    may = ("auth", "can-i", "patch", "deploy")
    as_deployer = ("--as=ada", "--as-group=deployers")
    on_scale = ("--subresource=scale", *as_deployer)
    assert await kubectl(*may) == "yes\n"
    scale = await kubectl.run(*may, *on_scale)
    image = await kubectl.run(*may, *as_deployer)
    other = await kubectl.run(*may, *on_scale, "--namespace=production")
    assert (scale.out, scale.code) == ("yes\n", 0)
    assert (image.out, image.code) == ("no\n", 1)
    assert (other.out, other.code) == ("no\n", 1)


async def test_can_i_lists_what_the_roles_say(kubectl: Kubectl) -> None:
    await kubectl(
        "create", "role", "one", "--verb=get", "--resource=deployments", "--resource-name=web"
    )
    await kubectl("create", "rolebinding", "one", "--role=one", "--user=ada")
    ran = await kubectl.run("auth", "can-i", "--list", "--as=ada")
    assert ["deployments.apps", "[]", "[web]", "[get]"] in ran.rows


async def test_a_refusal_reads_as_kubernetes_words_it(kubectl: Kubectl) -> None:
    ran = await kubectl.run("scale", "deploy/web", "--replicas=9", "--as=ada")
    assert (
        'deployments.apps "web" is forbidden: User "ada" cannot get resource "deployments" '
        'in API group "apps" in the namespace "staging"\n'
    ) in ran.error


async def test_a_token_of_a_service_account_lets_kubectl_in(
    kubectl: Kubectl, cluster: KubernetesFarEnd
) -> None:
    token = (await kubectl("create", "token", "default", "--duration=10m")).strip()
    cluster.write_kubeconfig(kubectl.folder / "kubeconfig", token=token, namespace="staging")
    printed = await kubectl("auth", "whoami", "-o", "json")
    user = json.loads(printed)["status"]["userInfo"]
    assert user["username"] == "system:serviceaccount:staging:default"
    assert "system:serviceaccounts:staging" in user["groups"]
