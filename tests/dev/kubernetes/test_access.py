"""Who somebody is: tokens, impersonation, reviews, and the audit of all that."""

from typing import Any

import pytest

from tests.dev.kubernetes.api_client import CONFIG_MAPS, DEPLOYMENTS, PODS, ApiClient, config_map
from tests.dev.kubernetes.api_client import api_client as client_of
from tidegate_dev.kubernetes import KubernetesFarEnd, User
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)

AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AGENT = {"kind": "ServiceAccount", "namespace": "tidegate", "name": "tidegate-agent"}


def rule(verbs: str, group: str, resources: str, **more: Any) -> dict[str, Any]:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        **more,
    }


def grant(
    cluster: KubernetesFarEnd,
    subject: dict[str, str],
    *rules: dict[str, Any],
    namespace: str = "",
    name: str = "granted",
) -> None:
    role, binding = (ROLES, ROLE_BINDINGS) if namespace else (CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
    add(cluster.store, role, name, namespace, rules=list(rules))
    reference = {"kind": role.kind, "name": name}
    add(cluster.store, binding, name, namespace, roleRef=reference, subjects=[subject])


@pytest.fixture
def agent(cluster: KubernetesFarEnd, api: ApiClient) -> ApiClient:
    return api.as_token(cluster.add_service_account_token("tidegate", "tidegate-agent"))


# --- tokens --------------------------------------------------------------------------


async def test_who_brings_no_token_is_anonymous_and_may_see_the_health_only(
    api: ApiClient,
) -> None:
    nobody = api.as_token(None)
    assert (await nobody.get("/readyz")).text == "ok"
    refused = await nobody.get(PODS)
    assert refused.code == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in refused.message


async def test_without_anonymous_access_no_token_is_unauthorized() -> None:
    async with (
        KubernetesFarEnd(controlled=False, allow_anonymous=False) as cluster,
        client_of(cluster) as api,
    ):
        refused = await api.as_token(None).get("/readyz")
        assert (refused.code, refused.message) == (401, "Unauthorized")
        assert (await api.get("/readyz")).code == 200


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Bearer", "Basic !!!", "Basic eDp5", "Digest x", "Bearer  "]
)
async def test_a_token_that_proves_nothing_is_unauthorized_not_anonymous(
    api: ApiClient, header: str
) -> None:
    refused = await api.as_token(None)("GET", "/readyz", headers={"Authorization": header})
    assert (refused.code, refused.body["reason"]) == (401, "Unauthorized")


