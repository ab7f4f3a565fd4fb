"""Who may act where, and as whom."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.core import roles
from tidegate_agent.core.identity import Statement
from tidegate_agent.core.roles import Role, Roles
from tidegate_agent.core.rules import Rules
from tidegate_agent.errors import ConfigError, NotAllowedError

TABLE = Roles(
    roles=(
        Role(name="deployer", namespaces=("staging",), groups=frozenset({"SDEV"})),
        Role(name="sre", namespaces=("staging", "production"), groups=frozenset({"SSRE"})),
        Role(name="viewer", namespaces=("production",), people=frozenset({"slack:T1:U2"})),
    ),
    individuals={"slack:T1:U7": "alice@example.com"},
)


def who(subject: str = "slack:T1:U1", *groups: str) -> Statement:
    return Statement(subject=subject, groups=groups, run="run-1", action="deploy")


def test_a_group_of_the_statement_becomes_the_roles_group_in_its_namespaces() -> None:
    acting = roles.acting_as(TABLE, who("slack:T1:U1", "SDEV"), "staging")
    assert (acting.user, acting.groups) == ("tidegate", ("tidegate:deployer",))
    assert acting.extra == {
        "tidegate.dev/person": ("slack:T1:U1",),
        "tidegate.dev/run": ("run-1",),
    }
    with pytest.raises(NotAllowedError, match=r"no role in production; you have one in staging\."):
        roles.acting_as(TABLE, who("slack:T1:U1", "SDEV"), "production")


def test_all_roles_that_somebody_has_in_a_namespace_count() -> None:
    acting = roles.acting_as(TABLE, who("slack:T1:U1", "SDEV", "SSRE"), "staging")
    assert acting.groups == ("tidegate:deployer", "tidegate:sre")


def test_a_person_can_be_named() -> None:
    assert roles.acting_as(TABLE, who("slack:T1:U2"), "production").groups == ("tidegate:viewer",)
    with pytest.raises(NotAllowedError, match="no role in this cluster"):
        roles.acting_as(TABLE, who("slack:T2:U2"), "production")


def test_only_those_who_are_listed_act_under_a_name_of_their_own() -> None:
    acting = roles.acting_as(TABLE, who("slack:T1:U7", "SDEV"), "staging")
    assert acting.user == "alice@example.com"
    with pytest.raises(NotAllowedError):
        roles.acting_as(TABLE, who("slack:T1:U7"), "staging")


@pytest.mark.parametrize("user", ["system:masters", "system:serviceaccount:kube-system:x"])
def test_a_system_name_is_refused_at_start_and_again_in_use(user: str) -> None:
    table = Roles(roles=TABLE.roles, individuals={"slack:T1:U1": user})
    with pytest.raises(ConfigError, match="never acts as a `system:` user"):
        Rules(roles=table)
    with pytest.raises(NotAllowedError, match="system:"):
        roles.acting_as(table, who("slack:T1:U1", "SDEV"), "staging")


@given(
    st.lists(st.sampled_from(["SDEV", "SSRE", "system:masters", "x"]), max_size=4),
    st.sampled_from(["slack:T1:U1", "slack:T1:U2", "slack:T1:U7", "system:admin"]),
    st.sampled_from(["staging", "production", "kube-system", ""]),
)
def test_nobody_acts_as_anything_but_a_role_of_the_table(
    groups: list[str], subject: str, namespace: str
) -> None:
    try:
        acting = roles.acting_as(TABLE, who(subject, *groups), namespace)
    except NotAllowedError:
        return
    assert acting.user in {"tidegate", "alice@example.com"}
    assert acting.groups
    for group in acting.groups:
        role = next(r for r in TABLE.roles if f"tidegate:{r.name}" == group)
        assert namespace in role.namespaces
        assert set(groups) & role.groups or subject in role.people


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_replicas": -1}, "max_replicas"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"retention_seconds": 60}, "retention_seconds"),
        ({"max_records": 1}, "max_records"),
        ({"audience": ""}, "audience"),
        ({"home": "Home"}, "home"),
        ({"registries": ("https://x",)}, "not a registry"),
        ({"default_namespace": "kube-system"}, "default_namespace"),
        ({"home": "staging"}, "agent's own namespace"),
        ({"roles": Roles(roles=(Role(name="A", namespaces=("a",)),))}, "lower-case letters"),
        ({"roles": Roles(roles=(Role(name="a", namespaces=()),))}, "counts in no namespace"),
        ({"roles": Roles(roles=(Role(name="a", namespaces=("a",)),))}, "nobody has it"),
        ({"roles": Roles(roles=TABLE.roles * 2)}, "two of that name"),
    ],
)
def test_rules_that_cannot_be_are_refused_at_start(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Rules(**{"roles": TABLE, **settings})


def test_all_problems_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        Rules(max_replicas=-1, lease_seconds=0, audience="")
    assert len(refused.value.problems) == 3


def test_to_begin_with_nobody_may_do_anything() -> None:
    with pytest.raises(NotAllowedError):
        roles.acting_as(Rules().roles, who("slack:T1:U1", "SDEV"), "staging")
