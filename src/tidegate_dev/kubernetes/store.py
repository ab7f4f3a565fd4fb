"""Every object of the cluster, as etcd and the registry in front of it keep them.

Objects are plain JSON, copied on the way in and on the way out. Each change gets the next resource
version and is remembered for those who watch. Nothing here checks what an object says, nor who
asks: that is the API's work. https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import secrets
import uuid
from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tidegate_dev.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    GoneError,
    NotFoundError,
    bad_request,
)
from tidegate_dev.kubernetes.resources import DEPLOYMENTS, NAMESPACES, PODS, Resource
from tidegate_dev.kubernetes.watches import MAX_REMEMBERED, History, Watch, WatchEvent, copied

__all__ = [
    "AlreadyExistsError",
    "ConflictError",
    "GoneError",
    "NotFoundError",
    "Propagation",
    "Store",
    "Watch",
    "WatchEvent",
    "timestamp",
]

Propagation = Literal["Background", "Foreground", "Orphan"]
_Key = tuple[str, str]

# No vowels, nor what looks like one: k8s.io/apimachinery/pkg/util/rand.
_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH: Final = 5
_MAX_GENERATED_BASE: Final = 63 - _SUFFIX_LENGTH
_DEFAULT_GRACE_SECONDS: Final = 30
_KEPT_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


class Store:
    """The objects of one cluster, for use inside one event loop.

    Args:
        now: Seconds since the Unix epoch.
        remembered: How many changes are kept at least for those who watch.

    Attributes:
        has_kubelet: Whether a deleted pod waits, marked, until a kubelet deletes it with no grace.
    """

    def __init__(self, now: Callable[[], float], *, remembered: int = MAX_REMEMBERED) -> None:
        self.has_kubelet = False
        self._now = now
        self._objects: dict[Resource, dict[_Key, dict[str, Any]]] = {}
        self._history = History(remembered)
        self._version = 0
        self._callbacks: list[Callable[[WatchEvent], None]] = []
        self._untold: deque[WatchEvent] = deque()
        self._telling = False

    @property
    def version(self) -> str:
        """Return the resource version of the latest change."""
        return str(self._version)

    # --- reading ----------------------------------------------------------------

    def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any] | None:
        """Return the object, or None."""
        found = self._kept(resource).get((namespace or "", name))
        return None if found is None else dict(copied(found))

    def list(
        self, resource: Resource, namespace: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """Return the objects in the order of their names, and the resource version of that."""
        kept = self._kept(resource)
        keys = sorted(key for key in kept if not namespace or key[0] == namespace)
        return [copied(kept[key]) for key in keys], self.version

    def generated_name(self, resource: Resource, namespace: str, base: str) -> str:
        """Return a name that nothing has, which begins with *base*."""
        while True:
            suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
            name = base[:_MAX_GENERATED_BASE] + suffix
            if (namespace, name) not in self._kept(resource):
                return name

    # --- writing ----------------------------------------------------------------

    def create(
        self, resource: Resource, obj: dict[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Return the object as it now is there, with all that the server says about it.

        A status that *obj* brings is kept.

        Raises:
            AlreadyExistsError: There is one of that name.
            StatusError: It has no name or no namespace.
        """
        made: dict[str, Any] = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            **copied(obj),
        }
        key = self._placed(resource, made)
        if key in self._kept(resource):
            raise AlreadyExistsError(resource, key[1])
        metadata = made["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = timestamp(self._now())
        if resource.counted:
            metadata["generation"] = 1
        if not dry_run:
            self._change("ADDED", resource, key, made, None)
        return dict(copied(made))

    def update(
        self,
        resource: Resource,
        obj: dict[str, Any],
        *,
        expected: str | None = None,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Return the object as it now is: *obj*, apart from what only the server may say.

        With subresource `status` the status and the annotations are taken, else all but the status.
        A change of the spec counts the generation on; no change at all leaves the version alone.
        An object that is being deleted goes with its last finalizer.

        Raises:
            NotFoundError: There is none of that name.
            ConflictError: It is not at the *expected* resource version, or not the same object.
        """
        metadata = obj.get("metadata", {})
        key = (str(metadata.get("namespace") or ""), str(metadata.get("name")))
        old = self._found(resource, key)
        self._hold(resource, old, uid=metadata.get("uid"), expected=expected)
        new = _merged(resource, old, copied(obj), subresource)
        if new == old:
            return dict(copied(old))
        if dry_run:
            return dict(copied(new))
        if _is_released(old, new):
            self._remove(resource, key, new, "Background")
        else:
            self._change("MODIFIED", resource, key, new, old)
        return dict(copied(new))

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        expected: str | None = None,
        propagation: Propagation = "Background",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Return the object as it was last; it is gone, and so is what it owned.

        A pod that a kubelet runs is marked only, unless *grace_seconds* is 0; so is an object with
        finalizers. With `Orphan` what it owned stays, and is owned no more.

        Raises:
            NotFoundError: There is none of that name.
            ConflictError: It is not the *uid*, or not at the *expected* resource version.
        """
        key = (namespace or "", name)
        old = self._found(resource, key)
        self._hold(resource, old, uid=uid, expected=expected)
        if dry_run:
            return dict(copied(old))
        grace = self._grace(resource, old, grace_seconds)
        if grace > 0 or old["metadata"].get("finalizers"):
            return self._mark(resource, key, old, grace)
        return self._remove(resource, key, old, propagation)

    # --- being told --------------------------------------------------------------

    def watch(self, resources: Collection[Resource], *, since: str | None) -> Watch:
        """Return the changes of those kinds after the version *since*; None means from now on.

        Raises:
            GoneError: What happened since is no longer remembered; also while reading.
        """
        version = self._version if since is None else min(int(since), self._version)
        return Watch(self._history, resources, version)

    def subscribe(self, callback: Callable[[WatchEvent], None]) -> Callable[[], None]:
        """*callback* is called after every change from now on; return what ends that.

        Every callback is told of the changes in their order, also when one of them makes more.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def forget(self) -> None:
        """What happened so far is no longer remembered: who comes back too late is told so."""
        self._history.forget(self._version)

    def close(self) -> None:
        """Every watch comes to its end."""
        self._history.close()

    # --- inside ------------------------------------------------------------------

    def _kept(self, resource: Resource) -> dict[_Key, dict[str, Any]]:
        return self._objects.setdefault(resource, {})

    def _found(self, resource: Resource, key: _Key) -> dict[str, Any]:
        found = self._kept(resource).get(key)
        if found is None:
            raise NotFoundError(resource, key[1])
        return found

    def _placed(self, resource: Resource, made: dict[str, Any]) -> _Key:
        """Return where *made* belongs; its name is settled."""
        metadata = made.setdefault("metadata", {})
        for unsaid in ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(unsaid, None)
        if not metadata.get("name"):
            base = metadata.get("generateName")
            if not base:
                raise bad_request("name or generateName is required")
            metadata["name"] = self.generated_name(resource, metadata.get("namespace") or "", base)
        if resource.namespaced and not metadata.get("namespace"):
            raise bad_request("an object of this kind is in a namespace")
        if not resource.namespaced:
            metadata.pop("namespace", None)
        return str(metadata.get("namespace") or ""), str(metadata["name"])

    def _hold(
        self, resource: Resource, old: dict[str, Any], *, uid: str | None, expected: str | None
    ) -> None:
        """*old* is what the caller took it for."""
        metadata = old["metadata"]
        if uid and uid != metadata["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {uid}, "
                f"UID in object meta: {metadata['uid']}"
            )
            raise ConflictError(resource, metadata["name"], why)
        if expected and expected != metadata["resourceVersion"]:
            raise ConflictError(resource, metadata["name"])

    def _grace(self, resource: Resource, old: dict[str, Any], asked: int | None) -> int:
        if resource is not PODS or not self.has_kubelet or not old["spec"].get("nodeName"):
            return 0
        if asked is not None:
            return asked
        usual = old["spec"].get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        return int(usual)

    def _mark(
        self, resource: Resource, key: _Key, old: dict[str, Any], grace: int
    ) -> dict[str, Any]:
        """Return the object, which is on its way out."""
        if "deletionTimestamp" in old["metadata"]:
            return dict(copied(old))
        new: dict[str, Any] = copied(old)
        new["metadata"]["deletionTimestamp"] = timestamp(self._now() + grace)
        new["metadata"]["deletionGracePeriodSeconds"] = grace
        if resource.counted:
            new["metadata"]["generation"] += 1
        self._change("MODIFIED", resource, key, new, old)
        return dict(copied(new))

    def _remove(
        self, resource: Resource, key: _Key, last: dict[str, Any], propagation: Propagation
    ) -> dict[str, Any]:
        gone: dict[str, Any] = copied(last)
        previous = self._kept(resource)[key]
        self._change("DELETED", resource, key, gone, previous)
        self._collect(gone["metadata"]["uid"], orphan=propagation == "Orphan")
        if resource is NAMESPACES:
            self._empty(key[1])
        return dict(copied(gone))

    def _collect(self, uid: str, *, orphan: bool) -> None:
        """Nothing is owned by *uid*; what nobody else owns is gone, unless it is to be an orphan.

        https://kubernetes.io/docs/concepts/architecture/garbage-collection/
        """
        for resource, key in self._places():
            owned = self._kept(resource).get(key)
            owners = owned["metadata"].get("ownerReferences", []) if owned else []
            left = [owner for owner in owners if owner.get("uid") != uid]
            if owned is None or len(left) == len(owners):
                continue
            if left or orphan:
                self._own(resource, owned, left)
            else:
                self._delete_quietly(resource, key)

    def _own(self, resource: Resource, owned: dict[str, Any], owners: Collection[Any]) -> None:
        new = copied(owned)
        new["metadata"].pop("ownerReferences")
        if owners:
            new["metadata"]["ownerReferences"] = [*owners]
        self.update(resource, new)

    def _empty(self, namespace: str) -> None:
        """Nothing is left in *namespace*."""
        for resource, key in self._places():
            if resource.namespaced and key[0] == namespace:
                self._delete_quietly(resource, key)

    def _delete_quietly(self, resource: Resource, key: _Key) -> None:
        if key in self._kept(resource):
            self.delete(resource, *key)

    def _places(self) -> tuple[tuple[Resource, _Key], ...]:
        return tuple((resource, key) for resource, kept in self._objects.items() for key in kept)

    def _change(
        self,
        kind: Literal["ADDED", "MODIFIED", "DELETED"],
        resource: Resource,
        key: _Key,
        new: dict[str, Any],
        old: dict[str, Any] | None,
    ) -> None:
        """*new* has the next version, is kept or is gone, and everybody is told."""
        self._version += 1
        new["metadata"]["resourceVersion"] = self.version
        if kind == "DELETED":
            del self._kept(resource)[key]
        else:
            self._kept(resource)[key] = copied(new)
        event = WatchEvent(
            type=kind,
            object=copied(new),
            resource=resource,
            version=self._version,
            previous=old,
        )
        self._history.add(event)
        self._tell(event)

    def _tell(self, event: WatchEvent) -> None:
        self._untold.append(event)
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                next_event = self._untold.popleft()
                for callback in tuple(self._callbacks):
                    callback(next_event.copy())
        finally:
            self._telling = False


def timestamp(seconds: float) -> str:
    """Return a time as Kubernetes writes it, from seconds since the Unix epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _merged(
    resource: Resource, old: dict[str, Any], obj: dict[str, Any], subresource: str | None
) -> dict[str, Any]:
    """Return *old* with what *obj* may change through *subresource*."""
    if subresource == "status":
        new: dict[str, Any] = copied(old)
        _set(new, "status", obj.get("status"))
        _set(new["metadata"], "annotations", obj["metadata"].get("annotations"))
        return new
    new = obj
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]
    new["metadata"].pop("managedFields", None)
    for field in (*_KEPT_METADATA, "resourceVersion"):
        _set(new["metadata"], field, old["metadata"].get(field))
    if "status" in resource.subresources:
        _set(new, "status", old.get("status"))
    if resource.counted and _wants_differ(resource, old, new):
        new["metadata"]["generation"] += 1
    return new


def _wants_differ(resource: Resource, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether the change counts; a Deployment's annotations do, as its ReplicaSets get them.

    `PrepareForUpdate` in k8s.io/kubernetes/pkg/registry/apps/deployment/strategy.go.
    """
    if old.get("spec") != new.get("spec"):
        return True
    before, after = old["metadata"].get("annotations"), new["metadata"].get("annotations")
    return resource is DEPLOYMENTS and (before or {}) != (after or {})


def _is_released(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Return whether *new* was waiting for its finalizers, and has none left."""
    waited = "deletionTimestamp" in old["metadata"] and old["metadata"].get("finalizers")
    return bool(waited) and not new["metadata"].get("finalizers")


def _set(holder: dict[str, Any], field: str, value: Any) -> None:
    """*field* is *value*; nothing, if that is None."""
    if value is None:
        holder.pop(field, None)
    else:
        holder[field] = value
