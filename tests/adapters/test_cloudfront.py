"""Links by CloudFront: verified with the public half, as CloudFront does."""

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tidegate.adapters.clock import SystemClock
from tidegate.adapters.cloudfront import CloudFront
from tidegate.core.share import Object
from tidegate.errors import SecretError

FOUND = Object(bucket="b", key="q3/a b.pdf", size=1, etag='"e"', version_id="v1")


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def front(key: bytes) -> CloudFront:
    return CloudFront(
        domain="d1.cloudfront.net", key_pair_id="KPAIR123", private_key=key, clock=SystemClock()
    )


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_link_verifies_with_the_public_key_and_ends_when_it_says(kind: str) -> None:
    key = rsa_key() if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
    link = front(pem(key)).link(FOUND, seconds=86_400 * 30, name="é.pdf")
    fields = parse_qs(urlsplit(link.url).query)
    policy, signature = (
        base64.b64decode(fields[name][0].translate(str.maketrans("-_~", "+=/")))
        for name in ("Policy", "Signature")
    )
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(signature, policy, padding.PKCS1v15(), SHA256())
    else:
        key.public_key().verify(signature, policy, ec.ECDSA(SHA256()))
    assert fields["Hash-Algorithm"] == ["SHA256"]
    assert str(int(link.expires_at)).encode() in policy
    assert fields["versionId"] == ["v1"]
    assert fields["response-content-disposition"] == ["attachment; filename*=UTF-8''%C3%A9.pdf"]
    assert not link.shortened


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"not a key",
        lambda: b"",
        lambda: pem(rsa_key(3072)),
        lambda: pem(ec.generate_private_key(ec.SECP384R1())),
        lambda: pem(ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["no key", "empty", "a longer rsa key", "a longer ecdsa key", "ed25519"],
)
def test_keys_that_cloudfront_does_not_take_are_refused_without_being_shown(
    make: Callable[[], bytes],
) -> None:
    with pytest.raises(SecretError) as caught:
        front(make())
    assert "BEGIN" not in str(caught.value)
