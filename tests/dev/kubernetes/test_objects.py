"""Objects over HTTP: read, made, changed and deleted, with Kubernetes' own answers to mistakes."""

from typing import Any

import pytest

from tests.dev.kubernetes.api_client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    TABLE,
    ApiClient,
    config_map,
    deployment,
)
from tidegate_dev.kubernetes import AdmissionRequest, KubernetesFarEnd, resources
from tidegate_dev.kubernetes.errors import StatusError

PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
WEB = f"{DEPLOYMENTS}/web"


def web(cluster: KubernetesFarEnd) -> dict[str, Any]:
    found = cluster.store.get(resources.DEPLOYMENTS, "staging", "web")
    assert found is not None
    return found


def causes(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(cause["field"], cause["reason"]) for cause in body["details"]["causes"]]


# --- lists ---------------------------------------------------------------------------


async def test_a_list_says_what_it_is_once_and_its_items_do_not(api: ApiClient) -> None:
    body = (await api.get(DEPLOYMENTS)).body
    assert (body["kind"], body["apiVersion"]) == ("DeploymentList", "apps/v1")
    assert all("kind" not in item and "apiVersion" not in item for item in body["items"])


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("app.kubernetes.io/name=web", ["web"]),
        ("app.kubernetes.io/name==web", ["web"]),
        ("app.kubernetes.io/name!=web", ["api", "worker"]),
        ("app.kubernetes.io/name in (web,worker)", ["web", "worker"]),
        ("app.kubernetes.io/name notin (web),app.kubernetes.io/part-of=shop", ["api", "worker"]),
        ("app.kubernetes.io/part-of", ["api", "web", "worker"]),
        ("!app.kubernetes.io/part-of", []),
        ("missing!=x", ["api", "web", "worker"]),
        ("missing notin (x)", ["api", "web", "worker"]),
        ("missing=", []),
        ("", ["api", "web", "worker"]),
    ],
)
async def test_labels_select(api: ApiClient, selector: str, names: list[str]) -> None:
    assert (await api.get(DEPLOYMENTS, labelSelector=selector)).names == names


@pytest.mark.parametrize("selector", ["a in", "=x", "a=b=c", "a in (b", "a b", ","])
async def test_a_selector_that_is_none_is_a_bad_request(api: ApiClient, selector: str) -> None:
    answer = await api.get(DEPLOYMENTS, labelSelector=selector)
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


