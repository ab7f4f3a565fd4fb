"""The rights that the chart gives are those that the agent uses: none is missing, none is spare."""

from typing import Any

import pytest

from tests.agent.app.stage import REGISTRY
from tests.deploy import chart, stand
from tests.deploy.chart import CAPABILITIES, ROLES, Json, changed
from tests.deploy.journeys import JOURNEYS, kinds_of
from tests.deploy.stand import AGENT, STAGING, Right, installed, rights_of
from tidegate_agent.core.access import Impersonation
from tidegate_agent.core.kinds import CONFIG_MAP, DEPLOYMENT, POD
from tidegate_agent.errors import ForbiddenError
from tidegate_agent.ports import PatchType
from tidegate_dev.kubernetes.bootstrap import add
from tidegate_dev.kubernetes.resources import ROLE_BINDINGS

pytestmark = pytest.mark.long


def only(capability: str, **more: object) -> Json:
    """Return values with one role that has one capability."""
    values = changed(ROLES, "agent.roles.deployer.capabilities", [capability])
    for path, value in more.items():
        values = changed(values, path.replace("__", "."), value)
    return values


def rules_of(found: list[Json], capability: str) -> list[Json]:
    (role,) = [
        each
        for each in chart.of_kind(found, "Role")
        if each["metadata"]["name"] == f"tidegate-{capability}"
        and each["metadata"]["namespace"] == STAGING
    ]
    return list(role["rules"])


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_a_capability_has_the_rights_that_it_uses_and_no_other(capability: str) -> None:
    found = chart.objects(only(capability))
    async with installed(found) as stage:
        for kind in kinds_of(capability):
            statuses = await JOURNEYS[capability](stage, kind)
            assert all(status in (200, 202) for status in statuses), (kind, statuses)
        entries = stand.asked(stage, as_somebody=True)
        assert [e for e in entries if e.code == 403] == []
        assert stand.used(entries) == rights_of(rules_of(found, capability))
        assert {e.wanted.namespace for e in entries} == {STAGING}


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_without_any_one_of_its_rights_something_of_a_capability_is_refused(
    capability: str,
) -> None:
    found = chart.objects(only(capability))
    rules = rules_of(found, capability)
    for right in sorted(rights_of(rules)):
        async with installed(found) as stage:
            lessened = list(stand.without(rules, right))
            role = chart.named(_in_staging(found), "Role", f"tidegate-{capability}")
            stand.apply(stage.cluster.store, {**role, "rules": lessened})
            for kind in _kinds_for(capability, right):
                await JOURNEYS[capability](stage, kind)
            refused = [e for e in stand.asked(stage, as_somebody=True) if e.code == 403]
            assert stand.used(refused) == {right}


async def test_the_agent_itself_has_the_rights_that_its_records_take_and_no_other() -> None:
    found = chart.objects(changed(ROLES, "agent.tokenReview.enabled", False))
    async with installed(found) as stage:
        assert (await stage.ask("restart", "run-1")).status == 202
        await stage.followed("run-1")
        assert await stage.agent.recover() == 0
        stage.clock.ahead = 400 * 3600.0
        assert await stage.agent.prune() == 1
        entries = stand.asked(stage, as_somebody=False)
        records = chart.named(found, "Role", "tidegate-records")
        assert records["metadata"]["namespace"] == chart.NAMESPACE
        assert stand.used(entries) == rights_of(records["rules"])
        assert {e.wanted.namespace for e in entries} == {chart.NAMESPACE}


@pytest.mark.parametrize("verb", ["create", "delete", "get", "list", "update"])
async def test_without_any_one_of_its_own_rights_the_agent_is_refused(verb: str) -> None:
    found = chart.objects(ROLES)
    records = chart.named(found, "Role", "tidegate-records")
    async with installed(found) as stage:
        lessened = list(stand.without(records["rules"], (verb, "", "configmaps")))
        assert (await stage.ask("restart", "run-1")).status == 202
        await stage.followed("run-1")
        stand.apply(stage.cluster.store, {**records, "rules": lessened})
        stage.clock.ahead = 400 * 3600.0
        await stage.ask("restart", "run-2", deployment="api")
        await stage.follow("run-1")
        for upkeep in (stage.agent.recover, stage.agent.prune):
            try:
                await upkeep()
            except ForbiddenError:
                continue
        refused = [e for e in stand.asked(stage, as_somebody=False) if e.code == 403]
        assert stand.used(refused) == {(verb, "", "configmaps")}


