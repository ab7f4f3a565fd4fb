"""What a request is about, read from its line alone; authorization and audit depend on it.

The rules are those of k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate_dev.kubernetes.selectors import selected_name

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_COLLECTION_VERBS: Final = {"get": "list", "delete": "deletecollection"}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_TRUE: Final = frozenset({"1", "true", "True", "TRUE", "t", "T"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What somebody wants to do, in the terms of the policy.

    Attributes:
        resource: The plural; empty when the request is for a `path` that is no resource's.
        namespace: Empty for what is in none, or in all.
        name: Empty for a whole collection.
    """

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """Return the resource with its subresource, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def attributes_of(method: str, path: str, params: Mapping[str, str]) -> Attributes:
    """Return what the request is about."""
    parts = [part for part in path.split("/") if part]
    verb = _VERBS.get(method, method.lower())
    if len(parts) >= 3 and parts[0] == "api":
        return _resource_attributes("", parts[1], parts[2:], verb, path, params)
    if len(parts) >= 4 and parts[0] == "apis":
        return _resource_attributes(parts[1], parts[2], parts[3:], verb, path, params)
    return Attributes(verb=method.lower(), path=path)


def is_true(value: str | None) -> bool:
    """Return whether a query parameter says yes."""
    return value in _TRUE


def _resource_attributes(
    group: str,
    version: str,
    parts: list[str],
    verb: str,
    path: str,
    params: Mapping[str, str],
) -> Attributes:
    namespace, parts = _in_namespace(parts)
    name = parts[1] if len(parts) > 1 else ""
    if not name:
        verb = _COLLECTION_VERBS.get(verb, verb)
        if verb in ("list", "deletecollection"):
            name = selected_name(params.get("fieldSelector", ""))
    if verb in ("get", "list") and is_true(params.get("watch")):
        verb = "watch"
    return Attributes(
        verb=verb,
        group=group,
        version=version,
        resource=parts[0],
        subresource="/".join(parts[2:]),
        namespace=namespace,
        name=name,
        path=path,
    )


def _in_namespace(parts: list[str]) -> tuple[str, list[str]]:
    """Return the namespace and what follows it; a namespace itself counts as in itself."""
    if parts[0] != "namespaces" or len(parts) == 1:
        return "", parts
    if len(parts) == 2 or parts[2] in _NAMESPACE_SUBRESOURCES:
        return parts[1], parts
    return parts[1], parts[2:]
