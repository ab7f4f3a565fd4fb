"""The file that tells `kubectl` where the cluster is and who asks.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/

`kubectl` reads a user's credentials for an HTTPS address only (`IsConfigTransportTLS` in
k8s.io/client-go). On loopback there is none, so the token travels in the address, as a password.
"""

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

_CLUSTER: Final = "tidegate-dev"


def kubeconfig(url: str, user: str, token: str, *, namespace: str = "default") -> dict[str, Any]:
    """Return the configuration of one user of one cluster; no token means nobody in particular."""
    scheme, _, place = url.partition("://")
    server = f"{scheme}://{quote(user)}:{quote(token, safe='')}@{place}" if token else url
    context = {"cluster": _CLUSTER, "user": user, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CLUSTER, "cluster": {"server": server}}],
        "users": [{"name": user, "user": {}}],
        "contexts": [{"name": _CLUSTER, "context": context}],
        "current-context": _CLUSTER,
    }


def write_kubeconfig(
    path: Path, url: str, user: str, token: str, *, namespace: str = "default"
) -> None:
    """*path* holds the configuration, for its owner's eyes; JSON, which is YAML too."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(json.dumps(kubeconfig(url, user, token, namespace=namespace), indent=2))
