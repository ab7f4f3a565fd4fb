from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.policy import Allowed, Decision, Denied, Facts, Reason, Undecided, decide
from tidegate.core.routes import Rule

KNOWN = Facts(guest=False, external=False, active=True, channel_external=False)
ADA = Rule(users=frozenset({"U0ADA"}))
SRE = Rule(groups=frozenset({"S0SRE"}))
ANY = Rule(users=frozenset({"any"}))


def decided(
    *rules: Rule,
    user_id: str = "U0ADA",
    channel_id: str | None = "C0OPS",
    params: dict[str, Any] | None = None,
    facts: Facts = KNOWN,
) -> Decision:
    return decide(rules, user_id=user_id, channel_id=channel_id, params=params or {}, facts=facts)


def denied(decision: Decision) -> Reason:
    assert isinstance(decision, Denied)
    return decision.reason


# --- who ------------------------------------------------------------------------------------


def test_without_a_rule_nobody_is_admitted() -> None:
    assert denied(decided()) is Reason.NO_RULE


def test_a_listed_user_is_admitted_and_nobody_else() -> None:
    assert decided(ADA) == Allowed(rule=0)
    assert denied(decided(ADA, user_id="U0GRACE")) is Reason.NOT_LISTED


def test_any_means_everybody_in_the_workspace() -> None:
    assert decided(ANY, user_id="U0WHO") == Allowed(rule=0)


def test_a_member_of_a_listed_group_is_admitted() -> None:
    inside = replace(KNOWN, memberships={"S0SRE": True})
    outside = replace(KNOWN, memberships={"S0SRE": False})
    assert decided(SRE, facts=inside) == Allowed(rule=0)
    assert decided(SRE, facts=outside) == Denied(
        reason=Reason.NOT_LISTED, groups=frozenset({"S0SRE"})
    )
    assert decided(SRE, facts=KNOWN) == Undecided()


def test_users_and_groups_of_one_rule_each_suffice() -> None:
    either = Rule(users=frozenset({"U0ADA"}), groups=frozenset({"S0SRE"}))
    assert decided(either, facts=KNOWN) == Allowed(rule=0)
    inside = replace(KNOWN, memberships={"S0SRE": True})
    assert decided(either, user_id="U0GRACE", facts=inside) == Allowed(rule=0)


def test_a_channel_alone_admits_nobody() -> None:
    assert denied(decided(Rule(channels=frozenset({"C0OPS"})))) is Reason.NOT_LISTED


# --- where and what -------------------------------------------------------------------------


def test_channels_narrow() -> None:
    here = replace(ADA, channels=frozenset({"C0OPS"}))
    assert decided(here) == Allowed(rule=0)
    assert denied(decided(here, channel_id="C0OTHER")) is Reason.WRONG_CHANNEL
    assert denied(decided(here, channel_id=None)) is Reason.WRONG_CHANNEL


@pytest.mark.parametrize("params", [{}, {"namespace": "production"}, {"namespace": None}])
def test_params_narrow(params: dict[str, Any]) -> None:
    staging = replace(ADA, params={"namespace": ("staging", "test")})
    assert decided(staging, params={"namespace": "test"}) == Allowed(rule=0)
    assert denied(decided(staging, params=params)) is Reason.WRONG_PARAMS


# --- guests, strangers, the departed --------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"guest": True}, Reason.GUEST),
        ({"external": True}, Reason.EXTERNAL),
        ({"channel_external": True}, Reason.EXTERNAL),
        ({"active": False}, Reason.INACTIVE),
    ],
)
def test_even_listed_people_are_kept_out(change: dict[str, Any], reason: Reason) -> None:
    assert denied(decided(ADA, facts=replace(KNOWN, **change))) is reason
    assert denied(decided(ANY, facts=replace(KNOWN, **change))) is reason


def test_guests_and_outsiders_are_admitted_where_a_rule_says_so() -> None:
    guest = replace(KNOWN, guest=True)
    assert decided(replace(ADA, guests=True), facts=guest) == Allowed(rule=0)
    outsider = replace(KNOWN, external=True, channel_external=True)
    assert decided(replace(ADA, external=True), facts=outsider) == Allowed(rule=0)
    both = replace(outsider, guest=True)
    assert denied(decided(replace(ADA, external=True), facts=both)) is Reason.GUEST


def test_nobody_inactive_is_admitted_by_any_rule() -> None:
    wide = replace(ANY, guests=True, external=True)
    assert denied(decided(wide, facts=replace(KNOWN, active=False))) is Reason.INACTIVE


def test_without_a_channel_nobody_else_is_there() -> None:
    unknown = replace(KNOWN, channel_external=None)
    assert decided(ADA, channel_id=None, facts=unknown) == Allowed(rule=0)
    assert decided(ADA, channel_id="C0OPS", facts=unknown) == Undecided()


