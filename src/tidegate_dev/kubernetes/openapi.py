"""As much of the OpenAPI v3 documents as clients need to find out what the server can do.

The schemas name every kind and leave its fields open; which fields there are is checked when an
object is sent. https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""

from typing import Any, Final

from tidegate_dev.kubernetes.discovery import VERSION
from tidegate_dev.kubernetes.resources import RESOURCES, Resource

_PARAMETERS: Final = [
    {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
    for name in ("dryRun", "fieldManager", "fieldValidation")
]
# Strategic merge patches are taken as well. Who reads that here makes them by these schemas, which
# do not say enough for it; who does not makes them by what they know of the kinds themselves.
_PATCH_TYPES: Final = ("application/json-patch+json", "application/merge-patch+json")


def index() -> dict[str, Any]:
    """Return the answer of `/openapi/v3`: where the document of each group and version is."""
    places = dict.fromkeys(_place(resource) for resource in RESOURCES)
    return {
        "paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}?hash=1"} for place in places}
    }


def document(place: str) -> dict[str, Any] | None:
    """Return the document of one group and version, found at *place*."""
    found = [resource for resource in RESOURCES if _place(resource) == place]
    if not found:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": {path: item for resource in found for path, item in _paths(resource).items()},
        "components": {
            "schemas": {_schema_name(resource): _schema(resource) for resource in found}
        },
    }


def _place(resource: Resource) -> str:
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def _paths(resource: Resource) -> dict[str, Any]:
    namespaces = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"/{_place(resource)}{namespaces}/{resource.plural}"
    return {
        collection: {"get": _operation(resource, "list"), "post": _operation(resource, "post")},
        f"{collection}/{{name}}": {
            verb: _operation(resource, verb) for verb in ("get", "put", "patch", "delete")
        },
    }


def _operation(resource: Resource, verb: str) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{_schema_name(resource)}"}
    operation: dict[str, Any] = {
        "operationId": f"{verb}{resource.kind}",
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": reference}}}
        },
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": _group_version_kind(resource),
    }
    if verb in ("post", "put", "patch"):
        operation["parameters"] = _PARAMETERS
        types = _PATCH_TYPES if verb == "patch" else ("application/json",)
        schema = {"type": "object"} if verb == "patch" else reference
        operation["requestBody"] = {"content": {each: {"schema": schema} for each in types}}
    return operation


def _schema_name(resource: Resource) -> str:
    return f"io.k8s.api.{resource.group.split('.')[0] or 'core'}.{resource.version}.{resource.kind}"


def _schema(resource: Resource) -> dict[str, Any]:
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-group-version-kind": [_group_version_kind(resource)],
    }


def _group_version_kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}
