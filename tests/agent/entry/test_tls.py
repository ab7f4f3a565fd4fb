"""The listener's TLS: its certificate, those of its clients, and a renewal without a restart."""

import asyncio
import ssl
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from tests.agent.entry.door import listening
from tidegate_agent.adapters.tls import Certificate, client_context, server_context
from tidegate_dev.authority import Authority

APP = PlainTextResponse("here")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def _peer(url: str, context: ssl.SSLContext) -> str:
    """Return the answer's first line and the certificate's serial number."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        if not line:
            raise ConnectionResetError
        certificate = writer.get_extra_info("peercert")
        return f"{line.decode().split()[1]} {certificate['serialNumber']}"
    finally:
        writer.close()


async def test_who_shows_no_certificate_of_ours_does_not_get_in(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    gateway, stranger = authority.issue("gateway"), Authority().issue("gateway")
    tls = server_context(cert, key, tmp_path / "ca.pem")
    async with listening(APP, tls=tls) as url:
        ca = authority.pem.decode()
        good = client_context(ca_pem=ca, certificate_pem=gateway.certificate, key_pem=gateway.key)
        assert (await _peer(url, good)).startswith("200")
        bad = client_context(ca_pem=ca, certificate_pem=stranger.certificate, key_pem=stranger.key)
        for context in (bad, client_context(ca_pem=ca)):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await _peer(url, context)


async def test_a_certificate_that_is_written_anew_is_shown_to_new_connections(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
    tls = server_context(cert, key, None)
    certificate = Certificate(tls, cert, key)
    client = client_context(ca_pem=authority.pem.decode())
    async with listening(APP, tls=tls) as url:
        first = await _peer(url, client)
        assert not certificate.renew()
        authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
        assert certificate.renew()
        assert await _peer(url, client) != first


async def test_a_new_certificate_that_cannot_be_used_leaves_the_old_one(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
    tls = server_context(cert, key, None)
    certificate = Certificate(tls, cert, key)
    async with listening(APP, tls=tls) as url:
        client = client_context(ca_pem=authority.pem.decode())
        first = await _peer(url, client)
        cert.write_text("half")
        with pytest.raises(ssl.SSLError):
            certificate.renew()
        assert await _peer(url, client) == first


async def test_a_certificate_that_is_written_before_its_key_waits_for_it(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
    tls = server_context(cert, key, None)
    certificate = Certificate(tls, cert, key)
    new = authority.issue("agent", "127.0.0.1")
    async with listening(APP, tls=tls) as url:
        client = client_context(ca_pem=authority.pem.decode())
        first = await _peer(url, client)
        cert.write_bytes(new.certificate)
        with pytest.raises(ssl.SSLError):
            certificate.renew()
        assert await _peer(url, client) == first
        key.write_bytes(new.key)
        assert certificate.renew()
        assert await _peer(url, client) != first


async def test_a_connection_counts_before_its_handshake(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("agent", "127.0.0.1").write(tmp_path, "agent")
    client = client_context(ca_pem=authority.pem.decode())
    async with listening(APP, tls=server_context(cert, key, None), max_connections=1) as url:
        _, silent = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await asyncio.sleep(0.05)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await _peer(url, client)
        silent.close()
        await asyncio.sleep(0.05)
        assert (await _peer(url, client)).startswith("200")


def test_an_older_tls_is_not_spoken(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue("agent").write(tmp_path, "agent")
    assert server_context(cert, key, None).minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_2