async def test_fields_select_events_by_what_they_are_about(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    for name, kind in (("one", "Pod"), ("two", "Deployment")):
        cluster.store.create(
            resources.EVENTS,
            {
                "metadata": {"name": name, "namespace": "staging"},
                "involvedObject": {"kind": kind, "name": "web", "namespace": "staging"},
                "reason": "Testing",
            },
        )
    path = "/api/v1/namespaces/staging/events"
    selector = "involvedObject.name=web,involvedObject.kind!=Pod"
    assert (await api.get(path, fieldSelector=selector)).names == ["two"]


async def test_fields_select_pods_by_phase_and_node(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    for name, phase, node in (("a", "Running", "n1"), ("b", "Pending", ""), ("c", "Running", "n2")):
        cluster.store.create(
            resources.PODS,
            {
                "metadata": {"name": name, "namespace": "staging"},
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": phase},
            },
        )
    assert (await api.get(PODS, fieldSelector="status.phase=Running")).names == ["a", "c"]
    assert (await api.get(PODS, fieldSelector="spec.nodeName=")).names == ["b"]
    unknown = await api.get(PODS, fieldSelector="spec.hostname=x")
    assert unknown.code == 400
    assert "field label not supported: spec.hostname" in unknown.message


async def test_a_list_in_pieces_is_the_whole_list(api: ApiClient) -> None:
    names, token = [], ""
    for _ in range(10):
        piece = await api.get(DEPLOYMENTS, limit="2", **({"continue": token} if token else {}))
        names += piece.names
        metadata = piece.body["metadata"]
        token = metadata.get("continue", "")
        if not token:
            break
        assert metadata["remainingItemCount"] == 3 - len(names)
    assert names == ["api", "web", "worker"]


async def test_a_list_begun_too_long_ago_is_expired(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    token = (await api.get(DEPLOYMENTS, limit="1")).body["metadata"]["continue"]
    await api("POST", CONFIG_MAPS, config_map("a"))
    cluster.store.forget()
    answer = await api.get(DEPLOYMENTS, limit="1", **{"continue": token})
    assert (answer.code, answer.body["reason"]) == (410, "Expired")
    strange = await api.get(DEPLOYMENTS, **{"continue": "???"})
    assert strange.code == 400


# --- forms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "kind"), [("Metadata", "PartialObjectMetadata"), ("Object", "Deployment")]
)
async def test_a_table_has_columns_cells_and_as_much_of_the_object_as_is_wanted(
    api: ApiClient, include: str, kind: str
) -> None:
    answer = await api("GET", WEB, headers={"Accept": TABLE}, includeObject=include)
    body = answer.body
    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [column["name"] for column in body["columnDefinitions"] if not column["priority"]] == [
        "Name",
        "Ready",
        "Up-to-date",
        "Available",
        "Age",
    ]
    assert body["rows"][0]["cells"][:4] == ["web", "0/3", 0, 0]
    assert body["rows"][0]["object"]["kind"] == kind


async def test_a_table_without_objects_has_cells_only(api: ApiClient) -> None:
    answer = await api("GET", DEPLOYMENTS, headers={"Accept": TABLE}, includeObject="None")
    assert [list(row) for row in answer.body["rows"]] == [["cells"]] * 3


async def test_every_kind_has_a_table(api: ApiClient) -> None:
    for resource in resources.RESOURCES:
        group = f"/apis/{resource.group}" if resource.group else "/api"
        path = f"{group}/{resource.version}/{resource.plural}"
        body = (await api("GET", path, headers={"Accept": TABLE})).body
        assert body["kind"] == "Table"
        widths = {len(row["cells"]) for row in body["rows"]}
        assert widths <= {len(body["columnDefinitions"])}


async def test_metadata_alone_can_be_listed(api: ApiClient) -> None:
    body = (await api("GET", DEPLOYMENTS, headers={"Accept": PARTIAL})).body
    assert body["kind"] == "PartialObjectMetadataList"
    assert {tuple(sorted(item)) for item in body["items"]} == {("apiVersion", "kind", "metadata")}


async def test_a_form_that_there_is_not_is_not_acceptable(api: ApiClient) -> None:
    answer = await api("GET", WEB, headers={"Accept": "application/cbor"})
    assert (answer.code, answer.body["reason"]) == (406, "NotAcceptable")


# --- create --------------------------------------------------------------------------


async def test_what_is_created_is_answered_with_all_that_the_server_says(api: ApiClient) -> None:
    answer = await api("POST", DEPLOYMENTS, deployment("demo"))
    assert answer.code == 201
    assert answer.body["metadata"]["generation"] == 1
    assert answer.body["spec"]["progressDeadlineSeconds"] == 600
    assert answer.body["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert (await api.get(f"{DEPLOYMENTS}/demo")).body == answer.body


async def test_a_name_that_exists_is_a_conflict_of_its_own_kind(api: ApiClient) -> None:
    answer = await api("POST", DEPLOYMENTS, deployment("web"))
    assert answer.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 409,
    }


async def test_what_is_not_there_is_not_found(api: ApiClient) -> None:
    answer = await api.get(f"{DEPLOYMENTS}/nobody")
    assert (answer.code, answer.body["reason"]) == (404, "NotFound")
    assert answer.message == 'deployments.apps "nobody" not found'


async def test_a_namespace_has_to_be_there(api: ApiClient) -> None:
    path = CONFIG_MAPS.replace("staging", "nowhere")
    answer = await api("POST", path, config_map("a"))
    assert (answer.code, answer.message) == (404, 'namespaces "nowhere" not found')


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"image": ""}, "spec.template.spec.containers[0].image", "FieldValueRequired"),
        ({"image": " x"}, "spec.template.spec.containers[0].image", "FieldValueInvalid"),
        ({"name": "A_b"}, "spec.template.spec.containers[0].name", "FieldValueInvalid"),
        ({"name": ""}, "spec.template.spec.containers[0].name", "FieldValueRequired"),
        (
            {"imagePullPolicy": "Sometimes"},
            "spec.template.spec.containers[0].imagePullPolicy",
            "FieldValueNotSupported",
        ),
        (
            {"ports": [{"containerPort": 70000}]},
            "spec.template.spec.containers[0].ports[0].containerPort",
            "FieldValueInvalid",
        ),
    ],
)
async def test_a_container_that_cannot_be_is_invalid(
    api: ApiClient, change: dict[str, Any], field: str, reason: str
) -> None:
    wanted = deployment("demo")
    wanted["spec"]["template"]["spec"]["containers"][0].update(change)
    answer = await api("POST", DEPLOYMENTS, wanted)
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    assert causes(answer.body) == [(field, reason)]
    assert answer.message.startswith(f'Deployment.apps "demo" is invalid: {field}: ')


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"replicas": -1}, "spec.replicas"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "spec.template.metadata.labels"),
        ({"selector": {}}, "spec.selector"),
        ({"selector": None}, "spec.selector"),
        ({"strategy": {"type": "Sudden"}}, "spec.strategy.type"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "spec.strategy.rollingUpdate.maxUnavailable",
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "half"}}},
            "spec.strategy.rollingUpdate.maxSurge",
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            "spec.strategy.rollingUpdate",
        ),
    ],
)
async def test_a_deployment_that_cannot_be_is_invalid(
    api: ApiClient, change: dict[str, Any], field: str
) -> None:
    wanted = deployment("demo")
    wanted["spec"].update(change)
    answer = await api("POST", DEPLOYMENTS, wanted)
    assert answer.code == 422
    assert [each for each, _ in causes(answer.body)] == [field]


