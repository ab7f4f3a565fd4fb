"""The credentials that a kubeconfig holds, for where the agent runs outside a cluster.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/

What is not understood is refused and named: credentials that are half used are worse than none.
"""

import base64
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import yaml

from tidegate_agent.adapters.kubernetes.credentials import Credentials
from tidegate_agent.adapters.kubernetes.exec_plugin import VERSIONS, ExecProof, Plugin
from tidegate_agent.adapters.kubernetes.proof import (
    CredentialsError,
    FixedProof,
    NoProof,
    Proof,
    TokenFile,
    basic,
    bearer,
)
from tidegate_agent.adapters.tls import client_context

_MAX_BYTES: Final = 4_194_304
_REFUSED_OF_USERS: Final = ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider")
_REFUSED_OF_CLUSTERS: Final = ("proxy-url",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A named part of a file, with the folder that its relative paths begin in."""

    content: Mapping[str, Any]
    folder: Path

    def text(self, key: str) -> str | None:
        value = self.content.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise CredentialsError(f"{key} in the kubeconfig is no text")
        return value

    def content_of(self, key: str) -> bytes | None:
        """Return what `KEY-data` holds, else what the file holds that `KEY` names."""
        data, path = self.text(f"{key}-data"), self.text(key)
        if data is not None:
            try:
                return base64.b64decode(data, validate=True)
            except ValueError:
                raise CredentialsError(f"{key}-data in the kubeconfig is not base64") from None
        if path is None:
            return None
        try:
            return (self.folder / path).read_bytes()
        except OSError as error:
            raise CredentialsError(f"{key} cannot be read: {error.strerror}") from error

    def refuse(self, keys: Sequence[str]) -> None:
        for key in keys:
            if self.content.get(key):
                raise CredentialsError(f"the kubeconfig says {key}, which is not taken here")


def from_kubeconfig(
    paths: Sequence[Path], environ: Mapping[str, str], *, context: str | None = None
) -> Credentials:
    """Return the credentials of one context.

    Args:
        paths: The files; of two entries of one name the first counts.
        environ: What a credential plugin's own environment is added to.
        context: Its name; the current one, if None.

    Raises:
        CredentialsError: They cannot be used; the message says why.
    """
    files = [(path.absolute().parent, _read(path)) for path in paths if path.exists()]
    if not files:
        raise CredentialsError(f"there is no kubeconfig at {', '.join(map(str, paths))}")
    current = (str(content["current-context"]) for _, content in files if _has_context(content))
    name = context or next(current, None)
    if name is None:
        raise CredentialsError("the kubeconfig has no current-context: name one")
    chosen = _find(files, "context", name)
    cluster = _find(files, "cluster", str(chosen.content.get("cluster")))
    user = chosen.text("user")
    return _credentials(
        cluster,
        _find(files, "user", user) if user else _Entry(content={}, folder=chosen.folder),
        namespace=chosen.text("namespace") or "default",
        environ=environ,
    )


def kubeconfig_paths(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Return where kubectl would look: in KUBECONFIG's files, else in the home."""
    listed = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [home / ".kube" / "config"]


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES)
        content = yaml.safe_load(text)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not YAML"
        raise CredentialsError(f"the kubeconfig {path} cannot be read: {why}") from None
    if not isinstance(content, dict):
        raise CredentialsError(f"the kubeconfig {path} is none")
    return content


def _has_context(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("current-context"), str) and bool(content["current-context"])


def _find(files: Sequence[tuple[Path, Mapping[str, Any]]], kind: str, name: str) -> _Entry:
    for folder, content in files:
        for entry in content.get(f"{kind}s") or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                found = entry.get(kind) or {}
                if isinstance(found, dict):
                    return _Entry(content=found, folder=folder)
    raise CredentialsError(f"the kubeconfig has no {kind} called {name[:80]}")


def _credentials(
    cluster: _Entry, user: _Entry, *, namespace: str, environ: Mapping[str, str]
) -> Credentials:
    cluster.refuse(_REFUSED_OF_CLUSTERS)
    user.refuse(_REFUSED_OF_USERS)
    server, given = _without_user(cluster.text("server") or "")
    is_tls = server.startswith("https:")
    return Credentials(
        server=server,
        namespace=namespace,
        tls=_tls(cluster, user) if is_tls else None,
        server_name=cluster.text("tls-server-name"),
        proof=given or _proof(user, environ),
    )


def _without_user(server: str) -> tuple[str, Proof | None]:
    """Return the address, and the user and password that stood in it."""
    parts = urlsplit(server)
    place = parts.netloc.rpartition("@")[2]
    address = urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
    if parts.username is None:
        return address, None
    return address, FixedProof(basic(unquote(parts.username), unquote(parts.password or "")))


def _tls(cluster: _Entry, user: _Entry) -> ssl.SSLContext:
    authority = cluster.content_of("certificate-authority")
    try:
        return client_context(
            ca_pem=None if authority is None else authority.decode(),
            verify=cluster.content.get("insecure-skip-tls-verify") is not True,
            certificate_pem=user.content_of("client-certificate"),
            key_pem=user.content_of("client-key"),
        )
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsError("the kubeconfig's certificates or key cannot be used") from error


def _proof(user: _Entry, environ: Mapping[str, str]) -> Proof:
    """Return what the user shows; a file of a token counts before the token itself."""
    plugin = user.content.get("exec")
    if plugin is not None:
        return ExecProof(_plugin(plugin, environ, user.folder))
    file, token = user.text("tokenFile"), user.text("token")
    if file is not None:
        return TokenFile(user.folder / file)
    if token is not None:
        return FixedProof(bearer(token))
    name = user.text("username")
    if name is not None:
        return FixedProof(basic(name, user.text("password") or ""))
    return NoProof()


def _plugin(said: Any, environ: Mapping[str, str], folder: Path) -> Plugin:
    entry = _Entry(content=said if isinstance(said, dict) else {}, folder=folder)
    command, version = entry.text("command"), entry.text("apiVersion")
    if command is None:
        raise CredentialsError("the kubeconfig's exec names no command")
    if version not in VERSIONS:
        raise CredentialsError(f"the kubeconfig's exec must speak {' or '.join(VERSIONS)}")
    if entry.text("interactiveMode") == "Always":
        raise CredentialsError(f"the plugin {command} wants to ask a person, and there is none")
    if entry.content.get("provideClusterInfo"):
        raise CredentialsError("the kubeconfig's exec says provideClusterInfo, not taken here")
    added = {
        str(each["name"]): str(each["value"])
        for each in entry.content.get("env") or ()
        if isinstance(each, dict) and "name" in each and "value" in each
    }
    return Plugin(
        # A path is the kubeconfig's own, a bare word is looked for as a shell does.
        command=str(folder / command) if "/" in command else command,
        arguments=[str(each) for each in entry.content.get("args") or ()],
        environ={**environ, **added},
        version=version,
    )
