"""Certificates that are renewed while the gateway runs, and those that cannot be read."""

import asyncio
import io
import json
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.adapters.wire import Authority, Connection, Wire, answering, wired
from tidegate.adapters.journal import EventJournal
from tidegate.adapters.pathways import certificates
from tidegate.adapters.pathways.certificates import Certificates
from tidegate.adapters.pathways.transport import Place, Transport
from tidegate.errors import CertificateError
from tidegate.ports import Answered, NotSent, Response


@pytest.fixture(autouse=True)
def looks_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.0)


def split(pem: Path, folder: Path) -> tuple[Path, Path]:
    """A certificate and its key as a Kubernetes TLS secret has them: two files."""
    text = pem.read_bytes()
    place = text.index(b"-----BEGIN PRIVATE KEY-----")
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(text[:place])
    key.write_bytes(text[place:])
    return certificate, key


async def exchange(transport: Transport) -> Response:
    return await transport.exchange(method="POST", path="/x", headers={}, body=b"{}", fresh=False)


def opened(url: str, **files: Any) -> Transport:
    return Transport(Place(url=url, timeout_seconds=5.0, concurrency=1, **files))


def shown_to(people: Authority, ca: Authority, names: list[str]) -> ssl.SSLContext:
    context = ca.server("127.0.0.1", clients=people)
    context.set_servername_callback(lambda sock, _name, _context: names.append(str(type(sock))))
    return context


async def test_a_client_certificate_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    ca, people = Authority(tmp_path), Authority(tmp_path, "People")
    serials: list[str] = []

    async def names(connection: Connection, wire: Wire) -> None:
        peer = connection.writer.get_extra_info("peercert")
        serials.append(peer["serialNumber"])
        await answering()(connection, wire)

    mine = tmp_path / "mine.pem"
    first, second = people.issue("gateway"), people.issue("gateway")
    async with wired(names, ca.server("127.0.0.1", clients=people)) as wire:
        transport = opened(wire.url("https"), ca_file=str(ca.file), client_cert=str(mine))
        shutil.copy(first, mine)
        for _ in range(2):
            assert isinstance(await exchange(transport), Answered)
        shutil.copy(second, mine)
        assert isinstance(await exchange(transport), Answered)
        await transport.close()
    # One connection as long as nothing changed, and none of the old certificate afterwards.
    assert len(serials) == 2
    assert len(set(serials)) == 2


async def test_a_private_authority_that_is_replaced_is_trusted_and_the_old_one_no_more(
    tmp_path: Path,
) -> None:
    old, new = Authority(tmp_path, "Old"), Authority(tmp_path, "New")
    trusted = tmp_path / "ca.pem"
    shutil.copy(old.file, trusted)
    async with wired(answering(), new.server("127.0.0.1")) as wire:
        transport = opened(wire.url("https"), ca_file=str(trusted))
        assert await exchange(transport) == NotSent(reason="tls")
        shutil.copy(new.file, trusted)
        assert isinstance(await exchange(transport), Answered)
        shutil.copy(old.file, trusted)
        assert await exchange(transport) == NotSent(reason="tls")
        await transport.close()


async def test_a_key_in_a_file_of_its_own_is_used(tmp_path: Path) -> None:
    ca, people = Authority(tmp_path), Authority(tmp_path, "People")
    certificate, key = split(people.issue("gateway"), tmp_path)
    async with wired(answering(), ca.server("127.0.0.1", clients=people)) as wire:
        transport = opened(
            wire.url("https"),
            ca_file=str(ca.file),
            client_cert=str(certificate),
            client_key=str(key),
        )
        assert isinstance(await exchange(transport), Answered)
        await transport.close()


async def test_files_that_become_unreadable_leave_the_last_good_ones_in_use(
    tmp_path: Path,
) -> None:
    log = io.StringIO()
    mine = tmp_path / "mine.pem"
    people = Authority(tmp_path, "People")
    shutil.copy(people.issue("gateway"), mine)
    held = Certificates(client_cert=str(mine), journal=EventJournal(log))
    good = await held.current()
    mine.write_text("-----BEGIN CERTIFICATE-----\nhalf")
    assert await held.current() is good
    mine.unlink()
    assert await held.current() is good
    shutil.copy(people.issue("gateway"), mine)
    assert await held.current() is not good
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["event"] for line in lines} == {"certificates_not_read"}


async def test_files_that_never_could_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(CertificateError):
        await Certificates(ca_file=str(tmp_path / "missing.pem")).current()
    other = tmp_path / "other"
    other.mkdir()
    people = Authority(tmp_path, "People")
    certificate, _ = split(people.issue("gateway"), tmp_path)
    _, key = split(people.issue("gateway"), other)
    with pytest.raises(CertificateError):
        await Certificates(client_cert=str(certificate), client_key=str(key)).current()


async def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(
    tmp_path: Path,
) -> None:
    pem = Authority(tmp_path).issue("gateway")
    certificate, key = split(pem, tmp_path)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError):
        await Certificates(client_cert=str(certificate), client_key=str(key)).current()


async def test_what_has_not_changed_is_read_once(tmp_path: Path) -> None:
    held = Certificates(ca_file=str(Authority(tmp_path).file))
    first = await asyncio.gather(*(held.current() for _ in range(20)))
    assert len({id(context) for context in first}) == 1
    assert await held.current() is first[0]


async def test_between_two_looks_no_file_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_SECONDS", 3600.0)
    ca = tmp_path / "ca.pem"
    shutil.copy(Authority(tmp_path).file, ca)
    held = Certificates(ca_file=str(ca))
    first = await held.current()
    ca.unlink()
    assert await held.current() is first


async def test_the_system_s_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    real = ssl.create_default_context

    def counted(**options: Any) -> ssl.SSLContext:
        made.append(real(**options))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    held = Certificates()
    found = await asyncio.gather(*(held.current() for _ in range(5)))
    assert {id(context) for context in found} == {id(made[0])}
    assert len(made) == 1
    assert made[0].verify_mode is ssl.CERT_REQUIRED
    assert made[0].minimum_version is ssl.TLSVersion.TLSv1_2


async def test_a_pipe_holds_no_certificate_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ca.pem")
    with pytest.raises(CertificateError):
        await asyncio.wait_for(Certificates(ca_file=str(tmp_path / "ca.pem")).current(), 5)