async def test_a_token_for_somebody_else_or_of_yesterday_is_unauthorized(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    ada = User(name="ada")
    foreign = cluster.add_token(ada, audiences=["tidegate-agent"])
    stale = cluster.add_token(ada, expires=1.0)
    revoked = cluster.add_token(ada)
    cluster.tokens.revoke(revoked)
    codes = [(await api.as_token(each).get("/readyz")).code for each in (foreign, stale, revoked)]
    assert codes == [401, 401, 401]


async def test_a_token_review_tells_whose_it_is_for_the_audience_that_asks(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    extra = {"authentication.kubernetes.io/pod-name": ("gateway-1",)}
    token = cluster.add_service_account_token(
        "tidegate", "tidegate-gateway", audiences=["tidegate-agent", "other"], extra=extra
    )
    spec = {"token": token, "audiences": ["tidegate-agent", "third"]}
    answer = await api("POST", f"{AUTHENTICATION}/tokenreviews", {"spec": spec})
    status = answer.body["status"]
    assert answer.code == 201
    assert status["authenticated"] is True
    assert status["audiences"] == ["tidegate-agent"]
    assert status["user"]["username"] == "system:serviceaccount:tidegate:tidegate-gateway"
    assert status["user"]["extra"] == {"authentication.kubernetes.io/pod-name": ["gateway-1"]}


@pytest.mark.parametrize("audiences", [[], ["somebody-else"]])
async def test_a_token_review_for_another_audience_says_no(
    cluster: KubernetesFarEnd, api: ApiClient, audiences: list[str]
) -> None:
    token = cluster.add_token(User(name="ada"), audiences=["tidegate-agent"])
    spec = {"token": token, "audiences": audiences}
    answer = await api("POST", f"{AUTHENTICATION}/tokenreviews", {"spec": spec})
    assert "authenticated" not in answer.body["status"]
    assert "invalid bearer token" in answer.body["status"]["error"]


async def test_a_requested_token_is_good_for_its_audience_and_its_time(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    path = "/api/v1/namespaces/tidegate/serviceaccounts/tidegate-gateway/token"
    wanted = {"spec": {"audiences": ["tidegate-agent"], "expirationSeconds": 600}}
    token = (await api("POST", path, wanted)).body["status"]["token"]
    spec = {"token": token, "audiences": ["tidegate-agent"]}
    review = await api("POST", f"{AUTHENTICATION}/tokenreviews", {"spec": spec})
    assert review.body["status"]["authenticated"] is True
    assert (await api.as_token(token).get("/readyz")).code == 401
    short = await api("POST", path, {"spec": {"expirationSeconds": 60}})
    assert (short.code, short.body["reason"]) == (422, "Invalid")


# --- impersonation -------------------------------------------------------------------


async def test_nobody_acts_as_another_without_the_verb(agent: ApiClient) -> None:
    refused = await agent("GET", "/version", headers={"Impersonate-User": "ada"})
    assert refused.code == 403
    assert refused.message == (
        'users "ada" is forbidden: User "system:serviceaccount:tidegate:tidegate-agent" cannot '
        'impersonate resource "users" in API group "" at the cluster scope'
    )


@pytest.mark.parametrize(
    ("header", "resource"),
    [
        (("Impersonate-Group", "admins"), 'groups "admins"'),
        (("Impersonate-Uid", "7"), 'uids.authentication.k8s.io "7"'),
        (("Impersonate-Extra-Scopes", "all"), 'userextras.authentication.k8s.io "all"'),
        (("Impersonate-User", "eve"), 'users "eve"'),
    ],
)
async def test_each_part_of_the_identity_needs_the_verb(
    cluster: KubernetesFarEnd, agent: ApiClient, header: tuple[str, str], resource: str
) -> None:
    grant(cluster, AGENT, rule("impersonate", "", "users", resourceNames=["ada"]))
    headers = {"Impersonate-User": "ada"}
    assert (await agent("GET", "/version", headers=headers)).code == 200
    refused = await agent("GET", "/version", headers={**headers, header[0]: header[1]})
    assert refused.message.startswith(f"{resource} is forbidden: ")


async def test_who_acts_as_another_has_their_rights_and_no_others(
    cluster: KubernetesFarEnd, agent: ApiClient
) -> None:
    grant(
        cluster,
        AGENT,
        rule("impersonate", "", "users groups"),
        rule("impersonate", "authentication.k8s.io", "userextras/slack", resourceNames=["T1"]),
        rule("list", "", "pods"),
    )
    deployers = {"kind": "Group", "name": "deployers"}
    grant(cluster, deployers, rule("get", "apps", "deployments"), name="of-deployers")
    headers = {
        "Impersonate-User": "ada",
        "Impersonate-Group": "deployers",
        "Impersonate-Extra-Slack": "T1",
    }
    assert (await agent("GET", f"{DEPLOYMENTS}/web", headers=headers)).code == 200
    assert (await agent("GET", PODS)).code == 200
    refused = await agent("GET", PODS, headers=headers)
    assert 'User "ada" cannot list resource "pods"' in refused.message
    review = await agent(
        "POST", f"{AUTHENTICATION}/selfsubjectreviews", {"metadata": {}}, headers=headers
    )
    assert review.body["status"]["userInfo"] == {
        "username": "ada",
        "groups": ["deployers", "system:authenticated"],
        "extra": {"slack": ["T1"]},
    }


async def test_constrained_impersonation_lets_through_the_verbs_it_names(
    cluster: KubernetesFarEnd, agent: ApiClient
) -> None:
    authentication = "authentication.k8s.io"
    grant(cluster, AGENT, rule("impersonate:user-info", authentication, "users"))
    grant(
        cluster,
        AGENT,
        rule("impersonate-on:user-info:get", "apps", "deployments"),
        namespace="staging",
    )
    ada = {"kind": "User", "name": "ada"}
    grant(cluster, ada, rule("get delete", "apps", "deployments"), name="of-ada")
    headers = {"Impersonate-User": "ada"}
    assert (await agent("GET", f"{DEPLOYMENTS}/web", headers=headers)).code == 200
    deletion = await agent("DELETE", f"{DEPLOYMENTS}/web", headers=headers)
    assert "cannot impersonate" in deletion.message
    elsewhere = DEPLOYMENTS.replace("staging", "production")
    assert (await agent("GET", f"{elsewhere}/web", headers=headers)).code == 403


async def test_a_group_without_a_user_is_an_error(api: ApiClient) -> None:
    answer = await api("GET", "/version", headers={"Impersonate-Group": "admins"})
    assert (answer.code, answer.body["reason"]) == (500, "InternalError")


async def test_an_impersonated_service_account_has_the_groups_of_one(api: ApiClient) -> None:
    headers = {"Impersonate-User": "system:serviceaccount:staging:default"}
    review = await api(
        "POST", f"{AUTHENTICATION}/selfsubjectreviews", {"metadata": {}}, headers=headers
    )
    assert review.body["status"]["userInfo"]["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:staging",
        "system:authenticated",
    ]


# --- access reviews ------------------------------------------------------------------


async def test_access_reviews_answer_for_oneself_and_for_others(
    cluster: KubernetesFarEnd, api: ApiClient, agent: ApiClient
) -> None:
    grant(cluster, AGENT, rule("patch", "apps", "deployments/scale"), namespace="staging")
    scale = {
        "namespace": "staging",
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "name": "web",
    }
    own = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    yes = await agent("POST", own, {"spec": {"resourceAttributes": scale}})
    image = {**scale, "subresource": ""}
    no = await agent("POST", own, {"spec": {"resourceAttributes": image}})
    assert (yes.code, yes.body["status"]["allowed"]) == (201, True)
    assert no.body["status"]["allowed"] is False
    name = "system:serviceaccount:tidegate:tidegate-agent"
    of_other = {"spec": {"user": name, "resourceAttributes": scale}}
    other = await api("POST", f"{AUTHORIZATION}/subjectaccessreviews", of_other)
    local_path = f"{AUTHORIZATION}/namespaces/staging/localsubjectaccessreviews"
    local = await api("POST", local_path, of_other)
    assert other.body["status"] == local.body["status"] == yes.body["status"]
    assert other.body["status"]["reason"].startswith("RBAC: allowed by RoleBinding")


async def test_a_subject_access_review_is_not_for_everybody(agent: ApiClient) -> None:
    refused = await agent("POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {}})
    assert refused.code == 403


async def test_a_rules_review_lists_what_holds_in_a_namespace(
    cluster: KubernetesFarEnd, agent: ApiClient
) -> None:
    granted = rule("patch", "apps", "deployments/scale", resourceNames=["web"])
    grant(cluster, AGENT, granted, namespace="staging")
    path = f"{AUTHORIZATION}/selfsubjectrulesreviews"
    here = (await agent("POST", path, {"spec": {"namespace": "staging"}})).body["status"]
    there = (await agent("POST", path, {"spec": {"namespace": "production"}})).body["status"]
    assert granted in here["resourceRules"]
    assert granted not in there["resourceRules"]
    assert here["nonResourceRules"]


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        (f"{AUTHORIZATION}/selfsubjectaccessreviews", {}),
        (f"{AUTHORIZATION}/selfsubjectrulesreviews", {}),
        (f"{AUTHORIZATION}/subjectaccessreviews", {"resourceAttributes": {"verb": "get"}}),
        (f"{AUTHENTICATION}/tokenreviews", {}),
        (f"{AUTHENTICATION}/tokenreviews", "text"),
    ],
)
async def test_a_review_that_asks_nothing_is_a_bad_request(
    api: ApiClient, path: str, spec: Any
) -> None:
    answer = await api("POST", path, {"spec": spec})
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")


# --- audit ---------------------------------------------------------------------------


async def test_the_audit_says_who_as_whom_what_and_what_came_of_it(
    cluster: KubernetesFarEnd, api: ApiClient
) -> None:
    headers = {
        "Impersonate-User": "slack:T1:U1",
        "Impersonate-Group": "deployers",
        "Impersonate-Extra-Run": "01J",
    }
    await api("PATCH", f"{DEPLOYMENTS}/web/scale", {}, headers=headers)
    entry = list(cluster.audit)[-1].to_dict()
    assert entry["user"]["username"] == "kubernetes-admin"
    assert entry["acting_as"] == {
        "username": "slack:T1:U1",
        "groups": ["deployers", "system:authenticated"],
        "extra": {"run": ["01J"]},
    }
    told = ("verb", "resource", "subresource", "namespace", "name", "code")
    assert [entry[field] for field in told] == [
        "patch",
        "deployments",
        "scale",
        "staging",
        "web",
        403,
    ]


async def test_the_audit_is_told_and_bounded(cluster: KubernetesFarEnd, api: ApiClient) -> None:
    told: list[int] = []
    stop = cluster.audit.subscribe(lambda entry: told.append(entry.code))
    await api("POST", CONFIG_MAPS, config_map("a"))
    await api.as_token("wrong").get("/readyz")
    stop()
    for _ in range(1_005):
        cluster.audit.add(list(cluster.audit)[-1])
    assert told == [201, 401]
    assert len(cluster.audit) == 1_000