# --- several rules --------------------------------------------------------------------------


def test_any_one_rule_suffices_and_is_named() -> None:
    elsewhere = replace(ADA, channels=frozenset({"C0OTHER"}))
    assert decided(elsewhere, SRE, ADA) == Allowed(rule=2)


def test_what_one_rule_leaves_open_another_may_settle() -> None:
    assert decided(SRE, ADA) == Allowed(rule=1)
    assert decided(SRE, replace(ADA, channels=frozenset({"C0OTHER"}))) == Undecided()


def test_the_reason_told_is_the_one_that_came_nearest() -> None:
    elsewhere = replace(ADA, channels=frozenset({"C0OTHER"}))
    nobody = Rule(users=frozenset({"U0GRACE"}))
    for rules in ((nobody, elsewhere), (elsewhere, nobody)):
        assert denied(decided(*rules)) is Reason.WRONG_CHANNEL


# --- whatever the rules and the facts -------------------------------------------------------

USERS = st.sampled_from(["U1", "U2", "any"])
GROUPS = st.sampled_from(["S1", "S2"])
CHANNELS = st.sampled_from(["C1", "C2"])
RULES = st.builds(
    Rule,
    users=st.frozensets(USERS, max_size=2),
    groups=st.frozensets(GROUPS),
    channels=st.frozensets(CHANNELS, max_size=1),
    params=st.dictionaries(st.just("ns"), st.sampled_from([("a",), ("a", "b")]), max_size=1),
    guests=st.booleans(),
    external=st.booleans(),
)
MAYBE = st.none() | st.booleans()
FACTS = st.builds(
    Facts,
    guest=MAYBE,
    external=MAYBE,
    active=MAYBE,
    channel_external=MAYBE,
    memberships=st.dictionaries(GROUPS, st.booleans()),
)
WHERE = st.none() | CHANNELS
PARAMS = st.dictionaries(st.just("ns"), st.sampled_from(["a", "b", "c"]))
CASES = st.tuples(st.lists(RULES, max_size=4), st.sampled_from(["U1", "U2"]), WHERE, PARAMS)


def _decide(case: tuple[list[Rule], str, str | None, dict[str, str]], facts: Facts) -> Decision:
    rules, user_id, channel_id, params = case
    return decide(rules, user_id=user_id, channel_id=channel_id, params=params, facts=facts)


def _completed(facts: Facts, data: st.DataObject) -> Facts:
    """The same facts, with all that is not known learnt."""
    learnt = {
        one.name: data.draw(st.booleans())
        for one in fields(Facts)
        if one.name != "memberships" and getattr(facts, one.name) is None
    }
    groups = {name: data.draw(st.booleans()) for name in ("S1", "S2")}
    return replace(facts, **learnt, memberships=groups | dict(facts.memberships))


@given(CASES, FACTS, st.data())
def test_learning_more_overturns_no_decision(case: Any, facts: Facts, data: st.DataObject) -> None:
    before = _decide(case, facts)
    after = _decide(case, _completed(facts, data))
    if not isinstance(before, Undecided):
        assert type(after) is type(before)


@given(CASES, FACTS, st.data())
def test_only_what_is_not_known_leaves_it_open(
    case: Any, facts: Facts, data: st.DataObject
) -> None:
    assert not isinstance(_decide(case, _completed(facts, data)), Undecided)


@given(CASES, st.data())
def test_undecided_can_still_go_either_way_for_want_of_facts(
    case: Any, data: st.DataObject
) -> None:
    facts = Facts(memberships={})
    if isinstance(_decide(case, facts), Undecided):
        friendly = Facts(
            guest=False,
            external=False,
            active=True,
            channel_external=False,
            memberships={"S1": True, "S2": True},
        )
        assert isinstance(_decide(case, friendly), Allowed)
        assert isinstance(_decide(case, replace(friendly, active=False)), Denied)


@given(st.sampled_from(["U1", "U2"]), WHERE, PARAMS, FACTS)
def test_no_rule_denies_whatever_is_known(
    user_id: str, channel_id: str | None, params: dict[str, str], facts: Facts
) -> None:
    assert _decide(([], user_id, channel_id, params), facts) == Denied(reason=Reason.NO_RULE)


@given(CASES, FACTS)
def test_the_rule_that_admits_admits_by_itself(case: Any, facts: Facts) -> None:
    decision = _decide(case, facts)
    if isinstance(decision, Allowed):
        rules, *rest = case
        assert _decide(([rules[decision.rule]], *rest), facts) == Allowed(rule=0)


@given(CASES, FACTS, RULES)
def test_one_more_rule_takes_nobody_out(case: Any, facts: Facts, more: Rule) -> None:
    rules, *rest = case
    if isinstance(_decide(case, facts), Allowed):
        assert isinstance(_decide(([*rules, more], *rest), facts), Allowed)
