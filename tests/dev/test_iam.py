"""What IAM lets through, statement by statement."""

import pytest

from tidegate_dev.iam import (
    Asked,
    Statement,
    account_of,
    is_named,
    matches,
    of_caller,
    reason_against,
    role_arn,
)

API = "arn:aws:execute-api:eu-west-1:123456789012:a1b2"
GATEWAY = "arn:aws:sts::123456789012:assumed-role/gateway/task"


def asked(path: str = "prod/POST/api/v1/deploy", vpce: str | None = None) -> Asked:
    return Asked(
        principal=GATEWAY,
        action="execute-api:Invoke",
        resource=f"{API}/{path}",
        source_vpce=vpce,
    )


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("*", "", True),
        ("a*c", "a/b/c", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a.c", "abc", False),
        ("a*", "ba", False),
        ("[a]", "a", False),
        ("a*", "a\nb", True),
    ],
)
def test_a_star_is_anything_and_a_question_mark_one_character(
    pattern: str, value: str, fits: bool
) -> None:
    assert matches(pattern, value) is fits


@pytest.mark.parametrize(
    ("statement", "has_a_say"),
    [
        (Statement(), True),
        (Statement(action="execute-api:*"), True),
        (Statement(action="EXECUTE-API:invoke"), True),
        (Statement(action="execute-api:ManageConnections"), False),
        (Statement(resource=f"{API}/prod/POST/*"), True),
        (Statement(resource=f"{API}/*/POST/api/v1/deploy"), True),
        (Statement(resource=f"{API}/dev/*"), False),
        (Statement(resource=f"{API}/prod/GET/*"), False),
        (Statement(resource="execute-api:/prod/POST/api/*"), True),
        (Statement(resource="execute-api:/POST/api/*"), False),
        (Statement(resource="execute-api:/dev/*"), False),
        (Statement(principal=GATEWAY), True),
        (Statement(principal="arn:aws:iam::123456789012:role/gateway"), True),
        (Statement(principal="arn:aws:iam::123456789012:root"), True),
        (Statement(principal="arn:aws:iam::123456789012:role/other"), False),
        (Statement(principal="arn:aws:iam::999999999999:root"), False),
        (Statement(source_vpce=("vpce-a", "vpce-b")), True),
        (Statement(source_vpce=("vpce-b",)), False),
        (Statement(not_source_vpce=("vpce-b",)), True),
        (Statement(not_source_vpce=("vpce-a",)), False),
    ],
)
def test_a_statement_has_a_say_where_all_of_it_fits(statement: Statement, has_a_say: bool) -> None:
    assert statement.is_about(asked(vpce="vpce-a")) is has_a_say


def test_who_comes_by_no_endpoint_comes_by_none_that_is_named() -> None:
    assert not Statement(source_vpce=("vpce-a",)).is_about(asked())
    assert Statement(not_source_vpce=("vpce-a",)).is_about(asked())


def test_either_policy_may_let_in_and_either_may_keep_out() -> None:
    allow, deny = Statement(), Statement(effect="Deny", resource=f"{API}/prod/*")
    nothing = "because no identity-based policy allows the execute-api:Invoke action"
    identity = "with an explicit deny in an identity-based policy"
    resource = "with an explicit deny in a resource-based policy"
    for own, theirs, reason in (
        ([], None, nothing),
        ([], [], nothing),
        ([allow], None, ""),
        ([], [allow], ""),
        ([allow, deny], [allow], identity),
        ([allow], [deny], resource),
    ):
        assert reason_against(asked(), identity=own, of_resource=theirs) == reason
    assert reason_against(asked("dev/GET/x"), identity=[allow, deny], of_resource=None) == ""


def test_a_session_is_its_roles() -> None:
    assert role_arn(GATEWAY) == "arn:aws:iam::123456789012:role/gateway"
    assert role_arn("arn:aws:iam::123456789012:user/ada") == "arn:aws:iam::123456789012:user/ada"
    assert account_of(GATEWAY) == "123456789012"
    assert account_of("anonymous") == ""
    assert not is_named("anonymous", by="arn:aws:iam::123456789012:root")
    theirs = Statement(action="one:*")
    policies = {"arn:aws:iam::123456789012:role/gateway": (theirs,), "*:user/*": (Statement(),)}
    assert of_caller(policies, GATEWAY) == [theirs]
