"""A statement of who asked holds for one request, once, within a minute."""

import base64
import hashlib
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tidegate_agent.core.identity import (
    Expected,
    Keys,
    Memory,
    Statement,
    announce,
    arrive,
    verify,
)
from tidegate_agent.errors import ConfigError, IdentityError, UnavailableError

NOW = 1_800_000_000.0
BODY = b'{"params":{}}'
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
CLAIMS: dict[str, Any] = {
    "iss": "tidegate",
    "aud": "cluster",
    "sub": "slack:T1:U1",
    "groups": ["S0DEVS"],
    "run": "01JRUN",
    "action": "deploy-staging",
    "jti": "f00d",
    "iat": NOW,
    "exp": NOW + 60,
    "method": "POST",
    "path": "/api/v1/deploy",
    "body_sha256": hashlib.sha256(BODY).hexdigest(),
}
EXPECTED = Expected(
    issuer="tidegate",
    audience="cluster",
    method="POST",
    path="/api/v1/deploy",
    body=BODY,
    key="01JRUN",
    now=NOW + 1,
)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: Ed25519PrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(raw), **more}


KEYS = Keys({"keys": [jwk(KEY, "new"), jwk(OTHER, "old", alg="EdDSA", use="sig")]})


def token(
    claims: dict[str, Any] | None = None,
    *,
    header: dict[str, Any] | None = None,
    key: Ed25519PrivateKey = KEY,
) -> str:
    head = b64(json.dumps({"alg": "EdDSA", "kid": "new", **(header or {})}).encode())
    body = b64(json.dumps({**CLAIMS, **(claims or {})}).encode())
    return f"{head}.{body}.{b64(key.sign(f'{head}.{body}'.encode()))}"


def reason(text: str, expected: Expected = EXPECTED, memory: Memory | None = None) -> str:
    with pytest.raises(IdentityError) as refused:
        verify(text, expected, keys=KEYS, memory=memory or Memory())
    assert refused.value.reason not in refused.value.notice, "the answer names no reason"
    return refused.value.reason


def test_a_statement_that_holds_says_who_asked() -> None:
    found = verify(token(), EXPECTED, keys=KEYS, memory=Memory())
    assert found == Statement(
        subject="slack:T1:U1", groups=("S0DEVS",), run="01JRUN", action="deploy-staging"
    )


def test_both_keys_hold_while_one_follows_another() -> None:
    text = token(header={"kid": "old"}, key=OTHER)
    assert verify(text, EXPECTED, keys=KEYS, memory=Memory()).run == "01JRUN"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "other"}, "wrong_issuer"),
        ({"aud": "other"}, "wrong_audience"),
        ({"aud": ["cluster"]}, "wrong_audience"),
        ({"method": "GET"}, "wrong_method"),
        ({"path": "/api/v1/scale"}, "wrong_path"),
        ({"path": "/api/v1/deploy/"}, "wrong_path"),
        ({"path": None}, "wrong_path"),
        ({"body_sha256": hashlib.sha256(b"other").hexdigest()}, "wrong_body"),
        ({"body_sha256": 7}, "wrong_body"),
        ({"run": "01JOTHER"}, "wrong_run"),
        ({"run": "../x"}, "bad_run"),
        ({"sub": ""}, "bad_sub"),
        ({"sub": "slack:T1:U1\r\nImpersonate-User: root"}, "bad_sub"),
        ({"action": 1}, "bad_action"),
        ({"groups": "S0DEVS"}, "bad_groups"),
        ({"groups": ["a\nb"]}, "bad_groups"),
        ({"groups": ["G"] * 501}, "bad_groups"),
        ({"jti": ""}, "bad_jti"),
        ({"jti": None}, "bad_jti"),
        ({"iat": None}, "no_times"),
        ({"exp": "soon"}, "no_times"),
        ({"exp": True}, "no_times"),
        ({"iat": NOW, "exp": NOW + 61}, "lives_too_long"),
        ({"iat": NOW, "exp": NOW}, "ends_before_it_begins"),
        ({"iat": NOW + 7, "exp": NOW + 60}, "from_the_future"),
        ({"iat": NOW - 60, "exp": NOW - 5}, "expired"),
    ],
)
def test_a_statement_about_anything_else_does_not_hold(claims: dict[str, Any], why: str) -> None:
    assert reason(token(claims)) == why


def test_all_but_the_digest_is_checked_before_the_body_is_there() -> None:
    for claims, why in (
        ({"path": "/api/v1/scale"}, "wrong_path"),
        ({"body_sha256": 7}, "wrong_body"),
    ):
        with pytest.raises(IdentityError) as refused:
            announce(token(claims), replace(EXPECTED, body=b""), keys=KEYS)
        assert refused.value.reason == why
    memory, announced = Memory(), announce(token(), replace(EXPECTED, body=b""), keys=KEYS)
    with pytest.raises(IdentityError) as refused:
        arrive(announced, b"other", memory=memory, now=NOW)
    assert (refused.value.reason, len(memory)) == ("wrong_body", 0)
    assert arrive(announced, BODY, memory=memory, now=NOW).run == "01JRUN"
    with pytest.raises(IdentityError) as refused:
        arrive(announced, BODY, memory=memory, now=NOW)
    assert refused.value.reason == "replayed"


