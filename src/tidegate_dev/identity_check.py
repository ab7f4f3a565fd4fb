"""Decide, as a receiving service, whether a `Tidegate-Identity` statement holds for a request.

Written from what the header is documented to be: a compact JWS, EdDSA over Ed25519 and nothing
else, good for one request within a minute.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_LIFE_SECONDS: Final = 60
LEEWAY_SECONDS: Final = 5  # between two clocks
MAX_STATEMENT_CHARS: Final = 8192

_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class IdentityError(Exception):
    """The statement does not hold; the message says why, in plain words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Who asked, and for which run."""

    subject: str
    groups: tuple[str, ...]
    run: str
    action: str


class IdentityCheck:
    """Checks statements against a key set, and remembers each until it has expired.

    Args:
        jwks: The key set, or the file that holds it; looked up again for each key id not known.
        audience: The name that this service goes by.
        issuer: Who has to have signed.
        now: Seconds since the Unix epoch.
    """

    def __init__(
        self,
        jwks: Path | Mapping[str, Any],
        *,
        audience: str,
        issuer: str = "tidegate",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._jwks = jwks
        self._audience = audience
        self._issuer = issuer
        self._now = now
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._seen: dict[str, float] = {}

    def check(self, token: str, *, method: str, path: str, body: bytes) -> Statement:
        """Return the statement if it holds for this very request, and has not been used before.

        Raises:
            IdentityError: It does not.
        """
        claims = self._verified(token)
        self._check_times(claims)
        for name, expected in (
            ("iss", self._issuer),
            ("aud", self._audience),
            ("method", method),
            ("path", path),
        ):
            if claims.get(name) != expected:
                raise IdentityError(f"The statement's {name} is not this request's.")
        digest = claims.get("body_sha256")
        if not isinstance(digest, str) or not hmac.compare_digest(
            digest.encode(), hashlib.sha256(body).hexdigest().encode()
        ):
            raise IdentityError("The statement is about another body.")
        statement = _statement(claims)
        self._use_up(claims)
        return statement

    def _verified(self, token: str) -> dict[str, Any]:
        if not token:
            raise IdentityError("The Tidegate-Identity header is missing.")
        parts = token.split(".")
        if len(parts) != 3 or len(token) > MAX_STATEMENT_CHARS:
            raise IdentityError("Tidegate-Identity is not a compact JWS.")
        header = _object(parts[0])
        if header.get("alg") != "EdDSA" or "crit" in header:
            raise IdentityError("Tidegate-Identity must be signed with EdDSA.")
        key = self._key(header.get("kid"))
        try:
            key.verify(_bytes(parts[2]), f"{parts[0]}.{parts[1]}".encode())
        except InvalidSignature:
            raise IdentityError("The statement's signature is wrong.") from None
        return _object(parts[1])

    def _key(self, kid: object) -> Ed25519PublicKey:
        if not isinstance(kid, str):
            raise IdentityError("The statement does not name its key.")
        if kid not in self._keys:
            self._keys = self._read()
        if kid not in self._keys:
            raise IdentityError("The statement is signed with a key that is not in the key set.")
        return self._keys[kid]

    def _read(self) -> dict[str, Ed25519PublicKey]:
        try:
            jwks = (
                json.loads(self._jwks.read_bytes()) if isinstance(self._jwks, Path) else self._jwks
            )
            return {
                key["kid"]: Ed25519PublicKey.from_public_bytes(_bytes(key["x"]))
                for key in jwks["keys"]
                if key.get("kty") == "OKP" and key.get("crv") == "Ed25519"
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IdentityError("The key set of this service cannot be read.") from error

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
        if issued is None or expires is None:
            raise IdentityError("The statement does not say when it was made and when it ends.")
        now = self._now()
        if not 0 < expires - issued <= MAX_LIFE_SECONDS:
            raise IdentityError(f"A statement may live {MAX_LIFE_SECONDS} s and no longer.")
        if issued > now + LEEWAY_SECONDS:
            raise IdentityError("The statement is from the future: look at the clocks.")
        if expires < now - LEEWAY_SECONDS:
            raise IdentityError("The statement has expired.")

    def _use_up(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        self._seen = {jti: end for jti, end in self._seen.items() if end >= now - LEEWAY_SECONDS}
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= 128:
            raise IdentityError("The statement has no jti.")
        if jti in self._seen:
            raise IdentityError("The statement has been used before.")
        self._seen[jti] = claims["exp"]


def _statement(claims: Mapping[str, Any]) -> Statement:
    texts = [claims.get(name) for name in ("sub", "run", "action")]
    groups = claims.get("groups", [])
    if not all(isinstance(text, str) and text for text in texts) or not isinstance(groups, list):
        raise IdentityError("The statement does not say who asked, and for which run.")
    subject, run, action = map(str, texts)
    return Statement(subject=subject, groups=tuple(map(str, groups)), run=run, action=action)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    return float(value)


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        raise IdentityError("Tidegate-Identity is not a compact JWS.") from None
    if not isinstance(value, dict):
        raise IdentityError("Tidegate-Identity is not a compact JWS.")
    return value


def _bytes(part: str) -> bytes:
    if not _BASE64URL.fullmatch(part):
        raise IdentityError("Tidegate-Identity is not a compact JWS.")
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise IdentityError("Tidegate-Identity is not a compact JWS.") from None
