"""The S3 far end's own check, against botocore's signer as the oracle and against tampering."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate_dev.objects import AccessKey
from tidegate_dev.objects.errors import S3Error
from tidegate_dev.objects.signatures import Head, Signed, verified

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TEMPORARY = AccessKey(access_key="ASIADEV", secret_key="dev+secret/1", session_token="dev//t==")
PLAIN = AccessKey(access_key="AKIADEV", secret_key="plain-secret")
KEYS = {key.access_key: key for key in (TEMPORARY, PLAIN)}
HOST = "https://acme-reports.s3.eu-west-1.amazonaws.com"
SHA256 = "x-amz-content-sha256"

NASTY_KEYS = [
    "plain.txt",
    "with space.txt",
    "a+b.txt",
    "100%2Fsure.txt",
    "grün/名前.txt",
    "a//b.txt",
    "/leading",
    "folder/",
    "a/../b",
    "a/./b",
    "quote'(!)*~.txt",
    "semi;colon=&?#.txt",
]
keys = st.one_of(
    st.sampled_from(NASTY_KEYS),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
)
pairs = st.tuples(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
    st.text(st.characters(codec="utf-8"), max_size=6),
)


def url_of(key: str, query: list[tuple[str, str]] | None = None) -> str:
    url = f"{HOST}/{quote(key, safe='/~')}"
    named = [f"{quote(name, safe='-_.~')}={quote(text, safe='-_.~')}" for name, text in query or []]
    return f"{url}?{'&'.join(named)}" if named else url


def by_header(
    url: str = url_of("q3/report.pdf"),
    *,
    key: AccessKey = TEMPORARY,
    at: datetime = NOW,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    region: str = "eu-west-1",
    service: str = "s3",
) -> Head:
    """Return the request as it arrives when botocore has signed its header."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}), data=body)
    credentials = Credentials(key.access_key, key.secret_key, key.session_token)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        S3SigV4Auth(credentials, service, region).add_auth(request)
    return head_of(method, url, dict(request.headers.items()))


def by_query(
    url: str = url_of("q3/report.pdf"),
    *,
    key: AccessKey = TEMPORARY,
    at: datetime = NOW,
    expires: int = 300,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    region: str = "eu-west-1",
) -> Head:
    """Return the request as it arrives when botocore has presigned its address."""
    request = AWSRequest(method=method, url=url, headers=dict(headers or {}))
    credentials = Credentials(key.access_key, key.secret_key, key.session_token)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        S3SigV4QueryAuth(credentials, "s3", region, expires=expires).add_auth(request)
    return head_of(method, request.url, headers or {})


def head_of(method: str, url: str, headers: Mapping[str, str]) -> Head:
    parts = urlsplit(url)
    sent = {"Host": parts.netloc, **headers}
    return Head(
        method=method,
        raw_path=parts.path.encode(),
        raw_query=parts.query.encode(),
        headers=[(name.lower().encode(), text.encode()) for name, text in sent.items()],
    )


def with_header(head: Head, name: str, text: str | None) -> Head:
    kept = [pair for pair in head.headers if pair[0] != name.encode()]
    return replace(head, headers=kept if text is None else [*kept, (name.encode(), text.encode())])


def with_query(head: Head, name: str, text: str | None) -> Head:
    kept = [p for p in head.raw_query.split(b"&") if p.partition(b"=")[0] != name.encode()]
    added = [] if text is None else [f"{name}={quote(text, safe='')}".encode()]
    return replace(head, raw_query=b"&".join([*kept, *added]))


def check(head: Head, now: datetime = NOW) -> Signed:
    signed = verified(head, keys=KEYS, region="eu-west-1", now=now)
    assert signed is not None
    return signed


def refusal(head: Head, now: datetime = NOW) -> str:
    with pytest.raises(S3Error) as raised:
        verified(head, keys=KEYS, region="eu-west-1", now=now)
    return f"{raised.value.status} {raised.value.code}"


@pytest.mark.parametrize("key", [TEMPORARY, PLAIN])
def test_what_botocore_signs_is_accepted(key: AccessKey) -> None:
    signed = check(by_header(key=key, body=b"content", method="PUT"))
    assert signed.key is key
    assert not signed.presigned
    assert len(signed.payload) == 64
    presigned = check(by_query(key=key))
    assert presigned.key is key
    assert presigned.presigned
    assert presigned.payload == "UNSIGNED-PAYLOAD"


