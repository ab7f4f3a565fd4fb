"""Objects made, changed and deleted, after everything that has a say in it had its say.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-operations
"""

from typing import Any, Final

from tidegate_dev.kubernetes.admissions import Admissions
from tidegate_dev.kubernetes.calls import Call, unsupported
from tidegate_dev.kubernetes.defaults import fill_in
from tidegate_dev.kubernetes.errors import NotFoundError, StatusError, bad_request
from tidegate_dev.kubernetes.fields import check_fields
from tidegate_dev.kubernetes.patches import PatchError, json_patched, merge_patched
from tidegate_dev.kubernetes.resources import NAMESPACES
from tidegate_dev.kubernetes.store import Propagation, Store
from tidegate_dev.kubernetes.strategic import strategic_patched
from tidegate_dev.kubernetes.validation import check

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
_APPLY_PATCHES: Final = ("application/apply-patch+yaml", "application/apply-patch+cbor")
_PROPAGATIONS: Final = ("Background", "Foreground", "Orphan")


class Writer:
    """Answers create, update, patch, delete and deletecollection."""

    def __init__(self, store: Store, admissions: Admissions) -> None:
        self._store = store
        self._admissions = admissions

    def create(self, call: Call) -> dict[str, Any]:
        """Return the object that the call brought, which is there now.

        Raises:
            StatusError: It is not made, and the error says why.
        """
        obj = call.object()
        self._addressed(call, obj)
        if call.resource.namespaced and self._store.get(NAMESPACES, "", call.namespace) is None:
            raise NotFoundError(NAMESPACES, call.namespace)
        check_fields(call.resource, obj, is_strict=call.is_strict)
        if "status" in call.resource.subresources:
            obj.pop("status", None)
        self._name(call, obj)
        self._settle(call, obj, None)
        return self._store.create(call.resource, obj, dry_run=call.is_dry_run)

    def update(self, call: Call) -> dict[str, Any]:
        """Return the object that the call brought, in the place of the one that was there.

        Raises:
            StatusError: It is not taken, and the error says why.
        """
        obj = call.object()
        self._addressed(call, obj)
        check_fields(call.resource, obj, is_strict=call.is_strict)
        return self._replace(call, self._old(call), obj)

    def patch(self, call: Call) -> dict[str, Any]:
        """Return the object as the patch makes it.

        Raises:
            StatusError: The patch does not fit, or what it makes may not be.
        """
        check_patch_type(call)
        old = self._old(call)
        obj = patched(call, old)
        self._addressed(call, obj)
        check_fields(call.resource, obj, is_strict=call.is_strict)
        return self._replace(call, old, obj)

    def delete(self, call: Call) -> dict[str, Any]:
        """Return the object as it was last, or is while it waits; it is or will be gone.

        Raises:
            StatusError: It is not deleted, and the error says why.
        """
        return self._delete(call, call.wanted.name, self._options(call))

    def delete_all(self, call: Call) -> list[dict[str, Any]]:
        """Return the objects that the call selects, which are or will be gone."""
        options, selects = self._options(call), call.selection()
        objects, _ = self._store.list(call.resource, call.namespace)
        return [
            self._delete(call, obj["metadata"]["name"], options) for obj in objects if selects(obj)
        ]

    def _name(self, call: Call, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        base = metadata.get("generateName")
        if base and not metadata.get("name"):
            metadata["name"] = self._store.generated_name(call.resource, call.namespace, str(base))

    def _old(self, call: Call) -> dict[str, Any]:
        old = self._store.get(call.resource, call.namespace, call.wanted.name)
        if old is None:
            raise NotFoundError(call.resource, call.wanted.name)
        return old

    def _replace(self, call: Call, old: dict[str, Any], obj: dict[str, Any]) -> dict[str, Any]:
        subresource = call.wanted.subresource or None
        if subresource is None:
            self._settle(call, obj, old)
        return self._store.update(
            call.resource,
            obj,
            expected=obj["metadata"].get("resourceVersion") or None,
            subresource=subresource,
            dry_run=call.is_dry_run,
        )

    def _settle(self, call: Call, obj: dict[str, Any], old: dict[str, Any] | None) -> None:
        """*obj* says all it has to, and may be kept."""
        resource = call.resource
        try:
            fill_in(resource, obj)
        except (AttributeError, TypeError):
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a '
                f"{resource.kind}: json: cannot unmarshal a value of another type"
            ) from None
        check(resource, obj, old)
        self._admissions.ask(call, obj, old)

    def _delete(self, call: Call, name: str, options: dict[str, Any]) -> dict[str, Any]:
        conditions = options.get("preconditions") or {}
        return self._store.delete(
            call.resource,
            call.namespace,
            name,
            uid=conditions.get("uid"),
            expected=conditions.get("resourceVersion"),
            propagation=_propagation(options),
            grace_seconds=options.get("gracePeriodSeconds"),
            dry_run=call.is_dry_run or options.get("dryRun") == ["All"],
        )

    def _options(self, call: Call) -> dict[str, Any]:
        """Return the DeleteOptions, from the body or the parameters."""
        options = call.object() if call.body else {}
        grace = call.number("gracePeriodSeconds")
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        for name in ("propagationPolicy", "orphanDependents"):
            if name in call.params:
                options[name] = call.params[name]
        return options

    def _addressed(self, call: Call, obj: dict[str, Any]) -> None:
        """*obj* is of the kind, in the namespace and of the name that the address says."""
        _check_kind(call, obj)
        metadata = obj.setdefault("metadata", {})
        if call.resource.namespaced:
            if (metadata.get("namespace") or call.namespace) != call.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on "
                    "the request"
                )
            metadata["namespace"] = call.namespace
        name = metadata.get("name") or ""
        if call.wanted.name and call.wanted.verb != "create" and name != call.wanted.name:
            raise bad_request(
                f"the name of the object ({name}) does not match the name on the URL "
                f"({call.wanted.name})"
            )


