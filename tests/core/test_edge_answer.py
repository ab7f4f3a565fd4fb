"""What an edge says in a service's place, word by word; a service is not mistaken for one."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import edge_answer, notices, outcome
from tidegate.core.edge_answer import PROMPT_SECONDS, Edge, EdgeAnswer, fault
from tidegate.core.outcome import Verdict
from tidegate.core.remedy import remedy

ARN = "arn:aws:execute-api:eu-west-1:123456789012:abc123/prod/POST/api/v1/deploy"
USER = "arn:aws:sts::123456789012:assumed-role/gateway/tidegate"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method.\n\nThe Canonical String for this request should "
    "have been\n'POST\n/prod\n\nx-amz-security-token:IQoJb3JpZ2lu"
)
BEARER = (
    "'eyJhbGciOi' not a valid key=value pair (missing equal-sign) in Authorization header: "
    "'Bearer eyJhbGciOi'."
)
SKEWED = "Signature expired: 20261128T100000Z is now earlier than 20261128T101500Z"
SCOPED = "Credential should be scoped to a valid region. "
STALE = "The security token included in the request is expired"
STRANGE = "The security token included in the request is invalid."


def message(text: str, key: str = "message") -> bytes:
    return json.dumps({key: text}).encode()


DENIED = message(
    f"User: {USER} is not authorized to perform: execute-api:Invoke on resource: {ARN}", "Message"
)
ANONYMOUS = message(
    f"User: anonymous is not authorized to perform: execute-api:Invoke on resource: {ARN}",
    "Message",
)
LATTICE = (
    b"AccessDeniedException: User: %s is not authorized to perform: vpc-lattice-svcs:Invoke on "
    b"resource: arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-0/api because no "
    b"service-based policy allows the vpc-lattice-svcs:Invoke action"
)
HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


@dataclass(frozen=True)
class Row:
    status: int
    body: bytes
    means: str
    error_type: str = ""
    edge: Edge = "api_gateway"
    signed: bool = True
    server: str = ""
    seconds: float = 0.1


TABLE = [
    # HTTP APIs name no type, or the type of the signature's error
    Row(403, message("Forbidden"), "edge_forbidden"),
    Row(403, message("Forbidden"), "unsigned", signed=False),
    Row(403, message(MISMATCH), "bad_signature"),
    Row(403, message(SKEWED), "clock_skew"),
    Row(403, message(STALE), "expired_credentials"),
    Row(403, message(BEARER), "bad_signature"),
    Row(404, message("Not Found"), "no_route"),
    Row(429, message("Too Many Requests"), "throttled"),
    Row(500, message("Internal Server Error"), "integration_failed"),
    Row(503, message("Service Unavailable"), "link_down"),
    Row(503, message("Service Unavailable"), "integration_timeout", seconds=PROMPT_SECONDS),
    Row(504, message("Endpoint request timed out"), "integration_timeout"),
    Row(413, message("Request Entity Too Large"), "too_large"),
    Row(431, message("Request header fields too large"), "head_too_large"),
    # REST APIs name a type
    Row(
        403,
        message("Missing Authentication Token"),
        "no_route",
        "MissingAuthenticationTokenException",
    ),
    Row(
        403,
        message("Missing Authentication Token"),
        "unsigned",
        "MissingAuthenticationTokenException",
        signed=False,
    ),
    Row(403, message("Missing Authentication Token"), "no_route"),
    Row(403, message("Forbidden"), "edge_forbidden", "ForbiddenException"),
    Row(403, DENIED, "not_permitted", "AccessDeniedException"),
    Row(403, DENIED, "not_permitted", "AccessDeniedException", signed=False),
    Row(403, DENIED, "not_permitted"),
    Row(403, ANONYMOUS, "unsigned", "AccessDeniedException", signed=False),
    Row(403, ANONYMOUS, "not_permitted", "AccessDeniedException"),
    Row(403, message(MISMATCH), "bad_signature", "InvalidSignatureException"),
    Row(403, message("x"), "bad_signature", "IncompleteSignatureException"),
    Row(403, message(SKEWED), "clock_skew", "InvalidSignatureException"),
    Row(
        403,
        message("Signature not yet current: 1 is still later than 0"),
        "clock_skew",
        "InvalidSignatureException",
    ),
    Row(403, message(SCOPED), "wrong_scope", "InvalidSignatureException"),
    Row(403, message(STALE), "expired_credentials", "ExpiredTokenException"),
    Row(403, message(STRANGE), "unknown_credentials", "UnrecognizedClientException"),
    Row(429, message("Limit Exceeded"), "throttled", "LimitExceededException"),
    Row(429, message("slow"), "throttled", "TooManyRequestsException"),
    Row(
        500, message("Internal server error"), "integration_failed", "InternalServerErrorException"
    ),
    Row(503, message("Service Unavailable"), "link_down", "ServiceUnavailableException"),
    Row(
        504,
        message("Network error communicating with endpoint"),
        "integration_failed",
        "GatewayTimeout",
    ),
    Row(
        504,
        message("Endpoint request timed out"),
        "integration_timeout",
        "IntegrationTimeoutException",
    ),
    Row(
        403,
        message("x"),
        "not_permitted",
        "AccessDeniedException:http://internal.amazon.com/coral/",
    ),
    Row(400, message("x"), "edge_refused", "BadRequestException"),
    Row(502, message("x"), "integration_failed", "BadGatewayException"),
    # a header is believed of any place: it was meant to be direct, and is not
    Row(403, message(BEARER), "bad_signature", "IncompleteSignatureException", "", signed=False),
    Row(
        403,
        message("Missing Authentication Token"),
        "unsigned",
        "MissingAuthenticationTokenException",
        edge="",
        signed=False,
    ),
    # VPC Lattice speaks plain text
    Row(403, LATTICE % USER.encode(), "not_permitted", edge="lattice"),
    Row(403, LATTICE % b"anonymous", "unsigned", edge="lattice", signed=False),
    # load balancers name themselves
    Row(503, HTML, "no_target", edge="", server="awselb/2.0"),
    Row(504, HTML, "integration_timeout", edge="", server="awselb/2.0"),
    Row(401, HTML, "token_refused", edge="", server="awselb/2.0", signed=False),
    Row(503, HTML, "no_target", server="awselb/2.0"),
    Row(502, HTML, "", edge="", server="awselb/2.0"),
]


def meaning(row: Row) -> str:
    answer = EdgeAnswer(
        status=row.status,
        error_type=row.error_type,
        server=row.server,
        body=row.body,
        seconds=row.seconds,
    )
    return fault(answer, edge=row.edge, signed=row.signed)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.status}-{row.error_type}-{row.means}")
def test_what_an_edge_means(row: Row) -> None:
    assert meaning(row) == row.means


MEANINGS = (
    {row.means for row in TABLE if row.means}
    | set(edge_answer._BY_TYPE.values())
    | set(edge_answer._BY_MESSAGE.values())
) - {"no_token"}


@pytest.mark.parametrize("word", sorted(MEANINGS))
def test_every_meaning_has_words_for_people_and_a_next_step_for_operators(word: str) -> None:
    assert notices.reason(word)
    assert remedy(word)


@pytest.mark.parametrize("row", [row for row in TABLE if row.means])
def test_what_people_are_told_agrees_with_what_is_done(row: Row) -> None:
    verdict = outcome.of_status(row.status, location=None, fault=row.means)
    perhaps = verdict is Verdict.AMBIGUOUS
    assert ("may or may not have been done" in notices.reason(row.means)) is perhaps
    assert ("Nothing was done." in notices.reason(row.means)) is not perhaps


@pytest.mark.parametrize(
    "body",
    [
        message("the statement has expired"),
        message("Forbidden by policy"),
        b'{"error": "Forbidden"}',
        b"Forbidden",
        b"",
        b'["Forbidden"]',
        b'{"message": 5}',
        b"\xff{",
        b"[" * 5000,
    ],
)
@pytest.mark.parametrize("status", [403, 404, 429, 500, 503, 504])
def test_a_service_that_answers_behind_the_edge_is_heard_itself(body: bytes, status: int) -> None:
    answer = EdgeAnswer(status=status, body=body)
    edges: tuple[Edge, ...] = ("api_gateway", "lattice", "")
    assert [fault(answer, edge=edge, signed=True) for edge in edges] == ["", "", ""]


def test_words_about_signatures_in_a_service_s_own_answer_are_its_own() -> None:
    for status in (400, 401, 409, 422, 500):
        answer = EdgeAnswer(status=status, body=message(SKEWED))
        assert fault(answer, edge="api_gateway", signed=True) == ""


def test_who_says_when_to_come_again_is_the_service() -> None:
    answer = EdgeAnswer(
        status=503, body=message("Service Unavailable"), seconds=9.0, retry_after=True
    )
    assert fault(answer, edge="api_gateway", signed=True) == ""


@given(
    status=st.integers(100, 599),
    error_type=st.text(max_size=40) | st.sampled_from(sorted(edge_answer._BY_TYPE)),
    body=st.binary(max_size=60) | st.text(max_size=60).map(message),
    edge=st.sampled_from(["", "api_gateway", "lattice"]),
    signed=st.booleans(),
    seconds=st.floats(0, 60),
)
def test_it_is_total_and_never_makes_a_success_a_failure(
    status: int, error_type: str, body: bytes, edge: Any, signed: bool, seconds: float
) -> None:
    answer = EdgeAnswer(status=status, error_type=error_type, body=body, seconds=seconds)
    found = fault(answer, edge=edge, signed=signed)
    assert found == "" or (status >= 400 and notices.reason(found) and remedy(found))
    before = outcome.of_status(status, location=None)
    after = outcome.of_status(status, location=None, fault=found)
    # What is perhaps done never becomes what certainly is not.
    assert after is before or after is Verdict.AMBIGUOUS
