"""Secrets, credentials and tokens, judged."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.diagnosis.finding import State
from tidegate.core.diagnosis.keys import (
    SOON_SECONDS,
    Caller,
    credentials,
    mixed_up,
    no_credentials,
    token,
)

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("slack.bot_token", "xoxb-1-2-3", None),
        ("slack.bot_token", "whatever", None),
        ("slack.bot_token", "xapp-1", "an app-level token"),
        ("slack.bot_token", "xoxp-1", "a user's token"),
        ("slack.bot_token", "xoxe.xoxp-1", "a configuration or refresh token"),
        ("slack.signing_secrets[1]", "8f742231b10e8888abcd99yyyzzz85a5", None),
        ("slack.signing_secrets[0]", "xoxb-1", "a bot token"),
        ("store.password", "xoxb-1", None),
    ],
)
def test_secrets_that_changed_places_are_told(key: str, value: str, told: str | None) -> None:
    found = mixed_up(key, value)
    if told is None:
        assert found is None
    else:
        assert found is not None
        assert found.what == f"{key} holds {told}"
        assert value not in f"{found.what} {found.why} {found.mend}"


def judged(**keys: object) -> list[str]:
    whole: dict[str, object] = {
        "access_key": "ASIAX",
        "temporary": True,
        "left": None,
        "caller": None,
        "renewed": True,
    }
    seen = credentials(**{**whole, **keys})  # type: ignore[arg-type]
    return [each.code for each in seen.findings]


def test_credentials_that_are_taken_are_told_by_whose_they_are() -> None:
    caller = Caller(arn="arn:aws:sts::1:assumed-role/x/y")
    seen = credentials(access_key="ASIAX", temporary=True, left=3600.0, caller=caller, renewed=True)
    assert seen.said == "arn:aws:sts::1:assumed-role/x/y, 60 min left"
    assert seen.findings == ()


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch"])
def test_credentials_that_are_not_taken_are_told(code: str) -> None:
    assert judged(caller=Caller(refusal=code)) == ["credentials.refused"]


def test_what_says_nothing_of_the_keys_is_no_refusal() -> None:
    assert judged(caller=Caller(refusal="Throttling")) == []
    assert judged(caller=None) == []


def test_a_user_s_own_keys_are_told() -> None:
    assert judged(access_key="AKIAX", temporary=False) == ["credentials.of_a_user"]
    assert judged(access_key="AKIAX", temporary=True) == []


@given(st.floats(0, 1e6), st.booleans())
def test_an_end_that_is_near_counts_where_nobody_renews_them(left: float, renewed: bool) -> None:
    expected = [] if renewed or left >= SOON_SECONDS else ["credentials.expire"]
    assert judged(left=left, renewed=renewed) == expected


def test_why_there_are_none_is_told_apart() -> None:
    assert no_credentials("No AWS credentials were found. Give …", role=None).code == (
        "credentials.none"
    )
    assert no_credentials("They did not arrive.", role=None).code == "credentials.unreadable"
    found = no_credentials("AccessDenied", role="arn:aws:iam::1:role/x")
    assert found.code == "credentials.role_refused"
    assert "arn:aws:iam::1:role/x" in found.what


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.sig"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (None, ["token.missing"]),
        ("", ["token.missing"]),
        ("opaque", []),
        ("not.json.here", []),
        (jwt(aud="a"), []),
        (jwt(aud="a", exp=NOW + 60), []),
        (jwt(aud=["b", "a"], exp=NOW + 60), []),
        (jwt(aud="a", exp=NOW), ["token.expired"]),
        (jwt(aud="b", exp=NOW - 1), ["token.expired", "token.other_audience"]),
        (jwt(exp=NOW + 1), ["token.other_audience"]),
        (jwt(aud="a", exp=True), []),
    ],
)
def test_a_token_is_judged_by_what_it_claims(text: str | None, codes: list[str]) -> None:
    seen = token(text, audience="a", now=NOW)
    assert [each.code for each in seen.findings] == codes


def test_an_audience_counts_only_where_one_is_named() -> None:
    assert token(jwt(aud="b"), audience=None, now=NOW).state is State.OK


@given(st.text(max_size=200))
def test_no_token_is_too_strange(text: str) -> None:
    for value in (text, f"e30.{text}.sig"):
        seen = token(value, audience="a", now=NOW)
        assert seen.state in (State.OK, State.WRONG)
        assert len(text) < 12 or text not in str(seen)