async def test_everything_that_is_wrong_is_said_at_once(api: ApiClient) -> None:
    wanted = deployment("demo", image="", replicas=-1)
    answer = await api("POST", DEPLOYMENTS, wanted)
    assert len(causes(answer.body)) == 2
    assert "is invalid: [spec.replicas: Invalid value: -1: must be" in answer.message


@pytest.mark.parametrize("name", ["Web", "a_b", "-a", "a-", "a..b", "x" * 254])
async def test_a_name_is_a_dns_name(api: ApiClient, name: str) -> None:
    answer = await api("POST", CONFIG_MAPS, config_map(name))
    assert causes(answer.body) == [("metadata.name", "FieldValueInvalid")]


@pytest.mark.parametrize(
    "labels", [{"a b": "c"}, {"a": "b c"}, {"A/b": "c"}, {"a": "x" * 64}, {"x" * 64: "a"}]
)
async def test_labels_have_a_form(api: ApiClient, labels: dict[str, str]) -> None:
    obj = config_map("a")
    obj["metadata"]["labels"] = labels
    answer = await api("POST", CONFIG_MAPS, obj)
    assert causes(answer.body) == [("metadata.labels", "FieldValueInvalid")]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": "text"},
        {"spec": {"replicas": "3"}},
        {"spec": {"replicas": True}},
        {"spec": {"template": []}},
        {"spec": {"selector": "app=web"}},
        {"metadata": []},
        {"metadata": {"name": "demo", "labels": {"a": 1}}},
    ],
)
async def test_another_type_than_a_field_has_is_a_bad_request(
    api: ApiClient, change: dict[str, Any]
) -> None:
    wanted = deployment("demo")
    for field, value in change.items():
        if isinstance(value, dict):
            wanted[field] = {**wanted[field], **value}
        else:
            wanted[field] = value
    answer = await api("POST", DEPLOYMENTS, wanted)
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"a: b", "text/plain", 415),
        (b"k8s\x00\xff", "application/vnd.kubernetes.protobuf", 400),
        (b"nothing", "application/vnd.kubernetes.protobuf", 400),
        (b"x" * (3 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
async def test_a_body_that_is_no_object_is_refused(
    api: ApiClient, body: bytes, content_type: str, code: int
) -> None:
    answer = await api("POST", CONFIG_MAPS, body, headers={"Content-Type": content_type})
    assert (answer.code, answer.body["kind"]) == (code, "Status")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Secret"},
        {"apiVersion": "v2"},
        {"metadata": {"name": "a", "namespace": "production"}},
    ],
)
async def test_an_object_goes_where_it_belongs(api: ApiClient, change: dict[str, Any]) -> None:
    answer = await api("POST", CONFIG_MAPS, {**config_map("a"), **change})
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


async def test_an_unknown_field_is_dropped_or_where_asked_refused(api: ApiClient) -> None:
    wanted = deployment("demo")
    wanted["spec"]["replicaz"] = 3
    strict = await api("POST", DEPLOYMENTS, wanted, fieldValidation="Strict")
    assert strict.code == 400
    assert 'strict decoding error: unknown field "spec.replicaz"' in strict.message
    loose = await api("POST", DEPLOYMENTS, wanted)
    assert (loose.code, "replicaz" in loose.body["spec"]) == (201, False)


async def test_a_status_is_not_created(api: ApiClient) -> None:
    wanted = {**deployment("demo"), "status": {"replicas": 9}}
    assert "status" not in (await api("POST", DEPLOYMENTS, wanted)).body


# --- update and patch ----------------------------------------------------------------


