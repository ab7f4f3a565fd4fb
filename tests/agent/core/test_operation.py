"""The record of a change: written down and read again, decided on, and let go in time."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agent.core.objects import AT, WEB, WHO, deployment, read, template
from tidegate_agent.core import change, operation, record
from tidegate_agent.core.operation import Noted, Operation, Outcome, Phase, Refusal, Step
from tidegate_agent.core.request import ChangeOrder, Deploy, Restart, Scale
from tidegate_agent.core.rules import MIN_KEPT_SECONDS

NOW = read(deployment())
DEPLOY = Deploy(target=WEB, image="web:2.4.1")


def claimed(asked: ChangeOrder = DEPLOY, **more: Any) -> Operation:
    made = operation.claim(asked, WHO, holder="me", now=AT, lease_seconds=30, rollout_seconds=900)
    return replace(made, **more)


def planned(asked: ChangeOrder = DEPLOY) -> Operation:
    plan = change.plan(asked, NOW, who=WHO, at=AT)
    return operation.planned(claimed(asked), plan, lease_until=AT + 30)


def test_a_claim_has_nothing_but_who_asked_for_what_and_until_when() -> None:
    made = claimed()
    assert (made.phase, made.phase.public, made.key) == (Phase.CLAIMED, "pending", "run-1")
    assert (made.lease_until, made.deadline_at) == (AT + 30, AT + 900)
    assert made.location == "/api/v1/deploy/operations/run-1"
    assert made.noted is None


def test_the_name_of_a_record_is_a_name_whatever_the_key_is() -> None:
    for key in ("run-1", "Ä/../..", "x" * 1000, ""):
        name = record.name(key)
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()
    assert record.name("a") != record.name("b")


STEPS = st.lists(
    st.builds(Step, at=st.floats(0, 2e9), text=st.text(max_size=20), level=st.just("info")),
    max_size=4,
).map(tuple)
OPERATIONS = st.builds(
    replace,
    st.sampled_from([claimed(), planned(), planned(Scale(target=WEB, replicas=9))]),
    phase=st.sampled_from(Phase),
    message=st.text(max_size=30),
    steps=STEPS,
    ended_at=st.none() | st.floats(0, 2e9),
    put_off=st.booleans(),
    sent_until=st.floats(0, 2e9),
    body=st.binary(max_size=20),
    refusal=st.none() | st.builds(Refusal, status=st.integers(400, 499), notice=st.text()),
    applied=st.none() | st.just(operation.applied(planned(), NOW, now=AT).applied),
)


@given(OPERATIONS)
def test_a_record_is_read_as_it_was_written(made: Operation) -> None:
    obj = record.to_config_map(made, "tidegate")
    assert all(isinstance(value, str) for value in obj["data"].values())
    obj["metadata"]["resourceVersion"] = "7"
    assert record.from_config_map(json.loads(json.dumps(obj))) == replace(made, version="7")


def test_a_record_is_written_only_in_the_version_that_was_read() -> None:
    assert "resourceVersion" not in record.to_config_map(claimed(), "t")["metadata"]
    obj = record.to_config_map(claimed(version="41"), "t")
    assert obj["metadata"]["resourceVersion"] == "41"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(record._content(planned()))), JSON)
def test_a_record_that_somebody_edited_is_read_or_is_not(member: str, value: Any) -> None:
    content = {**record._content(planned()), member: value}
    obj = {"data": {"operation.json": json.dumps(content)}}
    found = record.from_config_map(obj)
    assert found is None or isinstance(found, Operation)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("lease_until", float("nan")),
        ("lease_until", True),
        ("begun_at", 1e300),
        ("begun_at", -1),
        ("deadline_at", "x"),
        ("ended_at", "yesterday"),
        ("sent_until", float("inf")),
        ("message", 5),
        ("message", "\ud800"),
        ("holder", None),
        ("digest", 3),
        ("subject", {"a": 1}),
        ("groups", [{"a": 1}]),
        ("groups", "SDEV"),
        ("statement", 1),
        ("body", "not base64"),
        ("put_off", 1),
        ("phase", []),
        ("verb", "logs"),
        ("verb", []),
        ("params", []),
        ("steps", {}),
        ("steps", [[1e300, "info", "x"]]),
        ("steps", [[1, "loud", "x"]]),
        ("steps", [[1, "info"]]),
        ("noted", {"x": 1}),
        ("noted", []),
        ("applied", {"generation": "x", "template": "y", "replicas": "z", "at": "q"}),
        ("refusal", {"status": 999, "notice": "x", "field": None}),
        ("refusal", {"status": 200, "notice": "x", "field": None}),
        ("refusal", {"status": "x", "notice": "x", "field": None}),
        ("refusal", {"status": 400, "notice": "x", "field": 1}),
    ],
)
def test_a_record_with_one_member_that_it_cannot_have_is_not_read(member: str, value: Any) -> None:
    content = {**record._content(planned()), member: value}
    assert record.from_config_map({"data": {"operation.json": json.dumps(content)}}) is None


def test_a_record_of_what_changes_nothing_is_not_read() -> None:
    content = {**record._content(planned()), "verb": "status", "params": {"namespace": "staging"}}
    assert record.from_config_map({"data": {"operation.json": json.dumps(content)}}) is None


def test_a_record_of_before_statements_were_kept_is_read_as_one_without() -> None:
    content = record._content(planned())
    for member in ("statement", "body", "sent_until"):
        del content[member]
    found = record.from_config_map({"data": {"operation.json": json.dumps(content)}})
    assert found is not None
    assert (found.who.token, found.body, found.sent_until) == ("", b"", found.lease_until)


@pytest.mark.parametrize(("member", "value"), [("before", []), ("generation", True), ("uid", 1)])
def test_a_plan_with_one_member_that_it_cannot_have_is_not_read(member: str, value: Any) -> None:
    content = record._content(planned())
    content["noted"] = {**content["noted"], member: value}
    assert record.from_config_map({"data": {"operation.json": json.dumps(content)}}) is None


def outcome(asked: ChangeOrder, *traces: dict[str, str], **spec: Any) -> Outcome:
    noted = planned(asked).noted
    assert noted is not None
    return operation.outcome(noted, asked, "run-1", read(deployment(**spec)), traces)


OURS = {"tidegate.dev/run": "run-1"}


@pytest.mark.parametrize(
    ("traces", "spec", "found"),
    [
        ((), {}, Outcome.NOT_MADE),
        ((), {"annotations": OURS}, Outcome.MADE),
        ((), {"annotations": OURS, "generation": 9}, Outcome.MADE),
        ((), {"generation": 5}, Outcome.UNDECIDABLE),
        (({"tidegate.dev/run": "another"},), {"generation": 5}, Outcome.UNDECIDABLE),
        (({"tidegate.dev/run": "another"}, OURS), {"generation": 6}, Outcome.MADE),
    ],
)
def test_a_change_was_made_if_the_workload_or_a_revision_bears_its_run(
    traces: tuple[dict[str, str], ...], spec: dict[str, Any], found: Outcome
) -> None:
    assert outcome(DEPLOY, *traces, **spec) is found
    assert outcome(Restart(target=WEB), *traces, **spec) is found


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({}, Outcome.NOT_MADE),
        ({"generation": 5, "replicas": 7}, Outcome.MADE),
        ({"generation": 5, "replicas": 6}, Outcome.UNDECIDABLE),
        ({"generation": 6, "replicas": 7}, Outcome.UNDECIDABLE),
        ({"generation": 6, "replicas": 3}, Outcome.UNDECIDABLE),
    ],
)
def test_a_scale_was_made_if_the_spec_was_changed_once_to_what_was_asked(
    spec: dict[str, Any], found: Outcome
) -> None:
    assert outcome(Scale(target=WEB, replicas=7), **spec) is found


def test_another_object_of_the_same_name_tells_nothing() -> None:
    noted = planned().noted
    assert isinstance(noted, Noted)
    raw = deployment(annotations=OURS)
    raw["metadata"]["uid"] = "another"
    assert operation.outcome(noted, DEPLOY, "run-1", read(raw), []) is Outcome.UNDECIDABLE


def test_a_later_template_supersedes_a_deploy_and_a_later_number_a_scale() -> None:
    done = operation.applied(planned(), NOW, now=AT)
    assert not operation.superseded(done, read(deployment(replicas=9, generation=8)))
    assert operation.superseded(done, read(deployment(template=template("web:9"))))
    scale = Scale(target=WEB, replicas=7)
    done = operation.applied(planned(scale), NOW, now=AT)
    assert not operation.superseded(done, read(deployment(replicas=7, template=template("web:9"))))
    assert operation.superseded(done, read(deployment(replicas=6)))


def ended(key: str, at: float | None) -> Operation:
    return replace(claimed(), who=replace(WHO, run=key), ended_at=at, deadline_at=AT)


@given(
    st.lists(st.none() | st.floats(AT - 3e6, AT), max_size=20),
    st.integers(0, 10),
    st.floats(MIN_KEPT_SECONDS, 2e6),
)
def test_pruning_keeps_the_newest_and_whatever_is_young(
    ends: list[float | None], most: int, keep: float
) -> None:
    records = [ended(str(place), at) for place, at in enumerate(ends)]
    gone = set(operation.prunable(records, now=AT, keep=keep, most=most))
    kept = [each for each in records if each.key not in gone]
    for each in records:
        age = AT - (each.ended_at if each.ended_at is not None else each.deadline_at)
        if age <= MIN_KEPT_SECONDS:
            assert each in kept
        if age > keep:
            assert each not in kept
    old = [e for e in kept if AT - (e.ended_at or AT) > MIN_KEPT_SECONDS]
    assert len(old) <= most


def test_steps_are_bounded() -> None:
    made = claimed()
    for number in range(100):
        made = operation.told(made, AT, str(number))
    assert len(made.steps) == operation.MAX_STEPS
    assert made.steps[-1].text == "99"
