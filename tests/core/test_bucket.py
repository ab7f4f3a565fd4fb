"""Where a bucket is found, and which keys mean the same to everyone on the way."""

from urllib.parse import unquote, urlsplit

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from tidegate.core.bucket import MAX_KEY_BYTES, Address, is_bucket_name, is_safe_key

any_text = st.text(max_size=40)


def test_every_region_that_aws_has_lies_in_its_own_domain() -> None:
    known = botocore.session.Session().get_data("endpoints")["partitions"]
    suffixes = {region: each["dnsSuffix"] for each in known for region in each["regions"]}
    assert len(suffixes) > 30
    for region, suffix in suffixes.items():
        base = Address(bucket="acme-reports", region=region).base
        assert base == f"https://acme-reports.s3.{region}.{suffix}/"


@pytest.mark.parametrize(
    ("bucket", "base"),
    [
        ("acme", "https://acme.s3.eu-west-1.amazonaws.com/"),
        ("a-1", "https://a-1.s3.eu-west-1.amazonaws.com/"),
        ("b" * 63, f"https://{'b' * 63}.s3.eu-west-1.amazonaws.com/"),
        ("reports.acme.example", "https://s3.eu-west-1.amazonaws.com/reports.acme.example/"),
        ("a.b", "https://s3.eu-west-1.amazonaws.com/a.b/"),
    ],
)
def test_a_bucket_is_in_the_host_unless_no_certificate_would_cover_it(
    bucket: str, base: str
) -> None:
    assert Address(bucket=bucket, region="eu-west-1").base == base


def test_another_s3_has_the_bucket_in_its_path() -> None:
    address = Address(bucket="acme", region="eu-west-1", endpoint="http://localhost:9000")
    assert address.url("a b.png") == "http://localhost:9000/acme/a%20b.png"


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a b", "/a%20b"),
        ("a+b", "/a%2Bb"),
        ("%2F", "/%252F"),
        ("a//b/", "/a//b/"),
        ("/a", "//a"),
        ("名", "/%E5%90%8D"),
        ("-_.~", "/-_.~"),
        ("?x#y", "/%3Fx%23y"),
        ("*'()!", "/%2A%27%28%29%21"),
        ("..\\x", "/..%5Cx"),
    ],
)
def test_a_key_is_encoded_once_and_keeps_its_slashes(key: str, path: str) -> None:
    base = "https://acme.s3.eu-west-1.amazonaws.com"
    assert Address(bucket="acme", region="eu-west-1").url(key) == base + path


@given(key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(is_safe_key))
def test_a_safe_key_is_read_from_its_url_as_it_was(key: str) -> None:
    url = Address(bucket="acme", region="eu-west-1").url(key)
    assert url.isascii()
    assert unquote(urlsplit(url).path, errors="strict") == f"/{key}"
    # What normalises paths, as a browser does, comes to the same.
    assert unquote(URL(url).raw_path, errors="strict") == f"/{key}"


@pytest.mark.parametrize(
    "name", ["abc", "a1b", "acme-reports", "reports.acme.example", "1st", "a" * 63, "a-.b"]
)
def test_a_name_that_s3_takes_is_a_buckets(name: str) -> None:
    assert is_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "a" * 64,
        "Acme",
        "acme_reports",
        "-acme",
        "acme-",
        ".acme",
        "acme.",
        "a..b",
        "192.168.0.7",
        "acme/reports",
        "acme reports",
        "acme\n",
        "acme?x",
        "acme@evil.example",
        "acme:80",
        "åcme",
        "arn:aws:s3:::acme",
        "s3://acme",
        "١٢٣",
    ],
)
def test_a_name_that_s3_does_not_take_is_no_buckets(name: str) -> None:
    assert not is_bucket_name(name)


@given(name=any_text | st.text("abc.-1", max_size=10))
@example(name="a.b.c")
def test_a_buckets_name_never_leads_to_another_host(name: str) -> None:
    if is_bucket_name(name):
        for endpoint in (None, "http://localhost:9000"):
            url = urlsplit(Address(bucket=name, region="eu-west-1", endpoint=endpoint).url("k"))
            assert (url.hostname or "").endswith(("s3.eu-west-1.amazonaws.com", "localhost"))
            assert url.username is None
            assert not url.query


@pytest.mark.parametrize(
    "key",
    ["a", "a/b", "/a", "a//b", "a/", "...", "a/...b", "..a", "a..", ".a", "%2e%2e/a", "..\\a", "é"],
)
def test_a_key_without_dot_steps_is_safe(key: str) -> None:
    assert is_safe_key(key)


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../a", "a/..", "a/../b", "a/./b", "./a", "a/.", "/..", "//../", "a\0b"],
)
def test_a_key_that_a_url_cannot_stand_for_is_not_safe(key: str) -> None:
    assert not is_safe_key(key)


@pytest.mark.parametrize("key", ["\ud800", "a/\udfff.png"])
def test_a_key_that_cannot_be_encoded_is_not_safe(key: str) -> None:
    assert not is_safe_key(key)


@pytest.mark.parametrize("letter", ["a", "é", "名", "🚢"])
def test_a_key_is_measured_in_bytes(letter: str) -> None:
    most = MAX_KEY_BYTES // len(letter.encode())
    assert is_safe_key(letter * most)
    assert not is_safe_key(letter * (most + 1))


@given(key=st.text())
def test_any_text_is_told_safe_or_not(key: str) -> None:
    if is_safe_key(key):
        assert Address(bucket="acme", region="eu-west-1").url(key).isascii()
