"""The statement of who clicked, signed: compact JWS with Ed25519.

Source: https://www.rfc-editor.org/rfc/rfc8037
"""

import base64
import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.errors import SecretError


class IdentitySigner:
    """Signs with one Ed25519 key; the key's id is its thumbprint (RFC 7638)."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SecretError("identity.signing_key is not a private key in PEM form") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise SecretError("identity.signing_key is not an Ed25519 key")
        self._key = key
        raw = key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        self._x = _base64(raw)
        thumb = msgspec.json.encode({"crv": "Ed25519", "kty": "OKP", "x": self._x})
        self._kid = _base64(hashlib.sha256(thumb).digest())
        header = {"alg": "EdDSA", "kid": self._kid, "typ": "JWT"}
        self._head = _base64(msgspec.json.encode(header))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a compact JWS over *claims*."""
        text = f"{self._head}.{_base64(msgspec.json.encode(claims))}"
        return f"{text}.{_base64(self._key.sign(text.encode()))}"

    def jwks(self) -> Mapping[str, Any]:
        """Return the public key that verifies it, as a JWKS."""
        key = {"kty": "OKP", "crv": "Ed25519", "x": self._x, "kid": self._kid}
        return {"keys": [{**key, "alg": "EdDSA", "use": "sig"}]}


def kept_key(path: Path) -> bytes:
    """Return the key kept at *path*; where there is none, make one that only we can read.

    Raises:
        SecretError: The place cannot be read or written.
    """
    try:
        if path.exists() and path.stat().st_mode & 0o077:
            path.chmod(0o600)  # it was copied or restored without care
        return path.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SecretError(f"{path.name} cannot be read: {error.strerror}") from error
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        # Written whole under another name, then linked: a second process sees all or nothing.
        # The name is chance: in a container each process has the number of the one before.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
        return path.read_bytes()
    except OSError as error:
        raise SecretError(f"{path.name} cannot be written: {error.strerror}") from error


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
