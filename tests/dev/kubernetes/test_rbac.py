"""Who may do what by roles and bindings, and how a refusal reads."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_dev.kubernetes.errors import StatusError
from tidegate_dev.kubernetes.rbac import Authorizer, rule_allows
from tidegate_dev.kubernetes.requests import Attributes, attributes_of
from tidegate_dev.kubernetes.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
)
from tidegate_dev.kubernetes.store import Store
from tidegate_dev.kubernetes.users import User, service_account

ADA = User(name="ada", groups=("deployers", "system:authenticated"))
PATCH_WEB = Attributes(
    verb="patch", group="apps", resource="deployments", namespace="staging", name="web"
)


def rule(**changed: Any) -> dict[str, Any]:
    usual = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments"]}
    return {**usual, **changed}


def granted(
    *rules: dict[str, Any],
    subject: dict[str, str] | None = None,
    namespace: str | None = "staging",
    cluster_role: bool = False,
) -> Authorizer:
    """Return the authorizer of a cluster with one role and one binding."""
    store = Store(lambda: 0.0)
    role = {"metadata": {"name": "r"}, "rules": list(rules)}
    if cluster_role or namespace is None:
        store.create(CLUSTER_ROLES, role)
    else:
        store.create(ROLES, {**role, "metadata": {"name": "r", "namespace": namespace}})
    kind = "ClusterRole" if cluster_role or namespace is None else "Role"
    binding = {
        "metadata": {"name": "b", "namespace": namespace},
        "roleRef": {"kind": kind, "name": "r"},
        "subjects": [subject or {"kind": "User", "name": "ada"}],
    }
    store.create(CLUSTER_ROLE_BINDINGS if namespace is None else ROLE_BINDINGS, binding)
    return Authorizer(store)


# --- rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_rule", "allowed"),
    [
        (rule(), True),
        (rule(verbs=["*"]), True),
        (rule(apiGroups=["*"]), True),
        (rule(resources=["*"]), True),
        (rule(resourceNames=["web", "api"]), True),
        (rule(resourceNames=["api"]), False),
        (rule(verbs=["get"]), False),
        (rule(apiGroups=[""]), False),
        (rule(resources=["deployments/scale"]), False),
        (rule(resources=["*/scale"]), False),
        (rule(resources=["deployment"]), False),
        (rule(verbs=[]), False),
        ({"verbs": ["*"], "nonResourceURLs": ["*"]}, False),
        ({}, False),
    ],
)
def test_a_rule_allows_what_it_names(given_rule: dict[str, Any], allowed: bool) -> None:
    assert rule_allows(given_rule, PATCH_WEB) is allowed


@pytest.mark.parametrize(
    ("resources", "allowed"),
    [
        (["deployments/scale"], True),
        (["*/scale"], True),
        (["*"], True),
        (["deployments"], False),
        (["deployments/status"], False),
        (["deployments/*"], False),
    ],
)
def test_a_subresource_is_granted_by_itself(resources: list[str], allowed: bool) -> None:
    scale = replace(PATCH_WEB, subresource="scale")
    assert rule_allows(rule(resources=resources), scale) is allowed


def test_a_rule_with_names_does_not_allow_a_whole_collection() -> None:
    listing = replace(PATCH_WEB, verb="list", name="")
    assert not rule_allows(rule(verbs=["list"], resourceNames=["web"]), listing)
    assert rule_allows(rule(verbs=["list"]), listing)


def test_a_rule_with_names_allows_a_list_that_selects_the_name() -> None:
    path = "/apis/apps/v1/namespaces/staging/deployments"
    selected = attributes_of("GET", path, {"fieldSelector": "metadata.name=web"})
    other = attributes_of("GET", path, {"fieldSelector": "metadata.name=api"})
    every_but = attributes_of("GET", path, {"fieldSelector": "metadata.name!=web"})
    only_web = rule(verbs=["list"], resourceNames=["web"])
    assert [rule_allows(only_web, each) for each in (selected, other, every_but)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("*", True), ("/healthz", True), ("/health*", True), ("/healthz/*", False), ("/", False)],
)
def test_a_path_is_granted_whole_or_by_its_beginning(url: str, allowed: bool) -> None:
    wanted = Attributes(verb="get", path="/healthz")
    assert rule_allows({"verbs": ["get"], "nonResourceURLs": [url]}, wanted) is allowed


# --- bindings ------------------------------------------------------------------------


def test_a_role_counts_in_its_namespace_only() -> None:
    authorizer = granted(rule())
    assert authorizer.decide(ADA, PATCH_WEB).allowed
    assert not authorizer.decide(ADA, replace(PATCH_WEB, namespace="production")).allowed
    assert not authorizer.decide(ADA, replace(PATCH_WEB, namespace="")).allowed


def test_a_cluster_role_bound_in_a_namespace_counts_there_only() -> None:
    authorizer = granted(rule(), cluster_role=True)
    assert authorizer.decide(ADA, PATCH_WEB).allowed
    assert not authorizer.decide(ADA, replace(PATCH_WEB, namespace="production")).allowed


def test_a_cluster_role_bound_for_the_cluster_counts_everywhere() -> None:
    authorizer = granted(rule(), namespace=None)
    for namespace in ("staging", "production", ""):
        assert authorizer.decide(ADA, replace(PATCH_WEB, namespace=namespace)).allowed


@pytest.mark.parametrize(
    ("subject", "user", "allowed"),
    [
        ({"kind": "User", "name": "ada"}, ADA, True),
        ({"kind": "User", "name": "deployers"}, ADA, False),
        ({"kind": "Group", "name": "deployers"}, ADA, True),
        ({"kind": "Group", "name": "ada"}, ADA, False),
        ({"kind": "ServiceAccount", "name": "ada"}, ADA, False),
        (
            {"kind": "ServiceAccount", "name": "bot", "namespace": "tidegate"},
            service_account("tidegate", "bot"),
            True,
        ),
        (
            {"kind": "ServiceAccount", "name": "bot", "namespace": "tidegate"},
            service_account("staging", "bot"),
            False,
        ),
        ({"kind": "Group", "name": "system:serviceaccounts"}, service_account("a", "b"), True),
    ],
)
def test_a_binding_is_for_its_subjects(subject: dict[str, str], user: User, allowed: bool) -> None:
    assert granted(rule(), subject=subject).decide(user, PATCH_WEB).allowed is allowed


def test_masters_need_no_role() -> None:
    root = User(name="root", groups=("system:masters",))
    assert Authorizer(Store(lambda: 0.0)).decide(root, PATCH_WEB).allowed


def test_the_decision_says_which_binding_allowed_it() -> None:
    decision = granted(rule()).decide(ADA, PATCH_WEB)
    assert decision.reason == 'RBAC: allowed by RoleBinding "b/staging" of Role "r" to User "ada"'


def test_a_binding_to_a_role_that_is_not_there_allows_nothing_and_is_named() -> None:
    store = Store(lambda: 0.0)
    store.create(
        ROLE_BINDINGS,
        {
            "metadata": {"name": "b", "namespace": "staging"},
            "roleRef": {"kind": "Role", "name": "gone"},
            "subjects": [{"kind": "User", "name": "ada"}],
        },
    )
    decision = Authorizer(store).decide(ADA, PATCH_WEB)
    assert not decision.allowed
    assert decision.reason == 'RBAC: role.rbac.authorization.k8s.io "gone" not found'


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            PATCH_WEB,
            'deployments.apps "web" is forbidden: User "ada" cannot patch resource "deployments" '
            'in API group "apps" in the namespace "staging"',
        ),
        (
            replace(PATCH_WEB, subresource="scale"),
            'deployments.apps "web" is forbidden: User "ada" cannot patch resource '
            '"deployments/scale" in API group "apps" in the namespace "staging"',
        ),
        (
            Attributes(verb="list", resource="pods"),
            'pods is forbidden: User "ada" cannot list resource "pods" in API group "" '
            "at the cluster scope",
        ),
        (
            Attributes(verb="get", path="/metrics"),
            'forbidden: User "ada" cannot get path "/metrics"',
        ),
    ],
)
def test_a_refusal_is_in_kubernetes_words(wanted: Attributes, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        Authorizer(Store(lambda: 0.0)).require(ADA, wanted)
    assert (refused.value.message, refused.value.code) == (message, 403)


# --- properties ----------------------------------------------------------------------

WORDS = ["a", "b", "c"]
SOME = st.lists(st.sampled_from([*WORDS, "*"]), max_size=3)
RULES = st.fixed_dictionaries(
    {"verbs": SOME, "apiGroups": SOME, "resources": SOME},
    optional={"resourceNames": st.lists(st.sampled_from(WORDS), max_size=2)},
)
WANTED = st.builds(
    Attributes,
    verb=st.sampled_from(WORDS),
    group=st.sampled_from(WORDS),
    resource=st.sampled_from(WORDS),
    name=st.sampled_from(["", *WORDS]),
    namespace=st.just("staging"),
)


def covers(listed: Sequence[str], word: str) -> bool:
    return "*" in listed or word in listed


@given(RULES, WANTED)
def test_a_rule_allows_exactly_the_product_of_its_lists(given_rule: Any, wanted: Any) -> None:
    names = given_rule.get("resourceNames")
    expected = (
        covers(given_rule["verbs"], wanted.verb)
        and covers(given_rule["apiGroups"], wanted.group)
        and covers(given_rule["resources"], wanted.resource)
        and (not names or wanted.name in names)
    )
    assert rule_allows(given_rule, wanted) is expected


@given(st.lists(RULES, max_size=4), WANTED)
def test_rules_together_allow_what_one_of_them_allows(rules: Any, wanted: Any) -> None:
    expected = any(rule_allows(each, wanted) for each in rules)
    assert granted(*rules).decide(ADA, wanted).allowed is expected


@given(st.lists(RULES, max_size=4), WANTED)
def test_nobody_else_gains_anything(rules: Any, wanted: Any) -> None:
    assert not granted(*rules).decide(User(name="eve"), wanted).allowed


@given(st.lists(RULES, max_size=3), RULES, WANTED)
def test_a_rule_more_never_takes_anything_away(rules: Any, more: Any, wanted: Any) -> None:
    if granted(*rules).decide(ADA, wanted).allowed:
        assert granted(*rules, more).decide(ADA, wanted).allowed


# --- what a request is about ---------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "params", "expected"),
    [
        ("GET", "/api/v1/pods", {}, ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/pods", {"watch": "true"}, ("watch", "", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces/s/pods", {}, ("list", "", "pods", "", "s", "")),
        ("GET", "/api/v1/namespaces/s/pods/p", {}, ("get", "", "pods", "", "s", "p")),
        ("GET", "/api/v1/namespaces/s/pods/p/log", {}, ("get", "", "pods", "log", "s", "p")),
        ("GET", "/api/v1/namespaces/s", {}, ("get", "", "namespaces", "", "s", "s")),
        ("GET", "/api/v1/namespaces", {}, ("list", "", "namespaces", "", "", "")),
        ("PUT", "/apis/apps/v1/namespaces/s/deployments/d/scale", {},
         ("update", "apps", "deployments", "scale", "s", "d")),
        ("DELETE", "/apis/apps/v1/namespaces/s/deployments", {},
         ("deletecollection", "apps", "deployments", "", "s", "")),
        ("POST", "/apis/apps/v1/namespaces/s/deployments", {},
         ("create", "apps", "deployments", "", "s", "")),
        ("GET", "/apis/apps/v1", {}, ("get", "", "", "", "", "")),
        ("GET", "/healthz", {}, ("get", "", "", "", "", "")),
    ],
)  # fmt: skip
def test_a_request_line_says_what_is_wanted(
    method: str, path: str, params: dict[str, str], expected: tuple[str, ...]
) -> None:
    wanted = attributes_of(method, path, params)
    assert (
        wanted.verb,
        wanted.group,
        wanted.resource,
        wanted.subresource,
        wanted.namespace,
        wanted.name,
    ) == expected


@given(st.text(max_size=40), st.sampled_from(["GET", "POST", "PATCH", "DELETE", "BREW"]))
def test_no_path_is_too_strange_to_be_read(path: str, method: str) -> None:
    assert attributes_of(method, "/" + path, {}).path == "/" + path
