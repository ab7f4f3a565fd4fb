import base64
import hashlib
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from tidegate.adapters.identity import IdentitySigner, kept_key
from tidegate.errors import SecretError


def pem_of(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem


PEM = pem_of(ed25519.Ed25519PrivateKey.generate())
CLAIMS = {"iss": "tidegate", "sub": "slack:T:U", "groups": ["S1"], "iat": 1, "exp": 61}


def plain(part: str) -> bytes:
    assert "=" not in part
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verified(token: str, jwks: Any) -> dict[str, Any]:
    """Verify as a receiver does that knows the JWKS and nothing else of ours."""
    head, claims, signature = token.split(".")
    header = json.loads(plain(head))
    assert header["alg"] == "EdDSA"
    (key,) = [key for key in jwks["keys"] if key["kid"] == header["kid"]]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    public = ed25519.Ed25519PublicKey.from_public_bytes(plain(key["x"]))
    public.verify(plain(signature), f"{head}.{claims}".encode())
    found: dict[str, Any] = json.loads(plain(claims))
    return found


def test_a_receiver_with_the_public_key_alone_can_verify_the_statement() -> None:
    signer = IdentitySigner(PEM)
    assert verified(signer.sign(CLAIMS), signer.jwks()) == CLAIMS


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_statement_that_was_changed_does_not_verify(part: int) -> None:
    signer = IdentitySigner(PEM)
    parts = signer.sign(CLAIMS).split(".")
    raw = bytearray(plain(parts[part]))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises((InvalidSignature, AssertionError, ValueError)):
        verified(".".join(parts), signer.jwks())


def test_another_key_does_not_verify_it() -> None:
    other = IdentitySigner(pem_of(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(ValueError, match="unpack"):
        verified(IdentitySigner(PEM).sign(CLAIMS), other.jwks())


def test_the_keys_id_is_its_thumbprint() -> None:
    (key,) = IdentitySigner(PEM).jwks()["keys"]
    members = json.dumps(
        {name: key[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True
    )
    digest = hashlib.sha256(members.encode()).digest()
    assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_only_what_is_public_is_published() -> None:
    private = serialization.load_pem_private_key(PEM, password=None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    seed = base64.urlsafe_b64encode(private.private_bytes_raw()).rstrip(b"=").decode()
    published = json.dumps(IdentitySigner(PEM).jwks())
    assert seed not in published
    assert '"d"' not in published


@pytest.mark.parametrize(
    "pem",
    [b"", b"secret-text", PEM[:60], PEM.replace(b"PRIVATE", b"PUBLIC"), b"\xff\xfe"],
    ids=["empty", "text", "half", "public", "bytes"],
)
def test_what_is_no_private_key_is_refused_without_repeating_it(pem: bytes) -> None:
    with pytest.raises(SecretError) as refused:
        IdentitySigner(pem)
    assert "secret-text" not in str(refused.value)


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(SecretError, match="not an Ed25519 key"):
        IdentitySigner(pem_of(ed448.Ed448PrivateKey.generate()))


# --- the key that is kept -------------------------------------------------------------------


def test_a_key_is_made_once_and_only_we_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        first = kept_key(tmp_path / "key.pem")
    finally:
        os.umask(old)
    assert kept_key(tmp_path / "key.pem") == first
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key.pem"]
    IdentitySigner(first)


def _make(path: str, at_once: Any, found: Any) -> None:
    at_once.wait()
    found.put(kept_key(Path(path)))


def test_processes_that_make_it_at_once_get_the_same_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    at_once, found = context.Barrier(3), context.Queue()
    path = str(tmp_path / "key.pem")
    started = [context.Process(target=_make, args=(path, at_once, found)) for _ in range(3)]
    for process in started:
        process.start()
    keys = {found.get(timeout=40) for _ in started}
    for process in started:
        process.join()
    assert keys == {(tmp_path / "key.pem").read_bytes()}
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_process_left_behind_that_died_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container every process has the same number as the one before it."""
    (tmp_path / f"key.pem.{os.getpid()}").write_bytes(b"half")
    made = kept_key(tmp_path / "key.pem")
    assert IdentitySigner(made).jwks()["keys"]
    assert kept_key(tmp_path / "key.pem") == made


def test_a_place_that_cannot_be_written_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"key\.pem cannot be written"):
        kept_key(tmp_path / "missing" / "key.pem")
    (tmp_path / "key.pem").mkdir()
    with pytest.raises(SecretError, match=r"key\.pem cannot be read"):
        kept_key(tmp_path / "key.pem")
