"""What the API says it has: versions, groups, kinds.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from typing import Any, Final

from tidegate_dev.kubernetes.resources import RESOURCES, Resource
from tidegate_dev.kubernetes.reviews import REVIEWS

VERSION: Final = {
    "major": "1",
    "minor": "37",
    "emulationMajor": "1",
    "emulationMinor": "37",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "36",
    "gitVersion": "v1.37.1+tidegate-dev",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_SUBRESOURCE_VERBS: Final = {
    "binding": ["create"],
    "log": ["get"],
    "scale": ["get", "patch", "update"],
    "status": ["get", "patch", "update"],
    "token": ["create"],
}
_EVERYTHING: Final[tuple[Resource, ...]] = (*RESOURCES, *REVIEWS)


def groups() -> dict[str, list[str]]:
    """Return the versions of each named group."""
    found: dict[str, list[str]] = {}
    for resource in _EVERYTHING:
        versions = found.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    found.pop("")
    return found


def api_versions(address: str) -> dict[str, Any]:
    """Return the answer of `/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list() -> dict[str, Any]:
    """Return the answer of `/apis`."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, versions) for name, versions in groups().items()],
    }


def group(name: str) -> dict[str, Any] | None:
    """Return the answer of `/apis/NAME`."""
    versions = groups().get(name)
    if versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resource_list(name: str, version: str) -> dict[str, Any] | None:
    """Return the answer of `/api/v1` or `/apis/NAME/VERSION`."""
    found = _of(name, version)
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{name}/{version}" if name else version,
        "resources": [entry for resource in found for entry in _entries(resource)],
    }


def aggregated(*, core: bool) -> dict[str, Any]:
    """Return all that is below `/api` or below `/apis` in one answer."""
    listed = {"": ["v1"]} if core else groups()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [_aggregated(resource) for resource in _of(name, version)],
                        "freshness": "Current",
                    }
                    for version in versions
                ],
            }
            for name, versions in listed.items()
        ],
    }


def _of(name: str, version: str) -> list[Resource]:
    return [each for each in _EVERYTHING if (each.group, each.version) == (name, version)]


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _entries(resource: Resource) -> list[dict[str, Any]]:
    own: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        own["shortNames"] = list(resource.short_names)
    if resource.categories:
        own["categories"] = list(resource.categories)
    return [own, *(_subresource(resource, name) for name in resource.subresources)]


def _subresource(resource: Resource, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        **_kind(resource, name),
        "verbs": _SUBRESOURCE_VERBS[name],
    }
    return entry


def _kind(resource: Resource, subresource: str) -> dict[str, str]:
    match subresource:
        case "binding":
            return {"kind": "Binding"}
        case "scale":
            return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        case "token":
            return {"group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest"}
        case _:
            return {"kind": resource.kind}


def _aggregated(resource: Resource) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, {"kind": resource.kind}),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": name,
                "responseKind": _response_kind(resource, _kind(resource, name)),
                "verbs": _SUBRESOURCE_VERBS[name],
            }
            for name in resource.subresources
        ]
    return entry


def _response_kind(resource: Resource, kind: dict[str, str]) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, **kind}
