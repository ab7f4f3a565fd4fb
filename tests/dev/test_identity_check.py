"""The receiver's check of `Tidegate-Identity`: every claim, every forgery."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tidegate_dev.identity_check import IdentityCheck, IdentityError, Statement

NOW = 1_795_000_000.0
BODY = b'{"run_id":"run-1"}'
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
CLAIMS: dict[str, Any] = {
    "iss": "tidegate",
    "aud": "cluster",
    "sub": "slack:T0:U0ADA",
    "groups": ["S0DEPLOYERS"],
    "run": "run-1",
    "action": "deploy-staging",
    "jti": "j1",
    "iat": int(NOW),
    "exp": int(NOW) + 60,
    "method": "POST",
    "path": "/api/v1/deploy",
    "body_sha256": hashlib.sha256(BODY).hexdigest(),
}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwks(**keys: Ed25519PrivateKey) -> dict[str, Any]:
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": kid,
                "x": encoded(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
            }
            for kid, key in keys.items()
        ]
    }


def statement(
    claims: Mapping[str, Any] | None = None,
    *,
    header: Mapping[str, Any] | None = None,
    key: Ed25519PrivateKey = KEY,
    **changes: Any,
) -> str:
    first = encoded(json.dumps(header or {"alg": "EdDSA", "kid": "k1"}).encode())
    content = {**CLAIMS, **changes} if claims is None else claims
    second = encoded(json.dumps({k: v for k, v in content.items() if v is not None}).encode())
    return f"{first}.{second}.{encoded(key.sign(f'{first}.{second}'.encode()))}"


def checked(
    token: str, *, check: IdentityCheck | None = None, at: float = NOW, **changes: Any
) -> Statement:
    check = check or IdentityCheck(jwks(k1=KEY), audience="cluster", now=lambda: at)
    request = {"method": "POST", "path": "/api/v1/deploy", "body": BODY, **changes}
    return check.check(token, **request)


def test_a_statement_that_holds_says_who_asked() -> None:
    assert checked(statement()) == Statement(
        subject="slack:T0:U0ADA", groups=("S0DEPLOYERS",), run="run-1", action="deploy-staging"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iss": "mallory"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["cluster"]}, "aud"),
        ({"method": "GET"}, "method"),
        ({"path": "/api/v1/scale"}, "path"),
        ({"body_sha256": hashlib.sha256(b"other").hexdigest()}, "another body"),
        ({"body_sha256": None}, "another body"),
        ({"iat": int(NOW) - 90, "exp": int(NOW) - 30}, "expired"),
        ({"iat": int(NOW) + 30, "exp": int(NOW) + 60}, "from the future"),
        ({"exp": int(NOW) + 61}, "may live 60 s"),
        ({"exp": int(NOW)}, "may live 60 s"),
        ({"exp": None}, "when it ends"),
        ({"iat": True}, "when it ends"),
        ({"iat": "1795000000"}, "when it ends"),
        ({"jti": None}, "no jti"),
        ({"jti": ""}, "no jti"),
        ({"jti": "x" * 129}, "no jti"),
        ({"sub": None}, "who asked"),
        ({"run": ""}, "who asked"),
        ({"groups": "S0"}, "who asked"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(IdentityError, match=told):
        checked(statement(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"method": "PUT"}, {"path": "/api/v1/deploy/"}, {"body": b""}, {"body": BODY + b" "}],
)
def test_a_statement_about_another_request_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        checked(statement(), **changes)


def test_a_signature_by_another_key_is_refused() -> None:
    with pytest.raises(IdentityError, match="signature is wrong"):
        checked(statement(key=OTHER_KEY))


def test_claims_changed_after_the_signature_are_refused() -> None:
    first, _, third = statement().split(".")
    forged = encoded(json.dumps({**CLAIMS, "sub": "slack:T0:U0EVE"}).encode())
    with pytest.raises(IdentityError, match="signature is wrong"):
        checked(f"{first}.{forged}.{third}")


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"alg": "none", "kid": "k1"}, "EdDSA"),
        ({"alg": "HS256", "kid": "k1"}, "EdDSA"),
        ({"alg": "EdDSA", "kid": "k1", "crit": ["exp"]}, "EdDSA"),
        ({"alg": "EdDSA"}, "name its key"),
        ({"alg": "EdDSA", "kid": "k2"}, "not in the key set"),
    ],
)
def test_another_algorithm_or_key_id_is_refused(header: dict[str, Any], told: str) -> None:
    with pytest.raises(IdentityError, match=told):
        checked(statement(header=header))


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c.d", "!.!.!", "e30.e30.", "bnVsbA.e30.e30", "a" * 9000 + ".b.c"]
)
def test_what_is_no_statement_is_refused(token: str) -> None:
    with pytest.raises(IdentityError):
        checked(token)


@given(st.text(max_size=60) | st.binary(max_size=40).map(encoded).map(lambda p: f"{p}.{p}.{p}"))
def test_whatever_is_sent_the_check_answers(token: str) -> None:
    with pytest.raises(IdentityError):
        checked(token)


def test_a_statement_is_good_for_one_request() -> None:
    check = IdentityCheck(jwks(k1=KEY), audience="cluster", now=lambda: NOW)
    checked(statement(), check=check)
    with pytest.raises(IdentityError, match="used before"):
        checked(statement(), check=check)
    checked(statement(jti="j2"), check=check)


def test_a_refused_request_does_not_use_the_statement_up() -> None:
    check = IdentityCheck(jwks(k1=KEY), audience="cluster", now=lambda: NOW)
    with pytest.raises(IdentityError):
        checked(statement(), check=check, body=b"other")
    checked(statement(), check=check)


def test_statements_are_forgotten_once_they_could_not_be_used_anyway() -> None:
    clock = [NOW]
    check = IdentityCheck(jwks(k1=KEY), audience="cluster", now=lambda: clock[0])
    for turn in range(50):
        clock[0] = NOW + turn * 30
        issued = int(clock[0])
        checked(statement(jti=f"j{turn}", iat=issued, exp=issued + 60), check=check)
    assert len(check._seen) <= 4


def test_the_key_file_is_read_again_for_a_key_id_not_known(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    check = IdentityCheck(file, audience="cluster", now=lambda: NOW)
    with pytest.raises(IdentityError, match="key set of this service cannot be read"):
        checked(statement(), check=check)
    file.write_text(json.dumps(jwks(k1=KEY)))
    checked(statement(), check=check)
    rotated = statement(header={"alg": "EdDSA", "kid": "k2"}, key=OTHER_KEY, jti="j2")
    with pytest.raises(IdentityError, match="not in the key set"):
        checked(rotated, check=check)
    file.write_text(json.dumps(jwks(k1=KEY, k2=OTHER_KEY)))
    checked(rotated, check=check)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"keys": [{"kty": "OKP", "crv": "Ed25519"}]}', '{"keys": 1}']
)
def test_a_broken_key_file_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(content)
    check = IdentityCheck(file, audience="cluster", now=lambda: NOW)
    with pytest.raises(IdentityError, match="cannot be read"):
        checked(statement(), check=check)
