"""Where the API server is, whom to believe there, and what to show; and the pod's own of these.

https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tidegate_agent.adapters.kubernetes.proof import CredentialsError, NoProof, Proof, TokenFile
from tidegate_agent.adapters.tls import client_context

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """All that it takes to speak to one API server.

    Attributes:
        server: Its address, without a slash at the end.
        namespace: The namespace to work in when nobody names one.
        tls: The TLS context; None for plain http, which loopback alone may have.
        server_name: The name it has to prove, where that is not the address's.
        proof: What is shown with each request.
    """

    server: str
    namespace: str = "default"
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proof: Proof = field(default_factory=NoProof)

    def __post_init__(self) -> None:
        """Refuse an address that would send credentials in the clear, or to nowhere.

        Raises:
            CredentialsError: It is such an address.
        """
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CredentialsError("the API server's address is no http or https URL")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise CredentialsError("the API server is reached over https, except on this machine")


def is_in_cluster(environ: Mapping[str, str]) -> bool:
    """Return whether this process runs in a pod, as the kubelet tells every one."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT"))


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """Return the credentials of the pod's service account.

    Args:
        environ: With the address, as the kubelet sets it.
        folder: Where the token, the authority and the namespace are.

    Raises:
        CredentialsError: There are none; the message says what to look at.
    """
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    token = folder / "token"
    if not token.is_file():
        raise CredentialsError(
            f"there is no service account token at {token}: "
            "set automountServiceAccountToken: true for this pod"
        )
    try:
        authority = (folder / "ca.crt").read_text()
        namespace = (folder / "namespace").read_text().strip()
        tls = client_context(ca_pem=authority)
    except (OSError, ValueError) as error:
        raise CredentialsError(
            f"the service account in {folder} cannot be used: {error}"
        ) from error
    return Credentials(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=namespace or "default",
        tls=tls,
        proof=TokenFile(token),
    )
