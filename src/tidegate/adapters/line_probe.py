"""The line to a far end, tried step by step: its name, a connection, a handshake.

Nothing is sent over it but the handshake, so that whoever is there has nothing to act upon.
"""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from tidegate.core.diagnosis.line import Certificate, Line, Trouble

STEP_SECONDS: Final = 4.0
#: A far end that wants our certificate says so only after the handshake (RFC 8446, 4.4.2.4).
ALERT_SECONDS: Final = 0.25
#: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_VERIFY: Final = {
    9: Trouble.NOT_YET,
    10: Trouble.EXPIRED,
    62: Trouble.OTHER_NAME,
    64: Trouble.OTHER_NAME,
}
_OLD: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
_NO_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
)
_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "ALERT_CERTIFICATE")


_Life = tuple[float, float]


class LineProbe:
    """Tries lines; what keeps one from standing comes back as a `Trouble`."""

    async def addresses(self, line: Line) -> tuple[str, ...] | Trouble:
        """Return the addresses that a name has."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                found = await loop.getaddrinfo(line.host, line.port, type=socket.SOCK_STREAM)
        except TimeoutError:
            return Trouble.NO_RESOLVER
        except socket.gaierror as error:
            silent = error.errno == socket.EAI_AGAIN
            return Trouble.NO_RESOLVER if silent else Trouble.NO_NAME
        except (OSError, UnicodeError):
            return Trouble.NO_NAME
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(self, line: Line) -> Trouble | None:
        """Return why there is no connection, or None once there was one."""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                _, writer = await asyncio.open_connection(line.host, line.port)
        except ConnectionRefusedError:
            return Trouble.REFUSED
        except TimeoutError:
            return Trouble.SILENT
        except OSError as error:
            # Several addresses, each with a failure of its own, come as one error.
            several = getattr(error, "exceptions", ())
            refused = "refused" in str(error) or any(
                isinstance(each, ConnectionRefusedError) for each in several
            )
            return Trouble.REFUSED if refused else Trouble.NO_ROUTE
        writer.transport.abort()
        return None

    async def handshake(self, line: Line) -> Certificate | Trouble:
        """Return what the far end showed of itself, as a pathway would look at it."""
        try:
            context, own = await asyncio.to_thread(_context, line)
        except _FileError as error:
            return error.trouble
        try:
            async with asyncio.timeout(STEP_SECONDS):
                reader, writer = await asyncio.open_connection(
                    line.host, line.port, ssl=context, server_hostname=line.name
                )
        except (ssl.SSLError, OSError, TimeoutError) as error:
            return _trouble(error)
        try:
            refusal = await _refusal(reader)
            return refusal or _shown(writer.get_extra_info("ssl_object"), own)
        finally:
            writer.transport.abort()


class _FileError(Exception):
    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


def _context(line: Line) -> tuple[ssl.SSLContext, _Life | None]:
    """Return how to speak TLS, and from when to when our own certificate holds."""
    try:
        context = ssl.create_default_context(cafile=line.ca_file)
    except (OSError, ssl.SSLError):
        raise _FileError(Trouble.OUR_AUTHORITY) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if line.client_cert is None:
        return context, None
    try:
        context.load_cert_chain(line.client_cert, line.client_key)
        pem = Path(line.client_cert).read_bytes()
        found = x509.load_pem_x509_certificate(pem)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise _FileError(Trouble.OUR_CERTIFICATE) from None
    own = (found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp())
    return context, own


async def _refusal(reader: asyncio.StreamReader) -> Trouble | None:
    """Return what a far end says that does not take us after all; most say nothing.

    Not every server says why it hangs up then. What it had to judge by then was our certificate.
    """
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            ended = not await reader.read(1)
    except TimeoutError:
        return None
    except (ssl.SSLError, OSError) as error:
        found = _trouble(error)
        return Trouble.WANTS_CERTIFICATE if found is Trouble.HUNG_UP else found
    return Trouble.WANTS_CERTIFICATE if ended else None


def _trouble(error: Exception) -> Trouble:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(error.verify_code, Trouble.UNTRUSTED)
    if isinstance(error, TimeoutError):
        return Trouble.SILENT_TLS
    reason = str(getattr(error, "reason", "") or "").upper()
    for words, trouble in (
        (_CERTIFICATE, Trouble.WANTS_CERTIFICATE),
        (_OLD, Trouble.OLD_TLS),
        (_NO_TLS, Trouble.NO_TLS),
    ):
        if any(word in reason for word in words):
            return trouble
    return Trouble.REFUSED if isinstance(error, ConnectionRefusedError) else Trouble.HUNG_UP


def _shown(found: Any, own: _Life | None) -> Certificate:
    certificate = found.getpeercert() or {}
    issuer = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    named = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    return Certificate(
        life=(
            float(ssl.cert_time_to_seconds(certificate["notBefore"])),
            float(ssl.cert_time_to_seconds(certificate["notAfter"])),
        ),
        issuer=named,
        version=str(found.version()),
        own_life=own,
    )
