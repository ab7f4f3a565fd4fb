import hashlib
import hmac
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import signature
from tidegate.errors import SignatureError

# Slack's published worked example.
SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1531420618
BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
    b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
    b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
HEADERS = {
    "x-slack-request-timestamp": str(NOW),
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}


def signed(body: bytes, *, secret: bytes = SECRET, stamp: str = str(NOW)) -> dict[str, str]:
    """The headers of a body, made by the book and not by the code under test."""
    digest = hmac.new(secret, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}"}


def test_slacks_own_example_is_accepted() -> None:
    signature.verify(BODY, HEADERS, secrets=[SECRET], now=NOW)


def test_a_secret_being_rotated_out_still_works() -> None:
    signature.verify(BODY, HEADERS, secrets=[b"new", SECRET], now=NOW)


@pytest.mark.parametrize("skew", [-301, 301])
def test_a_replay_outside_the_window_is_rejected(skew: int) -> None:
    with pytest.raises(SignatureError, match="window"):
        signature.verify(BODY, HEADERS, secrets=[SECRET], now=NOW + skew)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-slack-request-timestamp", "abc"),
        ("x-slack-request-timestamp", "1e9"),
        ("x-slack-request-timestamp", "٣"),
        ("x-slack-request-timestamp", "9" * 5000),
        ("x-slack-request-timestamp", ""),
        ("x-slack-signature", "v0=é"),
        ("x-slack-signature", ""),
    ],
)
def test_a_malformed_header_is_rejected_not_a_crash(name: str, value: str) -> None:
    with pytest.raises(SignatureError):
        signature.verify(BODY, {**HEADERS, name: value}, secrets=[SECRET], now=NOW)


@pytest.mark.parametrize("secrets", [[], [b""]])
def test_no_usable_secret_means_no_request_is_valid(secrets: list[bytes]) -> None:
    with pytest.raises(SignatureError):
        signature.verify(BODY, HEADERS, secrets=secrets, now=NOW)


def test_a_body_that_is_not_utf8_is_rejected() -> None:
    with pytest.raises(SignatureError):
        signature.verify(b"\xff", HEADERS, secrets=[SECRET], now=NOW)


@pytest.mark.parametrize("skew", [-300, -1, 0, 1, 300])
def test_inside_the_window_a_signature_holds(skew: int) -> None:
    signature.verify(BODY, HEADERS, secrets=[SECRET], now=NOW + skew)


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_a_missing_header_is_rejected(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(SignatureError):
        signature.verify(BODY, headers, secrets=[SECRET], now=NOW)


@pytest.mark.parametrize(
    "claimed",
    [
        HEADERS["x-slack-signature"].upper(),
        HEADERS["x-slack-signature"][:-1],
        HEADERS["x-slack-signature"] + "0",
        HEADERS["x-slack-signature"].removeprefix("v0="),
        HEADERS["x-slack-signature"].replace("v0=", "v1="),
        HEADERS["x-slack-signature"].replace("v0=", "v0= "),
        f" {HEADERS['x-slack-signature']}",
        "v0=",
        "\ud800",
    ],
)
def test_nothing_but_the_exact_signature_will_do(claimed: str) -> None:
    headers = {**HEADERS, "x-slack-signature": claimed}
    with pytest.raises(SignatureError, match="no signing secret"):
        signature.verify(BODY, headers, secrets=[SECRET], now=NOW)


def test_the_time_that_was_signed_is_the_time_that_counts() -> None:
    headers = {**HEADERS, "x-slack-request-timestamp": str(NOW + 1)}
    with pytest.raises(SignatureError, match="no signing secret"):
        signature.verify(BODY, headers, secrets=[SECRET], now=NOW)


def test_leading_zeros_belong_to_what_was_signed() -> None:
    stamp = f"0{NOW}"
    signature.verify(BODY, signed(BODY, stamp=stamp), secrets=[SECRET], now=NOW)
    headers = {**HEADERS, "x-slack-request-timestamp": stamp}
    with pytest.raises(SignatureError):
        signature.verify(BODY, headers, secrets=[SECRET], now=NOW)


def test_an_empty_secret_among_others_opens_nothing() -> None:
    with pytest.raises(SignatureError):
        signature.verify(BODY, signed(BODY, secret=b""), secrets=[b"", SECRET], now=NOW)


bodies = st.binary(max_size=300)
secrets_used = st.binary(min_size=1, max_size=64)
anything = st.text(st.characters(exclude_categories=()), max_size=80)


@given(body=bodies, secret=secrets_used, skew=st.integers(-300, 300))
def test_whatever_was_signed_by_the_book_is_accepted(body: bytes, secret: bytes, skew: int) -> None:
    headers = signed(body, secret=secret)
    signature.verify(body, headers, secrets=[secret], now=NOW + skew)
    signature.verify(body, headers, secrets=[b"newer", secret], now=NOW + skew)


@given(body=bodies, other=bodies, secret=secrets_used, wrong=secrets_used)
def test_another_body_or_another_secret_is_rejected(
    body: bytes, other: bytes, secret: bytes, wrong: bytes
) -> None:
    headers = signed(body, secret=secret)
    if other != body:
        with pytest.raises(SignatureError):
            signature.verify(other, headers, secrets=[secret], now=NOW)
    # HMAC pads a short key with zero bytes, so that these are one key.
    if wrong.rstrip(b"\0") != secret.rstrip(b"\0"):
        with pytest.raises(SignatureError):
            signature.verify(body, headers, secrets=[wrong], now=NOW)


@given(
    body=bodies,
    headers=st.dictionaries(
        st.sampled_from([*HEADERS, "x-other"]),
        anything | st.integers().map(str) | st.just(str(NOW)),
    ),
    now=st.floats(0, 1e11),
)
def test_whatever_comes_the_outcome_is_a_refusal_without_its_content(
    body: bytes, headers: Mapping[str, str], now: float
) -> None:
    with pytest.raises(SignatureError) as refused:
        signature.verify(body, headers, secrets=[SECRET], now=now)
    assert str(refused.value) in {
        "timestamp header missing or not a number",
        "timestamp outside the allowed window",
        "no signing secret matches",
    }
