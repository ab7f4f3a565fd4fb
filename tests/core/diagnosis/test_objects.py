"""What S3 answers to looks, judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.diagnosis.finding import Finding
from tidegate.core.diagnosis.objects import (
    WORDS,
    Look,
    anonymous,
    bucket,
    denied,
    front,
    lifetime,
    link,
    listing,
    reading,
)

OK = Look(status=200)
FORBIDDEN = Look(status=403)
KMS = {"x-amz-server-side-encryption": "aws:kms"}


def error(status: int, code: str, words: str = "", **headers: str) -> Look:
    body = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>".encode()
    return Look(status=status, body=body, headers=headers)


def code(found: Finding | None) -> str | None:
    return found.code if found else None


def test_what_an_answer_says_is_read_within_bounds() -> None:
    assert error(403, "AccessDenied").code == "AccessDenied"
    assert Look(status=403, body=b"<Code>a b</Code>").code == ""
    assert Look(status=200, body=b"x" * 20_000 + b"<Code>Late</Code>").code == ""
    assert Look(status=206).ok
    assert Look(status=416).ok  # of an empty object there is no first byte
    assert not Look(status=0).ok
    assert Look(status=200, headers=KMS).encrypted_by_key
    assert not OK.encrypted_by_key


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (OK, None),
        (FORBIDDEN, None),  # of HEAD, which says nothing more: a listing tells
        (Look(status=404), "s3.no_bucket"),
        (Look(status=301, headers={"x-amz-bucket-region": "eu-central-1"}), "s3.other_region"),
        (Look(status=200, headers={"x-amz-bucket-region": "eu-west-1"}), None),
    ],
)
def test_a_bucket_is_judged_by_a_look_at_it(seen: Look, told: str | None) -> None:
    assert code(bucket(seen, name="b", alias="a", region="eu-west-1")) == told


@pytest.mark.parametrize(
    ("seen", "gallery", "told"),
    [
        (OK, True, None),
        (error(403, "AccessDenied"), True, "s3.list_denied"),
        (error(403, "AccessDenied"), False, "s3.list_denied_wished"),
        (error(403, "InvalidAccessKeyId"), True, "s3.keys_refused"),
        (error(400, "ExpiredToken"), True, "s3.keys_refused"),
        (error(403, "RequestTimeTooSkewed"), True, "s3.clock_refused"),
        (error(404, "NoSuchBucket"), True, "s3.no_bucket"),
        (error(500, "InternalError"), True, "s3.fails"),
        (Look(status=0), True, "s3.fails"),
    ],
)
def test_a_listing_tells_more(seen: Look, gallery: bool, told: str | None) -> None:
    assert code(listing(seen, name="b", alias="a", gallery=gallery)) == told


@pytest.mark.parametrize(
    ("head", "got", "version", "told"),
    [
        (OK, OK, True, None),
        (FORBIDDEN, FORBIDDEN, False, "s3.get_denied"),
        (OK, FORBIDDEN, True, "s3.version_denied"),
        (Look(status=200, headers=KMS), FORBIDDEN, False, "s3.key_denied"),
        (OK, error(403, "AccessDenied", "to perform: kms:Decrypt"), False, "s3.key_denied"),
        (OK, error(400, "ExpiredToken"), False, "s3.keys_refused"),
    ],
)
def test_reading_tells_rights_and_keys_apart(
    head: Look, got: Look, version: bool, told: str | None
) -> None:
    assert code(reading(head, got, name="b", prefix="q3/", version=version)) == told


@pytest.mark.parametrize(
    ("listed", "got", "told"),
    [
        (FORBIDDEN, FORBIDDEN, None),
        (FORBIDDEN, None, None),
        (Look(status=0), None, None),
        (OK, None, "list the objects"),
        (FORBIDDEN, Look(status=206), "read objects"),
    ],
)
def test_a_bucket_that_strangers_may_use_is_told(
    listed: Look, got: Look | None, told: str | None
) -> None:
    found = anonymous(listed, got, name="b")
    assert (found is not None) == (told is not None)
    if found is not None and told is not None:
        assert told in found.what


@pytest.mark.parametrize(
    ("opened", "told"),
    [
        (OK, None),
        (Look(status=0), "s3.link_unanswered"),
        (error(307, "TemporaryRedirect"), "s3.link_elsewhere"),
        (error(400, "AuthorizationHeaderMalformed"), "s3.link_elsewhere"),
        (
            error(403, "AccessDenied", **{"x-amz-bucket-region": "eu-central-1"}),
            "s3.link_elsewhere",
        ),
        (error(403, "AccessDenied", "kms:Decrypt"), "s3.key_denied"),
        (error(403, "SignatureDoesNotMatch"), "s3.link_refused"),
        (FORBIDDEN, "s3.link_refused"),
    ],
)
def test_a_link_that_does_not_open_is_told_by_why(opened: Look, told: str | None) -> None:
    assert code(link(opened, name="b", region="eu-west-1")) == told


@pytest.mark.parametrize(
    ("opened", "told"),
    [(OK, None), (Look(status=0), "s3.link_unanswered"), (FORBIDDEN, "s3.front_refuses")],
)
def test_a_link_by_cloudfront_is_tried_too(opened: Look, told: str | None) -> None:
    assert code(front(opened, name="b")) == told


@given(st.integers(1, 31_536_000), st.integers(0, 604_800))
def test_links_that_end_before_their_time_are_told(asked: int, lives: int) -> None:
    found = lifetime(name="b", asked=asked, lives=lives)
    assert (found is not None) == (lives < asked)


@given(st.integers(0, 599), st.binary(max_size=100), st.booleans())
def test_no_answer_is_too_strange(status: int, body: bytes, flag: bool) -> None:
    seen = Look(status=status, body=body)
    for found in (
        bucket(seen, name="b", alias="a", region="r"),
        listing(seen, name="b", alias="a", gallery=flag),
        reading(seen, seen, name="b", prefix="", version=flag),
        anonymous(seen, seen, name="b"),
        link(seen, name="b", region="r"),
        front(seen, name="b"),
    ):
        assert found is None or found.code in WORDS


def test_a_code_is_told_of_its_bucket() -> None:
    assert "acme" in denied("s3.tags_denied", name="acme").what
