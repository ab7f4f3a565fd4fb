"""The signer against two independent oracles: botocore's and the AWS Common Runtime's."""

import hashlib
import hmac
import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch

import pytest
from awscrt import auth as crt_auth
from awscrt import http as crt_http
from botocore.auth import SIGNED_HEADERS_BLACKLIST, S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate.core.sigv4 import MAX_CACHED_KEYS, Credentials, Signer, wire_url

NOW = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)
BASE = "https://abc123.execute-api.eu-west-1.amazonaws.com"
KEYS = Credentials(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = Credentials(access_key="ASIDEXAMPLE", secret_key="s3cr+t/key", token="IQoJb3JpZ2lu//==")


def signed(
    url: str = f"{BASE}/api/v1/deploy",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"{}",
    credentials: Credentials = KEYS,
    region: str = "eu-west-1",
    service: str = "execute-api",
    now: datetime = NOW,
    signer: Signer | None = None,
    unsigned_payload: bool = False,
) -> dict[str, str]:
    return (signer or Signer()).sign(
        method=method,
        url=url,
        headers=headers or {},
        body=body,
        credentials=credentials,
        region=region,
        service=service,
        now=now,
        unsigned_payload=unsigned_payload,
    )


def botocore_authorization(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    service: str = "execute-api",
    region: str = "eu-west-1",
    now: datetime = NOW,
    unsigned_payload: bool = False,
) -> str:
    request = AWSRequest(method=method, url=url, headers=dict(headers), data=body)
    digest = "UNSIGNED-PAYLOAD" if unsigned_payload else hashlib.sha256(body).hexdigest()
    request.headers["X-Amz-Content-SHA256"] = digest
    keys = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    oracle = S3SigV4Auth if service == "s3" else SigV4Auth
    with patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        oracle(keys, service, region).add_auth(request)
    return str(request.headers["Authorization"])


def crt_authorization(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    service: str = "execute-api",
    region: str = "eu-west-1",
    now: datetime = NOW,
    unsigned_payload: bool = False,
) -> str:
    host, slash, rest = url.removeprefix("https://").partition("/")
    config = crt_auth.AwsSigningConfig(
        algorithm=crt_auth.AwsSigningAlgorithm.V4,
        signature_type=crt_auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=crt_auth.AwsCredentialsProvider.new_static(
            credentials.access_key, credentials.secret_key, credentials.token
        ),
        region=region,
        service=service,
        date=now,
        should_sign_header=lambda name: name.lower() not in SIGNED_HEADERS_BLACKLIST,
        use_double_uri_encode=service != "s3",
        should_normalize_uri_path=service != "s3",
        signed_body_header_type=crt_auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        signed_body_value="UNSIGNED-PAYLOAD" if unsigned_payload else None,
    )
    fields = list(headers.items())
    if "host" not in {name.lower() for name in headers}:
        fields.append(("host", host))
    request = crt_http.HttpRequest(
        method=method,
        path=slash + rest or "/",
        headers=crt_http.HttpHeaders(fields),
        body_stream=io.BytesIO(body) if body else None,
    )
    answer: Any = crt_auth.aws_sign_request(request, config).result(10)
    return str(dict(answer.headers)["Authorization"])


segments = st.one_of(
    st.sampled_from(
        ["", ".", "..", "a b", "100%", "%2F", "deploy", "a+b", "ü", "名前", "🚢", "~x", "a;b@c"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=6),
)
paths = st.lists(segments, max_size=5).map("/".join)
words = st.text(st.characters(codec="utf-8"), max_size=5)
queries = st.lists(
    st.tuples(st.one_of(st.sampled_from(["a", "a-", "a.", "A", "b c"]), words.filter(bool)), words),
    max_size=5,
)
header_values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from(["\t", " ", "é"]),
    max_size=20,
)
signed_names = [
    "Content-Type",
    "X-Request-Id",
    "idempotency-key",
    "X-AMZ-Thing",
    "Tidegate-Identity",
]
unsigned_names = ["traceparent", "User-Agent", "X-Amzn-Trace-Id", "Connection", "te", "Baggage"]
headers_sent = st.dictionaries(st.sampled_from([*signed_names, *unsigned_names]), header_values)
credentials = st.builds(
    Credentials,
    access_key=st.text("ABCDEFGHIJ234567", min_size=4, max_size=20),
    secret_key=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    token=st.none() | st.text("abcXYZ019+/=", min_size=1, max_size=60),
)
times = st.integers(946_684_800, 4_070_908_800).map(lambda s: datetime.fromtimestamp(s, UTC))


@settings(max_examples=examples(300))
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=paths,
    query=queries,
    headers=headers_sent,
    body=st.binary(max_size=60),
    keys=credentials,
    now=times,
)
def test_the_authorization_equals_both_oracles(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    keys: Credentials,
    now: datetime,
) -> None:
    url = wire_url(BASE, path, query)
    ours = signed(url, method=method, headers=headers, body=body, credentials=keys, now=now)
    theirs = botocore_authorization(method, url, headers, body, keys, now=now)
    assert ours["Authorization"] == theirs
    assert ours["Authorization"] == crt_authorization(method, url, headers, body, keys, now=now)


labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
hosts = st.one_of(
    labels.map("{}.execute-api.eu-west-1.amazonaws.com".format),
    labels.map("vpce-0{}.execute-api.eu-west-1.vpce.amazonaws.com".format),
    labels.map("{}-0abc.7d67968.vpc-lattice-svcs.eu-west-1.on.aws".format),
    st.tuples(labels, st.integers(1024, 65535)).map(lambda pair: f"{pair[0]}.internal:{pair[1]}"),
)


@settings(max_examples=examples(200))
@given(
    url_host=hosts,
    host=st.none() | hosts,
    api_id=st.none() | labels,
    service=st.sampled_from(["execute-api", "vpc-lattice-svcs", "lambda"]),
    region=st.sampled_from(["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"]),
    path=paths,
    headers=headers_sent,
    body=st.binary(max_size=60),
    keys=credentials,
    now=times,
)
def test_every_pathway_s_signature_equals_both_oracles(
    url_host: str,
    host: str | None,
    api_id: str | None,
    service: str,
    region: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    keys: Credentials,
    now: datetime,
) -> None:
    """Another Host than the url's, a private API's id, VPC Lattice without the body."""
    url = wire_url(f"https://{url_host}", path)
    whole = {**headers, **({"x-apigw-api-id": api_id} if api_id else {})}
    whole |= {"Host": host} if host else {}
    unsigned = service == "vpc-lattice-svcs"
    found = signed(
        url,
        headers=whole,
        body=body,
        credentials=keys,
        service=service,
        region=region,
        now=now,
        unsigned_payload=unsigned,
    )
    given_to = ("POST", url, whole, body, keys, service, region, now, unsigned)
    assert found["Authorization"] == botocore_authorization(*given_to)
    assert found["Authorization"] == crt_authorization(*given_to)
    assert (found["X-Amz-Content-Sha256"] == "UNSIGNED-PAYLOAD") is unsigned


@settings(max_examples=examples(100))
@given(
    path=paths, query=queries, headers=headers_sent, body=st.binary(max_size=60), keys=credentials
)
def test_s3_paths_are_signed_as_they_stand(
    path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes, keys: Credentials
) -> None:
    url = wire_url("https://bucket.s3.eu-west-1.amazonaws.com", path, query)
    ours = signed(url, headers=headers, body=body, credentials=keys, service="s3")["Authorization"]
    assert ours == botocore_authorization("POST", url, headers, body, keys, "s3")
    assert ours == crt_authorization("POST", url, headers, body, keys, "s3")


