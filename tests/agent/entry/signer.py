"""Makes statements of who asked, as the gateway does, and as an attacker would."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.agent.app.stage import DEPLOYER


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(slots=True)
class Signer:
    """Holds one key."""

    kid: str = "k1"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def jwks(self) -> dict[str, Any]:
        """Return its public part, as the file that a service is given."""
        raw = self.key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), "kid": self.kid}]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return a compact JWS."""
        head = {"alg": "EdDSA", "kid": self.kid, "typ": "JWT"} | header
        text = ".".join(base64url(json.dumps(part).encode()) for part in (head, dict(claims)))
        return f"{text}.{base64url(self.key.sign(text.encode()))}"


def claims(method: str, path: str, body: bytes, run: str, *, who: str = DEPLOYER) -> dict[str, Any]:
    """Return what a true statement says of a request."""
    now = int(time.time())
    return {
        "iss": "tidegate",
        "aud": "cluster",
        "sub": who,
        "groups": ["SDEV"] if who == DEPLOYER else [],
        "run": run,
        "action": "deploy-staging",
        "jti": secrets.token_hex(12),
        "iat": now,
        "exp": now + 60,
        "method": method,
        "path": path,
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
