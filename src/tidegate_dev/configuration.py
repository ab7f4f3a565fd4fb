"""The gateway's configuration in the dev workspace, and the secrets it refers to.

Everything is made anew at each start and lives in a private folder that is removed at the
end. The gateway's environment is built from nothing, so that no account of this machine can
get in.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tidegate_dev.objects.seed import BUCKET

Json = dict[str, Any]

# Longer than any link that they sign, or a link would end with them.
KEYS_LIVE_SECONDS: Final = 8 * 24 * 60 * 60
REGION: Final = "eu-west-1"
AUDIENCE: Final = "cluster"
ISSUER: Final = "tidegate"
ALIAS: Final = "reports"
SHARED_IN: Final = ("C0OPS", "C0REPORTS")
MODES: Final = ("link", "image", "upload", "gallery")
GROUPS: Final = {"S0DEPLOYERS": "deployers", "S0SRE": "sre"}
#: What the app may do in Slack: as much as the configuration needs, and no more.
SCOPES: Final = (
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "mpim:read",
    "usergroups:read",
    "users:read",
)
_PASSED_ON: Final = ("PATH", "PYTHONPATH", "LANG", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everything listens, counted from the page's port."""

    page: int

    @property
    def gateway(self) -> int:
        """Return the port of the gateway's public listener."""
        return self.page + 1

    @property
    def edge(self) -> int:
        """Return the port of the API Gateway."""
        return self.page + 2

    @property
    def objects(self) -> int:
        """Return the port of S3."""
        return self.page + 3

    @property
    def cluster(self) -> int:
        """Return the port of the Kubernetes API."""
        return self.page + 4

    @property
    def agent(self) -> int:
        """Return the port of the agent in the cluster."""
        return self.page + 5

    @property
    def admin(self) -> int:
        """Return the port of the gateway's admin listener."""
        return self.page + 6

    @property
    def scanner(self) -> int:
        """Return the port of the malware scanner."""
        return self.page + 7

    @property
    def agent_metrics(self) -> int:
        """Return the port on which the agent is asked how it is."""
        return self.page + 8

    def of_programs(self) -> tuple[int, ...]:
        """Return the ports on which programs of their own listen."""
        return (self.gateway, self.admin, self.agent, self.agent_metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """AWS keys that mean something to this workspace's edge and S3, and to nobody else."""

    access_key: str = field(default_factory=lambda: f"ASIA{secrets.token_hex(8).upper()}")
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    session_token: str = field(default_factory=lambda: secrets.token_urlsafe(96), repr=False)
    expires_at: float = field(default_factory=lambda: time.time() + KEYS_LIVE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the gateway is given by reference."""

    bot_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
    api_token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    aws: Credentials = field(default_factory=Credentials)
    signing_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)

    def all(self) -> tuple[str, ...]:
        """Return what must not be shown."""
        return (
            self.bot_token,
            self.signing_secret,
            self.api_token,
            self.aws.secret_key,
            self.aws.session_token,
        )

    def jwks(self) -> Json:
        """Return the public key that verifies `Tidegate-Identity`, as a JWKS (RFC 8037)."""
        raw = self.signing_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        key = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
        canonical = json.dumps(key, separators=(",", ":"), sort_keys=True).encode()
        # The key id is the key's thumbprint: https://www.rfc-editor.org/rfc/rfc7638
        kid = _base64url(hashlib.sha256(canonical).digest())
        return {"keys": [{**key, "kid": kid, "use": "sig", "alg": "EdDSA"}]}


def write(
    folder: Path, *, ports: Ports, made: Secrets, api_url: str, clamd: str | None = None
) -> Path:
    """Return the configuration file that was written into *folder*, with the key beside it.

    Args:
        folder: The workspace's private folder.
        ports: Where everything listens.
        made: What the file refers to.
        api_url: Where Slack's Web API is.
        clamd: Where a clamd listens; None for the workspace's own scanner.
    """
    key_file = folder / "identity.pem"
    pem = made.signing_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private(key_file, pem)
    document = _document(folder, ports=ports, api_url=api_url, key_file=key_file)
    document["s3"] = _s3(ports, clamd or f"127.0.0.1:{ports.scanner}")
    path = folder / "tidegate.yaml"
    # JSON is YAML, and needs no library to be written.
    private(path, json.dumps(document, indent=2).encode())
    return path


def environment(folder: Path, *, made: Secrets, ours: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the gateway; only what it needs to run is passed on."""
    return {
        **{name: ours[name] for name in _PASSED_ON if name in ours},
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "SLACK_BOT_TOKEN": made.bot_token,
        "SLACK_SIGNING_SECRET": made.signing_secret,
        "TIDEGATE_API_TOKEN": made.api_token,
        "AWS_ACCESS_KEY_ID": made.aws.access_key,
        "AWS_SECRET_ACCESS_KEY": made.aws.secret_key,
        "AWS_SESSION_TOKEN": made.aws.session_token,
        "AWS_CREDENTIAL_EXPIRATION": _moment(made.aws.expires_at),
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def admitted(action: str, rule: int) -> str:
    """Return whom the rule with position *rule* of *action* lets in, in the page's words."""
    allow = _actions().get(action, {}).get("allow", [])
    rules = allow if isinstance(allow, list) else [allow]
    if not 0 <= rule < len(rules):
        return ""
    groups = [f"@{GROUPS[group]}" for group in rules[rule].get("user_groups", ())]
    return " or ".join(groups) or "anyone in the workspace"


def _document(folder: Path, *, ports: Ports, api_url: str, key_file: Path) -> Json:
    return {
        "version": 1,
        "slack": {
            "api_url": api_url,
            "bot_token": {"env": "SLACK_BOT_TOKEN"},
            "signing_secrets": [{"env": "SLACK_SIGNING_SECRET"}],
        },
        "server": {"host": "127.0.0.1", "port": ports.gateway},
        "admin": {"host": "127.0.0.1", "port": ports.admin},
        "store": {"url": f"sqlite:///{folder}/tidegate.db"},
        "pathways": {
            "cluster": {
                "type": "api_gateway",
                "url": f"http://127.0.0.1:{ports.edge}",
                "region": REGION,
                "audience": AUDIENCE,
            }
        },
        "actions": _actions(),
        "identity": {"signing_key": {"file": str(key_file)}, "issuer": ISSUER},
        "api": {"tokens": [{"name": "journey", "secret": {"env": "TIDEGATE_API_TOKEN"}}]},
    }


def _s3(ports: Ports, clamd: str) -> Json:
    bucket = {
        "name": BUCKET,
        "channels": list(SHARED_IN),
        "modes": list(MODES),
        "scan": {"clamd": clamd},
    }
    return {
        "region": REGION,
        "endpoint_url": f"http://127.0.0.1:{ports.objects}",
        "buckets": {ALIAS: bucket},
    }


def _actions() -> Json:
    return {**_cluster_actions(), **_share_actions()}


def _share_actions() -> Json:
    allow = {"user_groups": ["S0DEPLOYERS"], "channels": list(SHARED_IN)}
    return {
        "share-link": {"use": "s3_share_link", "allow": allow},
        "share-image": {"use": "s3_share_image", "allow": allow},
        "share-gallery": {"use": "s3_share_gallery", "allow": allow},
        "share-file": {"use": "s3_upload", "allow": allow},
        "share-command": {
            "use": "s3_upload",
            "match": {"command": ["/share"]},
            "params": {"bucket": {"default": ALIAS}, "key": {"from": "text[0]"}},
            "allow": allow,
            "repeat": "allow",
        },
    }


_STAGING: Final[Json] = {"user_groups": ["S0DEPLOYERS"], "params": {"namespace": ["staging"]}}
_VERSION: Final = "[A-Za-z0-9._-]+(:[A-Za-z0-9._-]+)?"


def _cluster_actions() -> Json:
    return {**_deploys(), **_changes(), **_commands()}


def _deploys() -> Json:
    return {
        "deploy-staging": {
            "use": "k8s_deploy",
            "pathway": "cluster",
            "params": {
                "namespace": {"enum": ["staging"], "required": True},
                "image": {"pattern": _VERSION},
            },
            "allow": _STAGING,
            "idempotent": True,
        },
        "deploy-production": {
            "match": {"action_id": ["k8s_deploy_production"]},
            "pathway": "cluster",
            "request": {"method": "POST", "path": "/api/v1/deploy"},
            "params": {
                "namespace": {"enum": ["production"], "required": True},
                "deployment": {"required": True},
                "image": {"required": True, "pattern": _VERSION},
            },
            "allow": {"user_groups": ["S0SRE"]},
            "rate_limit": "5/minute",
            "idempotent": True,
        },
    }


def _changes() -> Json:
    """Buttons that can be pressed as often as one likes."""
    often: Json = {"pathway": "cluster", "repeat": "allow", "idempotent": True}
    scale: Json = {"use": "k8s_scale", "params": {"replicas": {"max": 10}}, **often}
    # More than their role may do in the cluster: there it is refused.
    in_production = {"user_groups": ["S0DEPLOYERS"], "params": {"namespace": ["production"]}}
    return {
        "scale": {**scale, "allow": _STAGING},
        "scale-production": {
            **scale,
            "match": {"action_id": ["k8s_scale_production"]},
            "allow": in_production,
        },
        **{
            name: {"use": f"k8s_{name}", "allow": _STAGING, **often}
            for name in ("restart", "rollback", "logs")
        },
        "status": {
            "use": "k8s_status",
            "allow": {"users": "any", "channels": ["C0OPS", "C0REPORTS"]},
            **often,
        },
    }


def _commands() -> Json:
    words: Json = {"namespace": {"default": "staging"}, "deployment": {"from": "text[0]"}}
    return {
        "deploy-command": {
            "match": {"command": ["/deploy"]},
            "pathway": "cluster",
            "request": {"method": "POST", "path": "/api/v1/deploy"},
            "params": {
                **words,
                "deployment": {"from": "text[0]", "required": True},
                "image": {"from": "text[1]", "default": "2.4.1", "pattern": _VERSION},
            },
            "allow": _STAGING,
            "idempotent": True,
        },
        "status-command": {
            "match": {"command": ["/status"]},
            "pathway": "cluster",
            "request": {"method": "POST", "path": "/api/v1/status"},
            "params": words,
            "allow": {"users": "any"},
            "repeat": "allow",
            "idempotent": True,
        },
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def private(path: Path, content: bytes) -> None:
    """*path* holds *content*, for its owner's eyes."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