@settings(max_examples=examples(200))
@given(
    query=st.text("ab=&+-/.~*'%", max_size=12).map(lambda q: q.replace("%", "%2f")),
    # No colon: the Runtime's own parser takes `:/` in a path for the end of a scheme.
    path=st.text("ab/.~%+;@*'", max_size=12).map(lambda p: p.replace("%", "%e2")),
)
def test_a_url_encoded_by_someone_else_is_signed_by_the_letter_of_the_specification(
    query: str, path: str
) -> None:
    # botocore leaves a ready query alone, which AWS accepts only when it is canonical already.
    url = f"{BASE}/{path}?{query}"
    ours = signed(url, credentials=TEMPORARY)["Authorization"]
    assert ours == crt_authorization("POST", url, {}, b"{}", TEMPORARY)


@pytest.mark.parametrize(
    "path",
    [
        "a b",
        "100%",
        "%2F",
        "名前/🚢",
        "//a//b//",
        "a/./b",
        "a/../b/",
        "..",
        "../..",
        "a/.",
        "a/..",
        "",
    ],
)
@pytest.mark.parametrize("query", [[], [("x", "")], [("x", "2"), ("x", "1")], [("a b", "ü&=+/")]])
def test_the_hard_urls_equal_both_oracles(path: str, query: list[tuple[str, str]]) -> None:
    url = wire_url(f"{BASE}/stage", path, query)
    ours = signed(url, credentials=TEMPORARY)["Authorization"]
    assert ours == botocore_authorization("POST", url, {}, b"{}", TEMPORARY)
    assert ours == crt_authorization("POST", url, {}, b"{}", TEMPORARY)


def test_the_published_get_vanilla_vector_holds() -> None:
    # aws4_testsuite/get-vanilla: GET / with host and x-amz-date. We bind the body hash on top, so
    # the published string to sign is put to the key we derived for the published scope.
    signer = Signer()
    vanilla = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    signed(signer=signer, region="us-east-1", service="service", now=vanilla)
    [key] = signer._keys.values()
    to_sign = (
        b"AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
        b"bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63"
    )
    published = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    assert hmac.digest(key, to_sign, "sha256").hex() == published


def test_the_returned_headers_are_the_ones_that_were_signed() -> None:
    headers = signed(credentials=TEMPORARY, body=b"hello")
    assert headers.keys() == {
        "Authorization",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
    }
    assert headers["X-Amz-Date"] == "20261122T123456Z"
    assert headers["X-Amz-Security-Token"] == TEMPORARY.token
    assert headers["X-Amz-Content-Sha256"] == hashlib.sha256(b"hello").hexdigest()
    names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
    assert names in headers["Authorization"]


def test_no_token_header_goes_out_without_a_token() -> None:
    assert "X-Amz-Security-Token" not in signed(headers={"x-amz-security-token": "left over"})


def test_an_unsigned_payload_is_the_same_for_every_body() -> None:
    one = signed(body=b"one", unsigned_payload=True, service="vpc-lattice-svcs")
    assert one == signed(body=b"two", unsigned_payload=True, service="vpc-lattice-svcs")
    assert one["X-Amz-Content-Sha256"] == "UNSIGNED-PAYLOAD"


def test_tracing_headers_may_change_after_the_signature() -> None:
    traced = {"traceparent": "00-1-1-01", "tracestate": "a=b", "Baggage": "c=d", "User-Agent": "x"}
    assert signed(headers=traced) == signed()


def test_a_signature_of_an_earlier_attempt_is_replaced() -> None:
    first = signed()
    assert signed(headers=first, now=NOW + timedelta(minutes=1)) == signed(
        now=NOW + timedelta(minutes=1)
    )


def test_the_host_header_wins_over_the_host_of_the_url() -> None:
    through = signed(
        "https://vpce-1.execute-api.eu-west-1.vpce.amazonaws.com/x", headers={"Host": "h"}
    )
    assert through == signed("https://h/x")
    assert through != signed("https://vpce-1.execute-api.eu-west-1.vpce.amazonaws.com/x")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://h:443/x", "https://h/x"),
        ("http://h:80/x", "http://h/x"),
        ("https://H/x", "https://h/x"),
        ("https://h", "https://h/"),
    ],
)
def test_the_host_is_signed_as_clients_send_it(url: str, same: str) -> None:
    assert signed(url) == signed(same)


