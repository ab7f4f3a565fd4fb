"""What holds for every template, rule by rule."""

import pytest

from tests.deploy.cloudformation.invariants import ALL
from tests.deploy.cloudformation.templates import NAMES, named


@pytest.mark.parametrize("rule", ALL)
def test_no_template_breaks_the_rule(rule: str) -> None:
    wrong = [f"{name}: {each}" for name in NAMES for each in ALL[rule](named(name))]
    assert wrong == []


def test_there_is_one_public_load_balancer_and_it_is_slacks() -> None:
    public = [
        name
        for name in NAMES
        for _, found in named(name).of("ElasticLoadBalancingV2::LoadBalancer")
        if found["Scheme"] != "internal"
    ]
    assert public == ["slack-ingress"]


def test_the_network_is_logged_and_buckets_are_audited_whatever_is_left_out() -> None:
    assert list(named("network").of("EC2::FlowLog"))
    assert "Condition" not in named("network").resources["FlowLog"]
    assert named("storage").parameters["AuditTrail"]["Default"] == "yes"
