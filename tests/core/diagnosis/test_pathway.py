"""What a pathway's settings and answers mean."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import remedy
from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.pathway import (
    WORDS,
    Answer,
    Kind,
    Way,
    answered,
    settings,
    unanswered,
    unsigned,
)

WAY = Way(
    kind=Kind.API_GATEWAY,
    url="https://abc.execute-api.eu-west-1.amazonaws.com/prod",
    timeout_seconds=25,
    signed=("execute-api", "eu-west-1"),
    paths=("/api/v1/deploy", "/api/v1/scale"),
)
ANONYMOUS = (
    b'{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: r"}'
)
#: What the edge itself answers with, in one word each.
FAULTS = (
    "unsigned",
    "bad_signature",
    "clock_skew",
    "expired_credentials",
    "unknown_credentials",
    "edge_forbidden",
    "edge_refused",
    "token_refused",
    "no_route",
    "throttled",
    "link_down",
    "integration_timeout",
    "integration_failed",
    "no_target",
    "too_large",
    "head_too_large",
)


def way(**keys: object) -> Way:
    return Way(**{**{name: getattr(WAY, name) for name in WAY.__slots__}, **keys})


def codes(**keys: object) -> list[str]:
    return [each.code for each in settings(way(**keys)).findings]


def test_settings_that_agree_are_told_in_short() -> None:
    seen = settings(WAY)
    assert seen.findings == ()
    assert seen.said == (
        "api_gateway to https://abc.execute-api.eu-west-1.amazonaws.com/prod, "
        "signed for execute-api in eu-west-1"
    )
    assert "signed" not in settings(way(signed=None)).said


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"signed": ("lambda", "eu-west-1")}, "pathway.other_service"),
        (
            {"url": "https://x.vpc-lattice-svcs.eu-west-1.on.aws"},
            "pathway.other_service",
        ),
        (
            {"url": "https://10.0.0.7", "host": "x.vpc-lattice-svcs.eu-west-1.on.aws:443"},
            "pathway.other_service",
        ),
        ({"url": "https://api.acme.io/prod//v1"}, "pathway.doubled_slash"),
        ({"url": "https://api.acme.io/prod//"}, "pathway.doubled_slash"),
        ({"url": "https://api.acme.io/api"}, "pathway.doubled_path"),
        ({"url": "https://api.acme.io/api/v1/"}, "pathway.doubled_path"),
    ],
)
def test_settings_that_contradict_each_other_are_named(keys: dict[str, object], code: str) -> None:
    assert codes(**keys) == [code]


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "https://api.acme.io/prod/"},  # the slash at the end is ours to see to
        {"url": "https://api.acme.io/api", "paths": ("/api/v1/deploy", "/other")},
        {"url": "https://api.acme.io/ap"},
        {"url": "https://api.acme.io/api", "paths": ()},
        {"url": "https://10.0.0.1", "signed": ("vpc-lattice-svcs", "eu-west-1")},
    ],
)
def test_what_is_only_unusual_is_not(keys: dict[str, object]) -> None:
    assert codes(**keys) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_word_for_what_an_edge_means_has_a_finding_of_its_own(fault: str) -> None:
    assert remedy.remedy(fault), "no such word"
    found = answered(WAY, Answer(status=403, fault=fault), agent=True)
    assert found is not None
    assert found.code == f"pathway.{fault}"


def test_a_word_that_is_not_known_yet_is_a_refusal_all_the_same() -> None:
    found = answered(WAY, Answer(status=403, fault="something_new"), agent=True)
    assert found is not None
    assert found.code == "pathway.edge_refused"


@pytest.mark.parametrize(
    ("fault", "message", "code", "part"),
    [
        (
            "wrong_scope",
            "Credential should be scoped to a valid region. This one is 'us-east-1'.",
            "pathway.wrong_region",
            "eu-west-1",
        ),
        (
            "wrong_scope",
            "Credential should be scoped to correct service: 'execute-api'.",
            "pathway.wrong_service",
            "execute-api",
        ),
        (
            "not_permitted",
            "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: "
            "execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:1:a/prod/GET/api",
            "pathway.not_permitted",
            "arn:aws:sts::1:assumed-role/x/y may not invoke arn:aws:execute-api",
        ),
        (
            "not_permitted",
            "User: u is not authorized to perform: execute-api:Invoke on resource: r "
            "with an explicit deny in a resource-based policy",
            "pathway.denied",
            "denies u to invoke r",
        ),
        ("not_permitted", "no", "pathway.not_permitted", "the gateway may not invoke the API"),
    ],
)
def test_what_an_edge_says_under_one_word_is_told_apart(
    fault: str, message: str, code: str, part: str
) -> None:
    for key in ("message", "Message"):
        body = json.dumps({key: message}).encode()
        found = answered(WAY, Answer(status=403, fault=fault, body=body), agent=True)
        assert found is not None
        assert found.code == code
        assert part in found.what


def test_a_message_that_is_no_json_is_read_as_it_stands() -> None:
    # So speaks VPC Lattice.
    body = b"AccessDeniedException: User: u is not authorized to perform: x:Invoke on resource: r"
    found = answered(WAY, Answer(status=403, fault="not_permitted", body=body), agent=True)
    assert found is not None
    assert "u may not invoke r" in found.what


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, None),
        (204, None),
        (404, None),
        (405, None),
        (302, "pathway.leads_elsewhere"),
        (401, "pathway.refused"),
        (403, "pathway.refused"),
        (500, "pathway.service_fails"),
        (503, "pathway.service_fails"),
    ],
)
def test_any_answer_of_a_service_that_is_well_will_do(status: int, code: str | None) -> None:
    answer = Answer(status=status, body=b'{"status": "whatever"}')
    found = answered(WAY, answer, agent=True)
    assert (found.code if found else None) == code
    # Of a service that is not the agent no more is known than that it was reached.
    other = answered(WAY, answer, agent=False)
    mild = {"pathway.refused": "pathway.question_refused"}
    mild["pathway.service_fails"] = "pathway.question_failed"
    assert (other.code if other else None) == mild.get(code or "", code)
    assert other is None or other.grave == (other.code == code)


@pytest.mark.parametrize(
    ("status", "body", "closed"),
    [
        (403, b'{"message":"Forbidden"}', True),
        (403, b'{"message":"Missing Authentication Token"}', True),
        (403, ANONYMOUS, True),
        (404, b'{"message":"Not Found"}', True),
        (429, b'{"message":"Too Many Requests"}', True),
        (200, b"{}", False),
        (202, b'{"message":"taken","status":"ok"}', False),
        (401, b'{"message":"The request does not prove who asked.","status":"refused"}', False),
        (404, b'{"message":"There is no such operation.","status":"refused"}', False),
        # It got past the gate, and then there was nothing behind it.
        (503, b'{"message":"Service Unavailable"}', False),
        (504, b'{"message":"Endpoint request timed out"}', False),
    ],
)
def test_a_gate_is_closed_only_if_it_says_so_itself(status: int, body: bytes, closed: bool) -> None:
    seen = unsigned(WAY, Answer(status=status, body=body))
    assert (seen.state is State.OK) == closed
    if not closed:
        assert [each.code for each in seen.findings] == ["pathway.open_to_the_world"]


def test_a_lattice_service_that_is_open_is_open_to_its_network() -> None:
    lattice = way(kind=Kind.PRIVATELINK, signed=("vpc-lattice-svcs", "eu-west-1"))
    assert lattice.gated
    assert not way(signed=None).gated
    found = unsigned(lattice, Answer(status=200)).findings
    assert [each.code for each in found] == ["pathway.open_to_the_network"]


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("timeout", "pathway.timeout"),
        ("no_answer", "pathway.no_answer"),
        ("private_address", "pathway.not_sent"),
        ("something_new", "pathway.not_sent"),
    ],
)
def test_a_request_that_got_no_answer_is_told_by_its_reason(reason: str, code: str) -> None:
    found = unanswered(reason, seconds=8.0)
    assert found.code == code
    assert found.mend


@given(st.integers(100, 599), st.binary(max_size=200), st.sampled_from(["", *FAULTS]))
def test_no_answer_is_too_strange(status: int, body: bytes, fault: str) -> None:
    answer = Answer(status=status, body=body, fault=fault)
    for agent in (True, False):
        found = answered(WAY, answer, agent=agent)
        assert found is None or found.code in WORDS
    assert unsigned(WAY, answer).state in (State.OK, State.WRONG)