def check_patch_type(call: Call) -> None:
    """The call's patch is of a kind that is taken.

    Raises:
        StatusError: It is not; code 415.
    """
    if call.content_type in _APPLY_PATCHES:
        raise StatusError(
            415,
            "UnsupportedMediaType",
            "this cluster has no server-side apply; use client-side apply, or another patch",
        )
    if call.content_type not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported(JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)


def patched(call: Call, target: dict[str, Any]) -> dict[str, Any]:
    """Return *target* as the call's patch makes it.

    Raises:
        StatusError: It is no patch, or does not fit.
    """
    patch = call.document()
    try:
        if call.content_type == JSON_PATCH:
            result = json_patched(target, patch)
        elif not isinstance(patch, dict):
            raise bad_request("the patch is not a JSON object")
        elif call.content_type == MERGE_PATCH:
            result = merge_patched(target, patch)
        else:
            result = strategic_patched(call.resource, target, patch)
    except PatchError as error:
        raise _unfit(call, error) from None
    if not isinstance(result, dict) or not isinstance(result.get("metadata"), dict):
        raise bad_request("the patch leaves no object")
    return result


def _unfit(call: Call, error: PatchError) -> StatusError:
    if call.content_type != JSON_PATCH:
        return bad_request(str(error))
    message = f"the server rejected our request due to an error in our request: {error}"
    return StatusError(422, "Invalid", message, {})


def _check_kind(call: Call, obj: dict[str, Any]) -> None:
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if kind is None and version is None:
        obj["kind"], obj["apiVersion"] = call.resource.kind, call.resource.api_version
    elif kind != call.resource.kind:
        raise bad_request(
            f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a '
            f"{call.resource.kind}: converting ({kind}) to ({call.resource.kind}): unknown "
            "conversion"
        )
    elif version != call.resource.api_version:
        raise bad_request(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({call.resource.api_version})"
        )


def _propagation(options: dict[str, Any]) -> Propagation:
    if options.get("orphanDependents") in (True, "true"):
        return "Orphan"
    policy = options.get("propagationPolicy") or "Background"
    for known in _PROPAGATIONS:
        if policy == known:
            return known
    raise bad_request(f'propagationPolicy: Unsupported value: "{policy}"')
