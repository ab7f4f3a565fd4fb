"""What the agent in the cluster is given: its configuration, the gateway's keys, its credentials.

Its environment is built from nothing, and its kubeconfig is its own: no cluster of this machine
can get in.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tidegate_dev.configuration import AUDIENCE, ISSUER, Ports, private
from tidegate_dev.kubernetes.seed import AGENT_NAMESPACE, REGISTRY
from tidegate_dev.rights import AGENT, DEPLOYER, GRANTS, SRE

Json = dict[str, Any]

MAX_REPLICAS: Final = 20
ROLLOUT_SECONDS: Final = 90
_ROLES: Final = {DEPLOYER: ["S0DEPLOYERS"], SRE: ["S0SRE"]}
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "TZ")


def write(folder: Path, *, ports: Ports, jwks: Mapping[str, Any], token: str) -> Path:
    """Return the agent's configuration, written into *folder* with what it refers to.

    Args:
        folder: A folder of the agent's own.
        ports: Where everything listens.
        jwks: The gateway's public keys.
        token: Proves to the cluster that it is the agent.
    """
    folder.mkdir(mode=0o700)
    api = f"http://127.0.0.1:{ports.cluster}"
    private(folder / "jwks.json", _bytes(jwks))
    private(folder / "kubeconfig", _bytes(_kubeconfig(api, token)))
    path = folder / "agent.yaml"
    private(path, _bytes(_document(ports)))
    return path


def environment(folder: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """Return the agent's whole environment; only what it needs to run is passed on."""
    return {
        **{name: ours[name] for name in _PASSED_ON if name in ours},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
    }


def _document(ports: Ports) -> Json:
    return {
        "version": 1,
        "listen": {"host": "127.0.0.1", "port": ports.agent, "drain_seconds": 2},
        "metrics": {"host": "127.0.0.1", "port": ports.agent_metrics},
        "identity": {"audience": AUDIENCE, "issuer": ISSUER, "jwks": "jwks.json"},
        "namespaces": list(GRANTS),
        "default_namespace": next(iter(GRANTS)),
        "roles": {
            role: {
                "groups": groups,
                "namespaces": [n for n, held in GRANTS.items() if role in held],
            }
            for role, groups in _ROLES.items()
        },
        "registries": [REGISTRY],
        "max_replicas": MAX_REPLICAS,
        "rollout_seconds": ROLLOUT_SECONDS,
        "records": {"namespace": AGENT_NAMESPACE},
        "kubernetes": {"kubeconfig": "kubeconfig"},
    }


def _namespaces(role: str) -> list[str]:
    """Return where *role* counts: what it may do there, the cluster says."""
    return [namespace for namespace, roles in GRANTS.items() if role in roles]


def _kubeconfig(api: str, token: str) -> Json:
    name = "tidegate-dev"
    context = {"cluster": name, "user": AGENT, "namespace": AGENT_NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": api}}],
        "users": [{"name": AGENT, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def _bytes(document: Mapping[str, Any]) -> bytes:
    # JSON is YAML, and needs no library to be written.
    return json.dumps(document, indent=2).encode()