@settings(max_examples=examples(200))
@given(key=keys, query=st.lists(pairs, max_size=3), value=st.text("ab \t,=é", max_size=8))
@example(key="a/../b", query=[], value=" a   b ")
@example(key="folder/", query=[("prefix", "a b+c/ü")], value="")
def test_every_key_and_query_that_botocore_signs_is_accepted(
    key: str, query: list[tuple[str, str]], value: str
) -> None:
    check(by_header(url_of(key, query), headers={"x-amz-meta-a": value}))


@settings(max_examples=examples(200))
@given(key=keys, name=st.text(st.characters(codec="utf-8"), max_size=12))
def test_every_key_and_override_that_botocore_presigns_is_accepted(key: str, name: str) -> None:
    query = [("response-content-disposition", f'attachment; filename="{name}"')]
    check(by_query(url_of(key, query)))


@pytest.mark.parametrize("key", NASTY_KEYS)
def test_a_path_that_was_normalised_on_the_way_does_not_match(key: str) -> None:
    head = by_header(url_of(key))
    for other in (b"/other", head.raw_path.replace(b"/", b"//", 1), head.raw_path + b"/"):
        assert refusal(replace(head, raw_path=other)) == "403 SignatureDoesNotMatch"


def test_an_encoding_of_the_same_key_is_not_the_same_path() -> None:
    head = by_header(url_of("a b"))
    assert refusal(replace(head, raw_path=b"/%61%20b")) == "403 SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-security-token", SHA256])
def test_a_signed_header_that_was_changed_does_not_pass(name: str) -> None:
    head = by_header()
    [value] = head.values(name.encode())
    for changed in (value.decode()[:-1] + "0", None):
        assert refusal(with_header(head, name, changed)).startswith(("400", "403"))


def test_another_method_or_query_does_not_match() -> None:
    head = by_header(url_of("k", [("versionId", "1")]))
    assert refusal(replace(head, method="HEAD")) == "403 SignatureDoesNotMatch"
    assert refusal(replace(head, raw_query=b"versionId=2")) == "403 SignatureDoesNotMatch"
    assert refusal(replace(head, raw_query=b"")) == "403 SignatureDoesNotMatch"


def test_a_signature_for_get_does_not_allow_head() -> None:
    assert refusal(replace(by_query(), method="HEAD")) == "403 SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("versionId", "other"),
        ("response-content-type", "text/html"),
        ("X-Amz-Expires", "301"),
        ("X-Amz-Signature", "0" * 64),
        ("X-Amz-Security-Token", "other"),
    ],
)
def test_a_presigned_address_that_was_changed_does_not_match(name: str, text: str) -> None:
    assert refusal(with_query(by_query(), name, text)) == "403 SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["x-amz-checksum-mode", "x-amz-acl", SHA256])
def test_an_amz_header_that_is_not_signed_is_refused(name: str) -> None:
    assert refusal(with_header(by_query(), name, "ENABLED")) == "403 AccessDenied"
    if name != SHA256:
        assert refusal(with_header(by_header(), name, "ENABLED")) == "403 AccessDenied"


def test_a_signed_checksum_mode_is_accepted_in_a_presigned_address() -> None:
    check(by_query(headers={"x-amz-checksum-mode": "ENABLED"}))


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_request_is_good_for_fifteen_minutes(minutes: int) -> None:
    head = by_header()
    assert refusal(head, NOW + timedelta(minutes=minutes)) == "403 RequestTimeTooSkewed"
    check(head, NOW + timedelta(minutes=minutes * 14 / 16))


def test_a_presigned_address_is_good_until_it_expires_and_no_second_longer() -> None:
    head = by_query(expires=300)
    check(head, NOW + timedelta(seconds=300))
    assert refusal(head, NOW + timedelta(seconds=301)) == "403 AccessDenied"
    check(by_query(expires=604_800), NOW + timedelta(days=7))
    assert refusal(head, NOW - timedelta(minutes=16)) == "403 AccessDenied"


