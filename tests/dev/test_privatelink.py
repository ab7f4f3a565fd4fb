"""The interface endpoint on real sockets, called as a client in the VPC calls it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from yarl import URL

from tests.dev.edge_stage import Service
from tidegate_dev.authority import Authority
from tidegate_dev.listener import Listener
from tidegate_dev.privatelink import FAULTS, PrivateLink

NAME = "agent.acme.internal"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Caller:
    """A client that trusts the authority, and a service behind the endpoint."""

    def __init__(self, link: PrivateLink, service: Service, authority: Authority) -> None:
        self.link = link
        self.service = service
        self.trust = ssl.create_default_context(cadata=authority.pem.decode())

    async def ask(self, *, sni: str = NAME, host: str = NAME, **more: Any) -> tuple[int, bytes]:
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                URL(f"https://{self.link.address}/api/v1/deploy?a=%2F", encoded=True),
                headers={"Host": host, "Authorization": "Bearer a.b.c", "X-Amz-Date": "now"},
                data=b"{}",
                ssl=self.trust,
                server_hostname=sni,
                timeout=aiohttp.ClientTimeout(total=more.get("seconds", 5.0)),
            ) as response,
        ):
            return response.status, await response.read()


@asynccontextmanager
async def linked(authority: Authority, **changes: Any) -> AsyncIterator[Caller]:
    service = Service()
    service.may_answer.set()
    async with (
        Listener(service) as private,
        PrivateLink(private.url, name=NAME, authority=authority, **changes) as link,
    ):
        yield Caller(link, service, authority)


async def test_the_services_name_leads_through_and_nothing_is_taken_away(
    authority: Authority,
) -> None:
    async with linked(authority) as caller:
        assert await caller.ask() == (202, b'{"message":"taken"}')
        assert list(caller.link.asked_for) == [NAME]
        [(scope, body)] = caller.service.requests
        headers = dict(scope["headers"])
        assert (scope["raw_path"], scope["query_string"]) == (b"/api/v1/deploy", b"a=%2F")
        assert headers[b"host"] == NAME.encode()
        assert headers[b"authorization"] == b"Bearer a.b.c"
        assert headers[b"x-amz-date"] == b"now"
        assert body == b"{}"


async def test_the_endpoints_own_name_is_in_no_certificate(authority: Authority) -> None:
    async with linked(authority) as caller:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await caller.ask(sni=caller.link.endpoint_name)
        assert caller.link.endpoint_name.endswith(".eu-west-1.vpce.amazonaws.com")
        assert caller.service.requests == []


async def test_the_name_that_is_asked_for_decides_which_certificate_is_shown(
    authority: Authority,
) -> None:
    async with linked(authority) as caller:
        blind = ssl.create_default_context()
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        shown = []
        for name in (NAME, caller.link.endpoint_name):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", caller.link.port, ssl=blind, server_hostname=name
            )
            raw = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            names = x509.load_der_x509_certificate(raw).extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            )
            shown.append(names.value.get_values_for_type(x509.DNSName))
            writer.close()
        [right], [other] = shown
        assert right == NAME
        assert other.endswith(".elb.eu-west-1.amazonaws.com")


async def test_another_host_leads_to_nothing(authority: Authority) -> None:
    async with linked(authority) as caller:
        assert (await caller.ask(host=caller.link.endpoint_name))[0] == 404
        assert caller.service.requests == []


async def test_a_client_has_to_show_a_certificate_where_that_is_asked_for(
    authority: Authority, tmp_path: Path
) -> None:
    clients = Authority("clients")
    async with linked(authority, client_ca=clients.pem) as caller:
        with pytest.raises(aiohttp.ClientError):
            await caller.ask()
        Authority("others").issue("gateway").load(caller.trust)
        with pytest.raises(aiohttp.ClientError):
            await caller.ask()
        assert caller.service.requests == []
        clients.issue("gateway").load(caller.trust)
        assert (await caller.ask())[0] == 202


@pytest.mark.parametrize("fault", ["wrong_name", "expired_certificate", "foreign_authority"])
async def test_a_certificate_that_is_no_good_can_be_shown(authority: Authority, fault: str) -> None:
    async with linked(authority) as caller:
        caller.link.set_fault(fault, True)
        with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
            await caller.ask()
        words = {
            "wrong_name": "Hostname mismatch",
            "expired_certificate": "certificate has expired",
            "foreign_authority": "unable to get local issuer certificate",
        }
        assert words[fault] in str(caught.value)
        caller.link.set_fault(fault, False)
        assert (await caller.ask())[0] == 202


async def test_who_is_not_accepted_waits_in_vain(authority: Authority) -> None:
    async with linked(authority) as caller:
        caller.link.set_fault("not_accepted", True)
        with pytest.raises(TimeoutError):
            await caller.ask(seconds=0.1)
        assert list(caller.link.asked_for) == []


async def test_connections_can_be_cut(authority: Authority) -> None:
    async with linked(authority) as caller:
        caller.link.set_fault("cut", True)
        with pytest.raises(aiohttp.ClientError):
            await caller.ask()
        caller.link.set_fault("cut", False)
        assert (await caller.ask())[0] == 202


async def test_a_service_that_is_not_there_is_unavailable(authority: Authority) -> None:
    async with linked(authority) as caller:
        caller.link.set_fault("service_down", True)
        assert (await caller.ask())[0] == 503
        with pytest.raises(ValueError, match="no fault is called 'rain'"):
            caller.link.set_fault("rain", True)
    assert all(FAULTS.values())


async def test_a_pipe_that_is_stopped_leaves_no_connection(authority: Authority) -> None:
    async with linked(authority) as caller:
        caller.link.set_fault("not_accepted", True)
        held = socket.create_connection(("127.0.0.1", caller.link.port))
        held.setblocking(False)
    with held:
        async with asyncio.timeout(5):
            try:
                left = await asyncio.get_running_loop().sock_recv(held, 1)
            except ConnectionResetError:
                left = b""
        assert left == b""


async def test_a_key_is_for_its_owners_eyes(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("gateway")
    certificate, key = pair.write(tmp_path, "gateway")
    assert key.stat().st_mode & 0o077 == 0
    assert certificate.read_bytes() == pair.certificate
    assert pair.key.decode() not in repr(pair)