def test_a_port_of_its_own_is_part_of_the_host() -> None:
    assert signed("http://127.0.0.1:9002/x") == signed(
        "http://h/x", headers={"host": "127.0.0.1:9002"}
    )
    assert signed("http://127.0.0.1:9002/x") != signed("http://127.0.0.1/x")


def test_a_header_given_twice_is_signed_as_one_list() -> None:
    assert signed(headers={"X-A": " 1", "x-a": "2 "}) == signed(headers={"x-a": "1,2"})


def test_any_time_zone_signs_the_same_moment() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert signed(now=elsewhere) == signed()


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        signed(now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("scope", [{"region": ""}, {"service": ""}])
def test_a_scope_with_a_gap_is_refused(scope: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="region and a service"):
        signed(**scope)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/",
        "h/x",
        "https://h/a b",
        "https://h/ü",
        "https://h/#f",
        "https://u:p@h/",
        "https://h/\n",
    ],
)
def test_a_url_that_could_not_be_sent_as_it_stands_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an encoded"):
        signed(url)


@pytest.mark.parametrize("query", ["a=%", "a=%2", "%zz=1"])
def test_a_broken_escape_in_the_query_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        signed(f"https://h/?{query}")


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX-Evil: 1", "a\0b"])
def test_a_line_break_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        signed(headers={"X-A": value})


def test_the_derived_key_is_reused_for_a_day_and_bounded() -> None:
    signer = Signer()
    for minute in range(5):
        signed(signer=signer, now=NOW + timedelta(minutes=minute))
    assert len(signer._keys) == 1
    for day in range(MAX_CACHED_KEYS * 2):
        again = signed(signer=signer, now=NOW + timedelta(days=day))
        assert again == signed(now=NOW + timedelta(days=day))
    assert len(signer._keys) == MAX_CACHED_KEYS


def test_a_rotated_secret_does_not_find_the_old_key() -> None:
    signer = Signer()
    old = signed(signer=signer)
    rotated = Credentials(access_key=KEYS.access_key, secret_key="another")
    assert signed(signer=signer, credentials=rotated) == signed(credentials=rotated) != old


def test_the_secrets_stay_out_of_every_representation() -> None:
    assert TEMPORARY.secret_key not in repr(TEMPORARY)
    assert str(TEMPORARY.token) not in repr(TEMPORARY)
    assert TEMPORARY.secret_key not in repr(vars(Signer()))


@pytest.mark.parametrize(
    ("base", "path", "query", "url"),
    [
        ("https://h", "/api/v1/deploy", [], "https://h/api/v1/deploy"),
        ("https://h/", "/x", [], "https://h/x"),
        ("https://H/Stage/", "x", [], "https://h/Stage/x"),
        ("https://h/a%20b", "/c d", [], "https://h/a%20b/c%20d"),
        (
            "https://h",
            "/100%/ü",
            [("q r", "a+b/c&d")],
            "https://h/100%25/%C3%BC?q%20r=a%2Bb%2Fc%26d",
        ),
        ("https://h", "//a//b/", [("e", "")], "https://h//a//b/?e="),
        ("http://127.0.0.1:9002", "", [], "http://127.0.0.1:9002/"),
    ],
)
def test_a_path_and_a_query_are_encoded_once(
    base: str, path: str, query: list[tuple[str, str]], url: str
) -> None:
    assert wire_url(base, path, query) == url


@pytest.mark.parametrize(
    "base", ["h", "https://h?x=1", "https://h/#f", "https://u@h", "file:///etc"]
)
def test_a_base_that_cannot_carry_a_path_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match="base"):
        wire_url(base, "/x")