@pytest.mark.parametrize("expires", [0, -5, 604_801, 10**9])
def test_an_expiry_that_s3_does_not_know_is_an_error_of_the_query(expires: int) -> None:
    assert refusal(by_query(expires=expires)) == "400 AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    "part",
    [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ],
)
def test_a_query_that_lacks_a_part_is_an_error_of_the_query(part: str) -> None:
    head = by_query()
    assert refusal(with_query(head, part, None)) == "400 AuthorizationQueryParametersError"
    twice = replace(head, raw_query=head.raw_query + f"&{part}=x".encode())
    assert refusal(twice) == "400 AuthorizationQueryParametersError"


def test_another_region_or_service_is_named_as_what_it_is() -> None:
    with pytest.raises(S3Error) as raised:
        check(by_header(region="us-east-1"))
    assert raised.value.code == "AuthorizationHeaderMalformed"
    assert ("Region", "eu-west-1") in raised.value.details
    assert refusal(by_header(service="execute-api")) == "400 AuthorizationHeaderMalformed"
    assert refusal(by_query(region="us-east-1")) == "400 AuthorizationQueryParametersError"


def test_a_key_that_nobody_issued_is_not_in_the_records() -> None:
    stranger = replace(PLAIN, access_key="AKIAOTHER")
    assert refusal(by_header(key=stranger)) == "403 InvalidAccessKeyId"
    assert refusal(by_query(key=stranger)) == "403 InvalidAccessKeyId"
    assert refusal(by_header(key=replace(PLAIN, secret_key="x"))) == "403 SignatureDoesNotMatch"


def test_a_temporary_key_needs_its_own_token() -> None:
    without, wrong = (replace(TEMPORARY, session_token=token) for token in (None, "other"))
    for sign in (by_header, by_query):
        assert refusal(sign(key=without)) == "403 InvalidAccessKeyId"
        assert refusal(sign(key=wrong)) == "400 InvalidToken"
        assert refusal(sign(key=replace(PLAIN, session_token="t"))) == "400 InvalidToken"


def test_a_temporary_key_ends_and_takes_its_presigned_addresses_along() -> None:
    ending = replace(TEMPORARY, expires_at=(NOW + timedelta(seconds=60)).timestamp())
    for head in (by_header(), by_query(expires=3600)):
        verified(head, keys={ending.access_key: ending}, region="eu-west-1", now=NOW)
        later = NOW + timedelta(seconds=60)
        with pytest.raises(S3Error) as raised:
            verified(head, keys={ending.access_key: ending}, region="eu-west-1", now=later)
        assert raised.value.code == "ExpiredToken"


def test_a_request_that_nobody_signed_is_nobody_s() -> None:
    assert verified(head_of("GET", HOST + "/k", {}), keys=KEYS, region="eu-west-1", now=NOW) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": "AWS AKIADEV:c2lnbmF0dXJl"}, ""),
        ({}, "?AWSAccessKeyId=AKIADEV&Signature=c2ln&Expires=1"),
        ({"authorization": "Basic YTpi"}, ""),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=x"}, ""),
        ({"authorization": "AWS4-HMAC-SHA256 \x00\xff"}, "?X-Amz-Algorithm=x"),
    ],
)
def test_any_other_way_to_sign_is_refused(headers: dict[str, str], query: str) -> None:
    assert refusal(head_of("GET", f"{HOST}/k{query}", headers)).startswith("400")


def test_a_header_and_a_query_cannot_both_sign() -> None:
    head = by_query()
    [authorization] = by_header().values(b"authorization")
    both = with_header(head, "authorization", authorization.decode())
    assert refusal(both) == "400 InvalidArgument"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "400 InvalidRequest"),
        ("nonsense", "400 InvalidArgument"),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "501 NotImplemented"),
    ],
)
def test_what_was_signed_for_the_body_must_be_said_and_make_sense(
    text: str | None, code: str
) -> None:
    assert refusal(with_header(by_header(), SHA256, text)) == code


@given(
    authorization=st.binary(max_size=80),
    query=st.binary(max_size=80),
    stamp=st.binary(max_size=20),
)
def test_no_bytes_make_the_check_fall_over(
    authorization: bytes, query: bytes, stamp: bytes
) -> None:
    head = Head(
        method="GET",
        raw_path=b"/\xff",
        raw_query=query,
        headers=[
            (b"host", b"h"),
            (b"x-amz-date", stamp),
            (b"authorization", b"AWS4-HMAC-SHA256 " + authorization),
        ],
    )
    assert refusal(head)