def test_the_agent_may_act_as_one_user_and_the_groups_of_its_roles_and_as_nobody_else() -> None:
    found = chart.objects(
        changed(
            changed(ROLES, "agent.roles.viewer.groups", ["SVIEW"]),
            "agent.individuals",
            {"slack:T1:U1": "tidegate-ada"},
        )
    )
    role = chart.named(found, "ClusterRole", AGENT)
    assert {
        (r["resources"][0], *r["resourceNames"]) for r in role["rules"] if "resourceNames" in r
    } == {
        ("users", "tidegate", "tidegate-ada"),
        ("groups", "tidegate:deployer", "tidegate:viewer"),
    }
    extras = ["userextras/tidegate.dev/person", "userextras/tidegate.dev/run"]
    (extra,) = [r for r in role["rules"] if r["resources"] == extras]
    assert extra["verbs"] == ["impersonate"]
    (reviews,) = [r for r in role["rules"] if r["resources"] == ["tokenreviews"]]
    assert len(role["rules"]) == 4, "and nothing else in the whole cluster"
    assert reviews["verbs"] == ["create"]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("constrained", [False, True])
async def test_without_any_one_of_the_rights_to_act_as_somebody_the_agent_is_refused(
    number: int, constrained: bool
) -> None:
    found = chart.objects(changed(ROLES, "agent.impersonation.constrained", constrained))
    role = chart.named(found, "ClusterRole", AGENT)
    async with installed(found) as stage:
        lessened = [rule for place, rule in enumerate(role["rules"]) if place != number]
        stand.apply(stage.cluster.store, {**role, "rules": lessened})
        told = await stage.ask("restart")
        assert told.status == 403
        assert "impersonate" in told.content["message"]
        assert stage.effects() == []


@pytest.mark.parametrize(
    "somebody",
    [
        Impersonation(user="kubernetes-admin"),
        Impersonation(user="tidegate", groups=("tidegate:other",)),
        Impersonation(user="tidegate", groups=("cluster-admins",)),
        Impersonation(user="tidegate", extra={"example.com/other": ("x",)}),
    ],
)
async def test_the_agent_cannot_act_as_anybody_else(somebody: Impersonation) -> None:
    async with installed(chart.objects(ROLES)) as stage:
        with pytest.raises(ForbiddenError):
            await stage.client.list(POD, STAGING, as_=somebody)


async def test_with_constrained_impersonation_the_agent_does_no_more_than_is_listed() -> None:
    found = chart.objects(changed(ROLES, "agent.impersonation.constrained", True))
    verbs = {
        verb for rule in chart.named(found, "ClusterRole", AGENT)["rules"] for verb in rule["verbs"]
    }
    assert verbs == {"impersonate:user-info", "create"}
    async with installed(found) as stage:
        _give_away_too_much(stage.cluster.store)
        for capability in CAPABILITIES:
            statuses = await JOURNEYS[capability](stage, "deployment")
            assert all(status in (200, 202) for status in statuses), (capability, statuses)
        acting = Impersonation(user="tidegate", groups=("tidegate:deployer",))
        with pytest.raises(ForbiddenError):
            await stage.client.list(CONFIG_MAP, STAGING, as_=acting)


async def test_without_the_constraint_the_agent_can_do_whatever_the_group_may() -> None:
    """What the constraint is for: the test above could not fail otherwise."""
    async with installed(chart.objects(ROLES)) as stage:
        _give_away_too_much(stage.cluster.store)
        acting = Impersonation(user="tidegate", groups=("tidegate:deployer",))
        assert (await stage.client.list(CONFIG_MAP, STAGING, as_=acting)).items


def _give_away_too_much(store: Any) -> None:
    """Somebody else gives the group more than the chart does."""
    group = {"kind": "Group", "name": "tidegate:deployer", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "edit", "apiGroup": group["apiGroup"]}
    add(store, ROLE_BINDINGS, "too-much", STAGING, roleRef=reference, subjects=[group])


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_without_impersonation_the_agent_has_the_same_rights_and_asks_about_each(
    capability: str,
) -> None:
    found = chart.objects(only(capability, agent__impersonation={"enabled": False}))
    async with installed(found) as stage:
        statuses = await JOURNEYS[capability](stage, "deployment")
        assert all(status in (200, 202) for status in statuses), statuses
        entries = stand.asked(stage, as_somebody=False)
        assert [e for e in entries if e.code == 403] == []
        assert stand.asked(stage, as_somebody=True) == []
        reviews = ("create", "authorization.k8s.io", "subjectaccessreviews")
        assert reviews in stand.used(entries)
        assert reviews in rights_of(chart.named(found, "ClusterRole", AGENT)["rules"])
        there = [e for e in entries if e.wanted.namespace == STAGING]
        assert stand.used(there) <= rights_of(rules_of(found, capability))


