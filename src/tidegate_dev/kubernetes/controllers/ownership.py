"""Who made what: owner references, and the objects behind them.

https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from typing import Any, Final

from tidegate_dev.kubernetes.resources import Resource
from tidegate_dev.kubernetes.selectors import selector_test
from tidegate_dev.kubernetes.store import Store

Object = dict[str, Any]

_ENDED: Final = ("Succeeded", "Failed")


def reference(owner: Object) -> Object:
    """Return the owner reference by which *owner* controls what it makes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Object) -> Object | None:
    """Return the reference to what controls *obj*, if anything does."""
    references: list[Object] = obj["metadata"].get("ownerReferences") or []
    return next((found for found in references if found.get("controller")), None)


def owned(store: Store, resource: Resource, owner: Object) -> list[Object]:
    """Return the objects of that kind that *owner* controls, by name."""
    uid = owner["metadata"]["uid"]
    found, _ = store.list(resource, owner["metadata"]["namespace"])
    return [obj for obj in found if (controller_of(obj) or {}).get("uid") == uid]


def claim(store: Store, resource: Resource, owner: Object) -> list[Object]:
    """Return the objects of that kind that *owner* controls from now on, by name.

    What its selector means and nobody controls is adopted; what it no longer means is let go:
    https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#non-template-pod-acquisitions
    """
    selector = owner["spec"].get("selector")
    if not selector or is_going(owner):
        return owned(store, resource, owner)
    is_meant, uid = selector_test(selector), owner["metadata"]["uid"]
    found = []
    for obj in store.list(resource, owner["metadata"]["namespace"])[0]:
        keeper = (controller_of(obj) or {}).get("uid")
        meant = is_meant(obj["metadata"].get("labels") or {})
        if keeper == uid and not meant:
            _let_go(store, resource, obj, uid)
        elif keeper == uid:
            found.append(obj)
        elif keeper is None and meant and _may_be_adopted(obj):
            obj["metadata"].setdefault("ownerReferences", []).append(reference(owner))
            found.append(store.update(resource, obj))
    return found


def is_going(obj: Object) -> bool:
    """Return whether *obj* is being deleted."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def _may_be_adopted(obj: Object) -> bool:
    return not is_going(obj) and (obj.get("status") or {}).get("phase") not in _ENDED


def _let_go(store: Store, resource: Resource, obj: Object, uid: str) -> None:
    metadata = obj["metadata"]
    left = [entry for entry in metadata["ownerReferences"] if entry.get("uid") != uid]
    metadata["ownerReferences"] = left
    if not left:
        del metadata["ownerReferences"]
    store.update(resource, obj)
