"""The edge's own check, against botocore's signer as the oracle and against every tampering."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate.core.sigv4 import Credentials, Signer, wire_url
from tidegate_dev.sigv4_check import (
    IssuedKeys,
    ReceivedRequest,
    Rules,
    Verdict,
    check,
    check_by,
    normal_path,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ISSUED = IssuedKeys(access_key="ASIDEV", secret_key="dev+secret/1", session_token="dev//token==")
PLAIN = IssuedKeys(access_key="AKIDEV", secret_key="plain-secret")
KEYS = {keys.access_key: keys for keys in (ISSUED, PLAIN)}
URL = "https://api.example.com/api/v1/deploy?a=1&b=2"


def received(
    url: str = URL,
    *,
    keys: IssuedKeys = ISSUED,
    region: str = "eu-west-1",
    service: str = "execute-api",
    at: datetime = NOW,
    body: bytes = b'{"a":1}',
    headers: Mapping[str, str] | None = None,
) -> ReceivedRequest:
    """Return the request as it arrives when botocore has signed it."""
    request = AWSRequest(method="POST", url=url, headers=dict(headers or {}), data=body)
    credentials = BotocoreCredentials(keys.access_key, keys.secret_key, keys.session_token)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        SigV4Auth(credentials, service, region).add_auth(request)
    return wire(url, body, dict(request.headers.items()))


def wire(url: str, body: bytes, headers: Mapping[str, str]) -> ReceivedRequest:
    parts = urlsplit(url)
    sent = {"Host": parts.netloc, **headers}
    return ReceivedRequest(
        method="POST",
        raw_path=parts.path.encode(),
        raw_query=parts.query.encode(),
        headers=[(name.lower().encode(), value.encode()) for name, value in sent.items()],
        body=body,
    )


def verdict_on(request: ReceivedRequest, now: datetime = NOW) -> Verdict:
    return check(request, issued=KEYS, region="eu-west-1", service="execute-api", now=now)


def with_header(request: ReceivedRequest, name: str, value: str | None) -> ReceivedRequest:
    kept = [pair for pair in request.headers if pair[0] != name.encode()]
    return replace(
        request, headers=kept if value is None else [*kept, (name.encode(), value.encode())]
    )


def header(request: ReceivedRequest, name: str) -> str:
    [value] = request.values(name.encode())
    return value.decode()


@pytest.mark.parametrize("keys", [ISSUED, PLAIN])
def test_what_botocore_signed_is_accepted(keys: IssuedKeys) -> None:
    verdict = verdict_on(received(keys=keys))
    assert verdict.accepted
    assert verdict.keys is keys
    assert verdict.canonical_request.startswith("POST\n/api/v1/deploy\na=1&b=2\n")
    assert verdict.string_to_sign.startswith("AWS4-HMAC-SHA256\n20261122T120000Z\n20261122/eu-")


pieces = st.one_of(
    st.sampled_from(["", ".", "..", "a b", "100%", "%2F", "ü", "名", "a+b", "*", "'"]),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=5),
)
pairs = st.tuples(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
    st.text(st.characters(codec="utf-8"), max_size=4),
)


@settings(max_examples=examples(150))
@given(
    path=st.lists(pieces, max_size=5).map("/".join),
    query=st.lists(pairs, max_size=4),
    value=st.text("ab \t,=é", max_size=8),
    body=st.binary(max_size=30),
)
@example(path="", query=[], value=" a   b ", body=b"")
def test_every_encoding_that_botocore_signs_is_accepted(
    path: str, query: list[tuple[str, str]], value: str, body: bytes
) -> None:
    url = "https://api.example.com/" + quote(path, safe="/~")
    if query:
        url += "?" + "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query)
    assert verdict_on(received(url, headers={"X-A": value}, body=body)).message == ""


@settings(max_examples=examples(150))
@given(
    path=st.lists(pieces, max_size=5).map("/".join),
    query=st.lists(pairs, max_size=4),
    body=st.binary(max_size=30),
)
def test_what_our_signer_signs_is_accepted(
    path: str, query: list[tuple[str, str]], body: bytes
) -> None:
    url = wire_url("https://api.example.com", path, query)
    headers = Signer().sign(
        method="POST",
        url=url,
        headers={"Content-Type": "application/json"},
        body=body,
        credentials=Credentials(
            access_key=ISSUED.access_key, secret_key=ISSUED.secret_key, token=ISSUED.session_token
        ),
        region="eu-west-1",
        service="execute-api",
        now=NOW,
    )
    request = wire(url, body, {"Content-Type": "application/json", **headers})
    assert verdict_on(request).message == ""


def test_an_unsigned_request_is_told_apart_from_a_badly_signed_one() -> None:
    verdict = verdict_on(with_header(received(), "authorization", None))
    assert not verdict.accepted
    assert verdict.error_type == ""


@pytest.mark.parametrize(
    "tampering",
    [
        {"body": b'{"a":2}'},
        {"body": b""},
        {"method": "PUT"},
        {"raw_path": b"/api/v1/scale"},
        {"raw_path": b"/api/v1/deploy/"},
        {"raw_path": b"/api/v1/deplo%79"},
        {"raw_query": b"a=1&b=3"},
        {"raw_query": b"a=1"},
        {"raw_query": b"a=1&b=2&c="},
    ],
)
def test_a_request_changed_on_the_way_is_rejected(tampering: dict[str, Any]) -> None:
    verdict = verdict_on(replace(received(), **tampering))
    assert verdict.error_type == "InvalidSignatureException"
    assert "does not match the signature you provided" in verdict.message


def test_the_order_of_the_query_does_not_matter_but_its_content_does() -> None:
    assert verdict_on(replace(received(), raw_query=b"b=2&a=1")).accepted


def test_spellings_of_one_path_are_one_path() -> None:
    assert verdict_on(replace(received(), raw_path=b"//api/./v1/x/../deploy")).accepted


@pytest.mark.parametrize("name", ["host", "x-a", "content-type", "x-amz-date"])
def test_a_signed_header_that_was_changed_is_rejected(name: str) -> None:
    request = received(headers={"X-A": "1", "Content-Type": "application/json"})
    changed = "20261122T120001Z" if name == "x-amz-date" else "other"
    assert verdict_on(request).accepted
    verdict = verdict_on(with_header(request, name, changed))
    assert verdict.error_type == "InvalidSignatureException"


def test_a_signed_header_that_is_gone_is_rejected() -> None:
    verdict = verdict_on(with_header(received(headers={"X-A": "1"}), "x-a", None))
    assert "'x-a' is not in the request" in verdict.message


def test_a_header_added_after_the_signature_is_harmless() -> None:
    assert verdict_on(with_header(received(), "traceparent", "00-1-1-01")).accepted


def test_an_amz_header_added_after_the_signature_is_rejected() -> None:
    verdict = verdict_on(with_header(received(), "x-amz-target", "Other"))
    assert "'x-amz-target' must be a 'SignedHeader'" in verdict.message


def test_a_host_that_was_not_signed_is_rejected() -> None:
    request = received()
    bare = header(request, "authorization").replace("SignedHeaders=host;", "SignedHeaders=")
    verdict = verdict_on(with_header(request, "authorization", bare))
    assert "'host' must be a 'SignedHeader'" in verdict.message


@pytest.mark.parametrize(
    ("claimed", "told"),
    [
        ({"region": "us-east-1"}, "valid region"),
        ({"service": "s3"}, "correct service: 'execute-api'"),
    ],
)
def test_a_signature_for_elsewhere_is_rejected(claimed: dict[str, Any], told: str) -> None:
    verdict = verdict_on(received(**claimed))
    assert verdict.error_type == "InvalidSignatureException"
    assert told in verdict.message


@pytest.mark.parametrize(
    ("minutes", "told"), [(-6, "Signature expired"), (6, "Signature not yet current")]
)
def test_a_clock_more_than_five_minutes_off_is_told(minutes: int, told: str) -> None:
    verdict = verdict_on(received(at=NOW + timedelta(minutes=minutes)))
    assert verdict.error_type == "InvalidSignatureException"
    assert verdict.message.startswith(told)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_five_minutes_off_is_fine(minutes: int) -> None:
    assert verdict_on(received(at=NOW + timedelta(minutes=minutes))).accepted


def test_the_scope_must_be_of_the_day_of_the_signature() -> None:
    request = received()
    other = header(request, "authorization").replace("/20261122/", "/20261121/")
    verdict = verdict_on(with_header(request, "authorization", other))
    assert "Date in Credential scope does not match" in verdict.message


@pytest.mark.parametrize("stamp", [None, "", "2026-11-22", "20261322T120000Z"])
def test_a_date_that_is_none_is_rejected(stamp: str | None) -> None:
    request = received()
    if stamp == "20261322T120000Z":
        other = header(request, "authorization").replace("/20261122/", "/20261322/")
        request = with_header(request, "authorization", other)
    verdict = verdict_on(with_header(request, "x-amz-date", stamp))
    assert verdict.error_type == "IncompleteSignatureException"


def test_a_key_that_was_never_issued_is_rejected() -> None:
    verdict = verdict_on(received(keys=IssuedKeys(access_key="AKOTHER", secret_key="x")))
    assert verdict.error_type == "UnrecognizedClientException"


def test_a_wrong_secret_is_rejected() -> None:
    verdict = verdict_on(received(keys=replace(ISSUED, secret_key="other")))
    assert "does not match the signature you provided" in verdict.message


@pytest.mark.parametrize("token", [None, "another", ""])
def test_a_missing_or_foreign_session_token_is_rejected(token: str | None) -> None:
    verdict = verdict_on(received(keys=replace(ISSUED, session_token=token)))
    assert verdict.error_type == "UnrecognizedClientException"


def test_a_token_with_keys_that_have_none_is_rejected() -> None:
    verdict = verdict_on(received(keys=replace(PLAIN, session_token="made-up")))
    assert verdict.error_type == "UnrecognizedClientException"


def test_a_token_taken_off_after_the_signature_is_rejected() -> None:
    assert not verdict_on(with_header(received(), "x-amz-security-token", None)).accepted


def test_a_false_content_hash_is_rejected_even_when_it_was_signed() -> None:
    body = b"real"
    false = hashlib.sha256(b"other").hexdigest()
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = (
        f"POST\n/\n\nhost:h\nx-amz-content-sha256:{false}\nx-amz-date:20261122T120000Z\n\n{names}\n"
        f"{hashlib.sha256(body).hexdigest()}"
    )
    scope = "20261122/eu-west-1/execute-api/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n20261122T120000Z\n{scope}\n{digest}"
    key = f"AWS4{PLAIN.secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={PLAIN.access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={key.hex()}"
    )
    headers = {"x-amz-date": "20261122T120000Z", "Authorization": authorization}
    request = wire("https://h/", body, {**headers, "x-amz-content-sha256": false})
    assert "x-amz-content-sha256" in verdict_on(request).message


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer abc",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request",
        "AWS4-HMAC-SHA256 Credential=ASIDEV, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=ASIDEV/20261122/eu-west-1/execute-api/aws4_request, "
        "SignedHeaders=host, Signature=00, Signature=01",
        "AWS4-HMAC-SHA256 Credential=ASIDEV/20261122/eu-west-1/execute-api/aws4_request, "
        "SignedHeaders=x-amz-date;host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=ASIDEV/20261122/eu-west-1/execute-api/aws4_request, "
        "SignedHeaders=host;host;x-amz-date, Signature=00",
        "AWS4-HMAC-SHA1 Credential=ASIDEV/20261122/eu-west-1/execute-api/aws4_request, "
        "SignedHeaders=host, Signature=00",
    ],
)
def test_an_authorization_that_is_not_well_formed_is_rejected(authorization: str) -> None:
    verdict = verdict_on(with_header(received(), "authorization", authorization))
    assert verdict.error_type == "IncompleteSignatureException"


def test_two_authorizations_are_one_too_many() -> None:
    request = received()
    twice = [*request.headers, (b"authorization", header(request, "authorization").encode())]
    assert not verdict_on(replace(request, headers=twice)).accepted


def test_of_two_hosts_neither_is_believed_though_both_were_signed() -> None:
    request = received(headers={"Host": "api.example.com,other.example.com"})
    assert verdict_on(request).accepted
    kept = [pair for pair in request.headers if pair[0] != b"host"]
    hosts = [(b"host", b"api.example.com"), (b"host", b"other.example.com")]
    verdict = verdict_on(replace(request, headers=[*hosts, *kept]))
    assert verdict.message == "The request names more than one 'Host'."


@pytest.mark.parametrize(("ahead", "accepted"), [(-1, True), (0, False), (1, False)])
def test_keys_are_good_until_they_end(ahead: int, accepted: bool) -> None:
    ends = replace(ISSUED, expires_at=NOW.timestamp() - ahead)
    verdict = check(
        received(),
        issued={ends.access_key: ends},
        region="eu-west-1",
        service="execute-api",
        now=NOW,
    )
    assert verdict.accepted is accepted
    assert verdict.error_type == ("" if accepted else "ExpiredTokenException")


def test_who_does_not_know_the_secret_does_not_learn_that_a_session_is_over() -> None:
    ends = replace(ISSUED, expires_at=0.0)
    rules = Rules(region="eu-west-1", service="execute-api")
    request = received(keys=replace(ISSUED, secret_key="other"))
    verdict = check_by(rules, request, issued={ends.access_key: ends}, now=NOW)
    assert verdict.error_type == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("minutes", "told"), [(-16, "- 15 min.)"), (16, "+ 15 min.)"), (-14, ""), (14, "")]
)
def test_some_services_let_clocks_be_further_apart(minutes: int, told: str) -> None:
    rules = Rules(region="eu-west-1", service="sts", max_skew=timedelta(minutes=15))
    request = received(service="sts", at=NOW + timedelta(minutes=minutes))
    assert verdict_by(rules, request).message.endswith(told)
    assert verdict_by(rules, request).accepted is (told == "")


def verdict_by(rules: Rules, request: ReceivedRequest) -> Verdict:
    return check_by(rules, request, issued=KEYS, now=NOW)


@settings(max_examples=examples(200))
@given(
    authorization=st.binary(max_size=120), date=st.binary(max_size=20), path=st.binary(max_size=20)
)
def test_whatever_comes_in_the_check_answers(
    authorization: bytes, date: bytes, path: bytes
) -> None:
    fields = [(b"authorization", authorization), (b"x-amz-date", date), (b"host", b"\xff")]
    request = ReceivedRequest(
        method="POST", raw_path=path, raw_query=path, headers=fields, body=b""
    )
    assert not verdict_on(request).accepted


def test_the_published_get_vanilla_vector_is_accepted() -> None:
    keys = IssuedKeys(
        access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    )
    request = ReceivedRequest(
        method="GET",
        raw_path=b"/",
        raw_query=b"",
        headers=[
            (b"host", b"example.amazonaws.com"),
            (b"x-amz-date", b"20150830T123600Z"),
            (
                b"authorization",
                b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                b"SignedHeaders=host;x-amz-date, Signature="
                b"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ],
        body=b"",
    )
    verdict = check(
        request,
        issued={keys.access_key: keys},
        region="us-east-1",
        service="service",
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )
    assert verdict.accepted
    digest = "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63"
    assert verdict.string_to_sign.endswith(digest)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (b"/a/b", b"/a/b"),
        (b"//a///b/", b"/a/b/"),
        (b"/a/./../b", b"/b"),
        (b"/..", b"/"),
        (b"", b"/"),
        (b"/a/", b"/a/"),
    ],
)
def test_a_path_has_one_normal_spelling(raw: bytes, normal: bytes) -> None:
    assert normal_path(raw) == normal


def test_no_secret_is_in_a_representation() -> None:
    assert ISSUED.secret_key not in repr(ISSUED)
    assert str(ISSUED.session_token) not in repr(ISSUED)
