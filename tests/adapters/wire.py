"""Listeners that misbehave on purpose, and certificates for those that speak TLS."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(frozen=True, slots=True)
class Wired:
    """A request as it stood on the wire."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> Wired:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *rest = head.split("\r\n")[:-2]
        headers = {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in rest)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Wired(line, headers, body)

    async def answer(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    def reset(self) -> None:
        self.writer.transport.abort()


Behaviour = Callable[[Connection, "Wire"], Awaitable[None]]


@dataclass(slots=True)
class Wire:
    port: int = 0
    seen: list[Wired] = field(default_factory=list)
    connections: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}"


def answering(raw: bytes = OK) -> Behaviour:
    """Answer every request of a connection with the same bytes."""

    async def behave(connection: Connection, wire: Wire) -> None:
        while True:
            wire.seen.append(await connection.request())
            await connection.answer(raw)

    return behave


@contextlib.asynccontextmanager
async def wired(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    wire = Wire()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        wire.connections += 1
        try:
            await behave(Connection(reader, writer), wire)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            wire.ended.set()
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


# --- certificates ---------------------------------------------------------------------------

Key = ec.EllipticCurvePrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """A private CA that issues into a folder."""

    def __init__(self, folder: Path, name: str = "Private CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = self._signed(self._name, self._key, None)
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(_pem(self._certificate))

    def issue(self, *names: str, called: str = "") -> Path:
        """A PEM file with a certificate for *names* (or addresses) and its key.

        Its subject is *called* so, or by the first of them.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subjects: list[x509.GeneralName] = []
        for name in names:
            try:
                subjects.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                subjects.append(x509.DNSName(name))
        certificate = self._signed(_name(called or names[0]), key, subjects)
        file = self._folder / f"{names[0]}-{certificate.serial_number}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(_pem(certificate) + private)
        return file

    def server(
        self, *names: str, clients: "Authority | None" = None, called: str = ""
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(*names, called=called))
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.file)
        return context

    def _signed(
        self, subject: x509.Name, key: Key, names: list[x509.GeneralName] | None
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())