async def test_an_update_with_an_old_version_is_a_conflict(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    old = web(cluster)
    await api.patch(WEB, {"metadata": {"labels": {"a": "b"}}})
    answer = await api("PUT", WEB, old)
    assert (answer.code, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


async def test_a_patch_that_names_a_version_is_held_to_it(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    version = web(cluster)["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": 4}}
    assert (await api.patch(WEB, patch)).code == 200
    assert (await api.patch(WEB, patch)).code == 409
    assert web(cluster)["spec"]["replicas"] == 4


async def test_a_selector_is_immutable(api: ApiClient) -> None:
    labels = {"app": "other"}
    template = {"metadata": {"labels": labels}}
    patch = {"spec": {"selector": {"matchLabels": labels}, "template": template}}
    answer = await api.patch(WEB, patch)
    assert causes(answer.body) == [("spec.selector", "FieldValueInvalid")]
    assert answer.message.endswith(": field is immutable")


async def test_a_patch_is_validated_as_a_whole_object_is(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    before = web(cluster)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side"}]}}}}
    answer = await api.patch(WEB, patch, STRATEGIC)
    assert causes(answer.body) == [("spec.template.spec.containers[0].image", "FieldValueRequired")]
    assert web(cluster) == before


@pytest.mark.parametrize(
    ("patch", "kind", "code"),
    [
        ({"metadata": {"name": "other"}}, MERGE, 400),
        ({"metadata": None}, MERGE, 400),
        ({"kind": "Pod"}, MERGE, 400),
        ([], MERGE, 400),
        (b"{", STRATEGIC, 400),
        ({"spec": {"$patch": "grow"}}, STRATEGIC, 400),
        ({}, JSON_PATCH, 422),
        ([{"op": "test", "path": "/spec/replicas", "value": 9}], JSON_PATCH, 422),
        ([{"op": "remove", "path": "/metadata"}], JSON_PATCH, 400),
        ({}, "application/json", 415),
        ({}, "application/apply-patch+yaml", 415),
    ],
)
async def test_a_patch_that_cannot_be_is_refused_and_changes_nothing(
    cluster: KubernetesFarEnd, api: ApiClient, patch: Any, kind: str, code: int
) -> None:
    before = web(cluster)
    assert (await api.patch(WEB, patch, kind)).code == code
    assert web(cluster) == before


async def test_a_dry_run_answers_what_would_be(cluster: KubernetesFarEnd, api: ApiClient) -> None:
    before = cluster.store.version
    answer = await api.patch(WEB, {"spec": {"replicas": 9}}, dryRun="All")
    assert (answer.body["spec"]["replicas"], answer.body["metadata"]["generation"]) == (9, 2)
    assert (await api.patch(WEB, {"spec": {"replicas": -9}}, dryRun="All")).code == 422
    assert (await api.patch(WEB, {}, dryRun="Some")).code == 400
    assert cluster.store.version == before


async def test_only_the_status_is_changed_at_the_status(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    patch = {"status": {"replicas": 2}, "spec": {"replicas": 9}}
    await api.patch(WEB, patch)
    assert "status" not in web(cluster)
    await api.patch(f"{WEB}/status", {**patch, "spec": {"replicas": 7}})
    assert (web(cluster)["status"], web(cluster)["spec"]["replicas"]) == ({"replicas": 2}, 9)


async def test_an_admission_has_the_last_word_and_knows_who_asks(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    def refuse(request: AdmissionRequest) -> None:
        old = request.old_object
        if (
            request.user.name != "root"
            and old is not None
            and old["spec"] != request.object["spec"]
        ):
            raise StatusError(
                403, "Forbidden", f"{request.user.name} may not, {request.subresource}"
            )

    stop = cluster.admissions.add(refuse)
    as_root = {"Impersonate-User": "root", "Impersonate-Group": "system:masters"}
    assert (await api.patch(WEB, {"metadata": {"labels": {"a": "b"}}})).code == 200
    assert (await api.patch(WEB, {"spec": {"replicas": 4}})).message == "kubernetes-admin may not, "
    scaled = await api.patch(f"{WEB}/scale", {"spec": {"replicas": 4}})
    assert scaled.message == "kubernetes-admin may not, scale"
    assert web(cluster)["spec"]["replicas"] == 3
    patch = {"spec": {"replicas": 4}}
    headers = {**as_root, "Content-Type": MERGE}
    assert (await api("PATCH", WEB, patch, headers=headers)).code == 200
    stop()
    assert (await api.patch(WEB, {"spec": {"replicas": 5}})).code == 200


# --- scale ---------------------------------------------------------------------------


async def test_a_scale_is_read_set_and_patched(cluster: KubernetesFarEnd, api: ApiClient) -> None:
    scale = (await api.get(f"{WEB}/scale")).body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 0, "selector": "app.kubernetes.io/name=web"}
    scale["spec"]["replicas"] = 5
    assert (await api("PUT", f"{WEB}/scale", scale)).body["spec"] == {"replicas": 5}
    assert (await api("PUT", f"{WEB}/scale", scale)).code == 409
    await api.patch(f"{WEB}/scale", {"spec": {"replicas": 0}})
    assert web(cluster)["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("replicas", "code"), [(-1, 422), ("3", 400), (True, 400), (1.5, 400), (2**31, 400)]
)
async def test_a_number_that_is_none_cannot_be_scaled_to(
    cluster: KubernetesFarEnd, api: ApiClient, replicas: Any, code: int
) -> None:
    answer = await api.patch(f"{WEB}/scale", {"spec": {"replicas": replicas}})
    assert (answer.code, web(cluster)["spec"]["replicas"]) == (code, 3)


async def test_a_scale_knows_dry_run_too(cluster: KubernetesFarEnd, api: ApiClient) -> None:
    answer = await api.patch(f"{WEB}/scale", {"spec": {"replicas": 9}}, dryRun="All")
    assert (answer.body["spec"]["replicas"], web(cluster)["spec"]["replicas"]) == (9, 3)


# --- delete --------------------------------------------------------------------------


async def test_what_is_deleted_is_gone_and_said_to_be(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    uid = web(cluster)["metadata"]["uid"]
    body = (await api("DELETE", WEB)).body
    assert (body["kind"], body["status"]) == ("Status", "Success")
    assert body["details"] == {"name": "web", "group": "apps", "kind": "deployments", "uid": uid}
    assert (await api("DELETE", WEB)).code == 404


async def test_a_deletion_is_held_to_its_preconditions(api: ApiClient) -> None:
    wrong = {"preconditions": {"uid": "another"}}
    assert (await api("DELETE", WEB, wrong)).code == 409
    assert (await api.get(WEB)).code == 200
    assert (await api("DELETE", WEB, {"propagationPolicy": "Sideways"})).code == 400


async def test_a_collection_is_deleted_by_selector(api: ApiClient) -> None:
    await api("DELETE", DEPLOYMENTS, labelSelector="app.kubernetes.io/name!=web")
    assert (await api.get(DEPLOYMENTS)).names == ["web"]


# --- places --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/apis/apps/v1/gizmos", 404),
        ("GET", "/apis/apps/v9/deployments", 404),
        ("GET", f"{WEB}/gizmo", 404),
        ("GET", "/api/v1/namespaces/staging/nodes", 404),
        ("GET", "/apis/apps/v1/deployments/web", 404),
        ("POST", "/apis/apps/v1/deployments", 404),
        ("GET", "/nowhere", 404),
        ("POST", WEB, 405),
        ("PUT", DEPLOYMENTS, 405),
        ("POST", "/version", 405),
        ("DELETE", f"{WEB}/scale", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
    ],
)
async def test_there_is_nothing_where_there_is_nothing(
    api: ApiClient, method: str, path: str, code: int
) -> None:
    answer = await api(method, path, None if method == "GET" else {})
    assert (answer.code, answer.body["kind"]) == (code, "Status")


async def test_faults_slow_and_stop_the_api_and_make_conflicts(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    cluster.faults.down = True
    assert (await api.get(WEB)).code == 503
    cluster.faults.down = False
    cluster.faults.conflicts = 1
    codes = [(await api.patch(WEB, {"spec": {"replicas": 4}})).code for _ in range(2)]
    assert codes == [409, 200]


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/api",
        "/apis",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
    ],
)
async def test_discovery_answers_everybody_with_a_token(
    cluster: KubernetesFarEnd, api: ApiClient, path: str
) -> None:
    token = cluster.add_service_account_token("staging", "default")
    assert (await api.as_token(token).get(path)).code == 200


async def test_both_kinds_of_discovery_tell_the_same(api: ApiClient) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    answer = await api("GET", "/apis", headers={"Accept": accept})
    assert answer.headers["Content-Type"] == accept
    aggregated = {
        (group["metadata"]["name"], version["version"], resource["resource"]): resource["verbs"]
        for group in answer.body["items"]
        for version in group["versions"]
        for resource in version["resources"]
    }
    plain = {}
    for group in (await api.get("/apis")).body["groups"]:
        for version in group["versions"]:
            listed = (await api.get(f"/apis/{version['groupVersion']}")).body["resources"]
            for resource in listed:
                if "/" not in resource["name"]:
                    key = (group["name"], version["version"], resource["name"])
                    plain[key] = resource["verbs"]
    assert plain == aggregated
    assert ("apps", "v1", "deployments") in plain