async def test_without_impersonation_a_role_that_lacks_the_right_is_refused_all_the_same() -> None:
    values = only("status", agent__impersonation={"enabled": False})
    values = changed(values, "agent.roles.others", {"groups": ["S0OTHERS"]})
    async with installed(chart.objects(values)) as stage:
        told = await stage.ask("restart")
        assert told.status == 403
        assert "patch deployments" in told.content["message"]
        assert stage.effects() == []


async def test_the_right_to_ask_about_tokens_is_there_only_where_it_is_configured() -> None:
    right = ("create", "authentication.k8s.io", "tokenreviews")
    with_it, without_it = (
        chart.objects(ROLES),
        chart.objects(changed(ROLES, "agent.tokenReview.enabled", False)),
    )
    assert right in rights_of(chart.named(with_it, "ClusterRole", AGENT)["rules"])
    assert right not in rights_of(chart.named(without_it, "ClusterRole", AGENT)["rules"])
    async with installed(with_it) as stage:
        account = stage.cluster.add_service_account_token(
            chart.NAMESPACE, "tidegate-gateway", audiences=["tidegate-agent"]
        )
        assert (await stage.client.token_review(account, ["tidegate-agent"])).authenticated
    async with installed(without_it) as stage:
        with pytest.raises(ForbiddenError):
            await stage.client.token_review("any", ["tidegate-agent"])


async def test_workloads_that_are_not_named_are_out_of_reach() -> None:
    named = [{"name": STAGING, "workloads": {"deployments": ["web"]}}]
    async with installed(chart.objects(changed(ROLES, "agent.namespaces", named))) as stage:
        params: Json = {
            "restart": {},
            "scale": {"replicas": 2},
            "deploy": {"image": f"{REGISTRY}/api:9"},
        }
        for number, (verb, more) in enumerate(params.items()):
            told = await stage.ask(verb, f"run-{number}", deployment="api", **more)
            assert told.status == 403, verb
            assert "get deployments" in told.content["message"]
        assert (await stage.ask("status", statefulset="orders-db")).status == 403
        assert (await stage.ask("logs", deployment="api")).status == 403
        assert (await stage.ask("restart", "run-9")).status == 202, "web is named"
        assert [e.wanted.name for e in stage.effects()] == ["web"]


async def test_a_role_can_do_what_its_row_says_where_it_says() -> None:
    values = changed(ROLES, "agent.roles.deployer.namespaces", [STAGING])
    values = changed(values, "agent.roles.deployer.capabilities", ["status", "restart"])
    async with installed(chart.objects(values)) as stage:
        assert (await stage.ask("restart", "run-1")).status == 202
        assert (await stage.ask("scale", "run-2", replicas=2)).status == 403
        assert (await stage.ask("logs", "run-3")).status == 403
        told = await stage.ask("restart", "run-4", namespace="production")
        assert told.status == 403
        assert "no role in production" in told.content["message"]
        client, web = stage.client, "web"
        acting = Impersonation(user="tidegate", groups=("tidegate:deployer",))
        with pytest.raises(ForbiddenError):
            await client.patch(DEPLOYMENT, "production", web, {}, type=PatchType.MERGE, as_=acting)


@pytest.mark.parametrize("values", chart.SETS.values(), ids=chart.SETS)
def test_no_right_is_for_everything_or_for_what_the_agent_never_touches(values: Json) -> None:
    for role in chart.of_kind(chart.objects(values), "Role", "ClusterRole"):
        for verb, group, resource in rights_of(role["rules"]):
            assert "*" not in (verb, group, resource)
            assert not {"secrets", "pods/exec", "nodes", "roles", "namespaces"} & {resource}
            assert verb.rpartition(":")[2] not in ("watch", "deletecollection", "escalate", "bind")


def test_what_is_switched_off_gets_no_role_and_no_binding() -> None:
    values = changed(ROLES, "agent.capabilities", {"scale": False, "rollback": False})
    names = {
        each["metadata"]["name"]
        for each in chart.of_kind(chart.objects(values), "Role", "RoleBinding")
    }
    assert names == {
        *(f"tidegate-{each}" for each in ("status", "logs", "deploy", "restart")),
        "tidegate-records",
    }


def _in_staging(found: list[Json]) -> list[Json]:
    return [each for each in found if each["metadata"].get("namespace") == STAGING]


def _kinds_for(capability: str, right: Right) -> list[str]:
    """Return the kinds of which one at least uses a right."""
    whose = {
        "deployments": "deployment",
        "deployments/scale": "deployment",
        "replicasets": "deployment",
        "daemonsets": "daemonset",
        "statefulsets": "statefulset",
        "statefulsets/scale": "statefulset",
        "controllerrevisions": "statefulset",
    }
    return [whose.get(right[2], "deployment")]