@pytest.mark.parametrize("ahead", [-5.0, 5.0])
def test_clocks_may_differ_by_five_seconds(ahead: float) -> None:
    expected = replace(EXPECTED, now=NOW if ahead > 0 else NOW + 65)
    claims = {"iat": NOW + ahead, "exp": NOW + 60} if ahead > 0 else {}
    assert verify(token(claims), expected, keys=KEYS, memory=Memory())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing"),
        ("a.b", "malformed"),
        ("a.b.c.d", "malformed"),
        ("x" * 9000, "too_long"),
        (token(header={"alg": "none"}), "wrong_alg"),
        (token(header={"alg": "HS256"}), "wrong_alg"),
        (token(header={"alg": "ES256"}), "wrong_alg"),
        (token(header={"alg": "eddsa"}), "wrong_alg"),
        (token(header={"crit": ["exp"]}), "crit"),
        (token(header={"kid": "unknown"}), "unknown_key"),
        (token(header={"kid": None}), "no_kid"),
        (token(header={"kid": ["new"]}), "no_kid"),
        (token(key=OTHER), "bad_signature"),
        (token(header={"kid": "old"}), "bad_signature"),
        (token() + "=", "malformed"),
        (token().rpartition(".")[0] + ".", "malformed"),
    ],
    ids=map(str, itertools.count(1)),
)
def test_what_no_key_of_ours_has_signed_does_not_hold(text: str, why: str) -> None:
    assert reason(text) == why


def test_a_signature_has_one_spelling() -> None:
    text = token()  # 64 bytes: four bits of the last sign stand for nothing
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert signs.index(text[-1]) % 16 == 0
    assert reason(text[:-1] + signs[signs.index(text[-1]) + 1]) == "malformed"


def test_a_key_in_the_header_is_not_taken() -> None:
    text = token(header={"jwk": jwk(OTHER, "mine"), "kid": "mine"}, key=OTHER)
    assert reason(text) == "unknown_key"


def test_a_member_that_is_said_twice_is_malformed() -> None:
    head = b64(b'{"alg":"none","alg":"EdDSA","kid":"new"}')
    body = b64(json.dumps(CLAIMS).encode())
    text = f"{head}.{body}.{b64(KEY.sign(f'{head}.{body}'.encode()))}"
    assert reason(text) == "malformed"


def test_a_statement_holds_once() -> None:
    memory, text = Memory(), token()
    verify(text, EXPECTED, keys=KEYS, memory=memory)
    assert reason(text, memory=memory) == "replayed"
    late = replace(EXPECTED, now=NOW + 65)
    assert reason(text, late, memory=memory) == "replayed", "as long as it has not expired"


def test_what_was_refused_is_not_used_up() -> None:
    memory, text = Memory(), token()
    reason(text, replace(EXPECTED, body=b"other"), memory=memory)
    assert verify(text, EXPECTED, keys=KEYS, memory=memory)


def test_the_memory_is_bounded_and_rather_waits_than_forgets() -> None:
    memory = Memory(most=2)
    for jti in ("a", "b"):
        memory.use(jti, expires=NOW + 60, now=NOW)
    with pytest.raises(UnavailableError):
        memory.use("c", expires=NOW + 60, now=NOW)
    with pytest.raises(IdentityError):
        memory.use("a", expires=NOW + 60, now=NOW)
    memory.use("c", expires=NOW + 200, now=NOW + 66)
    assert len(memory) == 1


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 60)), max_size=40))
def test_no_statement_holds_twice_before_it_expires(uses: list[tuple[str, int]]) -> None:
    memory, ends, now = Memory(), dict[str, float](), NOW
    for jti, life in uses:
        now += 7
        held = ends.get(jti, 0) >= now - 5
        try:
            memory.use(jti, expires=now + life, now=now)
        except IdentityError:
            assert held
        else:
            assert not held
            ends[jti] = now + life


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_header_however_odd_does_anything_but_not_hold(text: str) -> None:
    assert reason(text)


@given(st.integers(0, 2**31), st.integers(0, 7))
def test_no_bit_of_a_token_can_be_changed(place: int, bit: int) -> None:
    text = bytearray(token().encode())
    text[place % len(text)] ^= 1 << bit
    assert reason(text.decode("latin-1"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"kty": "RSA"}, "not an Ed25519 key"),
        ({**jwk(KEY, "a"), "crv": "X25519"}, "not an Ed25519 key"),
        ({**jwk(KEY, "a"), "d": "secret"}, "private key"),
        ({**jwk(KEY, "a"), "use": "enc"}, "not for EdDSA"),
        ({**jwk(KEY, "a"), "x": "AAAA"}, "32 bytes"),
        ({**jwk(KEY, "")}, "lacks `kid`"),
        ("text", "not a key"),
    ],
)
def test_a_key_set_that_holds_anything_else_is_refused(entry: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Keys({"keys": [entry]})


@pytest.mark.parametrize("jwks", [{}, {"keys": []}, {"keys": {}}])
def test_a_key_set_without_keys_is_refused(jwks: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Keys(jwks)


def test_two_keys_of_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="same `kid`"):
        Keys({"keys": [jwk(KEY, "a"), jwk(OTHER, "a")]})
