"""A pod's own credentials, and TLS with the API server that they lead to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.agent.adapters.scripted import Scripted, answer
from tidegate_agent.adapters.kubernetes import (
    Credentials,
    CredentialsError,
    KubernetesClient,
    in_cluster,
    is_in_cluster,
)
from tidegate_agent.adapters.tls import client_context, server_context
from tidegate_agent.core.kinds import CONFIG_MAP
from tidegate_agent.errors import UnreachableError
from tidegate_dev.authority import Authority

ENVIRON = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def _account(folder: Path, authority: Authority, token: str = "first") -> Path:
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_bytes(authority.pem)
    (folder / "namespace").write_text("tidegate\n")
    return folder


@asynccontextmanager
async def _server(context: ssl.SSLContext, script: Scripted) -> AsyncIterator[str]:
    server = await asyncio.start_server(script.talk, "127.0.0.1", 0, ssl=context)
    try:
        yield str(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await script.hang_up()


def test_a_pod_is_known_by_what_the_kubelet_tells_it() -> None:
    assert is_in_cluster(ENVIRON)
    assert not is_in_cluster({"KUBERNETES_SERVICE_HOST": "127.0.0.1"})


def test_a_pods_account_has_all_that_it_takes(tmp_path: Path, authority: Authority) -> None:
    found = in_cluster(ENVIRON, _account(tmp_path, authority))
    assert (found.server, found.namespace) == ("https://127.0.0.1:6443", "tidegate")
    six = {**ENVIRON, "KUBERNETES_SERVICE_HOST": "fd00::1"}
    assert in_cluster(six, tmp_path).server == "https://[fd00::1]:6443"


def test_a_pod_without_a_token_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="automountServiceAccountToken"):
        in_cluster(ENVIRON, tmp_path)


@pytest.mark.parametrize("missing", ["ca.crt", "namespace"])
def test_a_pod_without_the_rest_is_told(tmp_path: Path, authority: Authority, missing: str) -> None:
    (_account(tmp_path, authority) / missing).unlink()
    with pytest.raises(CredentialsError, match=missing):
        in_cluster(ENVIRON, tmp_path)


async def test_the_server_is_believed_for_its_certificate_and_each_request_has_a_fresh_token(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("kubernetes", "127.0.0.1").write(tmp_path, "server")
    script = Scripted(answers=[answer(200, {"a": 1}), answer(200, {"a": 1})])
    async with _server(server_context(cert, key, None), script) as port:
        environ = {**ENVIRON, "KUBERNETES_SERVICE_PORT": port}
        credentials = in_cluster(environ, _account(tmp_path, authority))
        client = KubernetesClient(credentials, sleep=asyncio.sleep)
        await client.get(CONFIG_MAP, "tidegate", "one")
        (tmp_path / "token").write_text("second")
        await client.get(CONFIG_MAP, "tidegate", "one")
        await client.close()
    assert ["Bearer first" in script.asked[0], "Bearer second" in script.asked[1]] == [True, True]


@pytest.mark.parametrize("fault", ["authority", "name"])
async def test_a_server_that_does_not_prove_itself_is_told_nothing(
    tmp_path: Path, authority: Authority, fault: str
) -> None:
    issuer = Authority() if fault == "authority" else authority
    addresses = [] if fault == "name" else ["127.0.0.1"]
    cert, key = issuer.issue("kubernetes", *addresses).write(tmp_path, "server")
    script = Scripted(answers=[answer(200, {})])
    async with _server(server_context(cert, key, None), script) as port:
        environ = {**ENVIRON, "KUBERNETES_SERVICE_PORT": port}
        credentials = in_cluster(environ, _account(tmp_path, authority))
        client = KubernetesClient(credentials, sleep=asyncio.sleep)
        with pytest.raises(UnreachableError, match="TLS"):
            await client.get(CONFIG_MAP, "tidegate", "one")
        await client.close()
    assert script.asked == []


async def test_a_client_certificate_is_shown_where_there_is_one(
    tmp_path: Path, authority: Authority
) -> None:
    cert, key = authority.issue("kubernetes").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    script = Scripted(answers=[answer(200, {"a": 1})])
    pair = authority.issue("ada")
    async with _server(server_context(cert, key, tmp_path / "ca.pem"), script) as port:
        for certificate in (pair.certificate, None):
            tls = client_context(
                ca_pem=authority.pem.decode(),
                certificate_pem=certificate,
                key_pem=None if certificate is None else pair.key,
            )
            credentials = Credentials(
                server=f"https://127.0.0.1:{port}", tls=tls, server_name="kubernetes"
            )
            client = KubernetesClient(credentials, sleep=asyncio.sleep)
            if certificate is None:
                with pytest.raises(UnreachableError):
                    await client.get(CONFIG_MAP, "tidegate", "one")
            else:
                await client.get(CONFIG_MAP, "tidegate", "one")
            await client.close()
    assert len(script.asked) == 1
