"""Presigned URLs against two independent oracles: botocore's own and the AWS Common Runtime's.

botocore is asked for whole URLs, host and path included. Where the Runtime is installed botocore
signs with it, so its own signer is put back for one oracle, and left out for the other. The two
order what they add differently, and agree on everything else.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import botocore.session
import pytest
from botocore.auth import AUTH_TYPE_MAPS, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.crt.auth import CrtS3SigV4QueryAuth
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tidegate.core.bucket import Address, is_safe_key
from tidegate.core.share import disposition
from tidegate.core.sigv4 import MAX_PRESIGNED_SECONDS, Credentials, Signer

NOW = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)
KEYS = Credentials(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TEMPORARY = Credentials(access_key="ASIDEXAMPLE", secret_key="s3cr+t/key", token="IQoJb3JpZ2lu//==")
ADDRESS = Address(bucket="acme-reports", region="eu-west-1")
DOTTED = Address(bucket="reports.acme.example", region="eu-west-1")
ELSEWHERE = Address(bucket="acme-reports", region="eu-west-1", endpoint="http://localhost:9000")
SESSION = botocore.session.Session()
NAMES = {
    "versionId": "VersionId",
    "response-cache-control": "ResponseCacheControl",
    "response-content-disposition": "ResponseContentDisposition",
    "response-content-type": "ResponseContentType",
}


@lru_cache(maxsize=64)
def client(region: str, endpoint: str | None, credentials: Credentials) -> Any:
    s3 = {
        "addressing_style": "virtual" if endpoint is None else "path",
        # Left alone, it still uses the global host for this one region.
        "us_east_1_regional_endpoint": "regional",
    }
    return SESSION.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(signature_version="s3v4", s3=s3),
    )


def presigned_by(
    signer: type,
    address: Address,
    key: str,
    query: Sequence[tuple[str, str]] = (),
    *,
    seconds: int = 3600,
    credentials: Credentials = KEYS,
    now: datetime = NOW,
) -> str:
    def the_time(remove_tzinfo: bool = True) -> datetime:
        return now.replace(tzinfo=None) if remove_tzinfo else now

    params = {NAMES[name]: value for name, value in query}
    s3 = client(address.region, address.endpoint, credentials)
    with (
        patch.dict(AUTH_TYPE_MAPS, {"s3v4-query": signer}),
        patch("botocore.auth.get_current_datetime", the_time),
        patch("botocore.crt.auth.get_current_datetime", the_time),
    ):
        return str(
            s3.generate_presigned_url(
                "get_object",
                Params={"Bucket": address.bucket, "Key": key, **params},
                ExpiresIn=seconds,
            )
        )


def presigned(
    address: Address = ADDRESS,
    key: str = "q3/revenue.pdf",
    query: Sequence[tuple[str, str]] = (),
    *,
    seconds: int = 3600,
    credentials: Credentials = KEYS,
    now: datetime = NOW,
    signer: Signer | None = None,
) -> str:
    return (signer or Signer()).presign(
        url=address.url(key),
        query=query,
        seconds=seconds,
        credentials=credentials,
        region=address.region,
        now=now,
    )


def assert_equals_both_oracles(
    address: Address, key: str, query: Sequence[tuple[str, str]] = (), **how: Any
) -> None:
    ours = presigned(address, key, query, **how)
    assert ours == presigned_by(S3SigV4QueryAuth, address, key, query, **how)
    runtime = presigned_by(CrtS3SigV4QueryAuth, address, key, query, **how)
    assert taken_apart(ours) == taken_apart(runtime)


def taken_apart(url: str) -> tuple[str, str, str, Mapping[str, str]]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, dict(pair.split("=") for pair in pairs(url))


def pairs(url: str) -> list[str]:
    return urlsplit(url).query.split("&")


HARD_KEYS = [
    "a b",
    "a+b",
    "%2F",
    "100%",
    "a%20b",
    "名前/🚢.png",
    "é",  # in one character
    "e\u0301",  # and in two
    "//",
    "a//b",
    "/leading",
    "//leading",
    "trailing/",
    "/",
    "~x",
    "*",
    "'\"`",
    "(a)!$&,;=:@",
    "a?b#c",
    "[x]{y}|z\\^",
    "<a>",
    "line\nbreak\ttab\x7f",
    "...",
    "a/..b/.c",
    "?versionId=other",
    "&X-Amz-Expires=604800",
    "k" * 1024,
]


@pytest.mark.parametrize("credentials", [KEYS, TEMPORARY], ids=["lasting", "temporary"])
@pytest.mark.parametrize("address", [ADDRESS, DOTTED, ELSEWHERE], ids=["host", "dots", "endpoint"])
@pytest.mark.parametrize("key", HARD_KEYS)
def test_the_hard_keys_equal_both_oracles(
    key: str, address: Address, credentials: Credentials
) -> None:
    query = [("response-content-disposition", disposition("a.pdf")), ("versionId", "3/L4k+q=")]
    assert_equals_both_oracles(address, key, query, credentials=credentials)


@pytest.mark.parametrize(
    "region",
    [
        "ap-southeast-2",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eusc-de-east-1",
        "us-east-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-west-2",
    ],
)
@pytest.mark.parametrize("bucket", ["acme-reports", "reports.acme.example"])
def test_each_region_equals_both_oracles(region: str, bucket: str) -> None:
    assert_equals_both_oracles(Address(bucket=bucket, region=region), "a b.png")


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://localhost",
        "http://localhost:80",
        "https://minio.example:443",
        "https://minio.example:8443",
        "http://192.168.0.7:9000",
        "http://[::1]:9000",
        "https://gateway.example/s3",
        "https://MinIO.example",
    ],
)
def test_each_endpoint_equals_both_oracles(endpoint: str) -> None:
    address = Address(bucket="acme-reports", region="eu-west-1", endpoint=endpoint)
    assert_equals_both_oracles(address, "a b/+.png", [("versionId", "v1")])


safe_keys = st.one_of(
    st.sampled_from(HARD_KEYS),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.lists(st.sampled_from(["", "a", " ", "+", "%", "é", "🚢", "~", "*", "."]), min_size=1).map(
        "/".join
    ),
).filter(is_safe_key)
values = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
queries = st.dictionaries(st.sampled_from(sorted(NAMES)), values).flatmap(
    lambda found: st.permutations(list(found.items()))
)
credentials_used = st.builds(
    Credentials,
    access_key=st.text("ABCDEFGHIJ234567", min_size=4, max_size=20),
    secret_key=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    token=st.none() | st.text("abcXYZ019+/=", min_size=1, max_size=60),
)
times = st.integers(946_684_800, 4_070_908_800).map(lambda s: datetime.fromtimestamp(s, UTC))


@settings(max_examples=examples(200))
@given(
    address=st.sampled_from([ADDRESS, DOTTED, ELSEWHERE]),
    key=safe_keys,
    query=queries,
    credentials=st.sampled_from([KEYS, TEMPORARY]),
    seconds=st.integers(1, MAX_PRESIGNED_SECONDS),
    now=times,
)
def test_any_key_and_any_override_equal_both_oracles(
    address: Address,
    key: str,
    query: list[tuple[str, str]],
    credentials: Credentials,
    seconds: int,
    now: datetime,
) -> None:
    assert_equals_both_oracles(
        address, key, query, credentials=credentials, seconds=seconds, now=now
    )


@settings(max_examples=examples(10))
@given(credentials=credentials_used)
def test_any_credentials_equal_both_oracles(credentials: Credentials) -> None:
    client.cache_clear()
    assert_equals_both_oracles(ADDRESS, "a.png", credentials=credentials)


def test_what_is_asked_of_s3_stands_first_in_its_order_and_the_signature_last() -> None:
    query = [("response-content-disposition", "attachment"), ("versionId", "v1")]
    names = [pair.partition("=")[0] for pair in pairs(presigned(query=query))]
    assert names[:2] == ["response-content-disposition", "versionId"]
    assert names[-1] == "X-Amz-Signature"


@pytest.mark.parametrize(
    "query",
    [
        [("a", "1"), ("a-b", "2"), ("a.b", "3"), ("a0", "4")],  # `=` sorts after these
        [("Z", "1"), ("a", "2"), ("X-Amz-A", "3")],
        [("é", "1"), ("a b", "2"), ("~", "3")],
    ],
)
def test_parameters_are_signed_by_name_and_stand_as_they_were_given(
    query: list[tuple[str, str]],
) -> None:
    request = AWSRequest(method="GET", url=ADDRESS.url("a b"), params=dict(query))
    keys = BotocoreCredentials(KEYS.access_key, KEYS.secret_key)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        S3SigV4QueryAuth(keys, "s3", "eu-west-1", expires=3600).add_auth(request)
    assert presigned(key="a b", query=query) == request.url


def test_the_order_of_what_is_asked_does_not_change_the_signature() -> None:
    query = [("response-content-disposition", "attachment"), ("versionId", "v1")]
    one, other = pairs(presigned(query=query)), pairs(presigned(query=query[::-1]))
    assert one[-1] == other[-1]
    assert sorted(one) == sorted(other)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "q3/revenue.pdf2"},
        {"query": [("versionId", "v2")]},
        {"seconds": 3601},
        {"credentials": TEMPORARY},
        {"now": NOW + timedelta(seconds=1)},
        {"address": Address(bucket="acme-reports", region="eu-west-2")},
    ],
    ids=str,
)
def test_everything_in_the_url_is_signed(change: dict[str, Any]) -> None:
    assert pairs(presigned(**change))[-1] != pairs(presigned())[-1]


def test_an_override_cannot_add_a_parameter_of_its_own() -> None:
    url = presigned(query=[("versionId", "v1&response-content-type=text/html#x")])
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["versionId"] == "v1&response-content-type=text/html#x"
    assert "response-content-type" not in asked
    assert not urlsplit(url).fragment


def test_the_secret_key_is_nowhere_in_the_url() -> None:
    assert TEMPORARY.secret_key not in presigned(credentials=TEMPORARY)
    assert "s3cr" not in presigned(credentials=TEMPORARY)


def test_no_token_goes_into_the_url_without_one() -> None:
    assert "X-Amz-Security-Token" not in presigned()
    empty = Credentials(access_key=KEYS.access_key, secret_key=KEYS.secret_key, token="")
    assert presigned(credentials=empty) == presigned()


def test_the_time_is_signed_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert presigned(now=elsewhere) == presigned()
    assert "X-Amz-Date=20261122T123456Z" in presigned()


def test_a_time_without_its_zone_is_not_signed() -> None:
    with pytest.raises(ValueError, match="time zone"):
        presigned(now=NOW.replace(tzinfo=None))


@pytest.mark.parametrize("seconds", [1, MAX_PRESIGNED_SECONDS])
def test_a_url_may_hold_for_a_second_and_for_a_week(seconds: int) -> None:
    assert f"&X-Amz-Expires={seconds}&" in presigned(seconds=seconds)


@pytest.mark.parametrize("seconds", [-1, 0, MAX_PRESIGNED_SECONDS + 1, 10**9])
def test_a_url_that_s3_would_refuse_for_its_life_is_not_made(seconds: int) -> None:
    with pytest.raises(ValueError, match="1 second to 7 days"):
        presigned(seconds=seconds)


@pytest.mark.parametrize(
    "url",
    [
        "https://b.s3.eu-west-1.amazonaws.com/a b",
        "https://b.s3.eu-west-1.amazonaws.com/é",
        "https://b.s3.eu-west-1.amazonaws.com/a?versionId=1",
        "https://b.s3.eu-west-1.amazonaws.com/a?",
        "https://b.s3.eu-west-1.amazonaws.com/a#b",
        "https://user:secret@b.s3.eu-west-1.amazonaws.com/a",
        "ftp://b.s3.eu-west-1.amazonaws.com/a",
        "https:///a",
        "//b.s3.eu-west-1.amazonaws.com/a",
        "https://b.s3.eu-west-1.amazonaws.com/a\n",
        "",
    ],
)
def test_a_url_that_would_not_go_out_as_it_stands_is_not_signed(url: str) -> None:
    with pytest.raises(ValueError, match="encoded"):
        Signer().presign(
            url=url, query=[], seconds=60, credentials=KEYS, region="eu-west-1", now=NOW
        )


def test_a_url_is_not_signed_for_no_region() -> None:
    with pytest.raises(ValueError, match="region"):
        Signer().presign(
            url=ADDRESS.url("a"), query=[], seconds=60, credentials=KEYS, region="", now=NOW
        )


@given(now=times, later=times)
@example(now=NOW, later=NOW + timedelta(days=1))
def test_one_signer_makes_the_urls_of_many(now: datetime, later: datetime) -> None:
    assume(now != later)
    signer = Signer()
    for credentials in (KEYS, TEMPORARY):
        for each in (now, later, now):
            same = presigned(signer=signer, credentials=credentials, now=each)
            assert same == presigned(credentials=credentials, now=each)
