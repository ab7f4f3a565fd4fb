"""Strategic merge patch: a merge patch that knows which lists are sets of named things.

The rules are those of k8s.io/apimachinery/pkg/util/strategicpatch; the merge keys are the
`patchMergeKey` tags of k8s.io/api. Described in
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
and k8s.io/community/contributors/devel/sig-api-machinery/strategic-merge-patch.md.
"""

from collections.abc import Mapping
from typing import Any, Final

from tidegate_dev.kubernetes.patches import PatchError
from tidegate_dev.kubernetes.resources import SERVICES, Resource
from tidegate_dev.kubernetes.watches import copied

_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE_PLAIN: Final = "$deleteFromPrimitiveList/"

_PLAIN: Final = ""
"""Stands for the merge key of a list that is a set of plain values."""

_MERGE_KEYS: Final[Mapping[str, str]] = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "finalizers": _PLAIN,
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


def strategic_patched(
    resource: Resource, target: dict[str, Any], patch: dict[str, Any]
) -> dict[str, Any]:
    """Return *target* as the patch makes it.

    Raises:
        PatchError: The patch cannot be understood.
    """
    keys = {**_MERGE_KEYS, "ports": "port"} if resource is SERVICES else _MERGE_KEYS
    return _Merge(keys).mapping(copied(target), copied(patch))


class _Merge:
    """Merges in place; what it is given is its own."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys

    def mapping(self, original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        """Return *original* with *patch* merged into it."""
        directive = patch.pop(_DIRECTIVE, None)
        if directive == "replace":
            return patch
        if directive == "delete":
            return {}
        if directive not in (None, "merge"):
            raise PatchError(f"Unknown patch type found: {directive}")
        _retain(original, patch)
        self._ordered(original, patch)
        for key, value in patch.items():
            self._field(original, key, value)
        return original

    def _field(self, original: dict[str, Any], key: str, value: Any) -> None:
        if key.startswith(_DELETE_PLAIN):
            field = key.removeprefix(_DELETE_PLAIN)
            if isinstance(original.get(field), list):
                original[field] = [item for item in original[field] if item not in value]
        elif value is None:
            original.pop(key, None)
        elif isinstance(value, dict) and isinstance(original.get(key), dict):
            original[key] = self.mapping(original[key], value)
        elif isinstance(value, list) and isinstance(original.get(key), list):
            original[key] = self._list(key, original[key], value)
        elif value != {_DIRECTIVE: "delete"}:
            original[key] = _plain(value)

    def _list(self, field: str, original: list[Any], patch: list[Any]) -> list[Any]:
        merge_key = self._merge_key(field, original + patch)
        if merge_key is None:
            return [_plain(item) for item in patch]
        merged, changes = self._merged(merge_key, original, patch)
        return _in_order(merge_key, merged, order=changes, before=original)

    def _merge_key(self, field: str, items: list[Any]) -> str | None:
        """Return what tells the items of a list apart; None if the list is one value."""
        merge_key = self._keys.get(field)
        if merge_key and not all(isinstance(item, dict) for item in items):
            raise PatchError(f"{field} is a list of objects")
        return None if merge_key == _PLAIN and any(map(_is_object, items)) else merge_key

    def _merged(
        self, merge_key: str, original: list[Any], patch: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the items in any order, and those of *patch* that are no directives."""
        if merge_key == _PLAIN:
            return [*original, *(item for item in patch if item not in original)], patch
        changes = [item for item in patch if _DIRECTIVE not in item]
        if any(item.get(_DIRECTIVE) == "replace" for item in patch):
            return [_plain(item) for item in changes], changes
        removed = [_identity(merge_key, item) for item in patch if _DIRECTIVE in item]
        merged = [item for item in original if item.get(merge_key) not in removed]
        for item in changes:
            self._item(merge_key, merged, item)
        return merged, changes

    def _item(self, merge_key: str, merged: list[Any], change: dict[str, Any]) -> None:
        identity = _identity(merge_key, change)
        for place, item in enumerate(merged):
            if item.get(merge_key) == identity:
                merged[place] = self.mapping(item, copied(change))
                return
        merged.append(_plain(change))

    def _ordered(self, original: dict[str, Any], patch: dict[str, Any]) -> None:
        """Lists whose order the patch states are merged, and no longer in *patch*."""
        for directive in [key for key in patch if key.startswith(_ORDER)]:
            order = patch.pop(directive)
            field = directive.removeprefix(_ORDER)
            before, change = original.get(field), patch.pop(field, [])
            if not isinstance(order, list) or not isinstance(change or [], list):
                raise PatchError(f"{directive} is for lists")
            merge_key = self._keys.get(field)
            if merge_key is None:
                raise PatchError(f"{directive} is not for this list")
            _check_order(merge_key, order, change or [])
            if before is None and not change:
                continue
            merged = self._list(field, before or [], change or [])
            original[field] = _in_order(merge_key, merged, order=order, before=before or [])


def _identity(merge_key: str, item: Any) -> Any:
    found = item
    if merge_key != _PLAIN:
        found = item.get(merge_key) if isinstance(item, dict) else None
    if found is None or isinstance(found, dict | list):
        raise PatchError(f"map: {item} does not contain declared merge key: {merge_key}")
    return found


def _in_order(
    merge_key: str, merged: list[Any], *, order: list[Any], before: list[Any]
) -> list[Any]:
    """Return the items that *order* names in its order, and among them the others in theirs.

    An item that *order* leaves out stays before whatever it was before; what is new comes first.
    """
    wanted = [_identity(merge_key, item) for item in order]
    had = [_identity(merge_key, item) for item in before]
    named = [
        item
        for identity in dict.fromkeys(wanted)
        for item in merged
        if _identity(merge_key, item) == identity
    ]
    others = [item for item in merged if _identity(merge_key, item) not in wanted]
    result: list[Any] = []
    while others and named:
        one, other = _identity(merge_key, others[0]), _identity(merge_key, named[0])
        is_before = one in had and other in had and had.index(one) < had.index(other)
        result.append(others.pop(0) if is_before else named.pop(0))
    return result + others + named


def _check_order(merge_key: str, order: list[Any], change: list[Any]) -> None:
    """The items of *change* come in the *order* that the patch itself states."""
    wanted = iter([_identity(merge_key, item) for item in order])
    for item in change:
        if isinstance(item, dict) and _DIRECTIVE in item:
            continue
        if _identity(merge_key, item) not in wanted:
            raise PatchError("The order in patch list doesn't match $setElementOrder list")


def _retain(original: dict[str, Any], patch: dict[str, Any]) -> None:
    kept = patch.pop(_RETAIN, None)
    if kept is None:
        return
    if not isinstance(kept, list) or any(
        key not in kept for key in patch if not key.startswith("$")
    ):
        raise PatchError("invalid patch format of retainKeys")
    for key in [key for key in original if key not in kept]:
        del original[key]


def _plain(value: Any) -> Any:
    """Return *value* without directives and nulls, as it is put where nothing was."""
    if isinstance(value, dict):
        return {
            key: _plain(part)
            for key, part in value.items()
            if part is not None and not key.startswith("$") and not _is_deletion(part)
        }
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directive(item)]
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_deletion(value: Any) -> bool:
    return isinstance(value, dict) and value.get(_DIRECTIVE) == "delete"


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and _DIRECTIVE in item
