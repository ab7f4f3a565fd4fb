"""Tokens by which an AWS role is believed elsewhere, and the keys that they are verified with.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

Json = dict[str, Any]
Algorithm = Literal["RS256", "ES384"]

ALGORITHMS: Final = ("RS256", "ES384")
CLAIMS: Final = "https://sts.amazonaws.com/"
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/.well-known/jwks.json"
_ES384_BYTES: Final = 48


class TokenIssuer:
    """The account's own issuer; its keys are made when they are first needed."""

    @cached_property
    def _rsa(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def _ec(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP384R1())

    def discovery(self, issuer: str) -> Json:
        """Return the OpenID provider's metadata."""
        return {
            "issuer": issuer,
            "jwks_uri": issuer + JWKS_PATH,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": list(ALGORITHMS),
            "claims_supported": ["sub", "aud", "exp", "iat", "iss", "jti"],
        }

    def jwks(self) -> Json:
        """Return the public keys."""
        return {"keys": [self._public(algorithm) for algorithm in ALGORITHMS]}

    def issue(
        self,
        *,
        algorithm: Algorithm,
        issuer: str,
        subject: str,
        audience: Sequence[str],
        issued_at: int,
        seconds: int,
        about: Mapping[str, Any],
    ) -> str:
        """Return a signed token about *subject*, for *audience* alone."""
        header = {"alg": algorithm, "kid": self._public(algorithm)["kid"], "typ": "JWT"}
        claims = {
            "iss": issuer,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + seconds,
            "jti": str(uuid.uuid4()),
            CLAIMS: dict(about),
        }
        signed = f"{_part(header)}.{_part(claims)}"
        return f"{signed}.{_base64url(self._signature(algorithm, signed.encode()))}"

    def _signature(self, algorithm: Algorithm, signed: bytes) -> bytes:
        if algorithm == "RS256":
            return self._rsa.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        # A JWT holds the two numbers side by side (RFC 7518, 3.4), not in DER.
        r, s = utils.decode_dss_signature(self._ec.sign(signed, ec.ECDSA(hashes.SHA384())))
        return r.to_bytes(_ES384_BYTES, "big") + s.to_bytes(_ES384_BYTES, "big")

    def _public(self, algorithm: str) -> Json:
        key = self._rsa_numbers() if algorithm == "RS256" else self._ec_numbers()
        canonical = json.dumps(key, separators=(",", ":"), sort_keys=True).encode()
        # The key id is the key's thumbprint: https://www.rfc-editor.org/rfc/rfc7638
        kid = _base64url(hashlib.sha256(canonical).digest())
        return {**key, "kid": kid, "use": "sig", "alg": algorithm}

    def _rsa_numbers(self) -> Json:
        numbers = self._rsa.public_key().public_numbers()
        n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        return {"e": _base64url(numbers.e.to_bytes(3, "big")), "kty": "RSA", "n": _base64url(n)}

    def _ec_numbers(self) -> Json:
        numbers = self._ec.public_key().public_numbers()
        x, y = (value.to_bytes(_ES384_BYTES, "big") for value in (numbers.x, numbers.y))
        return {"crv": "P-384", "kty": "EC", "x": _base64url(x), "y": _base64url(y)}


def _part(value: Json) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
