"""Which credentials a kubeconfig holds, and what is refused and named."""

import base64
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate_agent.adapters.kubernetes import (
    Credentials,
    CredentialsError,
    from_kubeconfig,
    kubeconfig_paths,
)
from tidegate_dev.authority import Authority


def _config(
    *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, name: str = "one"
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster or {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name, "namespace": f"in-{name}"}}
        ],
    }


def _written(folder: Path, config: dict[str, Any], name: str = "config") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    return path


def _read(
    folder: Path, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> Credentials:
    return from_kubeconfig([_written(folder, _config(cluster=cluster, user=user))], {})


def _data(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


async def test_a_token_is_shown_as_a_bearer(tmp_path: Path) -> None:
    found = _read(tmp_path, user={"token": "t0ken"})
    assert await found.proof.header() == "Bearer t0ken"
    assert found.namespace == "in-one"


async def test_a_file_of_a_token_counts_before_the_token_and_is_read_each_time(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text("first\n")
    found = _read(tmp_path, user={"token": "other", "tokenFile": "token"})
    assert await found.proof.header() == "Bearer first"
    (tmp_path / "token").write_text("second")
    assert await found.proof.header() == "Bearer second"


@pytest.mark.parametrize("content", [b"", b"two words", b"line\nline", b"\xff\xfe", "ä".encode()])
async def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    found = _read(tmp_path, user={"tokenFile": "token"})
    with pytest.raises(CredentialsError) as caught:
        await found.proof.header()
    assert "words" not in str(caught.value)


async def test_a_name_and_a_password_are_shown_as_basic(tmp_path: Path) -> None:
    found = _read(tmp_path, user={"username": "ada", "password": "s:p"})
    assert await found.proof.header() == f"Basic {_data(b'ada:s:p')}"


async def test_a_password_in_the_address_is_shown_and_not_kept_in_it(tmp_path: Path) -> None:
    found = _read(tmp_path, cluster={"server": "http://ada:p%2Fw@127.0.0.1:8704/k8s/"})
    assert found.server == "http://127.0.0.1:8704/k8s"
    assert await found.proof.header() == f"Basic {_data(b'ada:p/w')}"


def test_secrets_do_not_show_in_a_repr(tmp_path: Path) -> None:
    assert "t0ken" not in repr(_read(tmp_path, user={"token": "t0ken"}))


def test_the_context_that_is_named_counts_and_of_two_files_the_first(tmp_path: Path) -> None:
    first = _written(tmp_path, _config(name="one"), "a")
    second = _written(tmp_path, _config(name="two"), "b")
    assert from_kubeconfig([first, second], {}).namespace == "in-one"
    assert from_kubeconfig([first, second], {}, context="two").namespace == "in-two"
    assert from_kubeconfig([tmp_path / "missing", second], {}).namespace == "in-two"


def test_files_are_looked_for_where_kubectl_looks(tmp_path: Path) -> None:
    listed = kubeconfig_paths({"KUBECONFIG": os.pathsep.join(["/a", "", "/b"])}, tmp_path)
    assert listed == [Path("/a"), Path("/b")]
    assert kubeconfig_paths({}, tmp_path) == [tmp_path / ".kube" / "config"]


def test_paths_in_a_file_begin_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority().pem)
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority": "ca.pem"}
    found = _read(tmp_path, cluster=cluster)
    assert found.tls is not None
    assert len(found.tls.get_ca_certs()) == 1


def test_data_counts_before_a_path_and_a_client_certificate_is_loaded(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.issue("ada")
    found = _read(
        tmp_path,
        cluster={
            "server": "https://127.0.0.1:6443",
            "certificate-authority": "nowhere.pem",
            "certificate-authority-data": _data(authority.pem),
            "tls-server-name": "kubernetes",
        },
        user={
            "client-certificate-data": _data(pair.certificate),
            "client-key-data": _data(pair.key),
        },
    )
    assert found.server_name == "kubernetes"
    assert found.tls is not None
    assert found.tls.verify_mode is ssl.CERT_REQUIRED


def test_who_says_so_is_not_verified(tmp_path: Path) -> None:
    cluster = {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}
    found = _read(tmp_path, cluster=cluster)
    assert found.tls is not None
    assert found.tls.verify_mode is ssl.CERT_NONE


HTTPS = "https://127.0.0.1:6443"
REFUSED: list[tuple[str, dict[str, dict[str, Any]]]] = [
    ("proxy-url", {"cluster": {"server": HTTPS, "proxy-url": "http://proxy"}}),
    ("auth-provider", {"user": {"auth-provider": {"name": "gcp"}}}),
    ("says as", {"user": {"as": "somebody"}}),
    ("no http or https URL", {"cluster": {"server": "ftp://here"}}),
    ("no http or https URL", {"cluster": {"server": ""}}),
    ("over https", {"cluster": {"server": "http://10.0.0.1:8080"}}),
    ("not base64", {"cluster": {"server": HTTPS, "certificate-authority-data": "§"}}),
    ("cannot be used", {"cluster": {"server": HTTPS, "certificate-authority-data": "eHg="}}),
    ("cannot be read", {"cluster": {"server": HTTPS, "certificate-authority": "none.pem"}}),
    ("cannot be used", {"user": {"client-certificate-data": "eHg=", "client-key-data": "eHg="}}),
    ("names no command", {"user": {"exec": {"apiVersion": "v1"}}}),
    ("must speak", {"user": {"exec": {"command": "x", "apiVersion": "v1alpha1"}}}),
    (
        "ask a person",
        {
            "user": {
                "exec": {
                    "command": "x",
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "interactiveMode": "Always",
                }
            }
        },
    ),
    (
        "provideClusterInfo",
        {
            "user": {
                "exec": {
                    "command": "x",
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "provideClusterInfo": True,
                }
            }
        },
    ),
    ("is no text", {"user": {"token": {"a": "b"}}}),
]


@pytest.mark.parametrize(("what", "parts"), REFUSED)
def test_what_is_not_understood_is_refused_and_named(
    tmp_path: Path, what: str, parts: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(CredentialsError, match=what):
        _read(tmp_path, **parts)


@pytest.mark.parametrize("text", ["[1, 2]", "{", "\x00", "just words"])
def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(CredentialsError):
        from_kubeconfig([tmp_path / "config"], {})


def test_a_context_or_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = _config()
    with pytest.raises(CredentialsError, match="no context called other"):
        from_kubeconfig([_written(tmp_path, config)], {}, context="other")
    config["clusters"] = []
    with pytest.raises(CredentialsError, match="no cluster called one"):
        from_kubeconfig([_written(tmp_path, config)], {})
    del config["current-context"]
    with pytest.raises(CredentialsError, match="no current-context"):
        from_kubeconfig([_written(tmp_path, config)], {})
    with pytest.raises(CredentialsError, match="no kubeconfig at"):
        from_kubeconfig([tmp_path / "none"], {})
