"""TLS contexts: whom the agent believes at the far end, and by what it is known there."""

import os
import ssl
import tempfile
from pathlib import Path


def client_context(
    *,
    ca_pem: str | None = None,
    verify: bool = True,
    certificate_pem: bytes | None = None,
    key_pem: bytes | None = None,
) -> ssl.SSLContext:
    """Return the context of a client.

    Args:
        ca_pem: The authorities to believe; the system's, if None.
        verify: Whether the far end has to prove who it is.
        certificate_pem: What the client shows; nothing, if None.
        key_pem: Its private key; in the same PEM as the certificate, if None.

    Raises:
        ssl.SSLError: A PEM is none, or certificate and key do not belong together.
        ValueError: A PEM holds no certificate.
    """
    context = ssl.create_default_context(cadata=ca_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate_pem is not None:
        _present(context, certificate_pem, key_pem)
    return context


def server_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """Return the context of a listener; with *client_ca*, only who shows its certificate gets in.

    Raises:
        OSError: A file cannot be read, or does not hold what it should (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(cafile=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Certificate:
    """A listener's certificate in files that somebody may write anew, as cert-manager does."""

    def __init__(self, context: ssl.SSLContext, chain: Path, key: Path) -> None:
        self._context = context
        self._chain = chain
        self._key = key
        self._state = self._read_state()

    def renew(self) -> bool:
        """New connections are shown what the files hold now; return whether that is new.

        Raises:
            OSError: They hold no certificate with its key (`ssl.SSLError`); the old one stays.
        """
        state = self._read_state()
        if state == self._state:
            return False
        # A context takes the certificate before it finds that the key is another's, and from then
        # on fails every handshake: so it is tried on one that nobody uses.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._chain, self._key)
        if self._read_state() != state:  # they are just being written: the next look will tell
            return False
        self._context.load_cert_chain(self._chain, self._key)
        self._state = state
        return True

    def _read_state(self) -> tuple[tuple[int, int], ...]:
        return tuple((found.st_ino, found.st_mtime_ns) for found in self._stats())

    def _stats(self) -> tuple[os.stat_result, ...]:
        return self._chain.stat(), self._key.stat()


def _present(context: ssl.SSLContext, certificate_pem: bytes, key_pem: bytes | None) -> None:
    """The context shows the certificate. The ssl module takes it from files only."""
    with tempfile.TemporaryDirectory(prefix="tidegate-agent-") as folder:  # mode 0700
        chain = Path(folder, "chain.pem")
        chain.write_bytes(certificate_pem + b"\n" + (key_pem or b""))
        context.load_cert_chain(chain)
